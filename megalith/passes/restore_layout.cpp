// restore_layout: gives reshapes back the plain NCHW tensor that MegEngine's layout passes took from them.
//
// `enable_nchw4` and its like put Dimshuffle(x, [0,1,4,2,3]) and a Reshape between a blocked image x (N, C/b, H, W, b)
// and the ops that know plain images only. When the next op is a Reshape itself (a flatten in front of a linear layer),
// the clean-up of chained reshapes drops the Dimshuffle with the first of them, and the file flattens x in the order of
// its memory. The target shape still is computed from the plain image, which tells what was meant.
//
// restore_z: the same options fuse sums into ConvBias, and leave images with few channels in NCHW. MegEngine's CPU
// kernels leave z out there; these files were made for the GPU's, which add it, as other formats do on all devices.
#include <algorithm>
#include <string_view>

#include "megalith/passes/facts.h"

namespace megalith::pass {
namespace {

// The tensor format that the op's parameters give its output, "NCHW4"; empty when they say nothing.
std::string output_format(const Node& n) {
  if (!n.attrs.params.schema()) return {};
  for (const Field& f : n.attrs.params.schema()->fields) {
    const std::string_view name = f.name;
    if (name != "format" && !(name == "mode" && is(n, "RelayoutFormat"))) continue;
    const std::string s = field_str(n.attrs.params, f);
    return s.substr(s.rfind('_') + 1);  // of "NCHW4_NCHW32" what comes out
  }
  return {};
}

// Whether a value is an image with blocked channels, as far as the ops before it tell.
bool blocked(const Graph& g, ValueId v, int depth = 0) {
  const Node& n = g.node(g.value(v).node);
  const std::string format = output_format(n);
  if (!format.empty()) return format.back() >= '0' && format.back() <= '9';
  const bool keeps =
      is(n, "TypeCvt") || is(n, "Elemwise") || is(n, "ElemwiseMultiType") || is(n, "Reshape") || is(n, "Dimshuffle");
  return keeps && depth < 32 && blocked(g, n.inputs[0], depth + 1);
}

// Of the values whose shapes `v` is computed from, the one that is x brought to NCHW; -1 when there is none.
ValueId plain_image(const Graph& g, ValueId v, ValueId x, int depth = 0) {
  const Node& n = g.node(g.value(v).node);
  if (is(n, "GetVarShape")) {
    const Node& r = g.node(g.value(n.inputs[0]).node);
    if (!is(r, "Reshape")) return -1;
    const Node& d = g.node(g.value(r.inputs[0]).node);
    const bool unblocks = is(d, "Dimshuffle") && d.attrs.params.list() == std::vector<int32_t>{0, 1, 4, 2, 3};
    return unblocks && d.inputs[0] == x ? n.inputs[0] : -1;
  }
  const bool arithmetic = is(n, "Concat") || is(n, "Subtensor") || is(n, "Elemwise") || is(n, "TypeCvt");
  if (!arithmetic || depth == 8) return -1;
  for (ValueId in : n.inputs) {
    const ValueId found = plain_image(g, in, x, depth + 1);
    if (found >= 0) return found;
  }
  return -1;
}

}  // namespace

void restore_layout(Graph& g) {
  for (Node& n : g.nodes) {
    if (!is(n, "Reshape") || n.inputs.size() != 2) continue;
    const ValueId plain = plain_image(g, n.inputs[1], n.inputs[0]);
    if (plain >= 0 && blocked(g, n.inputs[0])) n.inputs[0] = plain;
  }
}

namespace {

bool dumped_for_gpu(const Graph& g) {
  const uint64_t layout = g.metadata.optimize_options >> 32;
  return layout == 1 || layout == 6 || layout == 7 || layout == 8;  // NCHW4, NCHW32, CHWN4, NCHW64
}

bool leaves_out_z(const Node& n) {
  return is(n, "ConvBiasForward") && n.inputs.size() == 4 && n.attrs.output_dtype &&
         n.attrs.output_dtype->is_quantized() &&
         n.attrs.param<param::ConvBias>().format == param::ConvolutionFormat::NCHW;
}

}  // namespace

void restore_z(Graph& g) {
  if (!dumped_for_gpu(g) || std::none_of(g.nodes.begin(), g.nodes.end(), leaves_out_z)) return;
  const OpDef& op = Registry::get().at("Dimshuffle");
  std::vector<NodeId> order;
  const auto shuffle = [&](ValueId v, std::vector<int32_t> axes) {
    Attrs a;
    const auto ndim = static_cast<uint32_t>(axes.size());
    a.params = Params(param::Dimshuffle{.ndim = ndim}, std::move(axes));
    order.push_back(g.add(op, std::move(a), {v}));
    return g.node(order.back()).outputs[0];
  };
  const auto count = static_cast<NodeId>(g.nodes.size());
  for (NodeId i = 0; i < count; ++i) {
    if (!leaves_out_z(g.node(i))) {
      order.push_back(i);
      continue;
    }
    const bool group = g.node(i).attrs.param<param::ConvBias>().sparse == param::ConvolutionSparse::GROUP;
    for (size_t k = 0; k < 4; ++k) {
      const ValueId v = g.node(i).inputs[k];
      const ValueId last = k == 1 && group ? shuffle(v, {0, 1, 3, 4, 2}) : shuffle(v, {0, 2, 3, 1});
      g.node(i).inputs[k] = last;
    }
    g.node(i).attrs.params.as<param::ConvBias>().format = param::ConvolutionFormat::NHWC;
    order.push_back(i);
    // What read the result reads the Dimshuffle's, by the same value.
    const ValueId image = shuffle(g.node(i).outputs[0], {0, 3, 1, 2});
    Node& back = g.node(order.back());
    std::swap(g.node(i).outputs[0], back.outputs[0]);
    back.inputs[0] = image;
  }
  std::vector<Node> nodes;
  for (const NodeId n : order) nodes.push_back(std::move(g.node(n)));
  g.nodes = std::move(nodes);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    for (ValueId v : g.nodes[i].outputs) g.values[static_cast<size_t>(v)].node = static_cast<NodeId>(i);
  }
}

}  // namespace megalith::pass
