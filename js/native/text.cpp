#include "js/native/text.h"

#include <emscripten/em_js.h>
#include <emscripten/em_macros.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

// Of src/numbers.ts.
EM_JS_DEPS(mge_number, "$UTF8ToString");
EM_JS(double, mge_number, (const char* text), { return numberOf(UTF8ToString(text)); });

namespace megalith::js {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; }
std::string lower(std::string s) {
  for (char& c : s) c = lower(c);
  return s;
}
bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::vector<std::string> split(std::string_view s, char at) {
  std::vector<std::string> r;
  for (size_t begin = 0;;) {
    const size_t end = s.find(at, begin);
    r.emplace_back(s.substr(begin, end - begin));
    if (end == std::string_view::npos) return r;
    begin = end + 1;
  }
}

[[noreturn]] void bad_value(const OpDef& op, const Field& f, std::string_view v, const char* wanted) {
  throw OpError(cat(op.name, ": ", f.name, " is ", wanted, ", not '", v, "'"));
}

double number_of(const OpDef& op, const Field& f, std::string_view v) {
  const double d = mge_number(std::string(v).c_str());
  if (std::isnan(d) && !same_letters(v, "nan")) bad_value(op, f, v, "a number");
  return d;
}

template <class T>
void store_integer(const OpDef& op, std::byte* at, const Field& f, std::string_view v) {
  T value = 0;
  const auto [end, wrong] = std::from_chars(v.data(), v.data() + v.size(), value);
  if (wrong != std::errc() || end != v.data() + v.size())
    bad_value(op, f, v, std::is_unsigned_v<T> ? "a non-negative integer" : "an integer");
  std::memcpy(at, &value, sizeof value);
}

template <class T>
void store(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

uint32_t enum_of(const OpDef& op, const Field& f, std::string_view v) {
  const EnumInfo& info = f.enums();
  uint32_t bits = 0;
  for (const std::string& name : split(v, '|')) {
    bool found = false;
    for (const EnumValue& e : info.values) {
      if (name != e.name) continue;
      bits |= e.value;
      found = true;
    }
    if (found) continue;
    std::string names;
    for (const EnumValue& e : info.values) names += (names.empty() ? "" : ", ") + std::string(e.name);
    throw OpError(cat(op.name, ": ", f.name, " has no value '", name, "'; it can be ", names));
  }
  return bits;
}

void set_field(const OpDef& op, Params& p, const Field& f, std::string_view v) {
  std::byte* at = p.field(f);
  switch (f.type) {
    case FieldType::kBool:
      if (v != "true" && v != "false") bad_value(op, f, v, "true or false");
      return store(at, v == "true");
    case FieldType::kInt32: return store_integer<int32_t>(op, at, f, v);
    case FieldType::kUint32: return store_integer<uint32_t>(op, at, f, v);
    case FieldType::kUint64: return store_integer<uint64_t>(op, at, f, v);
    case FieldType::kFloat32: return store(at, static_cast<float>(number_of(op, f, v)));
    case FieldType::kFloat64: return store(at, number_of(op, f, v));
    case FieldType::kEnum: return store(at, enum_of(op, f, v));
    case FieldType::kDTypeEnum: return store(at, parse_dtype(v).id);
    case FieldType::kDType: return store(at, parse_dtype(v));
    case FieldType::kScalar: return store(at, Scalar::of(static_cast<float>(number_of(op, f, v))));
    default: break;
  }
  p.list().clear();
  const size_t width = f.type == FieldType::kInt32List ? 1 : f.type == FieldType::kAxisDescList ? 2 : 5;
  if (!v.empty()) {
    for (const std::string& one : split(v, ',')) {
      int32_t i = 0;
      store_integer<int32_t>(op, reinterpret_cast<std::byte*>(&i), f, one);
      p.list().push_back(i);
    }
  }
  if (p.list().size() % width != 0) {
    bad_value(
        op, f, v,
        width == 2 ? "a list of (method, axis), flattened" : "a list of (axis, begin, end, step, idx), flattened");
  }
}

}  // namespace

char* threads_text() {
  static char text[12] = "1";
  return text;
}

Json& Json::text(std::string_view v) {
  value();
  s_ += '"';
  for (const char c : v) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (s_ += '\\') += c;
    else if (u < 0x20)
      ((s_ += "\\u00") += "0123456789abcdef"[u >> 4]) += "0123456789abcdef"[u & 15];
    else
      s_ += c;
  }
  s_ += '"';
  return *this;
}

Json& Json::number(double v) {
  value();
  if (std::isfinite(v)) {
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", v);
    s_ += text;
  } else {
    s_ += "null";
  }
  return *this;
}

Json& Json::integer(int64_t v) {
  value();
  s_ += std::to_string(v);
  return *this;
}

Json& Json::dtype(DType v) {
  if (!v.is_quantized()) return text(lower(std::string(v.name())));
  open('{').key("name").text(v.name()).key("scale").number(v.scale);
  if (v.is_asymmetric()) key("zeroPoint").integer(v.zero_point);
  return close('}');
}

Json& Json::shape(const Shape& v) {
  open('[');
  for (const int64_t d : v) integer(d);
  return close(']');
}

DType parse_dtype(std::string_view text) {
  const std::vector<std::string> parts = split(text, ':');
  for (int id = 0; id < 64; ++id) {
    if (!valid_dtype(id)) continue;
    const DType t(static_cast<DTypeEnum>(id));
    if (!same_letters(t.name(), parts[0])) continue;
    if (!t.is_quantized()) return t;
    const auto number = [&](size_t i) { return parts.size() > i ? mge_number(parts[i].c_str()) : 0; };
    const auto scale = static_cast<float>(number(1));
    const double zero = number(2);
    if (!(scale > 0)) throw Error(cat(t.name(), " needs a scale above 0"));
    if (!(zero >= 0 && zero <= 255)) throw Error(cat(t.name(), " needs a zero point from 0 to 255"));
    return {t.id, scale, static_cast<uint8_t>(zero)};
  }
  throw Error(cat("'", text, "' is no element type"));
}

void write_field(Json& j, const Params& p, const Field& f) {
  const std::byte* at = p.field(f);
  const auto read = [&](auto value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  switch (f.type) {
    case FieldType::kBool: j.boolean(read(bool{})); return;
    case FieldType::kInt32: j.integer(read(int32_t{})); return;
    case FieldType::kUint32: j.integer(read(uint32_t{})); return;
    case FieldType::kUint64: j.number(static_cast<double>(read(uint64_t{}))); return;
    case FieldType::kFloat32: j.number(read(float{})); return;
    case FieldType::kFloat64: j.number(read(double{})); return;
    case FieldType::kScalar: j.number(read(Scalar{}).value()); return;
    case FieldType::kDTypeEnum: j.dtype(read(DTypeEnum{})); return;
    case FieldType::kDType: j.dtype(read(DType{})); return;
    case FieldType::kEnum: j.text(field_str(p, f)); return;
    default: j.open('[').close(']'); return;
  }
}

Attrs parse_attrs(const OpDef& op, std::string_view lines) {
  Attrs attrs;
  if (op.params) attrs.params = Params(*op.params);
  if (lines.empty()) return attrs;
  for (const std::string& line : split(lines, '\n')) {
    const size_t eq = line.find('=');
    const std::string name = line.substr(0, eq);
    const std::string_view value = std::string_view(line).substr(eq + 1);
    if (name == "output_dtype") {
      attrs.output_dtype = parse_dtype(value);
      continue;
    }
    const Field* field = nullptr;
    if (op.params) {
      for (const Field& f : op.params->fields) {
        if (name == f.name) field = &f;
      }
    }
    if (!field) throw OpError(cat(op.name, " has no parameter '", name, "'"));
    set_field(op, attrs.params, *field, value);
  }
  return attrs;
}

}  // namespace megalith::js
