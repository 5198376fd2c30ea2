// Local forward where a group has few output channels and the weights are constant: lanes are neighbours along the
// width, and rows of x are read once for all the rows of outputs that take a tap from them.
#include <algorithm>
#include <type_traits>

#include "hwy/cache_control.h"
#include "megalith/kernels/local_tile.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/local_row_panels.cpp"
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

#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kAccumulators = 24;
#elif HWY_TARGET == HWY_WASM
constexpr int kAccumulators = 4;  // a small module
#else
constexpr int kAccumulators = 12;
#endif

static_assert(kDepth == 3);
#define MEGALITH_EACH(i, n) MEGALITH_UNROLL for (int i = 0; i < n; ++i)

// take(r, phase) for all rows, where phase is r % kRows; then what rows from below the last would finish.
template <int kRows, class Take, class Store>
HWY_INLINE void InTurn(int64_t rows, const Take& take, const Store& store) {
  for (int64_t r = 0; r < rows; r += kRows) {
    take(r, std::integral_constant<int, 0>());
    if constexpr (kRows > 1) {
      if (r + 1 < rows) take(r + 1, std::integral_constant<int, 1>());
      if (r + 2 < rows) take(r + 2, std::integral_constant<int, 2>());
    }
  }
  for (int64_t r = rows - (kRows - 1); r < rows; ++r) {
    switch ((r + kRows) % kRows) {
      case 0: store(r, std::integral_constant<int, 0>()); break;
      case 1: store(r, std::integral_constant<int, 1 % kRows>()); break;
      default: store(r, std::integral_constant<int, kRows - 1>());
    }
  }
}

template <int kRows, int kImages, int kOut, bool kMasks>
void Tile(const RowPanels& s, int64_t image) {
  const D d;
  V acc[kRows][kImages][kOut];  // the sums of output row i are acc[i % kRows]
  MEGALITH_EACH(k, kRows) {
    MEGALITH_EACH(i, kImages) { MEGALITH_EACH(o, kOut) acc[k][i][o] = hn::Zero(d); }
  }
  const float* w = s.w;
  const int64_t columns = s.columns, x_image = s.x_image, steps = s.steps, rows = s.rows, x_row = s.x_row;
  const int64_t* const x_at = s.x_at;
  const uint8_t* const masks = s.masks;
  const bool far = s.far && image == 0;
  const float* x = s.x + image * x_image;
  const int64_t out_image = s.out_image, out_channel = s.out_channel, out_row = s.out_row, shift = s.shift,
                out_rows = s.out_rows;
  float* const out = s.out + image * out_image;
  const auto store = [&](int64_t row, auto place) HWY_ATTR __attribute__((always_inline)) {
    row += shift;
    if (row < 0 || row >= out_rows) return;
    float* to = out + row * out_row;
    MEGALITH_EACH(i, kImages) {
      MEGALITH_EACH(o, kOut)
      StoreFirst(acc[decltype(place)::value][i][o], d, to + i * out_image + o * out_channel, columns);
    }
  };
  const auto take_row = [&](int64_t r, auto phase) HWY_ATTR __attribute__((always_inline)) {
    constexpr int kPhase = decltype(phase)::value;
    for (int64_t step = 0; step < steps; ++step) {
      if (far) {
        MEGALITH_EACH(i, kRows * kOut) hwy::Prefetch(w + i * columns + 1024);
      }
      const float* from = x + x_at[step];
      V wv[kRows][kOut];
      if constexpr (kImages > 1) {
        MEGALITH_EACH(k, kRows) { MEGALITH_EACH(o, kOut) wv[k][o] = hn::LoadU(d, w + (k * kOut + o) * columns); }
      }
      MEGALITH_EACH(i, kImages) {
        V xv;
        if constexpr (kMasks)
          xv = hn::MaskedLoad(hn::LoadMaskBits(d, masks + step * 2), d, from + i * x_image);
        else
          xv = hn::LoadU(d, from + i * x_image);
#if HWY_COMPILER_GCC_ACTUAL && (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3)
        asm("" : "+v"(xv.raw));  // GCC would read it again for every product, mostly across two lines of the cache
#endif
        MEGALITH_EACH(k, kRows) {
          MEGALITH_EACH(o, kOut) {
            V& sum = acc[(kPhase + kRows - k) % kRows][i][o];
            if constexpr (kImages > 1)
              sum = hn::Add(sum, hn::Mul(xv, wv[k][o]));
            else
              sum = hn::Add(sum, hn::Mul(xv, hn::LoadU(d, w + (k * kOut + o) * columns)));
          }
        }
      }
      w += kRows * kOut * columns;
    }
    x += x_row;
    constexpr int kLast = (kPhase + 1) % kRows;
    store(r - (kRows - 1), std::integral_constant<int, kLast>());
    MEGALITH_EACH(i, kImages) { MEGALITH_EACH(o, kOut) acc[kLast][i][o] = hn::Zero(d); }
  };
  InTurn<kRows>(rows, take_row, store);
}

template <int kRows, int kOut, bool kMasks>
void ImagesOf(const RowPanels& s) {
  int64_t image = 0;
  if constexpr (kRows * 8 * kOut <= kAccumulators) {
    for (; image + 8 <= s.images; image += 8) Tile<kRows, 8, kOut, kMasks>(s, image);
  }
  if constexpr (kRows * 4 * kOut <= kAccumulators) {
    for (; image + 4 <= s.images; image += 4) Tile<kRows, 4, kOut, kMasks>(s, image);
  }
  for (; image < s.images; ++image) Tile<kRows, 1, kOut, kMasks>(s, image);
}

template <int kRows>
void ChannelsOf(const RowPanels& s) {
  switch (s.channels) {
    case 1: return s.masks ? ImagesOf < kRows, 1, kLanes == 16 > (s) : ImagesOf<kRows, 1, false>(s);
    case 2: return ImagesOf<kRows, 2, false>(s);
    default: return ImagesOf<kRows, 4, false>(s);
  }
}

void PanelRows(const RowPanels& s) { s.depth == 1 ? ChannelsOf<1>(s) : ChannelsOf<kDepth>(s); }

int64_t RowChannels(int64_t images, int64_t depth) {
  int64_t tile = images >= 8 ? 8 : images >= 4 ? 4 : 1, channels = 4;
  while (tile > 1 && tile * depth > kAccumulators) tile /= 2;
  while (channels > 1 && channels * tile * depth > kAccumulators) channels /= 2;
  return channels;
}

// Windows of 3 x 3 in rows of less than kLanes columns, one channel: an image row is read once, and what lies left and
// right of every column is in the same vector, 0 in the last lane.
template <int kImages>
void Depthwise(const DepthwiseRows& s, int64_t image) {
  const D d;
  V acc[kDepth][kImages];  // the sums of output row i are acc[i % kDepth]
  MEGALITH_EACH(k, kDepth) { MEGALITH_EACH(i, kImages) acc[k][i] = hn::Zero(d); }
  const int64_t x_image = s.x_image, out_image = s.out_image, columns = s.columns, rows = s.rows, shift = s.shift,
                out_rows = s.out_rows;
  const float *x = s.x + image * x_image, *w = s.w;
  float* const out = s.out + image * out_image;
  const int64_t next = image + 2 * kImages <= s.images ? kImages * x_image : s.next - image * x_image;
  int32_t lane[2 * kLanes];
  for (int32_t i = 0; i < 2 * kLanes; ++i) lane[i] = i % kLanes;
  const auto before = hn::SetTableIndices(d, lane + kLanes - 1), behind = hn::SetTableIndices(d, lane + 1);
  const auto store = [&](int64_t row, auto place) HWY_ATTR __attribute__((always_inline)) {
    row += shift;
    if (row < 0 || row >= out_rows) return;
    float* to = out + row * columns;
    MEGALITH_EACH(i, kImages) StoreFirst(acc[decltype(place)::value][i], d, to + i * out_image, columns);
  };
  const auto take_row = [&](int64_t r, auto phase) HWY_ATTR __attribute__((always_inline)) {
    constexpr int kPhase = decltype(phase)::value;
    V xv[kImages][kDepth];
    MEGALITH_EACH(i, kImages) {
      xv[i][1] = LoadFirst(d, x + i * x_image, columns);
      xv[i][0] = hn::TableLookupLanes(xv[i][1], before);
      xv[i][2] = hn::TableLookupLanes(xv[i][1], behind);
    }
    MEGALITH_EACH(kw, kDepth) {
      MEGALITH_EACH(k, kDepth) {
        const V wv = hn::Load(d, w + (kw * kDepth + k) * kLanes);
        MEGALITH_EACH(i, kImages) {
          V& sum = acc[(kPhase + kDepth - k) % kDepth][i];
          sum = hn::Add(sum, hn::Mul(xv[i][kw], wv));
        }
      }
    }
    MEGALITH_EACH(i, kImages) hwy::Prefetch(x + next + i * x_image);
    x += columns;
    w += kDepth * kDepth * kLanes;
    constexpr int kLast = (kPhase + 1) % kDepth;
    store(r - (kDepth - 1), std::integral_constant<int, kLast>());
    MEGALITH_EACH(i, kImages) acc[kLast][i] = hn::Zero(d);
  };
  InTurn<kDepth>(rows, take_row, store);
}

void DepthwiseImages(const DepthwiseRows& s) {
  int64_t image = 0;
  for (; image + 4 <= s.images; image += 4) Depthwise<4>(s, image);
  for (; image < s.images; ++image) Depthwise<1>(s, image);
}

void LayRows(const float* from, int64_t rows, int64_t columns, float* to, int64_t pitch) {
  const D d;
  for (int64_t r = 0; r < rows; ++r, from += columns, to += pitch) {
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) hn::StoreU(hn::LoadU(d, from + c), d, to + c);
    if (c < columns) hn::StoreU(LoadFirst(d, from + c, columns - c), d, to + c);
  }
}

}  // namespace megalith::local::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::local {

void row_panels(const RowPanels& s) { MEGALITH_DISPATCH(PanelRows)(s); }
int64_t row_channels(int64_t images, int64_t depth) { return MEGALITH_DISPATCH(RowChannels)(images, depth); }
void depthwise_rows(const DepthwiseRows& s) { MEGALITH_DISPATCH(DepthwiseImages)(s); }
void lay_rows(const float* from, int64_t rows, int64_t columns, float* to, int64_t pitch) {
  MEGALITH_DISPATCH(LayRows)(from, rows, columns, to, pitch);
}

}  // namespace megalith::local
#endif
