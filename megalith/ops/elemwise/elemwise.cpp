// Elemwise: one function per element, with NumPy broadcasting. Limited by memory bandwidth except for transcendental
// modes.
#include "megalith/ops/elemwise/modes.h"
#include "megalith/ops/elemwise/rows.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using elemwise::Mode;

bool computes_in_float(DType d) { return d.is_float() || d.is_quantized(); }
const char* name_of(Mode m) { return enum_info<Mode>().name_of(static_cast<uint32_t>(m)); }

void infer(InferContext& c) {
  const Mode m = c.param<param::Elemwise>().mode;
  c.require(name_of(m) != nullptr, "unknown mode ", static_cast<uint32_t>(m));
  c.require(c.nin() == elemwise::arity(m), name_of(m), " takes ", elemwise::arity(m), " inputs, but has ", c.nin());
  for (int i = 1; i < c.nin(); ++i) {
    c.require(c.dtype(i).id == c.dtype(0).id, "inputs have different types: ", c.dtype(0).str(), " and ",
              c.dtype(i).str());
  }
  c.set(0, c.dtype(0), broadcast_shapes(c));
}

bool accepts(const KernelQuery& q) {
  const Mode m = q.attrs.param<param::Elemwise>().mode;
  const DType d = q.in[0].dtype;
  if (d.is_lowbit() || d.id == DTypeEnum::Complex64) return false;
  const auto ignore = [](auto) {};
  if (m == Mode::RMULH) return d.is_int();
  return computes_in_float(d) ? elemwise::with_mode<float>(m, ignore) : elemwise::with_mode<int64_t>(m, ignore);
}

void reference(const KernelArgs& a) {
  const Mode m = a.param<param::Elemwise>().mode;
  const DType d = a.in[0].dtype();
  if (m == Mode::RMULH) {
    // Unsigned values have one digit more than signed ones of the same width.
    const int bits = d.bits() + (d.id == DTypeEnum::Uint8 || d.id == DTypeEnum::Uint16 ? 1 : 0);
    elemwise::apply<int64_t>(a.in, a.out[0], a.exec,
                             [bits](int64_t x, int64_t y) { return elemwise::rounding_mulh(x, y, bits); });
  } else if (computes_in_float(d)) {
    elemwise::with_mode<float>(m, [&](auto f) { elemwise::apply<float>(a.in, a.out[0], a.exec, f); });
  } else {
    elemwise::with_mode<int64_t>(m, [&](auto f) { elemwise::apply<int64_t>(a.in, a.out[0], a.exec, f); });
  }
}

double flops(const KernelQuery& q) { return static_cast<double>(q.out[0].shape.count()); }

Var call(Mode m, const std::vector<Var>& in) { return emit1("Elemwise", param::Elemwise{.mode = m}, in); }

Var constant(float v) {
  Tensor t = Tensor::empty(DTypeEnum::Float32, {1});
  *t.data<float>() = v;
  return t;
}

// The gradient of a broadcast input: summed to its shape.
Var sum_like(const Var& d, const Var& like) {
  return emit1("Reduce", param::Reduce{.mode = param::ReduceMode::SUM}, {d, emit1("GetVarShape", {like})});
}

std::vector<Var> grad(const GradContext& c) {
  const Mode m = c.attrs.param<param::Elemwise>().mode;
  const Var &d = c.dout[0], &x = c.in[0], &out = c.out[0];
  const auto mul = [](const Var& a, const Var& b) { return call(Mode::MUL, {a, b}); };
  const auto binary = [&](const Var& dx, const Var& dy) -> std::vector<Var> {
    return {c.needs[0] ? sum_like(dx, x) : Var(), c.needs[1] ? sum_like(dy, c.in[1]) : Var()};
  };
  switch (m) {
    case Mode::RELU: return {call(Mode::SWITCH_GT0, {out, d})};
    case Mode::ABS: return {call(Mode::ABS_GRAD, {x, d})};
    case Mode::NEGATE: return {call(Mode::NEGATE, {d})};
    case Mode::EXP: return {mul(out, d)};
    case Mode::LOG: return {call(Mode::TRUE_DIV, {d, x})};
    case Mode::SIGMOID: return {call(Mode::SIGMOID_GRAD, {out, d})};
    case Mode::TANH: return {call(Mode::TANH_GRAD, {out, d})};
    case Mode::SIN: return {mul(d, call(Mode::COS, {x}))};
    case Mode::COS: return {mul(d, call(Mode::NEGATE, {call(Mode::SIN, {x})}))};
    case Mode::SQRT: return {call(Mode::TRUE_DIV, {mul(d, constant(0.5f)), out})};
    case Mode::SQUARE: return {mul(mul(d, constant(2)), x)};
    case Mode::SILU: return {call(Mode::SILU_GRAD, {x, d})};
    case Mode::GELU: return {call(Mode::GELU_GRAD, {x, d})};
    case Mode::H_SWISH: return {call(Mode::H_SWISH_GRAD, {x, d})};
    case Mode::HSIGMOID: return {call(Mode::HSIGMOID_GRAD, {x, d})};
    case Mode::RELU6: return {call(Mode::RELU6_GRAD, {x, d})};
    case Mode::SOFTPLUS: return {call(Mode::SOFTPLUS_GRAD, {x, d})};
    case Mode::FAST_TANH: return {call(Mode::FAST_TANH_GRAD, {x, d})};
    case Mode::EXPM1: return {mul(d, call(Mode::EXP, {x}))};
    case Mode::LOG1P: return {call(Mode::TRUE_DIV, {d, call(Mode::ADD, {x, constant(1)})})};
    case Mode::SINH: return {mul(d, call(Mode::COSH, {x}))};
    case Mode::COSH: return {mul(d, call(Mode::SINH, {x}))};
    case Mode::TAN: return {mul(d, call(Mode::ADD, {mul(out, out), constant(1)}))};
    case Mode::ASINH: return {call(Mode::ASINH_GRAD, {x, d})};
    case Mode::ACOSH: return {call(Mode::ACOSH_GRAD, {x, d})};
    case Mode::ATANH: return {call(Mode::ATANH_GRAD, {x, d})};
    case Mode::LOGSIGMOID: return {mul(d, call(Mode::SIGMOID, {call(Mode::NEGATE, {x})}))};
    case Mode::ERF:
      return {mul(mul(d, constant(1.1283791670955126f)), call(Mode::EXP, {call(Mode::NEGATE, {mul(x, x)})}))};
    case Mode::ERFC:
      return {mul(mul(d, constant(-1.1283791670955126f)), call(Mode::EXP, {call(Mode::NEGATE, {mul(x, x)})}))};
    case Mode::FLOOR:
    case Mode::CEIL:
    case Mode::ROUND:
    case Mode::SIGN:
    case Mode::LT:
    case Mode::LEQ:
    case Mode::EQ:
    case Mode::NEQ:
    case Mode::FLOOR_DIV: return std::vector<Var>(c.in.size());
    case Mode::POW: {
      const Var dx =
          c.needs[0] ? mul(mul(d, c.in[1]), call(Mode::POW, {x, call(Mode::SUB, {c.in[1], constant(1)})})) : Var();
      const Var dy = c.needs[1] ? mul(mul(d, out), call(Mode::LOG, {x})) : Var();
      return binary(dx, dy);
    }
    case Mode::SWITCH_GT0: return {Var(), c.needs[1] ? sum_like(call(Mode::SWITCH_GT0, {x, d}), c.in[1]) : Var()};
    case Mode::COND_LEQ_MOV:
    case Mode::COND_LT_MOV: return {Var(), Var(), c.needs[2] ? sum_like(call(m, {x, c.in[1], d}), c.in[2]) : Var()};
    case Mode::FUSE_MUL_ADD3: {
      std::vector<Var> g = binary(mul(d, c.in[1]), mul(d, x));
      g.push_back(c.needs[2] ? sum_like(d, c.in[2]) : Var());
      return g;
    }
    case Mode::PRELU: return binary(call(Mode::PRELU_GRAD, {x, d, c.in[1]}), mul(d, call(Mode::MIN, {x, constant(0)})));
    case Mode::ADD: return binary(d, d);
    case Mode::SUB: return binary(d, call(Mode::NEGATE, {d}));
    case Mode::MUL: return binary(mul(d, c.in[1]), mul(d, x));
    case Mode::TRUE_DIV: {
      const Var q = call(Mode::TRUE_DIV, {d, c.in[1]});
      return binary(q, call(Mode::NEGATE, {mul(q, out)}));
    }
    case Mode::MAX: return binary(call(Mode::COND_LEQ_MOV, {c.in[1], x, d}), call(Mode::COND_LT_MOV, {x, c.in[1], d}));
    case Mode::MIN: return binary(call(Mode::COND_LEQ_MOV, {x, c.in[1], d}), call(Mode::COND_LT_MOV, {c.in[1], x, d}));
    case Mode::FUSE_ADD_RELU: return binary(call(Mode::SWITCH_GT0, {out, d}), call(Mode::SWITCH_GT0, {out, d}));
    case Mode::FUSE_ADD_SIGMOID: return binary(call(Mode::SIGMOID_GRAD, {out, d}), call(Mode::SIGMOID_GRAD, {out, d}));
    case Mode::FUSE_ADD_TANH: return binary(call(Mode::TANH_GRAD, {out, d}), call(Mode::TANH_GRAD, {out, d}));
    default: throw UnsupportedError(cat("Elemwise: no gradient for mode ", name_of(m)));
  }
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(elemwise_elemwise) {
  r.add({.name = "Elemwise",
         .doc = "A function of each element, by mode, with broadcasting.",
         .mge = {"Elemwise"},
         .params = &param::Elemwise::kSchema,
         .max_inputs = 4,
         .infer = infer,
         .kernels = {{.name = "reference", .run = reference, .accepts = accepts, .strided = true, .inplace = true}},
         .grad = grad,
         .flops = flops});
}
