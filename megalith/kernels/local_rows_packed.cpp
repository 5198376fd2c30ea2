// Local forward where a group has few output channels and the weights are constant: lanes are neighbours along the
// width, and rows of x are read once for all the rows of outputs that take a tap from them.
#include <algorithm>
#include <type_traits>

#include "megalith/kernels/local_packed.h"
#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"
#include "megalith/packed.h"
#include "megalith/plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/local_rows_packed.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/local-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::local::HWY_NAMESPACE {

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

// The most channels that one call takes.
int64_t RowChannels(int64_t images, int64_t depth) {
  int64_t tile = images >= 8 ? 8 : images >= 4 ? 4 : 1, channels = 4;
  while (tile > 1 && tile * depth > kAccumulators) tile /= 2;
  while (channels > 1 && channels * tile * depth > kAccumulators) channels /= 2;
  return channels;
}

// Windows of 3 x 3 in rows of one channel. Where they have less than kLanes columns an image row is read once, and what
// lies left and right of every column is in the same vector, 0 in the last lane. Otherwise (AVX2) vectors of columns
// are done one after the other, the last one up to the last column: where it overlaps with the one before, both find
// the same. What lies left and right is read from memory but beside the image, where it is 0.
enum class Columns : uint8_t { kAll, kFirst, kMiddle, kLast };
constexpr bool kManyColumns = HWY_TARGET == HWY_AVX2;
struct Neighbours {
  using Lanes = decltype(hn::SetTableIndices(D(), static_cast<const int32_t*>(nullptr)));
  Lanes before, behind;
};
template <int kImages, Columns kColumns>
void Depthwise(const DepthwiseRows& s, const Neighbours& lanes, int64_t group, int64_t image, int64_t j) {
  const D d;
  V acc[kDepth][kImages];  // the sums of output row i are acc[i % kDepth]
  MEGALITH_EACH(k, kDepth) { MEGALITH_EACH(i, kImages) acc[k][i] = hn::Zero(d); }
  const int64_t x_image = s.x_image, out_image = s.out_image, columns = s.columns, rows = s.rows, shift = s.shift,
                out_rows = s.out_rows;
  const float *x = s.x + group * s.x_group + image * x_image + j, *w = s.w + group * s.w_group + j;
  float* const out = s.out + group * s.out_group + image * out_image + j;
  const int64_t next = image + 2 * kImages <= s.images
                           ? kImages * x_image
                           : (group + 1 < s.groups ? s.x_group : s.next) - image * x_image - j;
  const auto before = lanes.before, behind = lanes.behind;
  const auto store = [&](int64_t row, auto place) HWY_ATTR __attribute__((always_inline)) {
    row += shift;
    if (row < 0 || row >= out_rows) return;
    float* to = out + row * columns;
    MEGALITH_EACH(i, kImages) {
      const V sum = acc[decltype(place)::value][i];
      if constexpr (kColumns == Columns::kAll)
        StoreFirst(sum, d, to + i * out_image, columns);
      else
        hn::StoreU(sum, d, to + i * out_image);
    }
  };
  // Column kw of the windows.
  const auto read = [&](const float* from, int kw) HWY_ATTR __attribute__((always_inline)) {
    const bool outside = (kw == 0 && kColumns == Columns::kFirst) || (kw == 2 && kColumns == Columns::kLast);
    if (!outside) return hn::LoadU(d, from + kw - 1);
    const V v = hn::TableLookupLanes(hn::LoadU(d, from), kw == 0 ? before : behind);
    return hn::IfThenZeroElse(kw == 0 ? hn::FirstN(d, 1) : hn::Not(hn::FirstN(d, kLanes - 1)), v);
  };
  const auto take_row = [&](int64_t r, auto phase) HWY_ATTR __attribute__((always_inline)) {
    constexpr int kPhase = decltype(phase)::value;
    if constexpr (kColumns == Columns::kAll) {
      V xv[kImages][kDepth];
      MEGALITH_EACH(i, kImages) {
        xv[i][1] = LoadFirst(d, x + i * x_image, columns);
        xv[i][0] = hn::TableLookupLanes(xv[i][1], before);
        xv[i][2] = hn::TableLookupLanes(xv[i][1], behind);
      }
      MEGALITH_EACH(kw, kDepth) {
        MEGALITH_EACH(k, kDepth) {
          const V wv = hn::LoadU(d, w + (kw * kDepth + k) * columns);
          MEGALITH_EACH(i, kImages) {
            V& sum = acc[(kPhase + kDepth - k) % kDepth][i];
            sum = hn::Add(sum, hn::Mul(xv[i][kw], wv));
          }
        }
      }
    } else {
      MEGALITH_EACH(kw, kDepth) {
        V wv[kDepth];
        MEGALITH_EACH(k, kDepth) wv[k] = hn::LoadU(d, w + (kw * kDepth + k) * columns);
        MEGALITH_EACH(i, kImages) {
          const V xv = Once(read(x + i * x_image, kw));
          MEGALITH_EACH(k, kDepth) AddProduct(acc[(kPhase + kDepth - k) % kDepth][i], xv, wv[k]);
        }
      }
    }
    if (kColumns == Columns::kAll || kColumns == Columns::kFirst) {
      MEGALITH_EACH(i, kImages) hwy::Prefetch(x + next + i * x_image);
    }
    x += columns;
    w += kDepth * kDepth * columns;
    constexpr int kLast = (kPhase + 1) % kDepth;
    store(r - (kDepth - 1), std::integral_constant<int, kLast>());
    MEGALITH_EACH(i, kImages) acc[kLast][i] = hn::Zero(d);
  };
  InTurn<kDepth>(rows, take_row, store);
}

template <int kImages>
void DepthwiseColumns(const DepthwiseRows& s, const Neighbours& lanes, int64_t group, int64_t image) {
  if constexpr (kManyColumns) {
    if (s.columns >= kLanes) {
      Depthwise<kImages, Columns::kFirst>(s, lanes, group, image, 0);
      const int64_t last = s.columns - kLanes;
      for (int64_t j = kLanes; j < last; j += kLanes) Depthwise<kImages, Columns::kMiddle>(s, lanes, group, image, j);
      return Depthwise<kImages, Columns::kLast>(s, lanes, group, image, last);
    }
  }
  Depthwise<kImages, Columns::kAll>(s, lanes, group, image, 0);
}

void DepthwiseImages(const DepthwiseRows& s) {
  const D d;
  int32_t lane[2 * kLanes];
  for (int32_t i = 0; i < 2 * kLanes; ++i) lane[i] = i % kLanes;
  const Neighbours lanes{hn::SetTableIndices(d, lane + kLanes - 1), hn::SetTableIndices(d, lane + 1)};
  for (int64_t group = 0; group < s.groups; ++group) {
    int64_t image = 0;
    for (; image + 4 <= s.images; image += 4) DepthwiseColumns<4>(s, lanes, group, image);
    for (; image < s.images; ++image) DepthwiseColumns<1>(s, lanes, group, image);
  }
}

// Whether DepthwiseImages takes rows of so many columns.
bool DepthwiseTakes(int64_t columns) { return kLanes >= 8 && (columns < kLanes || (kManyColumns && columns > kLanes)); }

// Rows of `columns` floats, one behind the other, to rows `pitch` apart. Up to kMostLanes - 1 floats behind the last
// one become 0.
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
namespace {

void row_panels(const RowPanels& s) { MEGALITH_DISPATCH(PanelRows)(s); }
int64_t row_channels(int64_t images, int64_t depth) { return MEGALITH_DISPATCH(RowChannels)(images, depth); }
void depthwise_rows(const DepthwiseRows& s) { MEGALITH_DISPATCH(DepthwiseImages)(s); }
bool depthwise_takes(int64_t columns) { return MEGALITH_DISPATCH(DepthwiseTakes)(columns); }
void lay_rows(const float* from, int64_t rows, int64_t columns, float* to, int64_t pitch) {
  MEGALITH_DISPATCH(LayRows)(from, rows, columns, to, pitch);
}

// How weights lie: for every group, for tiles of output channels, for vectors of columns (but all for depthwise_rows),
// for rows. Where a window has
// kDepth rows that are one apart, these are rows of the image with what they give to each output row around them (0,
// where there is none); otherwise rows of outputs with their taps inside of the image. Where a tap lies left or right
// of the image its weight is 0, as the image is: a product of zeros changes no sum, because none is ever -0.
struct Order {
  const Geometry& g;
  bool depthwise;               // for depthwise_rows
  int64_t depth, tile, steps;   // steps: of one row of the window
  int64_t first = 0, last = 0;  // depth: rows of the image that are read
  std::vector<Stretch> rows;

  explicit Order(const Geometry& geometry)
      : g(geometry),
        depthwise(g.icpg == 1 && g.ocpg == 1 && g.fh == kDepth && g.fw == kDepth && g.stride_h == 1 && g.pad_w == 1 &&
                  depthwise_takes(g.iw)),
        depth(g.fh == kDepth && g.stride_h == 1 ? kDepth : 1),
        tile(depthwise ? 1 : row_channels(g.n, depth)),
        steps(g.fw * g.icpg),
        last(std::min(g.ih, g.oh + g.fh - 1 - g.pad_h)) {
    rows = stretches(1, g.oh, g.fh, g.ih, [&](int64_t o, int64_t k) { return g.input_row(o, k); })[0];
    first = std::max<int64_t>(0, -g.pad_h);
  }
  int64_t channels_at(int64_t oc) const { return g.ocpg - oc >= tile ? tile : 1; }
  // Rows of weights for one output channel and column, and those before output row oh, not for depth.
  int64_t weight_rows() const { return depth > 1 ? depth * (last - first) : rows_before(g.oh); }
  int64_t rows_before(int64_t oh) const {
    int64_t n = 0;
    for (const Stretch& s : rows) n += std::max<int64_t>(0, std::min(oh, s.end) - s.begin) * (s.high - s.low);
    return n;
  }
  int64_t floats() const { return g.group * g.ocpg * weight_rows() * steps * g.ow; }
  // Every output row takes a tap at least.
  bool all_inside() const {
    return std::all_of(rows.begin(), rows.end(), [](const Stretch& s) { return s.low < s.high; });
  }
};

void fill(const Order& o, const float* filter, int64_t group, float* to) {
  const Geometry& g = o.g;
  const auto put = [&](int64_t oc, int64_t j, int64_t n, int64_t oh, int64_t kh, int64_t kw, int64_t ic) {
    for (int64_t ow = j; ow < j + n; ++ow, ++to) {
      const bool inside = oh >= 0 && oh < g.oh && g.input_col(ow, kw) >= 0 && g.input_col(ow, kw) < g.iw;
      *to = inside ? filter[g.filter_at(group, oh, ow) + ((ic * g.fh + kh) * g.fw + kw) * g.ocpg + oc] : 0.f;
    }
  };
  // for each step and tap, channels
  const auto put_row = [&](int64_t oc, int64_t j, int64_t n, int64_t low, int64_t high, auto&& output) {
    for (int64_t kw = 0; kw < g.fw; ++kw) {
      for (int64_t ic = 0; ic < g.icpg; ++ic) {
        for (int64_t kh = low; kh < high; ++kh) {
          for (int64_t c = 0; c < o.channels_at(oc); ++c) put(oc + c, j, n, output(kh), kh, kw, ic);
        }
      }
    }
  };
  for (int64_t oc = 0; oc < g.ocpg; oc += o.channels_at(oc)) {
    const int64_t most = o.depthwise ? g.ow : lanes();
    for (int64_t j = 0; j < g.ow; j += most) {
      const int64_t n = std::min(most, g.ow - j);
      if (o.depth > 1) {
        for (int64_t ih = o.first; ih < o.last; ++ih)
          put_row(oc, j, n, 0, g.fh, [&](int64_t kh) { return ih + g.pad_h - kh; });
        continue;
      }
      for (const Stretch& s : o.rows) {
        for (int64_t oh = s.begin; oh < s.end; ++oh) {
          for (int64_t kh = s.low; kh < s.high; ++kh) put_row(oc, j, n, kh, kh + 1, [&](int64_t) { return oh; });
        }
      }
    }
  }
}

}  // namespace

bool few_images(const Geometry& g) {
  const int64_t width = (g.ow + lanes() - 1) / lanes() * lanes();
  return g.n < 4 && g.rows * g.cols == 1 && g.fh == kDepth && g.stride_h == 1 && g.ocpg <= lanes() &&
         5 * width <= 6 * g.ow;
}

namespace {

void forward_depthwise(const Order& o, const float* src, const float* weights, float* dst, Exec& exec) {
  const Geometry& g = o.g;
  const int64_t in = g.ih * g.iw, out = g.oh * g.ow, per_group = o.floats() / g.group;
  const auto at = [&](int64_t n, int64_t group) { return (n * g.group + group) * in; };
  // Some groups whose weights stay in the first cache, for some images.
  constexpr int64_t kGroups = 4, kImages = 8;
  exec.parallel_for(g.group, 1 + 65536 / (g.n * per_group), [&](int64_t begin, int64_t end) {
    for (int64_t first = begin, last; first < end; first = last) {
      last = g.n <= kImages ? end : std::min(end, first + kGroups);
      for (int64_t n = 0; n < g.n; n += kImages) {
        depthwise_rows({.x = src + at(n, first) + o.first * g.iw,
                        .w = weights + first * per_group,
                        .out = dst + (n * g.group + first) * out,
                        .groups = last - first,
                        .x_group = in,
                        .w_group = per_group,
                        .out_group = out,
                        .images = std::min(kImages, g.n - n),
                        .x_image = g.group * in,
                        .out_image = g.group * out,
                        .rows = o.last - o.first,
                        .columns = g.iw,
                        .shift = o.first + g.pad_h,
                        .out_rows = g.oh,
                        .next = (n + kImages < g.n ? at(n + kImages, first) : at(0, last)) - at(n, last - 1)});
      }
    }
  });
}

}  // namespace

bool forward_rows_packed(const Geometry& g, const float* src, const Tensor& filter, float* dst, Exec& exec) {
  if (g.flip || g.stride_w != 1 || g.n == 0) return false;
  const Order o(g);
  if (!o.all_inside()) return false;
  const int64_t per_group = o.floats() / g.group;
  const auto bytes = static_cast<size_t>(o.floats() + kMostLanes) * sizeof(float);
  const std::shared_ptr<Storage> packed = packed_again(filter, key_of(g, {2, o.tile}), bytes, [&](std::byte* to) {
    float* w = reinterpret_cast<float*>(to);
    std::fill_n(w + o.floats(), kMostLanes, 0.f);
    exec.parallel_for(g.group, 1 + 65536 / per_group, [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; ++group) fill(o, filter.data<float>(), group, w + group * per_group);
    });
  });
  if (!packed) return false;
  const auto* const weights = reinterpret_cast<const float*>(packed->data());
  if (o.depthwise) {
    forward_depthwise(o, src, weights, dst, exec);
    return true;
  }

  // With masks the image is read where it lies, which pays where it is read for one channel only. Without them rows of
  // it are laid with zeros in between, in which the windows of one row end and those of the next one begin.
  const bool masks = lanes() == 16 && g.ocpg == 1;
  const int64_t right = g.ow - 1 + g.fw - g.pad_w - g.iw;  // columns that are needed behind the image
  const int64_t pitch = masks ? g.iw : whole_vectors(g.iw + std::max(g.pad_w, right));
  const int64_t margin = whole_vectors(g.pad_w);
  // Output rows of a task: their image rows stay in the second cache, and there are enough tasks.
  int64_t most = masks ? g.oh : (kNear / (g.n * g.icpg * pitch) - g.fh) / g.stride_h + 1;
  if (exec.threads() > 1) most = std::min(most, g.oh * g.group / (4 * exec.threads()));
  most = std::clamp<int64_t>(most, 1, g.oh);
  const int64_t blocks = (g.oh + most - 1) / most;
  const int64_t plane = (masks ? g.ih : std::min(g.ih, (most - 1) * g.stride_h + g.fh)) * pitch;
  const int64_t vectors = (g.ow + lanes() - 1) / lanes();
  std::vector<int64_t> x_at;  // for one output, from the first tap inside on
  std::vector<uint8_t> mask;  // the same, for each vector of columns
  for (int64_t kh = 0; kh < (o.depth > 1 ? 1 : g.fh); ++kh) {
    for (int64_t kw = 0; kw < g.fw; ++kw) {
      for (int64_t ic = 0; ic < g.icpg; ++ic) x_at.push_back(ic * plane + kh * pitch + kw - g.pad_w);
    }
  }
  for (int64_t j = 0; masks && j < g.ow; j += lanes()) {
    for (size_t i = 0; i < x_at.size(); ++i) {
      const int64_t left = j + static_cast<int64_t>(i) / g.icpg % g.fw - g.pad_w;  // column of the first lane
      uint32_t bits = 0;
      for (int64_t lane = 0; lane < std::min(lanes(), g.ow - j); ++lane)
        bits |= static_cast<uint32_t>(left + lane >= 0 && left + lane < g.iw) << lane;
      mask.push_back(static_cast<uint8_t>(bits));
      mask.push_back(static_cast<uint8_t>(bits >> 8));
    }
  }
  const int64_t work = (g.n + 1) * most * vectors * lanes() * g.taps() * g.icpg * g.ocpg;
  exec.parallel_for(g.group * blocks, std::max<int64_t>(1, 131072 / work), [&](int64_t begin, int64_t end) {
    const int64_t floats = masks ? 0 : margin + g.n * g.icpg * plane + whole_vectors(g.fw) + kMostLanes;
    float* laid = Scratch::get(Scratch::kTilesOfA, floats);
    std::fill_n(laid, floats, 0.f);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / blocks, top = task % blocks * most, bottom = std::min(g.oh, top + most);
      const int64_t base = std::max<int64_t>(0, top * g.stride_h - g.pad_h);  // of the image
      const int64_t count = std::min(g.ih, (bottom - 1) * g.stride_h - g.pad_h + g.fh) - base;
      const float* x = laid + margin;
      if (masks) {
        x = src + (group * g.icpg * g.ih + base) * g.iw;
      } else {
        for (int64_t i = 0; i < g.n * g.icpg; ++i) {
          const int64_t channel = (i / g.icpg * g.group + group) * g.icpg + i % g.icpg;
          lay_rows(src + (channel * g.ih + base) * g.iw, count, g.iw, laid + margin + i * plane, pitch);
        }
      }
      RowPanels s{.x_image = (masks ? g.group : 1) * g.icpg * plane,
                  .x_row = pitch,
                  .x_at = x_at.data(),
                  .depth = o.depth,
                  .images = g.n,
                  .far = o.floats() > kNear,
                  .out_image = g.group * g.ocpg * g.oh * g.ow,
                  .out_channel = g.oh * g.ow,
                  .out_row = g.ow};
      for (int64_t oc = 0; oc < g.ocpg; oc += s.channels) {
        s.channels = o.channels_at(oc);
        for (int64_t j = 0; j < g.ow; j += lanes()) {
          s.columns = std::min(lanes(), g.ow - j);
          const uint8_t* const row_masks = mask.data() + (masks ? j / lanes() * 2 * x_at.size() : 0);
          const float* w = weights + group * per_group + o.weight_rows() * o.steps * (oc * g.ow + j * s.channels);
          float* out = dst + (((group * g.ocpg) + oc) * g.oh + top) * g.ow + j;
          const int64_t row = o.steps * s.channels * s.columns;  // of weights
          if (o.depth > 1) {
            s.x = x + j;
            s.masks = masks ? row_masks : nullptr;
            s.steps = o.steps;
            s.rows = count;
            s.w = w + (base - o.first) * o.depth * row;
            s.out = out;
            s.shift = base + g.pad_h - top;
            s.out_rows = bottom - top;
            row_panels(s);
            continue;
          }
          w += o.rows_before(top) * row;
          for (int64_t oh = top; oh < bottom; ++oh) {
            const Stretch& t =
                *std::find_if(o.rows.begin(), o.rows.end(), [&](const Stretch& r) { return oh < r.end; });
            s.x = x + (g.input_row(oh, t.low) - base) * pitch + j;
            s.masks = masks ? row_masks : nullptr;
            s.steps = (t.high - t.low) * o.steps;
            s.rows = 1;
            s.w = w;
            s.out = out + (oh - top) * g.ow;
            row_panels(s);
            w += (t.high - t.low) * row;
          }
        }
      }
    }
    Scratch::release(Scratch::kTilesOfA);
  });
  return true;
}

}  // namespace megalith::local
#endif
