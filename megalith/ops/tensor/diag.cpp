// Diag: a vector put on a diagonal of a matrix, or a diagonal taken from it.
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

int64_t shift(const InferContext& c) { return c.param<param::Diag>().k; }

void infer_diag(InferContext& c) {
  const Shape& s = c.shape(0);
  const int64_t k = shift(c);
  c.require(!c.dtype(0).is_lowbit(), "no Diag of ", c.dtype(0).str());
  if (s.ndim() == 1) {
    const int64_t n = s[0] + std::abs(k);
    c.require(n < int64_t{1} << 20, "a matrix of ", n, " rows is too large");
    c.set(0, c.dtype(0), {n, n});
    return;
  }
  c.require(s.ndim() == 2, "the data must have 1 or 2 dimensions, but has shape ", s);
  const int64_t n = k >= 0 ? std::min(s[1] - k, s[0]) : std::min(s[0] + k, s[1]);
  c.require(n > 0, "diagonal ", k, " lies outside ", s);
  c.set(0, c.dtype(0), {n});
}

// Diag of `in`: the ranks alone say whether a vector goes onto the diagonal or a diagonal comes out.
void move_diagonal(const Tensor& in, const Tensor& out, int64_t k) {
  const bool make = in.ndim() == 1;
  const Tensor& matrix = make ? out : in;
  const int64_t n = (make ? in : out).count();
  if (make) std::memset(out.data<char>(), 0, out.bytes());
  const int64_t width = matrix.dim(1), first = k >= 0 ? k : -k * width;
  dispatch_width(matrix.dtype(), [&](auto t) {
    using T = decltype(t);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = first + i * (width + 1);
      out.data<T>()[make ? at : i] = in.data<T>()[make ? i : at];
    }
  });
}

void diag_reference(const KernelArgs& a) { move_diagonal(a.in[0], a.out[0], a.param<param::Diag>().k); }

// The shape of Diag's output for `s`.
Shape diag_shape(const Shape& s, int64_t k) {
  if (s.ndim() == 1) return {s[0] + std::abs(k), s[0] + std::abs(k)};
  return {k >= 0 ? std::min(s[1] - k, s[0]) : std::min(s[0] + k, s[1])};
}

// Inputs: the shape of Diag's input, and the gradient of its output.
void infer_diag_backward(InferContext& c) {
  const std::vector<int64_t> v = c.ints(0, 2);
  const Shape x{std::span<const int64_t>(v)}, &dy = c.shape(1);
  const int64_t k = shift(c);
  c.require(!c.dtype(1).is_lowbit(), "no Diag of ", c.dtype(1).str());
  for (const int64_t d : v) c.require(d >= 0 && d < int64_t{1} << 20, "dimension ", d, " makes no sense");
  c.require((x.ndim() == 1 || x.ndim() == 2) && dy == diag_shape(x, k), "gradient ", dy, " does not fit data ", x);
  c.set(0, c.dtype(1), x);
}

void diag_backward_reference(const KernelArgs& a) {
  const int64_t k = a.param<param::Diag>().k;
  move_diagonal(a.in[1], a.out[0], k);
}

std::vector<Var> grad_diag(const GradContext& c) {
  return {emit1("DiagBackward", c.attrs.params, {grads::shape_of(c.in[0]), c.dout[0]})};
}
std::vector<Var> grad_diag_backward(const GradContext& c) { return {{}, emit1("Diag", c.attrs.params, {c.dout[0]})}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_diag) {
  r.add({.name = "Diag",
         .doc = "A matrix with the input on a diagonal, or a diagonal of the input.",
         .mge = {"Diag"},
         .params = &param::Diag::kSchema,
         .infer = infer_diag,
         .kernels = {{.name = "reference", .run = diag_reference}},
         .grad = grad_diag,
         .grad_reads = grads::reads_nothing,
         .exact = true});
  r.add({.name = "DiagBackward",
         .doc = "The gradient of Diag.",
         .mge = {"DiagBackward"},
         .params = &param::Diag::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_diag_backward,
         .kernels = {{.name = "reference", .run = diag_backward_reference}},
         .grad = grad_diag_backward,
         .grad_reads = grads::reads_nothing,
         .exact = true});
}
