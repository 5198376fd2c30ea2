#include <doctest/doctest.h>

#include <cstring>

#include "megalith/io/mge/builder.h"
#include "megalith/io/mge/ids.h"
#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"
#include "megalith/model.h"
#include "megalith/var.h"

using namespace megalith;

namespace {
MgeFile read(const std::string& s) { return read_mge(std::as_bytes(std::span(s)), nullptr); }
}  // namespace

TEST_CASE("a_written_model_reads_back_the_same_in_both_formats") {
  const MgeFile m = read_mge(GOLDEN_DIR "/mnist/lenet_u8_28x28/model_v2.mge");
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    const std::string bytes = write_mge(m.graph, {.format = format});
    const MgeFile back = read(bytes);
    REQUIRE(back.graph.nodes.size() == m.graph.nodes.size());
    for (size_t i = 0; i < m.graph.nodes.size(); ++i) {
      CHECK(back.graph.nodes[i].attrs.params == m.graph.nodes[i].attrs.params);
    }
    CHECK(write_mge(back.graph, {.format = format}) == bytes);
  }
}

TEST_CASE("what_stands_for_an_op_that_files_do_not_know_has_its_parameters") {
  Graph g;
  std::vector<Var> in;
  for (const Shape& s : {Shape{2, 2}, {9, 2}, {9}, {2, 3}, {9, 3}, {9}}) {
    in.emplace_back(g, g.add_input(cat("x", in.size()), DTypeEnum::Float32, s));
  }
  g.add_output(emit1("GRUCellForward", in).value(), "y");
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    const MgeFile m = read(write_mge(g, {.format = format}));
    for (const Node& n : m.graph.nodes)
      CHECK_MESSAGE((n.op->kind != OpKind::kCompute || n.attrs.params.schema()), n.op->name);
  }
}

TEST_CASE("a_truncated_model_is_an_error_at_every_length") {
  Graph g;
  g.add_output(g.add_input("x", DTypeEnum::Float32, {2, 3}), "x");
  g.add_output(g.add_constant(Tensor::zeros(DTypeEnum::Float32, {4})), "c");
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    const std::string bytes = write_mge(g, {.format = format});
    for (size_t n = 0; n < bytes.size(); ++n) CHECK_THROWS_AS(read(bytes.substr(0, n)), Error);
  }
}

TEST_CASE("tensor_bytes_refuses_shapes_whose_product_wraps") {
  CHECK_THROWS_AS(tensor_bytes(DTypeEnum::Uint8, {int64_t{1} << 32, int64_t{1} << 32, 1}), Error);
  CHECK_THROWS_AS(tensor_bytes(DTypeEnum::Uint8, {0, int64_t{1} << 48, int64_t{1} << 48, 3}), Error);
  CHECK(tensor_bytes(DTypeEnum::Float32, {0, 5}) == 0);
}

namespace {

// A table of uint32 fields {slot, value}.
wire::ObjectRef numbers_table(const std::vector<std::pair<size_t, uint32_t>>& fields) {
  wire::ObjectRef t = wire::table();
  for (const auto& [slot, v] : fields) t->raw(slot, &v, 4, 4);
  return t;
}

// An FBS file: an input of the given shape and an operator with the given id, parameter table and inputs 0, 0.
std::string fbs_file(uint64_t id, uint8_t param, const wire::ObjectRef& table, uint32_t version, bool names = true,
                     bool v0 = false) {
  Graph g;
  g.add_output(g.add_input("x", DTypeEnum::Float32, {1, 1, 3, 3}), "x");
  const OpDef& input = Registry::get().at("Host2DeviceCopy");
  wire::ObjectRef x = wire::table(), op = wire::table(), tensor = wire::table(), dtype = wire::table();
  tensor->child(0, wire::text("x"));
  tensor->child(1, wire::numbers(std::vector<uint32_t>{1, 1, 3, 3}));
  tensor->child(3, dtype);
  x->scalar<uint64_t>(0, v0 ? mge::type_id_v0(input) : mge::type_id_v1(input), 0);
  x->member(2, input.params->union_id, wire::table());
  x->child(7, wire::refs({tensor}));
  op->scalar<uint64_t>(0, id, 0);
  if (param) op->member(2, param, table);
  op->child(3, wire::numbers(std::vector<uint32_t>{0, 0}));
  if (names) op->child(5, wire::refs({wire::text("a"), wire::text("b")}));
  wire::ObjectRef root = wire::table();
  root->scalar<uint32_t>(0, version, 0);
  root->scalar<uint64_t>(1, 1, 0);
  root->child(3, wire::refs({x, op}));
  wire::ObjectRef out = wire::numbers(std::vector<uint32_t>{1, 1});
  out->count = 1;
  root->child(4, out);
  std::string file(v0 ? "MGBS" : "MGBC", 4);
  file.append(v0 ? 12 : 20, '\0');
  return file + wire::Builder().finish(root, "mgb1");
}

}  // namespace

TEST_CASE("tables_of_older_operators_are_read_into_the_current_ones") {
  using namespace megalith::param;
  const auto id = [](std::string name) { return mge::hash_name(name + '\0'); };
  // ConvolutionV0: mode, pads, strides, dilations, data_type, sparse, format. The rest is at its default.
  MgeFile m = read(fbs_file(id("Convolution"), 3, numbers_table({{1, 2}, {4, 3}, {7, 3}, {9, 18}}), 100000, false));
  const auto& c = m.graph.nodes[1].attrs.param<Convolution>();
  CHECK(std::string(m.graph.nodes[1].op->name) == "Convolution");
  CHECK(c.pad_h == 2);
  CHECK(c.stride_w == 3);
  CHECK(c.compute_mode == ComputeMode::FLOAT32);  // data_type FLOAT_IO16xC32
  CHECK(c.format == ConvolutionFormat::CHWN4);    // number 18 then, 15 now
  CHECK(c.sparse == ConvolutionSparse::DENSE);
  // ConvBiasV3 had output_block_size in front of compute_mode.
  m = read(fbs_file(id("ConvBiasForwardV3"), 6, numbers_table({{0, 1}, {10, 2}, {11, 1}}), 100000, false));
  CHECK(m.graph.nodes[1].attrs.param<ConvBias>().nonlineMode == NonlineMode::RELU);
  CHECK(m.graph.nodes[1].attrs.param<ConvBias>().compute_mode == ComputeMode::FLOAT32);
  // Reduce meant its target shape input by -1, now by INT32_MAX: the default in both tables.
  m = read(fbs_file(id("Reduce"), 23, numbers_table({{0, 2}}), 100000, false));
  CHECK(m.graph.nodes[1].attrs.param<Reduce>().axis == Reduce{}.axis);
  CHECK_THROWS_AS(read(fbs_file(id("ConvolutionV1"), 3, numbers_table({{8, 9}}), 100000, false)), ModelError);
}

TEST_CASE("fbs_v0_is_read_by_the_names_without_suffix") {
  const OpDef& op = Registry::get().at("Convolution");
  const MgeFile m = read(fbs_file(mge::type_id_v0(op), 3, numbers_table({{1, 5}}), 90000, false, true));
  CHECK(m.format == "FBS_V0");
  CHECK(m.graph.nodes[1].op == &op);
  CHECK(m.graph.nodes[1].attrs.param<param::Convolution>().pad_h == 5);
}

TEST_CASE("unknown_operators_load_and_are_written_again_but_do_not_run") {
  const std::string file = fbs_file(12345, 17, numbers_table({{0, 3}}), 101400);
  const MgeFile m = read(file);
  const Node& n = m.graph.nodes[1];
  REQUIRE(n.unknown);
  CHECK(n.outputs.size() == 2);
  CHECK(n.attrs.params.str() == "mode=ASIN");
  const std::string again = write_mge(m.graph, {.format = MgeFormat::kFbs});
  const MgeFile back = read(again);
  CHECK(back.graph.nodes[1].unknown->type_id == 12345);
  CHECK(back.graph.nodes[1].attrs.params == n.attrs.params);
  CHECK(write_mge(back.graph, {.format = MgeFormat::kFbs}) == again);
  CHECK_THROWS_AS(write_mge(m.graph, {.format = MgeFormat::kFbsV2}), UnsupportedError);  // its id there is not known
  Model model = Model::from_graph(m.graph);
  CHECK_THROWS_AS(model.run({{"x", Tensor::zeros(DTypeEnum::Float32, {1, 1, 3, 3})}}), UnsupportedError);
  // A parameter table that nobody knows can't be written again.
  CHECK_THROWS_AS(
      write_mge(read(fbs_file(12345, 250, numbers_table({{0, 3}}), 101400)).graph, {.format = MgeFormat::kFbs}),
      UnsupportedError);
}

TEST_CASE("foreign_runtimes_are_written_again_in_both_formats") {
  Graph g;
  const ValueId x = g.add_input("x", DTypeEnum::Float32, {2});
  Attrs a;
  a.blobs = {"engine", std::string("\0\1\2", 3)};
  const NodeId n = g.add(Registry::get().at("TensorRTRuntimeOpr"), a, {x}, "trt", 3);
  g.node(n).comp_node = {"gpu0:0"};
  g.node(n).priority = 7;
  for (ValueId v : g.node(n).outputs) g.add_output(v, cat("out", v));
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    const MgeFile m = read(write_mge(g, {.format = format}));
    const Node& back = m.graph.nodes[1];
    CHECK(back.outputs.size() == 3);
    CHECK(back.attrs.blobs == a.blobs);
    CHECK(back.comp_node == std::vector<std::string>{"gpu0:0"});
    CHECK(back.priority == 7);
    CHECK(back.name == "trt");
    CHECK(m.graph.outputs[2].name == g.outputs[2].name);
  }
}

TEST_CASE("options_choose_what_is_kept") {
  Graph g;
  const ValueId x = g.add_input("x", DTypeEnum::Float32, {2}),
                p = g.add_parameter(Tensor::zeros(DTypeEnum::Float32, {2}), "p");
  const NodeId sum = g.add(Registry::get().at("Elemwise"),
                           {.params = Params(param::Elemwise{.mode = param::ElemwiseMode::ADD})}, {x, p}, "sum");
  const NodeId neg =
      g.add(Registry::get().at("Elemwise"), {.params = Params(param::Elemwise{})}, {g.node(sum).outputs[0]}, "relu");
  g.values[static_cast<size_t>(g.node(sum).outputs[0])].name = "inner";
  g.node(sum).priority = 3;
  g.add_output(g.node(neg).outputs[0], "y");
  GraphMetadata meta{
      .present = true, .is_valid = true, .optimize_options = 5, .user_info = std::string("\x80\0pickle", 8)};
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    MgeWriteOptions o{.format = format, .metadata = meta};
    o.test_cases = {{{"x", Tensor::zeros(DTypeEnum::Float32, {5})}}, {{"x", Tensor::zeros(DTypeEnum::Float32, {1})}}};
    MgeDumpInfo info;
    MgeFile m = read(write_mge(g, o, &info));
    CHECK(m.graph.values[static_cast<size_t>(m.graph.nodes[2].outputs[0])].name == "inner");
    CHECK(m.graph.nodes[2].priority == 3);
    CHECK(m.graph.nodes[1].attrs.tensors[0].name == "p");
    CHECK(m.graph.metadata.user_info == meta.user_info);
    CHECK(m.graph.metadata.optimize_options == 5);
    REQUIRE(m.cases.size() == 2);
    CHECK(m.cases[0].at("x").shape() == Shape{5});
    CHECK(info.inputs == std::vector<std::string>{"x"});
    CHECK(info.params == std::vector<std::string>{"p"});
    CHECK(info.elemwise_modes == std::set<std::string>{"ADD", "RELU"});
    m = read(write_mge(g, {.format = format,
                           .keep_var_name = 1,
                           .keep_opr_name = false,
                           .keep_param_name = false,
                           .keep_opr_priority = false,
                           .output_names = {"z"}}));
    CHECK(m.graph.values[static_cast<size_t>(m.graph.nodes[2].outputs[0])].name == "inner");
    CHECK(m.graph.nodes[2].name.empty());
    CHECK(m.graph.nodes[2].priority == 0);
    CHECK(m.graph.nodes[1].attrs.tensors[0].name.empty());
    CHECK(m.graph.outputs[0].name == "z");
    CHECK(!m.graph.metadata.present);
    CHECK(m.graph.input_name(m.graph.inputs()[0]) == "x");
    m = read(write_mge(g, {.format = format, .keep_var_name = 0}));
    CHECK(m.graph.values[static_cast<size_t>(m.graph.nodes[2].outputs[0])].name != "inner");
  }
  CHECK_THROWS_AS(write_mge(g, {.output_names = {"a", "b"}}), Error);
  CHECK_THROWS_AS(write_mge(g, {.test_cases = {{{"nobody", Tensor::zeros(DTypeEnum::Float32, {1})}}}}), Error);
  CHECK(read(write_mge(g, {.model_version = 1})).model_version == 1);
}

TEST_CASE("values_below_a_byte_come_back_in_both_formats") {
  Graph g;
  Tensor t = Tensor::empty(DType(DTypeEnum::QuantizedS4, 0.5f), {2, 3});
  for (size_t i = 0; i < t.bytes(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(0x21 * (i + 1));
  g.add_output(g.add_parameter(t, "w"), "w");
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    const MgeFile m = read(write_mge(g, {.format = format}));
    const Tensor& back = m.graph.nodes[0].attrs.tensors[0].value;
    CHECK(back.dtype() == t.dtype());
    CHECK(std::memcmp(back.data(), t.data(), t.bytes()) == 0);
  }
}
