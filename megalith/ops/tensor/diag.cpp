// Diag: a vector put on a diagonal of a matrix, or a diagonal taken from it.
#include "megalith/ops/op_util.h"

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

void diag_reference(const KernelArgs& a) {
  const bool make = a.in[0].ndim() == 1;
  const Tensor& matrix = make ? a.out[0] : a.in[0];
  const int64_t k = a.param<param::Diag>().k, n = (make ? a.in[0] : a.out[0]).count();
  if (make) std::memset(a.out[0].data<char>(), 0, a.out[0].bytes());
  const int64_t width = matrix.dim(1), first = k >= 0 ? k : -k * width;
  dispatch_width(matrix.dtype(), [&](auto t) {
    using T = decltype(t);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = first + i * (width + 1);
      a.out[0].data<T>()[make ? at : i] = a.in[0].data<T>()[make ? i : at];
    }
  });
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_diag) {
  r.add({.name = "Diag",
         .doc = "A matrix with the input on a diagonal, or a diagonal of the input.",
         .mge = {"Diag"},
         .params = &param::Diag::kSchema,
         .infer = infer_diag,
         .kernels = {{.name = "reference", .run = diag_reference}},
         .exact = true});
}
