// LayerNorm and GeneralNorm: normalization over neighbouring axes, with one weight and bias per normalized element.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/norm_vector.h"

namespace megalith {
namespace {

struct Axes {
  int begin, end;
  bool affine;
  float eps;
};

Axes axes_of(const param::LayerNorm& p, int ndim) {
  const int n = static_cast<int>(std::min<uint64_t>(p.normalized_dim, kMaxDims + 1));
  return {ndim - n, ndim, p.affine, p.eps};
}

Axes axes_of(const param::GeneralNorm& p, int) {
  return {static_cast<int>(std::min<uint64_t>(p.axis_start, kMaxDims + 1)),
          static_cast<int>(std::min<uint64_t>(p.axis_end, kMaxDims + 1)), p.affine, p.eps};
}

int outputs_norm(const Attrs&, int) { return 3; }
// Without weight and bias there is nothing behind the gradient of the input; files don't count it either.
template <class P>
int outputs_backward(const Attrs& a, int) {
  return a.param<P>().affine ? 3 : 1;
}

Shape kept_shape(const Shape& x, const Axes& ax) {
  Shape s;
  for (int i = 0; i < x.ndim(); ++i)
    if (i < ax.begin || i >= ax.end) s.push_back(x[i]);
  if (s.ndim() == 0) s.push_back(1);
  return s;
}

Shape normalized_shape(const Shape& x, const Axes& ax) {
  Shape s;
  for (int i = ax.begin; i < ax.end; ++i) s.push_back(x[i]);
  return s;
}

template <class P>
Axes check(InferContext& c, int x) {
  const Axes ax = axes_of(c.param<P>(), c.shape(x).ndim());
  c.require(ax.begin >= 0 && ax.begin < ax.end && ax.end <= c.shape(x).ndim(), "axes [", ax.begin, ",", ax.end,
            ") do not lie within input ", c.shape(x));
  if constexpr (std::is_same_v<P, param::LayerNorm>) {
    const int64_t n = normalized_shape(c.shape(x), ax).count();
    c.require(static_cast<uint64_t>(n) == c.param<P>().normalized_size, "normalized_size is ",
              c.param<P>().normalized_size, ", input has ", n);
  }
  c.require(c.dtype(x).is_float(), "input has type ", c.dtype(x).name());
  return ax;
}

template <class P>
void infer_norm(InferContext& c) {
  const Axes ax = check<P>(c, 0);
  c.require(c.nin() == (ax.affine ? 3 : 1), "takes ", ax.affine ? 3 : 1, " inputs, got ", c.nin());
  const Shape w = normalized_shape(c.shape(0), ax);
  for (int i = 1; i < c.nin(); ++i)
    c.require(c.shape(i).count() == w.count() && c.dtype(i) == c.dtype(0), "input ", i, " has shape ", c.shape(i),
              ", expected ", w);
  c.set(0, c.dtype(0), c.shape(0));
  c.set(1, DType(DTypeEnum::Float32), kept_shape(c.shape(0), ax));
  c.set(2, DType(DTypeEnum::Float32), kept_shape(c.shape(0), ax));
}

template <class P>
void run_norm(const KernelArgs& a) {
  const Tensor& x = a.in[0];
  const Axes ax = axes_of(a.param<P>(), x.ndim());
  const int64_t inner = x.shape().count(ax.end, x.ndim()), n = x.shape().count(ax.begin, ax.end);
  const int64_t outer = x.shape().count(0, ax.begin);
  dispatch_float(x.dtype(), [&](auto e) {
    using T = decltype(e);
    const T* xp = x.data<T>();
    T* y = a.out[0].data<T>();
    const T* w = ax.affine ? a.in[1].data<T>() : nullptr;
    const T* b = ax.affine ? a.in[2].data<T>() : nullptr;
    float *mean = a.out[1].data<float>(), *rstd = a.out[2].data<float>();
    a.exec.parallel_for(outer * inner, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const int64_t at = k / inner * n * inner + k % inner;
        float sum = 0, var = 0;
        for (int64_t i = 0; i < n; ++i) sum += static_cast<float>(xp[at + i * inner]);
        const float m = sum / static_cast<float>(n);
        for (int64_t i = 0; i < n; ++i) {
          const float d = static_cast<float>(xp[at + i * inner]) - m;
          var += d * d;
        }
        const float r = 1.f / std::sqrt(var / static_cast<float>(n) + ax.eps);
        mean[k] = m;
        rstd[k] = r;
        for (int64_t i = 0; i < n; ++i) {
          float v = (static_cast<float>(xp[at + i * inner]) - m) * r;
          if (w) v = v * static_cast<float>(w[i]) + static_cast<float>(b[i]);
          y[at + i * inner] = T(v);
        }
      }
    });
  });
}

norm::Job job_of(const Tensor& x, const Axes& ax) {
  norm::Job job{x, x.shape(), x.shape()};
  for (int d = 0; d < x.ndim(); ++d) (d >= ax.begin && d < ax.end ? job.statistics : job.weights)[d] = 1;
  return job;
}

template <class P>
void norm_vector(const KernelArgs& a) {
  const Axes ax = axes_of(a.param<P>(), a.in[0].ndim());
  float* rstd = a.out[2].data<float>();
  norm::forward(job_of(a.in[0], ax), ax.eps, ax.affine ? a.in[1].data<float>() : nullptr,
                ax.affine ? a.in[2].data<float>() : nullptr, a.out[0], a.out[1].data<float>(), rstd, a.exec);
  for (int64_t k = 0; k < a.out[2].count(); ++k) rstd[k] = 1.f / std::sqrt(rstd[k] + ax.eps);
}

template <class P>
void backward_vector(const KernelArgs& a) {
  const Axes ax = axes_of(a.param<P>(), a.in[1].ndim());
  const size_t last = a.in.size() - 1;
  norm::backward(job_of(a.in[1], ax), a.in[0], a.in[last - 1].data<float>(), a.in[last].data<float>(),
                 ax.affine ? a.in[2].data<float>() : nullptr, a.out[0], ax.affine ? a.out[1].data<float>() : nullptr,
                 ax.affine ? a.out[2].data<float>() : nullptr, a.exec);
}

// Gradient of the result, input, (weight,) mean, rstd.
template <class P>
void infer_backward(InferContext& c) {
  const Axes ax = check<P>(c, 1);
  c.require(c.nin() == (ax.affine ? 5 : 4), "takes ", ax.affine ? 5 : 4, " inputs, got ", c.nin());
  c.require(c.shape(0) == c.shape(1) && c.dtype(0) == c.dtype(1), "gradient has shape ", c.shape(0), ", input ",
            c.shape(1));
  const Shape kept = kept_shape(c.shape(1), ax), w = normalized_shape(c.shape(1), ax);
  for (int i = c.nin() - 2; i < c.nin(); ++i)
    c.require(c.shape(i).count() == kept.count() && c.dtype(i).id == DTypeEnum::Float32, "input ", i, " has shape ",
              c.shape(i), ", expected ", kept);
  if (ax.affine)
    c.require(c.shape(2).count() == w.count() && c.dtype(2) == c.dtype(0), "weight has shape ", c.shape(2),
              ", expected ", w);
  c.set(0, c.dtype(1), c.shape(1));
  if (!ax.affine) return;
  c.set(1, c.dtype(1), c.shape(2));
  c.set(2, c.dtype(1), c.shape(2));
}

template <class P>
void run_backward(const KernelArgs& a) {
  const Tensor& x = a.in[1];
  const Axes ax = axes_of(a.param<P>(), x.ndim());
  const int64_t inner = x.shape().count(ax.end, x.ndim()), n = x.shape().count(ax.begin, ax.end);
  const int64_t outer = x.shape().count(0, ax.begin);
  const float *mean = a.in[a.in.size() - 2].data<float>(), *rstd = a.in[a.in.size() - 1].data<float>();
  dispatch_float(x.dtype(), [&](auto e) {
    using T = decltype(e);
    const T *xp = x.data<T>(), *dy = a.in[0].data<T>();
    const T* w = ax.affine ? a.in[2].data<T>() : nullptr;
    T* dx = a.out[0].data<T>();
    for (int64_t k = 0; k < outer * inner; ++k) {
      const int64_t at = k / inner * n * inner + k % inner;
      float sum = 0, dot = 0;
      for (int64_t i = 0; i < n; ++i) {
        const float g = static_cast<float>(dy[at + i * inner]) * (w ? static_cast<float>(w[i]) : 1.f);
        sum += g;
        dot += g * (static_cast<float>(xp[at + i * inner]) - mean[k]) * rstd[k];
      }
      for (int64_t i = 0; i < n; ++i) {
        const float g = static_cast<float>(dy[at + i * inner]) * (w ? static_cast<float>(w[i]) : 1.f);
        const float xhat = (static_cast<float>(xp[at + i * inner]) - mean[k]) * rstd[k];
        dx[at + i * inner] = T(rstd[k] * (g - sum / static_cast<float>(n) - xhat * dot / static_cast<float>(n)));
      }
    }
    if (!w) return;
    T *dw = a.out[1].data<T>(), *db = a.out[2].data<T>();
    for (int64_t i = 0; i < n; ++i) {
      float sw = 0, sb = 0;
      for (int64_t k = 0; k < outer * inner; ++k) {
        const int64_t at = k / inner * n * inner + k % inner + i * inner;
        sw += static_cast<float>(dy[at]) * (static_cast<float>(xp[at]) - mean[k]) * rstd[k];
        sb += static_cast<float>(dy[at]);
      }
      dw[i] = T(sw);
      db[i] = T(sb);
    }
  });
}

// Statistics of rows: those of LayerNorm are. GeneralNorm may have axes behind the normalized ones.
std::vector<Var> grad_backward(const GradContext& c) {
  return grads::norm_backward_gradient(c, c.in.back(), c.in.size() == 5 ? grads::shape_of(c.in[2]) : Var());
}

template <class P>
void add_norm(Registry& r, const char* name, const char* doc, const char* back, const char* back_doc) {
  r.add({.name = name,
         .doc = doc,
         .mge = {name},
         .params = &P::kSchema,
         .min_inputs = 1,
         .max_inputs = 3,
         .outputs = outputs_norm,
         .infer = infer_norm<P>,
         .kernels = {{.name = "vector", .run = norm_vector<P>, .accepts = norm::all_floats},
                     {.name = "reference", .run = run_norm<P>}},
         .grad = grads::norm_gradient,
         .grad_reads = grads::reads_norm});
  r.add({.name = back,
         .doc = back_doc,
         .mge = {back},
         .params = &P::kSchema,
         .min_inputs = 4,
         .max_inputs = 5,
         .outputs = outputs_backward<P>,
         .infer = infer_backward<P>,
         .kernels = {{.name = "vector", .run = backward_vector<P>, .accepts = norm::all_floats},
                     {.name = "reference", .run = run_backward<P>}},

         .grad = std::is_same_v<P, param::LayerNorm> ? grad_backward : nullptr});
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_general_norm) {
  add_norm<param::LayerNorm>(r, "LayerNorm", "Normalization over the last axes.", "LayerNormBackward",
                             "Gradients of LayerNorm: of the input, of weight and of bias.");
  add_norm<param::GeneralNorm>(r, "GeneralNorm", "Normalization over the axes [axis_start, axis_end).",
                               "GeneralNormBackward", "Gradients of GeneralNorm: of the input, of weight and of bias.");
}
