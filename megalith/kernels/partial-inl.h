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

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::HWY_NAMESPACE {

// Lanes from n on are 0. 0 <= n <= Lanes(d).
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> LoadFirst(D d, const float* p, int64_t n) {
  namespace hn = hwy::HWY_NAMESPACE;
#if !HWY_MEM_OPS_MIGHT_FAULT
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(n)), d, p);
#else
  alignas(64) float lanes[hn::MaxLanes(D())] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return hn::Load(d, lanes);
#endif
}

template <class D>
HWY_INLINE void StoreFirst(hwy::HWY_NAMESPACE::Vec<D> v, D d, float* p, int64_t n) {
  namespace hn = hwy::HWY_NAMESPACE;
#if !HWY_MEM_OPS_MIGHT_FAULT
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(n)), d, p);
#else
  alignas(64) float lanes[hn::MaxLanes(D())];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
#endif
}

}  // namespace megalith::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // MEGALITH_KERNELS_PARTIAL_INL_H_
