// AdaptivePooling: Pooling whose window follows from the wanted output size (input 1).
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/pooling_geometry.h"

namespace megalith {
namespace {

// Stride and window that cover `in` with `out` steps.
pool::Window adaptive_window(const param::AdaptivePooling& p, const Shape& src, const Shape& dst) {
  const pool::Grid in = pool::make_grid(src, p.format), out = pool::make_grid(dst, p.format);
  const int64_t sh = in.h / out.h, sw = in.w / out.w;
  return {p.mode, in.h - (out.h - 1) * sh, in.w - (out.w - 1) * sw, 0, 0, sh, sw};
}

void infer_adaptive(InferContext& c) {
  const auto& p = c.param<param::AdaptivePooling>();
  pool::check_dtype(c);
  pool::check_mode(c, p.mode);
  const pool::Spatial s = pool::spatial_axes(c, p.format);
  const auto target = c.ints(1, kMaxDims);
  c.require(target.size() == 2, "target shape has ", target.size(), " values, expected 2");
  Shape out = c.shape(0);
  c.require(target[0] > 0 && target[0] <= out[s.h] && target[1] > 0 && target[1] <= out[s.w], "target shape ",
            target[0], "x", target[1], " does not lie within input ", c.shape(0));
  out[s.h] = target[0];
  out[s.w] = target[1];
  c.set(0, c.dtype(0), out);
}

void run_adaptive(const KernelArgs& a) {
  const auto& p = a.param<param::AdaptivePooling>();
  pool::forward(a, adaptive_window(p, a.in[0].shape(), a.out[0].shape()), p.format);
}

bool accepts_vector(const KernelQuery& q) {
  return pool::vector_accepts(q, q.attrs.param<param::AdaptivePooling>().format);
}

bool accepts_forward(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::AdaptivePooling>();
  return pool::forward_accepts(q, adaptive_window(p, q.in[0].shape, q.out[0].shape), p.format);
}

void run_adaptive_vector(const KernelArgs& a) {
  const auto& p = a.param<param::AdaptivePooling>();
  pool::forward_vector(a, adaptive_window(p, a.in[0].shape(), a.out[0].shape()), p.format);
}

void infer_backward(InferContext& c) {
  infer_adaptive(c);
  c.require(c.dtype(0).is_float() && c.dtype(2) == c.dtype(0) && c.dtype(3) == c.dtype(0),
            "inputs must have one float type");
  c.require(c.shape(2) == c.out[0].shape && c.shape(3) == c.out[0].shape, "result and gradient have shapes ",
            c.shape(2), " and ", c.shape(3), ", expected ", c.out[0].shape);
  c.set(0, c.dtype(0), c.shape(0));
}

void run_backward(const KernelArgs& a) {
  const auto& p = a.param<param::AdaptivePooling>();
  pool::backward(a, a.in[0], a.in[3], adaptive_window(p, a.in[0].shape(), a.in[3].shape()), p.format);
}

void run_backward_vector(const KernelArgs& a) {
  const auto& p = a.param<param::AdaptivePooling>();
  pool::backward_vector(a, a.in[0], a.in[3], adaptive_window(p, a.in[0].shape(), a.in[3].shape()), p.format);
}

std::vector<Var> grad_adaptive(const GradContext& c) {
  return {emit1("AdaptivePoolingBackward", c.attrs.params, {c.in[0], c.in[1], c.out[0], c.dout[0]}), {}};
}

// Averaging is linear: the gradient of its gradient is the op itself.
std::vector<Var> grad_backward(const GradContext& c) {
  if (c.attrs.param<param::AdaptivePooling>().mode == param::PoolingMode::MAX)
    grads::unsupported(c, "no gradient for mode MAX");
  return {{}, {}, {}, c.needs[3] ? emit1("AdaptivePooling", c.attrs.params, {c.dout[0], c.in[1]}) : Var()};
}

GradReads reads_adaptive(const Attrs& attrs, const std::vector<bool>&) {
  const bool max = attrs.param<param::AdaptivePooling>().mode == param::PoolingMode::MAX;
  return {max ? 3u : 2u, max ? 1u : 0u};
}
GradReads reads_backward(const Attrs&, const std::vector<bool>&) { return {2, 0}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_adaptive_pooling) {
  r.add({.name = "AdaptivePooling",
         .doc = "Pooling to the output size given by input 1.",
         .mge = {"AdaptivePoolingV1"},
         .params = &param::AdaptivePooling::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_adaptive,
         .kernels = {{.name = "vector",
                      .run = run_adaptive_vector,
                      .accepts = accepts_forward,
                      .strided = true,
                      .order = Order::kLikeInput},
                     {.name = "reference", .run = run_adaptive}},
         .grad = grad_adaptive,
         .grad_reads = reads_adaptive});
  r.add(
      {.name = "AdaptivePoolingBackward",
       .doc =
           "Gradient of AdaptivePooling: inputs are its source, the output size, its result and the result's gradient.",
       .mge = {"AdaptivePoolingBackwardV1"},
       .params = &param::AdaptivePooling::kSchema,
       .min_inputs = 4,
       .max_inputs = 4,
       .infer = infer_backward,
       .kernels = {{.name = "vector",
                    .run = run_backward_vector,
                    .accepts = accepts_vector,
                    .strided = true,
                    .order = Order::kLikeInput},
                   {.name = "reference", .run = run_backward}},
       .grad = grad_backward,
       .grad_reads = reads_backward});
}
