#include "megalith/kernels/rows.h"

#include <cmath>
#include <utility>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/rows.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/math-inl.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::rows::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace fn = megalith::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::LoadFirst;
using megalith::HWY_NAMESPACE::StoreFirst;

using D = hn::CappedTag<float, kRepeat>;
using V = hn::Vec<D>;

template <class F, size_t... K>
HWY_INLINE V Call(const V* v, std::index_sequence<K...>) {
  return F::At(v[K]...);
}

template <class F, int kArity>
void Row(const float* const* in, const int64_t* step, float* out, int64_t n) {
  const D d;
  constexpr auto kArgs = std::make_index_sequence<kArity>();
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  const float* p[kArity];
  int64_t forward[kArity];
  MEGALITH_UNROLL for (int k = 0; k < kArity; ++k) {
    p[k] = in[k];
    forward[k] = step[k] * kLanes;
  }
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    V v[kArity];
    MEGALITH_UNROLL for (int k = 0; k < kArity; ++k) {
      v[k] = hn::LoadU(d, p[k]);
      p[k] += forward[k];
    }
    hn::StoreU(Call<F>(v, kArgs), d, out + i);
  }
  if (i == n) return;
  const int64_t left = n - i;
  V v[kArity];
  MEGALITH_UNROLL for (int k = 0; k < kArity; ++k) v[k] = step[k] ? LoadFirst(d, p[k], left) : hn::LoadU(d, p[k]);
  StoreFirst(Call<F>(v, kArgs), d, out + i, left);
}

HWY_INLINE V Number(float x) { return hn::Set(D(), x); }
HWY_INLINE V Zero() { return hn::Zero(D()); }
HWY_INLINE V Truth(hn::Mask<D> m) { return hn::IfThenElseZero(m, Number(1)); }
HWY_INLINE V Magnitude(V x) { return hn::IfThenElse(x > Zero(), x, hn::Neg(x)); }

// Highway's own get the sign of zeros wrong where they are made of integer arithmetic.
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
HWY_INLINE V Floor(V x) { return hn::CopySign(hn::Floor(x), x); }
HWY_INLINE V Ceil(V x) { return hn::CopySign(hn::Ceil(x), x); }
HWY_INLINE V Trunc(V x) { return hn::CopySign(hn::Trunc(x), x); }
#else
HWY_INLINE V Floor(V x) { return hn::Floor(x); }
HWY_INLINE V Ceil(V x) { return hn::Ceil(x); }
HWY_INLINE V Trunc(V x) { return hn::Trunc(x); }
#endif

// 0 where x <= 0, also for -0.
#if HWY_ARCH_WASM  // LLVM 19 takes the comparison for f32x4.pmax, which leaves -0 as it is
HWY_INLINE V Positive(V x) { return V{wasm_f32x4_max(x.raw, Zero().raw)}; }
#else
HWY_INLINE V Positive(V x) { return hn::IfThenZeroElse(x <= Zero(), x); }
#endif

// To the nearest integer, halves away from zero.
HWY_INLINE V AwayFromZero(V x) {
  const V whole = (Trunc)(x);
  const hn::Mask<D> away = hn::Abs(x - whole) >= Number(0.5f);
  return hn::IfThenElse(away, whole + hn::CopySign(Number(1), x), whole);
}

HWY_INLINE V HSwish(V x) {
  const V gate = x + Number(3);
  const V floor = hn::IfThenElse(gate > Zero(), gate, Zero());
  return x * hn::IfThenElse(floor < Number(6), floor, Number(6)) * Number(1.f / 6.f);
}

HWY_INLINE V FastTanhGrad(V x, V y) {
  const V xx = x * x, low = Number(3) + xx;
  return ((Number(-48) * x * x) / low + Number(27) + xx) / (low * Number(9)) * y;
}

HWY_INLINE V Exp(V x) { return fn::Exp(D(), x); }
HWY_INLINE V Sigmoid(V x) { return fn::Sigmoid(D(), x); }
HWY_INLINE V Log1p(V x) { return fn::Log1p(D(), x); }
HWY_INLINE V NormalCdf(V x) { return Number(0.5f) * fn::Erfc(D(), Number(-0.70710678118654752f) * x); }
HWY_INLINE V Softplus(V x) { return Log1p(Exp(hn::Neg(hn::Abs(x)))) + hn::IfThenElseZero(x > Zero(), x); }
HWY_INLINE V SiluGrad(V x, V y) {
  const V s = Sigmoid(x);
  return y * s * (Number(1) + x * (Number(1) - s));
}
HWY_INLINE V GeluGrad(V x, V y) {
  return y * (NormalCdf(x) + x * Number(0.3989422804014327f) * Exp(Number(-0.5f) * x * x));
}

Fn Find(param::ElemwiseMode mode) {
  using Mode = param::ElemwiseMode;
#define MEGALITH_ROW1(M, e)                          \
  case Mode::M: {                                    \
    if constexpr (left_out(Mode::M)) return nullptr; \
    struct F {                                       \
      static HWY_INLINE V At(V x) { return e; }      \
    };                                               \
    return &Row<F, 1>;                               \
  }
#define MEGALITH_ROW2(M, e)                          \
  case Mode::M: {                                    \
    if constexpr (left_out(Mode::M)) return nullptr; \
    struct F {                                       \
      static HWY_INLINE V At(V x, V y) { return e; } \
    };                                               \
    return &Row<F, 2>;                               \
  }
#define MEGALITH_ROW3(M, e)                               \
  case Mode::M: {                                         \
    if constexpr (left_out(Mode::M)) return nullptr;      \
    struct F {                                            \
      static HWY_INLINE V At(V x, V y, V z) { return e; } \
    };                                                    \
    return &Row<F, 3>;                                    \
  }
#define MEGALITH_ROW4(M, e)                                    \
  case Mode::M: {                                              \
    if constexpr (left_out(Mode::M)) return nullptr;           \
    struct F {                                                 \
      static HWY_INLINE V At(V x, V y, V z, V w) { return e; } \
    };                                                         \
    return &Row<F, 4>;                                         \
  }
  switch (mode) {
    MEGALITH_ROW1(RELU, Positive(x))
    MEGALITH_ROW1(ABS, Magnitude(x))
    MEGALITH_ROW1(NEGATE, hn::Neg(x))
    MEGALITH_ROW1(SQUARE, x * x)
    MEGALITH_ROW1(SQRT, hn::Sqrt(x))
    MEGALITH_ROW1(SIGN, hn::IfThenElse(x > Zero(), Number(1), hn::IfThenElseZero(x < Zero(), Number(-1))))
    MEGALITH_ROW1(RELU6, hn::IfThenZeroElse(x <= Zero(), hn::IfThenElse(x <= Number(6), x, Number(6))))
    MEGALITH_ROW1(CEIL, (Ceil)(x))
    MEGALITH_ROW1(FLOOR, (Floor)(x))
    MEGALITH_ROW1(ROUND, AwayFromZero(x))
    MEGALITH_ROW1(H_SWISH, HSwish(x))
    MEGALITH_ROW1(HSIGMOID, hn::IfThenZeroElse(x <= Number(-3),
                                               hn::IfThenElse(x >= Number(3), Number(1), x / Number(6) + Number(0.5f))))
    MEGALITH_ROW1(FAST_TANH, x * (Number(27) + x * x) / (Number(27) + Number(9) * x * x))
    MEGALITH_ROW1(ISNAN, Truth(hn::IsNaN(x)))
    MEGALITH_ROW1(ISINF, Truth(hn::IsInf(x)))
    MEGALITH_ROW1(EXP, Exp(x))
    MEGALITH_ROW1(EXPM1, fn::Expm1(D(), x))
    MEGALITH_ROW1(LOG, fn::Log(D(), x))
    MEGALITH_ROW1(LOG1P, Log1p(x))
    MEGALITH_ROW1(SIGMOID, Sigmoid(x))
    MEGALITH_ROW1(TANH, fn::Tanh(D(), x))
    MEGALITH_ROW1(ERF, fn::Erf(D(), x))
    MEGALITH_ROW1(ERFC, fn::Erfc(D(), x))
    MEGALITH_ROW1(SILU, x * Sigmoid(x))
    MEGALITH_ROW1(GELU, x * NormalCdf(x))
    MEGALITH_ROW1(SOFTPLUS, Softplus(x))
    MEGALITH_ROW1(LOGSIGMOID, hn::Neg(Softplus(hn::Neg(x))))
    MEGALITH_ROW2(FUSE_ADD_SIGMOID, Sigmoid(x + y))
    MEGALITH_ROW2(FUSE_ADD_TANH, fn::Tanh(D(), x + y))
    MEGALITH_ROW2(SILU_GRAD, SiluGrad(x, y))
    MEGALITH_ROW2(GELU_GRAD, GeluGrad(x, y))
    MEGALITH_ROW2(SOFTPLUS_GRAD, y * Sigmoid(x))
    MEGALITH_ROW2(LOG_SUM_EXP, hn::IfThenElse(x > y, x, y) + Log1p(Exp(hn::Neg(hn::Abs(x - y)))))
    MEGALITH_ROW2(ADD, x + y)
    MEGALITH_ROW2(SUB, x - y)
    MEGALITH_ROW2(MUL, x * y)
    MEGALITH_ROW2(TRUE_DIV, x / y)
    MEGALITH_ROW2(FLOOR_DIV, (Floor)(x / y))
    MEGALITH_ROW2(MAX, hn::IfThenElse(x > y, x, y))
    MEGALITH_ROW2(MIN, hn::IfThenElse(x < y, x, y))
    MEGALITH_ROW2(LT, Truth(x < y))
    MEGALITH_ROW2(LEQ, Truth(x <= y))
    MEGALITH_ROW2(EQ, Truth(x == y))
    MEGALITH_ROW2(NEQ, Truth(hn::Not(x == y)))
    MEGALITH_ROW2(ABS_GRAD, hn::IfThenElse(x > Zero(), y, hn::Neg(y)))
    MEGALITH_ROW2(SWITCH_GT0, hn::IfThenElseZero(x > Zero(), y))
    MEGALITH_ROW2(PRELU, hn::IfThenElse(x > Zero(), x, x * y))
    MEGALITH_ROW2(SIGMOID_GRAD, x * (Number(1) - x) * y)
    MEGALITH_ROW2(TANH_GRAD, (Number(1) - x * x) * y)
    MEGALITH_ROW2(FAST_TANH_GRAD, FastTanhGrad(x, y))
    MEGALITH_ROW2(FUSE_ADD_RELU, Positive(x + y))
    MEGALITH_ROW2(FUSE_ADD_H_SWISH, HSwish(x + y))
    MEGALITH_ROW2(H_SWISH_GRAD,
                  hn::IfThenZeroElse(x < Number(-3),
                                     hn::IfThenElse(x > Number(3), y, (Number(2) * x + Number(3)) * y / Number(6))))
    MEGALITH_ROW2(HSIGMOID_GRAD, hn::IfThenZeroElse(hn::Or(x <= Number(-3), x >= Number(3)), y / Number(6)))
    MEGALITH_ROW2(RELU6_GRAD, hn::IfThenZeroElse(hn::Or(x <= Zero(), x >= Number(6)), y))
    MEGALITH_ROW2(ASINH_GRAD, y / hn::Sqrt(x * x + Number(1)))
    MEGALITH_ROW2(ACOSH_GRAD, y / hn::Sqrt(x * x - Number(1)))
    MEGALITH_ROW2(ATANH_GRAD, y / (Number(1) - x * x))
    MEGALITH_ROW3(COND_LEQ_MOV, hn::IfThenElseZero(x <= y, z))
    MEGALITH_ROW3(COND_LT_MOV, hn::IfThenElseZero(x < y, z))
    MEGALITH_ROW3(FUSE_MUL_ADD3, x * y + z)
    MEGALITH_ROW3(CLIP, hn::IfThenElse(x <= y, y, hn::IfThenElse(x <= z, x, z)))
    MEGALITH_ROW3(PRELU_GRAD, hn::IfThenElse(x >= Zero(), y, y * z))
    MEGALITH_ROW4(FUSE_MUL_ADD4, x * y + z * w)
    default: return nullptr;
  }
#undef MEGALITH_ROW1
#undef MEGALITH_ROW2
#undef MEGALITH_ROW3
#undef MEGALITH_ROW4
}

struct NormalizeOp {
  static HWY_INLINE V At(V x, V mean, V scale, V inv, V bias) { return scale * (x - mean) * inv + bias; }
};
struct NormalizeRowsOp {
  static HWY_INLINE V At(V x, V mean, V inv, V weight, V bias) { return (x - mean) * inv * weight + bias; }
};
struct NormalizeBackOp {
  static HWY_INLINE V At(V x, V g, V mean, V inv, V a, V b, V c) { return a * (g - b - (x - mean) * inv * c); }
};
struct ExpMinusOp {
  static HWY_INLINE V At(V x, V y) { return Exp(x - y); }
};
struct TimesMinusOp {
  static HWY_INLINE V At(V x, V y, V z) { return x * (y - z); }
};
HWY_INLINE V Clip(V q, V low, V high) {
  q = hn::IfThenElse(q <= low, low, q);
  return hn::IfThenElse(q >= high, high, q);
}
struct FakeQuantizeOp {
  static HWY_INLINE V At(V x, V scale, V zero, V low, V high) {
    return (Clip(AwayFromZero(x / scale) + zero, low, high) - zero) * scale;
  }
};
struct QuantizeStepsOp {
  static HWY_INLINE V At(V x, V step, V low, V high) { return Clip(AwayFromZero(x / step), low, high) * step; }
};
struct FakeQuantizeBackOp {
  static HWY_INLINE V At(V x, V scale, V zero, V low, V high, V diff) {
    const V q = AwayFromZero(x / scale) + zero;
    return hn::IfThenElseZero(hn::And(q >= low, q <= high), diff);
  }
};
struct BilinearOp {
  static HWY_INLINE V At(V a0, V a1, V b0, V b1, V x0, V x1, V y0, V y1) {
    return Zero() + a0 * x0 * y0 + a1 * x1 * y0 + b0 * x0 * y1 + b1 * x1 * y1;
  }
};
#define MEGALITH_NAMED_ROW(name, arity)                                           \
  void name(const float* const* in, const int64_t* step, float* out, int64_t n) { \
    Row<name##Op, arity>(in, step, out, n);                                       \
  }
MEGALITH_NAMED_ROW(Normalize, 5)
MEGALITH_NAMED_ROW(NormalizeRows, 5)
MEGALITH_NAMED_ROW(NormalizeBack, 7)
MEGALITH_NAMED_ROW(ExpMinus, 2)
MEGALITH_NAMED_ROW(TimesMinus, 3)
MEGALITH_NAMED_ROW(FakeQuantize, 5)
MEGALITH_NAMED_ROW(FakeQuantizeBack, 6)
MEGALITH_NAMED_ROW(QuantizeSteps, 4)
MEGALITH_NAMED_ROW(Bilinear, 8)
#undef MEGALITH_NAMED_ROW

}  // namespace megalith::rows::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::rows {

Fn find(param::ElemwiseMode mode) { return MEGALITH_DISPATCH(Find)(mode); }
Fn normalize() { return MEGALITH_DISPATCH(Normalize); }
Fn normalize_rows() { return MEGALITH_DISPATCH(NormalizeRows); }
Fn normalize_back() { return MEGALITH_DISPATCH(NormalizeBack); }
Fn exp_minus() { return MEGALITH_DISPATCH(ExpMinus); }
Fn fake_quantize() { return MEGALITH_DISPATCH(FakeQuantize); }
Fn fake_quantize_back() { return MEGALITH_DISPATCH(FakeQuantizeBack); }
Fn quantize_steps() { return MEGALITH_DISPATCH(QuantizeSteps); }
Fn bilinear() { return MEGALITH_DISPATCH(Bilinear); }
Fn times_minus() { return MEGALITH_DISPATCH(TimesMinus); }

}  // namespace megalith::rows
#endif
