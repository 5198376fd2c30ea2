#include "megalith/kernels/recurrent.h"

#include <algorithm>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/recurrent.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/math-inl.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::recurrent::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace math = megalith::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// A vector of units of one row; the last one of a stretch may be cut short.
template <bool kTail>
struct Place {
  int64_t row, unit, left;

  HWY_INLINE V Load(const float* p) const {
    const D d;
    if constexpr (kTail)
      return math::LoadFirst(d, p, left);
    else
      return hn::LoadU(d, p);
  }
  template <class T>
  HWY_INLINE V operator()(const Units<T>& u, int64_t gate = 0) const {
    return Load(u.data + row * u.row + gate * u.gate + unit);
  }
  HWY_INLINE void Store(V v, const Units<float>& u, int64_t gate = 0) const {
    if (!u.data) return;
    const D d;
    float* p = u.data + row * u.row + gate * u.gate + unit;
    if constexpr (kTail)
      math::StoreFirst(v, d, p, left);
    else
      hn::StoreU(v, d, p);
  }
};

template <Kind kKind>
struct Step {
  static constexpr int kGates = kKind == Kind::kLstm ? 4 : kKind == Kind::kGru ? 3 : 1;

  template <bool kTail>
  static HWY_INLINE void Forward(const Gates& g, const Place<kTail>& at) {
    const D d;
    V in[kGates], sum[kGates];
    for (int q = 0; q < kGates; ++q) {
      in[q] = at(g.input, q);
      if (g.bias) in[q] = hn::Add(in[q], at.Load(g.bias + q * g.bias_gate + at.unit));
      sum[q] = hn::Add(at(g.hidden, q), in[q]);
      if (kKind != Kind::kGru) at.Store(sum[q], g.sums, q);
    }
    V h;
    if constexpr (kKind == Kind::kLstm) {
      const V i = math::Sigmoid(d, sum[0]), f = math::Sigmoid(d, sum[1]);
      const V v = math::Tanh(d, sum[2]), o = math::Sigmoid(d, sum[3]);
      const V c = hn::MulAdd(f, at(g.c_old), hn::Mul(i, v));
      at.Store(c, g.c_new);
      h = hn::Mul(o, math::Tanh(d, c));
      at.Store(i, g.saved, 0);
      at.Store(f, g.saved, 1);
      at.Store(v, g.saved, 2);
      at.Store(o, g.saved, 3);
    } else if constexpr (kKind == Kind::kGru) {
      const V r = math::Sigmoid(d, sum[0]), z = math::Sigmoid(d, sum[1]);
      V m = at(g.hidden, 2);
      if (g.n_bias) m = hn::Add(m, at.Load(g.n_bias + at.unit));
      const V n = math::Tanh(d, hn::MulAdd(r, m, in[2]));
      h = hn::MulAdd(z, hn::Sub(at(g.h_old), n), n);
      at.Store(r, g.saved, 0);
      at.Store(z, g.saved, 1);
      at.Store(n, g.saved, 2);
      at.Store(m, g.saved, 3);
    } else {
      h = sum[0];
      if constexpr (kKind == Kind::kRelu) h = hn::Max(h, hn::Zero(d));
      if constexpr (kKind == Kind::kTanh) h = math::Tanh(d, h);
    }
    at.Store(h, g.h_new);
    at.Store(h, g.h_copy);
  }

  // The gradient of the sum whose function of value y has the slope 1 - y^2 (tanh) or y (1 - y) (sigmoid).
  static HWY_INLINE V ThroughTanh(V y, V dy) { return hn::Mul(dy, hn::NegMulAdd(y, y, hn::Set(D(), 1.f))); }
  static HWY_INLINE V ThroughSigmoid(V y, V dy) { return hn::Mul(dy, hn::NegMulAdd(y, y, y)); }

  template <bool kTail>
  static HWY_INLINE void Backward(const GateGradients& g, const Place<kTail>& at) {
    const D d;
    const V dh = hn::Add(at(g.dh), at(g.dy));
    const auto store = [&](V v, int q) HWY_ATTR {
      at.Store(v, g.sums, q);
      at.Store(v, g.sums_copy, q);
    };
    if constexpr (kKind == Kind::kLstm) {
      const V i = at(g.saved, 0), f = at(g.saved, 1), v = at(g.saved, 2), o = at(g.saved, 3);
      const V t = math::Tanh(d, at(g.c_new));
      const V dc = hn::Add(at(g.dc), ThroughTanh(t, hn::Mul(dh, o)));
      store(ThroughSigmoid(i, hn::Mul(dc, v)), 0);
      store(ThroughSigmoid(f, hn::Mul(dc, at(g.c_old))), 1);
      store(ThroughTanh(v, hn::Mul(dc, i)), 2);
      store(ThroughSigmoid(o, hn::Mul(dh, t)), 3);
      at.Store(hn::Mul(dc, f), g.dc);
    } else if constexpr (kKind == Kind::kGru) {
      const V r = at(g.saved, 0), z = at(g.saved, 1), n = at(g.saved, 2), m = at(g.saved, 3);
      const V dn = ThroughTanh(n, hn::NegMulAdd(dh, z, dh));
      const V dm = hn::Mul(dn, r);
      store(ThroughSigmoid(r, hn::Mul(dn, m)), 0);
      store(ThroughSigmoid(z, hn::Mul(dh, hn::Sub(at(g.h_old), n))), 1);
      at.Store(dn, g.sums, 2);
      at.Store(dm, g.sums, 3);
      at.Store(dm, g.sums_copy, 2);
      at.Store(hn::Mul(dh, z), g.dh);
    } else if constexpr (kKind == Kind::kTanh) {
      store(ThroughTanh(at(g.h_new), dh), 0);
    } else if constexpr (kKind == Kind::kRelu) {
      store(hn::IfThenElseZero(hn::Gt(at(g.h_new), hn::Zero(d)), dh), 0);
    } else {
      store(dh, 0);
    }
  }
};

template <class Fn>
HWY_INLINE void EachVector(int64_t rows, int64_t units, Fn&& fn) {
  for (int64_t i = 0; i < rows; ++i) {
    int64_t j = 0;
    for (; j + kLanes <= units; j += kLanes) fn(Place<false>{i, j, kLanes});
    if (j < units) fn(Place<true>{i, j, units - j});
  }
}

template <Kind kKind>
void ForwardAs(const Gates& g) {
  EachVector(g.rows, g.units, [&](const auto& at) HWY_ATTR { Step<kKind>::Forward(g, at); });
}
template <Kind kKind>
void BackwardAs(const GateGradients& g) {
  EachVector(g.rows, g.units, [&](const auto& at) HWY_ATTR { Step<kKind>::Backward(g, at); });
}

void Forward(const Gates& g) {
  switch (g.kind) {
    case Kind::kIdentity: return ForwardAs<Kind::kIdentity>(g);
    case Kind::kRelu: return ForwardAs<Kind::kRelu>(g);
    case Kind::kTanh: return ForwardAs<Kind::kTanh>(g);
    case Kind::kLstm: return ForwardAs<Kind::kLstm>(g);
    case Kind::kGru: return ForwardAs<Kind::kGru>(g);
  }
}

void Backward(const GateGradients& g) {
  switch (g.kind) {
    case Kind::kIdentity: return BackwardAs<Kind::kIdentity>(g);
    case Kind::kRelu: return BackwardAs<Kind::kRelu>(g);
    case Kind::kTanh: return BackwardAs<Kind::kTanh>(g);
    case Kind::kLstm: return BackwardAs<Kind::kLstm>(g);
    case Kind::kGru: return BackwardAs<Kind::kGru>(g);
  }
}

void ColumnSums(const float* from, int64_t row, int64_t rows, int64_t n, float* to) {
  const D d;
  int64_t j = 0;
  for (; j + 4 * kLanes <= n; j += 4 * kLanes) {
    V s[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    for (int64_t i = 0; i < rows; ++i) {
      for (int v = 0; v < 4; ++v) s[v] = hn::Add(s[v], hn::LoadU(d, from + i * row + j + v * kLanes));
    }
    for (int v = 0; v < 4; ++v) hn::StoreU(s[v], d, to + j + v * kLanes);
  }
  for (; j < n; ++j) {
    float s = 0;
    for (int64_t i = 0; i < rows; ++i) s += from[i * row + j];
    to[j] = s;
  }
}

}  // namespace megalith::recurrent::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::recurrent {

void forward(const Gates& g) { MEGALITH_DISPATCH(Forward)(g); }
void backward(const GateGradients& g) { MEGALITH_DISPATCH(Backward)(g); }
void column_sums(const float* from, int64_t row, int64_t rows, int64_t n, float* to) {
  MEGALITH_DISPATCH(ColumnSums)(from, row, rows, n, to);
}

}  // namespace megalith::recurrent
#endif
