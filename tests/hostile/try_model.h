// Does with a model file what a program that trusts nobody does: load, optimize, write again, plan and run with made-up
// inputs under a memory limit. Returns the Error's text, or nothing on success; whatever else is thrown escapes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <span>
#include <string>

#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"
#include "megalith/model.h"

namespace hostile {

// A small generator whose numbers are the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  size_t below(size_t n) { return n ? next() % n : 0; }
  template <class C>
  auto pick(const C& c) {
    return c[below(std::size(c))];
  }

 private:
  uint64_t state_;
};

// Mostly harmless values, sometimes ones that are no index, no size and no probability.
inline megalith::Tensor made_up(megalith::DType dtype, megalith::Shape shape, size_t limit, Random& random) {
  using megalith::DTypeEnum;
  for (int i = 0; i < shape.ndim(); ++i) {
    while (shape[i] > 1 && megalith::tensor_bytes(dtype, shape) > limit) shape[i] /= 2;
  }
  megalith::Tensor t = megalith::Tensor::zeros(dtype, shape);
  const bool wild = random.below(4) == 0;
  if (dtype.id == DTypeEnum::Float32) {
    for (float& v : t.span<float>()) {
      v = static_cast<float>(random.below(1 << 16)) * 0x1p-13f - 4;
      if (wild && random.below(8) == 0) v = random.pick(std::array{1e38f, -1e38f, std::nanf(""), 0.f, 3e9f, 1e-40f});
    }
  } else if (dtype.id == DTypeEnum::Int32) {
    for (int32_t& v : t.span<int32_t>()) {
      v = static_cast<int32_t>(random.below(4));
      if (wild && random.below(4) == 0) v = random.pick(std::array{-1, -5, 100, 1 << 20, INT32_MAX, INT32_MIN});
    }
  } else {
    for (size_t i = 0; i < t.bytes(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(random.next());
    if (dtype.id == DTypeEnum::Bool) {
      for (size_t i = 0; i < t.bytes(); ++i) t.data<uint8_t>()[i] &= 1;
    }
  }
  return t;
}

inline std::string try_model(std::span<const std::byte> file, size_t memory_limit) {
  using namespace megalith;
  uint64_t seed = file.size();
  for (std::byte b : file) seed = (seed ^ static_cast<uint64_t>(b)) * 0x100000001b3u;
  Random random(seed);
  try {
    MgeFile read = read_mge(file, nullptr);
    for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
      std::string again;
      try {
        again = write_mge(read.graph, {.format = format});
      } catch (const Error&) {
        continue;
      }
      if (read_mge(std::as_bytes(std::span(again)), nullptr).graph.outputs.size() != read.graph.outputs.size())
        throw std::logic_error("a rewritten model has another number of outputs");
    }
    Model model = Model::load(file, {.threads = 1, .memory_limit = memory_limit});
    std::map<std::string, Tensor> feeds;
    for (const InputInfo& in : model.inputs()) {
      if (!in.has_default) feeds[in.name] = made_up(in.dtype, in.shape, memory_limit / 8, random);
    }
    if (read.cases.empty()) read.cases = {feeds, feeds};
    for (const auto& c : read.cases) model.run(c);
    return {};
  } catch (const Error& e) {
    return e.what()[0] ? e.what() : throw std::logic_error("an error that says nothing");
  }
}

}  // namespace hostile
