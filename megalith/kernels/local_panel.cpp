// Sums over packed weights: the hot loop of local convolutions whose weights are constant.
#include <algorithm>
#include <array>
#include <utility>

#include "hwy/cache_control.h"
#include "megalith/kernels/local_tile.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/local_panel.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::local::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kAccumulators = 24;
template <int kVectors>
constexpr int kSteps = kVectors == 1   ? 4
                       : kVectors == 2 ? 2
                                       : 1;
#elif HWY_TARGET == HWY_WASM
constexpr int kAccumulators = 4;  // a small module
template <int kVectors>
constexpr int kSteps = 1;
#else
constexpr int kAccumulators = 12;
template <int kVectors>
constexpr int kSteps = kVectors == 1 ? 2 : 1;
#endif
template <int kVectors>
constexpr int kMostItems = std::max(1, std::min(14, kAccumulators / kVectors));

constexpr int64_t kFloatsAhead = 4096;

// Items [i0, i0 + kItems) of one cell, or, with kCells, one item of each of kItems cells.
template <int kItems, int kVectors, bool kCells>
void Panel(const PanelSums& s, int64_t i0) {
  const D d;
  constexpr int64_t kRow = kVectors * kLanes;
  constexpr int kWeights = kCells ? kItems : 1;
  V acc[kItems][kVectors];
  const float* x[kItems];
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
    x[i] = kCells ? s.x[0] + s.x_at + (i0 + i) * s.x_cell : s.x[i0 + i] + s.x_at;
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Zero(d);
  }
  const bool far = (kCells || i0 == 0) && s.far;
  const float* const first = s.w + (kCells ? i0 * s.w_cell : 0);
  const int64_t w_cell = s.w_cell;
  for (int64_t r = 0; r < s.run_count; ++r) {
    const Run run = s.runs[r];
    const float* w = first + run.w * kRow;
    const float* from[kItems];
    MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) from[i] = x[i] + run.x;
    int64_t at = 0;
    const auto advance = [&](auto steps) HWY_ATTR {
      constexpr int kCount = decltype(steps)::value;
      if (far) {
        constexpr int kLines = static_cast<int>((kCount * kRow + 15) / 16);
        MEGALITH_UNROLL for (int c = 0; c < kWeights; ++c) {
          MEGALITH_UNROLL for (int line = 0; line < kLines; ++line)
              hwy::Prefetch(w + c * w_cell + kFloatsAhead + line * 16);
        }
      }
      if constexpr (kVectors <= 2 && !kCells) {
        V wv[kCount][kVectors];
        MEGALITH_UNROLL for (int u = 0; u < kCount; ++u) {
          MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) wv[u][v] = hn::LoadU(d, w + u * kRow + v * kLanes);
        }
        MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
          MEGALITH_UNROLL for (int u = 0; u < kCount; ++u) {
            const V xv = hn::Set(d, from[i][at + u]);
            MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Add(acc[i][v], hn::Mul(xv, wv[u][v]));
          }
        }
      } else {
        MEGALITH_UNROLL for (int u = 0; u < kCount; ++u) {
          V xv[kItems];
          MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) xv[i] = hn::Set(d, from[i][at + u]);
          MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
            V wv[kWeights];
            MEGALITH_UNROLL for (int c = 0; c < kWeights; ++c) wv[c] =
                hn::LoadU(d, w + c * w_cell + u * kRow + v * kLanes);
            MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) acc[i][v] =
                hn::Add(acc[i][v], hn::Mul(xv[i], wv[kCells ? i : 0]));
          }
        }
      }
      at += kCount;
      w += kCount * kRow;
    };
    constexpr int kMost = kSteps<kVectors>;
    for (; at + kMost <= run.k;) advance(std::integral_constant<int, kMost>());
    if constexpr (kMost > 1) {
      while (at < run.k) advance(std::integral_constant<int, 1>());
    }
  }
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
    float* out = (kCells ? s.out[0] + (i0 + i) * s.out_cell : s.out[i0 + i]) + s.out_at;
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
      const int64_t left = s.columns - v * kLanes;
      if (left >= kLanes)
        hn::StoreU(acc[i][v], d, out + v * kLanes);
      else
        megalith::HWY_NAMESPACE::StoreFirst(acc[i][v], d, out + v * kLanes, left);
    }
  }
}

using PanelFn = void (*)(const PanelSums&, int64_t);

template <int kVectors>
void ItemsOf(const PanelSums& s) {
  static constexpr auto kTable = []<size_t... I>(std::index_sequence<I...>) {
    return std::array<PanelFn, sizeof...(I)>{Panel<static_cast<int>(I) + 1, kVectors, false>...};
  }(std::make_index_sequence<kMostItems<kVectors>>());
  const int64_t tiles = (s.items + kMostItems<kVectors> - 1) / kMostItems<kVectors>;
  PanelSums cell = s;
  for (int64_t c = 0; c < s.cells; ++c) {
    for (int64_t t = 0, at = 0; t < tiles; ++t) {
      const int64_t items = (s.items - at + tiles - t - 1) / (tiles - t);
      kTable[static_cast<size_t>(items - 1)](cell, at);
      at += items;
    }
    cell.x_at += s.x_cell;
    cell.out_at += s.out_cell;
    cell.w += s.w_cell;
  }
}

void CellsOf(const PanelSums& s) {
  constexpr int kAtOnce = std::min(4, kAccumulators / 2);
  int64_t at = 0;
  for (; at + kAtOnce <= s.cells; at += kAtOnce) Panel<kAtOnce, 1, true>(s, at);
  for (; at < s.cells; ++at) Panel<1, 1, true>(s, at);
}

void PanelsOf(const PanelSums& s) {
  if (s.cells > 1 && s.items == 1 && s.vectors == 1) return CellsOf(s);
  switch (s.vectors) {
    case 1: return ItemsOf<1>(s);
    case 2: return ItemsOf<2>(s);
    case 4: return ItemsOf<4>(s);
    default: return ItemsOf<8>(s);
  }
}

// Few items: more columns at once, so that there are enough independent sums.
int64_t VectorsAtOnce(int64_t items) { return items <= kMostItems<8> ? 8 : items <= kMostItems<4> ? 4 : 2; }

}  // namespace megalith::local::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::local {

void panel_sums(const PanelSums& s) { MEGALITH_DISPATCH(PanelsOf)(s); }
int64_t vectors_at_once(int64_t items) { return MEGALITH_DISPATCH(VectorsAtOnce)(items); }

}  // namespace megalith::local
#endif
