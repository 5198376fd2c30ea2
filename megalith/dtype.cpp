#include "megalith/dtype.h"

#include "megalith/error.h"

namespace megalith {
namespace {

struct Info {
  const char* name;
  int bits;
  bool quantized, asymmetric, integer;
};
constexpr Info kInfo[] = {
    {"Float32", 32, false, false, false},      {"Uint8", 8, false, false, true},
    {"Int8", 8, false, false, true},           {"Int16", 16, false, false, true},
    {"Int32", 32, false, false, true},         {"IntB1", 1, false, false, false},
    {"IntB2", 2, false, false, false},         {"IntB4", 4, false, false, false},
    {"Byte", 8, false, false, false},          {"Float16", 16, false, false, false},
    {"UintB4", 4, false, false, false},        {"Quantized8Asymm", 8, true, true, false},
    {"QuantizedS32", 32, true, false, false},  {"QuantizedS8", 8, true, false, false},
    {"Quantized4Asymm", 4, true, true, false}, {"QuantizedS4", 4, true, false, false},
    {"QuantizedS16", 16, true, false, false},  {"BFloat16", 16, false, false, false},
    {"Bool", 8, false, false, false},          {"Uint16", 16, false, false, true},
    {"QuantizedS1", 1, true, false, false},    {"Complex64", 64, false, false, false},
};
const Info& info(DTypeEnum id) { return kInfo[static_cast<size_t>(id)]; }

}  // namespace

bool valid_dtype(int id) { return id >= 0 && id < static_cast<int>(std::size(kInfo)); }
int DType::bits() const { return info(id).bits; }
bool DType::has_scale() const { return info(id).quantized; }
bool DType::has_zero_point() const { return info(id).asymmetric; }
bool DType::is_int() const { return info(id).integer; }
std::string_view DType::name() const { return info(id).name; }

void require_built(DType d) {
  if (!kTrimmed) return;
  switch (d.id) {
    case DTypeEnum::Float32:
    case DTypeEnum::Int32:
    case DTypeEnum::Uint8:
    case DTypeEnum::Bool:
    case DTypeEnum::Byte: return;
    default: throw UnsupportedError(cat("element type ", d.name(), kLeftOut));
  }
}

std::string DType::str() const {
  if (!is_quantized()) return std::string(name());
  Text s;
  s << name() << "(scale=" << scale;
  if (is_asymmetric()) s << ",zero_point=" << int{zero_point};
  s << ")";
  return s.str();
}

uint16_t half::from_float(float v) {
  const uint32_t f = std::bit_cast<uint32_t>(v);
  const auto sign = static_cast<uint16_t>((f >> 16) & 0x8000);
  const uint32_t a = f & 0x7fffffff;
  if (a > 0x7f800000) return sign | 0x7e00 | static_cast<uint16_t>((a >> 13) & 0x3ff);
  if (a >= 0x477ff000) return sign | 0x7c00;  // rounds beyond 65504
  if (a < 0x38800000) {                       // subnormal or zero
    if (a < 0x33000000) return sign;          // below half of the smallest
    const int shift = 126 - static_cast<int>(a >> 23);
    const uint32_t m = (a & 0x7fffff) | 0x800000;
    return sign | static_cast<uint16_t>((m >> shift) + ((m >> (shift - 1)) & 1));
  }
  return sign | static_cast<uint16_t>((a - 0x38000000 + 0x1000) >> 13);  // a carry may move to the next exponent
}

float half::to_float(uint16_t h) {
  const uint32_t sign = uint32_t{h & 0x8000u} << 16;
  const uint32_t e = (h >> 10) & 31, m = h & 0x3ff;
  if (e == 31) return std::bit_cast<float>(sign | 0x7f800000 | (m << 13));
  if (e != 0) return std::bit_cast<float>(sign | ((e + 112) << 23) | (m << 13));
  const float v = static_cast<float>(m) * 0x1p-24f;
  return sign ? -v : v;
}

uint16_t bfloat16::from_float(float v) {
  const uint32_t f = std::bit_cast<uint32_t>(v);
  if ((f & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((f >> 16) | 0x40);
  return static_cast<uint16_t>((f + 0x7fff + ((f >> 16) & 1)) >> 16);
}

}  // namespace megalith
