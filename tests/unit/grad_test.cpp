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

namespace {

Var call(param::ElemwiseMode m, const std::vector<Var>& in) {
  return emit1("Elemwise", param::Elemwise{.mode = m}, in);
}

int count_ops(const Graph& g, std::string_view op) {
  int n = 0;
  for (const Node& node : g.nodes) n += node.op->name == op;
  return n;
}

}  // namespace

TEST_CASE("gradient_of_an_input_used_twice_is_the_sum") {
  check_grad(ramp({2, 3}, -1, 0.2f), [&](const Var& x) {
    const Var y = call(param::ElemwiseMode::MUL, {x, call(param::ElemwiseMode::SIN, {x})});
    return sum(call(param::ElemwiseMode::ADD, {y, x}), {});
  });
}

TEST_CASE("gradient_flows_through_values_whose_shape_depends_on_data") {
  const Tensor mask = Tensor::of<float>(DTypeEnum::Float32, {2, 3}, std::vector<float>{1, 0, 1, 1, 0, 0});
  check_grad(ramp({2, 3}, -1, 0.2f), [&](const Var& x) {
    const Var taken = emit1("CondTake", param::CondTake{.mode = param::CondTakeMode::EQ, .val = 1}, {x, mask});
    return sum(call(param::ElemwiseMode::TANH, {call(param::ElemwiseMode::MUL, {taken, taken})}), {});
  });
}

TEST_CASE("gradient_flows_through_views_and_through_one_of_several_outputs") {
  const auto number = [](int32_t v) {
    return Var(Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{v}));
  };
  check_grad(ramp({4, 3}, -1, 0.2f), [&](const Var& x) {
    Attrs attrs;
    attrs.params = param::Axis{0};
    const Var part = emit(Registry::get().at("Split"), attrs, {x, number(1), number(3)})[1];
    const Var turned = emit1("Dimshuffle", Params(param::Dimshuffle{.ndim = 2}, {1, 0}), {part});
    return sum(call(param::ElemwiseMode::SIGMOID, {turned}), {});
  });
}

TEST_CASE("a_gradient_emits_only_what_is_wanted") {
  Graph g;
  const Var x(g, g.add_input("x", DTypeEnum::Float32, {1, 1, 4, 4}));
  const Var w(g, g.add_input("w", DTypeEnum::Float32, {1, 1, 3, 3}));
  const Var y = sum(emit1("Convolution", param::Convolution{}, {x, w}), {});
  CHECK(grad(g, y.value(), {w.value()})[0] >= 0);
  CHECK(count_ops(g, "ConvolutionBackwardFilter") == 1);
  CHECK(count_ops(g, "ConvolutionBackwardData") == 0);
  // d / y is made once for both operands: with the seed spread, its negative times the result, and two sums.
  Graph h;
  const Var a(h, h.add_input("a", DTypeEnum::Float32, {2})), b(h, h.add_input("b", DTypeEnum::Float32, {2}));
  const Var z = sum(call(param::ElemwiseMode::TRUE_DIV, {a, b}), {});
  const int before = count_ops(h, "Elemwise");
  grad(h, z.value(), {a.value(), b.value()});
  CHECK(count_ops(h, "Elemwise") - before == 3);
}

TEST_CASE("integers_have_no_gradient") {
  Graph g;
  const Var x(g, g.add_input("x", DTypeEnum::Float32, {4}));
  const Var i(g, g.add_input("i", DTypeEnum::Int32, {2}));
  const Var at = emit1("IndexingMultiAxisVec", Params(param::IndexDescMaskDump{}, {0, 0, 0, 0, 1}), {x, i});
  const Var y = sum(at, {});
  const std::vector<ValueId> d = grad(g, y.value(), {x.value(), i.value()});
  CHECK(d[0] >= 0);
  CHECK(d[1] == -1);
  // Nothing flows through an integer on the way either.
  const Var whole = emit1("TypeCvt", param::TypeCvt{.dtype = DTypeEnum::Int32}, {x});
  const Var z = sum(emit1("TypeCvt", param::TypeCvt{.dtype = DTypeEnum::Float32}, {whole}), {});
  CHECK(grad(g, z.value(), {x.value()})[0] == -1);
}

TEST_CASE("the_gradient_has_the_type_of_its_input") {
  Graph g;
  const Var x(g, g.add_input("x", DTypeEnum::Float16, {2, 3}));
  Var v = call(param::ElemwiseMode::LOG1P, {call(param::ElemwiseMode::SQUARE, {x})});
  v = emit1("Reduce", param::Reduce{.mode = param::ReduceMode::MEAN, .axis = 1}, {v});
  v = emit1("TypeCvt", param::TypeCvt{.dtype = DTypeEnum::Float32}, {call(param::ElemwiseMode::ERF, {v})});
  const ValueId d = grad(g, sum(v, {}).value(), {x.value()})[0];
  REQUIRE(d >= 0);
  g.add_output(d, "d");
  Model m = Model::from_graph(std::move(g), {.threads = 1});
  const Tensor half =
      emit1("TypeCvt", param::TypeCvt{.dtype = DTypeEnum::Float16}, {Var(ramp({2, 3}, 0.1f, 0.1f))}).tensor();
  const Tensor got = m.run({{"x", half}})[0];
  CHECK(got.dtype().id == DTypeEnum::Float16);
  const float a = static_cast<float>(half.item(0)), b = static_cast<float>(half.item(1)),
              c = static_cast<float>(half.item(2));
  const float mean = (std::log1p(a * a) + std::log1p(b * b) + std::log1p(c * c)) / 3;
  CHECK(got.item(0) == doctest::Approx(1.1283792 * std::exp(-mean * mean) * 2 * a / (1 + a * a) / 3).epsilon(0.01));
}

TEST_CASE("an_op_without_a_gradient_is_named") {
  Graph g;
  const Var x(g, g.add_input("x", DTypeEnum::Float32, {2}));
  const Var y = sum(emit1("GammaRNG", param::GammaRNG{}, {x, x}), {});
  CHECK_THROWS_WITH_AS(grad(g, y.value(), {x.value()}), doctest::Contains("GammaRNG"), UnsupportedError);
  CHECK_THROWS_AS(grad(g, x.value(), {x.value()}), Error);  // no single number
  // Off the path it does no harm.
  const Var z = sum(call(param::ElemwiseMode::ADD,
                         {x, emit1("GammaRNG", param::GammaRNG{}, {Var(ramp({2}, 1, 1)), Var(ramp({2}, 1, 1))})}),
                    {});
  CHECK(grad(g, z.value(), {x.value()})[0] >= 0);
}

TEST_CASE("a_variable_that_the_loss_does_not_use_has_no_gradient") {
  Graph g;
  const Var x(g, g.add_input("x", DTypeEnum::Float32, {2})), unused(g, g.add_input("u", DTypeEnum::Float32, {2}));
  const Var y = sum(x, {});
  const std::vector<ValueId> d = grad(g, y.value(), {unused.value(), x.value()});
  CHECK(d[0] == -1);
  CHECK(d[1] >= 0);
  CHECK(grad(g, y.value(), {y.value()})[0] >= 0);  // the loss itself: one
}
