#include "megalith/kernels/local_tile.h"

#include <algorithm>
#include <array>
#include <utility>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/local_tile.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::local::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::LoadFirst;
using megalith::HWY_NAMESPACE::StoreFirst;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

#if HWY_TARGET == HWY_AVX3
constexpr int kAccumulators = 24;
#elif HWY_ARCH_ARM_A64
constexpr int kAccumulators = 24;
#else
constexpr int kAccumulators = 12;
#endif


// Items [i0, i0 + kItems) and kVectors vectors of columns from j0 on. The last vector may reach beyond the columns when
// kMask is set.
template <int kItems, int kVectors, bool kMask>
void Micro(const Sums& s, int64_t i0, int64_t j0) {
  const D d;
  V acc[kItems][kVectors], saved[kItems][kVectors];
  const float* x[kItems];
  const auto left = [&](int v) { return std::clamp<int64_t>(s.columns - j0 - v * kLanes, 0, kLanes); };
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
    x[i] = s.x[i0 + i];
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = saved[i][v] = hn::Zero(d);
  }
  const int64_t w_step = s.w_step, x_step = s.x_step;
  for (int64_t repeat = 0; repeat < s.repeats; ++repeat) {
    for (int64_t r = 0; r < s.run_count; ++r) {
      const Run run = s.runs[r];
      int64_t at = repeat * s.x_repeat + run.x;
      const float* w = s.w + j0 + repeat * s.w_repeat + run.w;
      // Items that stand aside compute something, from what another reads, and get their sums back.
      int taking = kItems;
      const uint8_t* takes = s.takes ? s.takes + r * s.items + i0 : nullptr;
      if (takes) {
        taking = 0;
        int last = 0;
        for (int i = 0; i < kItems; ++i) {
          if (takes[i]) ++taking, last = i;
        }
        if (taking == 0) continue;
        if (taking < kItems) {
          for (int i = 0; i < kItems; ++i) x[i] = s.x[i0 + (takes[i] ? i : last)];
          MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
            MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) saved[i][v] = acc[i][v];
          }
        }
      }
      for (int64_t k = run.k; k > 0; --k) {
        V wv[kVectors];
        MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
          if constexpr (kMask)
            wv[v] = LoadFirst(d, w + v * kLanes, left(v));
          else
            wv[v] = hn::LoadU(d, w + v * kLanes);
        }
        MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
          const V xv = hn::Set(d, x[i][at]);
          MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Add(acc[i][v], hn::Mul(xv, wv[v]));
        }
        at += x_step;
        w += w_step;
      }
      if (taking < kItems) {
        MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
          if (takes[i]) continue;
          x[i] = s.x[i0 + i];
          MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = saved[i][v];
        }
      }
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

int64_t Lanes() { return kLanes; }

}  // namespace megalith::local::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::local {

void sums(const Sums& s) { MEGALITH_DISPATCH(SumsOf)(s); }
int64_t lanes() {
  static const int64_t n = MEGALITH_DISPATCH(Lanes)();
  return n;
}

}  // namespace megalith::local
#endif
