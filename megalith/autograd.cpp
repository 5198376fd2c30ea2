#include "megalith/autograd.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "megalith/recorder.h"

namespace megalith {
namespace {

struct ThreadState {
  int tapes = 0;   // open tapes
  int paused = 0;  // live NoTapes
  uint64_t calls = 0;
  std::vector<std::weak_ptr<TapeNode>> nodes;  // remembered while tapes are open
  size_t compact_at = 1024;
};
thread_local ThreadState state;

// Frees long chains of calls without recursion.
thread_local std::vector<std::shared_ptr<GradLink>>* graveyard = nullptr;

void bury(std::vector<Var>& vars) {
  std::vector<std::shared_ptr<GradLink>> dead;
  const bool outermost = graveyard == nullptr;
  if (outermost) graveyard = &dead;
  for (Var& v : vars) {
    if (v.link()) graveyard->push_back(std::move(v.mutable_link()));
  }
  vars.clear();
  if (!outermost) return;
  while (!dead.empty()) {
    std::shared_ptr<GradLink> link = std::move(dead.back());
    dead.pop_back();
    link.reset();  // may push more
  }
  graveyard = nullptr;
}

// Names a differentiable value: an output of a call, or a leaf.
using Key = std::pair<const void*, int>;
Key key_of(const GradLink& l) { return l.node ? Key(l.node.get(), l.index) : Key(&l, -1); }

Var add(const Var& a, const Var& b) {
  return a.defined() ? emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {a, b}) : b;
}

constexpr size_t kWorthFreeing = 4096;  // bytes

// A tensor of the same type and shape with hardly any memory behind it: for gradients that look at those only.
Tensor outline(const Tensor& t) {
  if (t.dtype().is_lowbit() || t.bytes() < kWorthFreeing) return t;
  Shape still = t.shape();
  for (int i = 0; i < still.ndim(); ++i) still[i] = 0;
  return Tensor::zeros(t.dtype(), {1}).view(Layout(t.shape(), still));
}

// The same value for ops that no gradient flows through; a Recorder still knows it.
Var unlinked(const Var& v) {
  Var r = v.tensor();
  r.trace = v.trace;
  return r;
}

Var ones_like(const Var& y) {
  Tensor one = Tensor::empty(DTypeEnum::Float32, {1});
  *one.data<float>() = 1;
  Var v = one;
  if (y.tensor().dtype().id != DTypeEnum::Float32) {
    Attrs attrs;
    attrs.params = param::TypeCvt{.dtype = y.tensor().dtype()};
    v = emit(Registry::get().at("TypeCvt"), attrs, {v})[0];
  }
  if (y.tensor().shape() == Shape{1}) return v;
  return emit1("Broadcast", {v, emit1("GetVarShape", {unlinked(y)})});
}

}  // namespace

TapeNode::~TapeNode() { bury(in); }

NoTape::NoTape() { ++state.paused; }
NoTape::~NoTape() { --state.paused; }

Tape::Tape() { ++state.tapes; }
Tape::~Tape() { release(); }

void Tape::release() {
  if (!open_) return;
  open_ = false;
  for (const auto& link : watched_) --link->watchers;
  watched_.clear();
  if (--state.tapes > 0) return;
  std::vector<std::weak_ptr<TapeNode>> nodes = std::move(state.nodes);
  state.nodes.clear();
  state.compact_at = 1024;
  for (const auto& weak : nodes) {
    if (const std::shared_ptr<TapeNode> node = weak.lock()) {
      node->released = true;
      node->out.clear();
      node->attrs = {};
      node->custom = nullptr;
      bury(node->in);
    }
  }
}

void Tape::watch(Var& v) {
  if (v.is_graph()) throw Error("a graph variable can't be watched by a tape");
  if (!v.link() || (v.link()->node && v.link()->node->released)) v.mutable_link() = std::make_shared<GradLink>();
  ++v.link()->watchers;
  watched_.push_back(v.link());
}

bool tracked(const Var& v) {
  if (state.tapes == 0 || state.paused > 0 || !v.link()) return false;
  return v.link()->watchers > 0 || (v.link()->node && !v.link()->node->released);
}

namespace {
// Lets go of what the gradient will not read.
void drop_unread(TapeNode& node) {
  std::vector<bool> needs;
  for (const Var& v : node.in) needs.push_back(tracked(v));
  const GradReads reads = node.op->grad_reads(node.attrs, needs);
  for (size_t i = 0; i < node.in.size(); ++i) {
    if (i < 32 && !(reads.in >> i & 1)) node.in[i].set_tensor(outline(node.in[i].tensor()));
  }
  for (size_t i = 0; i < node.out.size(); ++i) {
    if (i < 32 && !(reads.out >> i & 1)) node.out[i].set_tensor(outline(node.out[i].tensor()));
  }
}
}  // namespace

void remember(const OpDef* op, const Attrs& attrs, const std::vector<Var>& in, std::vector<Var>& out,
              TapeNode::Backward custom) {
  if (state.tapes == 0 || state.paused > 0 || std::none_of(in.begin(), in.end(), tracked)) return;
  auto node = std::make_shared<TapeNode>();
  node->order = ++state.calls;
  node->op = op;
  node->attrs = attrs;
  node->in = in;
  node->custom = std::move(custom);
  for (size_t i = 0; i < out.size(); ++i) {
    node->out.push_back(unlinked(out[i]));
    out[i].mutable_link() = std::make_shared<GradLink>(GradLink{node, static_cast<int>(i), 0});
  }
  // A recorder knows captured values by their memory.
  if (!node->custom && op->grad_reads && !Recorder::active()) drop_unread(*node);
  if (state.nodes.size() >= state.compact_at) {
    std::erase_if(state.nodes, [](const std::weak_ptr<TapeNode>& n) { return n.expired(); });
    state.compact_at = std::max<size_t>(1024, 2 * state.nodes.size());
  }
  state.nodes.push_back(node);
}

std::vector<Var> Tape::gradients(const std::vector<Var>& ys, const std::vector<Var>& dys, const std::vector<Var>& wrt) {
  if (!open_) throw Error("gradients of a tape that is not recording");
  // What the gradient ops do is remembered only if another tape wants it.
  std::unique_ptr<NoTape> pause;
  if (state.tapes == 1) pause = std::make_unique<NoTape>();

  const auto earlier = [](const std::shared_ptr<TapeNode>& a, const std::shared_ptr<TapeNode>& b) {
    return a->order != b->order ? a->order < b->order : a < b;
  };
  std::set<std::shared_ptr<TapeNode>, decltype(earlier)> seen(earlier);
  std::vector<std::shared_ptr<TapeNode>> nodes;
  const auto visit = [&](const Var& v) {
    if (!v.link() || !v.link()->node || v.link()->node->released) return;
    if (seen.insert(v.link()->node).second) nodes.push_back(v.link()->node);
  };
  for (const Var& y : ys) visit(y);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const std::shared_ptr<TapeNode> node = nodes[i];  // a copy: visiting may move the list
    for (const Var& v : node->in) visit(v);
  }
  nodes.assign(seen.begin(), seen.end());
  seen.clear();

  std::map<Key, Var> sums;  // of what flows back to a value
  std::map<Key, bool> wanted;
  for (const Var& v : wrt) {
    if (v.link()) wanted[key_of(*v.link())] = true;
  }
  const auto wants = [&](const Var& v) { return v.link() && wanted.count(key_of(*v.link())) > 0; };
  for (const auto& node : nodes) {
    if (std::none_of(node->in.begin(), node->in.end(), wants)) continue;
    for (size_t i = 0; i < node->out.size(); ++i) {  // through integers and bools no gradient flows
      if (node->out[i].tensor().dtype().is_float()) wanted[{node.get(), static_cast<int>(i)}] = true;
    }
  }
  for (size_t i = 0; i < ys.size(); ++i) {
    if (!wants(ys[i])) continue;
    Var& sum = sums[key_of(*ys[i].link())];
    sum = add(sum, i < dys.size() && dys[i].defined() ? dys[i] : ones_like(ys[i]));
  }
  for (size_t n = nodes.size(); n-- > 0;) {
    const std::shared_ptr<TapeNode> node = std::move(nodes[n]);
    std::vector<bool> needs;
    for (const Var& v : node->in) needs.push_back(wants(v));
    if (std::find(needs.begin(), needs.end(), true) == needs.end()) continue;
    std::vector<Var> out, dout;
    bool flows = false;
    for (size_t i = 0; i < node->out.size(); ++i) {
      Var o = node->out[i];
      o.mutable_link() = std::make_shared<GradLink>(GradLink{node, static_cast<int>(i), 0});
      out.push_back(std::move(o));
      const auto it = sums.find({node.get(), static_cast<int>(i)});
      dout.push_back(it == sums.end() ? Var() : it->second);
      flows = flows || dout.back().defined();
    }
    if (!flows) continue;
    std::vector<Var> d;
    if (node->custom) {
      d = node->custom(dout);
    } else {
      if (!node->op->grad) throw UnsupportedError(cat(node->op->name, ": has no gradient"));
      d = node->op->grad(GradContext{*node->op, node->attrs, node->in, out, dout, needs});
    }
    for (size_t k = 0; k < d.size() && k < needs.size(); ++k) {
      if (!d[k].defined() || !needs[k]) continue;
      Var& sum = sums[key_of(*node->in[k].link())];
      sum = add(sum, d[k]);
    }
    for (size_t i = 0; i < node->out.size(); ++i) {
      const Key key{node.get(), static_cast<int>(i)};
      const bool kept =
          std::any_of(wrt.begin(), wrt.end(), [&](const Var& v) { return v.link() && key_of(*v.link()) == key; });
      if (!kept) sums.erase(key);
    }
  }
  std::vector<Var> r;
  for (const Var& v : wrt) {
    const auto it = v.link() ? sums.find(key_of(*v.link())) : sums.end();
    r.push_back(it == sums.end() ? Var() : it->second);
  }
  return r;
}

}  // namespace megalith
