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
    for (int round = 0; round < 600; ++round) {
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
    for (int round = 0; round < 200; ++round) {
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
}
