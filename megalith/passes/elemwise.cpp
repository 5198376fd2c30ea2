// Chains of elementwise nodes become one node that reads and writes memory once. Same bits as the chain.
#include "megalith/passes/facts.h"

#include "megalith/ops/elemwise/fused.h"

namespace megalith::pass {
namespace {

using elemwise::Step;

bool fusable(const Node& n) {
  if (!is(n, "Elemwise") || n.attrs.output_dtype) return false;
  const auto mode = n.attrs.param<param::Elemwise>().mode;
  return enum_info<param::ElemwiseMode>().name_of(static_cast<uint32_t>(mode)) &&
         n.inputs.size() == static_cast<size_t>(elemwise::arity(mode));
}

// The chain that ends in one node. Arguments that are steps are negative, -1 - step, until the inputs are counted.
struct Chain {
  std::vector<ValueId> inputs;
  std::vector<Step> steps;
  size_t nodes = 0, pending = 0;  // arguments of taken nodes that were not looked at yet
};

// Takes a node and, before it, the nodes that only it reads. Every value that is still to be looked at may turn out to
// be an input, so these count as if they were.
void take(const Graph& g, const Facts& facts, NodeId id, std::vector<bool>& taken, Chain& c) {
  const Node& n = g.node(id);
  Step step{n.attrs.param<param::Elemwise>().mode, {0, 0, 0, 0}};
  taken[static_cast<size_t>(id)] = true;
  ++c.nodes;
  c.pending += n.inputs.size();
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    const ValueId v = n.inputs[i];
    --c.pending;
    const Node* before = facts.absorbable(v);
    if (before && fusable(*before) && c.nodes < elemwise::kMaxSteps &&
        c.inputs.size() + c.pending + before->inputs.size() <= elemwise::kMaxFusedInputs) {
      take(g, facts, g.value(v).node, taken, c);
      step.args[i] = -static_cast<int32_t>(c.steps.size());
      continue;
    }
    size_t k = 0;
    while (k < c.inputs.size() && c.inputs[k] != v) ++k;
    if (k == c.inputs.size()) c.inputs.push_back(v);
    step.args[i] = static_cast<int32_t>(k);
  }
  c.steps.push_back(step);
}

}  // namespace

// The gradient of RELU behind that of a pooling of its largest elements: x > 0 ? unpool(x, y, d) : 0, where y are these
// elements of x, is unpool(x, y, y > 0 ? d : 0), which asks fewer elements.
void mask_pooled(Graph& g) {
  const Facts facts(g);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& mask = g.nodes[i];
    const auto id = static_cast<NodeId>(i);
    if (!is(mask, "Elemwise") || mask.attrs.output_dtype || mask.inputs.size() != 2 || facts.late(id) ||
        mask.attrs.param<param::Elemwise>().mode != param::ElemwiseMode::SWITCH_GT0)
      continue;
    const ValueId x = mask.inputs[0], dx = mask.inputs[1];
    Node& unpool = g.node(g.value(dx).node);
    if (!is(unpool, "PoolingBackward") || unpool.inputs.size() != 3 || unpool.inputs[0] != x) continue;
    const ValueId y = unpool.inputs[1], dy = unpool.inputs[2];
    const Node& pool = g.node(g.value(y).node);
    if (!is(pool, "Pooling") || pool.inputs[0] != x || pool.attrs.output_dtype || unpool.attrs.output_dtype ||
        !(pool.attrs.params == unpool.attrs.params) ||
        pool.attrs.param<param::Pooling>().mode != param::PoolingMode::MAX)
      continue;
    const auto shapes = facts.wants_shape(dx, id);
    if (!shapes) continue;
    std::swap(mask.op, unpool.op);
    std::swap(mask.attrs, unpool.attrs);
    unpool.inputs = {y, dy};
    mask.inputs = {x, y, dx};
    for (NodeId s : *shapes) g.node(s).inputs[0] = mask.outputs[0];
  }
}

void fuse_elemwise(Graph& g) {
  const OpDef* fused = Registry::get().find("FusedElemwise");
  if (!fused) return;
  const Facts facts(g);
  std::vector<bool> taken(g.nodes.size(), false);
  for (size_t i = g.nodes.size(); i-- > 0;) {
    const auto id = static_cast<NodeId>(i);
    if (taken[i] || facts.late(id) || !fusable(g.nodes[i])) continue;
    Chain c;
    take(g, facts, id, taken, c);
    if (c.nodes < 2) continue;
    for (Step& s : c.steps) {
      for (int k = 0; k < elemwise::arity(s.mode); ++k) {
        if (s.args[k] < 0) s.args[k] = static_cast<int32_t>(c.inputs.size()) - 1 - s.args[k];
      }
    }
    Node& n = g.nodes[i];
    n.op = fused;
    n.attrs.params = elemwise::fused_params(c.steps);
    n.inputs = std::move(c.inputs);
  }
}

}  // namespace megalith::pass
