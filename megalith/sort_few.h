// A stable sort of a few values, such as axes: no calls, no memory.
#pragma once

#include <utility>

namespace megalith {

template <class It, class Before>
void sort_few(It first, It last, Before before) {
  for (It i = first; i != last; ++i) {
    auto value = std::move(*i);
    It to = i;
    for (; to != first && before(value, *(to - 1)); --to) *to = std::move(*(to - 1));
    *to = std::move(value);
  }
}

}  // namespace megalith
