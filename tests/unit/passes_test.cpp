// Every graph pass against the graph it started from.
#include "megalith/passes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "megalith/model.h"
#include "megalith/var.h"

using namespace megalith;

namespace {

using E = param::ElemwiseMode;

Tensor ramp(const Shape& shape, int64_t step) {
  Tensor t = Tensor::empty(DTypeEnum::Float32, shape);
  for (int64_t i = 0; i < t.count(); ++i) t.data<float>()[i] = static_cast<float>(i * step % 17) * 0.1f - 0.8f;
  return t;
}
Var call(E mode, const std::vector<Var>& in) { return emit1("Elemwise", param::Elemwise{.mode = mode}, in); }
Var conv(const Var& x, const Tensor& w, const char* op = "Convolution") {
  Attrs a;
  a.params = Params(
      param::Convolution{.pad_h = 1,
                         .pad_w = 1,
                         .sparse = w.ndim() == 5 ? param::ConvolutionSparse::GROUP : param::ConvolutionSparse::DENSE});
  a.policy = Params(param::ExecutionPolicy{});
  const bool deconv = std::string(op) == "ConvolutionBackwardData";
  return emit(Registry::get().at(op), a, deconv ? std::vector<Var>{w, x} : std::vector<Var>{x, w})[0];
}

int count(const Graph& g, const char* op) {
  return static_cast<int>(
      std::count_if(g.nodes.begin(), g.nodes.end(), [&](const Node& n) { return std::string(n.op->name) == op; }));
}

// Builds y = f(x) as a graph, runs it without passes, with all of them and without each one; returns the graph with
// all.
template <class F>
Graph same_with_and_without(const Shape& shape, F f, double tolerance = 1e-5) {
  const auto build = [&] {
    Graph g;
    const Var x(g, g.add_input("x", DTypeEnum::Float32, shape));
    g.add_output(f(x).value(), "y");
    return g;
  };
  const Tensor in = ramp(shape, 7);
  Model plain = Model::from_graph(build(), {.optimize = false});
  const Tensor want = plain.run({{"x", in}})[0];
  const auto compare = [&](const ModelOptions& options) {
    Model m = Model::from_graph(build(), options);
    const Tensor got = m.run({{"x", in}})[0];
    REQUIRE(got.shape() == want.shape());
    for (int64_t i = 0; i < want.count(); ++i) CHECK(std::abs(got.item(i) - want.item(i)) <= tolerance);
    return m.graph();
  };
  for (const Pass& p : passes()) compare({.disabled_passes = {p.name}});
  return compare({});
}

}  // namespace

TEST_CASE("convolution_bias_and_activation_become_one_node") {
  for (const Shape& bias : {Shape{1, 4, 1, 1}, Shape{4, 1, 1}, Shape{1}, Shape{1, 1, 1, 1}}) {
    for (E act : {E::RELU, E::SIGMOID, E::H_SWISH, E::RELU6}) {
      const Graph g = same_with_and_without({2, 3, 7, 8}, [&](const Var& x) {
        call(E::EXP, {x});  // read by nobody
        return call(act, {call(E::ADD, {ramp(bias, 3), conv(x, ramp({4, 3, 3, 3}, 5))})});
      });
      CHECK(count(g, act == E::RELU6 ? "ConvBiasRelu6" : "ConvBiasForward") == 1);
      CHECK(count(g, "Convolution") + count(g, "Elemwise") + count(g, "FusedElemwise") == 0);
    }
  }
  const Graph grouped = same_with_and_without({2, 4, 5, 6}, [](const Var& x) {
    return call(E::FUSE_ADD_RELU, {conv(x, ramp({2, 3, 2, 3, 3}, 5)), ramp({1, 6, 1, 1}, 3)});
  });
  CHECK(count(grouped, "ConvBiasForward") == 1);
  const Graph bare =
      same_with_and_without({2, 3, 5, 6}, [](const Var& x) { return call(E::RELU, {conv(x, ramp({4, 3, 3, 3}, 5))}); });
  CHECK(count(bare, "ConvBiasForward") == 1);
}

TEST_CASE("convolutions_that_are_trained_take_their_bias_and_activation_too") {
  const auto step = [](const Shape& bias_shape) {
    Graph g;
    const Var x(g, g.add_input("x", DTypeEnum::Float32, {2, 3, 8, 8}));
    const auto parameter = [&](const Tensor& t) {
      const ValueId v = g.add_parameter(t);
      g.node(g.value(v).node).op = &Registry::get().at("VolatileSharedDeviceTensor");
      return Var(g, v);
    };
    const Var w = parameter(ramp({4, 3, 3, 3}, 5)), b = parameter(ramp(bias_shape, 3));
    const Var y = emit1("Convolution", param::Convolution{.pad_h = 1, .pad_w = 1}, {x, w});
    const Var r = call(E::RELU, {call(E::ADD, {y, b})});
    const param::Pooling window{.stride_h = 2, .stride_w = 2, .window_h = 2, .window_w = 2};
    const Var p = emit1("Pooling", window, {r});
    const Var dr = emit1("PoolingBackward", window, {r, p, call(E::EXP, {p})});
    const Var shape = emit1("GetVarShape", {y});  // gradients ask for it
    g.add_output(emit1("Reduce", param::Reduce{}, {call(E::SWITCH_GT0, {r, dr}), shape}).value(), "dy");
    return g;
  };
  for (const Shape& bias : {Shape{1, 4, 1, 1}, Shape{1, 1, 1, 8}}) {
    const Tensor x = ramp({2, 3, 8, 8}, 7);
    const Tensor want = Model::from_graph(step(bias), {.optimize = false}).run({{"x", x}})[0];
    Model m = Model::from_graph(step(bias));
    const Tensor got = m.run({{"x", x}})[0];
    for (int64_t i = 0; i < want.count(); ++i) CHECK(std::abs(got.item(i) - want.item(i)) <= 1e-5);
    CHECK(count(m.graph(), "ConvBiasForward") == (bias[1] == 4 ? 1 : 0));
    // RELU's gradient is taken of a quarter of the elements.
    const Graph& g = m.graph();
    const Node& sum = g.node(g.value(g.outputs[0].value).node);
    CHECK(std::string(g.node(g.value(sum.inputs[0]).node).op->name) == "PoolingBackward");
  }
}

TEST_CASE("a_bias_that_is_no_bias_stays") {
  // One value per column, and one that adds an axis to the result.
  for (const Shape& bias : {Shape{1, 1, 1, 8}, Shape{8}, Shape{1, 1, 1, 1, 1}}) {
    const Graph g = same_with_and_without(
        {2, 3, 7, 8}, [&](const Var& x) { return call(E::ADD, {conv(x, ramp({4, 3, 3, 3}, 5)), ramp(bias, 3)}); });
    CHECK(count(g, "Convolution") == 1);
  }
}

TEST_CASE("scales_and_shifts_move_into_weights") {
  const Tensor scale = ramp({1, 4, 1, 1}, 5), shift = ramp({1, 4, 1, 1}, 3);
  const auto chain = [&](const Var& y) {
    const Var centered = call(E::SUB, {y, ramp({1, 4, 1, 1}, 2)});
    return call(E::RELU, {call(E::ADD, {call(E::MUL, {scale, centered}), shift})});
  };
  const Graph dense =
      same_with_and_without({2, 3, 7, 8}, [&](const Var& x) { return chain(conv(x, ramp({4, 3, 3, 3}, 5))); });
  CHECK(count(dense, "ConvBiasForward") == 1);
  CHECK(count(dense, "Elemwise") + count(dense, "FusedElemwise") == 0);
  const Graph group =
      same_with_and_without({2, 6, 5, 6}, [&](const Var& x) { return chain(conv(x, ramp({2, 2, 3, 3, 3}, 5))); });
  CHECK(count(group, "ConvBiasForward") == 1);
  const Graph deconv = same_with_and_without(
      {2, 3, 5, 6}, [&](const Var& x) { return chain(conv(x, ramp({3, 4, 3, 3}, 5), "ConvolutionBackwardData")); });
  CHECK(count(deconv, "FusedElemwise") == 1);  // what is left: the shift and the activation
  const Graph group_deconv = same_with_and_without(
      {2, 6, 5, 6}, [&](const Var& x) { return chain(conv(x, ramp({2, 3, 2, 3, 3}, 5), "ConvolutionBackwardData")); });
  CHECK(count(group_deconv, "FusedElemwise") == 1);
  for (bool transposed : {false, true}) {
    const Graph matmul = same_with_and_without({5, 3}, [&](const Var& x) {
      const Var y = emit1("MatrixMul", param::MatrixMul{.transposeB = transposed},
                          {x, ramp(transposed ? Shape{4, 3} : Shape{3, 4}, 5)});
      return call(E::TRUE_DIV, {call(E::FUSE_MUL_ADD3, {y, ramp({4}, 5), ramp({1, 4}, 3)}), ramp({1}, 3)});
    });
    CHECK(count(matmul, "Elemwise") == 1);
  }
}

TEST_CASE("batch_norm_with_fixed_statistics_moves_into_the_convolution") {
  const Graph g = same_with_and_without({2, 3, 7, 8}, [](const Var& x) {
    Attrs a;
    a.params = Params(
        param::BN{.param_dim = param::BNParamDim::DIM_1C11, .fwd_mode = param::BNFwdMode::INFERENCE, .epsilon = 1e-3});
    Tensor variance = ramp({1, 4, 1, 1}, 5);
    for (float& v : variance.span<float>()) v = v * v + 0.5f;
    return emit(Registry::get().at("BatchNorm"), a,
                {conv(x, ramp({4, 3, 3, 3}, 5)), ramp({1, 4, 1, 1}, 2), ramp({1, 4, 1, 1}, 3), ramp({1, 4, 1, 1}, 9),
                 variance})
        .back();
  });
  CHECK(count(g, "BatchNorm") == 0);
  CHECK(count(g, "ConvBiasForward") == 1);
}

TEST_CASE("elementwise_chains_become_one_node_with_the_same_bits") {
  // A value that is read twice, a small part that is broadcast, rows and columns.
  const Graph g = same_with_and_without(
      {3, 1, 5},
      [](const Var& x) {
        const Var small = call(E::EXP, {call(E::MUL, {x, x})});
        const Var big = call(E::ADD, {small, ramp({3, 4, 1}, 3)});
        const Var twice = call(E::TANH, {call(E::MUL, {big, ramp({5}, 2)})});
        return call(E::SUB, {call(E::SIGMOID, {twice}), call(E::COND_LEQ_MOV, {twice, big, ramp({1}, 2)})});
      },
      0);
  CHECK(count(g, "Elemwise") < 6);
  CHECK(count(g, "FusedElemwise") >= 1);
}

TEST_CASE("elementwise_chains_of_other_types_are_the_same") {
  const auto build = [] {
    Graph g;
    const Var x(g, g.add_input("x", DTypeEnum::Float32, {4, 5})),
        h = emit1("TypeCvt", param::TypeCvt{DTypeEnum::Float16}, {x});
    g.add_output(call(E::EXP, {call(E::MUL, {call(E::ADD, {h, h}), h})}).value(), "half");
    const Var i = emit1("TypeCvt", param::TypeCvt{DTypeEnum::Int32}, {call(E::MUL, {x, ramp({1}, 3)})});
    g.add_output(call(E::MAX, {call(E::NEGATE, {call(E::ADD, {i, i})}), i}).value(), "int");
    return g;
  };
  Model a = Model::from_graph(build(), {.optimize = false}), b = Model::from_graph(build());
  CHECK(count(b.graph(), "FusedElemwise") == 2);
  const auto x = a.run({{"x", ramp({4, 5}, 7)}}), y = b.run({{"x", ramp({4, 5}, 7)}});
  for (size_t k = 0; k < 2; ++k) CHECK(std::memcmp(x[k].data(), y[k].data(), x[k].bytes()) == 0);
}

TEST_CASE("a_chain_that_meets_an_update_is_left_alone") {
  // read = (p + 1) * (p after the update): the sum reads the old value.
  const auto build = [] {
    Graph g;
    const Var x(g, g.add_input("x", DTypeEnum::Float32, {4})), p(g, g.add_parameter(ramp({4}, 3), "p"));
    const Var sum = call(E::ADD, {p, ramp({1}, 1)});
    const Var updated = emit1("AddUpdate", param::MGBAddUpdate{}, {p, x});
    g.add_output(call(E::MUL, {sum, updated}).value(), "y");
    return g;
  };
  Model a = Model::from_graph(build(), {.optimize = false}), b = Model::from_graph(build());
  for (int i = 0; i < 3; ++i) {
    const Tensor x = a.run({{"x", ramp({4}, 7)}})[0], y = b.run({{"x", ramp({4}, 7)}})[0];
    CHECK(std::memcmp(x.data(), y.data(), x.bytes()) == 0);
  }
}

TEST_CASE("equal_work_is_done_once_and_constants_are_folded") {
  const auto build = [] {
    Graph g;
    const Var x(g, g.add_input("x", DTypeEnum::Float32, {4, 5}));
    const Var a = call(E::EXP, {call(E::MUL, {x, ramp({1}, 3)})}), b = call(E::EXP, {call(E::MUL, {x, ramp({1}, 3)})});
    const Var c = call(E::EXP, {ramp({5}, 3)});
    g.add_output(a.value(), "a");
    g.add_output(b.value(), "b");
    g.add_output(call(E::ADD, {call(E::ADD, {a, b}), call(E::ADD, {c, c})}).value(), "sum");
    return g;
  };
  Graph g = build();
  run_pass(g, "fold_constants");
  run_pass(g, "merge_equal");
  run_pass(g, "remove_dead");
  CHECK(count(g, "Elemwise") == 4);
  CHECK(g.outputs[0].name == "a");
  CHECK(g.outputs[1].name == "b");
  Model m = Model::from_graph(g, {.optimize = false}), plain = Model::from_graph(build(), {.optimize = false});
  const auto got = m.run({{"x", ramp({4, 5}, 7)}}), want = plain.run({{"x", ramp({4, 5}, 7)}});
  for (size_t k = 0; k < 3; ++k) CHECK(std::memcmp(got[k].data(), want[k].data(), want[k].bytes()) == 0);
}

TEST_CASE("a_small_graph_of_huge_constants_is_not_folded") {
  Graph g;
  const Tensor shape = Tensor::of<int32_t>(DTypeEnum::Int32, {3}, std::vector<int32_t>{4096, 4096, 4096});
  g.add_output(call(E::EXP, {emit1("Broadcast", {Var(g, g.add_constant(ramp({1}, 1))), shape})}).value(), "y");
  run_pass(g, "fold_constants");
  CHECK(count(g, "Broadcast") == 1);
}

TEST_CASE("unknown_pass_names_are_errors") {
  Graph g;
  g.add_output(g.add_input("x", DTypeEnum::Float32, {1}), "y");
  CHECK_THROWS_AS(Model::from_graph(g, {.disabled_passes = {"no_such_pass"}}), Error);
  CHECK_THROWS_AS(run_pass(g, "no_such_pass"), Error);
}

// conv in NCHW4, brought to NCHW and flattened; `broken` flattens the blocked image, as MegEngine's dump does.
Graph flattened_nchw4(bool broken) {
  Graph g;
  const auto reshape = [](const Var& x, const Var& shape, int32_t axis) {
    return emit1("Reshape", param::OptionalAxisV1{.axis = axis}, {x, shape});
  };
  const auto ints = [](std::vector<int32_t> v) {
    return Var(Tensor::of<int32_t>(DTypeEnum::Int32, {static_cast<int64_t>(v.size())}, v));
  };
  const Var x(g, g.add_input("x", DType(DTypeEnum::QuantizedS8, 0.1f), {2, 1, 3, 3, 4}));
  Attrs conv;
  conv.params = Params(param::ConvBias{.format = param::ConvolutionFormat::NCHW4});
  conv.policy = Params(param::ExecutionPolicy{});
  conv.output_dtype = DType(DTypeEnum::QuantizedS8, 0.2f);
  Tensor w = Tensor::empty(DType(DTypeEnum::QuantizedS8, 0.1f), {8, 1, 1, 1, 4});
  for (int64_t i = 0; i < w.count(); ++i) w.data<int8_t>()[i] = static_cast<int8_t>(i * 5 % 23 - 11);
  const Var y = emit(Registry::get().at("ConvBiasForward"), conv, {x, w})[0];
  const Var plain = reshape(emit1("Dimshuffle", Params(param::Dimshuffle{.ndim = 5}, {0, 1, 4, 2, 3}), {y}),
                            ints({2, 8, 3, 3}), kMaxDims);
  const Var shape = emit1("GetVarShape", param::OptionalAxisV1{}, {plain});
  const Var sizes = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::MUL}, {shape, ints({1, 1, 1, 1})});
  const Var target = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {sizes, ints({0, 0, 0, 0})});
  g.add_output(reshape(broken ? y : plain, target, kMaxDims).value(), "y");
  return g;
}

TEST_CASE("restore_layout_gives_a_flattened_blocked_image_its_plain_order_back") {
  Tensor in = Tensor::empty(DType(DTypeEnum::QuantizedS8, 0.1f), {2, 1, 3, 3, 4});
  for (int64_t i = 0; i < in.count(); ++i) in.data<int8_t>()[i] = static_cast<int8_t>(i * 7 % 51 - 25);
  const auto run = [&](bool broken, const ModelOptions& options) {
    return Model::from_graph(flattened_nchw4(broken), options).run({{"x", in}})[0];
  };
  const Tensor want = run(false, {}), optimized = run(true, {}), plain = run(true, {.optimize = false}),
               literal = run(true, {.disabled_passes = {"restore_layout"}});
  int differ = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    CHECK(optimized.item(i) == want.item(i));
    CHECK(plain.item(i) == want.item(i));
    differ += literal.item(i) != want.item(i);
  }
  CHECK(differ > 0);
}

// What a ConvBias in NCHW does with z = 2 * x, by the layout that the file was dumped for.
TEST_CASE("restore_z_adds_z_in_files_for_the_gpu_alone") {
  const DType q(DTypeEnum::QuantizedS8, 0.1f);
  for (const bool group : {false, true}) {
    const auto run = [&](uint64_t layout, const ModelOptions& options) {
      Graph g;
      const ValueId x = g.add_input("x", q, {2, 2, 3, 4}), z = g.add_input("z", q, {2, 2, 3, 4});
      Tensor w = Tensor::zeros(q, group ? Shape{2, 1, 1, 1, 1} : Shape{2, 2, 1, 1});  // the image as it is
      for (const int64_t i : {int64_t{0}, w.count() - 1}) w.data<int8_t>()[i] = 10;
      Attrs conv;
      conv.params =
          Params(param::ConvBias{.sparse = group ? param::ConvolutionSparse::GROUP : param::ConvolutionSparse::DENSE});
      conv.policy = Params(param::ExecutionPolicy{});
      conv.output_dtype = q;
      const ValueId bias = g.add_constant(Tensor::zeros(DType(DTypeEnum::QuantizedS32, 0.1f * 0.1f), {1, 2, 1, 1}));
      const NodeId n = g.add(Registry::get().at("ConvBiasForward"), conv, {x, g.add_constant(w), bias, z});
      g.add_output(g.node(n).outputs[0], "y");
      g.metadata.optimize_options = layout << 32;
      Tensor a = Tensor::empty(q, {2, 2, 3, 4}), b = Tensor::empty(q, {2, 2, 3, 4});
      for (int64_t i = 0; i < a.count(); ++i) {
        a.data<int8_t>()[i] = static_cast<int8_t>(i % 19 - 9);
        b.data<int8_t>()[i] = static_cast<int8_t>(2 * (i % 19 - 9));
      }
      return Model::from_graph(std::move(g), options).run({{"x", a}, {"z", b}})[0];
    };
    const auto is_times = [](const Tensor& y, int64_t k) {
      for (int64_t i = 0; i < y.count(); ++i) CHECK(y.data<int8_t>()[i] == k * (i % 19 - 9));
    };
    for (const uint64_t gpu : {1, 6, 7, 8}) {
      is_times(run(gpu, {}), 3);
      is_times(run(gpu, {.optimize = false}), 3);
    }
    is_times(run(1, {.disabled_passes = {"restore_z"}}), 1);
    for (const uint64_t cpu : {0, 3, 4, 5}) is_times(run(cpu, {}), 1);
  }
}

TEST_CASE("batch_norm_in_training_writes_its_running_statistics_to_the_parameters") {
  const auto numbers = [](std::vector<float> v) {
    return Tensor::of<float>(DTypeEnum::Float32, {1, static_cast<int64_t>(v.size()), 1, 1}, v);
  };
  Graph g;
  const ValueId x = g.add_input("x", DTypeEnum::Float32, {3, 2, 2, 2});
  const ValueId mean = g.add_parameter(numbers({0.5f, -1.f}), "mean"),
                var = g.add_parameter(numbers({2.f, 3.f}), "var");
  Attrs bn;
  bn.params = Params(param::BN{.param_dim = param::BNParamDim::DIM_1C11,
                               .fwd_mode = param::BNFwdMode::TRAINING,
                               .epsilon = 1e-5,
                               .avg_factor = 0.25});
  const NodeId n =
      g.add(Registry::get().at("BatchNorm"), bn,
            {x, g.add_constant(numbers({1.f, 2.f})), g.add_constant(numbers({0.f, 1.f})), mean, var}, "bn");
  // Reads the parameter beside the op that updates it: always the value from before the step.
  const Var sum = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {Var(g, mean), numbers({0, 0})});
  g.add_output(sum.value(), "old mean");
  for (size_t i : {size_t{0}, size_t{1}, size_t{2}}) g.add_output(g.node(n).outputs[i], "stat");
  Model m = Model::from_graph(std::move(g));
  float expected[2] = {0.5f, -1.f};
  for (int step = 0; step < 3; ++step) {
    const std::vector<Tensor> out = m.run({{"x", ramp({3, 2, 2, 2}, 3 + step)}});
    for (int c = 0; c < 2; ++c) {
      CHECK(out[0].item(c) == doctest::Approx(expected[c]));
      expected[c] = 0.75f * expected[c] + 0.25f * static_cast<float>(out[3].item(c));
      CHECK(out[1].item(c) == doctest::Approx(expected[c]));
    }
  }
}
