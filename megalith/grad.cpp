// grad(): the gradients of a graph, appended to the graph.
#include <algorithm>

#include "megalith/infer.h"
#include "megalith/var.h"

namespace megalith {
namespace {

// The element types of all values. Where a shape depends on data and with it what the shape rules know, the type of
// the first input stands for that of the outputs.
std::vector<DType> value_types(Graph& g) {
  std::vector<DType> types(g.values.size());
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const auto known = [&](ValueId v) { return g.value(v).spec.has_value(); };
    const auto all = [&](const std::vector<ValueId>& values) {
      return std::all_of(values.begin(), values.end(), known);
    };
    try {
      if (!all(g.nodes[n].outputs)) infer_node(g, static_cast<NodeId>(n));
    } catch (const Error&) {
      // Declared shapes are hints.
    }
    const Node& node = g.nodes[n];
    std::vector<TensorSpec> in, out(node.outputs.size());
    if (!node.inputs.empty()) {
      for (TensorSpec& s : out) s.dtype = types[static_cast<size_t>(node.inputs[0])];
    }
    if (node.op->dynamic && all(node.inputs)) {
      for (const ValueId v : node.inputs) in.push_back(*g.value(v).spec);
      InferContext c{*node.op, node.attrs, in, out, node.name};
      try {
        node.op->infer(c);
      } catch (const NeedValue&) {
      } catch (const Error&) {
      }
    }
    for (size_t i = 0; i < out.size(); ++i) {
      const ValueId v = node.outputs[i];
      types[static_cast<size_t>(v)] = known(v) ? g.value(v).spec->dtype : out[i].dtype;
    }
  }
  return types;
}

}  // namespace

std::vector<ValueId> grad(Graph& g, ValueId loss, const std::vector<ValueId>& wrt) {
  for (const ValueId v : wrt) {
    if (v < 0 || static_cast<size_t>(v) >= g.values.size()) throw Error(cat("grad: there is no variable ", v));
  }
  if (loss < 0 || static_cast<size_t>(loss) >= g.values.size()) throw Error(cat("grad: there is no variable ", loss));
  const size_t first_nodes = g.nodes.size();
  const std::vector<DType> types = value_types(g);
  const std::optional<TensorSpec> target = g.value(loss).spec;
  if (target && target->shape.count() != 1)
    throw Error(cat("grad: the loss must be a single number, but has shape ", target->shape));
  const auto differentiable = [&](ValueId v) { return types[static_cast<size_t>(v)].is_float(); };

  std::vector<bool> wanted(g.values.size(), false);
  for (ValueId v : wrt) wanted[static_cast<size_t>(v)] = differentiable(v);
  for (size_t i = 0; i < first_nodes; ++i) {
    bool any = false;
    for (ValueId v : g.nodes[i].inputs) any = any || wanted[static_cast<size_t>(v)];
    if (!any) continue;
    for (ValueId v : g.nodes[i].outputs)
      wanted[static_cast<size_t>(v)] = wanted[static_cast<size_t>(v)] || differentiable(v);
  }
  std::vector<Var> sums(g.values.size());
  if (wanted[static_cast<size_t>(loss)]) {
    Tensor one = Tensor::empty(DTypeEnum::Float32, target ? target->shape : Shape{1});
    *one.data<float>() = 1;
    if (const DType type = types[static_cast<size_t>(loss)]; type.id != DTypeEnum::Float32)
      one = emit1("TypeCvt", param::TypeCvt{.dtype = type}, {one}).tensor();
    sums[static_cast<size_t>(loss)] = Var(g, g.add_constant(one));
  }
  for (size_t i = first_nodes; i-- > 0;) {
    std::vector<Var> in, out, dout;
    std::vector<bool> needs;
    std::vector<DType> in_types;
    bool flows = false, any = false;
    for (ValueId v : g.nodes[i].outputs) {
      out.emplace_back(g, v);
      dout.push_back(sums[static_cast<size_t>(v)]);
      flows = flows || dout.back().defined();
    }
    for (ValueId v : g.nodes[i].inputs) {
      in.emplace_back(g, v);
      needs.push_back(wanted[static_cast<size_t>(v)]);
      in_types.push_back(types[static_cast<size_t>(v)]);
      any = any || needs.back();
    }
    if (!flows || !any) continue;
    const OpDef& op = *g.nodes[i].op;
    const Attrs attrs = g.nodes[i].attrs;  // a copy: emitting may move the nodes
    if (!op.grad) throw UnsupportedError(cat(g.label(static_cast<NodeId>(i)), ": has no gradient"));
    const std::vector<Var> d = op.grad(GradContext{op, attrs, in, out, dout, needs, &in_types});
    const std::vector<ValueId> ids = g.nodes[i].inputs;
    for (size_t k = 0; k < d.size() && k < ids.size(); ++k) {
      if (!d[k].defined() || !needs[k]) continue;
      const Var more = d[k].is_graph() ? d[k] : Var(g, g.add_constant(d[k].tensor()));
      Var& sum = sums[static_cast<size_t>(ids[k])];
      sum = sum.defined() ? emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {sum, more}) : more;
    }
  }
  std::vector<ValueId> r;
  for (ValueId v : wrt) r.push_back(sums[static_cast<size_t>(v)].defined() ? sums[static_cast<size_t>(v)].value() : -1);
  return r;
}

}  // namespace megalith
