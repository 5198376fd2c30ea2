// Copies between layouts, and the ops that are made of them.
#include <doctest/doctest.h>

#include <cstring>

#include "megalith/ops/op_util.h"
#include "megalith/platform/thread_pool.h"
#include "tests/unit/kernel_check.h"

using namespace megalith;

namespace {

DType any_type(Dice& dice) {
  return dice.of<DTypeEnum>({DTypeEnum::Float32, DTypeEnum::Float32, DTypeEnum::Float16, DTypeEnum::Uint8});
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("strided copies") {
    Dice dice(7);
    ThreadPool pool(3);
    Exec one, three(&pool);
    for (int round = 0; round < rounds(600); ++round) {
      const Shape s = dice.shape(-1, dice.one_in(8) ? 400000 : 20000);
      const DType t = any_type(dice);
      const Tensor src = dice.strided(dice.values(t, s)), want = Tensor::empty(t, s);
      copy_plain(src, want, one);
      for (Exec* exec : {&one, &three}) {
        const Tensor got = dice.permuted(t, s), plain = Tensor::empty(t, s);
        copy_strided(src, got, *exec);
        copy_plain(got, plain, one);
        CHECK(std::memcmp(plain.data(), want.data(), want.bytes()) == 0);
      }
    }
  }

  TEST_CASE("ops that move elements") {
    Dice dice(8);
    for (int round = 0; round < rounds(200); ++round) {
      const DType t = any_type(dice);
      const Shape s = dice.shape();
      const auto axis = static_cast<int32_t>(dice.pick(0, s.ndim() - 1));
      std::vector<Tensor> parts;
      for (int64_t i = dice.pick(1, 4); i > 0; --i) {
        Shape part = s;
        part[axis] = dice.pick(0, 20);
        parts.push_back(dice.values(t, part));
      }
      CHECK(check_kernels("Concat", Params(param::Axis{axis}), parts, {}, &dice, true) == 1);
    }
  }

  TEST_CASE("relayout_format") {
    Dice dice(9);
    int ran = 0;
    using D = DTypeEnum;
    for (int round = 0; round < rounds(3000); ++round) {
      param::RelayoutFormat p;
      p.mode = static_cast<param::RelayoutFormatMode>(dice.pick(0, 31));
      p.group = static_cast<uint32_t>(dice.of<int64_t>({1, 1, 2, 3}));
      if (dice.one_in(4)) p.oc = static_cast<uint32_t>(p.group * dice.pick(1, 5));
      Shape s;
      for (int64_t d = dice.pick(4, 5); d > 0; --d) s.push_back(dice.of<int64_t>({1, 2, 3, 4, 8, 12, 17, 64}));
      if (s.ndim() == 5) s[4] = dice.of<int64_t>({4, 4, 8, 64, 1, 3});
      if (s.count() > int64_t{1} << 18) continue;
      const DType types[] = {DType(D::Float32), DType(D::QuantizedS8, 0.1f), DType(D::Quantized8Asymm, 0.2f, 33),
                             DType(D::Uint8), DType(D::QuantizedS32, 0.3f)};
      const DType from = types[dice.pick(0, 4)];
      std::optional<DType> to;
      if (from.bits() == 8 && dice.one_in(2)) to = DType(D::QuantizedS8, 0.15f);
      const Tensor x = dice.values(from, s);
      CAPTURE(from.str());
      CAPTURE(to ? to->str() : "");
      try {
        ran += check_kernels("RelayoutFormat", Params(p), {x}, {}, &dice, true, to);
      } catch (const OpError&) {  // the mode does not take the shape
      }
    }
    CHECK(ran > rounds(300));
  }
}
