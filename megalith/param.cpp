#include "megalith/param.h"

#include "megalith/error.h"

namespace megalith {
namespace {

template <class T>
T read(const Params& p, const Field& f) {
  T v;
  std::memcpy(&v, p.field(f), sizeof v);
  return v;
}

std::string enum_str(const EnumInfo& info, uint32_t v) {
  if (const char* n = info.name_of(v)) return n;
  if (!info.flags) return std::to_string(v);
  std::string s;
  for (const EnumValue& e : info.values) {
    if (v & e.value) s += (s.empty() ? "" : "|") + std::string(e.name);
  }
  return s.empty() ? "0" : s;
}

}  // namespace

const char* EnumInfo::name_of(uint32_t v) const {
  for (const EnumValue& e : values) {
    if (e.value == v) return e.name;
  }
  return nullptr;
}

double Scalar::value() const {
  auto as = [&](auto t) {
    std::memcpy(&t, storage, sizeof t);
    return t;
  };
  switch (dtype) {
    case DTypeEnum::Float32: return as(float{});
    case DTypeEnum::Float16: return as(half{});
    case DTypeEnum::BFloat16: return as(bfloat16{});
    case DTypeEnum::Int32: return as(int32_t{});
    case DTypeEnum::Int16: return as(int16_t{});
    case DTypeEnum::Int8: return as(int8_t{});
    default: return storage[0];
  }
}

Scalar Scalar::of(float v) {
  Scalar s;
  std::memcpy(s.storage, &v, sizeof v);
  return s;
}

std::string field_str(const Params& p, const Field& f) {
  Text s;
  switch (f.type) {
    case FieldType::kBool: s << (read<bool>(p, f) ? "true" : "false"); break;
    case FieldType::kInt32: s << read<int32_t>(p, f); break;
    case FieldType::kUint32: s << read<uint32_t>(p, f); break;
    case FieldType::kUint64: s << read<uint64_t>(p, f); break;
    case FieldType::kFloat32: s << read<float>(p, f); break;
    case FieldType::kFloat64: s << read<double>(p, f); break;
    case FieldType::kEnum: s << enum_str(f.enums(), read<uint32_t>(p, f)); break;
    case FieldType::kDTypeEnum: s << DType(read<DTypeEnum>(p, f)).name(); break;
    case FieldType::kDType: s << read<DType>(p, f).str(); break;
    case FieldType::kScalar: s << read<Scalar>(p, f).value(); break;
    default: {
      s << "[";
      for (size_t i = 0; i < p.list().size(); ++i) s << (i ? "," : "") << p.list()[i];
      s << "]";
    }
  }
  return s.str();
}

std::string Params::str() const {
  if (!schema_) return "";
  const Params defaults(*schema_);
  std::string s;
  for (const Field& f : schema_->fields) {
    const std::string v = field_str(*this, f);
    if (v != field_str(defaults, f)) s += (s.empty() ? "" : ", ") + std::string(f.name) + "=" + v;
  }
  return s;
}

bool operator==(const Params& a, const Params& b) {
  if (a.schema_ != b.schema_ || a.list_ != b.list_) return false;
  if (!a.schema_) return true;
  for (const Field& f : a.schema_->fields) {
    size_t n = 0;
    switch (f.type) {
      case FieldType::kBool:
      case FieldType::kDTypeEnum: n = 1; break;
      case FieldType::kInt32:
      case FieldType::kUint32:
      case FieldType::kFloat32:
      case FieldType::kEnum: n = 4; break;
      case FieldType::kUint64:
      case FieldType::kFloat64: n = 8; break;
      case FieldType::kScalar: n = sizeof(Scalar); break;
      case FieldType::kDType:
        if (!(read<DType>(a, f) == read<DType>(b, f))) return false;
        break;
      default: break;
    }
    if (n && std::memcmp(a.field(f), b.field(f), n) != 0) return false;
  }
  return true;
}

}  // namespace megalith
