// The vector kernels of reductions.
#include <doctest/doctest.h>

#include "tests/unit/kernel_check.h"

using namespace megalith;
using Mode = param::ReduceMode;

namespace {

// Sums of many terms with cancellation: an error relative to the terms. Infinities may cancel in another order.
Allowed allowed(Mode m, const Tensor& x) {
  if (m == Mode::MAX || m == Mode::MIN) return {};
  return {1e-4, 1e-6 * static_cast<double>(x.count())};
}

// Extremes say which of two zeros wins by order, which differs.
Tensor without_zeros(Tensor x) {
  for (float& v : x.span<float>()) v = v == 0 ? 1.f : v;
  return x;
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("reduce") {
    Dice dice(5);
    for (int round = 0; round < rounds(600); ++round) {
      const Mode m = dice.of({Mode::SUM, Mode::MEAN, Mode::SUM_SQR, Mode::PRODUCT, Mode::MIN, Mode::MAX});
      const Shape s = dice.shape(-1, m == Mode::PRODUCT ? 300 : 60000);
      if (s.count() == 0) continue;
      const bool special = m == Mode::MAX || m == Mode::MIN;
      Tensor x = without_zeros(dice.floats(s, special));
      if (m == Mode::PRODUCT) {
        for (float& v : x.span<float>()) v = v < 0 ? v * 0.2f - 0.5f : v * 0.2f + 0.5f;
      }
      if (dice.one_in(2)) {
        const auto axis = static_cast<int32_t>(dice.pick(0, s.ndim() - 1));
        check_kernels("Reduce", Params(param::Reduce{.mode = m, .axis = axis}), {x}, allowed(m, x), &dice, true);
        continue;
      }
      std::vector<int32_t> target;
      for (int d = 0; d < s.ndim(); ++d) target.push_back(dice.one_in(2) ? 1 : static_cast<int32_t>(s[d]));
      const Tensor to = Tensor::of<int32_t>(DTypeEnum::Int32, {s.ndim()}, target);
      check_kernels("Reduce", Params(param::Reduce{.mode = m, .axis = INT32_MAX}), {x, to}, allowed(m, x), &dice, true);
    }
  }

  TEST_CASE("long reductions") {
    Dice dice(6);
    for (const Shape& s : {Shape{300001}, Shape{3, 70000}, Shape{70000, 3}, Shape{20000, 40}, Shape{2, 9000, 9}}) {
      const Tensor x = dice.floats(s, false);
      for (int32_t axis = 0; axis < s.ndim(); ++axis) {
        for (const Mode m : {Mode::SUM, Mode::MEAN, Mode::MAX})
          check_kernels("Reduce", Params(param::Reduce{.mode = m, .axis = axis}), {x},
                        {1e-4, m == Mode::SUM ? 1e-2 : 1e-6}, &dice, true);
      }
    }
  }
}
