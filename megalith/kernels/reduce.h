// Reductions of floats in one fixed order: element i of a block goes to sum i % kSums, and the sums are joined as a
// balanced tree, halves apart. The same bits along a row as over columns, at every thread count and instruction set.
#pragma once

#include <cstdint>

namespace megalith::reduce {

enum class Join : uint8_t { kSum, kSquares, kProduct, kMin, kMax };  // NaN wins over numbers in kMin and kMax

inline constexpr int64_t kSums = 32;
inline constexpr int64_t kBlock = 8192;  // longer runs are cut, and what remains of the blocks is reduced again
inline constexpr int64_t kColumns = 64;

// n elements that lie together, 1 <= n <= kBlock.
float row(Join join, const float* p, int64_t n);
// Each of `width` <= kColumns columns of n rows, `step` apart.
void columns(Join join, const float* p, int64_t step, int64_t n, int64_t width, float* out);

}  // namespace megalith::reduce
