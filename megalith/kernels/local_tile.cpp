#include "megalith/kernels/local_tile.h"

#include <algorithm>
#include <array>
#include <utility>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/local_tile.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/local-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::local::HWY_NAMESPACE {

// Steps that an item takes at a time: it is looked up once for all of them, where there are registers for their
// weights.
template <int kVectors>
constexpr int kSteps = kManyRegisters && kVectors <= 2 ? 2 : 1;

constexpr int64_t kFloatsAhead = 2048;

// Items [i0, i0 + kItems) and kVectors vectors of columns from j0 on. The last vector may reach beyond the columns when
// kMask is set.
template <int kItems, int kVectors, bool kMask>
void Micro(const Sums& s, int64_t i0, int64_t j0) {
  const D d;
  V acc[kItems][kVectors];
  const float* x[kItems];
  const auto left = [&](int v) { return std::clamp<int64_t>(s.columns - j0 - v * kLanes, 0, kLanes); };
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
    x[i] = s.x[i0 + i];
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Zero(d);
  }
  const int64_t w_step = s.w_step, x_step = s.x_step;
  // What is far is asked for kAhead steps before it is needed: in this run, in one that follows, or in what comes next.
  constexpr int kLines = std::max<int>(1, static_cast<int>(kVectors * kLanes / 16));
  constexpr int64_t kAhead = kFloatsAhead / (kVectors * kLanes);
  const Sums::Far far = i0 == 0 ? s.far : Sums::Far::kNo;
  const int64_t ahead_step = far == Sums::Far::kBlock ? kVectors * kLanes : w_step;
  const float* ahead = s.w + s.next + j0 * (s.next / s.columns);
  const int64_t next = j0 + kVectors * kLanes < s.columns ? j0 + kVectors * kLanes : s.next;
  const auto start = [&](int64_t r) { return s.w + (r < s.run_count ? j0 + s.runs[r].w : next + s.runs[0].w); };
  for (int64_t repeat = 0; repeat < s.repeats; ++repeat) {
    for (int64_t r = 0; r < s.run_count; ++r) {
      const Run run = s.runs[r];
      int64_t at = repeat * s.x_repeat + run.x;
      const float* w = s.w + j0 + repeat * s.w_repeat + run.w;
      if (far == Sums::Far::kRows) ahead = run.k > kAhead ? w + kAhead * w_step : start(r + kAhead / run.k);
      int64_t k = run.k;
      const auto advance = [&](auto steps) HWY_ATTR {
        constexpr int kCount = decltype(steps)::value;
        for (; k >= kCount; k -= kCount) {
          V wv[kCount][kVectors];
          MEGALITH_UNROLL for (int u = 0; u < kCount; ++u) {
            if (far != Sums::Far::kNo) {
              if (k - u == kAhead && far == Sums::Far::kRows && run.k > kAhead) ahead = start(r + 1);
              MEGALITH_UNROLL for (int line = 0; line < kLines; ++line) hwy::Prefetch(ahead + line * 16);
              ahead += ahead_step;
            }
            MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
              if constexpr (kMask)
                wv[u][v] = LoadFirst(d, w + u * w_step + v * kLanes, left(v));
              else
                wv[u][v] = hn::LoadU(d, w + u * w_step + v * kLanes);
            }
          }
          MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
            const float* from = x[i] + at;
            MEGALITH_UNROLL for (int u = 0; u < kCount; ++u) {
              if (kVectors == 2 && embedded(i)) {
                MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] =
                    hn::Add(acc[i][v], MulBroadcast(from[u * x_step], wv[u][v]));
                continue;
              }
              const V xv = hn::Set(d, from[u * x_step]);
              MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Add(acc[i][v], hn::Mul(xv, wv[u][v]));
            }
          }
          at += kCount * x_step;
          w += kCount * w_step;
        }
      };
      if constexpr (kSteps<kVectors> > 1) advance(std::integral_constant<int, kSteps<kVectors>>());
      advance(std::integral_constant<int, 1>());
    }
  }
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
    float* out = s.out[i0 + i] + s.out_at + j0;
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
      if constexpr (kMask)
        StoreFirst(acc[i][v], d, out + v * kLanes, left(v));
      else
        hn::StoreU(acc[i][v], d, out + v * kLanes);
    }
  }
}

using MicroFn = void (*)(const Sums&, int64_t, int64_t);

template <int kVectors>
constexpr int kMostItems = std::max(1, std::min(14, kAccumulators / kVectors));

// Micro kernels by number of items, for one width.
template <int kVectors, bool kMask>
MicroFn Pick(int64_t items) {
  static constexpr auto kTable = []<size_t... I>(std::index_sequence<I...>) {
    return std::array<MicroFn, sizeof...(I)>{Micro<static_cast<int>(I) + 1, kVectors, kMask>...};
  }(std::make_index_sequence<kMostItems<kVectors>>());
  return kTable[static_cast<size_t>(items - 1)];
}

void SumsOf(const Sums& s) {
  for (int64_t j = 0; j < s.columns;) {
    const int64_t left = s.columns - j;
    // Few items: more columns at once, so that there are enough independent sums.
    int vectors = left > kLanes ? 2 : 1;
    if (s.items <= kMostItems<8> && left >= 8 * kLanes)
      vectors = 8;
    else if (s.items <= kMostItems<4> && left >= 4 * kLanes)
      vectors = 4;
    const bool masked = left < vectors * kLanes;
    const int64_t most = vectors == 8   ? kMostItems<8>
                         : vectors == 4 ? kMostItems<4>
                         : vectors == 2 ? kMostItems<2>
                                        : kMostItems<1>;
    const int64_t tiles = (s.items + most - 1) / most;
    for (int64_t t = 0, at = 0; t < tiles; ++t) {
      const int64_t items = (s.items - at + tiles - t - 1) / (tiles - t);
      const MicroFn fn = vectors == 8   ? Pick<8, false>(items)
                         : vectors == 4 ? Pick<4, false>(items)
                         : vectors == 2 ? (masked ? Pick<2, true>(items) : Pick<2, false>(items))
                                        : (masked ? Pick<1, true>(items) : Pick<1, false>(items));
      fn(s, at, j);
      at += items;
    }
    j += vectors * kLanes;
  }
}

// float(half(v)), NaNs aside: to nearest, ties away from zero.
HWY_INLINE V RoundToHalf(V v) {
  const D d;
  const hn::RebindToUnsigned<D> du;
  const V size = hn::Abs(v);
  const V normal =
      hn::BitCast(d, hn::And(hn::Add(hn::BitCast(du, size), hn::Set(du, 0x1000)), hn::Set(du, ~uint32_t{0x1fff})));
  // below 2^-14: multiples of 2^-24
  const V scaled = hn::Mul(hn::Min(size, hn::Set(d, 1.f)), hn::Set(d, 0x1p24f));
  const V whole = hn::Floor(scaled);
  const V up = hn::IfThenElseZero(hn::Ge(hn::Sub(scaled, whole), hn::Set(d, 0.5f)), hn::Set(d, 1.f));
  const V small = hn::Mul(hn::Add(whole, up), hn::Set(d, 0x1p-24f));
  V r = hn::IfThenElse(hn::Lt(size, hn::Set(d, 0x1p-14f)), small, normal);
  r = hn::IfThenElse(hn::Ge(r, hn::Set(d, 65536.f)), hn::BitCast(d, hn::Set(du, 0x7f800000)), r);
  return hn::CopySign(hn::IfThenElse(hn::Eq(v, v), r, v), v);
}

template <int kItems>
HWY_INLINE void HalfTile(const Sums& s, int64_t i0, int64_t j) {
  const D d;
  const int64_t left = std::min(s.columns - j, kLanes);
  V acc[kItems];
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) acc[i] = hn::Zero(d);
  for (int64_t r = 0; r < s.run_count; ++r) {
    const Run run = s.runs[r];
    for (int64_t k = 0; k < run.k; ++k) {
      const V w = LoadFirst(d, s.w + run.w + k * s.w_step + j, left);
      MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) acc[i] =
          RoundToHalf(hn::Add(acc[i], hn::Mul(hn::Set(d, s.x[i0 + i][run.x + k * s.x_step]), w)));
    }
  }
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) StoreFirst(acc[i], d, s.out[i0 + i] + s.out_at + j, left);
}

void SumsOfHalf(const Sums& s) {
  for (int64_t j = 0; j < s.columns; j += kLanes) {
    int64_t i = 0;
    for (; i + 4 <= s.items; i += 4) HalfTile<4>(s, i, j);
    for (; i < s.items; ++i) HalfTile<1>(s, i, j);
  }
}

int64_t Lanes() { return kLanes; }

}  // namespace megalith::local::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::local {

void sums(const Sums& s) { MEGALITH_DISPATCH(SumsOf)(s); }
void sums_of_half(const Sums& s) { MEGALITH_DISPATCH(SumsOfHalf)(s); }
int64_t lanes() {
  static const int64_t n = MEGALITH_DISPATCH(Lanes)();
  return n;
}

}  // namespace megalith::local
#endif
