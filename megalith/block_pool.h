// Memory for tensors: blocks of 64-byte alignment. Small ones that were freed are kept for the next call of the same
// thread, up to a bound; the rest goes back to the system at once.
#pragma once

#include <cstddef>

namespace megalith {

std::byte* allocate_block(size_t bytes);            // null when there is no memory
void free_block(std::byte* block, size_t bytes);    // on any thread, with the same size
size_t cached_block_bytes();                        // kept by this thread
inline constexpr size_t kMaxCachedBytes = 1 << 20;  // per thread
inline constexpr size_t kLargestCachedBlock = 16384;

}  // namespace megalith
