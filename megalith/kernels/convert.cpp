#include "megalith/kernels/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/convert.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/round-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::convert::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::RoundWithin;

using D = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// Calls fn(from, to) for whole vectors; of what is left over, on copies.
template <class From, class To, class Fn>
HWY_INLINE void Each(const From* from, To* to, int64_t n, Fn&& fn) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) fn(from + i, to + i);
  if (i == n) return;
  From in[kLanes] = {};
  To out[kLanes];
  std::copy_n(from + i, n - i, in);
  fn(in, out);
  std::copy_n(out, n - i, to + i);
}

template <class T>
HWY_INLINE hn::Vec<DI> LoadIntegers(const T* p) {
  if constexpr (sizeof(T) == 4)
    return hn::LoadU(DI(), p);
  else
    return hn::PromoteTo(DI(), hn::LoadU(hn::Rebind<T, DI>(), p));
}

template <class T>
void FromStored(const T* from, float scale, float zero, float* to, int64_t n) {
  const D d;
  const V s = hn::Set(d, scale), z = hn::Set(d, zero);
  Each(from, to, n,
       [&](const T* x, float* y) HWY_ATTR { hn::StoreU((hn::ConvertTo(d, LoadIntegers(x)) - z) * s, d, y); });
}

template <class T>
void ToQuantized(const float* from, float scale, int zero, T* to, int64_t n) {
  const D d;
  const V s = hn::Set(d, scale);
  const V low = hn::Set(d, static_cast<float>(std::numeric_limits<T>::lowest() - zero));
  const V high = hn::Set(d, static_cast<float>(std::numeric_limits<T>::max() - zero));
  const auto z = hn::Set(DI(), zero);
  Each(from, to, n, [&](const float* x, T* y) HWY_ATTR {
    const hn::Rebind<T, DI> dt;
    hn::StoreU(hn::DemoteTo(dt, RoundWithin(d, hn::LoadU(d, x) / s, low, high) + z), dt, y);
  });
}

// ---- floats of 16 bits

using DI16 = hn::Rebind<uint16_t, DI>;
using VI = hn::Vec<DI>;

HWY_INLINE VI Int(uint32_t v) { return hn::Set(DI(), static_cast<int32_t>(v)); }
HWY_INLINE VI Bits(V v) { return hn::BitCast(DI(), v); }
HWY_INLINE V Float(VI v) { return hn::BitCast(D(), v); }

HWY_INLINE V WidenHalf(VI h) {
  const D d;
  const VI sign = hn::ShiftLeft<16>(h & Int(0x8000)), a = h & Int(0x7fff), wide = hn::ShiftLeft<13>(a);
  const V small = hn::ConvertTo(d, a) * hn::Set(d, 0x1p-24f);
  const V normal = Float(wide + Int(0x38000000));
  const V large = Float(wide | Int(0x7f800000));
  const V r = hn::IfThenElse(hn::RebindMask(d, a < Int(0x400)), small,
                             hn::IfThenElse(hn::RebindMask(d, a < Int(0x7c00)), normal, large));
  return Float(Bits(r) | sign);
}

// To nearest, ties away from zero.
HWY_INLINE VI NarrowHalf(V v) {
  const D d;
  const VI f = Bits(v), a = f & Int(0x7fffffff), sign = hn::ShiftRight<16>(f) & Int(0x8000);
  // Below 2^-14 there are multiples of 2^-24. The number before 0.5 never leads to the next whole one by rounding.
  const V below = hn::IfThenElseZero(Float(a) < hn::Set(d, 1.f), Float(a));
  const V scaled = below * hn::Set(d, 0x1p24f) + hn::Set(d, 0x1.fffffep-2f);
  const VI small = hn::ConvertTo(DI(), scaled);
  const VI normal = hn::ShiftRight<13>(a - Int(0x38000000 - 0x1000));
  const VI nan = Int(0x7e00) | (hn::ShiftRight<13>(a) & Int(0x3ff));
  VI r = hn::IfThenElse(a < Int(0x38800000), small, normal);
  r = hn::IfThenElse(a < Int(0x477ff000), r, Int(0x7c00));
  return hn::IfThenElse(a > Int(0x7f800000), nan, r) | sign;
}

// To nearest, ties to even.
HWY_INLINE VI NarrowBrain(V v) {
  const VI f = Bits(v), a = f & Int(0x7fffffff), high = hn::ShiftRight<16>(f) & Int(0xffff);
  const VI rounded = hn::ShiftRight<16>(f + Int(0x7fff) + (high & Int(1))) & Int(0xffff);
  return hn::IfThenElse(a > Int(0x7f800000), high | Int(0x40), rounded);
}

template <bool kHalf>
void FromFloats16(const uint16_t* from, float* to, int64_t n) {
  Each(from, to, n, [&](const uint16_t* x, float* y) HWY_ATTR {
    const VI bits = hn::PromoteTo(DI(), hn::LoadU(DI16(), x));
    hn::StoreU(kHalf ? WidenHalf(bits) : Float(hn::ShiftLeft<16>(bits)), D(), y);
  });
}
template <bool kHalf>
void ToFloats16(const float* from, uint16_t* to, int64_t n) {
  Each(from, to, n, [&](const float* x, uint16_t* y) HWY_ATTR {
    const V v = hn::LoadU(D(), x);
    hn::StoreU(hn::DemoteTo(DI16(), kHalf ? NarrowHalf(v) : NarrowBrain(v)), DI16(), y);
  });
}

// ---- plain integers

// T is unsigned: the bits of the result.
template <class T>
void ToIntegers(const float* from, bool truth, T* to, int64_t n) {
  const D d;
  Each(from, to, n, [&](const float* x, T* y) HWY_ATTR {
    const V v = hn::LoadU(d, x);
    VI r = Int(1);
    if (truth) {
      r = hn::IfThenZeroElse(hn::RebindMask(DI(), v == hn::Zero(d)), r);
    } else {
      const auto inside = hn::And(v >= hn::Set(d, -2147483648.f), v < hn::Set(d, 2147483648.f));
      const VI whole = hn::ConvertTo(DI(), hn::IfThenElseZero(inside, v));
      r = hn::IfThenElse(hn::RebindMask(DI(), inside), whole, Int(0x80000000));
    }
    if constexpr (sizeof(T) == 4)
      hn::StoreU(r, DI(), reinterpret_cast<int32_t*>(y));
    else
      hn::StoreU(hn::DemoteTo(hn::Rebind<T, DI>(), r & Int(sizeof(T) == 2 ? 0xffff : 0xff)), hn::Rebind<T, DI>(), y);
  });
}

void AnyFromStored(DType type, const void* from, float* to, int64_t n) {
  if constexpr (kTrimmed) {
    if (type.bits() == 32) return FromStored(static_cast<const int32_t*>(from), 1, 0, to, n);
    return FromStored(static_cast<const uint8_t*>(from), 1, 0, to, n);
  }
  const float scale = type.is_quantized() ? type.scale : 1, zero = type.is_asymmetric() ? type.zero_point : 0;
  switch (type.id) {
    case DTypeEnum::Float16: return FromFloats16<true>(static_cast<const uint16_t*>(from), to, n);
    case DTypeEnum::BFloat16: return FromFloats16<false>(static_cast<const uint16_t*>(from), to, n);
    case DTypeEnum::Uint16: return FromStored(static_cast<const uint16_t*>(from), scale, zero, to, n);
    case DTypeEnum::Int8:
    case DTypeEnum::QuantizedS8: return FromStored(static_cast<const int8_t*>(from), scale, zero, to, n);
    default: break;
  }
  if (type.bits() == 32) return FromStored(static_cast<const int32_t*>(from), scale, zero, to, n);
  if (type.bits() == 16) return FromStored(static_cast<const int16_t*>(from), scale, zero, to, n);
  FromStored(static_cast<const uint8_t*>(from), scale, zero, to, n);
}

void AnyToStored(DType type, const float* from, void* to, int64_t n) {
  if constexpr (kTrimmed) {
    if (type.bits() == 32) return ToIntegers(from, false, static_cast<uint32_t*>(to), n);
    return ToIntegers(from, type.id == DTypeEnum::Bool, static_cast<uint8_t*>(to), n);
  }
  switch (type.id) {
    case DTypeEnum::Float16: return ToFloats16<true>(from, static_cast<uint16_t*>(to), n);
    case DTypeEnum::BFloat16: return ToFloats16<false>(from, static_cast<uint16_t*>(to), n);
    case DTypeEnum::QuantizedS8: return ToQuantized(from, type.scale, 0, static_cast<int8_t*>(to), n);
    case DTypeEnum::QuantizedS16: return ToQuantized(from, type.scale, 0, static_cast<int16_t*>(to), n);
    case DTypeEnum::Quantized8Asymm:
      return ToQuantized(from, type.scale, type.zero_point, static_cast<uint8_t*>(to), n);
    default: break;
  }
  if (type.bits() == 32) return ToIntegers(from, false, static_cast<uint32_t*>(to), n);
  if (type.bits() == 16) return ToIntegers(from, false, static_cast<uint16_t*>(to), n);
  ToIntegers(from, type.id == DTypeEnum::Bool, static_cast<uint8_t*>(to), n);
}

}  // namespace megalith::convert::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::convert {

bool is_stored(DType d) { return is_whole(d) || d.is_float16(); }

bool is_quantized_storage(DType d) {
  return d.id == DTypeEnum::QuantizedS8 || d.id == DTypeEnum::Quantized8Asymm || d.id == DTypeEnum::QuantizedS16;
}

bool is_whole(DType d) { return !d.is_float() && !d.is_lowbit() && d.id != DTypeEnum::Complex64; }

void from_stored(DType type, const void* from, float* to, int64_t n) {
  MEGALITH_DISPATCH(AnyFromStored)(type, from, to, n);
}

void to_stored(DType type, const float* from, void* to, int64_t n) {
  if (kTrimmed || type.id != DTypeEnum::QuantizedS32) return MEGALITH_DISPATCH(AnyToStored)(type, from, to, n);
  for (int64_t i = 0; i < n; ++i) {
    const float v = std::round(from[i] / type.scale);
    static_cast<int32_t*>(to)[i] = v >= 2147483648.f    ? INT32_MAX
                                   : v >= -2147483648.f ? static_cast<int32_t>(v)
                                                        : INT32_MIN;
  }
}

namespace {
// fn(T{}) with the integer that stores a whole type.
template <class Fn>
void with_whole(DType type, Fn&& fn) {
  switch (type.id) {
    case DTypeEnum::Int32: return fn(int32_t{});
#ifndef MEGALITH_TRIMMED
    case DTypeEnum::QuantizedS32: return fn(int32_t{});
    case DTypeEnum::Int16:
    case DTypeEnum::QuantizedS16: return fn(int16_t{});
    case DTypeEnum::Uint16: return fn(uint16_t{});
    case DTypeEnum::Int8:
    case DTypeEnum::QuantizedS8: return fn(int8_t{});
#endif
    default: return fn(uint8_t{});
  }
}
}  // namespace

void from_whole(DType type, const void* from, int32_t* to, int64_t n) {
  with_whole(type, [&]<class T>(T) {
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<const T*>(from)[i];
  });
}

void to_whole(DType type, const int32_t* from, void* to, int64_t n) {
  if (type.id == DTypeEnum::Bool) {
    for (int64_t i = 0; i < n; ++i) static_cast<uint8_t*>(to)[i] = from[i] != 0;
    return;
  }
  with_whole(type, [&]<class T>(T) {
    for (int64_t i = 0; i < n; ++i) static_cast<T*>(to)[i] = static_cast<T>(from[i]);
  });
}

}  // namespace megalith::convert
#endif
