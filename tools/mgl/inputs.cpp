#include "tools/mgl/inputs.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "megalith/io/npy.h"
#include "megalith/platform/limits.h"
#include "tools/mgl/commands.h"

namespace mgl {
namespace {

using megalith::cat;
using megalith::DType;
using megalith::DTypeEnum;
using megalith::InputError;
using megalith::Shape;
using megalith::Tensor;
using nlohmann::json;

bool ends_with(const std::string& s, const std::string& tail) {
  return s.size() >= tail.size() && s.compare(s.size() - tail.size(), tail.size(), tail) == 0;
}

size_t half_of_memory() {
  const uint64_t bytes = megalith::usable_memory();
  return bytes ? static_cast<size_t>(bytes / 2) : SIZE_MAX / 2;
}

Tensor generated(DType dtype, const Shape& shape, const InputOptions& o) {
  Tensor t = Tensor::empty(dtype, shape);
  if (o.ones_bytes) {
    std::memset(t.data(), 1, t.bytes());
    return t;
  }
  uint64_t x = o.seed * 0x9e3779b97f4a7c15u + 1;
  const auto next = [&] {
    x = x * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(x >> 33);
  };
  if (dtype.id == DTypeEnum::Float32) {
    for (int64_t i = 0; i < t.count(); ++i) t.data<float>()[i] = static_cast<float>(next() >> 7) * 0x1p-24f;
  } else if (dtype.id == DTypeEnum::Float16) {
    for (int64_t i = 0; i < t.count(); ++i)
      t.data<megalith::half>()[i] = megalith::half(static_cast<float>(next() >> 7) * 0x1p-24f);
  } else if (dtype.id == DTypeEnum::Int32) {
    for (int64_t i = 0; i < t.count(); ++i) t.data<int32_t>()[i] = static_cast<int32_t>(next() & 1);
  } else if (dtype.id == DTypeEnum::Bool) {
    for (int64_t i = 0; i < t.count(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(next() & 1);
  } else {
    for (size_t i = 0; i < t.bytes(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(next() & 127);
  }
  return t;
}

// Binary PGM and PPM: uint8 (1, H, W, C).
Tensor read_pnm(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  if (!f) throw InputError(cat("can't open ", path));
  std::string magic;
  int64_t v[3] = {};
  f >> magic;
  for (int64_t& n : v) {
    while (f >> std::ws && f.peek() == '#') f.ignore(1 << 16, '\n');
    f >> n;
  }
  f.get();
  if ((magic != "P5" && magic != "P6") || !f || v[0] <= 0 || v[1] <= 0 || v[0] > 65536 || v[1] > 65536 || v[2] != 255) {
    throw InputError(cat(path, ": not a binary PGM or PPM image with 255 levels"));
  }
  const Shape shape{1, v[1], v[0], magic == "P6" ? 3 : 1};
  const auto begin = f.tellg();
  const auto left = f.seekg(0, std::ios::end).tellg() - begin;
  if (left < shape.count()) throw InputError(cat(path, ": an image of shape ", shape, " in ", left, " bytes"));
  f.seekg(begin);
  Tensor t = Tensor::empty(DTypeEnum::Uint8, shape);
  if (!f.read(t.data<char>(), static_cast<std::streamsize>(t.bytes())))
    throw InputError(cat(path, ": truncated image"));
  return t;
}

DType dtype_of(const std::string& name) {
  for (const auto& [n, id] : {std::pair("float32", DTypeEnum::Float32),
                              {"float", DTypeEnum::Float32},
                              {"int32", DTypeEnum::Int32},
                              {"int", DTypeEnum::Int32},
                              {"int8", DTypeEnum::Int8},
                              {"uint8", DTypeEnum::Uint8}}) {
    if (name == n) return id;
  }
  throw InputError(cat("unknown element type '", name, "' (float32, int32, int8, uint8)"));
}

Tensor fill(DType dtype, const Shape& shape, const std::vector<double>& values) {
  if (static_cast<int64_t>(values.size()) != shape.count())
    throw InputError(cat("shape ", shape, " needs ", shape.count(), " values, not ", values.size()));
  Tensor t = Tensor::empty(dtype, shape);
  for (size_t i = 0; i < values.size(); ++i) {
    const bool fits = values[i] >= INT32_MIN && values[i] <= INT32_MAX;
    if (dtype.id != DTypeEnum::Float32 && !fits) throw InputError(cat(values[i], " is no ", dtype.str()));
    switch (dtype.id) {
      case DTypeEnum::Float32: t.data<float>()[i] = static_cast<float>(values[i]); break;
      case DTypeEnum::Int32: t.data<int32_t>()[i] = static_cast<int32_t>(values[i]); break;
      default: t.data<uint8_t>()[i] = static_cast<uint8_t>(static_cast<int32_t>(values[i]));
    }
  }
  return t;
}

Shape dimensions(const json& j) {
  Shape shape;
  const bool sizes = j.is_array() && std::all_of(j.begin(), j.end(), [](const json& d) {
                       return d.is_number_unsigned() && d.get<uint64_t>() <= INT32_MAX;
                     });
  if (!sizes) throw InputError("a shape must be a list of sizes");
  for (const json& d : j) shape.push_back(d.get<int64_t>());
  return shape;
}

void flatten(const json& j, Shape& shape, std::vector<double>& values, int depth) {
  if (!j.is_array()) {
    if (!j.is_number() || depth != shape.ndim()) throw InputError("a literal input must be a regular array of numbers");
    values.push_back(j.get<double>());
    return;
  }
  const auto n = static_cast<int64_t>(j.size());
  if (depth == shape.ndim() && values.empty()) shape.push_back(n);
  if (depth >= shape.ndim() || shape[depth] != n)
    throw InputError("a literal input must be a regular array of numbers");
  for (const json& e : j) flatten(e, shape, values, depth + 1);
}

Tensor literal(const std::string& text) {
  const json j = json::parse(text, nullptr, false);
  if (j.is_discarded()) throw InputError(cat("can't read the literal ", text.substr(0, 60)));
  Shape shape;
  std::vector<double> values;
  flatten(j, shape, values, 0);
  return fill(text.find('.') != std::string::npos ? DTypeEnum::Float32 : DTypeEnum::Int32, shape, values);
}

void read_json(const std::string& path, std::map<std::string, Tensor>& feeds) {
  std::ifstream f(path);
  std::error_code ignored;
  if (!f || std::filesystem::is_directory(path, ignored)) throw InputError(cat("can't open ", path));
  const json j = json::parse(f, nullptr, false);
  if (!j.is_object()) throw InputError(cat(path, ": not a JSON object of inputs"));
  for (const auto& [name, v] : j.items()) {
    try {
      feeds[name] = fill(dtype_of(v.at("type")), dimensions(v.at("shape")), v.at("raw").get<std::vector<double>>());
    } catch (const json::exception& e) {
      throw InputError(cat(path, ": input '", name, "' needs shape, type and raw (", e.what(), ")"));
    }
  }
}

}  // namespace

std::map<std::string, Tensor> make_feeds(const megalith::Model& model, const std::string& text,
                                         const InputOptions& options) {
  std::map<std::string, Tensor> feeds;
  const auto inputs = model.inputs();
  const size_t limit = options.memory_limit ? options.memory_limit : half_of_memory();
  size_t left = limit;
  const auto generate = [&](const std::string& name, DType dtype, const Shape& shape) {
    const size_t bytes = megalith::tensor_bytes(dtype, shape);
    if (bytes > left) {
      throw InputError(cat("input '", name, "': shape ", shape, " of type ", dtype.name(), " needs ", bytes,
                           " bytes; the memory limit for generated inputs is ", limit,
                           left < limit ? cat(", of which ", left, " are left") : ""));
    }
    left -= bytes;
    feeds[name] = generated(dtype, shape, options);
  };
  std::stringstream parts(text);
  for (std::string part; std::getline(parts, part, ';');) {
    if (part.empty()) continue;
    std::string name, value = part;
    const size_t colon = part.find(':');
    if (colon != std::string::npos && part[0] != '[' && part[0] != '{') {
      name = part.substr(0, colon);
      value = part.substr(colon + 1);
    }
    if (ends_with(value, ".json")) {
      read_json(value, feeds);
      continue;
    }
    if (name.empty()) name = inputs.size() == 1 ? inputs[0].name : "data";
    if (ends_with(value, ".npy")) {
      feeds[name] = megalith::read_npy(value);
    } else if (ends_with(value, ".ppm") || ends_with(value, ".pgm")) {
      feeds[name] = read_pnm(value);
    } else if (!value.empty() && value[0] == '[') {
      feeds[name] = literal(value);
    } else if (!value.empty() && value[0] == '{') {
      if (value.back() != '}') throw InputError(cat("can't read the shape ", value));
      const json dims = json::parse("[" + value.substr(1, value.find('}') - 1) + "]", nullptr, false);
      DType dtype;
      for (const auto& i : inputs) {
        if (i.name == name) dtype = i.dtype;
      }
      generate(name, dtype, dimensions(dims));
    } else {
      throw InputError(
          cat("input '", name, "': '", value, "' is no .npy, .ppm, .pgm or .json file, no [literal] and no {shape}"));
    }
  }
  for (const auto& i : inputs) {
    if (feeds.count(i.name) || i.has_default) continue;
    Shape shape = i.shape;
    if (options.batch > 0 && shape.ndim() > 0) shape[0] = options.batch;
    generate(i.name, i.dtype, shape);
  }
  return feeds;
}

}  // namespace mgl
