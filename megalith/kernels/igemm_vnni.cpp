// Products of bytes with the dot products of AVX-512 (VNNI). In a file of its own: of the targets that Highway's
// foreach_target.h compiles for, none is what processors with these instructions have in common.
#include "megalith/kernels/igemm.h"

#if MEGALITH_QUADS
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <utility>

#include "megalith/kernels/simd.h"

#define MEGALITH_TILE __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512vnni")))

namespace megalith::igemm {
namespace {

struct Quads {
  using V = __m512i;
  static constexpr int64_t kLanes = 16;
  static constexpr int kPanelVectors = 2, kAccumulators = 2 * kQuadRows;

  static MEGALITH_TILE V load(const int32_t* p) { return _mm512_loadu_si512(p); }
  static MEGALITH_TILE V repeat(int32_t word) { return _mm512_set1_epi32(word); }
  static MEGALITH_TILE void store(V v, int32_t* p) { _mm512_storeu_si512(p, v); }
  static MEGALITH_TILE V add(V sum, V a, V b) { return _mm512_dpbusd_epi32(sum, a, b); }
  static constexpr bool kTwoSums = false;
};

#include "megalith/kernels/igemm-tiles.h"

}  // namespace

void multiply_quads(const Block& block) { Tiles<Quads>(block); }

}  // namespace megalith::igemm
#endif
