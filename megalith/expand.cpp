// Nodes that are replaced by other nodes: gradients of loaded models, and what files have no place for.
#include <algorithm>

#include "megalith/infer.h"
#include "megalith/var.h"

namespace megalith {
namespace {

// Puts the nodes that `build` appends in the place of node `i`: the rest of the graph is put aside meanwhile. `build`
// says what stands for the node's outputs, -1 for nothing. Returns where the nodes behind are now.
template <class Build>
size_t replace_node(Graph& g, size_t i, Build&& build) {
  const auto begin = g.nodes.begin() + static_cast<std::ptrdiff_t>(i);
  std::vector<Node> rest(std::make_move_iterator(begin), std::make_move_iterator(g.nodes.end()));
  g.nodes.erase(begin, g.nodes.end());
  const Node& old = rest[0];
  const std::vector<ValueId> made = build(old);
  for (size_t k = 0; k < made.size(); ++k) {
    if (made[k] < 0) continue;
    Node n = old;
    n.op = &Registry::get().at("Identity");
    n.attrs = {};
    n.inputs = {made[k]};
    n.outputs = {old.outputs[k]};
    g.nodes.push_back(std::move(n));
  }
  const size_t behind = g.nodes.size();
  g.nodes.insert(g.nodes.end(), std::make_move_iterator(rest.begin() + 1), std::make_move_iterator(rest.end()));
  for (size_t n = i; n < g.nodes.size(); ++n) {
    for (const ValueId v : g.nodes[n].outputs) g.values[static_cast<size_t>(v)].node = static_cast<NodeId>(n);
  }
  return behind;
}

}  // namespace

void expand_virtual_grads(Graph& g) {
  for (size_t i = 0; i < g.nodes.size();) {
    if (!is(g.nodes[i], "VirtualGrad")) {
      ++i;
      continue;
    }
    i = replace_node(g, i, [&](const Node& old) -> std::vector<ValueId> {
      const ValueId x = old.inputs[1], dx = grad(g, old.inputs[0], {x})[0];
      if (dx >= 0) return {dx};
      const Tensor zero = Tensor::zeros(DTypeEnum::Float32, {1});  // nothing flows back
      return {emit1("Broadcast", {Var(g, g.add_constant(zero)), emit1("GetVarShape", {Var(g, x)})}).value()};
    });
  }
}

void expand_for_files(Graph& g) {
  const auto expands = [](const Node& n) { return !n.unknown && n.op->expand && !n.op->mge.v1_name; };
  if (std::none_of(g.nodes.begin(), g.nodes.end(), expands)) return;
  infer_graph(g);
  std::vector<bool> read(g.values.size(), false);
  for (const Node& n : g.nodes) {
    for (const ValueId v : n.inputs) read[static_cast<size_t>(v)] = true;
  }
  for (const GraphOutput& o : g.outputs) read[static_cast<size_t>(o.value)] = true;
  for (size_t i = 0; i < g.nodes.size();) {
    if (!expands(g.nodes[i])) {
      ++i;
      continue;
    }
    const std::string label = g.label(static_cast<NodeId>(i));
    i = replace_node(g, i, [&](const Node& old) {
      std::vector<Var> in;
      std::vector<TensorSpec> specs;
      for (const ValueId v : old.inputs) {
        in.emplace_back(g, v);
        if (!g.value(v).spec)
          throw UnsupportedError(
              cat(label, ": can't be written to a file: the shape of variable ", v, " is not known"));
        specs.push_back(*g.value(v).spec);
      }
      const std::vector<Var> out = old.op->expand(old.attrs, in, specs);
      std::vector<ValueId> made;
      for (size_t k = 0; k < old.outputs.size(); ++k) {
        const bool wanted = read[static_cast<size_t>(old.outputs[k])];
        if (wanted && !out[k].defined()) throw UnsupportedError(cat(label, ": files have no place for output ", k));
        made.push_back(wanted ? out[k].value() : -1);
      }
      return made;
    });
  }
}

}  // namespace megalith
