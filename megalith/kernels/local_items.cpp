// Local forward where a group has at most one vector of output channels but many outputs that share a filter: lanes are
// images and, in a cell, columns beside each other. What a lane reads of x serves all channels.
#include <algorithm>
#include <vector>

#include "megalith/kernels/copy.h"
#include "megalith/kernels/local_packed.h"
#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/local_items.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/local-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::local::HWY_NAMESPACE {

constexpr int kMostChannels = kManyRegisters ? 8 : 4;

// kVectors vectors of items from i0 on, kChannels channels from c0 on.
template <int kVectors, int kChannels>
void Tile(const ItemSums& s, int64_t i0, int64_t c0) {
  const D d;
  V acc[kChannels][kVectors];
  MEGALITH_UNROLL for (int c = 0; c < kChannels; ++c) {
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[c][v] = hn::Zero(d);
  }
  const int64_t x_step = s.x_step, w_step = s.w_step;
  const int64_t next = i0 == 0 && c0 == 0 ? s.next : 0;
  for (int64_t r = 0; r < s.run_count; ++r) {
    const Run run = s.runs[r];
    const float *x = s.x + run.x + i0, *w = s.w + run.w + c0;
    for (int64_t k = 0; k < run.k; ++k, x += x_step, w += w_step) {
      if (next) hwy::Prefetch(w + next);
      V xv[kVectors];
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) xv[v] = hn::LoadU(d, x + v * kLanes);
      MEGALITH_UNROLL for (int c = 0; c < kChannels; ++c) {
        if (kVectors > 1 && embedded(c)) {
          MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[c][v] = hn::Add(acc[c][v], MulBroadcast(w[c], xv[v]));
        } else {
          const V wv = hn::Set(d, w[c]);
          MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[c][v] = hn::Add(acc[c][v], hn::Mul(xv[v], wv));
        }
      }
    }
  }
  MEGALITH_UNROLL for (int c = 0; c < kChannels; ++c) {
    float* out = s.out + (c0 + c) * s.out_channel + i0;
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
      const int64_t left = s.items - i0 - v * kLanes;
      if (left >= kLanes)
        hn::StoreU(acc[c][v], d, out + v * kLanes);
      else
        StoreFirst(acc[c][v], d, out + v * kLanes, left);
    }
  }
}

template <int kChannels>
void ItemsOf(const ItemSums& s, int64_t channel) {
  for (int64_t vectors = (s.items + kLanes - 1) / kLanes, i = 0; vectors > 0;) {
    // four are best done as two and two
    const int64_t at_once = vectors == 4 ? 2 : std::min<int64_t>(3, vectors);
    switch (at_once) {
      case 3: Tile<3, kChannels>(s, i, channel); break;
      case 2: Tile<2, kChannels>(s, i, channel); break;
      default: Tile<1, kChannels>(s, i, channel);
    }
    vectors -= at_once;
    i += at_once * kLanes;
  }
}

void ChannelsOf(const ItemSums& s) {
  int64_t c = 0;
  for (; c + kMostChannels <= s.channels; c += kMostChannels) ItemsOf<kMostChannels>(s, c);
  if constexpr (kMostChannels > 4) {
    for (; c + 4 <= s.channels; c += 4) ItemsOf<4>(s, c);
  }
  for (; c < s.channels; ++c) ItemsOf<1>(s, c);
}

}  // namespace megalith::local::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::local {
namespace {

void item_sums(const ItemSums& s) { MEGALITH_DISPATCH(ChannelsOf)(s); }

// Output rows [top, bottom) of a group in all images, n innermost: y is (ocpg, rows, OW, n), x (icpg, rows, IW, n) from
// image row `base` on. Where items are images alone, channels lie inside of columns, as a sum takes them.
struct Block {
  int64_t group, top, bottom, base, x_rows;
  int64_t x_channel, x_column, y_channel, y_column;

  Block(const Geometry& g, int64_t group, int64_t top, int64_t bottom)
      : group(group), top(top), bottom(bottom), base(std::clamp<int64_t>(top * g.stride_h - g.pad_h, 0, g.ih)) {
    x_rows = std::clamp((bottom - 1) * g.stride_h - g.pad_h + g.fh, base, g.ih) - base;
    const bool inside = g.cols == 1;
    x_channel = inside ? g.n : x_rows * g.iw * g.n;
    x_column = inside ? g.icpg * g.n : g.n;
    y_channel = inside ? g.n : (bottom - top) * g.ow * g.n;
    y_column = inside ? g.ocpg * g.n : g.n;
  }
};

}  // namespace

bool many_items(const Geometry& g) {
  const int64_t items = g.n * g.cols, whole = (items + lanes() - 1) / lanes() * lanes();
  return g.ocpg <= lanes() && (g.cols == 1 || g.stride_w == 1) && g.n > 1 && whole >= 2 * lanes() &&
         4 * whole <= 5 * items;
}

void forward_items(const Geometry& g, const float* src, const float* filter, float* dst, Exec& exec) {
  const int64_t in = g.icpg * g.ih * g.iw, out = g.ocpg * g.oh * g.ow;  // of a group in an image
  const int64_t per_filter = g.icpg * g.taps() * g.ocpg;
  const auto rows = stretches(g.sgh, g.rows, g.fh, g.ih, [&](int64_t o, int64_t k) { return g.input_row(o, k); });
  const auto cols = stretches(g.sgw, g.cols, g.fw, g.iw, [&](int64_t o, int64_t k) { return g.input_col(o, k); });
  // Rows of cells of a task: x and y stay in the second cache while weights pass through it, and there are enough
  // tasks.
  int64_t most = kNear / (g.n * g.rows * (g.icpg * g.iw * g.stride_h + g.ocpg * g.ow));
  if (exec.threads() > 1) most = std::min(most, g.sgh * g.group / (4 * exec.threads()));
  most = std::clamp<int64_t>(most, 1, g.sgh);
  const int64_t blocks = (g.sgh + most - 1) / most;
  most = (g.sgh + blocks - 1) / blocks;  // alike; the last ones may be empty
  exec.parallel_for(
      g.group * blocks, 1 + (int64_t{1} << 18) / (g.n * most * g.rows * g.ow * per_filter),
      [&](int64_t begin, int64_t end) {
        std::vector<Run> runs;
        for (int64_t task = begin; task < end; ++task) {
          const int64_t first = task % blocks * most, last = std::min(g.sgh, first + most);
          if (first >= last) continue;
          const Block b(g, task / blocks, first * g.rows, last * g.rows);
          const int64_t x_pixels = b.x_rows * g.iw, y_pixels = (b.bottom - b.top) * g.ow;
          float* x = Scratch::get(Scratch::kImage, g.icpg * x_pixels * g.n + kMostLanes);
          float* y = Scratch::get(Scratch::kSums, g.ocpg * y_pixels * g.n);
          for (int64_t ic = 0; ic < g.icpg; ++ic) {
            copying::transpose(src + b.group * in + (ic * g.ih + b.base) * g.iw, g.group * in, x + ic * b.x_channel,
                               b.x_column, x_pixels, g.n);
          }
          std::fill_n(x + g.icpg * x_pixels * g.n, kMostLanes, 0.f);
          for (int64_t cell = first * g.sgw; cell < last * g.sgw; ++cell) {
            const int64_t index = b.group * g.sgh * g.sgw + cell;
            bool again = false;
            for (const Stretch& row : rows[static_cast<size_t>(cell / g.sgw)]) {
              for (const Stretch& col : cols[static_cast<size_t>(cell % g.sgw)]) {
                runs.clear();
                for (int64_t kh = row.low; kh < row.high; ++kh) {
                  for (int64_t kw = col.low; kw < col.high; ++kw) {
                    const int64_t at = (g.input_row(row.begin, kh) - b.base) * g.iw + g.input_col(col.begin, kw);
                    runs.push_back({at * b.x_column, (kh * g.fw + kw) * g.ocpg, g.icpg});
                  }
                }
                for (int64_t oh = row.begin; oh < row.end; ++oh) {
                  item_sums({.x = x + (oh - row.begin) * g.stride_h * g.iw * b.x_column,
                             .x_step = b.x_channel,
                             .w = filter + index * per_filter,
                             .w_step = g.taps() * g.ocpg,
                             .next = again || index + 1 == g.group * g.sgh * g.sgw ? 0 : per_filter,
                             .runs = runs.data(),
                             .run_count = static_cast<int64_t>(runs.size()),
                             .items = (col.end - col.begin) * g.n,
                             .channels = g.ocpg,
                             .out = y + ((oh - b.top) * g.ow + col.begin) * b.y_column,
                             .out_channel = b.y_channel});
                  again = true;
                }
              }
            }
          }
          for (int64_t oc = 0; oc < g.ocpg; ++oc) {
            copying::transpose(y + oc * b.y_channel, b.y_column, dst + b.group * out + (oc * g.oh + b.top) * g.ow,
                               g.group * out, g.n, y_pixels);
          }
          Scratch::release(Scratch::kImage);
          Scratch::release(Scratch::kSums);
        }
      });
}

}  // namespace megalith::local
#endif
