// Elementary functions of vectors of floats: Exp, Log, Tanh, Sigmoid and Erf, within 2 units in the last place of the
// true value for every input, denormal results and infinities included; NaN gives NaN. Expm1, Log1p and Erfc are within
// 1e-6 of it (without fused multiply-adds Erfc is within 1e-5 below 1e-6). A lane's result depends on that lane alone.
// For kernel files (kernels/simd.h); math.h has them for arrays.
//
// Coefficients are minimax fits of the relative error, rounded to float.

// One guard for each target that this is compiled for.
#if defined(MEGALITH_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEGALITH_KERNELS_MATH_INL_H_
#undef MEGALITH_KERNELS_MATH_INL_H_
#else
#define MEGALITH_KERNELS_MATH_INL_H_
#endif

#include <limits>

#include "hwy/highway.h"
#include "megalith/kernels/simd.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::HWY_NAMESPACE {
namespace math {
namespace hn = hwy::HWY_NAMESPACE;

// c[0] + c[1] x + c[2] x^2 + ..., highest first.
template <class D, class V, size_t kCount>
HWY_INLINE V Polynomial(D d, V x, const float (&c)[kCount]) {
  V sum = hn::Set(d, c[kCount - 1]);
  for (size_t i = kCount - 1; i-- > 0;) sum = hn::MulAdd(sum, x, hn::Set(d, c[i]));
  return sum;
}

template <class D, class V>
HWY_INLINE V MinusAbs(D d, V x) {
  return hn::Or(x, hn::SignBit(d));
}

// x, but at least `low`; NaN stays, which Max does not promise: compilers swap its operands.
template <class D, class V>
HWY_INLINE V AtLeast(D d, V x, float low) {
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, low)), hn::Set(d, low), x);
}

// x, or `most` with its sign where it is further from 0. (Clang 19 gets Abs of a CopySign wrong on AVX-512.)
template <class D, class V>
HWY_INLINE V LimitAbs(D d, V x, float most) {
  const V above = hn::IfThenElse(hn::Gt(x, hn::Set(d, most)), hn::Set(d, most), x);
  return AtLeast(d, above, -most);
}

// e^x = 2^n (1 + q) with |q| < 0.42, of kCount vectors in step: what one waits for, others fill. q keeps its relative
// accuracy near 0. For |x| <= 120.
template <class D, class V, int kCount = 1>
struct Power {
  V n[kCount], q[kCount];
  V shifted[kCount];  // has n in its low bits

  HWY_INLINE Power(D d, const V (&x)[kCount]) {
    // Adding 1.5 * 2^23 rounds to an integer.
    const V big = hn::Set(d, 12582912.f);
    V r[kCount];
    const auto each = [](auto&& fn) HWY_ATTR { MEGALITH_UNROLL for (int i = 0; i < kCount; ++i) fn(i); };
    each([&](int i) HWY_ATTR { shifted[i] = hn::MulAdd(x[i], hn::Set(d, 1.44269504f), big); });
    each([&](int i) HWY_ATTR { n[i] = hn::Sub(shifted[i], big); });
    // ln 2 in two parts, the first so short that its multiples are exact.
    each([&](int i) HWY_ATTR { r[i] = hn::NegMulAdd(n[i], hn::Set(d, 0.693359375f), x[i]); });
    each([&](int i) HWY_ATTR { r[i] = hn::NegMulAdd(n[i], hn::Set(d, -2.12194440e-4f), r[i]); });
    static constexpr float kC[] = {0.49999997f, 0.166665435f, 0.0416672006f, 0.00836651493f, 0.00138825225f};
    each([&](int i) HWY_ATTR { q[i] = hn::MulAdd(r[i], hn::Set(d, kC[4]), hn::Set(d, kC[3])); });
    MEGALITH_UNROLL for (int c = 2; c >= 0; --c) {
      each([&](int i) HWY_ATTR { q[i] = hn::MulAdd(q[i], r[i], hn::Set(d, kC[c])); });
    }
    each([&](int i) HWY_ATTR { q[i] = hn::MulAdd(hn::Mul(r[i], r[i]), q[i], r[i]); });
  }

  // 2^n, for -126 <= n <= 127.
  HWY_INLINE V Scale(D d, int i = 0) const {
    const hn::RebindToSigned<D> di;
    return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::BitCast(di, shifted[i]), hn::Set(di, 127))));
  }

  HWY_INLINE V Value(D d, int i = 0) const {
    const V m = hn::Add(hn::Set(d, 1.f), q[i]);
#if HWY_TARGET == HWY_AVX3
    if constexpr (sizeof(m.raw) == 64) return V{_mm512_scalef_ps(m.raw, n[i].raw)};
#endif
    // In two steps, since 2^n alone may be too small or too large for a float.
    const hn::RebindToSigned<D> di;
    const auto whole = hn::Sub(hn::BitCast(di, shifted[i]), hn::Set(di, 0x4B400000)), half = hn::ShiftRight<1>(whole);
    const auto power = [&](auto k) HWY_ATTR { return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(k, hn::Set(di, 127)))); };
    return hn::Mul(hn::Mul(m, power(half)), power(hn::Sub(whole, half)));
  }
};
}  // namespace math

template <class D, class V>
HWY_INLINE V Exp(D d, V x) {
  return math::Power<D, V>(d, {math::LimitAbs(d, x, 120.f)}).Value(d);
}

namespace math {
// n / d for normal d. Where the processor estimates inverses to 14 bits, its remainder corrects a quotient of them:
// divisions of whole AVX-512 vectors keep a pipe busy for longer.
template <class D, class V>
HWY_INLINE V Quotient(D, V n, V d) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(n.raw) == 64) {
    const V inverse{_mm512_rcp14_ps(d.raw)}, q = hn::Mul(n, inverse);
    return hn::MulAdd(hn::NegMulAdd(q, d, n), inverse, q);
  }
#endif
  return hn::Div(n, d);
}

// n / (n + 2) for n >= 0, without what rounding n + 2 loses: the remainder is of the sum's parts. That takes fused
// multiply-adds.
template <class D, class V>
HWY_INLINE V Saturate(D d, V n) {
  const V two = hn::Set(d, 2.f), sum = hn::Add(n, two);
  V inverse;
#if HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(n.raw) == 64)
    inverse.raw = _mm512_rcp14_ps(sum.raw);
  else
#endif
    inverse = hn::Div(hn::Set(d, 1.f), sum);
  const V q = hn::Mul(n, inverse);
  return hn::MulAdd(hn::NegMulAdd(q, n, hn::NegMulAdd(q, two, n)), inverse, q);
}
}  // namespace math

// The first kSigmoids of the vectors go through the sigmoid function, the others through tanh, all in step. With
// e = e^-|x|: 1 - e / (1 + e), and e - e e / (1 + e) below 0. Tanh with n = e^2|x| - 1: n / (n + 2); or, where
// multiply-adds are not fused, with e = e^-2|x|: 1 - 2 e / (1 + e), and near 0 x (1 + a polynomial of x^2).
template <int kSigmoids, int kTanhs, class D, class V>
HWY_INLINE void SigmoidsAndTanhs(D d, V (&x)[kSigmoids + kTanhs]) {
  namespace hn = hwy::HWY_NAMESPACE;
  constexpr int kCount = kSigmoids + kTanhs;
  const V one = hn::Set(d, 1.f);
  V to[kCount];
  MEGALITH_UNROLL for (int i = 0; i < kCount; ++i) {
    if (i >= kSigmoids && HWY_NATIVE_FMA) {
      const V a = hn::Abs(x[i]), most = hn::Set(d, 20.f);
      to[i] = hn::IfThenElse(hn::Gt(a, most), most, a);
      to[i] = hn::Add(to[i], to[i]);
      continue;
    }
    to[i] = math::MinusAbs(d, x[i]);
    if (i >= kSigmoids) to[i] = hn::Add(to[i], to[i]);
    to[i] = math::AtLeast(d, to[i], i < kSigmoids ? -120.f : -40.f);
  }
  const math::Power<D, V, kCount> power(d, to);
  MEGALITH_UNROLL for (int i = 0; i < kCount; ++i) {
    if (i < kSigmoids) {
      const V e = power.Value(d, i);
      const V from = hn::IfThenElse(hn::Lt(x[i], hn::Zero(d)), e, one);
      x[i] = hn::NegMulAdd(from, math::Quotient(d, e, hn::Add(one, e)), from);
      continue;
    }
    const V scale = power.Scale(d, i);
    if constexpr (HWY_NATIVE_FMA) {
      const V y = math::Saturate(d, hn::MulAdd(scale, power.q[i], hn::Sub(scale, one)));
      x[i] = hn::CopySignToAbs(y, x[i]);
    } else {
      static constexpr float kNear[] = {-3.3333313e-01f, 1.333248e-01f, -5.3840518e-02f, 2.1020556e-02f,
                                        -6.198725e-03f};
      const V square = hn::Mul(x[i], x[i]), e = hn::MulAdd(scale, power.q[i], scale);
      const V near = hn::MulAdd(hn::Mul(x[i], square), math::Polynomial(d, square, kNear), x[i]);
      const V far = hn::Sub(one, hn::Div(hn::Add(e, e), hn::Add(one, e)));
      x[i] = hn::IfThenElse(hn::Lt(to[i], hn::Set(d, -1.125f)), hn::CopySignToAbs(far, x[i]), near);
    }
  }
}

template <class D, class V>
HWY_INLINE V Sigmoid(D d, V x) {
  V in_step[] = {x};
  SigmoidsAndTanhs<1, 0>(d, in_step);
  return in_step[0];
}
template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  V in_step[] = {x};
  SigmoidsAndTanhs<0, 1>(d, in_step);
  return in_step[0];
}

template <class D, class V>
HWY_INLINE V Log(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  using math::Polynomial;
  const hn::RebindToSigned<D> di;
  const V zero = hn::Zero(d), infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const auto denormal = hn::Lt(x, hn::Set(d, std::numeric_limits<float>::min()));
  const V normal = hn::IfThenElse(denormal, hn::Mul(x, hn::Set(d, 8388608.f)), x);
  // x = 2^n (1 + f) with 1 + f between sqrt(1/2) and sqrt(2).
  const auto bits = hn::BitCast(di, normal);
  const auto n = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3F3504F3)));
  const V f = hn::Sub(hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(n))), hn::Set(d, 1.f));
  const V whole = hn::Sub(hn::ConvertTo(d, n), hn::IfThenElseZero(denormal, hn::Set(d, 23.f)));
  static constexpr float kC[] = {3.3333313e-01f,  -2.500001e-01f, 2.0002119e-01f,  -1.6667996e-01f, 1.4219552e-01f,
                                 -1.2405589e-01f, 1.1888163e-01f, -1.1675651e-01f, 6.7466386e-02f};
  const V square = hn::Mul(f, f);
  V y = hn::Mul(hn::Mul(f, square), Polynomial(d, f, kC));
  y = hn::MulAdd(whole, hn::Set(d, -2.12194440e-4f), y);
  y = hn::Add(f, hn::NegMulAdd(square, hn::Set(d, 0.5f), y));
  y = hn::MulAdd(whole, hn::Set(d, 0.693359375f), y);
  const V rest =
      hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity),
                     hn::IfThenElse(hn::Lt(x, zero), hn::Set(d, std::numeric_limits<float>::quiet_NaN()), x));
  return hn::IfThenElse(hn::And(hn::Gt(x, zero), hn::Lt(x, infinity)), y, rest);
}

// x (1 + a polynomial of x^2) near 0, 1 - e^(a polynomial of |x|) elsewhere.
template <class D, class V>
HWY_INLINE V Erf(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  using math::Polynomial;
  static constexpr float kNear[] = {1.2837917e-01f, -3.7612635e-01f, 1.1283696e-01f, -2.6859399e-02f,
                                    5.2010324e-03f, -8.142704e-04f,  8.3701e-05f};
  static constexpr float kFar[] = {-1.9855468e-04f, -1.1276637e+00f, -6.3720226e-01f, -1.0391403e-01f,
                                   2.2218453e-02f,  -3.0410932e-03f, 1.9572071e-04f};
  const V one = hn::Set(d, 1.f);
  const V small = hn::MulAdd(x, Polynomial(d, hn::Mul(x, x), kNear), x);
  const V a = hn::Abs(math::LimitAbs(d, x, 4.f));
  const math::Power<D, V> p(d, {Polynomial(d, a, kFar)});
  const V scale = p.Scale(d);
  const V large = hn::NegMulAdd(scale, p.q[0], hn::Sub(one, scale));
  return hn::IfThenElse(hn::Gt(hn::Abs(x), hn::Set(d, 0.921875f)), hn::CopySign(large, x), small);
}

template <class D, class V>
HWY_INLINE V Expm1(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V one = hn::Set(d, 1.f);
  const math::Power<D, V> p(d, {math::LimitAbs(d, x, 60.f)});
  const V scale = p.Scale(d);
  const V y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, hn::MulAdd(scale, p.q[0], hn::Sub(scale, one)));
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, 60.f)), Exp(d, x), y);
}

// log(u) x / (u - 1) with u = 1 + x: what was lost in u is lost in both.
template <class D, class V>
HWY_INLINE V Log1p(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V one = hn::Set(d, 1.f), u = hn::Add(x, one), less = hn::Sub(u, one), log = Log(d, u);
  const V y = hn::IfThenElse(hn::Eq(less, hn::Zero(d)), x, hn::Div(hn::Mul(log, x), less));
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, 1e10f)), y, log);
}

// e^(-x^2) times a polynomial of (|x| - 2) / (|x| + 2), and 2 less that below 0.
template <class D, class V>
HWY_INLINE V Erfc(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  static constexpr float kC[] = {2.5539568e-01f, -4.2718595e-01f, 2.4165794e-01f,  -7.8976013e-02f, 3.734938e-03f,
                                 6.9785933e-03f, -8.550739e-04f,  -9.2732627e-04f, 6.363964e-05f,   1.0784926e-04f};
  const V two = hn::Set(d, 2.f);
  const V a = hn::Abs(math::LimitAbs(d, x, 10.1f));
  const V factor = math::Polynomial(d, hn::Div(hn::Sub(a, two), hn::Add(a, two)), kC);
  const V square = hn::Mul(a, a), lost = hn::MulSub(a, a, square);
  const V e = math::Power<D, V>(d, {hn::Neg(square)}).Value(d);
  const V y = hn::Mul(hn::NegMulAdd(e, lost, e), factor);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(two, y), y);
}

}  // namespace megalith::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // MEGALITH_KERNELS_MATH_INL_H_
