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

}  // namespace

const std::vector<Pass>& passes() {
  static const std::vector<Pass> all = {
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
