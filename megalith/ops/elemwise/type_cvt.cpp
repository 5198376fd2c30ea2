// TypeCvt: every element as another type. Limited by memory bandwidth.
#include "megalith/ops/elemwise/rows.h"
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

bool integral(DType d) { return d.is_int() || d.id == DTypeEnum::Bool || d.id == DTypeEnum::Byte; }

void infer(InferContext& c) {
  const DType to = c.param<param::TypeCvt>().dtype;
  c.require(!to.is_quantized() || (std::isfinite(to.scale) && to.scale > 0), "bad scale in ", to.str());
  c.require(to.id != DTypeEnum::Complex64 && c.dtype(0).id != DTypeEnum::Complex64, "no conversion from ",
            c.dtype(0).str(), " to ", to.str());
  c.set(0, to, c.shape(0));
}

// Integers stay integers (an int32 above 2^24 is no float); everything else goes through real float values.
void convert(const Tensor& in, const Tensor& out, Exec& exec) {
  if (in.dtype() == out.dtype()) return copy_strided(in, out);
  if (integral(in.dtype()) && integral(out.dtype())) {
    elemwise::apply<int64_t>({&in, 1}, out, exec, [](int64_t x) { return x; });
  } else {
    elemwise::apply<float>({&in, 1}, out, exec, [](float x) { return x; });
  }
}

bool no_lowbit(const KernelQuery& q) { return !q.in[0].dtype.is_lowbit() && !q.out[0].dtype.is_lowbit(); }

void reference(const KernelArgs& a) { convert(a.in[0], a.out[0], a.exec); }

// The 8-bit type with the same meaning as a type packed below a byte.
DType widened(DType d) {
  if (!d.is_lowbit()) return d;
  if (!d.is_quantized()) return d.id == DTypeEnum::UintB4 ? DTypeEnum::Uint8 : DTypeEnum::Int8;
  return d.is_asymmetric() ? DType(DTypeEnum::Quantized8Asymm, d.scale, d.zero_point)
                           : DType(DTypeEnum::QuantizedS8, d.scale);
}

void lowbit(const KernelArgs& a) {
  Tensor in = a.in[0];
  if (in.dtype().is_lowbit()) in = unpack_lowbit(in).with_dtype(widened(in.dtype()));
  const DType to = a.out[0].dtype();
  if (!to.is_lowbit()) return convert(in, a.out[0], a.exec);
  Tensor wide = Tensor::empty(widened(to), a.out[0].shape());
  convert(in, wide, a.exec);
  const bool is_unsigned = to.is_asymmetric() || to.id == DTypeEnum::UintB4;
  const int values = 1 << to.bits(), lo = is_unsigned ? 0 : -values / 2, hi = lo + values - 1;
  if (is_unsigned) {
    for (uint8_t& v : wide.span<uint8_t>()) v = static_cast<uint8_t>(std::min<int>(v, hi));
  } else {
    for (int8_t& v : wide.span<int8_t>()) v = static_cast<int8_t>(std::clamp<int>(v, lo, hi));
  }
  const Tensor plain = wide.with_dtype(is_unsigned ? DTypeEnum::Uint8 : DTypeEnum::Int8);
  const Tensor packed = pack_lowbit(plain, to);
  std::memcpy(a.out[0].data<std::byte>(), packed.data<std::byte>(), a.out[0].bytes());
}

std::vector<Var> grad(const GradContext& c) {
  const DType from = c.dtype(0);
  if (!from.is_float() || !c.attrs.param<param::TypeCvt>().dtype.is_float()) return {Var()};
  return {emit1("TypeCvt", param::TypeCvt{.dtype = from}, {c.dout[0]})};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(elemwise_type_cvt) {
  r.add({.name = "TypeCvt",
         .doc = "The input converted to another element type; quantized types round to nearest and saturate.",
         .mge = {"TypeCvtV2"},
         .params = &param::TypeCvt::kSchema,
         .infer = infer,
         .kernels = {{.name = "reference", .run = reference, .accepts = no_lowbit, .strided = true, .inplace = true},
                     {.name = "lowbit", .run = lowbit}},
         .grad = grad,
         .grad_reads = grads::reads_nothing,
         .exact = true});
}
