// Elementwise ops on types packed below a byte: computed on the 8-bit types with the same meaning.
#pragma once

#include <algorithm>
#include <cstring>

#include "megalith/ops/op_util.h"

namespace megalith::elemwise {

// The 8-bit type with the same meaning as a type packed below a byte; other types stay.
inline DType widened_dtype(DType d) {
  if (!d.is_lowbit()) return d;
  if (!d.is_quantized()) return d.id == DTypeEnum::UintB4 ? DTypeEnum::Uint8 : DTypeEnum::Int8;
  return d.is_asymmetric() ? DType(DTypeEnum::Quantized8Asymm, d.scale, d.zero_point)
                           : DType(DTypeEnum::QuantizedS8, d.scale);
}

inline Tensor widened(const Tensor& t) {
  return t.dtype().is_lowbit() ? unpack_lowbit(t).with_dtype(widened_dtype(t.dtype())) : t;
}

// Saturates `wide`, whose type is widened_dtype(out.dtype()), and packs it into `out`.
inline void narrow(const Tensor& wide, const Tensor& out) {
  const DType to = out.dtype();
  const bool is_unsigned = to.is_asymmetric() || to.id == DTypeEnum::UintB4;
  const int values = 1 << to.bits();
  const int lo = is_unsigned || to.id == DTypeEnum::QuantizedS1 ? 0 : -values / 2, hi = lo + values - 1;
  if (is_unsigned) {
    for (uint8_t& v : wide.span<uint8_t>()) v = static_cast<uint8_t>(std::min<int>(v, hi));
  } else {
    for (int8_t& v : wide.span<int8_t>()) v = static_cast<int8_t>(std::clamp<int>(v, lo, hi));
  }
  const Tensor packed = pack_lowbit(wide.with_dtype(is_unsigned ? DTypeEnum::Uint8 : DTypeEnum::Int8), to);
  std::memcpy(out.data<std::byte>(), packed.data<std::byte>(), out.bytes());
}

}  // namespace megalith::elemwise
