// MatrixInverse: Gauss-Jordan elimination with row pivots, in double.
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

void infer_inverse(InferContext& c) {
  const Shape& s = c.shape(0);
  const int n = s.ndim();
  c.require(n >= 2 && s[n - 1] == s[n - 2], "shape ", s, " holds no square matrices");
  c.require(c.dtype(0).is_float(), "no inverse of ", c.dtype(0).str());
  infer_same_as_input(c);
}

// `m` holds n rows of 2n numbers: the matrix and the identity. False when it is singular.
bool invert(std::vector<double>& m, size_t n) {
  for (size_t col = 0; col < n; ++col) {
    size_t pivot = col;
    for (size_t i = col + 1; i < n; ++i) {
      if (std::fabs(m[i * 2 * n + col]) > std::fabs(m[pivot * 2 * n + col])) pivot = i;
    }
    const double p = m[pivot * 2 * n + col];
    if (p == 0 || !std::isfinite(p)) return false;
    for (size_t k = 0; k < 2 * n; ++k) {
      std::swap(m[pivot * 2 * n + k], m[col * 2 * n + k]);
      m[col * 2 * n + k] /= p;
    }
    for (size_t i = 0; i < n; ++i) {
      const double f = m[i * 2 * n + col];
      if (i == col || f == 0) continue;
      for (size_t k = 0; k < 2 * n; ++k) m[i * 2 * n + k] -= f * m[col * 2 * n + k];
    }
  }
  return true;
}

void inverse_reference(const KernelArgs& a) {
  const size_t n = static_cast<size_t>(a.in[0].dim(a.in[0].ndim() - 1));
  const size_t total = static_cast<size_t>(a.in[0].count());
  if (total == 0) return;
  dispatch_float(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    for (size_t at = 0; at < total; at += n * n) {
      std::vector<double> m(2 * n * n);
      for (size_t i = 0; i < n; ++i) {
        for (size_t k = 0; k < n; ++k)
          m[i * 2 * n + k] = static_cast<double>(static_cast<float>(a.in[0].data<T>()[at + i * n + k]));
        m[i * 2 * n + n + i] = 1;
      }
      if (!invert(m, n)) throw OpError("MatrixInverse: the matrix is singular");
      for (size_t i = 0; i < n * n; ++i)
        a.out[0].data<T>()[at + i] = static_cast<T>(static_cast<float>(m[i / n * 2 * n + n + i % n]));
    }
  });
}

// -Y^T dY Y^T, as a batch whatever the rank.
std::vector<Var> grad_inverse(const GradContext& c) {
  const Var y = grads::add_axis(c.out[0], 0), d = grads::add_axis(c.dout[0], 0);
  const auto matmul = [](const Var& a, bool ta, const Var& b, bool tb) {
    return emit1("BatchedMatrixMul", param::MatrixMul{.transposeA = ta, .transposeB = tb}, {a, b});
  };
  return {grads::neg(grads::remove_axis(matmul(matmul(y, true, d, false), false, y, true), 0))};
}
GradReads reads_output(const Attrs&, const std::vector<bool>&) { return {0, 1}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(linalg_inverse) {
  r.add({.name = "MatrixInverse",
         .doc = "The inverse of every matrix of a batch.",
         .mge = {"MatrixInverse"},
         .params = &param::Empty::kSchema,
         .infer = infer_inverse,
         .kernels = {{.name = "reference", .run = inverse_reference}},
         .grad = grad_inverse,
         .grad_reads = reads_output});
}
