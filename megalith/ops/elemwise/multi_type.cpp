// ElemwiseMultiType: elementwise ops whose operands have different types: fixed-point, quantized, and comparisons to
// Bool.
#include <string_view>

#include "megalith/kernels/rows.h"
#include "megalith/ops/elemwise/lowbit.h"
#include "megalith/ops/elemwise/modes.h"
#include "megalith/ops/elemwise/real.h"
#include "megalith/ops/elemwise/rows.h"
#include "megalith/ops/elemwise/whole.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using Mode = param::ElemwiseMultiTypeMode;
using elemwise::apply;
using D = DTypeEnum;

const char* name_of(Mode m) { return enum_info<Mode>().name_of(static_cast<uint32_t>(m)); }

// The quantized modes and the comparisons are Elemwise modes: "QADD" is ADD on real values, "LT" is LT with a Bool
// result.
std::optional<elemwise::Mode> find_elemwise_mode(std::string_view name) {
  if (name[0] == 'Q') name.remove_prefix(1);
  for (const EnumValue& v : enum_info<elemwise::Mode>().values) {
    if (v.name == name) return static_cast<elemwise::Mode>(v.value);
  }
  return std::nullopt;
}

std::optional<elemwise::Mode> elemwise_mode(Mode m) {
  static const std::vector<std::optional<elemwise::Mode>> table = [] {
    std::vector<std::optional<elemwise::Mode>> t;
    for (const EnumValue& v : enum_info<Mode>().values) {
      t.resize(std::max(t.size(), size_t{v.value} + 1));
      t[v.value] = find_elemwise_mode(v.name);
    }
    return t;
  }();
  const auto i = static_cast<size_t>(m);
  return i < table.size() ? table[i] : std::nullopt;
}

bool is_comparison(Mode m) {
  return m == Mode::LT || m == Mode::LEQ || m == Mode::EQ || m == Mode::NEQ || m == Mode::ISNAN || m == Mode::ISINF;
}

// AffineInt stores no parameters: it is one of the modes.
Mode mode_of(const Attrs& a) {
  if (a.params.schema() == &param::Empty::kSchema) return Mode::FUSE_MUL_ADD3_IXxF32xF32xI8;
  return a.param<param::ElemwiseMultiType>().mode;
}

bool is_quantized_mode(Mode m) { return *name_of(m) == 'Q'; }

// The operand types of the other modes; `any_int` stands for every plain integer.
constexpr D any_int = D::Byte;
struct Signature {
  std::vector<D> in;
  D out;
};
Signature signature(Mode m) {
  switch (m) {
    case Mode::FUSE_MUL_ADD3_INT16x32x32x32: return {{D::Int16, D::Int32, D::Int32}, D::Int32};
    case Mode::FUSE_MUL_ADD3_IXxF32xF32xI8: return {{any_int, D::Float32, D::Float32}, D::Int8};
    case Mode::ROUND_SHR_SATURATE_IXxI8xI8: return {{any_int, D::Int8}, D::Int8};
    case Mode::FUSE_ADD_RMULH_ROUND_SHR_SATURATE_INT16x16x16x8:
      return {{D::Int16, D::Int16, D::Int16, D::Int8, D::Int8, D::Int8}, D::Int8};
    case Mode::FUSE_ADD_RMULH_ROUND_SHR_SATURATE_INT32x32x32x8:
      return {{D::Int32, D::Int32, D::Int32, D::Int8, D::Int8, D::Int8}, D::Int8};
    case Mode::ROUND_SHR_SATURATE_IXxI8xI16: return {{any_int, D::Int8}, D::Int16};
    case Mode::FUSE_MUL_ADD3_INT16xF32xF32xF32: return {{D::Int16, D::Float32, D::Float32}, D::Float32};
    case Mode::MUL_INT16xF32xF32: return {{D::Int16, D::Float32}, D::Float32};
    case Mode::FUSE_MUL_ADD3_UINT8xF32xF32xF32: return {{D::Uint8, D::Float32, D::Float32}, D::Float32};
    default: return {{}, D::Float32};
  }
}

void infer(InferContext& c) {
  const Mode m = mode_of(c.attrs);
  if (is_comparison(m)) {  // eager code compares small tensors: messages are made only when they are needed
    if (c.nin() != elemwise::arity(*elemwise_mode(m))) c.fail(name_of(m), " can't have ", c.nin(), " inputs");
    for (int i = 0; i < c.nin(); ++i) {
      const DType d = c.dtype(i);
      if (d.is_lowbit() || d.id == D::Complex64 || d.is_quantized()) {
        c.fail(name_of(m), ": input ", i, " can't be ", d.str());
      }
    }
    return c.set(0, D::Bool, broadcast_shapes(c, name_of(m)));
  }
  c.require(name_of(m) != nullptr, "unknown mode ", static_cast<uint32_t>(m));
  const auto plain = elemwise_mode(m);
  const Signature s = signature(m);
  const int arity = plain ? elemwise::arity(*plain) : static_cast<int>(s.in.size());
  c.require(c.nin() == arity, name_of(m), " takes ", arity, " inputs, but has ", c.nin());
  DType out = s.out;
  for (int i = 0; i < c.nin(); ++i) {
    const DType d = c.dtype(i);
    c.require((!d.is_lowbit() || d.is_quantized()) && d.id != D::Complex64, name_of(m), " has no kernel for ", d.str());
    if (!plain) {
      const D want = s.in[static_cast<size_t>(i)];
      c.require(want == any_int ? d.is_int() : d.id == want, name_of(m), ": input ", i, " can't be ", d.str());
    } else if (is_quantized_mode(m)) {
      c.require(d.is_quantized() && d.id == c.dtype(0).id, name_of(m), ": input ", i, " can't be ", d.str());
    } else {
      c.require(!d.is_quantized(), name_of(m), ": input ", i, " can't be ", d.str());
    }
  }
  if (plain && is_quantized_mode(m)) {
    c.require(c.attrs.output_dtype.has_value(), name_of(m), " needs an output type");
    out = *c.attrs.output_dtype;
    c.require(out.is_quantized() && std::isfinite(out.scale) && out.scale > 0, name_of(m), ": the output can't be ",
              out.str());
  } else if (plain) {
    out = D::Bool;
  }
  c.set(0, out, broadcast_shapes(c, name_of(m)));
}

template <class T>
int64_t saturate(int64_t x) {
  return std::clamp<int64_t>(x, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
}

// x / 2^k, rounded to nearest, ties away from zero.
int64_t rounding_shift(int64_t x, int64_t k) {
  k &= 31;
  const int64_t mask = (int64_t{1} << k) - 1;
  return (x >> k) + ((x & mask) > (mask >> 1) + (x < 0) ? 1 : 0);
}

template <class T>
int64_t add_rmulh_shift(int64_t x, int64_t y, int64_t factor, int64_t shift, int64_t lo, int64_t hi) {
  const int64_t high = elemwise::rounding_mulh(static_cast<T>(x + y), factor, static_cast<int>(sizeof(T)) * 8);
  return std::max(std::min(saturate<int8_t>(rounding_shift(high, shift)), hi), lo);
}

bool no_lowbit(const KernelQuery& q) {
  for (const TensorSpec& s : q.in) {
    if (s.dtype.is_lowbit()) return false;
  }
  return !q.out[0].dtype.is_lowbit();
}

void reference(const KernelArgs& a) {
  const Mode m = mode_of(a.attrs);
  if (const auto plain = elemwise_mode(m)) {
    const bool real = std::any_of(a.in.begin(), a.in.end(),
                                  [](const Tensor& t) { return t.dtype().is_float() || t.dtype().is_quantized(); });
    const bool known =
        real ? elemwise::with_mode<float>(*plain, [&](auto f) { apply<float>(a.in, a.out[0], a.exec, f); })
             : elemwise::with_mode<int64_t>(*plain, [&](auto f) { apply<int64_t>(a.in, a.out[0], a.exec, f); });
    if (!known) throw UnsupportedError(cat("ElemwiseMultiType: no kernel for mode ", name_of(m)));
    return;
  }
  const auto run = [&](auto zero, auto f) { apply<decltype(zero)>(a.in, a.out[0], a.exec, f); };
  const int64_t whole = 0;
  const float real = 0;
  switch (m) {
    case Mode::FUSE_MUL_ADD3_INT16x32x32x32:
      return run(whole, [](int64_t x, int64_t y, int64_t z) { return x * y + z; });
    case Mode::FUSE_MUL_ADD3_IXxF32xF32xI8:
      return run(real, [](float x, float k, float b) {
        const float v = std::nearbyint(k * x + b);
        return v >= -128.f ? (v <= 127.f ? v : 127.f) : -128.f;
      });
    case Mode::ROUND_SHR_SATURATE_IXxI8xI8:
      return run(whole, [](int64_t x, int64_t k) { return saturate<int8_t>(rounding_shift(x, k)); });
    case Mode::ROUND_SHR_SATURATE_IXxI8xI16:
      return run(whole, [](int64_t x, int64_t k) { return saturate<int16_t>(rounding_shift(x, k)); });
    case Mode::FUSE_ADD_RMULH_ROUND_SHR_SATURATE_INT16x16x16x8: return run(whole, add_rmulh_shift<int16_t>);
    case Mode::FUSE_ADD_RMULH_ROUND_SHR_SATURATE_INT32x32x32x8: return run(whole, add_rmulh_shift<int32_t>);
    case Mode::MUL_INT16xF32xF32: return run(real, [](float x, float y) { return x * y; });
    default: return run(real, [](float x, float y, float z) { return x * y + z; });
  }
}

// Quantized modes and comparisons, block by block as Float32 or as Int32.
bool in_reals(std::span<const TensorSpec> in) {
  return std::any_of(in.begin(), in.end(),
                     [](const TensorSpec& t) { return t.dtype.is_float() || t.dtype.is_quantized(); });
}

bool blocks_accept(const KernelQuery& q) {
  const auto plain = elemwise_mode(mode_of(q.attrs));
  if (!plain) return false;
  const auto all = [&](auto fn) {
    return fn(q.out[0].dtype) &&
           std::all_of(q.in.begin(), q.in.end(), [&](const TensorSpec& t) { return fn(t.dtype); });
  };
  return in_reals(q.in) ? rows::find(*plain) && all(elemwise::is_real)
                        : elemwise::find_whole(*plain) && all(convert::is_whole);
}

void blocks(const KernelArgs& a) {
  const elemwise::Mode m = *elemwise_mode(mode_of(a.attrs));
  if (std::any_of(a.in.begin(), a.in.end(),
                  [](const Tensor& t) { return t.dtype().is_float() || t.dtype().is_quantized(); }))
    elemwise::apply_blocks<float>(a.in, a.out[0], a.exec, rows::find(m));
  else
    elemwise::apply_blocks<int32_t>(a.in, a.out[0], a.exec, elemwise::find_whole(m));
}

void lowbit(const KernelArgs& a) {
  std::vector<Tensor> in;
  for (const Tensor& t : a.in) in.push_back(elemwise::widened(t));
  Tensor out = a.out[0];
  if (out.dtype().is_lowbit()) out = Tensor::empty(elemwise::widened_dtype(out.dtype()), out.shape());
  reference({a.attrs, in, {&out, 1}, a.exec});
  if (a.out[0].dtype().is_lowbit()) elemwise::narrow(out, a.out[0]);
}

double flops(const KernelQuery& q) { return static_cast<double>(q.out[0].shape.count()); }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(elemwise_multi_type) {
  r.add(
      {.name = "ElemwiseMultiType",
       .doc = "An elementwise function of operands of different types, by mode, with broadcasting.",
       .mge = {"ElemwiseMultiType"},
       .params = &param::ElemwiseMultiType::kSchema,
       .max_inputs = 6,
       .infer = infer,
       .kernels =
           {{.name = "blocks", .run = blocks, .accepts = blocks_accept, .strided = true, .order = Order::kLikeInput},
            {.name = "reference", .run = reference, .accepts = no_lowbit, .strided = true, .order = Order::kLikeInput},
            {.name = "lowbit", .run = lowbit}},
       .flops = flops});
  r.add({.name = "AffineInt",
         .doc = "round(x * k + b) as Int8, for integers x and real k and b.",
         .mge = {"AffineInt"},
         .params = &param::Empty::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer,
         .kernels = {{.name = "reference", .run = reference, .strided = true, .order = Order::kLikeInput}},
         .flops = flops});
}
