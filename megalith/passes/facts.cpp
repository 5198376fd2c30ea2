#include "megalith/passes/facts.h"

#include <algorithm>

namespace megalith::pass {

std::vector<bool> needed_nodes(const Graph& g) {
  std::vector<bool> needed(g.nodes.size(), false);
  for (const GraphOutput& o : g.outputs) needed[static_cast<size_t>(g.value(o.value).node)] = true;
  for (size_t i = g.nodes.size(); i-- > 0;) {
    needed[i] = needed[i] || g.nodes[i].op->effect || g.nodes[i].op->kind == OpKind::kInput;
    if (!needed[i]) continue;
    for (ValueId v : g.nodes[i].inputs) needed[static_cast<size_t>(g.value(v).node)] = true;
  }
  return needed;
}

Facts::Facts(const Graph& g)
    : g_(g),
      reads_(g.values.size(), 0),
      live_(needed_nodes(g)),
      late_(g.nodes.size()),
      updated_(g.values.size()),
      first_update_(static_cast<NodeId>(g.nodes.size())) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    const auto updates = updates_of(*n.op, n.attrs, static_cast<int>(n.inputs.size()));
    bool late = !updates.empty();
    if (late) first_update_ = std::min(first_update_, static_cast<NodeId>(i));
    for (ValueId v : n.inputs) {
      reads_[static_cast<size_t>(v)] += live_[i];
      late = late || late_[static_cast<size_t>(g.value(v).node)];
    }
    late_[i] = late;
    for (const auto& [out, in] : updates) {
      if (static_cast<size_t>(in) < n.inputs.size())
        updated_[static_cast<size_t>(n.inputs[static_cast<size_t>(in)])] = true;
    }
  }
  for (const GraphOutput& o : g.outputs) ++reads_[static_cast<size_t>(o.value)];
}

const Tensor* Facts::constant(ValueId v) const {
  // A volatile parameter is one that the application replaces between runs.
  const bool changes = updated_[static_cast<size_t>(v)] || is(g_.node(g_.value(v).node), "VolatileSharedDeviceTensor");
  return changes ? nullptr : parameter(v, -1);
}

const Tensor* Facts::parameter(ValueId v, NodeId reader) const {
  const Node& n = g_.node(g_.value(v).node);
  const bool holds = n.op->kind == OpKind::kConstant || n.op->kind == OpKind::kParameter;
  if (!holds || reader >= first_update_) return nullptr;
  const Tensor& t = n.attrs.tensors[static_cast<size_t>(g_.value(v).index)].value;
  return t.defined() ? &t : nullptr;
}

const Node* Facts::absorbable(ValueId v) const {
  const NodeId n = g_.value(v).node;
  return reads(v) == 1 && !late(n) ? &g_.node(n) : nullptr;
}

std::optional<std::vector<NodeId>> Facts::wants_shape(ValueId v, NodeId reader) const {
  std::vector<NodeId> found;
  if (late(g_.value(v).node)) return std::nullopt;
  for (const GraphOutput& o : g_.outputs) {
    if (o.value == v) return std::nullopt;
  }
  for (size_t i = 0; i < live_.size(); ++i) {
    const Node& n = g_.nodes[i];
    const auto id = static_cast<NodeId>(i);
    const auto reads = std::count(n.inputs.begin(), n.inputs.end(), v);
    if (reads == 0 || !live_[i] || (id == reader && reads == 1)) continue;
    if (!is(n, "GetVarShape") || n.inputs.size() != 1 || id < reader) return std::nullopt;
    found.push_back(id);
  }
  return found;
}

std::optional<std::vector<float>> Facts::per_channel(ValueId v, int64_t channels, int axis, int ndim) const {
  const Tensor* t = constant(v);
  if (!t || t->dtype().id != DTypeEnum::Float32 || t->ndim() > ndim) return std::nullopt;
  const Tensor c = t->to_contiguous();
  const float* p = c.data<float>();
  if (c.count() == 1) return std::vector<float>(static_cast<size_t>(channels), *p);
  if (c.count() != channels || c.ndim() < -axis || c.dim(c.ndim() + axis) != channels) return std::nullopt;
  return std::vector<float>(p, p + channels);
}

void NewConstants::move_up() {
  std::rotate(g_.nodes.begin(), g_.nodes.begin() + static_cast<std::ptrdiff_t>(first_), g_.nodes.end());
  for (size_t i = 0; i < g_.nodes.size(); ++i) {
    for (ValueId v : g_.nodes[i].outputs) g_.values[static_cast<size_t>(v)].node = static_cast<NodeId>(i);
  }
}

}  // namespace megalith::pass
