// Sums of products that are rounded twice, after the multiplication and after the addition, in a given order: the heart
// of the convolutions that promise the bits of the plain loops (kernels/local.h).
#pragma once

#include <cstdint>

namespace megalith::local {

// A stretch of steps: `k` of them, from x + this offset and w + this offset.
struct Run {
  int64_t x, w, k;
};

// For every item i and column j, from +0:
//   for repeat < repeats: for run in runs: for k < run.k:
//     s += x[i][repeat * x_repeat + run.x + k * x_step] * w[repeat * w_repeat + run.w + k * w_step + j]
// and out[i][out_at + j] = s.
struct Sums {
  const float* const* x = nullptr;  // one pointer for each item
  float* const* out = nullptr;      // as well
  int64_t out_at = 0;               // where in it
  int64_t items = 0, columns = 0;
  int64_t x_step = 1;
  const float* w = nullptr;
  int64_t w_step = 0;
  const Run* runs = nullptr;
  int64_t run_count = 0, run_step = 1;  // run.w counts this many floats
  int64_t repeats = 1, x_repeat = 0, w_repeat = 0;
  // Whether w is read here for the first time and has to come from memory: then what will be needed is asked for, some
  // rows ahead or, where a whole block stays near, the one that is read next. It lies `next` from w. kStream: rows are
  // read one after the other, from one call to the next.
  enum class Far : uint8_t { kNo, kRows, kBlock, kStream } far = Far::kNo;
  int64_t next = 0;
};

void sums(const Sums& s);
// The same with every s rounded to half, for one repeat.
void sums_of_half(const Sums& s);
int64_t lanes();                         // floats in a vector
int64_t vectors_at_once(int64_t items);  // of columns, that sums() takes where there are enough

// out[i][j] = the sum from +0 over steps s of x[i][x_at[s] + j] * w[w_at[s] + j], for images i and columns j. Whole
// vectors are read, up to kMostLanes - 1 floats behind the columns.
struct RowSums {
  const float* x;
  int64_t x_image;  // from one image to the next
  const float* w;
  const int64_t *x_at, *w_at;
  int64_t steps, images, columns;
  float* out;
  int64_t out_image;
};
void row_sums(const RowSums& s);
inline constexpr int64_t kMostLanes = 16;

}  // namespace megalith::local
