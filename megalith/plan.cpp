#include "megalith/plan.h"

#include <algorithm>

#include "megalith/planner.h"

namespace megalith {
namespace {

void append_key(std::string& key, const TensorSpec& s) { key += s.dtype.str() + s.shape.str() + ';'; }

void append_key(std::string& key, const Tensor& t, bool with_value) {
  key += t.dtype().str() + t.shape().str();
  if (with_value) {
    const Tensor c = t.to_contiguous();
    key.append(reinterpret_cast<const char*>(c.data()), c.bytes());
  }
  key += ';';
}

}  // namespace

struct Executor::Impl : PlanBase {
  std::vector<NodeId> inputs = graph.inputs();
  std::map<std::string, std::unique_ptr<Segment>> roots;
  std::vector<Tensor> values;        // bound at run time
  std::vector<const Segment*> path;  // the segments of the last run
  Observer observer;
  uint64_t seed = 0, runs = 0;
  int plan_count = 0;
  MemoryStats last_memory;

  Impl(const Graph& g, PlanOptions o) : PlanBase(g, o), values(g.values.size()) {
    for (const Tensor& t : holders) last_memory.constants += t.defined() ? t.bytes() : 0;
  }

  std::unique_ptr<Segment> plan(std::vector<TensorSpec> specs, size_t begin, Exec& exec);
  PlanInfo plan_inputs(const std::vector<TensorSpec>& specs, Exec& exec);
  PlanInfo describe(const std::vector<const Segment*>& segments) const;
  void record(Profile& profile, const Segment& seg, int index, size_t step, double start, double kern, Exec& exec);
  std::vector<Tensor> run(const std::vector<Tensor>& feeds, Exec& exec, Profile* profile);
};

std::unique_ptr<Segment> Executor::Impl::plan(std::vector<TensorSpec> specs, size_t begin, Exec& exec) {
  ++plan_count;
  std::vector<std::pair<ValueId, Layout>> bound;
  for (size_t v = 0; v < values.size(); ++v) {
    if (values[v].defined()) bound.emplace_back(static_cast<ValueId>(v), values[v].layout());
  }
  return plan_segment(*this, std::move(specs), bound, begin, exec);
}

PlanInfo Executor::Impl::plan_inputs(const std::vector<TensorSpec>& specs, Exec& exec) {
  std::string key;
  std::vector<TensorSpec> known(graph.values.size());
  std::vector<std::pair<ValueId, Layout>> bound;
  for (size_t i = 0; i < inputs.size(); ++i) {
    append_key(key, specs[i]);
    const ValueId v = graph.node(inputs[i]).outputs[0];
    known[static_cast<size_t>(v)] = {specs[i].dtype, specs[i].shape, {}};
    bound.emplace_back(v, Layout(specs[i].shape));
  }
  std::unique_ptr<Segment>& slot = roots[key];
  if (!slot) {
    ++plan_count;
    slot = plan_segment(*this, std::move(known), bound, 0, exec);
  }
  return describe({slot.get()});
}

namespace {

ValueProfile value_profile(ValueId id, const Tensor& t, const Segment& seg) {
  ValueProfile v{.value = id, .dtype = t.dtype(), .shape = t.shape()};
  if (!t.contiguous()) v.stride.assign(t.stride().begin(), t.stride().end());
  if (seg.arena && t.storage() == seg.arena) v.offset = static_cast<int64_t>(t.offset());
  return v;
}

// What there is to say about step `s`, before it ran or after. Copies of strided inputs belong to the step that they
// precede.
NodeProfile node_profile(const Graph& graph, const Segment& seg, int segment, size_t s) {
  const Step& step = seg.steps[s];
  const Node& node = graph.node(step.node);
  NodeProfile n{.node = step.node,
                .segment = segment,
                .step = static_cast<int>(s),
                .op = node.op->name,
                .name = graph.name(step.node),
                .kernel = step.kernel ? step.kernel->name : "view",
                .params = node.attrs.params.str(),
                .workspace = step.workspace,
                .flops = step.flops};
  for (size_t c = s; c > 0 && seg.steps[c - 1].kernel == &kCopyKernel && seg.steps[c - 1].node == step.node; --c)
    ++n.copies;
  for (size_t i = 0; i < step.in.size(); ++i) {
    const ValueId id = node.inputs[i];
    if (step.in[i].defined()) {
      n.in.push_back(value_profile(id, step.in[i], seg));
    } else {
      for (const Binding& b : seg.bindings) {
        if (b.step != s || b.input != i) continue;
        ValueProfile v{.value = id, .dtype = b.dtype, .shape = b.layout.shape};
        if (!b.layout.contiguous()) v.stride.assign(b.layout.stride.begin(), b.layout.stride.end());
        n.in.push_back(std::move(v));
      }
    }
  }
  for (size_t i = 0; i < step.out.size(); ++i) {
    if (step.out[i].defined()) {
      n.out.push_back(value_profile(node.outputs[i], step.out[i], seg));
    } else if (step.kernel == nullptr) {
      const View& view = step.views[i];
      ValueProfile v = n.in[static_cast<size_t>(view.input)];
      v.value = node.outputs[i];
      v.shape = view.layout.shape;
      v.stride.clear();
      if (!view.layout.contiguous()) v.stride.assign(view.layout.stride.begin(), view.layout.stride.end());
      n.out.push_back(std::move(v));
    }
  }
  for (const ValueProfile& v : n.in) n.bytes += tensor_bytes(v.dtype, v.shape);
  for (const ValueProfile& v : n.out) n.bytes += tensor_bytes(v.dtype, v.shape);
  return n;
}

}  // namespace

void Executor::Impl::record(Profile& profile, const Segment& seg, int index, size_t s, double start, double kern,
                            Exec& exec) {
  const double end = profile.now();
  const Step& step = seg.steps[s];
  const bool copy = step.kernel == &kCopyKernel;
  NodeProfile& n = profile.node(step.node);
  profile.add(step.node, start, kern, end, exec.used_threads(), copy);
  if (n.op.empty() && !copy) n = node_profile(graph, seg, index, s);
}

PlanInfo Executor::Impl::describe(const std::vector<const Segment*>& segments) const {
  PlanInfo info;
  info.memory.constants = last_memory.constants;
  for (const Segment* seg : segments) {
    for (size_t s = 0; s < seg->steps.size(); ++s) {
      if (seg->steps[s].kernel != &kCopyKernel) info.nodes.push_back(node_profile(graph, *seg, info.segments, s));
    }
    for (PlannedBlock b : seg->blocks) {
      b.segment = info.segments;
      info.blocks.push_back(b);
    }
    info.memory.arena += seg->memory.arena;
    info.memory.peak_live += seg->memory.peak_live;
    info.memory.folded += seg->memory.folded;
    ++info.segments;
  }
  if (segments.empty()) return info;
  const Segment& last = *segments.back();
  for (size_t v = 0; v < last.specs.size(); ++v) {
    if (last.specs[v].value.defined()) info.known.push_back({static_cast<int32_t>(v), last.specs[v].value});
  }
  if (last.end < order.size()) info.stopped_at = order[last.end];
  return info;
}

std::vector<Tensor> Executor::Impl::run(const std::vector<Tensor>& feeds, Exec& exec, Profile* profile) {
  std::fill(values.begin(), values.end(), Tensor{});
  std::string key;
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values[static_cast<size_t>(graph.node(inputs[i]).outputs[0])] = feeds[i].to_contiguous();
    append_key(key, feeds[i], false);
  }
  if (profile) profile->begin_iteration();
  path.clear();
  ++runs;
  MemoryStats total;
  auto* table = &roots;
  Segment* seg = nullptr;
  for (size_t at = 0;;) {
    std::unique_ptr<Segment>& slot = (*table)[key];
    if (!slot) {
      std::vector<TensorSpec> known(graph.values.size());
      if (seg) known = seg->specs;
      for (size_t v = 0; v < values.size(); ++v) {
        if (values[v].defined() && !known[v].value.defined()) known[v] = {values[v].dtype(), values[v].shape(), {}};
      }
      if (seg) {
        for (ValueId v : seg->needed) known[static_cast<size_t>(v)].value = values[static_cast<size_t>(v)].clone();
      }
      slot = plan(std::move(known), at, exec);
    }
    seg = slot.get();
    for (const Binding& b : seg->bindings) {
      seg->steps[b.step].in[b.input] = values[static_cast<size_t>(b.root)].view(b.layout, b.offset).with_dtype(b.dtype);
    }
    path.push_back(seg);
    for (size_t s = 0; s < seg->steps.size(); ++s) {
      Step& step = seg->steps[s];
      if (!profile && !observer) {
        run_step(step, exec, mix_bits(mix_bits(seed, seg->seeds[s]), runs));
        continue;
      }
      const double start = profile ? profile->now() : 0;
      if (!step.kernel) {  // a view: only looked at
        for (size_t i = 0; i < step.views.size(); ++i) {
          const View& v = step.views[i];
          step.out[i] = step.in[static_cast<size_t>(v.input)].view(v.layout, v.offset);
        }
      }
      exec.reset_used_threads();
      const double kern = profile && step.kernel ? profile->now() : -1;
      run_step(step, exec, mix_bits(mix_bits(seed, seg->seeds[s]), runs));
      if (profile) record(*profile, *seg, static_cast<int>(path.size()) - 1, s, start, kern, exec);
      if (observer && step.kernel != &kCopyKernel) observer(step);
    }
    total.arena += seg->memory.arena;
    total.peak_live += seg->memory.peak_live;
    total.folded += seg->memory.folded;
    for (const auto& [v, t] : seg->results) values[static_cast<size_t>(v)] = t;
    for (const auto& [v, b] : seg->external_results) {
      values[static_cast<size_t>(v)] = values[static_cast<size_t>(b.root)].view(b.layout, b.offset).with_dtype(b.dtype);
    }
    key.clear();
    for (const auto& [v, i] : seg->dynamic_results) {
      values[static_cast<size_t>(v)] = seg->steps.back().out[i];
      append_key(key, values[static_cast<size_t>(v)], false);
    }
    at = seg->end;
    if (at == order.size()) break;
    for (ValueId v : seg->needed) {
      if (!values[static_cast<size_t>(v)].defined()) throw Error(cat("variable ", v, " has no value to plan with"));
      append_key(key, values[static_cast<size_t>(v)], true);
    }
    if (seg->next.size() > 64) seg->next.clear();  // shapes that never repeat
    table = &seg->next;
  }
  total.constants = last_memory.constants;
  last_memory = total;
  std::vector<Tensor> out;
  uint64_t bytes = 0;
  for (const GraphOutput& o : graph.outputs) {
    const Tensor& t = values[static_cast<size_t>(o.value)];
    if (!t.defined()) throw OpError(cat("output '", o.name, "' belongs to a branch that was not taken"));
    bytes += t.bytes();  // a view may show far more elements than there are
    if (options.memory_limit && bytes > options.memory_limit) {
      throw OpError(cat("output '", o.name, "' of shape ", t.shape(), " makes the outputs take ", bytes,
                        " bytes; the memory limit is ", options.memory_limit));
    }
    out.push_back(t.clone());
  }
  std::fill(values.begin(), values.end(), Tensor{});
  return out;
}

Executor::Executor(const Graph& graph, PlanOptions options) : impl_(std::make_unique<Impl>(graph, options)) {}
Executor::~Executor() = default;
std::vector<Tensor> Executor::run(const std::vector<Tensor>& feeds, Exec& exec, Profile* profile) {
  return impl_->run(feeds, exec, profile);
}
void Executor::set_observer(Observer fn) { impl_->observer = std::move(fn); }
MemoryStats Executor::memory() const { return impl_->last_memory; }
PlanInfo Executor::plan(const std::vector<TensorSpec>& inputs, Exec& exec) { return impl_->plan_inputs(inputs, exec); }
PlanInfo Executor::last_plan() const { return impl_->describe(impl_->path); }
void Executor::set_seed(uint64_t seed) { impl_->seed = seed; }
int Executor::plans() const { return impl_->plan_count; }

}  // namespace megalith
