// Products of matrices of small integers with 32-bit sums: the heart of quantized convolutions and matrix products.
//
// Sums are exact modulo 2^32, so that all instruction sets, tiles and thread counts give the same bits.
//
// Both operands are kept in words of 32 bits that hold neighbours along k: four bytes where the processor multiplies
// and adds those at once (Form::kQuads; those of A then are 128 too large, which a start value of each sum makes up
// for), or two numbers of 16 bits, zero points taken off (Form::kPairs). A has rows of words; B is packed in panels of
// panel_width() columns, a word of each column for every word of k.
#pragma once

#include <cstddef>
#include <cstdint>

#include "megalith/dtype.h"
#include "megalith/exec.h"

// Whether this is a build for processors that may have the dot products.
#if defined(__x86_64__) && (!defined(__AVX2__) || defined(__AVX512F__))
#define MEGALITH_QUADS 1
#else
#define MEGALITH_QUADS 0
#endif

namespace megalith::igemm {

enum class Form : uint8_t { kPairs, kQuads };

// What can be multiplied: Int8, Uint8, QuantizedS8 and Quantized8Asymm.
bool is_small(DType d);
Form form_of(DType a, DType b);
inline int64_t words(Form f, int64_t k) { return f == Form::kQuads ? (k + 3) / 4 : (k + 1) / 2; }

int64_t panel_width();
inline int64_t panels(int64_t n) { return (n + panel_width() - 1) / panel_width(); }
// Of a packed B: a start value for each column, then the panels.
inline int64_t packed_words(Form f, int64_t k, int64_t n) { return panels(n) * panel_width() * (1 + words(f, k)); }
// B(l, j) = b[l + j * col] for l < k and j < n, less the type's zero point.
void pack_b(Form f, DType type, const std::byte* b, int64_t col, int64_t k, int64_t n, int32_t* to, Exec& exec);

// Rows of A, `pitch` words apart, from stored values: `fill` writes those of all rows, which may run over into the next
// ones by kRoom bytes, to where it is told, rows as many bytes apart.
inline constexpr int64_t kRoom = 64;
void to_words(Form f, DType type, int64_t rows, int32_t* to, int64_t pitch,
              FunctionRef<void(std::byte* raw, int64_t raw_pitch)> fill);

// Writes rows [i, i + m) of A, `pitch` words apart.
using Gather = FunctionRef<void(int64_t i, int64_t m, int32_t* to, int64_t pitch)>;
// Takes sums of rows [i, i + m) and columns [j, j + n), rows `pitch` apart.
using Sink = FunctionRef<void(int64_t i, int64_t m, int64_t j, int64_t n, const int32_t* sums, int64_t pitch)>;

struct Product {
  Form form = Form::kPairs;
  int64_t m = 0, n = 0, k = 0;
  const int32_t* packed_b = nullptr;
};
void product(const Product& p, Gather a, Sink c, Exec& exec);

// The way of sums into their type: act((sum * scale + bias) + add), rounded as the type is. The bits are those of the
// reference of convolutions, which multiplies in double, or of matrix products, which multiply in float.
struct Finish {
  enum class Act : uint8_t { kNone, kRelu, kHSwish };
  DType type;  // Float32, QuantizedS8, Quantized8Asymm, or QuantizedS32 or Int32 for the sums themselves
  float scale = 1;
  bool in_double = true;
  const float* bias = nullptr;  // one for each column
  const float* add = nullptr;   // one for each element
  int64_t add_row = 0;
  Act act = Act::kNone;
};
bool finishes(DType type);
void finish(const Finish& f, int64_t m, int64_t n, const int32_t* sums, int64_t pitch, std::byte* to, int64_t to_row);

// ---- The pieces that igemm_vnni.cpp has in its own way.

// C[i][j] = start[j] + sum over k of A and B, for m rows and whole vectors of columns.
struct Block {
  int64_t m = 0, n = 0;
  const int32_t* a = nullptr;
  int64_t a_row = 0, depth = 0;  // words
  const int32_t* b = nullptr;    // the first panel, others behind it
  const int32_t* start = nullptr;
  int32_t* c = nullptr;
  int64_t c_row = 0;
};
void multiply_quads(const Block& block);  // AVX-512 with VNNI; panels of 32 columns
inline constexpr int kQuadRows = 14;

}  // namespace megalith::igemm
