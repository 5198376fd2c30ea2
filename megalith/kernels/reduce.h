// Reductions of floats in one fixed order: element i of a block goes to sum i % kSums, and the sums are joined as a
// balanced tree, halves apart. The same bits along a row as over columns, at every thread count and instruction set.
#pragma once

#include <cstdint>

namespace megalith::reduce {

// What becomes of the elements: x of the row, y of the `other` row, c the center.
enum class Join : uint8_t {
  kSum,         // x
  kSquares,     // x x
  kDots,        // x y
  kDeviations,  // (x - c) (x - c)
  kCentered,    // y (x - c)
  kProduct,     // x, multiplied
  kMin,         // NaN wins over numbers
  kMax,
};
// How the parts of a long run are joined.
inline Join rest_of(Join j) { return j == Join::kProduct || j == Join::kMin || j == Join::kMax ? j : Join::kSum; }

inline constexpr int64_t kSums = 32;
inline constexpr int64_t kBlock = 8192;  // longer runs are cut, and what remains of the blocks is reduced again
inline constexpr int64_t kColumns = 64;  // that are worth taking together

// n elements that lie together, 1 <= n <= kBlock.
float row(Join join, const float* p, int64_t n, const float* other = nullptr, float center = 0);
// The same for any n.
float line(Join join, const float* p, int64_t n, const float* other = nullptr, float center = 0);
// Each of `width` columns of n <= kBlock rows, `step` apart, with a center for each.
void columns(Join join, const float* p, int64_t step, int64_t n, int64_t width, float* out,
             const float* other = nullptr, const float* center = nullptr);

// e^(x - the largest) over the sum of these, for 1 <= n <= kShort elements, in registers: the bits of kMax, exp_minus,
// kSum and a division one after another.
inline constexpr int64_t kShort = 64;
void short_softmax(const float* x, float* y, int64_t n);

}  // namespace megalith::reduce
