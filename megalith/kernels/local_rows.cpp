// Local forward where a group has few output channels: lanes are neighbours along the width.
#include <algorithm>
#include <array>
#include <vector>

#include "megalith/kernels/copy.h"
#include "megalith/kernels/local.h"
#include "megalith/kernels/local_tile.h"
#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/local_rows.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::local::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D, int kImages>
HWY_INLINE void RowTile(const RowSums& s, int64_t image, int64_t j) {
  const D d;
  hn::Vec<D> acc[kImages];
  MEGALITH_UNROLL for (int i = 0; i < kImages; ++i) acc[i] = hn::Zero(d);
  const float* x = s.x + image * s.x_image + j;
  const float* w = s.w + j;
  for (int64_t k = 0; k < s.steps; ++k) {
    const auto wv = hn::LoadU(d, w + s.w_at[k]);
    const float* from = x + s.x_at[k];
    MEGALITH_UNROLL for (int i = 0; i < kImages; ++i) acc[i] =
        hn::Add(acc[i], hn::Mul(hn::LoadU(d, from + i * s.x_image), wv));
  }
  const int64_t left = std::min<int64_t>(s.columns - j, static_cast<int64_t>(hn::MaxLanes(d)));
  MEGALITH_UNROLL for (int i = 0; i < kImages; ++i)
      megalith::HWY_NAMESPACE::StoreFirst(acc[i], d, s.out + (image + i) * s.out_image + j, left);
}

template <class D>
HWY_INLINE void RowsOf(const RowSums& s) {
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
  for (int64_t j = 0; j < s.columns; j += kLanes) {
    int64_t image = 0;
    for (; image + 8 <= s.images; image += 8) RowTile<D, 8>(s, image, j);
    for (; image + 2 <= s.images; image += 2) RowTile<D, 2>(s, image, j);
    if (image < s.images) RowTile<D, 1>(s, image, j);
  }
}

void Rows(const RowSums& s) {
  if (s.columns <= 8)
    RowsOf<hn::CappedTag<float, 8>>(s);
  else
    RowsOf<hn::CappedTag<float, 16>>(s);
}

}  // namespace megalith::local::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::local {

void row_sums(const RowSums& s) { MEGALITH_DISPATCH(Rows)(s); }

namespace {

// An image row lies in `phases` pieces, so that neighbouring outputs read neighbours whatever the stride: column c of
// the padded row is element c / stride of piece c % stride.
struct Lay {
  int64_t phases, pitch;  // pieces, floats of one
  int64_t columns;        // of the output, rounded up to vectors

  explicit Lay(const Geometry& g) {
    phases = std::min(g.stride_w, g.fw);
    columns = whole_vectors(g.ow);
    pitch = columns + g.fw / g.stride_w + 1;
  }
  int64_t row() const { return phases * pitch; }
};

void lay_row(const Geometry& g, const Lay& lay, const float* from, float* to) {
  std::fill(to, to + lay.row(), 0.f);
  for (int64_t p = 0; p < lay.phases; ++p) {
    // columns of the image: at * stride + p - pad
    const int64_t before = g.pad_w - p;
    const int64_t first = before <= 0 ? 0 : (before + g.stride_w - 1) / g.stride_w;
    const int64_t behind = g.iw + before;  // padded column after the last
    const int64_t last = behind <= 0 ? 0 : std::min(lay.pitch, (behind + g.stride_w - 1) / g.stride_w);
    const float* x = from - before;
    float* out = to + p * lay.pitch;
    if (g.stride_w == 1) {
      if (first < last) std::copy(x + first, x + last, out + first);
    } else {
      for (int64_t i = first; i < last; ++i) out[i] = x[i * g.stride_w];
    }
  }
}

// The weights of `rows` rows of outputs with positions beside each other: (icpg, FH, FW, ocpg, rows, ow). Where a tap
// lies left or right of the image they are 0, as the image is: a product of zeros changes no sum, because none is ever
// -0.
void lay_weights(const Geometry& g, int64_t rows, const float* filter, float* to) {
  const int64_t per_filter = g.icpg * g.taps() * g.ocpg, positions = rows * g.ow;
  copying::transpose(filter, per_filter, to, positions, per_filter, positions);
  for (int64_t kw = 0; kw < g.fw; ++kw) {
    int64_t low = 0, high = g.ow;
    while (low < high && g.input_col(low, kw) < 0) ++low;
    while (low < high && g.input_col(high - 1, kw) >= g.iw) --high;
    if (low == 0 && high == g.ow) continue;
    for (int64_t step = 0; step < g.icpg * g.fh; ++step) {
      float* w = to + (step * g.fw + kw) * g.ocpg * positions;
      for (int64_t row = 0; row < g.ocpg * rows; ++row, w += g.ow) {
        std::fill(w, w + low, 0.f);
        std::fill(w + high, w + g.ow, 0.f);
      }
    }
  }
}

// Whether lanes along a width pay, beside lanes along channels: vectors for one step and position, either way. Sums
// over many channels at once wait less for each other.
bool along_width(const Geometry& g, int64_t channels, int64_t width) {
  const auto vectors = [](int64_t n) { return (n + lanes() - 1) / lanes(); };
  return g.rows * g.cols == 1 && 4 * channels * vectors(width) < 3 * width * vectors(channels);
}

}  // namespace

bool narrow(const Geometry& g) { return along_width(g, g.ocpg, g.ow); }
bool narrow_backward_data(const Geometry& g) { return g.stride_w == 1 && along_width(g, g.icpg, g.iw); }
bool narrow_backward_filter(const Geometry& g) { return g.stride_w == 1 && along_width(g, g.ocpg, g.ow); }

void forward_rows(const Geometry& g, const float* src, const float* filter, float* dst, Exec& exec) {
  const Lay lay(g);
  const int64_t per_filter = g.icpg * g.taps() * g.ocpg;
  // Output rows of a task: their images and weights stay in the second cache, and there are enough tasks.
  const int64_t image_row = g.n * g.icpg * lay.row();
  int64_t most = std::min((kNear / image_row - g.fh) / g.stride_h + 1, kNear / (per_filter * g.ow));
  if (exec.threads() > 1) most = std::min(most, g.oh * g.group / (4 * exec.threads()));
  most = std::clamp<int64_t>(most, 1, g.oh);
  const int64_t blocks = (g.oh + most - 1) / most, rows = (most - 1) * g.stride_h + g.fh;
  const int64_t image = g.icpg * rows * lay.row();
  // Steps in the order of the sums. Where they find x, counted from the first row of the window, and which weight.
  std::vector<int64_t> x_at, weight;
  for (int64_t kh = 0; kh < g.fh; ++kh) {
    for (int64_t kw = 0; kw < g.fw; ++kw) {
      const int64_t row = g.flip ? g.fh - 1 - kh : kh, col = g.flip ? g.fw - 1 - kw : kw;
      for (int64_t ic = 0; ic < g.icpg; ++ic) {
        x_at.push_back((ic * rows + row) * lay.row() + col % g.stride_w * lay.pitch + col / g.stride_w);
        weight.push_back(((ic * g.fh + kh) * g.fw + kw) * g.ocpg);
      }
    }
  }
  exec.parallel_for(
      g.group * blocks, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, (g.n + 2) * most * lay.columns * per_filter)),
      [&](int64_t begin, int64_t end) {
        float* x = Scratch::get(Scratch::kTilesOfA, g.n * image);
        float* w = Scratch::get(Scratch::kPanelsOfB, per_filter * most * g.ow + kMostLanes);
        std::fill_n(w + per_filter * most * g.ow, kMostLanes, 0.f);
        std::vector<int64_t> w_at(weight.size());
        for (int64_t task = begin; task < end; ++task) {
          const int64_t group = task / blocks, top = task % blocks * most, count = std::min(g.oh - top, most);
          const int64_t base = top * g.stride_h - g.pad_h;  // the first image row
          const int64_t needed = (count - 1) * g.stride_h + g.fh;
          for (int64_t n = 0; n < g.n; ++n) {
            for (int64_t ic = 0; ic < g.icpg; ++ic) {
              const float* from = src + ((n * g.group + group) * g.icpg + ic) * g.ih * g.iw;
              for (int64_t r = std::max<int64_t>(0, -base); r < needed && base + r < g.ih; ++r)
                lay_row(g, lay, from + (base + r) * g.iw, x + n * image + (ic * rows + r) * lay.row());
            }
          }
          lay_weights(g, count, filter + g.filter_at(group, top, 0), w);
          for (size_t i = 0; i < weight.size(); ++i) w_at[i] = weight[i] * count * g.ow;
          for (int64_t oh = top; oh < top + count; ++oh) {
            // taps inside of the image: some that follow each other
            int64_t low = 0, high = g.fh;
            const auto inside = [&](int64_t kh) { return g.input_row(oh, kh) >= 0 && g.input_row(oh, kh) < g.ih; };
            while (low < high && !inside(low)) ++low;
            while (low < high && !inside(high - 1)) --high;
            const int64_t first = low * g.fw * g.icpg;
            for (int64_t oc = 0; oc < g.ocpg; ++oc) {
              const RowSums s{.x = x + (oh - top) * g.stride_h * lay.row(),
                              .x_image = image,
                              .w = w + (oc * count + oh - top) * g.ow,
                              .x_at = x_at.data() + first,
                              .w_at = w_at.data() + first,
                              .steps = (high - low) * g.fw * g.icpg,
                              .images = g.n,
                              .columns = g.ow,
                              .out = dst + ((group * g.ocpg + oc) * g.oh + oh) * g.ow,
                              .out_image = g.group * g.ocpg * g.oh * g.ow};
              row_sums(s);
            }
          }
        }
        Scratch::release(Scratch::kTilesOfA);
        Scratch::release(Scratch::kPanelsOfB);
      });
}

}  // namespace megalith::local
#endif
