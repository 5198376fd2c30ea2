// Every graph pass against the graph it started from.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "megalith/model.h"
#include "megalith/passes.h"
#include "megalith/var.h"

using namespace megalith;

namespace {

Tensor ramp(const Shape& shape, int64_t step) {
  Tensor t = Tensor::empty(DTypeEnum::Float32, shape);
  for (int64_t i = 0; i < t.count(); ++i) t.data<float>()[i] = static_cast<float>(i * step % 17) * 0.1f - 0.8f;
  return t;
}

// relu(conv(x, w) + b), and a node that nobody reads.
Graph conv_bias_relu() {
  Graph g;
  const Var x(g, g.add_input("x", DTypeEnum::Float32, {2, 3, 7, 8}));
  Attrs conv;
  conv.params = Params(param::Convolution{.pad_h = 1, .pad_w = 1});
  conv.policy = Params(param::ExecutionPolicy{});
  const Var y = emit(Registry::get().at("Convolution"), conv, {x, ramp({4, 3, 3, 3}, 5)})[0];
  const Var s = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {ramp({1, 4, 1, 1}, 3), y});
  emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::EXP}, {x});
  g.add_output(emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::RELU}, {s}).value(), "y");
  return g;
}

int count(const Graph& g, const char* op) {
  return static_cast<int>(
      std::count_if(g.nodes.begin(), g.nodes.end(), [&](const Node& n) { return std::string(n.op->name) == op; }));
}

}  // namespace

TEST_CASE("passes_keep_the_outputs_and_can_be_switched_off") {
  const Tensor in = ramp({2, 3, 7, 8}, 7);
  Model plain = Model::from_graph(conv_bias_relu(), {.optimize = false}), all = Model::from_graph(conv_bias_relu());
  CHECK(count(plain.graph(), "Convolution") == 1);
  CHECK(count(all.graph(), "Convolution") == 0);
  CHECK(count(all.graph(), "ConvBiasForward") == 1);
  CHECK(count(all.graph(), "Elemwise") == 0);
  const Tensor a = plain.run({{"x", in}})[0], b = all.run({{"x", in}})[0];
  REQUIRE(a.shape() == b.shape());
  for (int64_t i = 0; i < a.count(); ++i) CHECK(std::abs(a.item(i) - b.item(i)) <= 1e-5);
  for (const Pass& p : passes()) {
    Model without = Model::from_graph(conv_bias_relu(), {.disabled_passes = {p.name}});
    const Tensor c = without.run({{"x", in}})[0];
    for (int64_t i = 0; i < a.count(); ++i) CHECK(std::abs(a.item(i) - c.item(i)) <= 1e-5);
  }
  CHECK_THROWS_AS(Model::from_graph(conv_bias_relu(), {.disabled_passes = {"no_such_pass"}}), Error);
}
