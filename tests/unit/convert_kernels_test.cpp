// The vector kernels between stored integers and floats.
#include <doctest/doctest.h>

#include "tests/unit/kernel_check.h"

using namespace megalith;

namespace {

DType stored(Dice& dice, bool quantized) {
  const DType types[] = {DType(DTypeEnum::QuantizedS8, 0.05f),
                         DType(DTypeEnum::Quantized8Asymm, 0.03f, 120),
                         DType(DTypeEnum::QuantizedS16, 0.01f),
                         DType(DTypeEnum::QuantizedS32, 0.001f),
                         DType(DTypeEnum::Int8),
                         DType(DTypeEnum::Uint8),
                         DType(DTypeEnum::Int16),
                         DType(DTypeEnum::Int32),
                         DType(DTypeEnum::Uint16),
                         DType(DTypeEnum::Bool),
                         DType(DTypeEnum::Float16),
                         DType(DTypeEnum::BFloat16)};
  return types[dice.pick(0, quantized ? 3 : 11)];
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("type conversions") {
    Dice dice(17);  // "lowbit" is the last kernel here, so that the reference runs as well
    for (int round = 0; round < rounds(400); ++round) {
      const Shape s = dice.shape();
      const DType from = stored(dice, false), to = stored(dice, false);
      Tensor x = dice.floats(s), q = dice.values(from, s);
      if (dice.one_in(3)) {
        const float scale = dice.of({1e-4f, 1e-5f, 1e-7f, 1e4f, 1e9f});
        for (float& v : x.span<float>()) v *= scale;
      }
      CHECK(check_kernels("TypeCvt", Params(param::TypeCvt{.dtype = to}), {x}, {}, &dice, true) == 2);
      CHECK(check_kernels("TypeCvt", Params(param::TypeCvt{.dtype = DTypeEnum::Float32}), {q}, {}, &dice, true) == 2);
      if (from == to) continue;
      CHECK(check_kernels("TypeCvt", Params(param::TypeCvt{.dtype = to}), {q}, {}, &dice, true) == 2);
    }
  }

  TEST_CASE("quantized elementwise") {
    Dice dice(18);
    using Mode = param::ElemwiseMultiTypeMode;
    for (int round = 0; round < rounds(100); ++round) {
      const Shape s = dice.shape();
      const DType from = stored(dice, true), to = stored(dice, true);
      const Mode m = dice.of({Mode::QADD, Mode::QFUSE_ADD_RELU, Mode::QMUL, Mode::QMAX});
      CHECK(check_kernels("ElemwiseMultiType", Params(param::ElemwiseMultiType{.mode = m}),
                          {dice.values(from, s), dice.values(from, s)}, {}, &dice, true, to) == 2);
    }
  }
}
