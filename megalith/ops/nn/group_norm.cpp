// GroupNorm and InstanceNorm: normalization of groups of channels, with one weight and bias per channel. The last two
// outputs are the mean and the variance (not its root).
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/norm_vector.h"

namespace megalith {
namespace {

int outputs_norm(const Attrs&, int) { return 3; }
// Without weight and bias there is nothing behind the gradient of the input; files don't count it either.
int outputs_backward(const Attrs& a, int) { return a.param<param::GroupNorm>().affine ? 3 : 1; }

template <bool kInstance>
int64_t groups(const Attrs& a, const Shape& x) {
  return kInstance ? x[1] : static_cast<int64_t>(a.param<param::GroupNorm>().group);
}

template <bool kInstance>
Shape check(InferContext& c, int x) {
  const Shape& s = c.shape(x);
  c.require(c.param<param::GroupNorm>().format == param::ConvolutionFormat::NCHW, "only format NCHW is known");
  c.require(s.ndim() == 4, "input has shape ", s, ", expected 4 dimensions");
  c.require(c.dtype(x).is_float(), "input has type ", c.dtype(x).name());
  const int64_t g = groups<kInstance>(c.attrs, s);
  c.require(g > 0 && s[1] % g == 0, "group is ", g, " for ", s[1], " channels");
  return Shape{s[0], g};
}

template <bool kInstance>
void infer_norm(InferContext& c) {
  const bool affine = c.param<param::GroupNorm>().affine;
  const Shape stat = check<kInstance>(c, 0);
  c.require(c.nin() == (affine ? 3 : 1), "takes ", affine ? 3 : 1, " inputs, got ", c.nin());
  for (int i = 1; i < c.nin(); ++i)
    c.require(c.shape(i).count() == c.shape(0)[1] && c.dtype(i) == c.dtype(0), "input ", i, " has shape ", c.shape(i),
              " for ", c.shape(0)[1], " channels");
  c.set(0, c.dtype(0), c.shape(0));
  c.set(1, DType(DTypeEnum::Float32), stat);
  c.set(2, DType(DTypeEnum::Float32), stat);
}

template <bool kInstance>
void run_norm(const KernelArgs& a) {
  const auto& p = a.param<param::GroupNorm>();
  const Tensor& x = a.in[0];
  const int64_t G = groups<kInstance>(a.attrs, x.shape()), D = x.dim(1) / G, hw = x.dim(2) * x.dim(3), n = D * hw;
  dispatch_float(x.dtype(), [&](auto e) {
    using T = decltype(e);
    const T* w = p.affine ? a.in[1].data<T>() : nullptr;
    const T* b = p.affine ? a.in[2].data<T>() : nullptr;
    float *mean = a.out[1].data<float>(), *variance = a.out[2].data<float>();
    a.exec.parallel_for(x.dim(0) * G, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const T* xp = x.data<T>() + k * n;
        T* y = a.out[0].data<T>() + k * n;
        float sum = 0, var = 0;
        for (int64_t i = 0; i < n; ++i) sum += static_cast<float>(xp[i]);
        const float m = sum / static_cast<float>(n);
        for (int64_t i = 0; i < n; ++i) var += (static_cast<float>(xp[i]) - m) * (static_cast<float>(xp[i]) - m);
        var /= static_cast<float>(n);
        const float r = 1.f / std::sqrt(var + p.eps);
        mean[k] = m;
        variance[k] = var;
        for (int64_t j = 0; j < D && hw > 0; ++j) {
          const int64_t c = k % G * D + j;
          const float s = w ? r * static_cast<float>(w[c]) : r;
          const float o = -s * m + (b ? static_cast<float>(b[c]) : 0.f);
          for (int64_t i = j * hw; i < (j + 1) * hw; ++i)
            y[i] = T(w ? s * static_cast<float>(xp[i]) + o : (static_cast<float>(xp[i]) - m) * r);
        }
      }
    });
  });
}

// (images, groups, channels of a group, pixels)
Tensor grouped(const Tensor& x, int64_t g) { return x.reshaped({x.dim(0), g, x.dim(1) / g, x.dim(2) * x.dim(3)}); }
norm::Job job_of(const Tensor& x, int64_t g) { return {grouped(x, g), {x.dim(0), g, 1, 1}, {1, g, x.dim(1) / g, 1}}; }

template <bool kInstance>
void norm_vector(const KernelArgs& a) {
  const auto& p = a.param<param::GroupNorm>();
  const int64_t g = groups<kInstance>(a.attrs, a.in[0].shape());
  const Tensor y = a.out[0].contiguous() ? a.out[0] : Tensor::empty(DTypeEnum::Float32, a.out[0].shape());
  norm::forward(job_of(a.in[0], g), p.eps, p.affine ? a.in[1].data<float>() : nullptr,
                p.affine ? a.in[2].data<float>() : nullptr, grouped(y, g), a.out[1].data<float>(),
                a.out[2].data<float>(), a.exec);
  if (!a.out[0].contiguous()) copy_strided(y, a.out[0], a.exec);
}

template <bool kInstance>
void backward_vector(const KernelArgs& a) {
  const auto& p = a.param<param::GroupNorm>();
  const size_t last = a.in.size() - 1;
  const int64_t g = groups<kInstance>(a.attrs, a.in[1].shape());
  std::vector<float> inv(static_cast<size_t>(a.in[last].count()));
  for (size_t k = 0; k < inv.size(); ++k) inv[k] = 1.f / std::sqrt(a.in[last].data<float>()[k] + p.eps);
  const Tensor dx = a.out[0].contiguous() ? a.out[0] : Tensor::empty(DTypeEnum::Float32, a.out[0].shape());
  norm::backward(job_of(a.in[1], g), grouped(a.in[0], g), a.in[last - 1].data<float>(), inv.data(),
                 p.affine ? a.in[2].data<float>() : nullptr, grouped(dx, g),
                 p.affine ? a.out[1].data<float>() : nullptr, p.affine ? a.out[2].data<float>() : nullptr, a.exec);
  if (!a.out[0].contiguous()) copy_strided(dx, a.out[0], a.exec);
}

// Gradient of the result, input, (weight,) mean, variance.
template <bool kInstance>
void infer_backward(InferContext& c) {
  const bool affine = c.param<param::GroupNorm>().affine;
  const Shape stat = check<kInstance>(c, 1);
  c.require(c.nin() == (affine ? 5 : 4), "takes ", affine ? 5 : 4, " inputs, got ", c.nin());
  c.require(c.shape(0) == c.shape(1) && c.dtype(0) == c.dtype(1), "gradient has shape ", c.shape(0), ", input ",
            c.shape(1));
  for (int i = c.nin() - 2; i < c.nin(); ++i)
    c.require(c.shape(i).count() == stat.count() && c.dtype(i).id == DTypeEnum::Float32, "input ", i, " has shape ",
              c.shape(i), ", expected ", stat);
  if (affine)
    c.require(c.shape(2).count() == c.shape(1)[1] && c.dtype(2) == c.dtype(0), "weight has shape ", c.shape(2), " for ",
              c.shape(1)[1], " channels");
  c.set(0, c.dtype(1), c.shape(1));
  if (!affine) return;
  c.set(1, c.dtype(1), c.shape(2));
  c.set(2, c.dtype(1), c.shape(2));
}

template <bool kInstance>
void run_backward(const KernelArgs& a) {
  const auto& p = a.param<param::GroupNorm>();
  const Tensor& x = a.in[1];
  const int64_t C = x.dim(1), G = groups<kInstance>(a.attrs, x.shape()), D = C / G, hw = x.dim(2) * x.dim(3),
                n = D * hw;
  const float *mean = a.in[a.in.size() - 2].data<float>(), *variance = a.in[a.in.size() - 1].data<float>();
  dispatch_float(x.dtype(), [&](auto e) {
    using T = decltype(e);
    const T* w = p.affine ? a.in[2].data<T>() : nullptr;
    std::vector<float> dw(static_cast<size_t>(C)), db(static_cast<size_t>(C));
    for (int64_t k = 0; k < x.dim(0) * G; ++k) {
      const T *xp = x.data<T>() + k * n, *dy = a.in[0].data<T>() + k * n;
      T* dx = a.out[0].data<T>() + k * n;
      const float r = 1.f / std::sqrt(variance[k] + p.eps);
      float sum = 0, dot = 0;
      for (int64_t i = 0; i < n; ++i) {
        const int64_t c = k % G * D + i / hw;
        const float d = static_cast<float>(dy[i]), xhat = (static_cast<float>(xp[i]) - mean[k]) * r;
        const float g = d * (w ? static_cast<float>(w[c]) : 1.f);
        sum += g;
        dot += g * xhat;
        dw[static_cast<size_t>(c)] += d * xhat;
        db[static_cast<size_t>(c)] += d;
      }
      for (int64_t i = 0; i < n; ++i) {
        const float g = static_cast<float>(dy[i]) * (w ? static_cast<float>(w[k % G * D + i / hw]) : 1.f);
        const float xhat = (static_cast<float>(xp[i]) - mean[k]) * r;
        dx[i] = T(r * (g - sum / static_cast<float>(n) - xhat * dot / static_cast<float>(n)));
      }
    }
    if (!w) return;
    for (int64_t c = 0; c < C; ++c) {
      a.out[1].data<T>()[c] = T(dw[static_cast<size_t>(c)]);
      a.out[2].data<T>()[c] = T(db[static_cast<size_t>(c)]);
    }
  });
}

// The spread is the variance; weights are per channel.
std::vector<Var> grad_backward(const GradContext& c) {
  using namespace grads;
  const Var variance = add(c.in.back(), constant(c.attrs.param<param::GroupNorm>().eps, DTypeEnum::Float32));
  const Var rstd = emit1("PowC", param::PowC{.exp = -0.5f}, {variance});
  if (c.in.size() != 5) return norm_backward_gradient(c, rstd, {});
  const Var one = constant(1, DTypeEnum::Int32);
  return norm_backward_gradient(c, rstd, emit1("Concat", param::Axis{0}, {one, size_of(c.in[1], 1), one, one}));
}

template <bool kInstance>
void add_norm(Registry& r, const char* name, const char* doc, const char* back, const char* back_doc) {
  r.add({.name = name,
         .doc = doc,
         .mge = {name, 2},
         .params = &param::GroupNorm::kSchema,
         .min_inputs = 1,
         .max_inputs = 3,
         .outputs = outputs_norm,
         .infer = infer_norm<kInstance>,
         .kernels = {{.name = "vector", .run = norm_vector<kInstance>, .accepts = norm::all_floats},
                     {.name = "reference", .run = run_norm<kInstance>}},
         .grad = grads::norm_gradient,
         .grad_reads = grads::reads_norm});
  r.add({.name = back,
         .doc = back_doc,
         .mge = {back, 2},
         .params = &param::GroupNorm::kSchema,
         .min_inputs = 4,
         .max_inputs = 5,
         .outputs = outputs_backward,
         .infer = infer_backward<kInstance>,
         .kernels = {{.name = "vector", .run = backward_vector<kInstance>, .accepts = norm::all_floats},
                     {.name = "reference", .run = run_backward<kInstance>}},
         .grad = grad_backward});
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_group_norm) {
  add_norm<false>(r, "GroupNorm", "Normalization of groups of channels.", "GroupNormBackward",
                  "Gradients of GroupNorm: of the input, of weight and of bias.");
  add_norm<true>(r, "InstanceNorm", "Normalization of every channel of every image.", "InstanceNormBackward",
                 "Gradients of InstanceNorm: of the input, of weight and of bias.");
}
