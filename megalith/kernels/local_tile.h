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
  int64_t run_count = 0;
  int64_t repeats = 1, x_repeat = 0, w_repeat = 0;
  // Whether w is read here for the first time and has to come from memory: then what will be needed is asked for, some
  // rows ahead or, where a whole block stays near, the one that is read next. It lies `next` from w.
  enum class Far : uint8_t { kNo, kRows, kBlock } far = Far::kNo;
  int64_t next = 0;
};

void sums(const Sums& s);
// The same with every s rounded to half, for one repeat.
void sums_of_half(const Sums& s);
int64_t lanes();  // floats in a vector

// The same with lanes along x: for every channel c and item i, from +0:
//   for run in runs: for k < run.k: s += x[run.x + k * x_step + i] * w[run.w + k * w_step + c]
// and out[c * out_channel + i] = s. Whole vectors of x are read, up to kMostLanes - 1 floats behind the items.
struct ItemSums {
  const float* x = nullptr;
  int64_t x_step = 0;
  const float* w = nullptr;
  int64_t w_step = 0;
  int64_t next = 0;  // unless 0: w that is needed next lies so far from w
  const Run* runs = nullptr;
  int64_t run_count = 0;
  int64_t items = 0, channels = 0;
  float* out = nullptr;
  int64_t out_channel = 0;
};

// Packed weights (local_packed.h): columns are whole vectors, and a row of w lies behind the other. Steps of x are 1,
// and run.w counts rows.
struct PanelSums {
  const float* const* x = nullptr;
  float* const* out = nullptr;
  int64_t out_at = 0;
  int64_t items = 0, columns = 0;  // columns: that are stored, of `vectors` vectors
  int64_t vectors = 0;             // one of 1, 2, 4, 8
  const float* w = nullptr;
  const Run* runs = nullptr;
  int64_t run_count = 0;
  int64_t ahead = 0;          // unless 0: w is asked for so many floats ahead, and what lies behind it
  bool second_cache = false;  // to come there, and not into the first one
  // Other cells with weights of their own: x, w and out of a cell lie so far from those of the one before.
  int64_t cells = 1, x_cell = 0, w_cell = 0, out_cell = 0;
  int64_t x_at = 0;     // where in x
  bool resume = false;  // sums begin with what is in out
};

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
inline int64_t whole_vectors(int64_t n) { return (n + kMostLanes - 1) / kMostLanes * kMostLanes; }
inline constexpr int64_t kNear = 131072;  // floats that stay in the second cache

// Rows of outputs, with lanes along the width, of some images and `channels` output channels. Each of `rows` rows of x
// gives a tap to `depth` rows of outputs: row r gives tap k to row r - k + shift, for k < depth. w has for each row of
// x, for each step, for each k, for each channel, `columns` weights. Whole vectors are read, of x where there are no
// masks.
struct RowPanels {
  const float* x = nullptr;
  int64_t x_image = 0, x_row = 0;
  const int64_t* x_at = nullptr;  // of every step, in a row
  // With 16 lanes and one channel: which of them a step reads, two bytes each; others are 0, and nothing is read for
  // them. May be null.
  const uint8_t* masks = nullptr;
  int64_t steps = 0, rows = 0, depth = 1, images = 0;
  int64_t channels = 1, columns = 0;  // 1, 2 or 4; at most lanes()
  const float* w = nullptr;
  bool far = false;  // w has to come from memory, and so will what lies behind it
  float* out = nullptr;
  int64_t out_image = 0, out_channel = 0, out_row = 0;
  int64_t shift = 0, out_rows = 1;  // rows of outputs; what falls outside of them is left out
};
inline constexpr int64_t kDepth = 3;  // of RowPanels, besides 1

// Images of one channel a group with windows of 3 x 3 and a column of zeros left and right. w has for each row of x,
// for each column of the window, for each of its rows, `columns` weights; whole vectors of it are read. Rows of x give
// to those of out as in RowPanels.
struct DepthwiseRows {
  const float* x = nullptr;
  const float* w = nullptr;
  float* out = nullptr;
  int64_t groups = 1, x_group = 0, w_group = 0, out_group = 0;
  int64_t images = 0, x_image = 0, out_image = 0;
  int64_t rows = 0, columns = 0;  // of x
  int64_t shift = 0, out_rows = 0;
  int64_t next = 0;  // so far from the last group's x lies the first image of the next call
};

}  // namespace megalith::local
