// PowC: a constant power of each element.
#include "megalith/ops/elemwise/rows.h"
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

void infer(InferContext& c) {
  c.require(c.dtype(0).is_float(), "needs a float input, not ", c.dtype(0).str());
  infer_same_as_input(c);
}

void reference(const KernelArgs& a) {
  const float e = a.param<param::PowC>().exp;
  const auto run = [&](auto f) { elemwise::apply<float>(a.in, a.out[0], a.exec, f); };
  if (e == 0) return run([](float) { return 1.f; });
  if (e == 1) return run([](float x) { return x; });
  if (e == 2) return run([](float x) { return x * x; });
  if (e == 3) return run([](float x) { return x * x * x; });
  if (e == -1) return run([](float x) { return 1.f / x; });
  if (e == -2) return run([](float x) { return 1.f / (x * x); });
  if (e == 0.5f) return run([](float x) { return std::sqrt(x); });
  run([e](float x) { return std::pow(x, e); });
}

std::vector<Var> grad(const GradContext& c) {
  const float e = c.attrs.param<param::PowC>().exp;
  if (e == 0) return {Var()};
  const Var d = grads::mul(c.dout[0], grads::constant(e, c.dtype(0)));
  if (e == 1) return {d};
  return {grads::mul(d, e == 2 ? c.in[0] : emit1("PowC", param::PowC{.exp = e - 1}, {c.in[0]}))};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(elemwise_powc) {
  r.add({.name = "PowC",
         .doc = "A constant power of each element.",
         .mge = {"PowC"},
         .params = &param::PowC::kSchema,
         .infer = infer,
         .kernels =
             {{.name = "reference", .run = reference, .strided = true, .inplace = true, .order = Order::kLikeInput}},
         .grad = grad,
         .grad_reads = [](const Attrs&, const std::vector<bool>&) { return GradReads{1, 0}; }});
}
