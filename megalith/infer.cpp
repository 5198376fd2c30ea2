#include "megalith/infer.h"

#include <algorithm>

#include "megalith/plan.h"

namespace megalith {
namespace {
constexpr int64_t kSmallValue = 1024;  // values of more elements are not computed here
}

void infer_node(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const OpDef& op = *node.op;
  const auto value = [&](ValueId v) -> Value& { return graph.values[static_cast<size_t>(v)]; };
  if (op.kind != OpKind::kCompute) {
    for (size_t i = 0; i < node.outputs.size() && i < node.attrs.tensors.size(); ++i) {
      const NamedTensor& t = node.attrs.tensors[i];
      value(node.outputs[i]).spec = TensorSpec{t.dtype, t.shape, op.kind == OpKind::kConstant ? t.value : Tensor{}};
    }
    return;
  }
  std::vector<TensorSpec> in, out(node.outputs.size());
  for (ValueId v : node.inputs) {
    if (!value(v).spec) return;
    in.push_back(*value(v).spec);
  }
  InferContext ctx{op, node.attrs, in, out, node.name};
  try {
    op.infer(ctx);
  } catch (const NeedValue&) {
    return;
  }
  if (op.dynamic) return;  // the rule gives a bound only
  const bool known = std::all_of(in.begin(), in.end(), [](const TensorSpec& s) { return s.value.defined(); });
  const bool small = std::all_of(
      out.begin(), out.end(), [](const TensorSpec& s) { return s.shape.count() <= kSmallValue && !s.value.defined(); });
  const bool pure = !op.random && !op.effect && op.updates.empty() && !op.refuses;
  if (known && small && pure && !in.empty()) {
    std::vector<Tensor> tensors;
    for (const TensorSpec& s : in) tensors.push_back(s.value);
    Exec exec;
    const std::vector<Tensor> results = run_op(op, node.attrs, tensors, exec);
    for (size_t i = 0; i < out.size(); ++i) out[i].value = results[i];
  }
  for (size_t i = 0; i < out.size(); ++i) value(node.outputs[i]).spec = out[i];
}

void infer_graph(Graph& graph) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    try {
      infer_node(graph, static_cast<NodeId>(n));
    } catch (const Error&) {
      // Declared shapes are hints; the call may make sense for those that are fed.
    }
  }
}

}  // namespace megalith
