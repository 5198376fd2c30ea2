#include "megalith/kernels/convert.h"

#include <algorithm>
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

void AnyFromStored(DType type, const void* from, float* to, int64_t n) {
  const float scale = type.is_quantized() ? type.scale : 1, zero = type.is_asymmetric() ? type.zero_point : 0;
  switch (type.bits()) {
    case 32: return FromStored(static_cast<const int32_t*>(from), scale, zero, to, n);
    case 16: return FromStored(static_cast<const int16_t*>(from), scale, zero, to, n);
    default: break;
  }
  if (type.id == DTypeEnum::Int8 || type.id == DTypeEnum::QuantizedS8)
    return FromStored(static_cast<const int8_t*>(from), scale, zero, to, n);
  FromStored(static_cast<const uint8_t*>(from), scale, zero, to, n);
}

void AnyToQuantized(DType type, const float* from, void* to, int64_t n) {
  const int zero = type.is_asymmetric() ? type.zero_point : 0;
  if (type.bits() == 16) return ToQuantized(from, type.scale, zero, static_cast<int16_t*>(to), n);
  if (type.is_asymmetric()) return ToQuantized(from, type.scale, zero, static_cast<uint8_t*>(to), n);
  ToQuantized(from, type.scale, zero, static_cast<int8_t*>(to), n);
}

}  // namespace megalith::convert::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::convert {

bool is_stored(DType d) {
  switch (d.id) {
    case DTypeEnum::Int8:
    case DTypeEnum::Uint8:
    case DTypeEnum::Bool:
    case DTypeEnum::Byte:
    case DTypeEnum::Int16:
    case DTypeEnum::Int32:
    case DTypeEnum::QuantizedS32: return true;
    default: return is_quantized_storage(d);
  }
}

bool is_quantized_storage(DType d) {
  return d.id == DTypeEnum::QuantizedS8 || d.id == DTypeEnum::Quantized8Asymm || d.id == DTypeEnum::QuantizedS16;
}

void from_stored(DType type, const void* from, float* to, int64_t n) {
  MEGALITH_DISPATCH(AnyFromStored)(type, from, to, n);
}
void to_quantized(DType type, const float* from, void* to, int64_t n) {
  MEGALITH_DISPATCH(AnyToQuantized)(type, from, to, n);
}

}  // namespace megalith::convert
#endif
