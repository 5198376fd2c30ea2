// grad() against the gradients that MegEngine 1.13 recorded: every case under grad/ of the golden cases holds y and,
// for an upstream gradient dy, the gradients of the inputs in order.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "megalith/io/npy.h"
#include "megalith/model.h"
#include "megalith/var.h"

using namespace megalith;
namespace fs = std::filesystem;

namespace {

// The largest error beyond atol 1e-4, rtol 1e-3; below 1 is right.
double error(const Tensor& got, const Tensor& want) {
  if (!(got.shape() == want.shape())) return INFINITY;
  double worst = 0;
  for (int64_t i = 0; i < got.count(); ++i) {
    const double e = std::fabs(got.item(i) - want.item(i)) / (1e-4 + 1e-3 * std::fabs(want.item(i)));
    if (!(e <= worst)) worst = std::isnan(e) ? INFINITY : e;
  }
  return worst;
}

Tensor sum_of_rows(const Tensor& t) {
  return emit1("Reshape",
               {emit1("Reduce", param::Reduce{.axis = 0}, {Var(t)}),
                Var(Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{static_cast<int32_t>(t.dim(1))}))})
      .tensor();
}

void check_case(const fs::path& dir) {
  const Model recorded = Model::load((dir / "model_v2.mge").string());
  Graph g = recorded.original();
  const ValueId y = g.outputs[0].value;
  g.outputs.resize(1);
  std::map<std::string, ValueId> values;
  std::map<std::string, Tensor> feeds;
  std::vector<std::string> names;
  for (const NodeId n : g.inputs()) {
    names.push_back(g.input_name(n));
    values[names.back()] = g.node(n).outputs[0];
    feeds[names.back()] = read_npy((dir / ("in_" + names.back() + ".npy")).string());
  }
  // The order of the gradients is that of the recorded function's arguments, where the file has another one.
  const std::string name = dir.filename().string();
  if (name == "conv_transpose2d") names = {"x", "w"};
  if (name == "lstm_elementary") names = {"x", "h", "c", "w"};
  if (name == "rnn_cell") names = {"x", "h", "wi", "wh", "bi"};
  std::vector<ValueId> wrt;
  for (const std::string& n : names) {
    if (n == "dy") continue;
    CAPTURE(n);
    REQUIRE(values.count(n) == 1);
    REQUIRE(fs::exists(dir / ("out_" + std::to_string(wrt.size() + 1) + ".npy")));
    wrt.push_back(values[n]);
  }
  REQUIRE(values.count("dy") == 1);
  const ValueId dy = values["dy"];
  const Var weighted = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::MUL}, {Var(g, y), Var(g, dy)});
  const Var target = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{1});
  const ValueId loss = emit1("Reduce", param::Reduce{}, {weighted, target}).value();
  const std::vector<ValueId> d = grad(g, loss, wrt);
  for (size_t i = 0; i < d.size(); ++i) {
    CAPTURE(i);
    REQUIRE(d[i] >= 0);
    g.add_output(d[i], "d" + std::to_string(i));
  }
  Model m = Model::from_graph(std::move(g), {.threads = 1});
  const std::vector<Tensor> out = m.run(feeds);
  for (size_t i = 0; i < d.size(); ++i) {
    CAPTURE(i);
    const Tensor want = read_npy((dir / ("out_" + std::to_string(i + 1) + ".npy")).string());
    // MegEngine's gradient of the bias of RNNCell is not summed over the batch.
    const bool unsummed = name == "rnn_cell" && !(want.shape() == out[i + 1].shape());
    CHECK(error(out[i + 1], unsummed ? sum_of_rows(want) : want) < 1);
  }
}

// A training step: the loss, then p - lr * gradient for every input "p.<name>" by name.
void check_step(const fs::path& dir) {
  const Model recorded = Model::load((dir / "model_v2.mge").string());
  Graph g = recorded.original();
  const ValueId loss = g.outputs[0].value;
  g.outputs.clear();
  std::map<std::string, ValueId> params;
  std::map<std::string, Tensor> feeds;
  for (const NodeId n : g.inputs()) {
    const std::string name = g.input_name(n);
    feeds[name] = read_npy((dir / ("in_" + name + ".npy")).string());
    if (name.starts_with("p.")) params[name] = g.node(n).outputs[0];
  }
  std::vector<ValueId> wrt;
  for (const auto& [name, v] : params) wrt.push_back(v);
  const std::vector<ValueId> d = grad(g, loss, wrt);
  for (const ValueId v : d) {
    REQUIRE(v >= 0);
    g.add_output(v);
  }
  Model m = Model::from_graph(std::move(g), {.threads = 1});
  const std::vector<Tensor> out = m.run(feeds);
  const float rate = feeds["lr"].data<float>()[0];
  size_t i = 0;
  for (const auto& [name, v] : params) {
    CAPTURE(name);
    const Tensor p = feeds[name].clone();
    REQUIRE(out[i].shape() == p.shape());
    for (int64_t k = 0; k < p.count(); ++k) p.data<float>()[k] -= rate * out[i].data<float>()[k];
    CHECK(error(p, read_npy((dir / ("out_" + std::to_string(++i) + ".npy")).string())) < 1);
  }
}

}  // namespace

TEST_CASE("training_steps_equal_those_recorded_from_megengine") {
  for (const char* name : {"linreg_sgd", "mlp_sgd", "lstm_unrolled_sgd", "mnist_lenet_sgd"}) {
    CAPTURE(std::string(name));
    check_step(fs::path(GOLDEN_DIR) / "train" / name);
  }
}

TEST_CASE("gradients_equal_those_recorded_from_megengine") {
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(GOLDEN_DIR) / "grad")) {
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    try {
      check_case(entry.path());
    } catch (const Error& e) {
      FAIL_CHECK((name + ": " + e.what()));
    }
    ++checked;
  }
  CHECK(checked > 70);
}
