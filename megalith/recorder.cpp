#include "megalith/recorder.h"

#include <atomic>
#include <cstring>

#include "megalith/call_log.h"
#include "megalith/infer.h"

namespace megalith {
namespace {
thread_local Recorder* current = nullptr;
std::atomic<uint64_t> last_id{0};

// Seeds differ between calls by design.
Params without_seed(Params p) {
  if (!p.schema()) return p;
  for (const Field& f : p.schema()->fields) {
    if (f.name == std::string_view("seed")) std::memset(p.field(f), 0, sizeof(uint64_t));
  }
  return p;
}
}  // namespace

Recorder::Recorder() : id_(++last_id) {}
Recorder::~Recorder() { stop(); }
Recorder* Recorder::active() { return current; }

void Recorder::start() {
  if (current) throw Error("a recorder is active already");
  current = this;
}

void Recorder::stop() {
  if (current == this) current = nullptr;
}

Recorder::Identity Recorder::identity(const Tensor& t) {
  return {t.storage().get(), t.offset(), cat(t.dtype().str(), t.shape(), t.stride())};
}

void Recorder::add_input(Var& v, const std::string& name) {
  v.trace = {id_, graph_.add_input(name, v.tensor().dtype(), v.tensor().shape())};
  infer_node(graph_, graph_.value(v.trace.value).node);
}

void Recorder::add_parameter(const Var& v, const std::string& name) {
  parameters_[identity(v.tensor())] = {v.tensor(), name};
}

void Recorder::add_output(const Var& v, const std::string& name) {
  const ValueId id = value_of(v);
  if (!name.empty()) graph_.values[static_cast<size_t>(id)].name = name;  // FBS_V2 names outputs by their values
  graph_.add_output(id, name);
}

void Recorder::name_value(const Var& v, const std::string& name) {
  if (v.trace.recorder == id_) graph_.values[static_cast<size_t>(v.trace.value)].name = name;
}

void Recorder::name_captured(const Var& v, const std::string& name) { names_.try_emplace(identity(v.tensor()), name); }

ValueId Recorder::value_of(const Var& v) {
  if (v.trace.recorder == id_) return v.trace.value;
  if (!v.tensor().defined()) throw Error("a value without a tensor can't be recorded");
  const Identity key = identity(v.tensor());
  const auto known = captured_.find(key);
  if (known != captured_.end()) return known->second.second;
  const auto parameter = parameters_.find(key);
  const ValueId id = parameter == parameters_.end() ? graph_.add_constant(v.tensor())
                                                    : graph_.add_parameter(v.tensor(), parameter->second.second);
  if (v.trace.recorder == TraceRef::kLiteral) literals_.push_back(id);
  infer_node(graph_, graph_.value(id).node);
  const auto name = names_.find(key);
  if (name != names_.end()) {
    graph_.values[static_cast<size_t>(id)].name = name->second;
    graph_.node(graph_.value(id).node).name = name->second;
  }
  captured_[key] = {v.tensor(), id};
  return id;
}

std::string Recorder::difference(const Graph& a, const Graph& b, const std::vector<ValueId>& literals) {
  for (size_t i = 0; i < a.nodes.size() && i < b.nodes.size(); ++i) {
    const Node &x = a.nodes[i], &y = b.nodes[i];
    const auto text = [&](const Node& n) { return cat(n.op->name, "{", n.attrs.params.str(), "}"); };
    const bool params = x.op == y.op && (x.op->random ? without_seed(x.attrs.params) == without_seed(y.attrs.params)
                                                      : x.attrs.params == y.attrs.params);
    if (!params || x.attrs.output_dtype != y.attrs.output_dtype) {
      return cat("call ", i, " was ", text(x), " and is now ", text(y));
    }
    if (x.inputs != y.inputs) return cat("call ", i, ", ", text(x), ", reads other values than before");
  }
  if (a.nodes.size() != b.nodes.size()) {
    return cat("there were ", a.nodes.size(), " calls and are now ", b.nodes.size());
  }
  for (ValueId id : literals) {
    const Tensor &x = a.node(a.value(id).node).attrs.tensors[0].value,
                 &y = b.node(b.value(id).node).attrs.tensors[0].value;
    const Tensor xs = x.to_contiguous(), ys = y.to_contiguous();
    if (!(x.dtype() == y.dtype()) || x.bytes() != y.bytes() || std::memcmp(xs.data(), ys.data(), x.bytes()) != 0) {
      return cat("a number that the function computes with, constant ", id, ", is not what it was");
    }
  }
  return "";
}

void Recorder::record(const OpDef& op, const Attrs& attrs, const std::vector<Var>& in, std::vector<Var>& out) {
  std::vector<ValueId> ids;
  for (const Var& v : in) ids.push_back(value_of(v));
  const NodeId n = graph_.add(op, attrs, std::move(ids));
  const std::string name = cat(scope_, scope_.empty() ? "" : ".", call_name(op, attrs));
  graph_.node(n).name = name;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].trace = {id_, graph_.node(n).outputs[i]};
    graph_.values[static_cast<size_t>(out[i].trace.value)].name = out.size() == 1 ? name : cat(name, ":o", i);
    graph_.values[static_cast<size_t>(out[i].trace.value)].spec = {
        out[i].tensor().dtype(), out[i].tensor().shape(), {}};
  }
}

}  // namespace megalith
