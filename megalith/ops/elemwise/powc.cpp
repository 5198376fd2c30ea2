// PowC: a constant power of each element.
#include "megalith/kernels/rows.h"
#include "megalith/ops/elemwise/rows.h"
#include "megalith/ops/elemwise/walk.h"
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

// The exponents that are made of multiplications, divisions and roots.
bool vector_accepts(const KernelQuery& q) {
  const float e = q.attrs.param<param::PowC>().exp;
  return q.in[0].dtype.id == DTypeEnum::Float32 && (e == 2 || e == 3 || e == -1 || e == -2 || e == 0.5f || e == -0.5f);
}

void vector(const KernelArgs& a) {
  using E = param::ElemwiseMode;
  const float e = a.param<param::PowC>().exp;
  const rows::Fn square = rows::find(E::SQUARE), mul = rows::find(E::MUL), div = rows::find(E::TRUE_DIV),
                 sqrt = rows::find(E::SQRT);
  float one[rows::kRepeat];
  std::fill_n(one, rows::kRepeat, 1.f);
  const elemwise::Array in = elemwise::array_of(a.in[0]);
  elemwise::walk({&in, 1}, elemwise::array_of(a.out[0]), elemwise::kWalkBlock, a.exec, [&](const elemwise::Block& b) {
    float buffer[elemwise::kWalkBlock];
    const auto binary = [&](rows::Fn fn, const float* x, int64_t x_step, const float* y, int64_t y_step, float* to) {
      const float* args[] = {x, y};
      const int64_t steps[] = {x_step, y_step};
      fn(args, steps, to, b.n);
    };
    const auto unary = [&](rows::Fn fn, const float* x, int64_t step, float* to) { fn(&x, &step, to, b.n); };
    const float* x = b.in[0];
    const int64_t step = b.step[0];
    if (e == -1) return binary(div, one, 0, x, step, b.out);
    if (e == 2) return unary(square, x, step, b.out);
    if (e == 0.5f) return unary(sqrt, x, step, b.out);
    if (e == -0.5f) {
      unary(sqrt, x, step, buffer);
      binary(div, one, 0, buffer, 1, buffer);
      // Zeros of both signs have one power, and the root of -inf is none.
      for (int64_t i = 0; i < b.n; ++i)
        b.out[i] = x[i * step] == 0 ? INFINITY : x[i * step] == -INFINITY ? 0.f : buffer[i];
      return;
    }
    unary(square, x, step, buffer);
    if (e == 3) return binary(mul, buffer, 1, x, step, b.out);
    binary(div, one, 0, buffer, 1, b.out);
  });
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
  r.add(
      {.name = "PowC",
       .doc = "A constant power of each element.",
       .mge = {"PowC"},
       .params = &param::PowC::kSchema,
       .infer = infer,
       .kernels =
           {{.name = "vector",
             .run = vector,
             .accepts = vector_accepts,
             .strided = true,
             .inplace = true,
             .order = Order::kLikeInput},
            unless_trimmed(Kernel{
                .name = "reference", .run = reference, .strided = true, .inplace = true, .order = Order::kLikeInput})},
       .grad = grad,
       .grad_reads = [](const Attrs&, const std::vector<bool>&) { return GradReads{1, 0}; }});
}
