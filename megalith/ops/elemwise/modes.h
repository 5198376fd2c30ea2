// The functions behind Elemwise's modes. Floating types are computed in float, integers and Bool in int64 (stored with
// wrap-around), so one function per mode serves every element type.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "megalith/error.h"
#include "megalith/params.h"

namespace megalith::elemwise {

using Mode = param::ElemwiseMode;

inline float sigmoid(float x) { return 1.f / (1.f + std::exp(-x)); }
inline float softplus(float x) { return std::log1p(std::exp(-std::abs(x))) + (x > 0 ? x : 0.f); }
inline float h_swish(float x) { return x * std::fmin(std::fmax(x + 3.f, 0.f), 6.f) * (1.f / 6.f); }
inline float normal_cdf(float x) { return 0.5f * std::erfc(-x * 0.70710678118654752f); }
float erfinv(float x);
float erfcinv(float x);
int64_t floor_div(int64_t x, int64_t y);
// round(x * y / 2^(bits-1)), saturated: the high half of a fixed-point product.
int64_t rounding_mulh(int64_t x, int64_t y, int bits);

// Integers are computed in 64 bits and stored with wrap-around. Products of more than two factors may leave even those.
inline float mul(float x, float y) { return x * y; }
inline int64_t mul(int64_t x, int64_t y) {
  return static_cast<int64_t>(static_cast<uint64_t>(x) * static_cast<uint64_t>(y));
}
// A sum as MegEngine's int arithmetic holds it.
inline float wrap(float x) { return x; }
inline int64_t wrap(int64_t x) { return static_cast<int32_t>(x); }
// 0 where x <= 0, also for -0.
inline float positive(float x) {
#ifdef __wasm__  // LLVM 19 takes the comparison for f32x4.pmax, which leaves -0 as it is
  return __builtin_wasm_max_f32(x, 0.f);
#else
  return x <= 0 ? 0.f : x;
#endif
}
inline int64_t positive(int64_t x) { return x <= 0 ? 0 : x; }

// Calls fn(f) with the function of the mode: f(x), f(x, y), f(x, y, z) or f(x, y, z, w).
// False when the mode makes no sense for C (float or int64_t).
template <class C, class Fn>
bool with_mode(Mode m, Fn&& fn) {
#define MEGALITH_MODE1(M, e) \
  case Mode::M: fn([](C x) -> C { return static_cast<C>(e); }); return true;
#define MEGALITH_MODE2(M, e) \
  case Mode::M: fn([](C x, C y) -> C { return static_cast<C>(e); }); return true;
#define MEGALITH_MODE3(M, e) \
  case Mode::M: fn([](C x, C y, C z) -> C { return static_cast<C>(e); }); return true;
  switch (m) {
    MEGALITH_MODE1(RELU, positive(x))
    MEGALITH_MODE1(ABS, x > 0 ? x : -x)
    MEGALITH_MODE1(NEGATE, -x)
    MEGALITH_MODE1(SQUARE, x * x)
    MEGALITH_MODE1(SIGN, x > 0 ? 1 : x < 0 ? -1 : 0)
    MEGALITH_MODE1(RELU6, x <= 0 ? C{0} : x <= 6 ? x : C{6})
    MEGALITH_MODE2(ABS_GRAD, x > 0 ? y : -y)
    MEGALITH_MODE2(ADD, x + y)
    MEGALITH_MODE2(SUB, x - y)
    MEGALITH_MODE2(MUL, x * y)
    MEGALITH_MODE2(MAX, x > y ? x : y)
    MEGALITH_MODE2(MIN, x < y ? x : y)
    MEGALITH_MODE2(SWITCH_GT0, x > 0 ? y : C{0})
    MEGALITH_MODE2(LT, x < y)
    MEGALITH_MODE2(LEQ, x <= y)
    MEGALITH_MODE2(EQ, x == y)
    MEGALITH_MODE2(NEQ, x != y)
    MEGALITH_MODE2(FUSE_ADD_RELU, positive(wrap(x + y)))
    MEGALITH_MODE2(PRELU, x > 0 ? x : x * y)
    MEGALITH_MODE2(SIGMOID_GRAD, mul(mul(x, 1 - x), y))
    MEGALITH_MODE2(TANH_GRAD, mul(1 - mul(x, x), y))
    MEGALITH_MODE3(COND_LEQ_MOV, x <= y ? z : C{0})
    MEGALITH_MODE3(COND_LT_MOV, x < y ? z : C{0})
    MEGALITH_MODE3(FUSE_MUL_ADD3, x * y + z)
    MEGALITH_MODE3(CLIP, x <= y ? y : (x <= z ? x : z))
    case Mode::FUSE_MUL_ADD4:
      fn([](C x, C y, C z, C w) -> C { return static_cast<C>(wrap(x * y) + wrap(z * w)); });
      return true;
    default: break;
  }
  if constexpr (std::is_same_v<C, float>) {
    switch (m) {
      MEGALITH_MODE1(ACOS, std::acos(x))
      MEGALITH_MODE1(ASIN, std::asin(x))
      MEGALITH_MODE1(CEIL, std::ceil(x))
      MEGALITH_MODE1(COS, std::cos(x))
      MEGALITH_MODE1(EXP, std::exp(x))
      MEGALITH_MODE1(EXPM1, std::expm1(x))
      MEGALITH_MODE1(FLOOR, std::floor(x))
      MEGALITH_MODE1(LOG, std::log(x))
      MEGALITH_MODE1(LOG1P, std::log1p(x))
      MEGALITH_MODE1(SIGMOID, sigmoid(x))
      MEGALITH_MODE1(SIN, std::sin(x))
      MEGALITH_MODE1(TANH, std::tanh(x))
      MEGALITH_MODE1(FAST_TANH, x * (27.f + x * x) / (27.f + 9.f * x * x))
      MEGALITH_MODE1(ROUND, std::round(x))
      MEGALITH_MODE1(ERF, std::erf(x))
      MEGALITH_MODE1(ERFINV, erfinv(x))
      MEGALITH_MODE1(ERFC, std::erfc(x))
      MEGALITH_MODE1(ERFCINV, erfcinv(x))
      MEGALITH_MODE1(H_SWISH, h_swish(x))
      MEGALITH_MODE1(SILU, x / (1.f + std::exp(-x)))
      MEGALITH_MODE1(GELU, x * normal_cdf(x))
      MEGALITH_MODE1(ISNAN, std::isnan(x))
      MEGALITH_MODE1(ISINF, std::isinf(x))
      MEGALITH_MODE1(SINH, std::sinh(x))
      MEGALITH_MODE1(COSH, std::cosh(x))
      MEGALITH_MODE1(ASINH, std::asinh(x))
      MEGALITH_MODE1(ACOSH, std::acosh(x))
      MEGALITH_MODE1(ATANH, std::atanh(x))
      MEGALITH_MODE1(TAN, std::tan(x))
      MEGALITH_MODE1(SOFTPLUS, softplus(x))
      MEGALITH_MODE1(HSIGMOID, x <= -3 ? 0.f : x >= 3 ? 1.f : x / 6.f + 0.5f)
      MEGALITH_MODE1(LOGSIGMOID, -softplus(-x))
      MEGALITH_MODE1(SQRT, std::sqrt(x))
      MEGALITH_MODE2(FLOOR_DIV, std::floor(x / y))
      MEGALITH_MODE2(MOD, std::fmod(x, y))
      MEGALITH_MODE2(POW, std::pow(x, y))
      MEGALITH_MODE2(TRUE_DIV, x / y)
      MEGALITH_MODE2(LOG_SUM_EXP, (x > y ? x : y) + std::log1p(std::exp(-std::abs(x - y))))
      MEGALITH_MODE2(FUSE_ADD_SIGMOID, sigmoid(x + y))
      MEGALITH_MODE2(FUSE_ADD_TANH, std::tanh(x + y))
      MEGALITH_MODE2(FAST_TANH_GRAD, ((-48.f * x * x) / (3.f + x * x) + 27.f + x * x) / ((3.f + x * x) * 9.f) * y)
      MEGALITH_MODE2(ATAN2, std::atan2(x, y))
      MEGALITH_MODE2(H_SWISH_GRAD, x < -3.f ? 0.f : x > 3.f ? y : (2.f * x + 3.f) * y / 6.f)
      MEGALITH_MODE2(FUSE_ADD_H_SWISH, h_swish(x + y))
      MEGALITH_MODE2(SILU_GRAD, y * sigmoid(x) * (1.f + x * (1.f - sigmoid(x))))
      MEGALITH_MODE2(GELU_GRAD, y * (normal_cdf(x) + x * 0.3989422804014327f * std::exp(-0.5f * x * x)))
      MEGALITH_MODE2(ASINH_GRAD, y / std::sqrt(x * x + 1.f))
      MEGALITH_MODE2(ACOSH_GRAD, y / std::sqrt(x * x - 1.f))
      MEGALITH_MODE2(ATANH_GRAD, y / (1.f - x * x))
      MEGALITH_MODE2(SOFTPLUS_GRAD, y * sigmoid(x))
      MEGALITH_MODE2(RELU6_GRAD, x <= 0 || x >= 6 ? 0.f : y)
      MEGALITH_MODE3(PRELU_GRAD, x >= 0 ? y : y * z)
      MEGALITH_MODE2(HSIGMOID_GRAD, x <= -3 || x >= 3 ? 0.f : y / 6.f)
      default: return false;
    }
  } else {
    switch (m) {
      MEGALITH_MODE1(NOT, !x)
      MEGALITH_MODE1(ISNAN, 0)
      MEGALITH_MODE1(ISINF, 0)
      MEGALITH_MODE2(AND, x && y)
      MEGALITH_MODE2(OR, x || y)
      MEGALITH_MODE2(XOR, !x != !y)
      MEGALITH_MODE2(FLOOR_DIV, floor_div(x, y))
      MEGALITH_MODE2(MOD, y == 0 ? 0 : x - floor_div(x, y) * y)
      // As x86 shifts 32-bit integers: the distance counts modulo 32.
      MEGALITH_MODE2(SHL, static_cast<int64_t>(static_cast<uint64_t>(x) << (y & 31)))
      MEGALITH_MODE2(SHR, x >> (y & 31))
      default: return false;
    }
  }
#undef MEGALITH_MODE1
#undef MEGALITH_MODE2
#undef MEGALITH_MODE3
}

// The number of inputs of a mode.
inline int arity(Mode m) {
  if (m == Mode::RMULH) return 2;
  int n = 1;
  const auto count = [&](auto f) {
    using F = decltype(f);
    if constexpr (std::is_invocable_v<F, float, float>)
      n = 2;
    else if constexpr (std::is_invocable_v<F, float, float, float>)
      n = 3;
    else if constexpr (std::is_invocable_v<F, float, float, float, float>)
      n = 4;
  };
  if (!with_mode<float>(m, count)) with_mode<int64_t>(m, count);
  return n;
}

}  // namespace megalith::elemwise
