// Softmax along one axis, and its gradient.
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

void infer(InferContext& c) {
  c.require(c.dtype(0).is_float(), "needs a float input, not ", c.dtype(0).str());
  c.axis(c.param<param::Softmax>().axis, c.shape(0).ndim());
  infer_same_as_input(c);
}

void infer_backward(InferContext& c) {
  infer(c);
  c.require(c.dtype(1) == c.dtype(0) && c.shape(1) == c.shape(0), "output ", c.dtype(0).str(), c.shape(0),
            " and its gradient ", c.dtype(1).str(), c.shape(1), " differ");
}

// Calls fn(offset of the first element, length, stride) for each line along the axis.
template <class Fn>
void for_lines(const KernelArgs& a, Fn&& fn) {
  const Shape& s = a.out[0].shape();
  const int at = a.param<param::Softmax>().axis, axis = at < 0 ? at + s.ndim() : at;
  const int64_t n = s[axis], inner = s.count(axis + 1, s.ndim());
  if (s.count() == 0) return;
  a.exec.parallel_for(s.count(0, axis) * inner, std::max<int64_t>(1, 2048 / n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fn(i / inner * n * inner + i % inner, n, inner);
  });
}

void reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.in[0].data<T>();
    T* y = a.out[0].data<T>();
    for_lines(a, [&](int64_t at, int64_t n, int64_t stride) {
      float top = -INFINITY, sum = 0;
      for (int64_t k = 0; k < n; ++k) top = std::max(top, static_cast<float>(x[at + k * stride]));
      for (int64_t k = 0; k < n; ++k) sum += std::exp(static_cast<float>(x[at + k * stride]) - top);
      for (int64_t k = 0; k < n; ++k)
        y[at + k * stride] = T(std::exp(static_cast<float>(x[at + k * stride]) - top) / sum);
    });
  });
}

void backward_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T *y = a.in[0].data<T>(), *dy = a.in[1].data<T>();
    T* dx = a.out[0].data<T>();
    for_lines(a, [&](int64_t at, int64_t n, int64_t stride) {
      float sum = 0;
      for (int64_t k = 0; k < n; ++k)
        sum += static_cast<float>(y[at + k * stride]) * static_cast<float>(dy[at + k * stride]);
      for (int64_t k = 0; k < n; ++k) {
        const int64_t i = at + k * stride;
        dx[i] = T(static_cast<float>(y[i]) * (static_cast<float>(dy[i]) - sum));
      }
    });
  });
}

std::vector<Var> grad(const GradContext& c) {
  return {emit1("SoftmaxBackward", c.attrs.param<param::Softmax>(), {c.out[0], c.dout[0]})};
}

GradReads grad_reads(const Attrs&, const std::vector<bool>&) { return {0, 1}; }

// y (dy - sum(y dy)): the same linear map for dy as for the gradient of its result.
std::vector<Var> grad_backward(const GradContext& c) {
  using namespace grads;
  const auto& p = c.attrs.param<param::Softmax>();
  const Var &y = c.in[0], &dy = c.in[1], &d = c.dout[0];
  const auto sum = [&](const Var& a, const Var& b) {
    return emit1("Reduce", param::Reduce{.mode = param::ReduceMode::SUM, .axis = p.axis}, {mul(a, b)});
  };
  std::vector<Var> r(2);
  if (c.needs[0]) r[0] = sub(mul(d, sub(dy, sum(y, dy))), mul(dy, sum(y, d)));
  if (c.needs[1]) r[1] = emit1("SoftmaxBackward", p, {y, d});
  return r;
}

double flops(const KernelQuery& q) { return 4 * static_cast<double>(q.out[0].shape.count()); }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(reduce_softmax) {
  r.add({.name = "Softmax",
         .doc = "exp(x) divided by its sum along an axis.",
         .mge = {"Softmax", 2},
         .params = &param::Softmax::kSchema,
         .infer = infer,
         .kernels = {{.name = "reference", .run = reference}},
         .grad = grad,
         .grad_reads = grad_reads,
         .flops = flops});
  r.add({.name = "SoftmaxBackward",
         .doc = "The gradient of Softmax, from its output and the gradient of that.",
         .mge = {"SoftmaxBackward"},
         .params = &param::Softmax::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_backward,
         .kernels = {{.name = "reference", .run = backward_reference}},
         .grad = grad_backward,
         .flops = flops});
}
