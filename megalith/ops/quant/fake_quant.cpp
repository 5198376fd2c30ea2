// FakeQuant, TQT and LSQ: rounding to a quantized grid that stays in float32, and the gradients that train the grid.
#include "megalith/kernels/rows.h"
#include "megalith/ops/elemwise/walk.h"
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

// A parameter broadcast against the data.
Shape broadcast_strides(const Shape& x, const Shape& s) {
  Shape out = Layout(x).stride;
  const Shape st = Layout(s).stride;
  for (int i = 0; i < x.ndim(); ++i) {
    const int j = i - (x.ndim() - s.ndim());
    out[i] = j < 0 || s[j] == 1 ? 0 : st[j];
  }
  return out;
}

// Inputs from `first` on are broadcast to input 0; those before have its shape.
void check(InferContext& c, int first, int32_t qmin, int32_t qmax) {
  const Shape& x = c.shape(0);
  c.require(qmin <= qmax, "qmin is ", qmin, ", qmax ", qmax);
  for (int i = 0; i < c.nin(); ++i) {
    const Shape& s = c.shape(i);
    c.require(c.dtype(i).id == DTypeEnum::Float32, "input ", i, " has type ", c.dtype(i).name());
    c.require(i >= first || s == x, "input ", i, " has shape ", s, ", expected ", x);
    c.require(s.ndim() <= x.ndim(), "input ", i, " has shape ", s, " for data ", x);
    for (int j = 0; j < s.ndim(); ++j)
      c.require(s[j] == 1 || s[j] == x[j + x.ndim() - s.ndim()], "input ", i, " has shape ", s, " for data ", x);
  }
  for (size_t o = 0; o < c.out.size(); ++o) c.set(static_cast<int>(o), c.dtype(0), x);
}

template <class P, int kFirst>
void infer_quant(InferContext& c) {
  check(c, kFirst, c.param<P>().qmin, c.param<P>().qmax);
}

struct Range {
  float lo, hi;
  float clip(float v) const {
    v = v <= lo ? lo : v;
    return v >= hi ? hi : v;
  }
};

// Calls fn(element, offsets of the parameters' elements).
template <class P, int kFirst, class F>
void walk(const KernelArgs& a, F&& fn) {
  const auto& p = a.param<P>();
  const Shape& x = a.in[0].shape();
  std::vector<Shape> strides;
  for (size_t i = kFirst; i < a.in.size(); ++i) strides.push_back(broadcast_strides(x, a.in[i].shape()));
  Odometer od(x, strides);
  const Range range{static_cast<float>(p.qmin), static_cast<float>(p.qmax)};
  const int64_t n = x.count();
  for (int64_t i = 0; i < n; ++i, od.next())
    fn(i, range, [&](size_t in) { return a.in[in].data<float>()[od.offset(in - kFirst)]; });
}

void run_fake_quant(const KernelArgs& a) {
  walk<param::FakeQuant, 1>(a, [&](int64_t i, Range r, auto&& in) {
    const float scale = in(1), zero = in(2);
    const float q = r.clip(std::round(a.in[0].data<float>()[i] / scale) + zero);
    a.out[0].data<float>()[i] = (q - zero) * scale;
  });
}

void run_fake_quant_backward(const KernelArgs& a) {
  walk<param::FakeQuant, 2>(a, [&](int64_t i, Range r, auto&& in) {
    const float q = std::round(a.in[1].data<float>()[i] / in(2)) + in(3);
    a.out[0].data<float>()[i] = q >= r.lo && q <= r.hi ? a.in[0].data<float>()[i] : 0.f;
  });
}

void run_tqt(const KernelArgs& a) {
  walk<param::TQT, 1>(a, [&](int64_t i, Range r, auto&& in) {
    const float t = static_cast<float>(std::pow(2.0, static_cast<double>(in(1))));
    a.out[0].data<float>()[i] = r.clip(std::round(a.in[0].data<float>()[i] / t)) * t;
  });
}

// Beyond the outer grid points by more than half a step nothing flows to the data, and the scale's gradient is that of
// the grid point.
void run_tqt_backward(const KernelArgs& a) {
  walk<param::TQT, 2>(a, [&](int64_t i, Range r, auto&& in) {
    const float t = static_cast<float>(std::pow(2.0, static_cast<double>(in(2))));
    const float diff = a.in[0].data<float>()[i], scaled = a.in[1].data<float>()[i] / t;
    const bool clipped = scaled < r.lo - 0.5f || scaled > r.hi + 0.5f;
    const float ds = r.clip(std::round(scaled)) - (clipped ? 0.f : scaled);
    a.out[0].data<float>()[i] = clipped ? diff * 0.f : diff;
    a.out[1].data<float>()[i] = static_cast<float>(diff * ds * t * std::log(2.0));
  });
}

void run_lsq(const KernelArgs& a) {
  walk<param::LSQ, 1>(a, [&](int64_t i, Range r, auto&& in) {
    const float scale = in(1), zero = in(2);
    a.out[0].data<float>()[i] = (std::round(r.clip(a.in[0].data<float>()[i] / scale + zero)) - zero) * scale;
  });
}

void run_lsq_backward(const KernelArgs& a) {
  walk<param::LSQ, 2>(a, [&](int64_t i, Range r, auto&& in) {
    const float diff = a.in[0].data<float>()[i], x = a.in[1].data<float>()[i] / in(2) + in(3);
    const bool inside = !(x < r.lo) && !(x > r.hi);
    const float ds = x < r.lo ? r.lo : x > r.hi ? r.hi : std::round(x) - x;
    a.out[0].data<float>()[i] = inside ? diff : 0.f;
    a.out[1].data<float>()[i] = ds * in(4) * diff;
  });
}

// ---- With vectors.

// out = fn(x, the others, the range, more).
template <class P>
void walk_rows(const KernelArgs& a, rows::Fn fn, const Tensor& x, std::initializer_list<elemwise::Array> others,
               const Tensor* more = nullptr) {
  static const Layout single(Shape{1});
  const auto& p = a.param<P>();
  float range[] = {static_cast<float>(p.qmin), static_cast<float>(p.qmax)};
  elemwise::Array in[elemwise::kMaxOperands];
  size_t n = 0;
  in[n++] = elemwise::array_of(x);
  for (const elemwise::Array& o : others) in[n++] = o;
  in[n++] = {&range[0], &single};
  in[n++] = {&range[1], &single};
  if (more) in[n++] = elemwise::array_of(*more);
  elemwise::walk({in, n}, elemwise::array_of(a.out[0]), INT64_MAX, a.exec,
                 [fn](const elemwise::Block& b) { fn(b.in, b.step, b.out, b.n); });
}

void fake_quant_vector(const KernelArgs& a) {
  walk_rows<param::FakeQuant>(a, rows::fake_quantize(), a.in[0],
                              {elemwise::array_of(a.in[1]), elemwise::array_of(a.in[2])});
}

void fake_quant_backward_vector(const KernelArgs& a) {
  walk_rows<param::FakeQuant>(a, rows::fake_quantize_back(), a.in[1],
                              {elemwise::array_of(a.in[2]), elemwise::array_of(a.in[3])}, &a.in[0]);
}

void tqt_vector(const KernelArgs& a) {
  const Tensor step = a.in[1].clone();
  for (float& v : step.span<float>()) v = static_cast<float>(std::pow(2.0, static_cast<double>(v)));
  walk_rows<param::TQT>(a, rows::quantize_steps(), a.in[0], {elemwise::array_of(step)});
}

int outputs_two(const Attrs&, int) { return 2; }

// The data passes straight through inside the range; scale and zero point of FakeQuant are not trained.
std::vector<Var> grad_fake_quant(const GradContext& c) {
  return {
      c.needs[0] ? emit1("FakeQuantBackward", c.attrs.params, {c.dout[0], c.in[0], c.in[1], c.in[2]}) : Var(), {}, {}};
}

std::vector<Var> grad_learned(const GradContext& c) {
  std::vector<Var> in = c.in, r(c.in.size());
  in.insert(in.begin(), c.dout[0]);
  if (!c.needs[0] && !c.needs[1]) return r;
  const std::vector<Var> g = grads::emit_same(c, (std::string(c.op.name) + "Backward").c_str(), in);
  r[0] = g[0];
  if (c.needs[1]) r[1] = grads::sum_like(g[1], c.in[1]);
  return r;
}

GradReads reads_inputs(const Attrs&, const std::vector<bool>&) { return {~0u, 0}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(quant_fake_quant) {
  auto add = [&](const char* name, const char* doc, const ParamSchema& schema, int inputs, void (*infer)(InferContext&),
                 void (*run)(const KernelArgs&), bool two, std::vector<Var> (*grad)(const GradContext&) = nullptr,
                 void (*vector)(const KernelArgs&) = nullptr) {
    std::vector<Kernel> kernels;
    if (vector) kernels.push_back({.name = "vector", .run = vector, .strided = true, .order = Order::kLikeInput});
    kernels.push_back({.name = "reference", .run = run});
    r.add({.name = name,
           .doc = doc,
           .mge = {name},
           .params = &schema,
           .min_inputs = inputs,
           .max_inputs = inputs,
           .outputs = two ? outputs_two : nullptr,
           .infer = infer,
           .kernels = std::move(kernels),
           .grad = grad,
           .grad_reads = reads_inputs});
  };
  using namespace param;
  add("FakeQuant", "Rounds to the grid of a scale and a zero point.", FakeQuant::kSchema, 3, infer_quant<FakeQuant, 1>,
      run_fake_quant, false, grad_fake_quant, fake_quant_vector);
  add("FakeQuantBackward", "Gradient of FakeQuant: the upstream gradient inside the range.", FakeQuant::kSchema, 4,
      infer_quant<FakeQuant, 2>, run_fake_quant_backward, false, nullptr, fake_quant_backward_vector);
  add("TQT", "Rounds to a grid whose scale is a power of two.", TQT::kSchema, 2, infer_quant<TQT, 1>, run_tqt, false,
      grad_learned, tqt_vector);
  add("TQTBackward", "Gradients of TQT: of the data, and of the scale per element.", TQT::kSchema, 3,
      infer_quant<TQT, 2>, run_tqt_backward, true);
  add("LSQ", "Rounds to a grid with a learned scale.", LSQ::kSchema, 4, infer_quant<LSQ, 1>, run_lsq, false,
      grad_learned);
  add("LSQBackward", "Gradients of LSQ: of the data, and of the scale per element.", LSQ::kSchema, 5,
      infer_quant<LSQ, 2>, run_lsq_backward, true);
}
