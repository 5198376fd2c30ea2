// What planning says about a model, and profiles of runs, through C++ and C.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "megalith/megalith.h"
#include "megalith/model.h"
#include "megalith/platform/thread_pool.h"
#include "megalith/var.h"

using namespace megalith;

namespace {

// y = relu(x * x + x) reshaped
Graph small_graph() {
  Graph g;
  const Var x(g, g.add_input("x", DTypeEnum::Float32, {4, 8}));
  using E = param::ElemwiseMode;
  const auto elemwise = [](E mode) { return Params(param::Elemwise{.mode = mode}); };
  const Var square = emit1("Elemwise", elemwise(E::MUL), {x, x});
  const Var sum = emit1("Elemwise", elemwise(E::ADD), {square, x});
  g.add_output(emit1("Elemwise", elemwise(E::RELU), {sum}).value(), "y");
  return g;
}

}  // namespace

TEST_CASE("planning tells kernels, memory and FLOPs without running") {
  Model model = Model::from_graph(small_graph(), {.threads = 1, .optimize = false});
  const PlanInfo plan = model.plan({{"x", Shape{2, 8}}});
  CHECK(plan.nodes.size() == 3);
  CHECK(plan.stopped_at == -1);
  CHECK(plan.flops() == doctest::Approx(3 * 16));
  CHECK(plan.nodes[0].out[0].shape == Shape{2, 8});
  CHECK(plan.memory.arena >= plan.memory.peak_live);
  CHECK(!plan.blocks.empty());
  // The run uses the plan that was made.
  const Tensor x = Tensor::zeros(DTypeEnum::Float32, {2, 8});
  model.run({{"x", x}});
  const PlanInfo after = model.last_plan();
  CHECK(after.nodes.size() == plan.nodes.size());
  CHECK(after.memory.arena == plan.memory.arena);
  CHECK_THROWS_AS(model.plan({{"z", Shape{1}}}), InputError);
}

TEST_CASE("values share memory unless they must not") {
  const Tensor x = Tensor::zeros(DTypeEnum::Float32, {4, 8});
  Model shared = Model::from_graph(small_graph(), {.threads = 1, .optimize = false});
  Model apart = Model::from_graph(small_graph(), {.threads = 1, .optimize = false, .reuse_memory = false});
  shared.run({{"x", x}});
  apart.run({{"x", x}});
  CHECK(apart.memory().arena > shared.memory().arena);
}

TEST_CASE("every iteration has a span of every node") {
  Model model = Model::from_graph(small_graph(), {.threads = 1, .optimize = false});
  const Tensor x = Tensor::zeros(DTypeEnum::Float32, {4, 8});
  Profile profile;
  for (int i = 0; i < 3; ++i) model.run({{"x", x}}, &profile);
  CHECK(profile.spans().size() == 9);
  for (const Span& s : profile.spans()) {
    CHECK(s.start <= s.kern);
    CHECK(s.kern <= s.end);
    CHECK(s.threads == 1);
  }
  CHECK(profile.nodes()[0].bytes == 3 * 4 * 8 * 4);
}

TEST_CASE("the C interface: inputs and outputs by name, threads, profile") {
  mgl_model* m = nullptr;
  const std::string path = std::string(GOLDEN_DIR) + "/mnist/lenet_u8_28x28/model_v2.mge";
  REQUIRE(mgl_load(path.c_str(), 2, &m) == 0);
  CHECK(mgl_threads(m) == ThreadPool(2).threads());
  CHECK(mgl_output_index(m, "out_0") == 0);
  CHECK(mgl_output_index(m, "nobody") == -1);
  mgl_tensor t;
  REQUIRE(mgl_input_info(m, 0, &t) == 0);
  CHECK(mgl_input_info(m, 7, &t) != 0);
  std::vector<uint8_t> image(4 * 28 * 28, 7);
  t.data = image.data();
  CHECK(mgl_set_input(m, "nobody", &t) == 0);  // said when it runs
  CHECK(mgl_run(m) != 0);
  CHECK(std::strstr(mgl_last_error(), "nobody") != nullptr);
  mgl_free(m);
  REQUIRE(mgl_load(path.c_str(), 1, &m) == 0);
  REQUIRE(mgl_input_info(m, 0, &t) == 0);
  t.data = image.data();
  REQUIRE(mgl_set_input(m, mgl_input_name(m, 0), &t) == 0);
  CHECK(mgl_profile_size(m) == 0);
  REQUIRE(mgl_run_profiled(m) == 0);
  REQUIRE(mgl_run_profiled(m) == 0);
  REQUIRE(mgl_profile_size(m) > 5);
  mgl_op_profile op;
  for (int i = 0; i < mgl_profile_size(m); ++i) {
    REQUIRE(mgl_profile_op(m, i, &op) == 0);
    CHECK(op.runs == 2);
    CHECK(op.seconds >= 0);
    CHECK(std::strlen(op.kernel) > 0);
  }
  CHECK(mgl_profile_op(m, 1000, &op) != 0);
  mgl_free(m);
}
