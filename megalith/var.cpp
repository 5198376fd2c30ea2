#include "megalith/var.h"

#include <atomic>

#include "megalith/autograd.h"
#include "megalith/infer.h"
#include "megalith/plan.h"
#include "megalith/platform/thread_pool.h"
#include "megalith/recorder.h"

namespace megalith {
namespace {

// Of all eager calls.
ThreadPool& eager_pool() {
  static ThreadPool pool(default_threads());
  return pool;
}

ValueId add_known(Graph& graph, const Tensor& value) {
  const ValueId v = graph.add_constant(value);
  infer_node(graph, graph.value(v).node);
  return v;
}

std::vector<Var> emit_eager(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs) {
  static std::atomic<uint64_t> draws{0};
  std::vector<Tensor> in;
  in.reserve(inputs.size());
  for (const Var& v : inputs) in.push_back(v.tensor());
  Exec exec(&eager_pool());
  if (op.random) exec.set_random_key(random_key(attrs, ++draws));
  std::vector<Var> out;
  for (Tensor& t : run_op(op, attrs, in, exec)) out.emplace_back(std::move(t));
  remember(&op, attrs, inputs, out);
  if (Recorder* recorder = Recorder::active()) recorder->record(op, attrs, inputs, out);
  return out;
}

}  // namespace

std::vector<Var> emit(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs) {
  Graph* graph = nullptr;
  for (const Var& v : inputs) {
    if (!v.is_graph()) continue;
    if (graph && graph != v.graph()) throw Error(cat(op.name, ": its inputs belong to two graphs"));
    graph = v.graph();
  }
  if (!graph) return emit_eager(op, attrs, inputs);
  std::vector<Var> out;
  std::vector<ValueId> in;
  for (const Var& v : inputs) in.push_back(v.is_graph() ? v.value() : add_known(*graph, v.tensor()));
  const NodeId n = graph->add(op, attrs, std::move(in));
  infer_node(*graph, n);
  for (ValueId v : graph->node(n).outputs) out.emplace_back(*graph, v);
  return out;
}

Var emit1(const char* op, const Params& params, const std::vector<Var>& inputs) {
  Attrs attrs;
  attrs.params = params;
  return emit(Registry::get().at(op), attrs, inputs)[0];
}

Var emit1(const char* op, const std::vector<Var>& inputs) {
  const OpDef& def = Registry::get().at(op);
  return emit1(op, def.params ? Params(*def.params) : Params(), inputs);
}

std::vector<ValueId> grad(Graph& g, ValueId loss, const std::vector<ValueId>& wrt) {
  const size_t first_nodes = g.nodes.size();
  std::vector<bool> wanted(g.values.size(), false);
  for (ValueId v : wrt) wanted[static_cast<size_t>(v)] = true;
  for (size_t i = 0; i < first_nodes; ++i) {
    bool any = false;
    for (ValueId v : g.nodes[i].inputs) any = any || wanted[static_cast<size_t>(v)];
    for (ValueId v : g.nodes[i].outputs) wanted[static_cast<size_t>(v)] = wanted[static_cast<size_t>(v)] || any;
  }
  std::vector<Var> sums(g.values.size());
  Tensor one = Tensor::empty(DTypeEnum::Float32, {1});
  *one.data<float>() = 1;
  sums[static_cast<size_t>(loss)] = Var(g, g.add_constant(one));
  for (size_t i = first_nodes; i-- > 0;) {
    std::vector<Var> in, out, dout;
    std::vector<bool> needs;
    bool flows = false, any = false;
    for (ValueId v : g.nodes[i].outputs) {
      out.emplace_back(g, v);
      dout.push_back(sums[static_cast<size_t>(v)]);
      flows = flows || dout.back().defined();
    }
    for (ValueId v : g.nodes[i].inputs) {
      in.emplace_back(g, v);
      needs.push_back(wanted[static_cast<size_t>(v)]);
      any = any || needs.back();
    }
    if (!flows || !any) continue;
    const OpDef& op = *g.nodes[i].op;
    const Attrs attrs = g.nodes[i].attrs;  // a copy: emitting may move the nodes
    if (!op.grad) throw UnsupportedError(cat(g.label(static_cast<NodeId>(i)), ": has no gradient"));
    const std::vector<Var> d = op.grad(GradContext{op, attrs, in, out, dout, needs});
    const std::vector<ValueId> ids = g.nodes[i].inputs;
    for (size_t k = 0; k < d.size() && k < ids.size(); ++k) {
      if (!d[k].defined() || !needs[k]) continue;
      Var& sum = sums[static_cast<size_t>(ids[k])];
      sum = sum.defined() ? emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {sum, d[k]}) : d[k];
    }
  }
  std::vector<ValueId> r;
  for (ValueId v : wrt) r.push_back(sums[static_cast<size_t>(v)].defined() ? sums[static_cast<size_t>(v)].value() : -1);
  return r;
}

}  // namespace megalith
