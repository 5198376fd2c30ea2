#include "megalith/passes.h"

#include <algorithm>

namespace megalith {
namespace {

// Removes nodes that no output and no effect needs; graph inputs stay, they are the model's interface.
void remove_dead(Graph& g) {
  std::vector<bool> needed(g.nodes.size(), false);
  for (const GraphOutput& o : g.outputs) needed[static_cast<size_t>(g.value(o.value).node)] = true;
  for (size_t i = g.nodes.size(); i-- > 0;) {
    needed[i] = needed[i] || g.nodes[i].op->effect || g.nodes[i].op->kind == OpKind::kInput;
    if (!needed[i]) continue;
    for (ValueId v : g.nodes[i].inputs) needed[static_cast<size_t>(g.value(v).node)] = true;
  }
  Graph out;
  out.metadata = g.metadata;
  out.mge_version = g.mge_version;
  out.hash = g.hash;
  std::vector<ValueId> renamed(g.values.size(), -1);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!needed[i]) continue;
    Node node = std::move(g.nodes[i]);
    for (ValueId& v : node.inputs) v = renamed[static_cast<size_t>(v)];
    for (ValueId& v : node.outputs) {
      Value value = g.value(v);
      value.node = static_cast<NodeId>(out.nodes.size());
      renamed[static_cast<size_t>(v)] = static_cast<ValueId>(out.values.size());
      v = static_cast<ValueId>(out.values.size());
      out.values.push_back(std::move(value));
    }
    out.nodes.push_back(std::move(node));
  }
  for (GraphOutput o : g.outputs) {
    o.value = renamed[static_cast<size_t>(o.value)];
    out.outputs.push_back(std::move(o));
  }
  g = std::move(out);
}

// The constant or parameter behind a value, or null.
const NamedTensor* holder(const Graph& g, ValueId v) {
  const Node& n = g.node(g.value(v).node);
  const bool held = n.op->kind == OpKind::kConstant || n.op->kind == OpKind::kParameter;
  return held ? &n.attrs.tensors[static_cast<size_t>(g.value(v).index)] : nullptr;
}

// Convolution + bias (+ activation) in Float32 NCHW becomes ConvBiasForward.
void fuse_conv_bias(Graph& g) {
  using E = param::ElemwiseMode;
  using N = param::NonlineMode;
  const OpDef* fused = Registry::get().find("ConvBiasForward");
  if (!fused) return;
  std::vector<int> reads(g.values.size(), 0);
  for (const Node& n : g.nodes) {
    for (ValueId v : n.inputs) ++reads[static_cast<size_t>(v)];
  }
  for (const GraphOutput& o : g.outputs) ++reads[static_cast<size_t>(o.value)];
  const auto is = [&](const Node& n, const char* op) { return std::string_view(n.op->name) == op; };
  for (Node& sum : g.nodes) {
    if (!is(sum, "Elemwise")) continue;
    const E mode = sum.attrs.param<param::Elemwise>().mode;
    // An activation of a sum that was fused before.
    if (sum.inputs.size() == 1 && (mode == E::RELU || mode == E::SIGMOID || mode == E::H_SWISH)) {
      const Node& inner = g.node(g.value(sum.inputs[0]).node);
      if (!is(inner, "ConvBiasForward") || reads[static_cast<size_t>(sum.inputs[0])] != 1 || inner.inputs.size() != 3)
        continue;
      param::ConvBias p = inner.attrs.param<param::ConvBias>();
      const NamedTensor* w = holder(g, inner.inputs[1]);
      if (p.nonlineMode != N::IDENTITY || !w || w->dtype.id != DTypeEnum::Float32) continue;
      p.nonlineMode = mode == E::RELU ? N::RELU : mode == E::SIGMOID ? N::SIGMOID : N::H_SWISH;
      Attrs attrs = inner.attrs;
      attrs.params = Params(p);
      sum.inputs = std::vector<ValueId>(inner.inputs);
      sum.op = fused;
      sum.attrs = std::move(attrs);
      continue;
    }
    const bool adds =
        mode == E::ADD || mode == E::FUSE_ADD_RELU || mode == E::FUSE_ADD_SIGMOID || mode == E::FUSE_ADD_H_SWISH;
    if (!adds || sum.inputs.size() != 2) continue;
    for (size_t side = 0; side < 2; ++side) {
      const ValueId y = sum.inputs[side], b = sum.inputs[1 - side];
      const Node& conv = g.node(g.value(y).node);
      if (!is(conv, "Convolution") || reads[static_cast<size_t>(y)] != 1) continue;
      const auto& c = conv.attrs.param<param::Convolution>();
      const NamedTensor *w = holder(g, conv.inputs[1]), *bias = holder(g, b);
      if (!w || !bias || c.format != param::ConvolutionFormat::NCHW || w->dtype.id != DTypeEnum::Float32 ||
          bias->dtype.id != DTypeEnum::Float32)
        continue;
      const bool group = c.sparse == param::ConvolutionSparse::GROUP;
      if (w->shape.ndim() != (group ? 5 : 4)) continue;
      const int64_t channels = group ? w->shape[0] * w->shape[1] : w->shape[0];
      if (!(bias->shape == Shape{1, channels, 1, 1})) continue;
      Attrs attrs;
      attrs.params = Params(param::ConvBias{.nonlineMode = mode == E::ADD                ? N::IDENTITY
                                                           : mode == E::FUSE_ADD_RELU    ? N::RELU
                                                           : mode == E::FUSE_ADD_SIGMOID ? N::SIGMOID
                                                                                         : N::H_SWISH,
                                            .mode = c.mode,
                                            .sparse = c.sparse,
                                            .format = c.format,
                                            .pad_h = c.pad_h,
                                            .pad_w = c.pad_w,
                                            .stride_h = c.stride_h,
                                            .stride_w = c.stride_w,
                                            .dilate_h = c.dilate_h,
                                            .dilate_w = c.dilate_w,
                                            .compute_mode = c.compute_mode});
      attrs.policy = conv.attrs.policy;
      std::vector<ValueId> inputs = {conv.inputs[0], conv.inputs[1], b};
      sum.op = fused;
      sum.attrs = std::move(attrs);
      sum.inputs = std::move(inputs);
      break;
    }
  }
}

}  // namespace

const std::vector<Pass>& passes() {
  static const std::vector<Pass> all = {
      {"fuse_conv_bias", "makes ConvBiasForward of a convolution, its bias and its activation", fuse_conv_bias},
      {"remove_dead", "drops nodes that nobody reads", remove_dead},
  };
  return all;
}

void optimize_graph(Graph& graph, const std::vector<std::string>& disabled) {
  for (const std::string& name : disabled) {
    const bool known = std::any_of(passes().begin(), passes().end(), [&](const Pass& p) { return name == p.name; });
    if (!known) throw Error(cat("there is no graph pass '", name, "'"));
  }
  for (const Pass& p : passes()) {
    if (std::find(disabled.begin(), disabled.end(), p.name) == disabled.end()) p.run(graph);
  }
  graph.check();
}

}  // namespace megalith
