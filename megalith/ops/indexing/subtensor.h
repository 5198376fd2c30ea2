// The index description that Subtensor and its relatives share: per item an axis, and which of begin, end, step and idx
// take one more input.
#pragma once

#include "megalith/ops/op_util.h"

namespace megalith::indexing {

struct Item {
  int axis;
  bool begin, end, step, idx;
};

// The items of a parameter list, with axes resolved; `first` is the first input that holds an index.
inline std::vector<Item> items(const InferContext& c, int ndim, int first) {
  const std::vector<int32_t>& l = c.attrs.params.list();
  std::vector<Item> r;
  int inputs = first;
  for (size_t i = 0; i + 4 < l.size(); i += 5) {
    r.push_back({c.axis(l[i], ndim), l[i + 1] != 0, l[i + 2] != 0, l[i + 3] != 0, l[i + 4] != 0});
    const Item& it = r.back();
    c.require(!it.idx || !(it.begin || it.end || it.step), "item ", i / 5, " has both an index and a range");
    for (size_t k = 0; k + 1 < r.size(); ++k) c.require(r[k].axis != it.axis, "axis ", it.axis, " is indexed twice");
    inputs += it.begin + it.end + it.step + it.idx;
  }
  c.require(inputs == c.nin(), "the index description takes ", inputs, " inputs, but there are ", c.nin());
  return r;
}

// Applies begin, end and step (scalar inputs from `at` on) to one axis of `l`, as Python slices do, and moves `offset`.
inline void slice_axis(const InferContext& c, const Item& it, int& at, Layout& l, int64_t& offset) {
  const auto scalar = [&] {
    const std::vector<int64_t> v = c.ints(at++);
    c.require(v.size() == 1, "input ", at - 1, " must be one number, but has shape ", c.shape(at - 1));
    return v[0];
  };
  const int64_t n = l.shape[it.axis];
  std::optional<int64_t> begin, end;
  if (it.begin) begin = scalar();
  if (it.end) end = scalar();
  const int64_t step = it.step ? scalar() : 1;
  c.require(step != 0, "the step along axis ", it.axis, " is zero");
  const auto clamp = [&](int64_t v, int64_t lo, int64_t hi) { return std::clamp(v < 0 ? v + n : v, lo, hi); };
  const int64_t b = begin ? clamp(*begin, step > 0 ? 0 : -1, step > 0 ? n : n - 1) : step > 0 ? 0 : n - 1;
  const int64_t e = end ? clamp(*end, step > 0 ? 0 : -1, step > 0 ? n : n - 1) : step > 0 ? n : -1;
  const int64_t count = step > 0 ? (e > b ? (e - b + step - 1) / step : 0) : (b > e ? (b - e - step - 1) / -step : 0);
  if (count > 0) offset += b * l.stride[it.axis];
  l.shape[it.axis] = count;
  l.stride[it.axis] *= step;
}

// The part of `full` that the inputs from `first` on select; indexed axes go.
inline void select(const InferContext& c, const Layout& full, int first, Layout& part, int64_t& offset) {
  part = full;
  offset = 0;
  int at = first;
  std::vector<int> gone;
  for (const Item& it : items(c, full.shape.ndim(), first)) {
    if (!it.idx) {
      slice_axis(c, it, at, part, offset);
      continue;
    }
    const std::vector<int64_t> v = c.ints(at++);
    const int64_t n = full.shape[it.axis];
    c.require(v.size() == 1, "input ", at - 1, " must be one number, but has shape ", c.shape(at - 1));
    c.require(v[0] >= -n && v[0] < n, "index ", v[0], " is out of range for axis ", it.axis, " of shape ", full.shape);
    offset += (v[0] < 0 ? v[0] + n : v[0]) * full.stride[it.axis];
    gone.push_back(it.axis);
  }
  std::sort(gone.begin(), gone.end());
  for (size_t i = gone.size(); i-- > 0;) {
    part.shape.erase(gone[i]);
    part.stride.erase(gone[i]);
  }
  if (part.shape.ndim() == 0) part = Layout({1}, {1});
}

}  // namespace megalith::indexing
