// BatchNorm: normalization by statistics of the batch, or by running ones.
#include "megalith/kernels/rows.h"
#include "megalith/ops/elemwise/walk.h"
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/norm_vector.h"
#include "megalith/ops/reduce/reduce_vector.h"

namespace megalith {
namespace {

using param::BNFwdMode;

bool inference(const Attrs& a) { return a.param<param::BN>().fwd_mode == BNFwdMode::INFERENCE; }

bool keeps_statistics(const Attrs& a, int n_inputs) { return n_inputs == 5 && !inference(a); }
int outputs_bn(const Attrs& a, int n_inputs) { return keeps_statistics(a, n_inputs) ? 6 : 4; }

// For each axis of x, the distance in a parameter of shape `s` (0 where it is broadcast).
Shape param_strides(const Shape& x, const Shape& s) {
  Shape st = Layout(s).stride;
  for (int i = 0; i < x.ndim(); ++i)
    if (s[i] == 1) st[i] = 0;
  return st;
}

void check_scale(InferContext& c, int x, int scale) {
  const Shape &xs = c.shape(x), &s = c.shape(scale);
  c.require(c.dtype(x).is_float(), "input has type ", c.dtype(x).name());
  c.require(s.ndim() == xs.ndim(), "scale has shape ", s, " for input ", xs);
  for (int i = 0; i < s.ndim(); ++i) c.require(s[i] == xs[i] || s[i] == 1, "scale has shape ", s, " for input ", xs);
}

void infer_bn(InferContext& c) {
  c.require(c.nin() == 3 || c.nin() == 5, "takes 3 or 5 inputs, got ", c.nin());
  c.require(!inference(c.attrs) || c.nin() == 5, "needs running statistics in INFERENCE mode");
  check_scale(c, 0, 1);
  for (int i = 1; i < c.nin(); ++i) {
    c.require(c.shape(i) == c.shape(1), "input ", i, " has shape ", c.shape(i), ", scale has ", c.shape(1));
    c.require(c.dtype(i).id == DTypeEnum::Float32 || c.dtype(i) == c.dtype(0), "input ", i, " has type ",
              c.dtype(i).name());
    c.require(c.dtype(i) == c.dtype(1), "input ", i, " has type ", c.dtype(i).name());
  }
  const int n = static_cast<int>(c.out.size());
  for (int o = 0; o + 2 < n; ++o) c.set(o, c.dtype(1), c.shape(1));
  c.set(n - 2, DType(DTypeEnum::Byte), Shape{0});
  c.set(n - 1, c.dtype(0), c.shape(0));
}

// Calls fn(element of x, element of the parameter) in row-major order.
template <class F>
void walk(const Shape& x, const Shape& s, F&& fn) {
  Odometer od(x, {param_strides(x, s)});
  const int64_t n = x.count();
  for (int64_t i = 0; i < n; ++i, od.next()) fn(i, od.offset(0));
}

std::vector<float> floats(const Tensor& t) {
  std::vector<float> v(static_cast<size_t>(t.count()));
  dispatch_float(t.dtype(), [&](auto e) {
    using T = decltype(e);
    for (size_t i = 0; i < v.size(); ++i) v[i] = t.data<T>()[i];
  });
  return v;
}

void store(const Tensor& t, const std::vector<float>& v) {
  dispatch_float(t.dtype(), [&](auto e) {
    using T = decltype(e);
    for (size_t i = 0; i < v.size(); ++i) t.data<T>()[i] = T(v[i]);
  });
}

void run_bn(const KernelArgs& a) {
  const auto& p = a.param<param::BN>();
  const Tensor& x = a.in[0];
  const Shape& ss = a.in[1].shape();
  const size_t m = static_cast<size_t>(ss.count());
  const float eps = static_cast<float>(p.epsilon), factor = static_cast<float>(p.avg_factor);
  const size_t last = a.out.size() - 1;
  const auto scale = floats(a.in[1]), bias = floats(a.in[2]);
  std::vector<float> mean(m), inv(m);
  dispatch_float(x.dtype(), [&](auto e) {
    using T = decltype(e);
    const T* xp = x.data<T>();
    T* y = a.out[last].data<T>();
    if (inference(a.attrs)) {
      mean = floats(a.in[3]);
      const auto var = floats(a.in[4]);
      for (size_t i = 0; i < m; ++i) inv[i] = 1.f / std::sqrt(var[i] + eps);
      store(a.out[0], mean);
      store(a.out[1], var);
    } else if (m > 0) {
      std::vector<float> var(m);
      const int64_t n = x.count() / static_cast<int64_t>(m);
      walk(x.shape(), ss, [&](int64_t i, int64_t k) { mean[static_cast<size_t>(k)] += static_cast<float>(xp[i]); });
      for (float& v : mean) v /= static_cast<float>(n);
      walk(x.shape(), ss, [&](int64_t i, int64_t k) {
        const float d = static_cast<float>(xp[i]) - mean[static_cast<size_t>(k)];
        var[static_cast<size_t>(k)] += d * d;
      });
      const bool running = a.in.size() == 5;
      if (running) {
        auto rm = floats(a.in[3]), rv = floats(a.in[4]);
        for (size_t i = 0; i < m; ++i) {
          const float unbiased = var[i] / static_cast<float>(n - 1);  // NaN for one element, as in MegEngine
          rm[i] = rm[i] * (1.f - factor) + mean[i] * factor;
          rv[i] = rv[i] * (1.f - factor) + unbiased * factor;
        }
        store(a.out[0], rm);
        store(a.out[1], rv);
      }
      for (size_t i = 0; i < m; ++i) inv[i] = 1.f / std::sqrt(var[i] / static_cast<float>(n) + eps);
      store(a.out[running ? 2 : 0], mean);
      store(a.out[running ? 3 : 1], inv);
    }
    walk(x.shape(), ss, [&](int64_t i, int64_t k) {
      const size_t c = static_cast<size_t>(k);
      y[i] = T(scale[c] * (static_cast<float>(xp[i]) - mean[c]) * inv[c] + bias[c]);
    });
  });
}

void run_vector(const KernelArgs& a) {
  const auto& p = a.param<param::BN>();
  const Shape& ss = a.in[1].shape();
  const auto m = static_cast<size_t>(ss.count());
  const float eps = static_cast<float>(p.epsilon), factor = static_cast<float>(p.avg_factor);
  const norm::Job job{a.in[0], ss, ss};
  std::vector<float> mean(m), var(m), inv(m);
  if (inference(a.attrs)) {
    mean = floats(a.in[3].to_contiguous());
    var = floats(a.in[4].to_contiguous());
    for (size_t i = 0; i < m; ++i) inv[i] = 1.f / std::sqrt(var[i] + eps);
    store(a.out[0], mean);
    store(a.out[1], var);
  } else {
    const auto n = static_cast<float>(a.in[0].count() / ss.count());
    norm::moments(job, mean.data(), var.data(), a.exec);
    for (size_t i = 0; i < m; ++i) inv[i] = 1.f / std::sqrt(var[i] + eps);
    const bool running = a.in.size() == 5;
    if (running) {
      auto rm = floats(a.in[3].to_contiguous()), rv = floats(a.in[4].to_contiguous());
      for (size_t i = 0; i < m; ++i) {
        const float unbiased = var[i] * n / (n - 1);  // NaN for one element, as in MegEngine
        rm[i] = rm[i] * (1.f - factor) + mean[i] * factor;
        rv[i] = rv[i] * (1.f - factor) + unbiased * factor;
      }
      store(a.out[0], rm);
      store(a.out[1], rv);
    }
    store(a.out[running ? 2 : 0], mean);
    store(a.out[running ? 3 : 1], inv);
  }
  const Layout per_channel(ss);
  const elemwise::Array in[] = {elemwise::array_of(a.in[0]),
                                {mean.data(), &per_channel},
                                elemwise::array_of(a.in[1]),
                                {inv.data(), &per_channel},
                                elemwise::array_of(a.in[2])};
  elemwise::walk(in, elemwise::array_of(a.out.back()), INT64_MAX, a.exec,
                 [fn = rows::normalize()](const elemwise::Block& b) { fn(b.in, b.step, b.out, b.n); });
}

void backward_vector(const KernelArgs& a) {
  const Tensor &x = a.in[0], &dy = a.in[1];
  const Shape& ss = a.in[4].shape();
  const auto m = static_cast<size_t>(ss.count());
  const auto n = static_cast<float>(x.count() / ss.count());
  const auto mean = floats(a.in[2].to_contiguous()), inv = floats(a.in[3].to_contiguous()),
             scale = floats(a.in[4].to_contiguous());
  std::vector<float> dscale(m), dbias(m), slope(m), sum(m), dot(m);
  const Layout per_channel(ss);
  const auto array = [&](const std::vector<float>& v) {
    return elemwise::Array{const_cast<float*>(v.data()), &per_channel};
  };
  Layout center(x.shape(), param_strides(x.shape(), ss));
  const Tensor means = Tensor::of<float>(DTypeEnum::Float32, ss, mean).view(center);
  reduce::along(reduce::Join::kSum, dy, ss, dbias.data(), a.exec);
  reduce::along(reduce::Join::kCentered, x, ss, dscale.data(), a.exec, {.other = dy, .center = means});
  for (size_t i = 0; i < m; ++i) {
    dscale[i] *= inv[i];
    slope[i] = scale[i] * inv[i];
    sum[i] = dbias[i] / n;
    dot[i] = dscale[i] / n;
  }
  store(a.out[0], dscale);
  store(a.out[1], dbias);
  const elemwise::Array in[] = {
      elemwise::array_of(x), elemwise::array_of(dy), array(mean), array(inv), array(slope), array(sum), array(dot)};
  elemwise::walk(in, elemwise::array_of(a.out[2]), INT64_MAX, a.exec,
                 [fn = rows::normalize_back()](const elemwise::Block& b) { fn(b.in, b.step, b.out, b.n); });
}

int outputs_backward(const Attrs&, int) { return 3; }

// x, dy, batch mean, batch inverse deviation, scale, reserve.
void infer_backward(InferContext& c) {
  check_scale(c, 0, 4);
  c.require(c.shape(1) == c.shape(0) && c.dtype(1) == c.dtype(0), "gradient has shape ", c.shape(1), ", input ",
            c.shape(0));
  for (int i = 2; i < 4; ++i)
    c.require(c.shape(i) == c.shape(4) && c.dtype(i).is_float(), "input ", i, " has shape ", c.shape(i), ", scale has ",
              c.shape(4));
  c.require(c.dtype(4).is_float(), "scale has type ", c.dtype(4).name());
  c.set(0, c.dtype(4), c.shape(4));
  c.set(1, c.dtype(4), c.shape(4));
  c.set(2, c.dtype(0), c.shape(0));
}

void run_backward(const KernelArgs& a) {
  const Tensor& x = a.in[0];
  const Shape& ss = a.in[4].shape();
  const size_t m = static_cast<size_t>(ss.count());
  const auto mean = floats(a.in[2]), inv = floats(a.in[3]), scale = floats(a.in[4]);
  std::vector<float> dscale(m), dbias(m);
  if (m == 0) return;
  dispatch_float(x.dtype(), [&](auto e) {
    using T = decltype(e);
    const T *xp = x.data<T>(), *dy = a.in[1].data<T>();
    T* dx = a.out[2].data<T>();
    const float n = static_cast<float>(x.count() / static_cast<int64_t>(m));
    walk(x.shape(), ss, [&](int64_t i, int64_t k) {
      const size_t c = static_cast<size_t>(k);
      dscale[c] += static_cast<float>(dy[i]) * (static_cast<float>(xp[i]) - mean[c]) * inv[c];
      dbias[c] += static_cast<float>(dy[i]);
    });
    walk(x.shape(), ss, [&](int64_t i, int64_t k) {
      const size_t c = static_cast<size_t>(k);
      const float xhat = (static_cast<float>(xp[i]) - mean[c]) * inv[c];
      dx[i] = T(scale[c] * inv[c] * (static_cast<float>(dy[i]) - dbias[c] / n - xhat * dscale[c] / n));
    });
  });
  store(a.out[0], dscale);
  store(a.out[1], dbias);
}

// Of the result only: running statistics are no part of a loss. In training the batch statistics are outputs.
std::vector<Var> grad_bn(const GradContext& c) {
  using namespace grads;
  const size_t n = c.out.size(), y = n - 1;
  only_outputs(c, {y}, "the result");
  std::vector<Var> r(c.in.size());
  const Var &x = c.in[0], &scale = c.in[1], &d = c.dout[y];
  if (!inference(c.attrs)) {
    if (!c.needs[0] && !c.needs[1] && !c.needs[2]) return r;
    const std::vector<Var> g =
        emit_same(c, "BatchNormBackward", {x, d, c.out[n - 4], c.out[n - 3], scale, c.out[n - 2]});
    r[0] = g[2];
    r[1] = g[0];
    r[2] = g[1];
    return r;
  }
  // scale * (x - mean) / sqrt(variance + epsilon) + bias, where every parameter has the type of scale.
  const bool cast = c.dtype(0) != c.dtype(1);
  const auto wide = [&](const Var& v) { return cast ? emit1("TypeCvt", param::TypeCvt{.dtype = c.dtype(1)}, {v}) : v; };
  const Var variance = add(c.in[4], constant(c.attrs.param<param::BN>().epsilon, c.dtype(1)));
  const Var inv = emit1("PowC", param::PowC{.exp = -0.5f}, {variance});
  const Var dy = wide(d);
  if (c.needs[0]) {
    r[0] = mul(dy, mul(scale, inv));
    if (cast) r[0] = emit1("TypeCvt", param::TypeCvt{.dtype = c.dtype(0)}, {r[0]});
  }
  Var dbias, dscale;
  if (c.needs[2] || c.needs[3]) dbias = sum_like(dy, scale);
  if (c.needs[1] || c.needs[4]) dscale = mul(sum_like(mul(dy, sub(wide(x), c.in[3])), scale), inv);
  r[1] = dscale;
  r[2] = dbias;
  if (c.needs[3]) r[3] = neg(mul(dbias, mul(scale, inv)));
  if (c.needs[4]) r[4] = div(mul(mul(dscale, scale), constant(-0.5, c.dtype(1))), variance);
  return r;
}

GradReads reads_bn(const Attrs& attrs, const std::vector<bool>& needs) {
  if (!inference(attrs)) return {3, needs.size() == 5 ? 0x1cu : 0x7u};
  return {~5u | (needs[1] || needs[4] ? 1u : 0u), 0};
}

// Of (x, dy, mean, rstd, scale, reserved) -> (dscale, dbias, dx). The statistics follow from x: their part is in its
// gradient.
std::vector<Var> grad_backward(const GradContext& c) {
  if (c.dtype(0).id != DTypeEnum::Float32) grads::unsupported(c, "has a gradient for Float32 only");
  const grads::NormSecond s =
      grads::norm_second({c.in[0], c.in[1], c.in[4], c.in[2], c.in[3], c.dout[2], c.dout[0], c.dout[1]});
  std::vector<Var> r(c.in.size());
  if (c.needs[0]) r[0] = s.x;
  if (c.needs[1]) r[1] = s.dy;
  if (c.needs[4] && s.weight.defined()) r[4] = grads::sum_like(s.weight, c.in[4]);
  return r;
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_batch_norm) {
  r.add({.name = "BatchNorm",
         .doc = "Normalization over all axes that scale is broadcast along; keeps running statistics.",
         .mge = {"BatchNormV1"},
         .params = &param::BN::kSchema,
         .min_inputs = 3,
         .max_inputs = 5,
         .outputs = outputs_bn,
         .infer = infer_bn,
         .kernels = {{.name = "vector",
                      .run = run_vector,
                      .accepts = norm::all_floats,
                      .strided = true,
                      .order = Order::kLikeInput},
                     {.name = "reference", .run = run_bn}},
         .grad = grad_bn,
         .grad_reads = reads_bn,
         .updates = {{0, 3}, {1, 4}},
         .updates_when = keeps_statistics});
  r.add({.name = "BatchNormBackward",
         .doc = "Gradients of BatchNorm in training: of scale, of bias, of the input.",
         .mge = {"BatchNormBackwardV1"},
         .params = &param::BN::kSchema,
         .min_inputs = 6,
         .max_inputs = 6,
         .outputs = outputs_backward,
         .infer = infer_backward,
         .kernels = {{.name = "vector",
                      .run = backward_vector,
                      .accepts = norm::all_floats,
                      .strided = true,
                      .order = Order::kLikeInput},
                     {.name = "reference", .run = run_backward}},
         .grad = grad_backward});
}
