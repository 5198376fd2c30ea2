#include "megalith/kernels/math.h"

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/math.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/math-inl.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::math::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace fn = megalith::HWY_NAMESPACE;

template <class Fn>
HWY_INLINE void Each(const float* from, float* to, int64_t n, Fn&& fn) {
  const hn::CappedTag<float, 16> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(fn(d, hn::LoadU(d, from + i)), d, to + i);
  if (i == n) return;
  fn::StoreFirst(fn(d, fn::LoadFirst(d, from + i, n - i)), d, to + i, n - i);
}

#define MEGALITH_ARRAY(F)                                                   \
  void F##Array(const float* from, float* to, int64_t n) {                  \
    Each(from, to, n, [](auto d, auto x) HWY_ATTR { return fn::F(d, x); }); \
  }
MEGALITH_ARRAY(Exp)
MEGALITH_ARRAY(Log)
MEGALITH_ARRAY(Tanh)
MEGALITH_ARRAY(Sigmoid)
MEGALITH_ARRAY(Erf)
#undef MEGALITH_ARRAY

}  // namespace megalith::math::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::math {

void exp(const float* from, float* to, int64_t n) { MEGALITH_DISPATCH(ExpArray)(from, to, n); }
void log(const float* from, float* to, int64_t n) { MEGALITH_DISPATCH(LogArray)(from, to, n); }
void tanh(const float* from, float* to, int64_t n) { MEGALITH_DISPATCH(TanhArray)(from, to, n); }
void sigmoid(const float* from, float* to, int64_t n) { MEGALITH_DISPATCH(SigmoidArray)(from, to, n); }
void erf(const float* from, float* to, int64_t n) { MEGALITH_DISPATCH(ErfArray)(from, to, n); }

}  // namespace megalith::math
#endif
