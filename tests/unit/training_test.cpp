#include "megalith/training.h"

#include <doctest/doctest.h>

#include <cmath>

#include "megalith/infer.h"
#include "megalith/model.h"
#include "megalith/var.h"

using namespace megalith;

namespace {

Tensor floats(const Shape& shape, const std::vector<float>& v) {
  return Tensor::of<float>(DTypeEnum::Float32, shape, v);
}

// y = x . w + b for x of shape (2, 2)
Graph line() {
  Graph g;
  const Var x(g, g.add_input("x", DTypeEnum::Float32, {2, 2}));
  const Var w(g, g.add_constant(floats({2, 1}, {0.5F, -1.F}), "w")), b(g, g.add_constant(floats({1}, {0.25F}), "b"));
  for (NodeId n = 0; n < 3; ++n) infer_node(g, n);
  const Var y = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {emit1("MatrixMul", {x, w}), b});
  g.add_output(y.value(), "y");
  return g;
}

struct Line {
  Graph graph = line();
  std::vector<TrainedValue> weights = make_trainable(graph);
};

const std::vector<float> kX = {1, 2, 3, -1}, kTarget = {1, 0};

// The loss, and what the gradients of w0, w1 and b are, for weights (w0, w1, b).
std::array<float, 4> loss_and_gradients(const std::array<float, 3>& w) {
  std::array<float, 4> r{};
  for (size_t i = 0; i < 2; ++i) {
    const float e = kX[2 * i] * w[0] + kX[2 * i + 1] * w[1] + w[2] - kTarget[i];
    r[0] += e * e / 2;
    r[1] += e * kX[2 * i];
    r[2] += e * kX[2 * i + 1];
    r[3] += e;
  }
  return r;
}

}  // namespace

TEST_CASE("weights_are_found_and_a_bias_of_one_number_with_them") {
  Line l;
  REQUIRE(l.weights.size() == 2);
  CHECK(l.weights[0].name == "w");
  CHECK(l.weights[1].name == "b");
  Graph some = line(), none = line();
  CHECK(make_trainable(some, {"b"}).size() == 1);
  CHECK_THROWS_AS(make_trainable(none, {"c"}), Error);
}

TEST_CASE("a_training_step_follows_the_optimizers_rule_and_changes_the_shared_weights") {
  using O = OptimizerOptions;
  for (const O& o :
       {O{}, O{.momentum = 0.9F, .weight_decay = 0.1F}, O{.kind = O::kAdam}, O{.kind = O::kRmsProp, .eps = 1e-7F}}) {
    Line l;
    const TrainingStep step = training_step(l.graph, 0, LossKind::kMeanSquaredError, o);
    Model train = Model::from_graph(step.graph), forward = Model::from_graph(l.graph);
    std::array<float, 3> w = {0.5F, -1.F, 0.25F}, m{}, v{};
    const float lr = 0.1F;
    for (int t = 1; t <= 5; ++t) {
      std::map<std::string, Tensor> feeds = {
          {"x", floats({2, 2}, kX)}, {step.target, floats({2, 1}, kTarget)}, {step.learning_rate, floats({1}, {lr})}};
      const float c1 = 1 / (1 - std::pow(o.beta1, static_cast<float>(t))),
                  c2 = 1 / (1 - std::pow(o.beta2, static_cast<float>(t)));
      if (o.kind == O::kAdam) {
        feeds[step.correction1] = floats({1}, {c1});
        feeds[step.correction2] = floats({1}, {c2});
      }
      const std::array<float, 4> want = loss_and_gradients(w);
      const std::vector<Tensor> got = train.run(feeds);
      CHECK(got[0].item() == doctest::Approx(want[0]));
      for (size_t i = 0; i < 3; ++i) {
        float g = want[i + 1] + o.weight_decay * w[i];
        if (o.kind == O::kAdam) {
          m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
          v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
          g = m[i] * c1 / (std::sqrt(v[i] * c2) + o.eps);
        } else if (o.kind == O::kRmsProp) {
          v[i] = o.decay * v[i] + (1 - o.decay) * g * g;
          g /= std::sqrt(v[i] + o.eps);
        } else if (o.momentum != 0) {
          g = m[i] = o.momentum * m[i] + g;
        }
        w[i] -= lr * g;
      }
      CHECK(l.weights[0].value.item(0) == doctest::Approx(w[0]));
      CHECK(l.weights[0].value.item(1) == doctest::Approx(w[1]));
      CHECK(l.weights[1].value.item(0) == doctest::Approx(w[2]));
    }
    // The graph for inference has the same weights, and so has what is written.
    const double y = kX[0] * w[0] + kX[1] * w[1] + w[2];
    CHECK(forward.run({{"x", floats({2, 2}, kX)}})[0].item() == doctest::Approx(y));
    Model written = Model::from_graph(with_constant_weights(l.graph));
    CHECK(written.run({{"x", floats({2, 2}, kX)}})[0].item() == doctest::Approx(y));
  }
}

TEST_CASE("cross_entropy_looks_behind_a_softmax") {
  Graph g = line();
  const Var y(g, g.outputs[0].value);
  g.outputs.clear();
  const Var two = emit1("Concat", param::Axis{.axis = 1},
                        {y, emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::NEGATE}, {y})});
  const Var p = emit1("Softmax", param::Softmax{.axis = 1}, {two});
  g.add_output(p.value(), "p");
  make_trainable(g);
  const TrainingStep step = training_step(g, 0, LossKind::kCrossEntropy, {});
  Model train = Model::from_graph(step.graph);
  const std::vector<Tensor> got =
      train.run({{"x", floats({2, 2}, kX)},
                 {step.target, Tensor::of<int32_t>(DTypeEnum::Int32, {2}, std::vector<int32_t>{0, 1})},
                 {step.learning_rate, floats({1}, {0.1F})}});
  const double expected = -(std::log(got[1].item(0)) + std::log(got[1].item(3))) / 2;
  CHECK(got[0].item() == doctest::Approx(expected));
}

TEST_CASE("what_can_not_be_trained_says_so") {
  Line l;
  CHECK_THROWS_AS(training_step(l.graph, 1, LossKind::kOutput, {}), Error);
  CHECK_THROWS_AS(training_step(l.graph, 0, LossKind::kOutput, {}), Error);  // two numbers
  Graph g;
  g.add_output(g.add_input("x", DTypeEnum::Float32, {1}), "y");
  CHECK_THROWS_AS(make_trainable(g), Error);
}
