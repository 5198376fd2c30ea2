#include "megalith/ops/elemwise/gradient.h"

#include "megalith/ops/grad_util.h"

namespace megalith::elemwise {
namespace {

using namespace grads;

[[maybe_unused]] constexpr double kTwoOverRootPi = 1.1283791670955126, kRootTwoPi = 2.5066282746310002;

[[maybe_unused]] Var square(const Var& x) { return call(E::SQUARE, {x}); }

// The gradient with respect to operand i, before the sum over what was broadcast; undefined where it is zero. `shared`
// keeps what the gradients of several operands have in common.
Var partial(const GradContext& c, size_t i, Var& shared) {
  const E m = c.attrs.param<param::Elemwise>().mode;
  const Var &d = c.dout[0], &out = c.out[0], &x = c.in[0];
  const Var y = c.in.size() > 1 ? c.in[1] : Var();
  [[maybe_unused]] const auto number = [&](double v) { return constant(v, c.dtype(0)); };
  const auto once = [&](auto&& make) -> const Var& {
    if (!shared.defined()) shared = make();
    return shared;
  };
  switch (m) {
    case E::FLOOR:
    case E::CEIL:
    case E::ROUND:
    case E::SIGN:
    case E::NOT:
    case E::AND:
    case E::OR:
    case E::XOR:
    case E::LT:
    case E::LEQ:
    case E::EQ:
    case E::NEQ:
    case E::ISNAN:
    case E::ISINF:
    case E::FLOOR_DIV: return {};

    case E::RELU:
    case E::FUSE_ADD_RELU: return once([&] { return call(E::SWITCH_GT0, {out, d}); });
    case E::ABS: return call(E::ABS_GRAD, {x, d});
    case E::NEGATE: return neg(d);
    case E::EXP: return mul(out, d);
    case E::LOG: return div(d, x);
    case E::SIGMOID:
    case E::FUSE_ADD_SIGMOID: return once([&] { return call(E::SIGMOID_GRAD, {out, d}); });
    case E::TANH:
    case E::FUSE_ADD_TANH: return once([&] { return call(E::TANH_GRAD, {out, d}); });
    case E::SQRT: return div(d, add(out, out));
    case E::SQUARE: return mul(add(d, d), x);
    case E::ADD: return d;
    case E::SUB: return i == 0 ? d : neg(d);
    case E::MUL: return mul(d, c.in[1 - i]);
    case E::TRUE_DIV: {
      const Var q = once([&] { return div(d, y); });
      return i == 0 ? q : neg(mul(q, out));
    }
    case E::MAX: return i == 0 ? call(E::COND_LEQ_MOV, {y, x, d}) : call(E::COND_LT_MOV, {x, y, d});
    case E::MIN: return i == 0 ? call(E::COND_LEQ_MOV, {x, y, d}) : call(E::COND_LT_MOV, {y, x, d});
    case E::SWITCH_GT0: return i == 0 ? Var() : call(E::SWITCH_GT0, {x, d});
    case E::COND_LEQ_MOV:
    case E::COND_LT_MOV: return i < 2 ? Var() : call(m, {x, y, d});
    case E::FUSE_MUL_ADD3: return i == 2 ? d : mul(d, c.in[1 - i]);

#ifndef MEGALITH_TRIMMED
    case E::EXPM1: return mul(d, call(E::EXP, {x}));
    case E::LOG1P: return div(d, add(x, number(1)));
    case E::FAST_TANH: return call(E::FAST_TANH_GRAD, {x, d});
    case E::SIN: return mul(d, call(E::COS, {x}));
    case E::COS: return neg(mul(d, call(E::SIN, {x})));
    case E::TAN: return mul(d, add(square(out), number(1)));
    case E::ASIN: return div(d, call(E::COS, {out}));
    case E::ACOS: return neg(div(d, call(E::SIN, {out})));
    case E::SINH: return mul(d, call(E::COSH, {x}));
    case E::COSH: return mul(d, call(E::SINH, {x}));
    case E::ASINH: return call(E::ASINH_GRAD, {x, d});
    case E::ACOSH: return call(E::ACOSH_GRAD, {x, d});
    case E::ATANH: return call(E::ATANH_GRAD, {x, d});
    case E::SILU: return call(E::SILU_GRAD, {x, d});
    case E::GELU: return call(E::GELU_GRAD, {x, d});
    case E::H_SWISH: return call(E::H_SWISH_GRAD, {x, d});
    case E::FUSE_ADD_H_SWISH: return once([&] { return call(E::H_SWISH_GRAD, {add(x, y), d}); });
    case E::HSIGMOID: return call(E::HSIGMOID_GRAD, {x, d});
    case E::RELU6: return call(E::RELU6_GRAD, {x, d});
    case E::SOFTPLUS: return call(E::SOFTPLUS_GRAD, {x, d});
    case E::LOGSIGMOID: return call(E::SOFTPLUS_GRAD, {neg(x), d});
    case E::ERF: return mul(mul(d, number(kTwoOverRootPi)), call(E::EXP, {neg(square(x))}));
    case E::ERFC: return mul(mul(d, number(-kTwoOverRootPi)), call(E::EXP, {neg(square(x))}));
    case E::ERFINV: return mul(mul(d, number(1 / kTwoOverRootPi)), call(E::EXP, {square(out)}));
    case E::ERFCINV: return mul(mul(d, number(-1 / kTwoOverRootPi)), call(E::EXP, {square(out)}));

    case E::MOD: return i == 0 ? d : mul(d, div(sub(out, x), y));
    case E::POW:
      return i == 0 ? mul(mul(d, y), call(E::POW, {x, sub(y, number(1))})) : mul(mul(d, out), call(E::LOG, {x}));
    case E::ATAN2: {
      const Var q = mul(c.in[1 - i], once([&] { return div(d, add(square(x), square(y))); }));
      return i == 0 ? q : neg(q);
    }
    case E::LOG_SUM_EXP: return mul(d, call(E::SIGMOID, {sub(c.in[i], c.in[1 - i])}));
    case E::PRELU: return i == 0 ? call(E::PRELU_GRAD, {x, d, y}) : call(E::SWITCH_GT0, {neg(x), mul(d, x)});
    case E::CLIP:
      if (i == 0) return call(E::COND_LEQ_MOV, {y, x, call(E::COND_LEQ_MOV, {x, c.in[2], d})});
      return i == 1 ? call(E::COND_LEQ_MOV, {x, y, d}) : call(E::COND_LEQ_MOV, {c.in[2], x, d});
    case E::FUSE_MUL_ADD4: return mul(d, c.in[i ^ 1]);

    // The modes that gradients are made of, f'(x) * y: linear in y.
    case E::ABS_GRAD:
    case E::RELU6_GRAD:
    case E::HSIGMOID_GRAD: return i == 0 ? Var() : call(m, {x, d});
    case E::PRELU_GRAD:
      if (i == 0) return {};
      return i == 1 ? call(m, {x, d, c.in[2]}) : call(E::SWITCH_GT0, {neg(x), mul(d, y)});
#endif
    default: break;
  }
  const bool gradient_mode =
      !kTrimmed && (m == E::SIGMOID_GRAD || m == E::TANH_GRAD || m == E::FAST_TANH_GRAD || m == E::H_SWISH_GRAD ||
                    m == E::SILU_GRAD || m == E::GELU_GRAD || m == E::ASINH_GRAD || m == E::ACOSH_GRAD ||
                    m == E::ATANH_GRAD || m == E::SOFTPLUS_GRAD);
  if (!gradient_mode) unsupported(c, cat("no gradient for mode ", enum_info<E>().name_of(static_cast<uint32_t>(m))));
  if (i == 1) return call(m, {x, d});
  const Var dy = mul(d, y), dout = mul(d, out);
  switch (m) {
    case E::SIGMOID_GRAD: return mul(sub(number(1), add(x, x)), dy);
    case E::TANH_GRAD: return mul(mul(number(-2), x), dy);
    case E::FAST_TANH_GRAD: {
      const Var q = add(square(x), number(3));
      return mul(mul(dy, number(16.0 / 3)), div(mul(x, sub(number(1), div(number(12), q))), square(q)));
    }
    case E::H_SWISH_GRAD: return call(E::COND_LEQ_MOV, {call(E::ABS, {x}), number(3), mul(dy, number(1.0 / 3))});
    case E::SILU_GRAD: {
      const Var s = call(E::SIGMOID, {x});
      const Var slope = add(mul(x, sub(number(1), add(s, s))), number(2));
      return mul(call(E::SIGMOID_GRAD, {s, dy}), slope);
    }
    case E::GELU_GRAD: {
      const Var xx = square(x), density = call(E::EXP, {mul(xx, number(-0.5))});
      return mul(mul(dy, number(1 / kRootTwoPi)), mul(density, sub(number(2), xx)));
    }
    case E::ASINH_GRAD: return neg(div(mul(dout, x), add(square(x), number(1))));
    case E::ACOSH_GRAD: return neg(div(mul(dout, x), sub(square(x), number(1))));
    case E::ATANH_GRAD: return div(mul(dout, add(x, x)), sub(number(1), square(x)));
    default: return call(E::SIGMOID_GRAD, {call(E::SIGMOID, {x}), dy});  // SOFTPLUS_GRAD
  }
}

}  // namespace

std::vector<Var> gradient(const GradContext& c) {
  std::vector<Var> r(c.in.size());
  Var shared;
  for (size_t i = 0; i < r.size(); ++i) {
    if (!c.needs[i]) continue;
    const Var d = partial(c, i, shared);
    if (d.defined()) r[i] = r.size() > 1 ? sum_like(d, c.in[i]) : d;
  }
  return r;
}

GradReads gradient_reads(const Attrs& attrs, const std::vector<bool>& needs) {
  const auto needed = [&](size_t i) { return i < needs.size() && needs[i]; };
  constexpr uint32_t kX = 1, kY = 2, kZ = 4, kAll = ~0u;
  switch (attrs.param<param::Elemwise>().mode) {
    case E::NEGATE:
    case E::ADD:
    case E::SUB: return {0, 0};
    case E::RELU:
    case E::EXP:
    case E::SIGMOID:
    case E::TANH:
    case E::TAN:
    case E::ASIN:
    case E::ACOS:
    case E::SQRT:
    case E::ERFINV:
    case E::ERFCINV:
    case E::FUSE_ADD_RELU:
    case E::FUSE_ADD_SIGMOID:
    case E::FUSE_ADD_TANH: return {0, kAll};
    case E::MUL:
    case E::FUSE_MUL_ADD3: return {(needed(0) ? kY : 0) | (needed(1) ? kX : 0), 0};
    case E::FUSE_MUL_ADD4:
      return {(needed(0) ? kY : 0) | (needed(1) ? kX : 0) | (needed(2) ? kZ << 1 : 0) | (needed(3) ? kZ : 0), 0};
    case E::TRUE_DIV: return {kY, needed(1) ? kAll : 0};
    case E::POW: return {kX | (needed(0) ? kY : 0), needed(1) ? kAll : 0};
    case E::MOD: return {needed(1) ? kAll : 0, needed(1) ? kAll : 0};
    case E::SWITCH_GT0: return {kX, 0};
    case E::COND_LEQ_MOV:
    case E::COND_LT_MOV: return {kX | kY, 0};
    case E::ASINH_GRAD:
    case E::ACOSH_GRAD:
    case E::ATANH_GRAD: return {kAll, kAll};
    default: return {kAll, 0};
  }
}

}  // namespace megalith::elemwise
