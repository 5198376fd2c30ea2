#include "megalith/kernels/recurrent.h"

#include <algorithm>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/recurrent.cpp"
#include "hwy/cache_control.h"
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

// Vectors of units that go through the gates' functions in step: all gates of each need registers.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_ARCH_ARM_A64
constexpr int kInStep = 2;
#else
constexpr int kInStep = 1;
#endif

// kVectors vectors of units of one row; the last one of a stretch may be cut short. `shift`: see Gates::panel.
template <int kVectors, bool kTail>
struct Place {
  static constexpr int kCount = kVectors;
  int64_t row, unit, left, shift;

  HWY_INLINE V Load(const float* p) const {
    const D d;
    if constexpr (kTail)
      return math::LoadFirst(d, p, left);
    else
      return hn::LoadU(d, p);
  }
  template <class T>
  HWY_INLINE V operator()(const Units<T>& u, int v, int64_t gate = 0) const {
    return Load(u.data + row * u.row + gate * u.gate + unit + v * kLanes);
  }
  HWY_INLINE float* Hidden(const Gates& g, int v, int64_t gate) const {
    return g.hidden.data + row * g.hidden.row + gate * g.hidden.gate + unit + shift + v * kLanes;
  }
  HWY_INLINE void PrefetchNext(const Units<const float>& u, int v, int64_t gate = 0) const {
    hwy::Prefetch(u.data + (row + 1) * u.row + gate * u.gate + unit + v * kLanes);
  }
  HWY_INLINE void Store(V value, const Units<float>& u, int v, int64_t gate = 0) const {
    if (!u.data) return;
    StoreAt(value, u.data + row * u.row + gate * u.gate + unit + v * kLanes);
  }
  HWY_INLINE void StoreAt(V value, float* p) const {
    const D d;
    if constexpr (kTail)
      math::StoreFirst(value, d, p, left);
    else
      hn::StoreU(value, d, p);
  }
};

#define MEGALITH_EACH(v) MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v)

template <Kind kKind>
struct Step {
  static constexpr int kGates = kKind == Kind::kLstm ? 4 : kKind == Kind::kGru ? 3 : 1;

  template <int kVectors, bool kTail>
  static HWY_INLINE void Forward(const Gates& g, const Place<kVectors, kTail>& at) {
    const D d;
    // Where the gates' sums stand: those that go through tanh come last.
    const auto place = [](int q) { return kKind == Kind::kLstm ? (q == 3 ? 2 : q == 2 ? 3 : q) : q; };
    V in[kGates * kVectors], sum[kGates * kVectors];
    MEGALITH_UNROLL for (int q = 0; q < kGates; ++q) {
      MEGALITH_EACH(v) {
        const int i = place(q) * kVectors + v;
        if (g.input.data)
          in[i] = at(g.input, v, q);
        else
          in[i] = kKind == Kind::kGru && q == 2 ? at.Load(at.Hidden(g, v, 3)) : hn::Zero(d);
        if (g.bias) in[i] = hn::Add(in[i], at.Load(g.bias + q * g.bias_gate + at.unit + v * kLanes));
        sum[i] = hn::Add(at.Load(at.Hidden(g, v, q)), in[i]);
        if (kKind != Kind::kGru) at.Store(sum[i], g.sums, v, q);
      }
    }
    V h[kVectors];
    if constexpr (kKind == Kind::kLstm) {
      math::SigmoidsAndTanhs<3 * kVectors, kVectors>(d, sum);
      const V *i = sum, *f = i + kVectors, *o = f + kVectors, *n = o + kVectors;
      MEGALITH_EACH(v) {
        h[v] = hn::MulAdd(f[v], at(g.c_old, v), hn::Mul(i[v], n[v]));
        at.Store(h[v], g.c_new, v);
      }
      MEGALITH_EACH(v) {
        at.Store(i[v], g.saved, v, 0);
        at.Store(f[v], g.saved, v, 1);
        at.Store(n[v], g.saved, v, 2);
        at.Store(o[v], g.saved, v, 3);
        at.Store(o[v], g.h_new, v);
      }
      return;
    } else if constexpr (kKind == Kind::kGru) {
      V gate[2 * kVectors];
      MEGALITH_UNROLL for (int i = 0; i < 2 * kVectors; ++i) gate[i] = sum[i];
      math::SigmoidsAndTanhs<2 * kVectors, 0>(d, gate);
      const V *r = gate, *z = gate + kVectors;
      MEGALITH_EACH(v) {
        V m = at.Load(at.Hidden(g, v, 2));
        if (g.n_bias) m = hn::Add(m, at.Load(g.n_bias + at.unit + v * kLanes));
        at.StoreAt(hn::MulAdd(r[v], m, in[2 * kVectors + v]), at.Hidden(g, v, 2));
        at.Store(r[v], g.saved, v, 0);
        at.Store(z[v], g.saved, v, 1);
        at.Store(m, g.saved, v, 3);
        at.Store(z[v], g.h_new, v);
      }
      return;
    } else {
      MEGALITH_EACH(v) h[v] = kKind == Kind::kRelu ? hn::Max(sum[v], hn::Zero(d)) : sum[v];
      if constexpr (kKind == Kind::kTanh) math::SigmoidsAndTanhs<0, kVectors>(d, h);
    }
    MEGALITH_EACH(v) {
      at.Store(h[v], g.h_new, v);
      at.Store(h[v], g.h_copy, v);
    }
  }

  template <int kVectors, bool kTail>
  static HWY_INLINE void Results(const Gates& g, const Place<kVectors, kTail>& at) {
    constexpr bool kGru = kKind == Kind::kGru;
    V t[kVectors];
    MEGALITH_EACH(v) t[v] = kGru ? at.Load(at.Hidden(g, v, 2)) : at(g.c_new, v);
    math::SigmoidsAndTanhs<0, kVectors>(D(), t);
    MEGALITH_EACH(v) {
      const V gate = at(g.h_new, v);
      if (kGru) at.Store(t[v], g.saved, v, 2);
      const V h = kGru ? hn::MulAdd(gate, hn::Sub(at(g.h_old, v), t[v]), t[v]) : hn::Mul(gate, t[v]);
      at.Store(h, g.h_new, v);
      at.Store(h, g.h_copy, v);
    }
  }

  // The gradient of the sum whose function of value y has the slope 1 - y^2 (tanh) or y (1 - y) (sigmoid).
  static HWY_INLINE V ThroughTanh(V y, V dy) { return hn::Mul(dy, hn::NegMulAdd(y, y, hn::Set(D(), 1.f))); }
  static HWY_INLINE V ThroughSigmoid(V y, V dy) { return hn::Mul(dy, hn::NegMulAdd(y, y, y)); }

  template <int kVectors, bool kTail>
  static HWY_INLINE void Backward(const GateGradients& g, const Place<kVectors, kTail>& at) {
    // The forward run's values of the next row: they come from far, in pieces that are too short for others to see.
    if (g.rows > 1) {
      MEGALITH_EACH(v) {
        MEGALITH_UNROLL for (int q = 0; q < (kGates > 1 ? 4 : 0); ++q) at.PrefetchNext(g.saved, v, q);
        if (kKind == Kind::kLstm) at.PrefetchNext(g.c_old, v);
        at.PrefetchNext(g.dy, v);
      }
    }
    V t[kVectors];
    if constexpr (kKind == Kind::kLstm) {
      MEGALITH_EACH(v) t[v] = at(g.c_new, v);
      math::SigmoidsAndTanhs<0, kVectors>(D(), t);
    }
    MEGALITH_EACH(v) Backward(g, at, v, t[v]);
  }

 private:
  template <int kVectors, bool kTail>
  static HWY_INLINE void Backward(const GateGradients& g, const Place<kVectors, kTail>& at, int v, V t) {
    const D d;
    const V dh = hn::Add(at(g.dh, v), at(g.dy, v));
    const auto store = [&](V value, int q) HWY_ATTR {
      at.Store(value, g.sums, v, q);
      at.Store(value, g.sums_copy, v, q);
    };
    if constexpr (kKind == Kind::kLstm) {
      const V i = at(g.saved, v, 0), f = at(g.saved, v, 1), n = at(g.saved, v, 2), o = at(g.saved, v, 3);
      const V dc = hn::Add(at(g.dc, v), ThroughTanh(t, hn::Mul(dh, o)));
      store(ThroughSigmoid(i, hn::Mul(dc, n)), 0);
      store(ThroughSigmoid(f, hn::Mul(dc, at(g.c_old, v))), 1);
      store(ThroughTanh(n, hn::Mul(dc, i)), 2);
      store(ThroughSigmoid(o, hn::Mul(dh, t)), 3);
      at.Store(hn::Mul(dc, f), g.dc, v);
    } else if constexpr (kKind == Kind::kGru) {
      const V r = at(g.saved, v, 0), z = at(g.saved, v, 1), n = at(g.saved, v, 2), m = at(g.saved, v, 3);
      const V dn = ThroughTanh(n, hn::NegMulAdd(dh, z, dh));
      const V dm = hn::Mul(dn, r);
      store(ThroughSigmoid(r, hn::Mul(dn, m)), 0);
      store(ThroughSigmoid(z, hn::Mul(dh, hn::Sub(at(g.h_old, v), n))), 1);
      at.Store(dn, g.sums, v, 2);
      at.Store(dm, g.sums, v, 3);
      at.Store(dm, g.sums_copy, v, 2);
      at.Store(hn::Mul(dh, z), g.dh, v);
    } else if constexpr (kKind == Kind::kTanh) {
      store(ThroughTanh(at(g.h_new, v), dh), 0);
    } else if constexpr (kKind == Kind::kRelu) {
      store(hn::IfThenElseZero(hn::Gt(at(g.h_new, v), hn::Zero(d)), dh), 0);
    } else {
      store(dh, 0);
    }
  }
};

// Calls of a loop's body, which would compute all addresses anew for each vector, are none.
#define MEGALITH_INLINED __attribute__((always_inline)) HWY_ATTR

// `panel` units lie together, and `to_panel` floats behind them others: see Gates::panel.
template <class Fn>
HWY_INLINE void EachVector(int64_t rows, int64_t units, int64_t panel, int64_t to_panel, Fn&& fn) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0, shift = 0; j < units; shift += to_panel - panel) {
      const int64_t end = std::min(units, j + panel);
      for (; j + kInStep * kLanes <= end; j += kInStep * kLanes) fn(Place<kInStep, false>{i, j, kLanes, shift});
      if (kInStep > 1) {
        for (; j + kLanes <= end; j += kLanes) fn(Place<1, false>{i, j, kLanes, shift});
      }
      if (j < end) fn(Place<1, true>{i, j, end - j, shift});
      j = end;
    }
  }
}
template <class Fn>
HWY_INLINE void EachVector(const Gates& g, Fn&& fn) {
  EachVector(g.rows, g.units, g.panel ? g.hidden.gate : g.units, g.panel, fn);
}

template <Kind kKind>
void ForwardAs(const Gates& g) {
  EachVector(g, [&](const auto& at) MEGALITH_INLINED { Step<kKind>::Forward(g, at); });
}
template <Kind kKind>
void ResultsAs(const Gates& g) {
  EachVector(g, [&](const auto& at) MEGALITH_INLINED { Step<kKind>::Results(g, at); });
}
template <Kind kKind>
void BackwardAs(const GateGradients& g) {
  EachVector(g.rows, g.units, g.units, 0, [&](const auto& at) MEGALITH_INLINED { Step<kKind>::Backward(g, at); });
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

void Results(const Gates& g) {
  if (g.kind == Kind::kLstm) ResultsAs<Kind::kLstm>(g);
  if (g.kind == Kind::kGru) ResultsAs<Kind::kGru>(g);
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

void ColumnSums(const float* from, int64_t row, int64_t rows, int64_t n, float* to, bool accumulate) {
  const D d;
  constexpr int64_t kAhead = 8;  // rows: short pieces of them, which no prefetcher follows
  int64_t j = 0;
  for (; j + 4 * kLanes <= n; j += 4 * kLanes) {
    V s[4];
    for (int v = 0; v < 4; ++v) s[v] = accumulate ? hn::LoadU(d, to + j + v * kLanes) : hn::Zero(d);
    for (int64_t i = 0; i < rows; ++i) {
      const float* p = from + i * row + j;
      for (int v = 0; v < 4; ++v) {
        hwy::Prefetch(p + kAhead * row + v * kLanes);
        s[v] = hn::Add(s[v], hn::LoadU(d, p + v * kLanes));
      }
    }
    for (int v = 0; v < 4; ++v) hn::StoreU(s[v], d, to + j + v * kLanes);
  }
  for (; j < n; ++j) {
    float s = accumulate ? to[j] : 0;
    for (int64_t i = 0; i < rows; ++i) s += from[i * row + j];
    to[j] = s;
  }
}

}  // namespace megalith::recurrent::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::recurrent {

void forward(const Gates& g) { MEGALITH_DISPATCH(Forward)(g); }
void results(const Gates& g) { MEGALITH_DISPATCH(Results)(g); }
void backward(const GateGradients& g) { MEGALITH_DISPATCH(Backward)(g); }
void column_sums(const float* from, int64_t row, int64_t rows, int64_t n, float* to, bool accumulate) {
  MEGALITH_DISPATCH(ColumnSums)(from, row, rows, n, to, accumulate);
}

}  // namespace megalith::recurrent
#endif
