// Elementwise functions on rows of floats, with vectors. Each gives the bits of its scalar form in ops/elemwise/modes.h
// unless that calls the C library (exp, tanh, ...), and the same bits wherever an element stands in the row.
#pragma once

#include <cstdint>

#include "megalith/params_enums.h"
#include "megalith/trimmed.h"

namespace megalith::rows {

// out[i] = f(in[0][i * step[0]], in[1][i * step[1]], ...). A step is 1, or 0 for an operand that is repeated: it then
// points to kRepeat equal values. `out` may be one of the operands.
using Fn = void (*)(const float* const* in, const int64_t* step, float* out, int64_t n);
inline constexpr int64_t kRepeat = 16;

// Modes that a trimmed build doesn't have.
constexpr bool left_out(param::ElemwiseMode mode) {
  using Mode = param::ElemwiseMode;
  switch (mode) {
    case Mode::RELU:
    case Mode::ABS:
    case Mode::NEGATE:
    case Mode::EXP:
    case Mode::LOG:
    case Mode::SIGMOID:
    case Mode::TANH:
    case Mode::SQRT:
    case Mode::SQUARE:
    case Mode::ADD:
    case Mode::SUB:
    case Mode::MUL:
    case Mode::TRUE_DIV:
    case Mode::MAX:
    case Mode::MIN:
    case Mode::EQ:
    case Mode::LT:
    case Mode::ABS_GRAD:
    case Mode::SIGMOID_GRAD:
    case Mode::TANH_GRAD:
    case Mode::SWITCH_GT0:
    case Mode::COND_LEQ_MOV:
    case Mode::COND_LT_MOV:
    case Mode::FUSE_ADD_RELU:
    case Mode::FUSE_MUL_ADD3: return false;
    default: return kTrimmed;
  }
}

Fn find(param::ElemwiseMode mode);  // null when there is no vector form

Fn normalize();       // scale * (x - mean) * inv + bias, operands: x, mean, scale, inv, bias
Fn normalize_rows();  // (x - mean) * inv * weight + bias, operands: x, mean, inv, weight, bias
// a * (g - b - (x - mean) * inv * c), operands: x, g, mean, inv, a, b, c
Fn normalize_back();
Fn exp_minus();           // e^(x - y)
Fn fake_quantize();       // operands: x, scale, zero, low, high
Fn quantize_steps();      // round(x / step) within low and high, times step; operands: x, step, low, high
Fn fake_quantize_back();  // operands: x, scale, zero, low, high, and the gradient of the result
// a0 * x0 * y0 + a1 * x1 * y0 + b0 * x0 * y1 + b1 * x1 * y1,
// operands: a0, a1, b0, b1, x0, x1, y0, y1
Fn bilinear();
Fn times_minus();  // x * (y - z)

}  // namespace megalith::rows
