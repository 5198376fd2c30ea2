// The fast kernels of sorting and of choice by value or index.
#include <doctest/doctest.h>

#include "tests/unit/kernel_check.h"

using namespace megalith;

namespace {

// Many equal ones, NaN, infinities and zeros of both signs among them.
Tensor rows_of_values(Dice& dice, const Shape& s) {
  const DType types[] = {DType(DTypeEnum::Float32), DType(DTypeEnum::Float32), DType(DTypeEnum::Float16),
                         DType(DTypeEnum::Int32),   DType(DTypeEnum::Uint8),   DType(DTypeEnum::Int8),
                         DType(DTypeEnum::Int16),   DType(DTypeEnum::Bool)};
  const DType t = types[dice.pick(0, 7)];
  if (t.id == DTypeEnum::Float32) return dice.floats(s);
  Tensor x = dice.values(t, s);
  if (t.id == DTypeEnum::Int32) x.data<int32_t>()[0] = INT32_MIN;
  return x;
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("sorted rows") {
    Dice dice(41);
    using Order = param::ArgsortOrder;
    using Mode = param::TopKMode;
    for (int round = 0; round < rounds(300); ++round) {
      const int64_t n = dice.one_in(4) ? dice.pick(500, 3000) : dice.pick(1, 60);
      const Tensor x = rows_of_values(dice, {dice.pick(1, 4), n});
      CHECK(check_kernels("Argsort", Params(param::Argsort{dice.of({Order::ASCENDING, Order::DESCENDING})}), {x}) == 1);
      int64_t k = dice.one_in(3) ? dice.pick(1, std::min<int64_t>(n, 5)) : dice.pick(1, n + 2);
      if (dice.one_in(2)) k = -k;
      const Tensor count = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, {{static_cast<int32_t>(k)}});
      const Mode mode = dice.of({Mode::KTH_ONLY, Mode::VALUE_IDX_NOSORT, Mode::VALUE_IDX_SORTED});
      CHECK(check_kernels("TopK", Params(param::TopK{mode}), {x, count}) == 1);
    }
  }

  TEST_CASE("what is taken by a condition") {
    Dice dice(42);
    using Mode = param::CondTakeMode;
    for (int round = 0; round < rounds(200); ++round) {
      const Shape s = dice.shape();
      param::CondTake p{.mode = dice.of({Mode::LT, Mode::LEQ, Mode::GT, Mode::GEQ}), .val = 0.5f};
      Tensor mask = dice.floats(s);
      if (dice.one_in(2)) {
        p = {.mode = Mode::EQ, .val = 1};
        mask = dice.values(DTypeEnum::Bool, s);
      }
      const DType type = dice.of<DTypeEnum>({DTypeEnum::Float32, DTypeEnum::Float16, DTypeEnum::Uint8});
      CHECK(check_kernels("CondTake", Params(p), {dice.values(type, s), mask}) == 1);
    }
  }

  TEST_CASE("one element along an axis") {
    Dice dice(43);
    for (int round = 0; round < rounds(200); ++round) {
      Shape s;
      for (int64_t d = dice.pick(1, 4); d > 0; --d) s.push_back(dice.of<int64_t>({1, 2, 3, 10, 33}));
      const auto axis = static_cast<int32_t>(dice.pick(0, s.ndim() - 1));
      Shape index = s, value = s;
      index.erase(axis);
      if (index.ndim() == 0) index.push_back(1);
      value[axis] = 1;
      Tensor at = Tensor::empty(DTypeEnum::Int32, index);
      for (int32_t& v : at.span<int32_t>()) v = static_cast<int32_t>(dice.pick(0, s[axis] - 1));
      const DType type = dice.of<DTypeEnum>({DTypeEnum::Float32, DTypeEnum::Float16, DTypeEnum::Uint8});
      const Tensor x = dice.values(type, s);
      CHECK(check_kernels("IndexingOneHot", Params(param::Axis{axis}), {x, at}) == 1);
      CHECK(check_kernels("IndexingSetOneHot", Params(param::Axis{axis}), {x, at, dice.values(type, value)}) == 1);
    }
  }

  TEST_CASE("reciprocal roots") {
    Dice dice(44);
    for (int round = 0; round < rounds(60); ++round)
      CHECK(check_kernels("PowC", Params(param::PowC{.exp = -0.5f}), {dice.floats(dice.shape())}, {2e-7, 0}, &dice,
                          true) == 1);
  }
}
