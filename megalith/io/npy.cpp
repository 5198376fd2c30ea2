#include "megalith/io/npy.h"

#include <cstring>
#include <fstream>
#include <optional>

#include "megalith/platform/file_map.h"

namespace megalith {
namespace {

std::optional<DTypeEnum> dtype_of(std::string_view descr) {
  if (descr == "<f4") return DTypeEnum::Float32;
  if (descr == "<f2") return DTypeEnum::Float16;
  if (descr == "<i4") return DTypeEnum::Int32;
  if (descr == "<i2") return DTypeEnum::Int16;
  if (descr == "<u2") return DTypeEnum::Uint16;
  if (descr == "|i1" || descr == "<i1") return DTypeEnum::Int8;
  if (descr == "|u1" || descr == "<u1") return DTypeEnum::Uint8;
  if (descr == "|b1") return DTypeEnum::Bool;
  if (descr == "<c8") return DTypeEnum::Complex64;
  return std::nullopt;
}

const char* descr_of(DType t) {
  switch (t.id) {
    case DTypeEnum::Float32: return "<f4";
    case DTypeEnum::Float16: return "<f2";
    case DTypeEnum::Int32:
    case DTypeEnum::QuantizedS32: return "<i4";
    case DTypeEnum::Int16:
    case DTypeEnum::QuantizedS16: return "<i2";
    case DTypeEnum::Uint16:
    case DTypeEnum::BFloat16: return "<u2";
    case DTypeEnum::Int8:
    case DTypeEnum::QuantizedS8: return "|i1";
    case DTypeEnum::Bool: return "|b1";
    case DTypeEnum::Complex64: return "<c8";
    default: return "|u1";
  }
}

// The value behind 'key': in the header's dictionary literal, up to `end`.
std::string_view header_value(std::string_view header, std::string_view key, char end) {
  const size_t at = header.find("'" + std::string(key) + "'");
  if (at == std::string_view::npos) throw InputError(cat(".npy header has no '", key, "'"));
  const size_t colon = header.find(':', at);
  const size_t stop = colon == std::string_view::npos ? colon : header.find(end, colon);
  if (stop == std::string_view::npos) throw InputError(cat(".npy header: no value for '", key, "'"));
  return header.substr(colon + 1, stop - colon - 1);
}

Shape parse_shape(std::string_view text) {
  Shape shape;
  int64_t v = -1;
  const size_t open = text.find('(');
  if (open == std::string_view::npos) throw InputError(".npy header: the shape is no tuple");
  for (char c : text.substr(open + 1)) {
    if (c >= '0' && c <= '9') {
      v = (v < 0 ? 0 : v) * 10 + (c - '0');
      if (v > (int64_t{1} << 48)) throw InputError(".npy header: a dimension is too large");
    } else if (c == ',') {
      if (v < 0) throw InputError(".npy header: the shape is no tuple of numbers");
      shape.push_back(v);
      v = -1;
    } else if (c != ' ') {
      throw InputError(".npy header: the shape is no tuple of numbers");
    }
  }
  if (v >= 0) shape.push_back(v);
  return shape;
}

}  // namespace

Tensor read_npy(std::span<const std::byte> bytes) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  if (bytes.size() < 12 || std::memcmp(p, "\x93NUMPY", 6) != 0) throw InputError("not a .npy file");
  const int version = p[6];
  if (version < 1 || version > 3) throw InputError(cat(".npy version ", version, " is not known"));
  const size_t head = version == 1 ? 10 : 12;
  const size_t n = version == 1 ? p[8] | (size_t{p[9]} << 8)
                                : p[8] | (size_t{p[9]} << 8) | (size_t{p[10]} << 16) | (size_t{p[11]} << 24);
  if (n > bytes.size() - head) throw InputError("truncated .npy file: the header does not fit");
  const std::string_view header(reinterpret_cast<const char*>(p) + head, n);
  std::string_view descr = header_value(header, "descr", ',');
  const size_t q0 = descr.find('\''), q1 = descr.rfind('\'');
  if (q0 == std::string_view::npos || q1 <= q0) throw InputError(".npy header: the element type is no string");
  descr = descr.substr(q0 + 1, q1 - q0 - 1);
  const bool fortran = header_value(header, "fortran_order", ',').find("True") != std::string_view::npos;
  Shape shape = parse_shape(header_value(header, "shape", ')'));
  const bool int64 = descr == "<i8";
  const std::optional<DTypeEnum> id = int64 ? DTypeEnum::Int32 : dtype_of(descr);
  if (!id)
    throw InputError(cat(".npy element type '", descr.substr(0, 32),
                         "' is not supported (use <f4 <f2 <i4 <i2 <u2 |i1 |u1 |b1 <c8)"));
  const size_t need = int64 ? tensor_bytes(DTypeEnum::Complex64, shape) : tensor_bytes(*id, shape);
  const std::byte* data = bytes.data() + head + n;
  const size_t have = bytes.size() - head - n;
  if (have < need)
    throw InputError(cat("truncated .npy file: shape ", shape, " needs ", need, " bytes, ", have, " are there"));
  Tensor t = Tensor::empty(*id, shape);
  if (int64) {
    for (int64_t i = 0; i < t.count(); ++i) {
      int64_t v;
      std::memcpy(&v, data + 8 * i, 8);
      if (v < INT32_MIN || v > INT32_MAX) throw InputError(cat(".npy value ", v, " does not fit into Int32"));
      t.data<int32_t>()[i] = static_cast<int32_t>(v);
    }
  } else {
    std::memcpy(t.data(), data, need);
  }
  if (!fortran || shape.ndim() < 2) return t;
  Layout columns(shape);
  int64_t step = 1;
  for (int i = 0; i < shape.ndim(); ++i) {
    columns.stride[i] = step;
    step *= shape[i];
  }
  return t.view(columns).to_contiguous();
}

Tensor read_npy(const std::string& path) {
  const FileMap file(path);
  try {
    return read_npy(file.bytes());
  } catch (const Error& e) {
    throw InputError(cat(path, ": ", e.what()));
  }
}

std::string npy_bytes(const Tensor& tensor) {
  const Tensor t = tensor.dtype().is_lowbit() ? unpack_lowbit(tensor) : tensor.to_contiguous();
  std::string dims;
  for (int64_t d : t.shape()) dims += std::to_string(d) + ",";
  std::string header = cat("{'descr': '", descr_of(t.dtype()), "', 'fortran_order': False, 'shape': (", dims, "), }");
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  out.append(reinterpret_cast<const char*>(t.data()), t.bytes());
  return out;
}

void write_npy(const std::string& path, const Tensor& t) {
  std::ofstream f(path, std::ios::binary);
  f << npy_bytes(t);
  if (!f.flush()) throw Error(cat("can't write ", path));
}

}  // namespace megalith
