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
        const V wv = hn::Set(d, w[c]);
        MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[c][v] = hn::Add(acc[c][v], hn::Mul(xv[v], wv));
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

// One group: x (icpg, IH, IW, n), y (ocpg, OH, OW, n).
void one_group(const Geometry& g, const float* x, const float* filter, float* y, Exec& exec) {
  const auto rows = stretches(g.sgh, g.rows, g.fh, g.ih, [&](int64_t o, int64_t k) { return g.input_row(o, k); });
  const auto cols = stretches(g.sgw, g.cols, g.fw, g.iw, [&](int64_t o, int64_t k) { return g.input_col(o, k); });
  const int64_t per_filter = g.icpg * g.taps() * g.ocpg, cells = g.sgh * g.sgw;
  const int64_t grain = 1 + (int64_t{1} << 18) / std::max<int64_t>(1, g.n * g.rows * g.cols * per_filter);
  exec.parallel_for(cells, grain, [&](int64_t begin, int64_t end) {
    std::vector<Run> runs;
    for (int64_t cell = begin; cell < end; ++cell) {
      bool again = false;
      for (const Stretch& row : rows[static_cast<size_t>(cell / g.sgw)]) {
        for (const Stretch& col : cols[static_cast<size_t>(cell % g.sgw)]) {
          runs.clear();
          for (int64_t kh = row.low; kh < row.high; ++kh) {
            for (int64_t kw = col.low; kw < col.high; ++kw) {
              runs.push_back({(g.input_row(row.begin, kh) * g.iw + g.input_col(col.begin, kw)) * g.n,
                              (kh * g.fw + kw) * g.ocpg, g.icpg});
            }
          }
          for (int64_t oh = row.begin; oh < row.end; ++oh) {
            item_sums({.x = x + (oh - row.begin) * g.stride_h * g.iw * g.n,
                       .x_step = g.ih * g.iw * g.n,
                       .w = filter + cell * per_filter,
                       .w_step = g.taps() * g.ocpg,
                       .next = again || cell + 1 == cells ? 0 : per_filter,
                       .runs = runs.data(),
                       .run_count = static_cast<int64_t>(runs.size()),
                       .items = (col.end - col.begin) * g.n,
                       .channels = g.ocpg,
                       .out = y + (oh * g.ow + col.begin) * g.n,
                       .out_channel = g.oh * g.ow * g.n});
            again = true;
          }
        }
      }
    }
  });
}

}  // namespace

bool many_items(const Geometry& g) {
  const int64_t items = g.n * g.cols, whole = (items + lanes() - 1) / lanes() * lanes();
  return g.ocpg <= lanes() && (g.cols == 1 || g.stride_w == 1) && g.n > 1 && whole >= 2 * lanes() &&
         4 * whole <= 5 * items;
}

void forward_items(const Geometry& g, const float* src, const float* filter, float* dst, Exec& exec) {
  const int64_t in = g.icpg * g.ih * g.iw, out = g.ocpg * g.oh * g.ow;  // of a group in an image
  const int64_t per_group = g.sgh * g.sgw * g.icpg * g.taps() * g.ocpg;
  // calls fn(begin, end) for all of `count` floats of an image
  const auto pieces = [&](int64_t count, Exec& inner, auto&& fn) {
    constexpr int64_t kPiece = 256;
    inner.parallel_for((count + kPiece - 1) / kPiece, 1 + 65536 / (kPiece * g.n),
                       [&](int64_t begin, int64_t end) { fn(begin * kPiece, std::min(count, end * kPiece)); });
  };
  const auto run_group = [&](int64_t group, Exec& inner) {
    auto* x = Scratch::get(Scratch::kImage, in * g.n + kMostLanes);
    auto* y = Scratch::get(Scratch::kSums, out * g.n);
    pieces(in, inner, [&](int64_t begin, int64_t end) {
      copying::transpose(src + group * in + begin, g.group * in, x + begin * g.n, g.n, end - begin, g.n);
    });
    std::fill_n(x + in * g.n, kMostLanes, 0.f);
    one_group(g, x, filter + group * per_group, y, inner);
    pieces(out, inner, [&](int64_t begin, int64_t end) {
      copying::transpose(y + begin * g.n, g.n, dst + group * out + begin, g.group * out, g.n, end - begin);
    });
    Scratch::release(Scratch::kImage);
    Scratch::release(Scratch::kSums);
  };
  if (g.group < 2 * exec.threads()) {
    for (int64_t group = 0; group < g.group; ++group) run_group(group, exec);
    return;
  }
  // What is turned around stays in the caches of one processor.
  exec.parallel_for(g.group, 1, [&](int64_t begin, int64_t end) {
    Exec serial;
    for (int64_t group = begin; group < end; ++group) run_group(group, serial);
  });
}

}  // namespace megalith::local
#endif
