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
#include "megalith/kernels/simd.h"

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

// All sums of a tile: the activation is asked for once, and its constants are read once.
template <class D, class V, int kRows, int kVectors>
HWY_INLINE void ActivateAll(D d, const gemm::Epilogue& e, V (&v)[kRows][kVectors]) {
  namespace hn = hwy::HWY_NAMESPACE;
  const auto each = [&](auto&& fn) HWY_ATTR {
    MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
      MEGALITH_UNROLL for (int j = 0; j < kVectors; ++j) v[i][j] = fn(v[i][j]);
    }
  };
  switch (e.act) {
    case gemm::Activation::kNone: return;
    case gemm::Activation::kRelu: {
      const auto zero = hn::Zero(d);
      return each([&](V x) HWY_ATTR { return hn::Max(x, zero); });
    }
    case gemm::Activation::kClamp: {
      const auto low = hn::Set(d, e.low), high = hn::Set(d, e.high);
      return each(
          [&](V x) HWY_ATTR { return hn::IfThenElse(hn::Le(x, low), low, hn::IfThenElse(hn::Le(x, high), x, high)); });
    }
    case gemm::Activation::kHSwish: return each([&](V x) HWY_ATTR { return Activate(d, e, x); });
  }
}

}  // namespace megalith::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // MEGALITH_KERNELS_EPILOGUE_INL_H_
