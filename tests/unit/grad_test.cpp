// Gradients of graphs against central differences.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "megalith/model.h"
#include "megalith/var.h"

using namespace megalith;

namespace {

Tensor ramp(const Shape& shape, float lo, float step) {
  Tensor t = Tensor::empty(DTypeEnum::Float32, shape);
  for (int64_t i = 0; i < t.count(); ++i) t.data<float>()[i] = lo + step * static_cast<float>((i * 7) % 11);
  return t;
}

Var sum(const Var& v, const Shape& ones) {
  Tensor target = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{1});
  (void)ones;
  return emit1("Reduce", param::Reduce{.mode = param::ReduceMode::SUM}, {v, target});
}

// f maps x to a scalar graph value; compares d f / d x with differences.
void check_grad(const Tensor& x0, const std::function<Var(const Var&)>& f) {
  Graph g;
  const ValueId x = g.add_input("x", DTypeEnum::Float32, x0.shape());
  const Var y = f(Var(g, x));
  const ValueId dx = grad(g, y.value(), {x})[0];
  REQUIRE(dx >= 0);
  g.add_output(y.value(), "y");
  g.add_output(dx, "dx");
  Model m = Model::from_graph(std::move(g), {.threads = 1});
  const Tensor d = m.run({{"x", x0}})[1];
  REQUIRE(d.shape() == x0.shape());
  const float h = 1e-2f;
  for (int64_t i = 0; i < x0.count(); ++i) {
    const Tensor a = x0.clone(), b = x0.clone();
    a.data<float>()[i] += h;
    b.data<float>()[i] -= h;
    const double slope = (m.run({{"x", a}})[0].item() - m.run({{"x", b}})[0].item()) / (2 * h);
    CHECK(d.item(i) == doctest::Approx(slope).epsilon(0.02).scale(1));
  }
}

}  // namespace

TEST_CASE("gradient_of_elementwise_chains") {
  const Tensor w = ramp({3}, 0.5f, 0.2f);
  check_grad(ramp({2, 3}, -1, 0.2f), [&](const Var& x) {
    Var v = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::MUL}, {x, w});
    v = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::SIGMOID}, {v});
    return sum(emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {v, x}), {});
  });
}

TEST_CASE("gradient_of_matrix_multiplication") {
  const Tensor w = ramp({3, 4}, -0.3f, 0.1f);
  check_grad(ramp({2, 3}, -1, 0.2f), [&](const Var& x) {
    const Var y = emit1("MatrixMul", param::MatrixMul{}, {x, w});
    return sum(emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::TANH}, {y}), {});
  });
}

TEST_CASE("gradient_of_a_slice_is_zero_outside_of_it") {
  const Tensor begin = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{1});
  check_grad(ramp({4, 3}, -1, 0.2f), [&](const Var& x) {
    const Var part = emit1("Subtensor", Params(param::IndexDescMaskDump{}, {0, 1, 0, 0, 0}), {x, begin});
    return sum(emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::TANH}, {part}), {});
  });
}
