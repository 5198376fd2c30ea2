// The first lanes of a vector of floats, from and to memory of which no other byte is touched. For kernel files
// (kernels/simd.h). Highway's MaskedLoad and BlendedStore promise that only where !HWY_MEM_OPS_MIGHT_FAULT: elsewhere
// they read and write whole vectors, past the end of a buffer and over what another thread just wrote.

// One guard for each target that this is compiled for.
#if defined(MEGALITH_KERNELS_PARTIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEGALITH_KERNELS_PARTIAL_INL_H_
#undef MEGALITH_KERNELS_PARTIAL_INL_H_
#else
#define MEGALITH_KERNELS_PARTIAL_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::HWY_NAMESPACE {

#if HWY_TARGET == HWY_WASM  // a small module
#define MEGALITH_PARTIAL HWY_NOINLINE
#else
#define MEGALITH_PARTIAL HWY_INLINE
#endif

// Lanes from n on are 0. 0 <= n <= Lanes(d).
template <class D>
MEGALITH_PARTIAL hwy::HWY_NAMESPACE::Vec<D> LoadFirst(D d, const float* p, int64_t n) {
  namespace hn = hwy::HWY_NAMESPACE;
#if !HWY_MEM_OPS_MIGHT_FAULT
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(n)), d, p);
#elif HWY_TARGET == HWY_WASM
  switch (n) {
    case 0: return hn::Zero(d);
    case 1: return {wasm_v128_load32_zero(p)};
    case 2: return {wasm_v128_load64_zero(p)};
    case 3: return {wasm_v128_load32_lane(p + 2, wasm_v128_load64_zero(p), 2)};
    default: return hn::LoadU(d, p);
  }
#elif HWY_TARGET == HWY_AVX2
  // vmaskmovps is not promised to spare what it masks on every processor.
  const auto quarter = [](const float* q, int64_t m) HWY_ATTR {  // m < 4
    if (m == 0) return _mm_setzero_ps();
    if (m == 1) return _mm_load_ss(q);
    double both;  // _mm_load_sd() wants it aligned
    std::memcpy(&both, q, sizeof both);
    const __m128 two = _mm_castpd_ps(_mm_set_sd(both));
    return m == 2 ? two : _mm_movelh_ps(two, _mm_load_ss(q + 2));
  };
  if constexpr (hn::MaxLanes(D()) == 8) {
    if (n == 8) return hn::LoadU(d, p);
    if (n < 4) return hn::Vec<D>{_mm256_zextps128_ps256(quarter(p, n))};
    return hn::Vec<D>{_mm256_set_m128(quarter(p + 4, n - 4), _mm_loadu_ps(p))};
  } else {
    static_assert(hn::MaxLanes(D()) == 4);
    return n == 4 ? hn::LoadU(d, p) : hn::Vec<D>{quarter(p, n)};
  }
#else
  alignas(64) float lanes[hn::MaxLanes(D())] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return hn::Load(d, lanes);
#endif
}

template <class D>
MEGALITH_PARTIAL void StoreFirst(hwy::HWY_NAMESPACE::Vec<D> v, D d, float* p, int64_t n) {
  namespace hn = hwy::HWY_NAMESPACE;
#if !HWY_MEM_OPS_MIGHT_FAULT
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(n)), d, p);
#elif HWY_TARGET == HWY_WASM
  if (n == 4) return hn::StoreU(v, d, p);
  if (n >= 2) wasm_v128_store64_lane(p, v.raw, 0);
  if (n == 1) wasm_v128_store32_lane(p, v.raw, 0);
  if (n == 3) wasm_v128_store32_lane(p + 2, v.raw, 2);
#elif HWY_TARGET == HWY_AVX2
  __m128 left;
  if constexpr (hn::MaxLanes(D()) == 8) {
    if (n == 8) return hn::StoreU(v, d, p);
    left = _mm256_castps256_ps128(v.raw);
    if (n >= 4) {
      _mm_storeu_ps(p, left);
      left = _mm256_extractf128_ps(v.raw, 1);
      p += 4, n -= 4;
    }
  } else {
    static_assert(hn::MaxLanes(D()) == 4);
    if (n == 4) return hn::StoreU(v, d, p);
    left = v.raw;
  }
  if (n >= 2) {
    const double both = _mm_cvtsd_f64(_mm_castps_pd(left));
    std::memcpy(p, &both, sizeof both);
    left = _mm_movehl_ps(left, left);
    p += 2, n -= 2;
  }
  if (n == 1) _mm_store_ss(p, left);
#else
  alignas(64) float lanes[hn::MaxLanes(D())];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
#endif
}

#undef MEGALITH_PARTIAL
}  // namespace megalith::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // MEGALITH_KERNELS_PARTIAL_INL_H_
