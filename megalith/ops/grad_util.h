// What gradient functions are written with.
#pragma once

#include "megalith/ops/op_util.h"
#include "megalith/var.h"

namespace megalith::grads {

using E = param::ElemwiseMode;

// A number of the given type, shape {1}.
Var constant(double v, DType dtype);

inline Var call(E mode, const std::vector<Var>& in) { return emit1("Elemwise", param::Elemwise{.mode = mode}, in); }
inline Var add(const Var& a, const Var& b) { return call(E::ADD, {a, b}); }
inline Var sub(const Var& a, const Var& b) { return call(E::SUB, {a, b}); }
inline Var mul(const Var& a, const Var& b) { return call(E::MUL, {a, b}); }
inline Var div(const Var& a, const Var& b) { return call(E::TRUE_DIV, {a, b}); }
inline Var neg(const Var& a) { return call(E::NEGATE, {a}); }

// a + b where either may be undefined, which stands for zero.
Var add_defined(const Var& a, const Var& b);

Var shape_of(const Var& v);
Var count_of(const Var& v);           // the number of elements
Var size_of(const Var& v, int axis);  // one dimension

// Whether both are known to have one shape; recorded calls may run again with others.
bool same_shapes(const Var& a, const Var& b);

// How many times more elements x has than y, as Float32.
Var count_ratio(const Var& x, const Var& y);

// `d` summed to the shape of `like`: the gradient of an operand that was broadcast.
Var sum_like(const Var& d, const Var& like);
// The same for a (batch, n) gradient of an operand of n elements, or one, in any shape.
Var sum_to_count(const Var& d, const Var& like);
Var broadcast_like(const Var& v, const Var& like);
// Zeros in the shape of `like`; a view of one number.
Var zeros_like(const Var& like, DType dtype);
Var ones_like(const Var& like, DType dtype);
Var add_axis(const Var& v, int axis);
Var remove_axis(const Var& v, int axis);

// Throws UnsupportedError "Op: <what>".
[[noreturn]] void unsupported(const GradContext& c, const std::string& what);
// Throws unless only outputs of `allowed` receive gradients.
void only_outputs(const GradContext& c, std::initializer_list<size_t> allowed, const char* names);

// Emits `op` with the attributes of the op that is differentiated (parameters and policy).
std::vector<Var> emit_same(const GradContext& c, const char* op, const std::vector<Var>& in);

// The gradient of norm(x [, weight, bias]) -> (y, two statistics) through the op named with "Backward" behind it. Of
// the result only; the statistics are outputs for this gradient to read.
std::vector<Var> norm_gradient(const GradContext& c);
GradReads reads_norm(const Attrs&, const std::vector<bool>&);

// What the gradient of a normalization reads, and what flows back to its outputs (undefined: nothing). The statistics
// and the weight broadcast to x.
struct NormBackward {
  Var x, dy, weight, mean, rstd;
  Var to_dx, to_dweight, to_dbias;
};
// The gradients of that; all in the shape of x, the weight's not summed yet.
struct NormSecond {
  Var dy, x, weight;
};
NormSecond norm_second(const NormBackward& n);
// The same for the ops (dy, x, [weight,] mean, spread) -> (dx [, dweight, dbias]) whose statistics are of rows of x as
// it lies in memory; `rstd` is what the spread stands for, and `weight_shape` one of the weight that broadcasts to x.
std::vector<Var> norm_backward_gradient(const GradContext& c, const Var& rstd, const Var& weight_shape);

// The three ops of a convolution, each linear in its first two inputs: forward(x, w), data(w, dy, x), filter(x, dy, w).
// Inputs that a variant has behind the first two (regions) are handed on; x of `data` and w of `filter` come last and
// only tell the shape. Each gradient is made of the other two ops.
struct ConvOps {
  const char *forward, *data, *filter;
};
std::vector<Var> conv_forward_gradient(const GradContext& c, const ConvOps& ops);
std::vector<Var> conv_data_gradient(const GradContext& c, const ConvOps& ops, size_t extra = 0);
std::vector<Var> conv_filter_gradient(const GradContext& c, const ConvOps& ops, size_t extra = 0);

// Ops that read, write or add to a part of their first input; indices stand behind the data and, where there is one,
// the value. `incr` adds to that part, `get` reads it, `set` writes it (null when the op adds).
Var selection_get_gradient(const GradContext& c, const char* incr);
std::vector<Var> selection_modify_gradient(const GradContext& c, const char* get, const char* set);
template <int kFirst>
GradReads reads_indices(const Attrs&, const std::vector<bool>&) {
  return {~0u << kFirst, 0};
}

// For OpDef::grad_reads: nothing; the other one of the first two inputs, and all behind them.
GradReads reads_nothing(const Attrs& attrs, const std::vector<bool>& needs);
GradReads reads_other_factor(const Attrs& attrs, const std::vector<bool>& needs);

}  // namespace megalith::grads
