// What the kernels of local convolutions have in common, for each target. For kernel files (kernels/simd.h).
#if defined(MEGALITH_KERNELS_LOCAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEGALITH_KERNELS_LOCAL_INL_H_
#undef MEGALITH_KERNELS_LOCAL_INL_H_
#else
#define MEGALITH_KERNELS_LOCAL_INL_H_
#endif

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "megalith/kernels/partial-inl.h"

// No function, so nothing for HWY_BEFORE_NAMESPACE to apply to: clang would warn.
namespace megalith::local::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using megalith::HWY_NAMESPACE::LoadFirst;
using megalith::HWY_NAMESPACE::StoreFirst;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// Sums that there are registers for, and whether those of a target are many.
#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr bool kManyRegisters = true;
constexpr int kAccumulators = 24;
#elif HWY_TARGET == HWY_WASM
constexpr bool kManyRegisters = false;
constexpr int kAccumulators = 4;  // a small module
#else
constexpr bool kManyRegisters = false;
constexpr int kAccumulators = 12;
#endif

}  // namespace megalith::local::HWY_NAMESPACE

#endif  // MEGALITH_KERNELS_LOCAL_INL_H_
