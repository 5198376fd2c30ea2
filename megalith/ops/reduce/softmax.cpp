// Softmax along one axis, and its gradient.
#include "megalith/kernels/reduce.h"
#include "megalith/kernels/rows.h"
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

// ---- With vectors: along lines that lie together, else over columns.

using reduce::Join;

bool vector_accepts(const KernelQuery& q) {
  const Shape& s = q.out[0].shape;
  const int at = q.attrs.param<param::Softmax>().axis;
  return q.in[0].dtype.id == DTypeEnum::Float32 && s[at < 0 ? at + s.ndim() : at] <= reduce::kBlock;
}

// A line, or up to kColumns neighbouring ones that step through memory together.
struct Lines {
  int64_t at, n, step, width;

  // to[k] for each line.
  void join(Join join, const float* x, float* to, const float* other = nullptr) const {
    if (step == 1)
      *to = reduce::row(join, x + at, n, other ? other + at : nullptr);
    else
      reduce::columns(join, x + at, step, n, width, to, other ? other + at : nullptr);
  }
  // y = f(the tensors element by element, one value for each line as operand `value`).
  template <size_t kTensors>
  void map(rows::Fn fn, const float* const (&tensors)[kTensors], const float* values, float* y) const {
    float repeated[rows::kRepeat];
    const float* in[kTensors + 1];
    int64_t steps[kTensors + 1];
    std::fill_n(steps, kTensors + 1, 1);
    in[kTensors] = values;
    if (step == 1) {
      std::fill_n(repeated, rows::kRepeat, *values);
      in[kTensors] = repeated;
      steps[kTensors] = 0;
    }
    const int64_t length = step == 1 ? n : width, count = step == 1 ? 1 : n;
    for (int64_t i = 0; i < count; ++i) {
      for (size_t k = 0; k < kTensors; ++k) in[k] = tensors[k] + at + i * step;
      fn(in, steps, y + at + i * step, length);
    }
  }
};

template <class Fn>
void for_many_lines(const KernelArgs& a, Fn&& fn) {
  const Shape& s = a.out[0].shape();
  const int given = a.param<param::Softmax>().axis, axis = given < 0 ? given + s.ndim() : given;
  const int64_t n = s[axis], inner = s.count(axis + 1, s.ndim());
  const int64_t width = std::min(inner, reduce::kColumns), chunks = (inner + width - 1) / std::max<int64_t>(1, width);
  if (s.count() == 0) return;
  a.exec.parallel_for(s.count(0, axis) * chunks, std::max<int64_t>(1, 4096 / (n * width)),
                      [&](int64_t begin, int64_t end) {
                        for (int64_t i = begin; i < end; ++i) {
                          const int64_t from = i % chunks * width;
                          fn(Lines{i / chunks * n * inner + from, n, inner, std::min(width, inner - from)});
                        }
                      });
}

void vector(const KernelArgs& a) {
  const float* x = a.in[0].data<float>();
  float* y = a.out[0].data<float>();
  const rows::Fn exp = rows::exp_minus(), divide = rows::find(param::ElemwiseMode::TRUE_DIV);
  for_many_lines(a, [&](const Lines& l) {
    if (l.step == 1 && l.n <= reduce::kShort) return reduce::short_softmax(x + l.at, y + l.at, l.n);
    float top[reduce::kColumns], sum[reduce::kColumns];
    l.join(Join::kMax, x, top);
    l.map(exp, {x}, top, y);
    l.join(Join::kSum, y, sum);
    l.map(divide, {y}, sum, y);
  });
}

void backward_vector(const KernelArgs& a) {
  const float *y = a.in[0].data<float>(), *dy = a.in[1].data<float>();
  float* dx = a.out[0].data<float>();
  for_many_lines(a, [&](const Lines& l) {
    float sum[reduce::kColumns];
    l.join(Join::kDots, y, sum, dy);
    l.map(rows::times_minus(), {y, dy}, sum, dx);
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
         .kernels = {{.name = "vector", .run = vector, .accepts = vector_accepts},
                     unless_trimmed(Kernel{.name = "reference", .run = reference})},
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
         .kernels = {{.name = "vector", .run = backward_vector, .accepts = vector_accepts},
                     unless_trimmed(Kernel{.name = "reference", .run = backward_reference})},
         .grad = unless_trimmed(grad_backward),
         .flops = flops});
}
