// The vector kernels of elementwise ops.
#include <doctest/doctest.h>

#include <algorithm>

#include "megalith/kernels/rows.h"
#include "megalith/ops/elemwise/fused.h"
#include "megalith/ops/elemwise/modes.h"
#include "tests/unit/kernel_check.h"

using namespace megalith;
using elemwise::Mode;

namespace {

// The shape, with some axes 1 and some leading ones left out.
Shape broadcast_part(Dice& dice, const Shape& s) {
  Shape r = s;
  if (dice.one_in(2)) return r;
  for (int i = 0; i < r.ndim(); ++i) {
    if (dice.one_in(2)) r[i] = 1;
  }
  while (r.ndim() > 1 && r[0] == 1 && dice.one_in(2)) r.erase(0);
  return r;
}

std::vector<Mode> vector_modes() {
  std::vector<Mode> modes;
  for (const EnumValue& v : enum_info<Mode>().values) {
    if (rows::find(static_cast<Mode>(v.value))) modes.push_back(static_cast<Mode>(v.value));
  }
  return modes;
}

// Modes that the reference computes with the C library.
bool elementary(Mode m) {
  constexpr Mode kModes[] = {Mode::EXP,           Mode::EXPM1,      Mode::LOG,           Mode::LOG1P,
                             Mode::SIGMOID,       Mode::TANH,       Mode::ERF,           Mode::ERFC,
                             Mode::SILU,          Mode::GELU,       Mode::SOFTPLUS,      Mode::LOGSIGMOID,
                             Mode::SILU_GRAD,     Mode::GELU_GRAD,  Mode::SOFTPLUS_GRAD, Mode::FUSE_ADD_SIGMOID,
                             Mode::FUSE_ADD_TANH, Mode::LOG_SUM_EXP};
  return std::find(std::begin(kModes), std::end(kModes), m) != std::end(kModes);
}
Allowed allowed(Mode m) { return elementary(m) ? Allowed{4e-6, 2e-6} : Allowed{}; }

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("elemwise") {
    Dice dice(1);
    const std::vector<Mode> modes = vector_modes();
    CHECK(modes.size() >= 62);
    for (const Mode m : modes) {
      for (int round = 0; round < rounds(40); ++round) {
        const Shape s = dice.shape();
        std::vector<Tensor> in;
        for (int k = 0; k < elemwise::arity(m); ++k)
          in.push_back(dice.floats(broadcast_part(dice, s), k == 0 || !elementary(m)));
        CHECK(check_kernels("Elemwise", Params(param::Elemwise{.mode = m}), in, allowed(m), &dice, true) == 2);
      }
    }
  }

  TEST_CASE("elemwise of other types") {
    Dice dice(6);
    using D = DTypeEnum;
    int ran = 0;
    for (const EnumValue& v : enum_info<Mode>().values) {
      const auto m = static_cast<Mode>(v.value);
      for (int round = 0; round < rounds(40); ++round) {
        const Shape s = dice.shape(-1, 4000);
        const DType types[] = {DType(D::Float16),
                               DType(D::Float16),
                               DType(D::BFloat16),
                               DType(D::Int32),
                               DType(D::Int32),
                               DType(D::Int8),
                               DType(D::Uint8),
                               DType(D::Int16),
                               DType(D::Uint16),
                               DType(D::Bool),
                               DType(D::QuantizedS8, 0.1),
                               DType(D::Quantized8Asymm, 0.05f, 100),
                               DType(D::QuantizedS32, 0.01f)};
        const DType type = types[dice.pick(0, 12)];
        if (type.id == D::Bool && elemwise::arity(m) == 1 && m == Mode::NEGATE) continue;
        std::vector<Tensor> in;
        for (int k = 0; k < elemwise::arity(m); ++k) {
          const bool other = !type.is_quantized() && dice.one_in(8);
          in.push_back(dice.values(other ? DType(D::Float32) : type, broadcast_part(dice, s)));
          if (type.id == D::Int32 && !other && dice.one_in(3) && in.back().count() > 0)
            in.back().data<int32_t>()[0] = dice.of<int32_t>({INT32_MIN, INT32_MAX, 123456789});
        }
        // Functions that differ in their last bits may round to another half, or to another step.
        Allowed a = allowed(m);
        if (elementary(m)) a = {.relative = 0.01, .absolute = type.is_quantized() || !type.is_float() ? 1. : 1e-3};
        CAPTURE(type.str());
        try {
          ran += check_kernels("Elemwise", Params(param::Elemwise{.mode = m}), in, a, &dice, true);
        } catch (const UnsupportedError&) {
        } catch (const OpError&) {  // the mode does not take the type
        }
      }
    }
    CHECK(ran > rounds(1500));
  }

  TEST_CASE("comparisons") {
    Dice dice(7);
    using D = DTypeEnum;
    using Multi = param::ElemwiseMultiTypeMode;
    for (int round = 0; round < rounds(300); ++round) {
      const Shape s = dice.shape();
      const auto type = [&] { return dice.of({D::Float32, D::Float16, D::Int32, D::Uint8, D::Bool}); };
      const D first = type(), second = dice.one_in(3) ? type() : first;
      const Multi m = dice.of({Multi::LT, Multi::LEQ, Multi::EQ, Multi::NEQ});
      const auto operand = [&](D t) {
        return t == D::Float32 ? dice.floats(broadcast_part(dice, s)) : dice.values(t, broadcast_part(dice, s));
      };
      CHECK(check_kernels("ElemwiseMultiType", Params(param::ElemwiseMultiType{.mode = m}),
                          {operand(first), operand(second)}, {}, &dice, true) == 2);
    }
  }

  TEST_CASE("fused_elemwise") {
    Dice dice(2);
    std::vector<Mode> modes =
        vector_modes();  // with the reference's bits: what a chain makes of others may be anything
    std::erase_if(modes, elementary);
    for (int round = 0; round < rounds(400); ++round) {
      const Shape s = dice.shape();
      const auto nin = static_cast<int32_t>(dice.pick(1, elemwise::kMaxFusedInputs));
      std::vector<Tensor> in;
      for (int32_t k = 0; k < nin; ++k) in.push_back(dice.floats(broadcast_part(dice, s)));
      std::vector<elemwise::Step> steps;
      const int64_t count = dice.pick(1, elemwise::kMaxSteps);
      for (int32_t i = 0; i < count; ++i) {
        Mode m = modes[static_cast<size_t>(dice.pick(0, static_cast<int64_t>(modes.size()) - 1))];
        if (dice.one_in(6)) m = dice.of({Mode::ATAN2, Mode::ACOS, Mode::MOD, Mode::ASINH});  // no vector form
        elemwise::Step step{m, {0, 0, 0, 0}};
        for (int k = 0; k < elemwise::arity(m); ++k) {
          step.args[k] = static_cast<int32_t>(dice.pick(0, nin + i - 1));
          if (k == 0 && i > 0) step.args[k] = nin + i - 1;
        }
        steps.push_back(step);
      }
      CHECK(check_kernels("FusedElemwise", elemwise::fused_params(steps), in, {}, &dice, true) == 1);
    }
  }
}
