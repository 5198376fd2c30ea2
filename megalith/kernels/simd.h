// How a SIMD kernel is written once and chosen at run time.
//
// A kernel file `megalith/kernels/<name>.cpp` includes itself once for each instruction set through Highway's
// foreach_target.h, and offers plain functions in `<name>.h`:
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "megalith/kernels/<name>.cpp"
//   #include "hwy/foreach_target.h"  // IWYU pragma: keep
//   #include "hwy/highway.h"
//   HWY_BEFORE_NAMESPACE();
//   namespace megalith::HWY_NAMESPACE { void Scale(...) {...} }
//   HWY_AFTER_NAMESPACE();
//   #if HWY_ONCE
//   namespace megalith { void scale(...) { return MEGALITH_DISPATCH(Scale)(...); } }
//   #endif
//
// Highway is used for its headers alone: the choice is ours, so that no library has to be linked on any platform. On
// x86 there are AVX2 and AVX-512 (F, BW, CD, DQ, VL) beside the baseline; elsewhere the baseline is all there is.
// AVX-512 with VNNI has a file of its own for products of bytes (kernels/igemm_vnni.cpp).
#pragma once

#include <string>

namespace megalith {

enum class Isa { kBaseline, kAvx2, kAvx512, kAvx512Vnni };

// The best that this processor has; MEGALITH_ISA=baseline|avx2|avx512|avx512vnni lowers it.
Isa isa();
std::string isa_name();  // "avx512vnni", "avx512", "avx2", "neon", "wasm", "baseline"

// Builds for the web are to be small: ways that help few models, beside one that is fast enough, are left out there.
#ifdef __EMSCRIPTEN__
inline constexpr bool kSmall = true;
#else
inline constexpr bool kSmall = false;
#endif

}  // namespace megalith

// Before a loop over an array of vectors: unrolled, they stay in registers.
#define MEGALITH_UNROLL _Pragma("GCC unroll 16")

#define MEGALITH_PICK(baseline, avx2, avx512)               \
  (::megalith::isa() >= ::megalith::Isa::kAvx512 ? (avx512) \
   : ::megalith::isa() == ::megalith::Isa::kAvx2 ? (avx2)   \
                                                 : (baseline))
// The function of the chosen instruction set; for use where HWY_ONCE holds, in namespace megalith.
#if defined(__x86_64__) && !defined(__AVX2__)
#define MEGALITH_DISPATCH(f) MEGALITH_PICK(&HWY_STATIC_DISPATCH(f), &N_AVX2::f, &N_AVX3::f)
#else
#define MEGALITH_DISPATCH(f) (&HWY_STATIC_DISPATCH(f))
#endif
