// Memory for tensors: blocks of 64-byte alignment. Blocks that were freed are kept for the next call, up to a bound:
// small ones by their thread, large ones for all threads; those between are the C library's business. Large blocks ask
// for huge pages.
#pragma once

#include <cstddef>

namespace megalith {

std::byte* allocate_block(size_t bytes);            // null when there is no memory
void free_block(std::byte* block, size_t bytes);    // on any thread, with the same size
size_t cached_block_bytes();                        // kept by this thread
inline constexpr size_t kMaxCachedBytes = 1 << 20;  // per thread
inline constexpr size_t kLargestCachedBlock = 16384;

size_t kept_large_bytes();  // of all threads
inline constexpr size_t kSmallestLargeBlock = size_t{128} << 10;
inline constexpr size_t kMaxKeptLargeBytes = size_t{256} << 20;

}  // namespace megalith
