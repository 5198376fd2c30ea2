// Tensors made from a shape or a few numbers, and values filled in or around: Linspace, Eye, Alloc, MaskedFill,
// Padding.
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

Shape wanted_shape(const InferContext& c, int64_t limit) {
  const std::vector<int64_t> v = c.ints(0, limit);
  c.require(!v.empty(), "the shape is empty");
  int64_t total = 1;
  for (const int64_t d : v)
    c.require(d >= 0 && !__builtin_mul_overflow(total, d, &total) && total < int64_t{1} << 40, "dimension ", d,
              " makes no sense");
  return Shape(std::span<const int64_t>(v));
}

void infer_linspace(InferContext& c) {
  c.require(c.shape(0).count() == 1 && c.shape(1).count() == 1, "start and stop must be single numbers");
  const std::vector<int64_t> n = c.ints(2, 1);
  c.require(n.size() == 1 && n[0] >= 0 && n[0] < int64_t{1} << 40, "the number of steps makes no sense");
  c.set(0, DTypeEnum::Float32, {n[0]});  // whatever output type the file asks for, as in MegEngine
}

void linspace_reference(const KernelArgs& a) {
  const double start = a.in[0].item(), stop = a.in[1].item();
  const int64_t n = a.out[0].count(), parts = a.param<param::Linspace>().endpoint ? n - 1 : n;
  const double step = parts > 0 ? (stop - start) / static_cast<double>(parts) : 0;
  for (int64_t i = 0; i < n; ++i) a.out[0].data<float>()[i] = static_cast<float>(start + static_cast<double>(i) * step);
}

void infer_eye(InferContext& c) {
  Shape s = wanted_shape(c, 2);
  if (s.ndim() == 1) s.push_back(s[0]);
  const DType t = c.param<param::Eye>().dtype;
  c.require(t.is_float() || t.is_int() || t.id == DTypeEnum::Bool, "no Eye of ", t.str());
  c.set(0, t, s);
}

void eye_reference(const KernelArgs& a) {
  std::memset(a.out[0].data<char>(), 0, a.out[0].bytes());
  const int64_t k = a.param<param::Eye>().k, m = a.out[0].dim(0), n = a.out[0].dim(1);
  dispatch_storage(a.out[0].dtype(), [&](auto t) {
    using T = decltype(t);
    for (int64_t i = std::max<int64_t>(0, -k); i < m && i + k < n; ++i)
      a.out[0].data<T>()[i * n + i + k] = static_cast<T>(1.0f);
  });
}

void infer_alloc(InferContext& c) { c.set(0, c.param<param::Alloc>().dtype, wanted_shape(c, kMaxDims)); }
void alloc_reference(const KernelArgs& a) { std::memset(a.out[0].data<char>(), 0, a.out[0].bytes()); }

void infer_masked_fill(InferContext& c) {
  const Shape &s = c.shape(0), &m = c.shape(1);
  bool fits = m.ndim() <= s.ndim();
  for (int i = 0; fits && i < m.ndim(); ++i) fits = m[i] == s[i];
  c.require(fits, "mask ", m, " does not fit data ", s);
  c.require(c.dtype(1).id == DTypeEnum::Bool, "the mask must be Bool, but is ", c.dtype(1).str());
  c.require(!c.dtype(0).is_lowbit(), "no MaskedFill of ", c.dtype(0).str());
  c.set(0, c.dtype(0), s);
}

// A parameter as an element; integers are cut off and wrap around.
template <class T>
T element(DType dtype, float v) {
  if (dtype.id == DTypeEnum::Bool) return static_cast<T>(v != 0 ? 1.f : 0.f);
  if constexpr (!std::is_integral_v<T>)
    return static_cast<T>(v);
  else if (!(v == v))
    return T{0};
  else
    return static_cast<T>(static_cast<int32_t>(std::clamp(v, -2147483648.f, 2147483520.f)));
}

void masked_fill_reference(const KernelArgs& a) {
  const int64_t n = a.in[1].count(), inner = n > 0 ? a.in[0].count() / n : 0;
  dispatch_storage(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    const T fill = element<T>(a.out[0].dtype(), a.param<param::Fill>().value);
    for (int64_t i = 0; i < n * inner; ++i) {
      a.out[0].data<T>()[i] = a.in[1].data<uint8_t>()[i / inner] ? fill : a.in[0].data<T>()[i];
    }
  });
}

int64_t front(const param::Padding& p, int d) { return (&p.front_offset_dim0)[d]; }
int64_t back(const param::Padding& p, int d) { return (&p.back_offset_dim0)[d]; }

void infer_padding(InferContext& c) {
  const param::Padding& p = c.param<param::Padding>();
  Shape s = c.shape(0);
  c.require(!c.dtype(0).is_lowbit(), "no Padding of ", c.dtype(0).str());
  c.require(p.padding_mode <= param::PaddingMode::CONSTANT, "unknown mode ", static_cast<uint32_t>(p.padding_mode));
  int64_t total = 1;
  for (int d = 0; d < s.ndim(); ++d) {
    if (p.padding_mode == param::PaddingMode::REFLECT)
      c.require(std::max(front(p, d), back(p, d)) < std::max<int64_t>(s[d], 1), "axis ", d, " of ", s,
                " is too short to reflect");
    if (p.padding_mode == param::PaddingMode::REPLICATE)
      c.require(s[d] > 0, "axis ", d, " of ", s, " has nothing to repeat");
    s[d] += front(p, d) + back(p, d);
    c.require(!__builtin_mul_overflow(total, s[d], &total) && total < int64_t{1} << 40, "the padded shape ", s,
              " is too large");
  }
  c.set(0, c.dtype(0), s);
}

// The input element under an output index; -1 in constant padding.
int64_t padding_source(const param::Padding& p, const Layout& in, const Shape& at) {
  int64_t from = 0;
  for (int d = 0; d < at.ndim(); ++d) {
    const int64_t n = in.shape[d];
    int64_t i = at[d] - front(p, d);
    if (i < 0 || i >= n) {
      if (p.padding_mode == param::PaddingMode::CONSTANT) return -1;
      if (p.padding_mode == param::PaddingMode::REPLICATE)
        i = i < 0 ? 0 : n - 1;
      else
        i = i < 0 ? -i : 2 * n - 2 - i;
    }
    from += i * in.stride[d];
  }
  return from;
}

void padding_reference(const KernelArgs& a) {
  const param::Padding& p = a.param<param::Padding>();
  dispatch_storage(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    Odometer at(a.out[0].shape(), {});
    for (int64_t i = 0; i < a.out[0].count(); ++i, at.next()) {
      const int64_t from = padding_source(p, a.in[0].layout(), at.index());
      a.out[0].data<T>()[i] = from < 0 ? element<T>(a.out[0].dtype(), p.padding_val) : a.in[0].data<T>()[from];
    }
  });
}

// Row by row: what lies on the input is copied, the rest is filled in or taken from the row.
bool has_rows(const KernelQuery& q) { return q.in[0].shape.ndim() > 0; }
void padding_rows(const KernelArgs& a) {
  const param::Padding& p = a.param<param::Padding>();
  const Tensor &x = a.in[0], &y = a.out[0];
  const int last = y.ndim() - 1;
  const int64_t width = y.dim(last), n = x.dim(last), left = front(p, last),
                rows = y.count() / std::max<int64_t>(1, width);
  if (y.count() == 0) return;
  dispatch_storage(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T fill = element<T>(y.dtype(), p.padding_val);
    a.exec.parallel_for(rows, std::max<int64_t>(1, 16384 / width), [&](int64_t begin, int64_t end) {
      Shape at = y.shape();
      for (int64_t r = begin; r < end; ++r) {
        int64_t rest = r;
        for (int d = last; d-- > 0;) {
          at[d] = rest % y.dim(d);
          rest /= y.dim(d);
        }
        T* to = y.data<T>() + r * width;
        at[last] = left;
        const int64_t from = n > 0 ? padding_source(p, x.layout(), at) : -1;
        if (from < 0) {
          std::fill_n(to, width, fill);
          continue;
        }
        const T* row = x.data<T>() + from;
        std::memcpy(static_cast<void*>(to + left), row, static_cast<size_t>(n) * sizeof(T));
        const auto border = [&](int64_t i) {
          at[last] = i;
          const int64_t source = padding_source(p, x.layout(), at);
          to[i] = source < 0 ? fill : x.data<T>()[source];
        };
        for (int64_t i = 0; i < left; ++i) border(i);
        for (int64_t i = left + n; i < width; ++i) border(i);
      }
    });
  });
}

// Inputs: the gradient of the padded tensor, and the tensor that was padded.
void infer_padding_backward(InferContext& c) {
  const param::Padding& p = c.param<param::Padding>();
  const Shape &dy = c.shape(0), &x = c.shape(1);
  c.require(c.dtype(0).is_float() && c.dtype(0) == c.dtype(1), "no gradient of ", c.dtype(0).str(), " for ",
            c.dtype(1).str());
  c.require(p.padding_mode <= param::PaddingMode::CONSTANT, "unknown mode ", static_cast<uint32_t>(p.padding_mode));
  c.require(dy.ndim() == x.ndim(), "gradient ", dy, " does not fit data ", x);
  for (int d = 0; d < x.ndim(); ++d) {
    c.require(dy[d] == x[d] + front(p, d) + back(p, d), "gradient ", dy, " does not fit data ", x, " on axis ", d);
    if (p.padding_mode == param::PaddingMode::REFLECT)
      c.require(std::max(front(p, d), back(p, d)) < std::max<int64_t>(x[d], 1), "axis ", d, " of ", x,
                " is too short to reflect");
    if (p.padding_mode == param::PaddingMode::REPLICATE)
      c.require(x[d] > 0, "axis ", d, " of ", x, " has nothing to repeat");
  }
  c.set(0, c.dtype(0), x);
}

void padding_backward_reference(const KernelArgs& a) {
  const param::Padding& p = a.param<param::Padding>();
  std::vector<double> sum(static_cast<size_t>(a.out[0].count()));
  dispatch_float(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    const Layout to(a.out[0].layout());
    Odometer at(a.in[0].shape(), {});
    for (int64_t i = 0; i < a.in[0].count(); ++i, at.next()) {
      const int64_t k = padding_source(p, to, at.index());
      if (k >= 0) sum[static_cast<size_t>(k)] += static_cast<double>(static_cast<float>(a.in[0].data<T>()[i]));
    }
    for (size_t i = 0; i < sum.size(); ++i) a.out[0].data<T>()[i] = static_cast<T>(static_cast<float>(sum[i]));
  });
}

// start and stop are weighted by numbers that are evenly spaced themselves.
std::vector<Var> grad_linspace(const GradContext& c) {
  Attrs attrs = c.attrs;
  const DType type = attrs.output_dtype.value_or(DTypeEnum::Float32);
  std::vector<Var> r(3);
  for (size_t i = 0; i < 2; ++i) {
    if (!c.needs[i] || !type.is_float()) continue;
    const Var one = grads::constant(1, DTypeEnum::Float32), zero = grads::constant(0, DTypeEnum::Float32);
    const Var weights =
        emit(Registry::get().at("Linspace"), attrs, {i == 0 ? one : zero, i == 0 ? zero : one, c.in[2]})[0];
    Var d = emit1("Dot", {c.dout[0], weights});
    if (c.dtype(i).id != type.id) d = emit1("TypeCvt", param::TypeCvt{.dtype = c.dtype(i)}, {d});
    r[i] = emit1("Reshape", {d, grads::shape_of(c.in[i])});
  }
  return r;
}
GradReads reads_steps(const Attrs&, const std::vector<bool>&) { return {4, 0}; }

std::vector<Var> grad_masked_fill(const GradContext& c) {
  return {emit1("MaskedFill", param::Fill{.value = 0}, {c.dout[0], c.in[1]}), {}};
}
GradReads reads_mask(const Attrs&, const std::vector<bool>&) { return {2, 0}; }

std::vector<Var> grad_padding(const GradContext& c) {
  return {emit1("PaddingBackward", c.attrs.params, {c.dout[0], c.in[0]})};
}

std::vector<Var> grad_padding_backward(const GradContext& c) {
  param::Padding p = c.attrs.param<param::Padding>();
  p.padding_val = 0;
  return {emit1("Padding", p, {c.dout[0]}), {}};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_generate) {
  auto add = [&](const char* name, const char* doc, const ParamSchema* params, int inputs, void (*infer)(InferContext&),
                 void (*run)(const KernelArgs&), std::vector<Var> (*grad)(const GradContext&) = nullptr,
                 GradReads(*grad_reads)(const Attrs&, const std::vector<bool>&) = nullptr,
                 std::vector<Kernel> kernels = {}) {
    kernels.push_back({.name = "reference", .run = run});
    r.add({.name = name,
           .doc = doc,
           .mge = {name},
           .params = params,
           .min_inputs = inputs,
           .max_inputs = inputs,
           .infer = infer,
           .kernels = std::move(kernels),
           .grad = grad,
           .grad_reads = grad_reads,
           .exact = true});
  };
  using namespace megalith::param;
  add("Linspace", "Evenly spaced numbers from input 0 to input 1.", &Linspace::kSchema, 3, infer_linspace,
      linspace_reference, grad_linspace, reads_steps);
  add("Eye", "Ones on a diagonal of a matrix of zeros.", &Eye::kSchema, 1, infer_eye, eye_reference);
  add("Alloc", "A tensor of the shape that the input holds; its values are zero.", &Alloc::kSchema, 1, infer_alloc,
      alloc_reference);
  add("MaskedFill", "Input 0 with a number written where the mask is set.", &Fill::kSchema, 2, infer_masked_fill,
      masked_fill_reference, grad_masked_fill, reads_mask);
  add("Padding", "The input with borders added.", &Padding::kSchema, 1, infer_padding, padding_reference, grad_padding,
      grads::reads_nothing, {{.name = "rows", .run = padding_rows, .accepts = has_rows}});
  add("PaddingBackward", "The gradient of Padding: input 0 summed over the elements that repeat one of input 1.",
      &Padding::kSchema, 2, infer_padding_backward, padding_backward_reference, grad_padding_backward,
      grads::reads_nothing);
}
