#include "megalith/graph.h"

namespace megalith {

NodeId Graph::add(const OpDef& op, Attrs attrs, std::vector<ValueId> inputs, std::string name, int n_outputs) {
  const int n = static_cast<int>(inputs.size());
  if (!takes_inputs(op, n)) {
    throw ModelError(cat(op.name, name.empty() ? "" : " '" + name + "'", ": ", inputs_text(op, n)));
  }
  for (ValueId v : inputs) {
    if (v < 0 || v >= static_cast<ValueId>(values.size())) {
      throw ModelError(cat(op.name, ": input variable ", v, " does not exist (", values.size(), " so far)"));
    }
  }
  const auto id = static_cast<NodeId>(nodes.size());
  Node node;
  node.op = &op;
  const int outs = op.open_outputs ? n_outputs : num_outputs(op, attrs, n);
  node.attrs = std::move(attrs);
  node.name = std::move(name);
  node.inputs = std::move(inputs);
  for (int i = 0; i < outs; ++i) {
    node.outputs.push_back(static_cast<ValueId>(values.size()));
    values.push_back({"", id, i, {}});
  }
  nodes.push_back(std::move(node));
  return id;
}

namespace {
ValueId add_holder(Graph& g, const char* op, const std::string& name, DType dtype, const Shape& shape,
                   const Tensor& value) {
  const OpDef& def = Registry::get().at(op);
  Attrs a;
  if (def.params) a.params = Params(*def.params);
  a.tensors.push_back({name, dtype, shape, value});
  return g.node(g.add(def, std::move(a), {}, name)).outputs[0];
}
}  // namespace

ValueId Graph::add_input(const std::string& name, DType dtype, const Shape& shape) {
  return add_holder(*this, "Host2DeviceCopy", name, dtype, shape, {});
}
ValueId Graph::add_constant(const Tensor& v, const std::string& name) {
  return add_holder(*this, "ImmutableTensor", name, v.dtype(), v.shape(), v);
}
ValueId Graph::add_parameter(const Tensor& v, const std::string& name) {
  return add_holder(*this, "SharedDeviceTensor", name, v.dtype(), v.shape(), v);
}
void Graph::add_output(ValueId v, const std::string& name) { outputs.push_back({name, v, static_cast<uint32_t>(v)}); }

namespace {
// Which nodes the values need, themselves included.
std::vector<bool> needed_nodes(const Graph& g, const std::vector<ValueId>& values) {
  std::vector<bool> needed(g.nodes.size(), false);
  for (ValueId v : values) {
    if (v < 0 || v >= static_cast<ValueId>(g.values.size())) throw ModelError(cat("there is no variable ", v));
    needed[static_cast<size_t>(g.value(v).node)] = true;
  }
  for (size_t i = g.nodes.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (ValueId v : g.nodes[i].inputs) needed[static_cast<size_t>(g.value(v).node)] = true;
  }
  return needed;
}
}  // namespace

void Graph::keep(const std::vector<bool>& kept) {
  std::vector<Node> some;
  std::vector<Value> theirs;
  std::vector<ValueId> renamed(values.size(), -1);
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!kept[i]) continue;
    Node n = std::move(nodes[i]);
    for (ValueId& v : n.inputs) v = renamed[static_cast<size_t>(v)];
    for (ValueId& v : n.outputs) {
      Value moved = std::move(values[static_cast<size_t>(v)]);
      moved.node = static_cast<NodeId>(some.size());
      renamed[static_cast<size_t>(v)] = static_cast<ValueId>(theirs.size());
      v = static_cast<ValueId>(theirs.size());
      theirs.push_back(std::move(moved));
    }
    some.push_back(std::move(n));
  }
  for (GraphOutput& o : outputs) o.value = renamed[static_cast<size_t>(o.value)];
  nodes = std::move(some);
  values = std::move(theirs);
}

Graph Graph::extract(const std::vector<ValueId>& wanted, const std::vector<std::string>& names) const {
  const std::vector<bool> needed = needed_nodes(*this, wanted);
  Graph out = *this;
  out.outputs.clear();
  for (size_t i = 0; i < wanted.size(); ++i) {
    out.add_output(wanted[i], i < names.size() ? names[i] : value(wanted[i]).name);
  }
  out.keep(needed);
  return out;
}

std::vector<ValueId> Graph::replace(const std::vector<ValueId>& dst, const std::map<ValueId, ValueId>& replaced) {
  const std::vector<bool> needed = needed_nodes(*this, dst);
  std::map<ValueId, ValueId> renamed = replaced;
  const auto now = [&](ValueId v) {
    const auto it = renamed.find(v);
    return it == renamed.end() ? v : it->second;
  };
  for (size_t i = 0; i < needed.size(); ++i) {
    if (!needed[i]) continue;
    bool touched = false;
    for (ValueId v : nodes[i].inputs) touched = touched || renamed.count(v) > 0;
    if (!touched) continue;
    std::vector<ValueId> in, old = nodes[i].outputs;
    for (ValueId v : nodes[i].inputs) in.push_back(now(v));
    const NodeId n = add(*nodes[i].op, nodes[i].attrs, std::move(in), nodes[i].name, static_cast<int>(old.size()));
    node(n).unknown = nodes[i].unknown;
    node(n).comp_node = nodes[i].comp_node;
    node(n).priority = nodes[i].priority;
    for (size_t k = 0; k < old.size(); ++k) {
      const ValueId made = node(n).outputs[k];
      values[static_cast<size_t>(made)].name = value(old[k]).name;
      renamed.emplace(old[k], made);  // a value that was replaced stays replaced
    }
  }
  std::vector<ValueId> r;
  for (ValueId v : dst) r.push_back(now(v));
  return r;
}

std::vector<NodeId> Graph::inputs() const {
  std::vector<NodeId> r;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op->kind == OpKind::kInput) r.push_back(static_cast<NodeId>(i));
  }
  return r;
}

std::string Graph::label(NodeId n) const {
  const Node& d = node(n);
  return d.name.empty() ? cat(d.op->name, " #", n) : cat(d.op->name, " '", d.name, "'");
}

void Graph::check() const {
  std::vector<bool> made(values.size(), false);
  for (size_t n = 0; n < nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    for (ValueId v : nodes[n].inputs) {
      if (v < 0 || v >= static_cast<ValueId>(values.size()) || !made[static_cast<size_t>(v)]) {
        throw ModelError(cat(label(id), ": reads variable ", v, " before it is made"));
      }
    }
    for (ValueId v : nodes[n].outputs) {
      if (v < 0 || v >= static_cast<ValueId>(values.size()) || made[static_cast<size_t>(v)]) {
        throw ModelError(cat(label(id), ": makes variable ", v, " a second time"));
      }
      made[static_cast<size_t>(v)] = true;
    }
  }
  for (const GraphOutput& o : outputs) {
    if (o.value < 0 || o.value >= static_cast<ValueId>(values.size()) || !made[static_cast<size_t>(o.value)]) {
      throw ModelError(cat("output '", o.name, "' names variable ", o.value, ", which does not exist"));
    }
  }
}

}  // namespace megalith
