// Memory in pages of 2 MiB where the system grants them on request: caches and address tables serve large weights
// better.
#pragma once

#include <cstddef>

namespace megalith {

inline constexpr size_t kHugePage = size_t{2} << 20;

// A hint for whole pages of [begin, begin + bytes); does nothing where there is no such request.
void advise_huge_pages(void* begin, size_t bytes);

}  // namespace megalith
