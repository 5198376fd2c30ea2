// LRN: every element divided by a power of the squares of its neighbours along the channels.
#include "megalith/ops/op_util.h"
#include "megalith/var.h"

namespace megalith {
namespace {

void infer_lrn(InferContext& c) {
  const auto& p = c.param<param::LRN>();
  c.require(c.shape(0).ndim() == 4, "input has shape ", c.shape(0), ", expected 4 dimensions");
  c.require(c.dtype(0).is_float(), "input has type ", c.dtype(0).name());
  c.require(p.n % 2 == 1, "n is ", p.n, ", expected an odd number");
  for (int i = 1; i < c.nin(); ++i)
    c.require(c.shape(i) == c.shape(0) && c.dtype(i) == c.dtype(0), "input ", i, " has shape ", c.shape(i),
              ", expected ", c.shape(0));
  c.set(0, c.dtype(0), c.shape(0));
}

void run_lrn(const KernelArgs& a) {
  const auto& p = a.param<param::LRN>();
  const Tensor& x = a.in[0];
  const int64_t C = x.dim(1), hw = x.dim(2) * x.dim(3), half_n = p.n / 2;
  dispatch_float(x.dtype(), [&](auto e) {
    using T = decltype(e);
    a.exec.parallel_for(x.dim(0) * C, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const int64_t c = k % C, first = std::max<int64_t>(c - half_n, 0), last = std::min(c + half_n, C - 1);
        const T* xp = x.data<T>() + (k - c) * hw;
        T* y = a.out[0].data<T>() + k * hw;
        for (int64_t i = 0; i < hw; ++i) {
          float sum = 0;
          for (int64_t s = first; s <= last; ++s)
            sum += static_cast<float>(xp[s * hw + i]) * static_cast<float>(xp[s * hw + i]);
          y[i] = T(static_cast<float>(xp[c * hw + i]) * std::pow(p.k + p.alpha * sum, -p.beta));
        }
      }
    });
  });
}

// Input, result, gradient of the result.
void run_backward(const KernelArgs& a) {
  const auto& p = a.param<param::LRN>();
  const Tensor& x = a.in[0];
  const int64_t C = x.dim(1), hw = x.dim(2) * x.dim(3), half_n = p.n / 2;
  dispatch_float(x.dtype(), [&](auto e) {
    using T = decltype(e);
    for (int64_t n = 0; n < x.dim(0); ++n) {
      const T *xp = x.data<T>() + n * C * hw, *dy = a.in[2].data<T>() + n * C * hw;
      T* dx = a.out[0].data<T>() + n * C * hw;
      std::fill(dx, dx + C * hw, T(0.f));
      for (int64_t i = 0; i < hw; ++i) {
        for (int64_t c = 0; c < C; ++c) {
          const int64_t first = std::max<int64_t>(c - half_n, 0), last = std::min(c + half_n, C - 1);
          float base = p.k;
          for (int64_t s = first; s <= last; ++s)
            base += p.alpha * static_cast<float>(xp[s * hw + i]) * static_cast<float>(xp[s * hw + i]);
          const float pow0 = std::pow(base, -p.beta), pow1 = std::pow(base, -p.beta - 1.f);
          for (int64_t s = first; s <= last; ++s) {
            float g = static_cast<float>(xp[c * hw + i]) * -p.beta * pow1 * 2.f * static_cast<float>(xp[s * hw + i]) *
                      p.alpha;
            if (s == c) g += pow0;
            T& to = dx[s * hw + i];
            to = T(static_cast<float>(to) + g * static_cast<float>(dy[c * hw + i]));
          }
        }
      }
    }
  });
}

std::vector<Var> grad_lrn(const GradContext& c) {
  return {emit1("LRNBackward", c.attrs.params, {c.in[0], c.out[0], c.dout[0]})};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_lrn) {
  r.add({.name = "LRN",
         .doc = "Local response normalization across channels.",
         .mge = {"LRN"},
         .params = &param::LRN::kSchema,
         .infer = infer_lrn,
         .kernels = {{.name = "reference", .run = run_lrn}},
         .grad = grad_lrn});
  r.add({.name = "LRNBackward",
         .doc = "Gradient of LRN: inputs are its source, its result and the gradient of the result.",
         .mge = {"LRNBackward"},
         .params = &param::LRN::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_lrn,
         .kernels = {{.name = "reference", .run = run_backward}}});
}
