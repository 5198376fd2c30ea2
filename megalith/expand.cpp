// Nodes that are replaced by other nodes: gradients of loaded models, and what files have no place for.
#include <algorithm>
#include <utility>

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
    n.attrs.params = param::Empty{};  // MegEngine reads no node without it
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

namespace {

// Values whose shape follows from constants, and that are no constants themselves.
std::vector<bool> computed_constants(const Graph& g) {
  std::vector<bool> constant(g.values.size(), false), computed = constant;
  for (const Node& n : g.nodes) {
    const bool leaf = n.op->kind == OpKind::kConstant;
    const auto known = [&](ValueId v) { return constant[static_cast<size_t>(v)]; };
    const bool pure = n.op->kind == OpKind::kCompute && !n.unknown && !n.inputs.empty() && !n.op->random;
    const bool all = leaf || (pure && std::all_of(n.inputs.begin(), n.inputs.end(), known));
    // What writes into a tensor keeps its shape, whatever is written.
    const std::string_view name = n.op->name;
    const bool writes = !n.inputs.empty() && (name.starts_with("IndexingSet") || name == "SetSubtensor");
    for (const ValueId v : n.outputs) {
      constant[static_cast<size_t>(v)] = all;
      computed[static_cast<size_t>(v)] = (all && !leaf) || (writes && known(n.inputs[0]));
    }
  }
  return computed;
}

bool same_spec(const Graph& g, ValueId a, ValueId b) {
  const auto &x = g.value(a).spec, &y = g.value(b).spec;
  return x && y && x->dtype == y->dtype && x->shape == y->shape;
}

// The graph input that a node hands on by adding 0, by a factor or a power of 1; -1 for other nodes.
ValueId unchanged_input(const Graph& g, const Node& n) {
  if (!is(n, "Elemwise") || n.inputs.size() != 2) return -1;
  using Mode = param::ElemwiseMode;
  const Mode mode = n.attrs.param<param::Elemwise>().mode;
  const bool adds = mode == Mode::ADD || mode == Mode::SUB;
  if (!adds && mode != Mode::MUL && mode != Mode::POW && mode != Mode::TRUE_DIV) return -1;
  const size_t sides = mode == Mode::ADD || mode == Mode::MUL ? 2 : 1;
  for (size_t k = 0; k < sides; ++k) {
    const Node &x = g.node(g.value(n.inputs[k]).node), &other = g.node(g.value(n.inputs[1 - k]).node);
    if (x.op->kind != OpKind::kInput || other.op->kind != OpKind::kConstant || other.attrs.tensors.size() != 1)
      continue;
    const Tensor& t = other.attrs.tensors[0].value;
    if (t.defined() && t.count() == 1 && t.item() == (adds ? 0 : 1)) return n.inputs[k];
  }
  return -1;
}

// MegEngine's loader makes no node of a Reshape or Broadcast of a computed constant that has the shape already, and
// none of an output that is an input unchanged; then it is surprised to find another op there.
void drop_what_loader_drops(Graph& g) {
  const std::vector<bool> computed = computed_constants(g);
  const auto reshapes = [&](const Node& n) {
    return (is(n, "Reshape") || is(n, "Broadcast")) && !n.inputs.empty() && computed[static_cast<size_t>(n.inputs[0])];
  };
  const auto unchanged = [&](const GraphOutput& o) { return unchanged_input(g, g.node(g.value(o.value).node)); };
  if (std::none_of(g.nodes.begin(), g.nodes.end(), reshapes) &&
      std::all_of(g.outputs.begin(), g.outputs.end(), [&](const GraphOutput& o) { return unchanged(o) < 0; })) {
    return;
  }
  infer_graph(g);
  std::vector<ValueId> now(g.values.size());
  for (size_t v = 0; v < now.size(); ++v) now[v] = static_cast<ValueId>(v);
  std::vector<bool> kept(g.nodes.size(), true);
  for (size_t i = 0; i < kept.size(); ++i) {
    Node& n = g.nodes[i];
    for (ValueId& v : n.inputs) v = now[static_cast<size_t>(v)];
    if (!reshapes(n) || !same_spec(g, n.inputs[0], n.outputs[0])) continue;
    now[static_cast<size_t>(n.outputs[0])] = n.inputs[0];
    kept[i] = false;
  }
  for (GraphOutput& o : g.outputs) {
    o.value = now[static_cast<size_t>(o.value)];
    const ValueId x = unchanged(o);
    if (x < 0 || !same_spec(g, x, o.value)) continue;
    const ValueId left = std::exchange(o.value, x);
    const auto reads = [&](const Node& n) {
      return std::find(n.inputs.begin(), n.inputs.end(), left) != n.inputs.end();
    };
    const auto gives = [&](const GraphOutput& other) { return other.value == left; };
    kept[static_cast<size_t>(g.value(left).node)] =
        std::any_of(g.nodes.begin(), g.nodes.end(), reads) || std::any_of(g.outputs.begin(), g.outputs.end(), gives);
  }
  g.keep(kept);
}

// MegEngine reads no constant without elements: it becomes a part of one that has some, unless that one is large.
constexpr uint64_t kMostFilled = 1 << 20;  // bytes
void fill_empty_constants(Graph& g) {
  for (size_t i = 0; i < g.nodes.size();) {
    const Node& n = g.nodes[i];
    const bool constant = n.op->kind == OpKind::kConstant && n.attrs.tensors.size() == 1;
    const Tensor t = constant ? n.attrs.tensors[0].value : Tensor();
    Shape filled = t.defined() ? t.shape() : Shape();
    for (int k = 0; k < filled.ndim(); ++k) filled[k] = std::max<int64_t>(filled[k], 1);
    if (!t.defined() || t.count() > 0 || t.dtype().is_lowbit() || tensor_bytes(t.dtype(), filled) > kMostFilled) {
      ++i;
      continue;
    }
    i = replace_node(g, i, [&](const Node&) -> std::vector<ValueId> {
      std::vector<int32_t> items;
      std::vector<Var> in(1);
      const int32_t zero = 0;
      for (int k = 0; k < filled.ndim(); ++k) {
        if (t.dim(k) > 0) continue;
        items.insert(items.end(), {k, 0, 1, 0, 0});  // up to 0
        in.emplace_back(g, g.add_constant(Tensor::of<int32_t>(DTypeEnum::Int32, {1}, {&zero, 1})));
      }
      in[0] = Var(g, g.add_constant(Tensor::zeros(t.dtype(), filled)));
      Attrs attrs;
      attrs.params = Params(param::IndexDescMaskDump{}, items);
      return {emit(Registry::get().at("Subtensor"), attrs, in)[0].value()};
    });
  }
}

}  // namespace

void expand_for_files(Graph& g) {
  drop_what_loader_drops(g);
  fill_empty_constants(g);
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
