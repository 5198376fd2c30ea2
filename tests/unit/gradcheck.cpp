#include "gradcheck.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "megalith/autograd.h"
#include "megalith/plan.h"

namespace megalith::gradcheck {
namespace {

Tensor weights_of(const Tensor& like, uint32_t seed) {
  Tensor w = Tensor::empty(DTypeEnum::Float32, like.shape());
  std::mt19937 r(seed);
  for (float& v : w.span<float>()) v = static_cast<float>(r() % 2001) / 1000.f - 1.f;
  return w;
}

std::vector<bool> wrt_of(const Options& o, const std::vector<Tensor>& in) {
  if (!o.wrt.empty()) return o.wrt;
  std::vector<bool> w;
  for (const Tensor& t : in) w.push_back(t.dtype().is_float());
  return w;
}
std::vector<int> outs_of(const Options& o) { return o.outs.empty() ? std::vector<int>{0} : o.outs; }

Var total(const Var& v) { return emit1("Reduce", param::Reduce{.mode = param::ReduceMode::SUM}, {v, Var(ints({1}))}); }
Var weighted(const Var& v, const Var& w) {
  return total(emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::MUL}, {v, w}));
}
Var plus(const Var& a, const Var& b) {
  return a.defined() ? emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::ADD}, {a, b}) : b;
}

// The graph's inputs where `wrt` says so, constants elsewhere.
std::vector<Var> leaves(Graph& g, const std::vector<Tensor>& in, const std::vector<bool>& wrt) {
  std::vector<Var> v;
  for (size_t i = 0; i < in.size(); ++i) {
    if (wrt[i])
      v.emplace_back(g, g.add_input("x" + std::to_string(i), in[i].dtype(), in[i].shape()));
    else
      v.emplace_back(in[i]);
  }
  return v;
}

std::map<std::string, Tensor> feeds_of(const std::vector<Tensor>& in, const std::vector<bool>& wrt) {
  std::map<std::string, Tensor> feeds;
  for (size_t i = 0; i < in.size(); ++i) {
    if (wrt[i]) feeds["x" + std::to_string(i)] = in[i];
  }
  return feeds;
}

Graph forward_graph(const Build& build, const std::vector<Tensor>& in, const std::vector<bool>& wrt,
                    const std::vector<int>& outs) {
  Graph g;
  const std::vector<Var> y = build(leaves(g, in, wrt));
  for (const int o : outs) g.add_output(y[static_cast<size_t>(o)].value(), "y" + std::to_string(o));
  return g;
}

// Fresh models make random ops draw the same numbers again.
std::vector<Tensor> evaluate(const Graph& g, const std::map<std::string, Tensor>& feeds) {
  Model m = Model::from_graph(g, {.threads = 1, .optimize = false});
  return m.run(feeds);
}

double score(const std::vector<Tensor>& y, const std::vector<Tensor>& w) {
  double s = 0;
  for (size_t o = 0; o < y.size(); ++o) {
    for (int64_t i = 0; i < y[o].count(); ++i) s += y[o].item(i) * w[o].item(i);
  }
  return s;
}

std::vector<Tensor> graph_gradients(const Build& build, const std::vector<Tensor>& in, const std::vector<bool>& wrt,
                                    const std::vector<int>& outs, const std::vector<Tensor>& w) {
  Graph g;
  const std::vector<Var> x = leaves(g, in, wrt), y = build(x);
  Var loss;
  for (size_t o = 0; o < outs.size(); ++o) loss = plus(loss, weighted(y[static_cast<size_t>(outs[o])], Var(w[o])));
  std::vector<ValueId> ids;
  for (size_t i = 0; i < in.size(); ++i) {
    if (wrt[i]) ids.push_back(x[i].value());
  }
  const std::vector<ValueId> d = grad(g, loss.value(), ids);
  for (size_t i = 0; i < d.size(); ++i) {
    if (d[i] >= 0) g.add_output(d[i], "d" + std::to_string(i));
  }
  if (g.outputs.empty()) return std::vector<Tensor>(in.size());
  const std::vector<Tensor> values = evaluate(g, feeds_of(in, wrt));
  std::vector<Tensor> r(in.size());
  size_t next = 0, k = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    if (!wrt[i]) continue;
    if (d[k++] >= 0) r[i] = values[next++];
  }
  return r;
}

std::vector<Tensor> weights_for(const Build& build, const std::vector<Tensor>& in, const std::vector<bool>& wrt,
                                const std::vector<int>& outs) {
  std::vector<Tensor> w;
  for (const Tensor& y : evaluate(forward_graph(build, in, wrt, outs), feeds_of(in, wrt)))
    w.push_back(weights_of(y, 17 + static_cast<uint32_t>(w.size())));
  return w;
}

double distance(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined() ? 0 : INFINITY;
  if (!(a.shape() == b.shape())) return INFINITY;
  double worst = 0;
  for (int64_t i = 0; i < a.count(); ++i) {
    const double e = std::fabs(a.item(i) - b.item(i)) / (1 + std::fabs(b.item(i)));
    if (!(e <= worst)) worst = e;
    if (std::isnan(e)) return INFINITY;
  }
  return worst;
}

}  // namespace

void check(const std::string& name, const Build& build, const std::vector<Tensor>& in, const Options& options) {
  const std::vector<bool> wrt = wrt_of(options, in);
  const std::vector<int> outs = outs_of(options);
  const std::vector<Tensor> w = weights_for(build, in, wrt, outs);
  const std::vector<Tensor> d = graph_gradients(build, in, wrt, outs, w);
  const Graph forward = forward_graph(build, in, wrt, outs);
  const auto at = [&](size_t k, int64_t i, double by) {
    std::vector<Tensor> moved = in;
    moved[k] = in[k].clone();
    moved[k].data<float>()[i] = static_cast<float>(static_cast<double>(moved[k].data<float>()[i]) + by);
    // What float makes of the step is what counts.
    const double real = static_cast<double>(moved[k].data<float>()[i]) - static_cast<double>(in[k].data<float>()[i]);
    return std::pair(score(evaluate(forward, feeds_of(moved, wrt)), w), real);
  };
  for (size_t k = 0; k < in.size(); ++k) {
    if (!wrt[k]) continue;
    CAPTURE(name);
    CAPTURE(k);
    if (d[k].defined()) REQUIRE(d[k].shape() == in[k].shape());
    for (int64_t i = 0; i < in[k].count(); ++i) {
      const auto [a1, s1] = at(k, i, options.step);
      const auto [b1, t1] = at(k, i, -options.step);
      const auto [a2, s2] = at(k, i, 2 * options.step);
      const auto [b2, t2] = at(k, i, -2 * options.step);
      const double near = (a1 - b1) / (s1 - t1), far = (a2 - b2) / (s2 - t2), slope = (4 * near - far) / 3;
      const double got = d[k].defined() ? d[k].item(i) : 0;
      CAPTURE(i);
      CAPTURE(got);
      CAPTURE(slope);
      CHECK(std::fabs(got - slope) <= options.tolerance * (1 + std::fabs(slope)));
      if (!(std::fabs(got - slope) <= options.tolerance * (1 + std::fabs(slope)))) return;  // one is enough
    }
  }
}

Build build_of(const Case& c) {
  return [&c](const std::vector<Var>& in) { return emit(Registry::get().at(c.op), c.attrs, in); };
}

void check_first_order(const Case& c) { check(c.name(), build_of(c), c.in, c.options); }

void check_second_order(const Case& c) {
  const std::vector<bool> wrt = wrt_of(c.options, c.in);
  const std::vector<int> outs = outs_of(c.options);
  const Build build = build_of(c);
  // The function: from the inputs and the weights of the outputs to the gradients.
  const std::vector<Tensor> w = weights_for(build, c.in, wrt, outs);
  const size_t n = c.in.size();
  const auto first = [&](const std::vector<Var>& in) {
    Graph* g = nullptr;
    for (const Var& v : in) g = v.is_graph() ? v.graph() : g;
    const std::vector<Var> x(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
    const std::vector<Var> y = build(x);
    Var loss;
    for (size_t o = 0; o < outs.size(); ++o) loss = plus(loss, weighted(y[static_cast<size_t>(outs[o])], in[n + o]));
    std::vector<ValueId> ids;
    for (size_t i = 0; i < n; ++i) {
      if (wrt[i]) ids.push_back(x[i].value());
    }
    std::vector<Var> r;
    for (const ValueId d : grad(*g, loss.value(), ids)) {
      if (d >= 0) r.emplace_back(*g, d);
    }
    return r;
  };
  std::vector<Tensor> in = c.in;
  Options o = c.options;
  o.wrt = wrt;
  for (const Tensor& t : w) {
    in.push_back(t);
    o.wrt.push_back(true);
  }
  Graph probe;
  const size_t gradients = first(leaves(probe, in, o.wrt)).size();
  o.outs.clear();
  for (size_t i = 0; i < gradients; ++i) o.outs.push_back(static_cast<int>(i));
  o.tolerance *= 2;
  if (gradients > 0) check(c.name() + ", second order", first, in, o);
}

void check_eager(const Case& c) {
  const OpDef& op = Registry::get().at(c.op);
  if (op.random) return;  // other numbers are drawn
  const std::vector<bool> wrt = wrt_of(c.options, c.in);
  const std::vector<int> outs = outs_of(c.options);
  const std::vector<Tensor> w = weights_for(build_of(c), c.in, wrt, outs);
  const std::vector<Tensor> expected = graph_gradients(build_of(c), c.in, wrt, outs, w);
  Tape tape;
  std::vector<Var> x, targets, ys, dys;
  for (size_t i = 0; i < c.in.size(); ++i) {
    x.emplace_back(c.in[i]);
    if (wrt[i]) tape.watch(x.back());
  }
  const std::vector<Var> y = emit(op, c.attrs, x);
  for (size_t o = 0; o < outs.size(); ++o) {
    ys.push_back(y[static_cast<size_t>(outs[o])]);
    dys.emplace_back(w[o]);
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (wrt[i]) targets.push_back(x[i]);
  }
  const std::vector<Var> d = tape.gradients(ys, dys, targets);
  size_t k = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!wrt[i]) continue;
    const Tensor got = d[k++].tensor();
    CAPTURE(c.name());
    CAPTURE(i);
    CHECK(distance(got, expected[i]) <= 1e-6);
  }
}

void check_reads(const Case& c) {
  const OpDef& op = Registry::get().at(c.op);
  if (!op.grad_reads) return;
  const std::vector<bool> wrt = wrt_of(c.options, c.in);
  Exec exec;
  const std::vector<Tensor> y = run_op(op, c.attrs, c.in, exec);
  const auto vars = [](const std::vector<Tensor>& t) { return std::vector<Var>(t.begin(), t.end()); };
  std::vector<Var> dout(y.size());
  for (const int o : outs_of(c.options)) dout[static_cast<size_t>(o)] = Var(weights_of(y[static_cast<size_t>(o)], 17));
  // The shape without the values: one element, seen everywhere, that spoils what reads it.
  const auto hollow = [](const Tensor& t) {
    const Tensor one = Tensor::empty(t.dtype(), {1});
    std::memset(one.data<std::byte>(), 0xff, one.bytes());  // NaN, -1
    Layout l(t.shape());
    for (int i = 0; i < t.ndim(); ++i) l.stride[i] = 0;
    return one.view(l);
  };
  for (size_t only = 0; only <= wrt.size(); ++only) {  // every input alone, then all together
    std::vector<bool> needs(wrt.size());
    for (size_t i = 0; i < wrt.size(); ++i) needs[i] = wrt[i] && (only == wrt.size() || only == i);
    if (std::find(needs.begin(), needs.end(), true) == needs.end()) continue;
    const GradReads reads = op.grad_reads(c.attrs, needs);
    std::vector<Tensor> in = c.in, out = y;
    for (size_t i = 0; i < in.size(); ++i) {
      if (!(reads.in >> i & 1)) in[i] = hollow(in[i]);
    }
    for (size_t i = 0; i < out.size(); ++i) {
      if (!(reads.out >> i & 1)) out[i] = hollow(out[i]);
    }
    const std::vector<Var> full_in = vars(c.in), full_out = vars(y), part_in = vars(in), part_out = vars(out);
    const std::vector<Var> expected = op.grad(GradContext{op, c.attrs, full_in, full_out, dout, needs});
    const std::vector<Var> got = op.grad(GradContext{op, c.attrs, part_in, part_out, dout, needs});
    for (size_t i = 0; i < needs.size(); ++i) {
      if (!needs[i]) continue;
      CAPTURE(c.name());
      CAPTURE(only);
      CAPTURE(i);
      CHECK(distance(got[i].tensor(), expected[i].tensor()) == 0);
    }
  }
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> v;
    add_basic_cases(v);
    add_nn_cases(v);
    return v;
  }();
  return all;
}

Case& Adder::operator()(const char* op, const std::string& label, const Params& params, std::vector<Tensor> in) const {
  Case c;
  c.op = op;
  c.label = label;
  c.attrs.params = params;
  c.in = std::move(in);
  all.push_back(std::move(c));
  return all.back();
}

Tensor uniform(const Shape& shape, double lo, double hi, uint32_t seed) {
  Tensor t = Tensor::empty(DTypeEnum::Float32, shape);
  std::mt19937 r(seed);
  for (float& v : t.span<float>()) v = static_cast<float>(lo + (hi - lo) * static_cast<double>(r() >> 8) / 16777216.0);
  return t;
}

Tensor shuffled(const Shape& shape, double first, double step, uint32_t seed) {
  Tensor t = Tensor::empty(DTypeEnum::Float32, shape);
  std::mt19937 r(seed);
  const std::span<float> v = t.span<float>();
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(first + step * static_cast<double>(i));
  for (size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[r() % i]);
  return t;
}

Tensor numbers(const Shape& shape, const std::vector<float>& values) {
  return Tensor::of<float>(DTypeEnum::Float32, shape, values);
}
Tensor ints(const Shape& shape, const std::vector<int32_t>& values) {
  return Tensor::of<int32_t>(DTypeEnum::Int32, shape, values);
}

}  // namespace megalith::gradcheck
