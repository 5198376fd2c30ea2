#include "megalith/planner.h"

#include <algorithm>

#include "megalith/arena.h"

namespace megalith {
namespace {

constexpr int64_t kSmallValue = 1024;  // values of at most so many elements are always folded: shapes need them

void copy_kernel(const KernelArgs& a) { copy_strided(a.in[0], a.out[0]); }

// Where a value is while a segment is planned.
struct Place {
  enum Kind { kNone, kKnown, kArena, kExternal } kind = kNone;
  Tensor known;
  size_t block = 0;   // kArena
  ValueId root = -1;  // kExternal: the value bound at run time
  Layout layout;
  int64_t offset = 0;  // elements from the start of the block or root
};

// Plans one segment: walks the run order until it ends, or until a shape depends on a value that is not there yet.
class Planner {
 public:
  Planner(const PlanBase& base, std::vector<TensorSpec> specs, const std::vector<std::pair<ValueId, Layout>>& bound,
          Exec& exec)
      : graph_(base.graph),
        options_(base.options),
        order_(base.order),
        uses_left_(base.uses),
        holders_(base.holders),
        updated_(base.updated),
        specs_(std::move(specs)),
        places_(base.graph.values.size()),
        exec_(exec),
        seg_(std::make_unique<Segment>()) {
    for (const auto& [v, layout] : bound) {
      Place& p = places_[static_cast<size_t>(v)];
      p.kind = Place::kExternal;
      p.root = v;
      p.layout = layout;
    }
  }

  std::unique_ptr<Segment> run(size_t begin) {
    for (size_t v = 0; v < places_.size(); ++v) {
      Place& p = places_[v];
      const TensorSpec& s = specs_[v];
      if (holders_[v].defined()) {
        p.kind = Place::kKnown;
        p.known = holders_[v];
        // A parameter that is updated has a value only where a cut before this segment took it.
        specs_[v] = {holders_[v].dtype(), holders_[v].shape(), updated_[v] ? s.value : holders_[v]};
      } else if (s.value.defined()) {
        p.kind = Place::kKnown;
        p.known = s.value;
      }
    }
    for (size_t i = 0; i < begin; ++i) {
      for (ValueId v : graph_.node(order_[i]).inputs) --uses_left_[static_cast<size_t>(v)];
    }
    size_t at = begin;
    for (bool more = true; more && at < order_.size();) more = add_node(order_[at], at);
    seg_->end = at;
    finish();
    return std::move(seg_);
  }

 private:
  // False when the segment ends; `at` then says with which node the next one begins.
  bool add_node(NodeId id, size_t& at) {
    const Node& node = graph_.node(id);
    const OpDef& op = *node.op;
    std::vector<TensorSpec> in, out(node.outputs.size());
    std::vector<Layout> layouts;
    for (ValueId v : node.inputs) {
      in.push_back(specs_[static_cast<size_t>(v)]);
      const Place& p = places_[static_cast<size_t>(v)];
      layouts.push_back(p.kind == Place::kKnown ? p.known.layout() : p.layout);
    }
    InferContext ctx{op, node.attrs, in, out, node.name};
    if (!op.takes_absent && std::any_of(in.begin(), in.end(), [](const TensorSpec& s) { return s.absent > 0; })) {
      skip_node(node, ctx);
      ++at;
      return true;
    }
    try {
      op.infer(ctx);
      if (op.view) views_.assign(out.size(), View{});
    } catch (const NeedValue& need) {
      const ValueId v = node.inputs[static_cast<size_t>(need.input)];
      seg_->needed.push_back(v);
      return false;
    }
    for (size_t i = 0; i < out.size(); ++i) specs_[static_cast<size_t>(node.outputs[i])] = out[i];
    uint64_t bytes = 0;
    for (const TensorSpec& o : out) bytes += tensor_bytes(o.dtype, o.shape);
    if (options_.memory_limit && bytes > options_.memory_limit && !op.view) {
      ctx.fail("needs ", bytes, " bytes for its outputs; the memory limit is ", options_.memory_limit);
    }
    const auto absent = [](const TensorSpec& s) { return s.absent > 0; };
    const bool done = std::any_of(out.begin(), out.end(), absent) || place_outputs(id, node, op, ctx, layouts, bytes);
    for (ValueId v : node.inputs) release(v);
    ++at;
    return done;
  }

  // Nothing runs for a node of a branch that is not taken. Its outputs keep a shape where one can be told.
  void skip_node(const Node& node, InferContext& ctx) {
    try {
      ctx.op.infer(ctx);
    } catch (const NeedValue&) {
    } catch (const OpError&) {
    }
    int levels = 0;
    for (const TensorSpec& s : ctx.in) levels = std::max(levels, s.absent);
    for (size_t i = 0; i < ctx.out.size(); ++i) {
      ctx.out[i].value = {};
      ctx.out[i].absent = levels;
      specs_[static_cast<size_t>(node.outputs[i])] = ctx.out[i];
    }
    for (ValueId v : node.inputs) release(v);
  }

  bool place_outputs(NodeId id, const Node& node, const OpDef& op, InferContext& ctx,
                     const std::vector<Layout>& layouts, uint64_t bytes) {
    const std::span<TensorSpec> out = ctx.out;
    // The shape rule knew the values.
    if (std::all_of(out.begin(), out.end(), [](const TensorSpec& o) { return o.value.defined(); }) && !out.empty()) {
      for (size_t i = 0; i < out.size(); ++i) set_known(node.outputs[i], out[i].value);
      return true;
    }
    bool lowbit = false;
    for (const TensorSpec& s : ctx.in) lowbit = lowbit || s.dtype.is_lowbit();
    if (op.view && !lowbit && op.view(ctx, layouts, views_)) {
      place_views(id, node, op, ctx);
      return true;
    }
    // Views cost nothing, but kernels may bring what they see into an order of their own; and they walk the dimensions
    // of an empty tensor.
    for (size_t i = 0; i < ctx.in.size(); ++i) {
      Shape walked = ctx.in[i].shape;
      for (int d = 0; d < walked.ndim(); ++d) walked[d] = std::max<int64_t>(walked[d], 1);
      const size_t needs = tensor_bytes(ctx.in[i].dtype, walked);
      if (options_.memory_limit && needs > options_.memory_limit) {
        ctx.fail("input ", i, " of shape ", ctx.in[i].shape, " needs ", needs, " bytes; the memory limit is ",
                 options_.memory_limit);
      }
    }
    const KernelQuery query{node.attrs, ctx.in, out};
    const Kernel& kernel = select_kernel(op, query, options_.reference, node.name, options_.workspace_limit);
    const bool known = std::all_of(ctx.in.begin(), ctx.in.end(), [](const TensorSpec& s) { return s.value.defined(); });
    if (known && !op.random && !op.effect && updates_of(node).empty() && !node.inputs.empty() && may_fold(out, bytes)) {
      fold(node, op, ctx, kernel);
      return true;
    }
    Step step{.op = &op, .attrs = &node.attrs, .kernel = &kernel, .node = id};
    std::vector<Place> ins, outs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const size_t v = static_cast<size_t>(node.inputs[i]);
      ins.push_back(kernel.strided || specs_[v].absent > 0 ? places_[v] : contiguous(id, node, i));
    }
    if (op.flops) step.flops = op.flops(query);
    const int index = static_cast<int>(seg_->steps.size());
    for (size_t i = 0; i < out.size(); ++i)
      outs.push_back(op.dynamic ? Place{} : output_place(id, node, kernel, out, layouts, i, index));
    if (kernel.workspace) {
      step.workspace = kernel.workspace(query);
      if (step.workspace) workspaces_.push_back({index, new_block(step.workspace, index, index, id)});
    }
    for (size_t i = 0; i < out.size(); ++i) places_[static_cast<size_t>(node.outputs[i])] = outs[i];
    add_step(std::move(step), ins, outs, node);
    if (op.dynamic) {
      for (size_t i = 0; i < out.size(); ++i) seg_->dynamic_results.push_back({node.outputs[i], i});
      return false;
    }
    return true;
  }

  bool may_fold(std::span<const TensorSpec> out, uint64_t bytes) {
    int64_t n = 0;
    for (const TensorSpec& o : out) n = std::max(n, o.shape.count());
    if (n <= kSmallValue) return true;
    return options_.fold && (!options_.memory_limit || seg_->memory.folded + bytes <= options_.memory_limit / 2);
  }

  void fold(const Node& node, const OpDef& op, const InferContext& ctx, const Kernel& kernel) {
    std::vector<Tensor> in;
    for (const TensorSpec& s : ctx.in) in.push_back(kernel.strided ? s.value : s.value.to_contiguous());
    std::vector<Tensor> out;
    for (const TensorSpec& o : ctx.out) out.push_back(op.dynamic ? Tensor{} : Tensor::empty(o.dtype, o.shape));
    Step step{.op = &op, .attrs = &node.attrs, .kernel = &kernel, .in = std::move(in), .out = std::move(out)};
    std::shared_ptr<Storage> workspace;
    if (kernel.workspace) {
      workspace = Storage::allocate(kernel.workspace({node.attrs, ctx.in, ctx.out}));
      step.workspace_ptr = workspace->data();
    }
    run_step(step, exec_, 0);
    for (size_t i = 0; i < step.out.size(); ++i) {
      seg_->memory.folded += step.out[i].bytes();
      set_known(node.outputs[i], step.out[i]);
    }
  }

  void set_known(ValueId v, const Tensor& t) {
    t.storage()->freeze();
    places_[static_cast<size_t>(v)] = {.kind = Place::kKnown, .known = t, .layout = t.layout()};
    specs_[static_cast<size_t>(v)] = {t.dtype(), t.shape(), t};
  }

  void place_views(NodeId id, const Node& node, const OpDef& op, const InferContext& ctx) {
    std::vector<Place> ins, outs;
    for (ValueId v : node.inputs) ins.push_back(places_[static_cast<size_t>(v)]);
    bool all_known = true;
    for (size_t i = 0; i < views_.size(); ++i) {
      const View& view = views_[i];
      const ValueId src = node.inputs[static_cast<size_t>(view.input)];
      Place p = places_[static_cast<size_t>(src)];
      const size_t out = static_cast<size_t>(node.outputs[i]);
      if (p.kind == Place::kKnown) {
        p.known = p.known.view(view.layout, view.offset).with_dtype(ctx.out[i].dtype);
        if (specs_[static_cast<size_t>(src)].value.defined()) specs_[out].value = p.known;
      } else {
        all_known = false;
        p.layout = view.layout;
        p.offset += view.offset;
        if (p.kind == Place::kArena) live_[p.block] += uses_left_[out];
      }
      outs.push_back(p);
      places_[out] = p;
    }
    if (all_known) return;
    add_step({.op = &op, .attrs = &node.attrs, .node = id, .views = views_}, ins, outs, node);
  }

  // The place of input i in row-major order; inserts a copy when it is a strided view.
  Place contiguous(NodeId id, const Node& node, size_t i) {
    const ValueId v = node.inputs[i];
    Place p = places_[static_cast<size_t>(v)];
    if (p.kind == Place::kKnown) {
      p.known = p.known.to_contiguous();
      return p;
    }
    if (p.layout.contiguous()) return p;
    const TensorSpec& spec = specs_[static_cast<size_t>(v)];
    const int index = static_cast<int>(seg_->steps.size());
    Place copy{.kind = Place::kArena, .layout = Layout(spec.shape)};
    copy.block = new_block(tensor_bytes(spec.dtype, spec.shape), index, index, id);
    Step step{.op = Registry::get().find("Copy"), .attrs = &node.attrs, .kernel = &kCopyKernel, .node = id};
    add_step(std::move(step), {p}, {copy}, node, &spec);
    return copy;
  }

  Place output_place(NodeId id, const Node& node, const Kernel& kernel, std::span<const TensorSpec> out,
                     const std::vector<Layout>& layouts, size_t i, int index) {
    const TensorSpec& spec = out[i];
    for (const auto& [o, in] : updates_of(node)) {
      if (static_cast<size_t>(o) != i || static_cast<size_t>(in) >= node.inputs.size()) continue;
      const size_t v = static_cast<size_t>(node.inputs[static_cast<size_t>(in)]);
      if (holders_[v].defined() && updated_[v] && holders_[v].shape() == spec.shape) {
        return {.kind = Place::kKnown, .known = holders_[v], .layout = holders_[v].layout()};
      }
    }
    Place p{.kind = Place::kArena, .layout = output_layout(kernel, spec.dtype, spec.shape, layouts)};
    const size_t bytes = tensor_bytes(spec.dtype, spec.shape);
    if (i == 0 && kernel.inplace && options_.reuse_memory) {
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        const size_t v = static_cast<size_t>(node.inputs[k]);
        const Place& src = places_[v];
        if (src.kind != Place::kArena || src.offset != 0 || src.layout.stride != p.layout.stride) continue;
        if (specs_[v].shape != spec.shape || blocks_[src.block].bytes != bytes) continue;
        const auto mine = std::count(node.inputs.begin(), node.inputs.end(), node.inputs[k]);
        if (live_[src.block] != mine) continue;
        // Another input may see the same block through a different layout.
        bool aliased = false;
        for (size_t m = 0; m < node.inputs.size(); ++m) {
          const Place& q = places_[static_cast<size_t>(node.inputs[m])];
          aliased = aliased || (node.inputs[m] != node.inputs[k] && q.kind == Place::kArena && q.block == src.block);
        }
        if (aliased) continue;
        p.block = src.block;
        live_[p.block] += uses_left_[static_cast<size_t>(node.outputs[i])];
        return p;
      }
    }
    p.block = new_block(bytes, index, index, id, node.outputs[i]);
    live_[p.block] = uses_left_[static_cast<size_t>(node.outputs[i])];
    return p;
  }

  size_t new_block(size_t bytes, int first, int last, NodeId node, ValueId owner = -1) {
    blocks_.push_back({bytes, first, last, 0});
    seg_->blocks.push_back({.owner = owner, .node = node, .bytes = bytes});
    live_.push_back(0);
    return blocks_.size() - 1;
  }

  void touch(const Place& p, int index) {
    if (p.kind == Place::kArena) blocks_[p.block].last = std::max(blocks_[p.block].last, index);
  }

  void release(ValueId v) {
    --uses_left_[static_cast<size_t>(v)];
    const Place& p = places_[static_cast<size_t>(v)];
    if (p.kind == Place::kArena) --live_[p.block];
  }

  void add_step(Step step, const std::vector<Place>& ins, const std::vector<Place>& outs, const Node& node,
                const TensorSpec* copied = nullptr) {
    const int index = static_cast<int>(seg_->steps.size());
    for (const Place& p : ins) touch(p, index);
    for (const Place& p : outs) touch(p, index);
    step.in.resize(ins.size());
    step.out.resize(outs.size());
    Pending p{ins, outs, {}, {}};
    for (size_t i = 0; i < ins.size(); ++i) {
      p.in_types.push_back(copied ? copied->dtype : specs_[static_cast<size_t>(node.inputs[i])].dtype);
    }
    for (size_t i = 0; i < outs.size(); ++i) {
      p.out_types.push_back(copied ? copied->dtype : specs_[static_cast<size_t>(node.outputs[i])].dtype);
    }
    seg_->seeds.push_back(mix_bits(seed_of(*step.attrs), static_cast<uint64_t>(step.node)));
    seg_->steps.push_back(std::move(step));
    step_places_.push_back(std::move(p));
  }

  Tensor tensor_of(const Place& p, DType dtype) {
    if (p.kind == Place::kKnown || p.kind == Place::kNone) return p.known;
    return Tensor::from_storage(seg_->arena, blocks_[p.block].offset, dtype, Layout(p.layout.shape))
        .view(p.layout, p.offset);
  }

  void finish() {
    const int last = static_cast<int>(seg_->steps.size());
    for (size_t v = 0; v < places_.size(); ++v) {
      if (uses_left_[v] > 0) touch(places_[v], last);  // read by a later segment or by the caller
    }
    seg_->memory.peak_live = peak_live(blocks_);
    if (!options_.reuse_memory) {
      for (ArenaBlock& b : blocks_) b.first = 0, b.last = last;
    }
    seg_->memory.arena = place_blocks(blocks_);
    for (size_t b = 0; b < blocks_.size(); ++b) {
      seg_->blocks[b].offset = blocks_[b].offset;
      seg_->blocks[b].first = blocks_[b].first;
      seg_->blocks[b].last = blocks_[b].last;
    }
    if (options_.memory_limit && seg_->memory.arena > options_.memory_limit) {
      throw OpError(cat("the model needs ", seg_->memory.arena,
                        " bytes for its values at these shapes; the memory limit is ", options_.memory_limit));
    }
    seg_->arena = Storage::allocate(seg_->memory.arena);
    for (size_t s = 0; s < seg_->steps.size(); ++s) {
      Step& step = seg_->steps[s];
      const Pending& p = step_places_[s];
      for (size_t i = 0; i < p.ins.size(); ++i) {
        if (p.ins[i].kind == Place::kExternal) {
          seg_->bindings.push_back({s, i, p.ins[i].root, p.ins[i].layout, p.ins[i].offset, p.in_types[i]});
        } else {
          step.in[i] = tensor_of(p.ins[i], p.in_types[i]);
        }
      }
      for (size_t i = 0; i < p.outs.size(); ++i) {
        if (p.outs[i].kind == Place::kArena || p.outs[i].kind == Place::kKnown)
          step.out[i] = tensor_of(p.outs[i], p.out_types[i]);
      }
    }
    for (const auto& [index, block] : workspaces_) {
      seg_->steps[static_cast<size_t>(index)].workspace_ptr = seg_->arena->data() + blocks_[block].offset;
    }
    for (size_t v = 0; v < places_.size(); ++v) {
      if (uses_left_[v] <= 0) continue;
      const Place& p = places_[v];
      const auto id = static_cast<ValueId>(v);
      if (p.kind == Place::kArena || p.kind == Place::kKnown) {
        seg_->results.push_back({id, tensor_of(p, specs_[v].dtype)});
      } else if (p.kind == Place::kExternal && p.root != id) {
        seg_->external_results.push_back({id, {0, 0, p.root, p.layout, p.offset, specs_[v].dtype}});
      }
    }
    seg_->specs = std::move(specs_);
  }

  struct Pending {
    std::vector<Place> ins, outs;
    std::vector<DType> in_types, out_types;
  };

  const Graph& graph_;
  const PlanOptions& options_;
  const std::vector<NodeId>& order_;
  std::vector<int> uses_left_;
  const std::vector<Tensor>& holders_;
  const std::vector<bool>& updated_;
  std::vector<TensorSpec> specs_;
  std::vector<Place> places_;
  Exec& exec_;
  std::unique_ptr<Segment> seg_;
  std::vector<View> views_;
  std::vector<ArenaBlock> blocks_;
  std::vector<int> live_;  // reads left, per block, over all values that lie in it
  std::vector<std::pair<int, size_t>> workspaces_;
  std::vector<Pending> step_places_;
};

}  // namespace

const Kernel kCopyKernel{.name = "make_contiguous", .run = copy_kernel, .strided = true};

std::span<const std::pair<int, int>> updates_of(const Node& node) {
  return megalith::updates_of(*node.op, node.attrs, static_cast<int>(node.inputs.size()));
}

PlanBase::PlanBase(const Graph& g, const PlanOptions& o) : graph(g), options(o) {
  graph.check();
  make_order();
  refuse();
  hold();
}

// Names all operators that can't run in this build, not only the first.
void PlanBase::refuse() const {
  std::string all;
  size_t n = 0;
  for (NodeId id : order) {
    const char* why = graph.node(id).op->refuses;
    if (why && n++ < 64) all += cat(all.empty() ? "" : "; ", graph.label(id), ": ", why);
  }
  if (n > 64) all += cat("; and ", n - 64, " more");
  if (n) throw UnsupportedError(all);
}

// Drops nodes that nobody needs; nodes behind an in-place update run after everything else, so that the others read
// the old value.
void PlanBase::make_order() {
  const size_t n = graph.nodes.size();
  std::vector<bool> needed(n, false), late(n, false);
  for (const GraphOutput& o : graph.outputs) needed[static_cast<size_t>(graph.value(o.value).node)] = true;
  for (size_t i = n; i-- > 0;) {
    const Node& node = graph.nodes[i];
    if (node.op->effect) needed[i] = true;
    if (!needed[i]) continue;
    for (ValueId v : node.inputs) needed[static_cast<size_t>(graph.value(v).node)] = true;
  }
  for (size_t i = 0; i < n; ++i) {
    const Node& node = graph.nodes[i];
    late[i] = !updates_of(node).empty();
    for (ValueId v : node.inputs) late[i] = late[i] || late[static_cast<size_t>(graph.value(v).node)];
  }
  uses.assign(graph.values.size(), 0);
  for (bool pass : {false, true}) {
    for (size_t i = 0; i < n; ++i) {
      if (needed[i] && late[i] == pass && graph.nodes[i].op->kind == OpKind::kCompute)
        order.push_back(static_cast<NodeId>(i));
    }
  }
  for (NodeId i : order) {
    for (ValueId v : graph.node(i).inputs) ++uses[static_cast<size_t>(v)];
  }
  for (const GraphOutput& o : graph.outputs) ++uses[static_cast<size_t>(o.value)];
}

// Constants and parameters: frozen, or copied where this plan writes them.
void PlanBase::hold() {
  holders.resize(graph.values.size());
  updated.resize(graph.values.size(), false);
  for (NodeId n : order) {
    const Node& node = graph.node(n);
    for (const auto& [out, in] : updates_of(node)) {
      if (static_cast<size_t>(in) < node.inputs.size())
        updated[static_cast<size_t>(node.inputs[static_cast<size_t>(in)])] = true;
    }
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (node.op->kind != OpKind::kConstant && node.op->kind != OpKind::kParameter) continue;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const auto v = static_cast<size_t>(node.outputs[i]);
      holders[v] = node.attrs.tensors[i].value;
      if (!holders[v].defined()) throw ModelError(cat(graph.label(static_cast<NodeId>(n)), ": has no value"));
      if (is(node, "VolatileSharedDeviceTensor"))
        updated[v] = true;  // by the application, which shares it with this executor
      else if (updated[v])
        holders[v] = holders[v].clone();
      else
        holders[v].storage()->freeze();
    }
  }
}

std::unique_ptr<Segment> plan_segment(const PlanBase& base, std::vector<TensorSpec> specs,
                                      const std::vector<std::pair<ValueId, Layout>>& bound, size_t begin, Exec& exec) {
  return Planner(base, std::move(specs), bound, exec).run(begin);
}

}  // namespace megalith
