// Passes that need to know nothing about single ops: constant folding, common subexpressions, dead nodes.
#include <cstring>
#include <map>

#include "megalith/passes/facts.h"
#include "megalith/plan.h"

namespace megalith::pass {
namespace {

// A small file can describe constants of any size (Fill, Broadcast): results may take this much beyond the constants
// that are there.
constexpr size_t kFoldBytes = size_t{32} << 20;

size_t constant_bytes(const Graph& g) {
  size_t n = 0;
  for (const Node& node : g.nodes) {
    for (const NamedTensor& t : node.attrs.tensors) n += t.value.defined() ? t.value.bytes() : 0;
  }
  return n;
}

bool pure(const OpDef& op) {
  return op.kind == OpKind::kCompute && !op.random && !op.effect && !op.refuses && op.updates.empty();
}

// The results of a node whose inputs are constants; nothing when they can't be had within `limit` bytes.
std::vector<Tensor> evaluate(const Node& n, const std::vector<Tensor>& in, size_t limit) {
  std::vector<TensorSpec> specs, out(n.outputs.size());
  for (const Tensor& t : in) specs.push_back({t.dtype(), t.shape(), t});
  try {
    InferContext ctx{*n.op, n.attrs, specs, out, n.name};
    n.op->infer(ctx);
    size_t bytes = 0;
    for (const TensorSpec& s : out) bytes += tensor_bytes(s.dtype, s.shape);
    const bool view = n.op->view != nullptr;  // costs nothing now, but its reader may have to copy it
    if (bytes > limit || (n.op->dynamic && !view)) return {};
    Exec exec;
    std::vector<Tensor> r = run_op(*n.op, n.attrs, in, exec);
    for (Tensor& t : r) t = t.to_contiguous();
    return r;
  } catch (const NeedValue&) {
  } catch (const Error&) {  // whoever runs the model gets the error where it belongs
  }
  return {};
}

bool same_tensor(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined() || !(a.dtype() == b.dtype()) || !(a.shape() == b.shape())) return false;
  return std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

bool same_work(const Node& a, const Node& b) {
  if (a.op != b.op || a.inputs != b.inputs || a.outputs.size() != b.outputs.size()) return false;
  const Attrs &x = a.attrs, &y = b.attrs;
  if (!(x.params == y.params) || x.output_dtype != y.output_dtype || x.blobs != y.blobs) return false;
  if (x.tensors.size() != y.tensors.size()) return false;
  for (size_t i = 0; i < x.tensors.size(); ++i) {
    if (!same_tensor(x.tensors[i].value, y.tensors[i].value)) return false;
  }
  return true;
}

}  // namespace

void fold_constants(Graph& g) {
  const Facts facts(g);
  size_t left = kFoldBytes + constant_bytes(g);
  const OpDef& constant = Registry::get().at("ImmutableTensor");
  std::vector<Tensor> known(g.values.size());
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    for (ValueId v : n.outputs) {
      if (const Tensor* t = facts.constant(v); t && t->contiguous()) known[static_cast<size_t>(v)] = *t;
    }
    if (!pure(*n.op) || n.inputs.empty()) continue;
    std::vector<Tensor> in;
    for (ValueId v : n.inputs) {
      if (known[static_cast<size_t>(v)].defined()) in.push_back(known[static_cast<size_t>(v)]);
    }
    if (in.size() != n.inputs.size()) continue;
    ValueId only = -1;  // a constant has one output
    int read = 0;
    for (ValueId v : n.outputs) {
      if (facts.reads(v) > 0) only = v, ++read;
    }
    if (read != 1) continue;
    const std::vector<Tensor> out = evaluate(n, in, left);
    if (out.size() != n.outputs.size()) continue;
    const Tensor& value = out[static_cast<size_t>(g.value(only).index)];
    left -= std::min(left, value.bytes());
    known[static_cast<size_t>(only)] = value;
    Node folded;
    folded.op = &constant;
    folded.name = n.name;
    folded.comp_node = n.comp_node;
    folded.attrs.tensors.push_back({"", value.dtype(), value.shape(), value});
    folded.outputs = {only};
    g.values[static_cast<size_t>(only)].index = 0;
    n = std::move(folded);
  }
}

void merge_equal(Graph& g) {
  constexpr size_t kCompared = 1024;  // bytes of constants that are worth comparing
  std::vector<ValueId> same(g.values.size());
  for (size_t v = 0; v < same.size(); ++v) same[v] = static_cast<ValueId>(v);
  std::map<std::string, std::vector<size_t>> seen;
  const Facts facts(g);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    for (ValueId& v : n.inputs) v = same[static_cast<size_t>(v)];
    std::string key = n.op->name;
    if (n.op->kind == OpKind::kConstant) {
      const Tensor* t = n.outputs.size() == 1 ? facts.constant(n.outputs[0]) : nullptr;
      if (!t || !t->contiguous() || t->bytes() > kCompared) continue;
      key += t->dtype().str() + t->shape().str();
      key.append(t->data<char>(), t->bytes());
    } else {
      if (!pure(*n.op) || facts.late(static_cast<NodeId>(i))) continue;
      for (ValueId v : n.inputs) key += cat(' ', v);
      key += n.attrs.params.str();
    }
    std::vector<size_t>& like = seen[key];
    bool merged = false;
    for (size_t k : like) {
      if (!same_work(g.nodes[k], n)) continue;
      for (size_t o = 0; o < n.outputs.size(); ++o) same[static_cast<size_t>(n.outputs[o])] = g.nodes[k].outputs[o];
      merged = true;
      break;
    }
    if (!merged && like.size() < 8) like.push_back(i);
  }
  for (GraphOutput& o : g.outputs) o.value = same[static_cast<size_t>(o.value)];
}

void remove_dead(Graph& g) { g.keep(needed_nodes(g)); }

}  // namespace megalith::pass
