// Products of float matrices in tiles: the heart of matrix products, convolutions and recurrent layers.
//
// Every element of a result is the chain of fused multiply-adds s = a*b + s along k, from 0 or from what was there,
// whatever the tile, the thread count or the packing: all ways through here give the same bits.
//
// B is read in panels of panel_width() columns. It may be packed (pack_b): a panel then is K rows of panel_width()
// floats, zeros behind the last column. Or it may lie anywhere with adjacent columns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "megalith/exec.h"

namespace megalith::gemm {

enum class Activation : uint8_t { kNone, kRelu, kClamp, kHSwish };

// Matrices as they are stored: element (i, j) is at data[i * row + j * col].
struct Matrix {
  const float* data;
  int64_t row, col;
};

// What happens to the sums before they are stored: act(c + bias + add).
struct Epilogue {
  const float* bias = nullptr;  // one for each column
  const float* add = nullptr;   // one for each element, rows `add_stride` apart
  int64_t add_stride = 0;
  Activation act = Activation::kNone;
  float low = 0, high = 0;  // kClamp, which makes high of NaN, as RELU6 does
};

// A stretch of k: `k` steps from a + this offset and b + this offset.
struct Run {
  int64_t a, b, k;
};

// k in one pass: longer sums are made of pieces that are added, so that C is read and written as seldom as can be.
inline constexpr int64_t kDepth = 768;

// C[i][j] (+)= sum over runs r and l < r.k of a[r.a + i * a_row + l * a_step] * b[r.b + l * b_step + panel(j)].
// With `lines`, this is done for as many pieces of A and C, so far apart as a_line and c_line say, with one B.
struct Block {
  int64_t m = 0, n = 0;
  const float* a = nullptr;
  int64_t a_row = 0, a_step = 1;
  int64_t a_tile_depth = 0;  // k of A in tile order (pack_a), which has one run; 0: A is addressed by row and step
  const float* b = nullptr;
  int64_t b_step = 0;   // from one k to the next: panel_width() when packed
  int64_t b_panel = 0;  // from one panel to the next: K * panel_width() when packed, panel_width() when not
  const Run* runs = nullptr;
  int64_t run_count = 0;
  float* c = nullptr;
  int64_t c_row = 0;  // columns of C are adjacent
  bool accumulate = false;
  const Epilogue* epilogue = nullptr;  // null: none; rows of what is added are numbered through all lines
  int64_t lines = 1, a_line = 0, c_line = 0;
};

int64_t panel_width();
int64_t tile_rows();  // rows of the largest tile; multiples of it waste nothing
inline int64_t panels(int64_t n) { return (n + panel_width() - 1) / panel_width(); }
inline int64_t packed_floats(int64_t k, int64_t n) { return panels(n) * panel_width() * k; }
// Whether `count` matrices of k rows and n columns take at most four times their size when they are packed, or 2 MiB:
// a panel has up to 32 columns, however few of them are used.
inline bool packs_tightly(int64_t count, int64_t k, int64_t n) { return n >= 8 || count * k <= (1 << 19) / 32; }

// Packs panels [begin, end) of B(l, j) = b[l * row + j * col]; a panel is `to_panel` floats behind the one before it.
void pack_b(const float* b, int64_t row, int64_t col, int64_t k, int64_t n, float* to, int64_t to_panel, int64_t begin,
            int64_t end);
void pack_b(const float* b, int64_t row, int64_t col, int64_t k, int64_t n, float* to, Exec& exec);

// Brings A into the order in which tiles read it: m * k floats.
void pack_a(Matrix a, int64_t m, int64_t k, float* to);

// One block on the calling thread.
void multiply(const Block& block);

// A tile of another product that is computed beside one row's, or some steps of its k: beside_rows() rows and
// panel_width() / 2 columns of a packed panel. c[i][j] = sum over l < k of a[i * a_row + l] * b[l * panel_width() + j].
struct Beside {
  const float* a = nullptr;
  int64_t a_row = 0;
  const float* b = nullptr;
  int64_t k = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  bool resume = false;          // the sums go on from those that c holds
  bool add = false;             // the sum is added to c
  const float* bias = nullptr;  // then added to c, unless it is null
};
int64_t beside_rows();  // 0 where there are too few registers
// c[0, 4 * panel_width()) (+)= a[0, k) times four packed panels whose rows alternate at b. One row of A waits for
// memory most of the time; the other tile's multiply-adds go into the gaps, a step beside each two where it has half as
// many.
void multiply_beside(const float* a, const float* b, int64_t k, float* c, bool accumulate, const Beside& other);

// Makes a piece of A that lies nowhere: A(i, l) for i in [i, i + m) and l in [l, l + k), rows `pitch` floats apart.
using Gather = FunctionRef<void(int64_t i, int64_t m, int64_t l, int64_t k, float* to, int64_t pitch)>;
// Takes a finished piece of C: rows [i, i + m) and columns [j, j + n), rows `pitch` floats apart.
using Sink = FunctionRef<void(int64_t i, int64_t m, int64_t j, int64_t n, const float* from, int64_t pitch)>;

// C = A B with an epilogue.
struct Product {
  int64_t m = 0, n = 0, k = 0;
  Matrix a = {};
  const Gather* gather = nullptr;    // in place of `a`
  const Gather* gather_t = nullptr;  // the same, called for pieces of A transposed: (l, k, i, m)
  Matrix b = {};
  const float* packed_b = nullptr;  // in place of `b`, which is packed when that pays
  float* c = nullptr;
  int64_t c_row = 0;
  const Sink* sink = nullptr;  // in place of `c`
  bool accumulate = false;     // C += A B
  int64_t depth = kDepth;      // k of a piece, at most kDepth
  const Epilogue* epilogue = nullptr;
  const Product* also = nullptr;  // of the same A, which is read once: n, packed_b, c and c_row of its own
};
void product(const Product& p, Exec& exec);

}  // namespace megalith::gemm
