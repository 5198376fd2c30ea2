// What the epilogues of products and convolutions (gemm::Epilogue) do to finished sums. For kernel files
// (kernels/simd.h).

// One guard for each target that this is compiled for.
#if defined(MEGALITH_KERNELS_EPILOGUE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEGALITH_KERNELS_EPILOGUE_INL_H_
#undef MEGALITH_KERNELS_EPILOGUE_INL_H_
#else
#define MEGALITH_KERNELS_EPILOGUE_INL_H_
#endif

#include "hwy/highway.h"
#include "megalith/kernels/gemm.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::HWY_NAMESPACE {

template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> Activate(D d, const gemm::Epilogue& e, hwy::HWY_NAMESPACE::Vec<D> v) {
  namespace hn = hwy::HWY_NAMESPACE;
  switch (e.act) {
    case gemm::Activation::kNone: return v;
    case gemm::Activation::kRelu: return hn::Max(v, hn::Zero(d));
    case gemm::Activation::kClamp: {
      const auto low = hn::Set(d, e.low), high = hn::Set(d, e.high);
      return hn::IfThenElse(hn::Le(v, low), low, hn::IfThenElse(hn::Le(v, high), v, high));
    }
    case gemm::Activation::kHSwish: {
      const auto gate = hn::Min(hn::Max(hn::Add(v, hn::Set(d, 3.f)), hn::Zero(d)), hn::Set(d, 6.f));
      return hn::Div(hn::Mul(v, gate), hn::Set(d, 6.f));
    }
  }
  return v;
}

}  // namespace megalith::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // MEGALITH_KERNELS_EPILOGUE_INL_H_
