// Every kernel of an op against its reference: on the same inputs, at one thread and at several, into results that lie
// in any order in memory.
#pragma once

#include <optional>
#include <random>

#include "megalith/op.h"

namespace megalith {

// How many of `all` random calls a test makes. MEGALITH_FEW_ROUNDS: where each takes 10 to 20 times as long, in the
// builds of `make test` with sanitizers (the preset `asan` makes them all) or for an emulated processor.
#ifdef MEGALITH_FEW_ROUNDS
constexpr int rounds(int all) { return all / 8; }
#else
constexpr int rounds(int all) { return all; }
#endif

// Random shapes, values and layouts, from a fixed seed.
class Dice {
 public:
  explicit Dice(uint32_t seed) : rng_(seed) {}
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(rng_); }
  bool one_in(int64_t n) { return pick(1, n) == 1; }
  template <class T>
  T of(std::initializer_list<T> choices) {
    return choices.begin()[pick(0, static_cast<int64_t>(choices.size()) - 1)];
  }
  // Now and then empty, of one element, or longer than a block; `rank` below 0: any.
  Shape shape(int rank = -1, int64_t most = 20000);
  // Numbers of moderate size; with `special` some are NaN, infinite, zero of either sign, denormal, huge or equal.
  Tensor floats(const Shape& shape, bool special = true);
  Tensor values(DType dtype, const Shape& shape);  // of any type, moderate
  // The same values in another place: axes permuted in memory, sliced with steps, or reversed.
  Tensor strided(const Tensor& t);
  // Memory for a result of which the axes are permuted.
  Tensor permuted(DType dtype, const Shape& shape);

 private:
  std::mt19937 rng_;
};

struct Allowed {
  double relative = 0, absolute = 0;  // both 0: the same bits, any NaN for a NaN
};

// Runs every kernel before the last that accepts the call; returns how many did. With `dice` the inputs of strided
// kernels are scattered. `permuted`: results of strided kernels may lie in any order, too.
int check_kernels(const char* op, const Params& params, const std::vector<Tensor>& in, Allowed allowed = {},
                  Dice* dice = nullptr, bool permuted = false, std::optional<DType> output_dtype = {});

}  // namespace megalith
