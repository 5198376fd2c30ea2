// Floats to the integers of quantized types, for kernel files (kernels/simd.h).

// One guard for each target that this is compiled for.
#if defined(MEGALITH_KERNELS_ROUND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEGALITH_KERNELS_ROUND_INL_H_
#undef MEGALITH_KERNELS_ROUND_INL_H_
#else
#define MEGALITH_KERNELS_ROUND_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::HWY_NAMESPACE {

// round(v) within [low, high], halves away from zero; NaN gives `low`. The bounds are whole and less than 2^22 from 0:
// there v and the number before 0.5 never add up to a whole number that v is not next to.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<hwy::HWY_NAMESPACE::RebindToSigned<D>> RoundWithin(D d, hwy::HWY_NAMESPACE::Vec<D> v,
                                                                                      hwy::HWY_NAMESPACE::Vec<D> low,
                                                                                      hwy::HWY_NAMESPACE::Vec<D> high) {
  namespace hn = hwy::HWY_NAMESPACE;
  const auto above = hn::IfThenElse(hn::Ge(v, low), v, low);
  const auto within = hn::IfThenElse(hn::Gt(above, high), high, above);
  return hn::ConvertTo(hn::RebindToSigned<D>(), hn::Add(within, hn::CopySign(hn::Set(d, 0x1.fffffep-2f), within)));
}

}  // namespace megalith::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // MEGALITH_KERNELS_ROUND_INL_H_
