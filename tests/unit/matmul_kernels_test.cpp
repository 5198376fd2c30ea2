// The fast kernels of matrix products: packed, in pieces, and in place.
#include <doctest/doctest.h>

#include "megalith/op.h"
#include "tests/unit/kernel_check.h"

using namespace megalith;

namespace {

Tensor matrix(Dice& dice, bool transposed, int64_t rows, int64_t cols, int64_t batch = 0) {
  Shape s = transposed ? Shape{cols, rows} : Shape{rows, cols};
  if (batch > 0) s.insert(0, batch);
  return dice.floats(s, false);
}

// What is multiplied, frozen or not: kernels may keep frozen operands in an order of their own.
int check_product(Dice& dice, int64_t m, int64_t n, int64_t k, int64_t batch = 0) {
  const param::MatrixMul p{.transposeA = dice.one_in(2), .transposeB = dice.one_in(2)};
  const Tensor a = matrix(dice, p.transposeA, m, k, batch), b = matrix(dice, p.transposeB, k, n, batch);
  if (dice.one_in(2)) b.storage()->freeze();
  const Allowed sums{.relative = 2e-5, .absolute = 2e-6 * static_cast<double>(k) + 1e-4};
  return check_kernels(batch > 0 ? "BatchedMatrixMul" : "MatrixMul", p, {a, b}, sums, &dice);
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("matrix products") {
    Dice dice(31);
    int ran = 0;
    for (int i = 0; i < rounds(150); ++i) {
      const auto size = [&] { return dice.one_in(20) ? 0 : dice.one_in(4) ? dice.pick(1, 300) : dice.pick(1, 40); };
      const int64_t m = size(), n = size(), k = size();
      ran += check_product(dice, m, n, k, dice.one_in(3) ? dice.pick(1, 6) : 0);
    }
    CHECK(ran == rounds(150));
  }

  TEST_CASE("matrix products of floats of 16 bits") {
    Dice dice(34);
    int ran = 0;
    for (int i = 0; i < rounds(150); ++i) {
      const auto size = [&] { return dice.one_in(30) ? 0 : dice.one_in(4) ? dice.pick(1, 200) : dice.pick(1, 40); };
      const int64_t m = size(), n = size(), k = size(), batch = dice.one_in(3) ? dice.pick(1, 6) : 0;
      param::MatrixMul p{.transposeA = dice.one_in(2), .transposeB = dice.one_in(2)};
      const DType type = dice.of({DTypeEnum::Float16, DTypeEnum::Float16, DTypeEnum::BFloat16});
      if (dice.one_in(3)) p.compute_mode = param::ComputeMode::FLOAT32;
      const Tensor a = dice.values(type, matrix(dice, p.transposeA, m, k, batch).shape());
      const Tensor b = dice.values(type, matrix(dice, p.transposeB, k, n, batch).shape());
      const bool steps = type.id == DTypeEnum::Float16 && p.compute_mode == param::ComputeMode::DEFAULT;
      const Allowed rounded{.relative = type.id == DTypeEnum::Float16 ? 0.001 : 0.01, .absolute = 0.01};
      ran += check_kernels(batch > 0 ? "BatchedMatrixMul" : "MatrixMul", p, {a, b}, steps ? Allowed{} : rounded, &dice);
    }
    CHECK(ran == rounds(150));
  }

  TEST_CASE("matrix products of bytes") {
    Dice dice(33);
    using D = DTypeEnum;
    int ran = 0;
    for (int i = 0; i < rounds(150); ++i) {
      const auto size = [&] { return dice.one_in(30) ? 0 : dice.one_in(4) ? dice.pick(1, 300) : dice.pick(1, 40); };
      const int64_t m = size(), n = size(), k = size(), batch = dice.one_in(3) ? dice.pick(1, 6) : 0;
      const param::MatrixMul p{.transposeA = dice.one_in(2), .transposeB = dice.one_in(2)};
      const D id = dice.of({D::QuantizedS8, D::Quantized8Asymm, D::Int8, D::Uint8});
      const auto type = [&](float scale) {
        if (id == D::QuantizedS8) return DType(id, scale);
        return id == D::Quantized8Asymm ? DType(id, scale, static_cast<uint8_t>(dice.pick(0, 255))) : DType(id);
      };
      const DType to = dice.one_in(2)   ? DType(D::Byte)
                       : dice.one_in(2) ? DType(D::QuantizedS8, 0.7f)
                       : dice.one_in(2) ? DType(D::Quantized8Asymm, 0.9f, 77)
                                        : DType(D::Float32);
      const auto operand = [&](DType d, bool transposed, int64_t rows, int64_t cols) {
        return dice.values(d, matrix(dice, transposed, rows, cols, batch).shape());
      };
      const Tensor a = operand(type(0.1f), p.transposeA, m, k), b = operand(type(0.02f), p.transposeB, k, n);
      if (dice.one_in(2)) b.storage()->freeze();
      ran += check_kernels(batch > 0 ? "BatchedMatrixMul" : "MatrixMul", p, {a, b}, {}, &dice, false, to);
    }
    CHECK(ran == rounds(150));
  }

  TEST_CASE("long and narrow matrix products") {
    Dice dice(32);
    for (int64_t n : {1, 2, 5, 7, 8, 9}) {
      for (int64_t m : {1, 3, 70}) CHECK(check_product(dice, m, n, 17000) == 1);
    }
  }
}
