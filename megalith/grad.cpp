// grad(): the gradients of a graph, appended to the graph.
#include "megalith/plan.h"
#include "megalith/var.h"

namespace megalith {
namespace {

constexpr int64_t kKnownValueLimit = 1024;

// What the shape rules say about a graph for the declared shapes of its inputs. `known` is false for values that
// depend on what only a run can tell, and for what follows from them.
struct StaticSpec {
  TensorSpec spec;
  bool known = false;
};

// Small values that follow from shapes and constants (reshape targets) are computed. Where a rule can't be applied
// the type of the first input stands for that of the outputs.
void infer_node(const Graph& g, const Node& node, std::vector<StaticSpec>& specs) {
  const auto at = [&](ValueId v) -> StaticSpec& { return specs[static_cast<size_t>(v)]; };
  if (node.op->kind != OpKind::kCompute) {
    for (size_t i = 0; i < node.outputs.size() && i < node.attrs.tensors.size(); ++i) {
      const NamedTensor& t = node.attrs.tensors[i];
      at(node.outputs[i]) = {{t.dtype, t.shape, {}}, true};
      if (node.op->kind == OpKind::kConstant && t.shape.count() <= kKnownValueLimit)
        at(node.outputs[i]).spec.value = t.value;
    }
    return;
  }
  std::vector<TensorSpec> in, out(node.outputs.size());
  bool known = node.op->infer != nullptr, values = !node.op->random && !node.op->effect && !node.op->dynamic;
  for (const ValueId v : node.inputs) {
    in.push_back(at(v).spec);
    known = known && at(v).known;
    values = values && at(v).spec.value.defined();
  }
  try {
    if (known) {
      InferContext c{*node.op, node.attrs, in, out, node.name};
      node.op->infer(c);
    }
  } catch (const NeedValue&) {
    known = false;
  } catch (const Error&) {
    known = false;
  }
  bool small = true;
  for (size_t i = 0; i < out.size(); ++i) {
    if (!known && !in.empty()) out[i].dtype = in[0].dtype;
    small = small && !out[i].value.defined() && out[i].shape.count() <= kKnownValueLimit;
    at(node.outputs[i]) = {out[i], known && !node.op->dynamic};
  }
  if (!known || !values || !small) return;
  std::vector<Tensor> args;
  for (const TensorSpec& s : in) args.push_back(s.value);
  Exec exec;
  const std::vector<Tensor> results = run_op(*node.op, node.attrs, args, exec);
  for (size_t i = 0; i < out.size(); ++i) at(node.outputs[i]).spec.value = results[i];
}

}  // namespace

std::vector<ValueId> grad(Graph& g, ValueId loss, const std::vector<ValueId>& wrt) {
  for (const ValueId v : wrt) {
    if (v < 0 || static_cast<size_t>(v) >= g.values.size()) throw Error(cat("grad: there is no variable ", v));
  }
  if (loss < 0 || static_cast<size_t>(loss) >= g.values.size()) throw Error(cat("grad: there is no variable ", loss));
  const size_t first_nodes = g.nodes.size();
  std::vector<StaticSpec> specs(g.values.size());
  for (const Node& node : g.nodes) infer_node(g, node, specs);
  const StaticSpec& target = specs[static_cast<size_t>(loss)];
  if (target.known && target.spec.shape.count() != 1)
    throw Error(cat("grad: the loss must be a single number, but has shape ", target.spec.shape));
  const auto differentiable = [&](ValueId v) { return specs[static_cast<size_t>(v)].spec.dtype.is_float(); };

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
    Tensor one = Tensor::empty(DTypeEnum::Float32, target.known ? target.spec.shape : Shape{1});
    *one.data<float>() = 1;
    if (target.spec.dtype.id != DTypeEnum::Float32) {
      one = emit1("TypeCvt", param::TypeCvt{.dtype = target.spec.dtype}, {one}).tensor();
    }
    sums[static_cast<size_t>(loss)] = Var(g, g.add_constant(one));
  }
  for (size_t i = first_nodes; i-- > 0;) {
    std::vector<Var> in, out, dout;
    std::vector<bool> needs;
    std::vector<DType> types;
    bool flows = false, any = false;
    for (ValueId v : g.nodes[i].outputs) {
      out.emplace_back(g, v);
      dout.push_back(sums[static_cast<size_t>(v)]);
      flows = flows || dout.back().defined();
    }
    for (ValueId v : g.nodes[i].inputs) {
      in.emplace_back(g, v);
      needs.push_back(wanted[static_cast<size_t>(v)]);
      types.push_back(specs[static_cast<size_t>(v)].spec.dtype);
      any = any || needs.back();
    }
    if (!flows || !any) continue;
    const OpDef& op = *g.nodes[i].op;
    const Attrs attrs = g.nodes[i].attrs;  // a copy: emitting may move the nodes
    if (!op.grad) throw UnsupportedError(cat(g.label(static_cast<NodeId>(i)), ": has no gradient"));
    const std::vector<Var> d = op.grad(GradContext{op, attrs, in, out, dout, needs, &types});
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
