// Element types: MegEngine's numbering, and the 16-bit floating point types.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "megalith/trimmed.h"

namespace megalith {

// Values are those of the `.mge` files.
enum class DTypeEnum : int8_t {
  Float32 = 0,
  Uint8 = 1,
  Int8 = 2,
  Int16 = 3,
  Int32 = 4,
  IntB1 = 5,
  IntB2 = 6,
  IntB4 = 7,
  Byte = 8,
  Float16 = 9,
  UintB4 = 10,
  Quantized8Asymm = 11,
  QuantizedS32 = 12,
  QuantizedS8 = 13,
  Quantized4Asymm = 14,
  QuantizedS4 = 15,
  QuantizedS16 = 16,
  BFloat16 = 17,
  Bool = 18,
  Uint16 = 19,
  QuantizedS1 = 20,
  Complex64 = 21,
};

// An element type. Quantized types carry their scale; the asymmetric ones also a zero point:
// real value = (stored - zero_point) * scale.
struct DType {
  DTypeEnum id = DTypeEnum::Float32;
  uint8_t zero_point = 0;
  float scale = 0;

  constexpr DType() = default;
  constexpr DType(DTypeEnum id) : id(id) {}  // NOLINT: an id without parameters is a dtype
  constexpr DType(DTypeEnum id, float scale, uint8_t zero_point = 0) : id(id), zero_point(zero_point), scale(scale) {}

  int bits() const;  // per element, also for the types packed below a byte
  // A trimmed build never computes with types for which the first three hold, so their code goes.
  bool is_lowbit() const { return !kTrimmed && bits() < 8; }
  bool is_quantized() const { return !kTrimmed && has_scale(); }
  bool is_asymmetric() const { return !kTrimmed && has_zero_point(); }
  bool is_float() const { return id == DTypeEnum::Float32 || (!kTrimmed && is_float16()); }
  bool is_float16() const { return id == DTypeEnum::Float16 || id == DTypeEnum::BFloat16; }
  bool is_int() const;  // plain integers of 8 bits and more, not Bool
  std::string_view name() const;
  std::string str() const;  // "QuantizedS8(scale=0.05)"

  friend bool operator==(const DType&, const DType&) = default;

 private:
  bool has_scale() const;
  bool has_zero_point() const;
};

bool valid_dtype(int id);  // an int read from a file names an element type
// Throws UnsupportedError for a type that this build leaves out.
void require_built(DType dtype);

// IEEE binary16. Rounding is to nearest with ties away from zero, as MegEngine's half type does.
struct half {
  uint16_t bits = 0;
  half() = default;
  explicit half(float v) : bits(from_float(v)) {}
  operator float() const { return to_float(bits); }
  static uint16_t from_float(float v);
  static float to_float(uint16_t h);
};

// float(half(v)), without leaving the registers where v is in half's normal range.
inline float round_to_half(float v) {
  const uint32_t f = std::bit_cast<uint32_t>(v), a = f & 0x7fffffff;
  if (a >= 0x38800000 && a < 0x477ff000) return std::bit_cast<float>((f & 0x80000000) | ((a + 0x1000) & ~0x1fffu));
  return half(v);
}

// The upper half of a float. Rounding is to nearest, ties to even.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float v) : bits(from_float(v)) {}
  operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
  static uint16_t from_float(float v);
};

}  // namespace megalith
