// Reduce: sum, sum of squares, product, minimum, maximum or mean along one axis, or down to a target shape.
//
// The reference adds in the order of MegEngine's naive kernel: a balanced tree over the axis, halves split at bl + (br
// - bl) / 2.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/reduce/reduce_vector.h"

namespace megalith {
namespace {

using Mode = param::ReduceMode;
using Type = param::ReduceDataType;

bool one_element(const Shape& s) {
  return std::all_of(s.begin(), s.end(), [](int64_t d) { return d == 1; });
}

// The target at the rank of the input. A target of one element reduces everything.
Shape padded_target(const Shape& in, const Shape& target) {
  Shape t;
  if (one_element(target)) {
    for (int i = 0; i < in.ndim(); ++i) t.push_back(1);
    return t;
  }
  for (int i = target.ndim(); i < in.ndim(); ++i) t.push_back(1);
  for (const int64_t d : target) t.push_back(d);
  return t;
}

DType output_type(const InferContext& c, Type t) {
  const DType in = c.dtype(0);
  switch (t) {
    case Type::DEFAULT: return in;
    case Type::FLOAT_O32xC32:
      c.require(!in.is_quantized(), "data_type=FLOAT_O32xC32 needs a plain input, not ", in.str());
      return DTypeEnum::Float32;
    case Type::FLOAT_O16xC32:
      c.require(!in.is_quantized(), "data_type=FLOAT_O16xC32 needs a plain input, not ", in.str());
      return DTypeEnum::Float16;
    case Type::FLOAT_IO16xC32:
      c.require(in.is_float(), "data_type=FLOAT_IO16xC32 needs a float input, not ", in.str());
      return DTypeEnum::Float16;
    case Type::QUINT_I8xO32:
      c.require(in.id == DTypeEnum::Quantized8Asymm, "data_type=QUINT_I8xO32 needs Quantized8Asymm, not ", in.str());
      return DType(DTypeEnum::QuantizedS32, in.scale);
    case Type::QINT_I8xO32:
      c.require(in.id == DTypeEnum::QuantizedS8, "data_type=QINT_I8xO32 needs QuantizedS8, not ", in.str());
      return DType(DTypeEnum::QuantizedS32, in.scale);
  }
  c.fail("unknown data_type ", static_cast<uint32_t>(t));
}

void infer(InferContext& c) {
  const auto& p = c.param<param::Reduce>();
  c.require(static_cast<uint32_t>(p.mode) <= static_cast<uint32_t>(Mode::MEAN), "unknown mode ",
            static_cast<uint32_t>(p.mode));
  const bool counts = c.dtype(0).id == DTypeEnum::Int32 && p.mode == Mode::PRODUCT;
  c.require(!kTrimmed || counts || p.mode == Mode::SUM || p.mode == Mode::MEAN || p.mode == Mode::MAX,
            "sums, means and maxima only", kLeftOut);
  c.require(!c.dtype(0).is_lowbit() && c.dtype(0).id != DTypeEnum::Complex64, "no kernel for ", c.dtype(0).str());
  if (c.dtype(0).is_quantized() && p.data_type == Type::DEFAULT) {
    c.require((p.mode != Mode::SUM_SQR && p.mode != Mode::PRODUCT) || c.dtype(0).id == DTypeEnum::QuantizedS32,
              "mode is not defined for ", c.dtype(0).str());
  }
  const DType dtype = output_type(c, p.data_type);
  const Shape& in = c.shape(0);
  Shape out = in;
  if (c.nin() == 1) {
    c.require(p.axis != INT32_MAX, "needs an axis or a target shape");
    if (in.ndim() == 0) {
      c.require(p.axis == 0 || p.axis == -1, "axis ", p.axis, " is out of range for a scalar");
    } else {
      out[c.axis(p.axis, in.ndim())] = 1;
    }
  } else {
    c.require(p.axis == INT32_MAX, "axis=", p.axis, " and a target shape exclude each other");
    const std::vector<int64_t> dims = c.ints(1, kMaxDims);
    out = Shape(std::span<const int64_t>(dims));
    for (const int64_t d : out) c.require(d >= 0, "target shape ", out, " has a negative dimension");
    c.require(one_element(out) || out.ndim() <= in.ndim(), "target shape ", out, " has more dimensions than the input ",
              in);
    const Shape t = padded_target(in, out);
    for (int i = 0; i < in.ndim(); ++i) {
      c.require(t[i] == in[i] || t[i] == 1, "can't reduce ", in, " to target shape ", out);
    }
  }
  if (in.count() == 0 && out.count() != 0) {
    c.require(p.mode != Mode::MIN && p.mode != Mode::MAX, "input ", in, " is empty");
    c.require(p.mode != Mode::MEAN || dtype.is_float(), "input ", in, " is empty");
  }
  c.set(0, dtype, out);
}

template <class T>
struct Arithmetic {
  // Sums of integers wrap around, without the undefined overflow of signed types.
  static T add(T x, T y) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y));
    else
      return T(static_cast<float>(x) + static_cast<float>(y));
  }
  static T mul(T x, T y) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<uint32_t>(x) * static_cast<uint32_t>(y));
    else
      return T(static_cast<float>(x) * static_cast<float>(y));
  }
  static T div(T x, int64_t n, bool round) {
    if constexpr (std::is_integral_v<T>) {
      if (round) return static_cast<T>(std::round(static_cast<double>(x) / static_cast<double>(n)));
      const T d = static_cast<T>(n);
      return d == 0 ? T{0} : static_cast<T>(x / d);
    } else {
      return T(static_cast<float>(x) / static_cast<float>(T(static_cast<float>(n))));
    }
  }
};

template <Mode M, class T>
T join(T x, T y) {
  if constexpr (M == Mode::PRODUCT)
    return Arithmetic<T>::mul(x, y);
  else if constexpr (M == Mode::MIN)
    return x < y || x != x ? x : y;  // NaN wins
  else if constexpr (M == Mode::MAX)
    return x > y || x != x ? x : y;
  else
    return Arithmetic<T>::add(x, y);
}

template <Mode M, class T>
T leaf(T x) {
  if constexpr (M == Mode::SUM_SQR)
    return Arithmetic<T>::mul(x, x);
  else
    return x;
}

// Runs of up to `block` elements are joined in order, and those as a balanced tree.
template <Mode M, class T>
T tree(const T* p, int64_t stride, int64_t n, int64_t block) {
  if (n > block) {
    const int64_t half_n = n / 2;
    return join<M>(tree<M>(p, stride, half_n, block), tree<M>(p + half_n * stride, stride, n - half_n, block));
  }
  T v = leaf<M>(*p);
  for (int64_t i = 1; i < n; ++i) v = join<M>(v, leaf<M>(p[i * stride]));
  return v;
}

// How one call reduces.
struct Style {
  int64_t block = 1;
  bool round = false;  // means of integers to the nearest instead of towards zero
};

// in (outer, n, inner) -> out (outer, inner)
template <Mode M, class T>
void reduce_axis(const T* in, T* out, int64_t outer, int64_t n, int64_t inner, Style style, Exec& exec) {
  exec.parallel_for(outer * inner, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, n)),
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) {
                        const T* p = in + i / inner * n * inner + i % inner;
                        T v = n == 0 ? T(M == Mode::PRODUCT ? 1 : 0) : tree<M>(p, inner, n, style.block);
                        if constexpr (M == Mode::MEAN) v = Arithmetic<T>::div(v, n, style.round);
                        out[i] = v;
                      }
                    });
}

template <class T>
void reduce_axis(Mode m, const Tensor& in, const Tensor& out, int64_t outer, int64_t n, int64_t inner, Style style,
                 Exec& exec) {
  const T* s = in.data<T>();
  T* d = out.data<T>();
  switch (m) {
    case Mode::SUM: return reduce_axis<Mode::SUM>(s, d, outer, n, inner, style, exec);
    case Mode::PRODUCT: return reduce_axis<Mode::PRODUCT>(s, d, outer, n, inner, style, exec);
#ifndef MEGALITH_TRIMMED
    case Mode::SUM_SQR: return reduce_axis<Mode::SUM_SQR>(s, d, outer, n, inner, style, exec);
    case Mode::MIN: return reduce_axis<Mode::MIN>(s, d, outer, n, inner, style, exec);
    case Mode::MAX: return reduce_axis<Mode::MAX>(s, d, outer, n, inner, style, exec);
    case Mode::MEAN: return reduce_axis<Mode::MEAN>(s, d, outer, n, inner, style, exec);
#else
    default: break;
#endif
  }
}

// The type in which MegEngine accumulates.
DType compute_type(const param::Reduce& p, DType in) {
  if (in.is_quantized() && (p.mode == Mode::SUM || p.mode == Mode::MEAN))
    return DType(DTypeEnum::QuantizedS32, in.scale);
  return p.data_type == Type::DEFAULT ? in : DType(DTypeEnum::Float32);
}

// fn(T{}) with the type of the elements.
template <class Fn>
void with_type(DType dtype, Fn&& fn) {
  if constexpr (kTrimmed)
    fn(int32_t{});
  else
    dispatch_storage(dtype, fn);
}

void reduce_in(const KernelArgs& a, int64_t block) {
  const auto& p = a.param<param::Reduce>();
  if (a.out[0].count() == 0) return;
  const Shape in = a.in[0].shape();
  const Shape target = padded_target(in, a.out[0].shape());
  Tensor t = converted(a.in[0], compute_type(p, a.in[0].dtype()), a.exec);
  // One pass for each run of neighbouring reduced axes.
  Mode m = p.mode;
  Shape shape = in;
  bool done = false;
  for (int i = 0; i < in.ndim();) {
    if (in[i] == target[i]) {
      ++i;
      continue;
    }
    int end = i;
    while (end < in.ndim() && (in[end] != target[end] || in[end] == 1)) ++end;
    Shape next = shape;
    for (int k = i; k < end; ++k) next[k] = 1;
    const Tensor r = Tensor::empty(t.dtype(), next);
    with_type(t.dtype(), [&](auto tag) {
      reduce_axis<decltype(tag)>(m, t, r, shape.count(0, i), shape.count(i, end), shape.count(end, shape.ndim()),
                                 Style{block, t.dtype().is_quantized()}, a.exec);
    });
    t = r;
    shape = next;
    done = true;
    if (m == Mode::SUM_SQR) m = Mode::SUM;
    i = end;
  }
  if (!done && m == Mode::SUM_SQR) {  // nothing to reduce: squares remain
    const Tensor r = Tensor::empty(t.dtype(), shape);
    with_type(t.dtype(), [&](auto tag) { reduce_axis<decltype(tag)>(m, t, r, shape.count(), 1, 1, Style{}, a.exec); });
    t = r;
  }
  copy_strided(converted(t, a.out[0].dtype(), a.exec).reshaped(a.out[0].shape()), a.out[0]);
}

void reference(const KernelArgs& a) { reduce_in(a, 1); }
// Trimmed builds reduce shapes with it.
bool built(const KernelQuery& q) {
  const Mode m = q.attrs.param<param::Reduce>().mode;
  return !kTrimmed || (q.in[0].dtype.id == DTypeEnum::Int32 && (m == Mode::SUM || m == Mode::PRODUCT));
}

// The order of MegEngine's CPU kernels for all types but Float32. It only shows where sums are rounded to 16 bits.
void in_order(const KernelArgs& a) { reduce_in(a, 4096); }
bool sums_of_16_bits(const KernelQuery& q) {
  return q.in[0].dtype.is_float() && q.in[0].dtype.bits() == 16 &&
         q.attrs.param<param::Reduce>().data_type == Type::DEFAULT;
}

bool vector_accepts(const KernelQuery& q) {
  return q.in[0].dtype.id == DTypeEnum::Float32 && q.out[0].dtype.id == DTypeEnum::Float32 && q.in[0].shape.count() > 0;
}

void vector(const KernelArgs& a) {
  const Tensor& x = a.in[0];
  Tensor out = a.out[0].contiguous() ? a.out[0] : Tensor::empty(DTypeEnum::Float32, a.out[0].shape());
  const Mode m = a.param<param::Reduce>().mode;
  const reduce::Join join = m == Mode::SUM_SQR   ? reduce::Join::kSquares
                            : m == Mode::PRODUCT ? reduce::Join::kProduct
                            : m == Mode::MIN     ? reduce::Join::kMin
                            : m == Mode::MAX     ? reduce::Join::kMax
                                                 : reduce::Join::kSum;
  float* y = out.data<float>();
  reduce::along(join, x, padded_target(x.shape(), out.shape()), y, a.exec);
  if (m == Mode::MEAN) {
    const auto n = static_cast<float>(x.count() / out.count());
    for (int64_t i = 0; i < out.count(); ++i) y[i] /= n;
  }
  if (!a.out[0].contiguous()) copy_strided(out, a.out[0]);
}

double flops(const KernelQuery& q) { return static_cast<double>(q.in[0].shape.count()); }

// Reducing nothing leaves the input as it is.
bool view(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  if (c.param<param::Reduce>().mode == Mode::SUM_SQR || c.out[0].dtype != c.dtype(0)) return false;
  if (!(c.out[0].shape == in[0].shape)) return false;
  out[0] = {0, in[0], 0};
  return true;
}

std::vector<Var> grad(const GradContext& c) {
  using namespace grads;
  const auto& p = c.attrs.param<param::Reduce>();
  const Var &x = c.in[0], &y = c.out[0];
  std::vector<Var> g(c.in.size());
  if (!c.needs[0]) return g;
  Var d = c.dout[0];
  if (p.data_type == Type::FLOAT_O32xC32 || p.data_type == Type::FLOAT_O16xC32)
    d = emit1("TypeCvt", param::TypeCvt{.dtype = c.dtype(0)}, {d});
  switch (p.mode) {
    case Mode::SUM: g[0] = broadcast_like(d, x); break;
#ifndef MEGALITH_TRIMMED
    case Mode::SUM_SQR: g[0] = mul(add(d, d), x); break;
    case Mode::PRODUCT: g[0] = div(mul(d, y), x); break;
    case Mode::MIN: g[0] = call(E::COND_LEQ_MOV, {x, y, d}); break;
#else
    default: break;
#endif
    case Mode::MAX: g[0] = call(E::COND_LEQ_MOV, {y, x, d}); break;
    case Mode::MEAN: {
      const bool plain = c.dtype(0).id == DTypeEnum::Float32;  // others can't hold large counts
      if (!plain) d = emit1("TypeCvt", param::TypeCvt{.dtype = DTypeEnum::Float32}, {d});
      d = div(d, count_ratio(x, y));
      if (!plain) d = emit1("TypeCvt", param::TypeCvt{.dtype = c.dtype(0)}, {d});
      g[0] = broadcast_like(d, x);
      break;
    }
  }
  return g;
}

GradReads grad_reads(const Attrs& attrs, const std::vector<bool>&) {
  switch (attrs.param<param::Reduce>().mode) {
    case Mode::SUM:
    case Mode::MEAN: return {0, 0};
    case Mode::SUM_SQR: return {1, 0};
    default: return {1, 1};
  }
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(reduce_reduce) {
  r.add({.name = "Reduce",
         .doc = "Sum, sum of squares, product, minimum, maximum or mean along an axis or down to a shape.",
         .mge = {"ReduceV2"},
         .params = &param::Reduce::kSchema,
         .max_inputs = 2,
         .infer = infer,
         .view = view,
         .kernels = {unless_trimmed(Kernel{.name = "in_order", .run = in_order, .accepts = sums_of_16_bits}),
                     {.name = "vector", .run = vector, .accepts = vector_accepts, .strided = true},
                     {.name = "reference", .run = reference, .accepts = kTrimmed ? built : nullptr}},
         .grad = grad,
         .grad_reads = grad_reads,
         .flops = flops});
}
