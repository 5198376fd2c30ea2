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

HWY_BEFORE_NAMESPACE();
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

// A number that is read for several products. To broadcast it into a register takes room in the units that multiply and
// add on Zen 4 (1.5 cycles for a product and its sum instead of 1), to do so as a part of the multiplication doesn't;
// but that reads once for every product, and Zen 5 multiplies as often as it can read. So some go this way and some
// that.
#if HWY_TARGET == HWY_AVX3 && (HWY_COMPILER_GCC || HWY_COMPILER_CLANG)
HWY_INLINE V MulBroadcast(const float& x, V w) {
  V product;
  asm("vmulps %2%{1to16%}, %1, %0" : "=v"(product.raw) : "v"(w.raw), "m"(x));
  return product;
}
constexpr bool kEmbedded = true;
#else
HWY_INLINE V MulBroadcast(const float& x, V w) { return hn::Mul(hn::Set(D(), x), w); }
constexpr bool kEmbedded = false;
#endif
// A value that is in a register from here on: GCC would read it again for every product.
HWY_INLINE V Once(V v) {
#if HWY_COMPILER_GCC_ACTUAL && (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3)
  asm("" : "+v"(v.raw));
#endif
  return v;
}
HWY_INLINE V ReadOnce(const float& x) { return Once(hn::Set(D(), x)); }
// Adds a product here and now. GCC expands a value that is used once where it is used, so that it would take several
// steps of one sum together and read ahead for all others, for which AVX2 has no registers (1.0 product and sum a cycle
// instead of 1.9 on Zen 3).
HWY_INLINE void AddProduct(V& sum, V x, V w) {
  sum = hn::Add(sum, hn::Mul(x, w));
#if HWY_TARGET == HWY_AVX2
  sum = Once(sum);
#endif
}
// Whether item i of some is broadcast by its products.
constexpr bool embedded(int i) { return kEmbedded && i % 4 != 3; }

}  // namespace megalith::local::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // MEGALITH_KERNELS_LOCAL_INL_H_
