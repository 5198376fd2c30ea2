// Ops that walk one axis in order: Cumsum, Argmax and Argmin; and the check of several tensors for infinities and NaNs.
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

struct Line {
  int64_t outer, n, inner;
  Line(const Shape& s, int axis)
      : outer(s.count(0, axis < 0 ? axis + s.ndim() : axis)),
        n(s[axis < 0 ? axis + s.ndim() : axis]),
        inner(s.count((axis < 0 ? axis + s.ndim() : axis) + 1, s.ndim())) {}
  int64_t grain() const { return std::max<int64_t>(1, 8192 / std::max<int64_t>(1, n)); }
};

bool has_kernel(DType d) { return d.is_float() || d.is_int() || d.id == DTypeEnum::Bool; }

void infer_cumsum(InferContext& c) {
  c.require(has_kernel(c.dtype(0)), "no kernel for ", c.dtype(0).str());
  c.axis(c.param<param::Cumsum>().axis, c.shape(0).ndim());
  infer_same_as_input(c);
}

template <class T>
T add(T x, T y) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y));
  else
    return T(static_cast<float>(x) + static_cast<float>(y));
}

void cumsum_reference(const KernelArgs& a) {
  const auto& p = a.param<param::Cumsum>();
  const Line l(a.in[0].shape(), p.axis);
  dispatch_storage(a.in[0].dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.in[0].data<T>();
    T* y = a.out[0].data<T>();
    a.exec.parallel_for(l.outer * l.inner, l.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = i / l.inner * l.n * l.inner + i % l.inner;
        T sum = T(0);
        for (int64_t k = 0; k < l.n; ++k) {
          const int64_t e = at + (p.reverse ? l.n - 1 - k : k) * l.inner;
          const T next = add<T>(sum, x[e]);
          y[e] = p.exclusive ? sum : next;
          sum = next;
        }
      }
    });
  });
}

std::vector<Var> grad_cumsum(const GradContext& c) {
  param::Cumsum p = c.attrs.param<param::Cumsum>();
  p.reverse = !p.reverse;
  return {emit1("Cumsum", p, {c.dout[0]})};
}

void infer_arg(InferContext& c) {
  c.require(has_kernel(c.dtype(0)), "no kernel for ", c.dtype(0).str());
  Shape out = c.shape(0);
  const int axis = c.axis(c.param<param::Axis>().axis, out.ndim());
  c.require(out[axis] > 0, "axis ", axis, " of ", out, " is empty");
  out[axis] = 1;
  c.set(0, DTypeEnum::Int32, out);
}

// The first of equal elements wins, the last NaN before all; compared as float, as MegEngine does.
template <bool kMax>
void arg_reference(const KernelArgs& a) {
  const Line l(a.in[0].shape(), a.param<param::Axis>().axis);
  int32_t* out = a.out[0].data<int32_t>();
  dispatch_storage(a.in[0].dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.in[0].data<T>();
    a.exec.parallel_for(l.outer * l.inner, l.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* line = x + i / l.inner * l.n * l.inner + i % l.inner;
        constexpr float kLargest = std::numeric_limits<float>::max();
        float best = kMax ? -kLargest : kLargest;
        int64_t arg = 0;
        for (int64_t k = 0; k < l.n; ++k) {
          const float v = static_cast<float>(line[k * l.inner]);
          if (v != v || (kMax ? v > best : v < best)) {
            best = v;
            arg = k;
          }
        }
        out[i] = static_cast<int32_t>(arg);
      }
    });
  });
}

int check_outputs(const Attrs&, int n_inputs) { return n_inputs + 1; }

void infer_check(InferContext& c) {
  for (int i = 0; i < c.nin(); ++i) {
    c.require(c.dtype(i).is_float(), "input ", i, " is not float but ", c.dtype(i).str());
    c.set(i, c.dtype(i), c.shape(i));
  }
  c.set(c.nin(), DTypeEnum::Int32, {1});
}

// Finite values are scaled, others stay as they are; the last output is 1 when there were others.
void check_reference(const KernelArgs& a) {
  const float scale = a.param<param::CheckNonFinite>().scale;
  int32_t found = 0;
  for (size_t k = 0; k < a.in.size(); ++k) {
    dispatch_float(a.in[k].dtype(), [&](auto tag) {
      using T = decltype(tag);
      const T* x = a.in[k].data<T>();
      T* y = a.out[k].data<T>();
      for (int64_t i = 0, n = a.in[k].count(); i < n; ++i) {
        const float v = static_cast<float>(x[i]);
        found |= std::isfinite(v) ? 0 : 1;
        y[i] = std::isfinite(v) ? T(v * scale) : x[i];
      }
    });
  }
  *a.out[a.in.size()].data<int32_t>() = found;
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(reduce_scan) {
  r.add({.name = "Cumsum",
         .doc = "Running sums along an axis.",
         .mge = {"CumsumV1"},
         .params = &param::Cumsum::kSchema,
         .infer = infer_cumsum,
         .kernels = {{.name = "reference", .run = cumsum_reference}},
         .grad = grad_cumsum,
         .grad_reads = grads::reads_nothing});
  r.add({.name = "Argmax",
         .doc = "The index of the largest element along an axis.",
         .mge = {"Argmax"},
         .params = &param::Axis::kSchema,
         .infer = infer_arg,
         .kernels = {{.name = "reference", .run = arg_reference<true>}}});
  r.add({.name = "Argmin",
         .doc = "The index of the smallest element along an axis.",
         .mge = {"Argmin"},
         .params = &param::Axis::kSchema,
         .infer = infer_arg,
         .kernels = {{.name = "reference", .run = arg_reference<false>}}});
  r.add({.name = "CheckNonFinite",
         .doc = "The inputs scaled, and whether any of them holds an infinity or a NaN.",
         .mge = {"CheckNonFinite"},
         .params = &param::CheckNonFinite::kSchema,
         .max_inputs = -1,
         .outputs = check_outputs,
         .infer = infer_check,
         .kernels = {{.name = "reference", .run = check_reference}}});
}
