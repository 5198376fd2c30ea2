// SVD: one-sided Jacobi rotations of the columns (of the transpose when the matrix is wide), in double.
#include <functional>
#include <numeric>

#include "megalith/ops/grad_util.h"
#include "megalith/sort_few.h"

namespace megalith {
namespace {

// Outputs U, S, V^T. Without compute_uv, U and V^T are empty.
void infer_svd(InferContext& c) {
  const param::SVD& p = c.param<param::SVD>();
  Shape u = c.shape(0), s, vt = u;
  const int nd = u.ndim();
  c.require(nd >= 2, "shape ", u, " holds no matrices");
  c.require(c.dtype(0).is_float(), "no SVD of ", c.dtype(0).str());
  const int64_t m = u[nd - 2], n = u[nd - 1], k = std::min(m, n);
  c.require(k > 0 && std::max(m, n) < int64_t{1} << 20, "no SVD of matrices of ", m, " by ", n);
  for (int d = 0; d < nd - 2; ++d) s.push_back(u[d]);
  s.push_back(k);
  u[nd - 1] = p.full_matrices ? m : k;
  vt[nd - 2] = p.full_matrices ? n : k;
  if (!p.compute_uv) u = vt = Shape{0};
  c.set(0, c.dtype(0), u);
  c.set(1, c.dtype(0), s);
  c.set(2, c.dtype(0), vt);
}

using Column = std::vector<double>;

double dot(const Column& a, const Column& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

void rotate(Column& a, Column& b, double c, double s) {
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
}

// Rotates pairs of columns of `a` until all are orthogonal, and those of `v` with them.
void orthogonalize(std::vector<Column>& a, std::vector<Column>& v) {
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool done = true;
    for (size_t p = 0; p < a.size(); ++p) {
      for (size_t q = p + 1; q < a.size(); ++q) {
        const double pp = dot(a[p], a[p]), qq = dot(a[q], a[q]), pq = dot(a[p], a[q]);
        if (!(std::fabs(pq) > 1e-15 * std::sqrt(pp * qq)) || pq == 0) continue;
        done = false;
        const double zeta = (qq - pp) / (2 * pq);
        const double t = (zeta >= 0 ? 1 : -1) / (std::fabs(zeta) + std::hypot(1.0, zeta));
        const double c = 1 / std::hypot(1.0, t);
        rotate(a[p], a[q], c, c * t);
        rotate(v[p], v[q], c, c * t);
      }
    }
    if (done) return;
  }
}

// Normalizes the columns; those that vanish and those missing up to `want` become any orthonormal completion.
void complete(std::vector<Column>& u, const std::vector<double>& s, size_t want, size_t rows) {
  const double tiny = s[0] * 1e-14;
  size_t axis = 0;
  u.resize(want, Column(rows));
  for (size_t j = 0; j < want; ++j) {
    if (j < s.size() && s[j] > tiny) {
      for (double& x : u[j]) x /= s[j];
      continue;
    }
    double norm = 0;
    while (norm < 0.5 / std::sqrt(static_cast<double>(rows)) && axis < rows) {
      std::fill(u[j].begin(), u[j].end(), 0.0);
      u[j][axis++] = 1;
      for (int twice = 0; twice < 2; ++twice) {
        for (size_t i = 0; i < j; ++i) {
          const double d = dot(u[i], u[j]);
          for (size_t r = 0; r < rows; ++r) u[j][r] -= d * u[i][r];
        }
      }
      norm = std::sqrt(dot(u[j], u[j]));
    }
    for (double& x : u[j]) x /= norm;
  }
}

void svd_reference(const KernelArgs& a) {
  const param::SVD& p = a.param<param::SVD>();
  const size_t m = static_cast<size_t>(a.in[0].dim(a.in[0].ndim() - 2)),
               n = static_cast<size_t>(a.in[0].dim(a.in[0].ndim() - 1));
  const size_t k = std::min(m, n), rows = std::max(m, n);
  const bool wide = n > m;
  const size_t batch = static_cast<size_t>(a.in[0].count()) / (m * n);
  dispatch_float(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    const auto put = [](double v) { return static_cast<T>(static_cast<float>(v)); };
    for (size_t b = 0; b < batch; ++b) {
      const T* x = a.in[0].data<T>() + b * m * n;
      std::vector<Column> left(k, Column(rows)), right(k, Column(k));
      for (size_t j = 0; j < k; ++j) {
        right[j][j] = 1;
        for (size_t i = 0; i < rows; ++i) {
          left[j][i] = static_cast<double>(static_cast<float>(wide ? x[j * n + i] : x[i * n + j]));
          if (!std::isfinite(left[j][i])) throw OpError("SVD: the matrix holds values that are not finite");
        }
      }
      orthogonalize(left, right);
      std::vector<std::pair<double, size_t>> order;
      for (size_t j = 0; j < k; ++j) order.emplace_back(-std::sqrt(dot(left[j], left[j])), j);
      sort_few(order.begin(), order.end(), std::less<>());
      std::vector<double> s;
      std::vector<Column> u, v;
      for (const auto& [minus, j] : order) {
        s.push_back(-minus);
        u.push_back(left[j]);
        v.push_back(right[j]);
      }
      for (size_t j = 0; j < k; ++j) a.out[1].data<T>()[b * k + j] = put(s[j]);
      if (!p.compute_uv) continue;
      complete(u, s, p.full_matrices ? rows : k, rows);
      if (wide) std::swap(u, v);
      for (size_t j = 0; j < u.size(); ++j) {
        for (size_t i = 0; i < m; ++i) a.out[0].data<T>()[(b * m + i) * u.size() + j] = put(u[j][i]);
      }
      for (size_t j = 0; j < v.size(); ++j) {
        for (size_t i = 0; i < n; ++i) a.out[2].data<T>()[(b * v.size() + j) * n + i] = put(v[j][i]);
      }
    }
  });
}

int three(const Attrs&, int) { return 3; }

// Townsend, "Differentiating the Singular Value Decomposition" (2016), for the thin decomposition. What full_matrices
// adds to U and V^T is arbitrary and has no gradient. Singular values must differ.
std::vector<Var> grad_svd(const GradContext& c) {
  using namespace grads;
  const param::SVD& p = c.attrs.param<param::SVD>();
  if (!p.compute_uv) unsupported(c, "the gradient needs compute_uv");
  const Var k = size_of(c.out[1], -1);
  const auto first_k = [&](const Var& v, int32_t axis) {
    if (!v.defined()) return v;
    return add_axis(
        p.full_matrices ? emit1("Subtensor", Params(param::IndexDescMaskDump{}, {axis, 0, 1, 0, 0}), {v, k}) : v, 0);
  };
  const auto matmul = [](const Var& a, const Var& b, bool ta = false, bool tb = false) {
    return emit1("BatchedMatrixMul", param::MatrixMul{.transposeA = ta, .transposeB = tb}, {a, b});
  };
  const Var u = first_k(c.out[0], -1), vt = first_k(c.out[2], -2), s = add_axis(c.out[1], 0);
  const Var du = first_k(c.dout[0], -1), dvt = first_k(c.dout[2], -2);
  const Var s_row = add_axis(s, -2), s_col = add_axis(s, -1);
  Var f;  // 1 / (s_j^2 - s_i^2), zero on the diagonal
  if (du.defined() || dvt.defined()) {
    const Var eye = emit1("Eye", param::Eye{.k = 0, .dtype = c.dtype(0).id}, {k});
    f = sub(div(constant(1, c.dtype(0)), add(sub(mul(s_row, s_row), mul(s_col, s_col)), eye)), eye);
  }
  Var left, right;  // the gradient is left V^T + U right
  if (c.dout[1].defined()) left = mul(u, add_axis(add_axis(c.dout[1], 0), -2));
  if (du.defined()) {
    const Var utdu = matmul(u, du, true), dutu = matmul(du, u, true);
    left = add_defined(left, matmul(u, mul(mul(f, sub(utdu, dutu)), s_row)));
    left = add(left, div(sub(du, matmul(u, utdu)), s_row));
  }
  if (dvt.defined()) {
    const Var vtdv = matmul(vt, dvt, false, true), dvtv = matmul(dvt, vt, false, true);
    right = add(matmul(mul(s_col, mul(f, sub(vtdv, dvtv))), vt), div(sub(dvt, matmul(dvtv, vt)), s_col));
  }
  Var d;
  if (left.defined()) d = matmul(left, vt);
  if (right.defined()) d = add_defined(d, matmul(u, right));
  return {remove_axis(d, 0)};
}
GradReads reads_outputs(const Attrs&, const std::vector<bool>&) { return {0, ~0u}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(linalg_svd) {
  r.add({.name = "SVD",
         .doc = "The singular value decomposition U, S, V^T of every matrix of a batch.",
         .mge = {"SVD"},
         .params = &param::SVD::kSchema,
         .outputs = three,
         .infer = infer_svd,
         .kernels = {{.name = "reference", .run = svd_reference}},
         .grad = grad_svd,
         .grad_reads = reads_outputs});
}
