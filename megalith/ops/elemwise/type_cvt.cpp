// TypeCvt: every element as another type. Limited by memory bandwidth.
#include "megalith/ops/elemwise/lowbit.h"
#include "megalith/ops/elemwise/real.h"
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

void lowbit(const KernelArgs& a) {
  const Tensor in = elemwise::widened(a.in[0]);
  const DType to = a.out[0].dtype();
  if (!to.is_lowbit()) return convert(in, a.out[0], a.exec);
  const Tensor wide = Tensor::empty(elemwise::widened_dtype(to), a.out[0].shape());
  convert(in, wide, a.exec);
  elemwise::narrow(wide, a.out[0]);
}

bool vector_accepts(const KernelQuery& q) {
  const DType from = q.in[0].dtype, to = q.out[0].dtype;
  return from != to && elemwise::is_real(from) && elemwise::is_real(to);
}

void vector(const KernelArgs& a) {
  const Tensor& out = a.out[0];
  if (!elemwise::together(a.in[0], out)) {
    const Tensor in = a.in[0].to_contiguous();
    if (out.contiguous()) {
      Tensor to = out;
      return vector({a.attrs, {&in, 1}, {&to, 1}, a.exec});
    }
    Tensor to = Tensor::empty(out.dtype(), out.shape());
    vector({a.attrs, {&in, 1}, {&to, 1}, a.exec});
    return copy_strided(to, out, a.exec);
  }
  if (integral(a.in[0].dtype()) && integral(out.dtype())) {
    elemwise::for_blocks(out, a.exec, [&](int64_t at, int64_t n) {
      int32_t buffer[elemwise::kRealBlock];
      const auto place = [&](const Tensor& t) { return t.data<std::byte>() + at * (t.dtype().bits() / 8); };
      convert::from_whole(a.in[0].dtype(), place(a.in[0]), buffer, n);
      convert::to_whole(out.dtype(), buffer, place(out), n);
    });
    return;
  }
  elemwise::for_blocks(out, a.exec, [&](int64_t at, int64_t n) {
    float buffer[elemwise::kRealBlock];
    if (out.dtype().id == DTypeEnum::Float32)
      elemwise::load_block(a.in[0], at, n, out.data<float>() + at);
    else
      elemwise::store_block(out, at, n, elemwise::load_block(a.in[0], at, n, buffer));
  });
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
         .kernels = {{.name = "vector",
                      .run = vector,
                      .accepts = vector_accepts,
                      .strided = true,
                      .inplace = true,
                      .order = Order::kLikeInput},
                     unless_trimmed(Kernel{.name = "reference",
                                           .run = reference,
                                           .accepts = no_lowbit,
                                           .strided = true,
                                           .inplace = true,
                                           .order = Order::kLikeInput}),
                     unless_trimmed(Kernel{.name = "lowbit", .run = lowbit})},
         .grad = grad,
         .grad_reads = grads::reads_nothing,
         .exact = true});
}
