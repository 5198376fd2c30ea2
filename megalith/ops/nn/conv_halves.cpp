#include "megalith/ops/nn/conv_halves.h"

#include "megalith/kernels/copy.h"
#include "megalith/kernels/local_tile.h"
#include "megalith/kernels/scratch.h"

namespace megalith::conv {
namespace {

using local::Run;

// The steps of the results of one row whose windows meet the image alike: its columns [b0, b1).
std::vector<Run> runs_of(const Geometry& g, int64_t oh, int64_t b0, int64_t b1) {
  const bool window_first = g.dh != 1 || g.dw != 1;  // see conv_canonical.h
  std::vector<Run> runs;
  const auto row = [&](int64_t a) { return oh * g.sh + a * g.dh - g.ph; };
  if (!window_first) {
    for (int64_t ic = 0; ic < g.icpg; ++ic) {
      for (int64_t a = 0; a < g.fh; ++a) {
        if (row(a) < 0 || row(a) >= g.ih || b0 >= b1) continue;
        runs.push_back({(ic * g.ih + row(a)) * g.iw + b0, ((ic * g.fh + a) * g.fw + b0) * g.ocpg, b1 - b0});
      }
    }
    return runs;
  }
  for (int64_t k = 0; k < g.fh * g.fw; ++k) {
    const int64_t a = g.flip ? g.fh - 1 - k / g.fw : k / g.fw, b = g.flip ? g.fw - 1 - k % g.fw : k % g.fw;
    if (row(a) < 0 || row(a) >= g.ih || b < b0 || b >= b1) continue;
    runs.push_back({row(a) * g.iw + b * g.dw, (a * g.fw + b) * g.icpg * g.ocpg, g.icpg});
  }
  return runs;
}

// The filters of one group as rows of output channels: (IC, FH, FW, OC), or (FH, FW, IC, OC) where the window is
// dilated.
void order_filter(const Geometry& g, const float* f, float* to) {
  const bool window_first = g.dh != 1 || g.dw != 1;
  const int64_t taps = g.fh * g.fw;
  for (int64_t ic = 0; ic < g.icpg; ++ic) {
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t stored = g.flip ? taps - 1 - t : t;
      float* row = to + (window_first ? t * g.icpg + ic : ic * taps + t) * g.ocpg;
      for (int64_t oc = 0; oc < g.ocpg; ++oc) row[oc] = f[(oc * g.icpg + ic) * taps + stored];
    }
  }
}

}  // namespace

void forward_halves(const Geometry& g, const float* x, const float* f, float* y, Exec& exec) {
  const bool window_first = g.dh != 1 || g.dw != 1;
  const int64_t size = g.icpg * g.fh * g.fw * g.ocpg;
  const Tensor ordered = Tensor::empty(DTypeEnum::Float32, {g.g, size});
  for (int64_t i = 0; i < g.g; ++i) order_filter(g, f + i * size, ordered.data<float>() + i * size);
  exec.parallel_for(g.n * g.g * g.oh, 1, [&](int64_t begin, int64_t end) {
    std::vector<const float*> from(static_cast<size_t>(g.ow));
    std::vector<float*> to(static_cast<size_t>(g.ow));
    float* sums = Scratch::get(Scratch::kSums, g.ow * g.ocpg);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t oh = i % g.oh, image = i / g.oh, group = image % g.g;
      // Window columns [b0, b1) of result column ow lie on the image.
      const auto first = [&](int64_t ow) {
        const int64_t at = g.pw - ow * g.sw;
        return at <= 0 ? 0 : std::min(g.fw, (at + g.dw - 1) / g.dw);
      };
      const auto last = [&](int64_t ow) {
        const int64_t room = g.iw - 1 - (ow * g.sw - g.pw);
        return room < 0 ? 0 : std::min(g.fw, room / g.dw + 1);
      };
      for (int64_t ow = 0; ow < g.ow; ++ow) {
        from[static_cast<size_t>(ow)] = x + image * g.icpg * g.ih * g.iw + ow * g.sw - g.pw;
        to[static_cast<size_t>(ow)] = sums + ow * g.ocpg;
      }
      for (int64_t ow = 0; ow < g.ow;) {
        const int64_t b0 = first(ow), b1 = std::max(b0, last(ow));
        int64_t end_ow = ow + 1;
        while (end_ow < g.ow && first(end_ow) == b0 && std::max(first(end_ow), last(end_ow)) == b1) ++end_ow;
        const std::vector<Run> runs = runs_of(g, oh, b0, b1);
        local::sums_of_half({.x = from.data() + ow,
                             .out = to.data() + ow,
                             .items = end_ow - ow,
                             .columns = g.ocpg,
                             .x_step = window_first ? g.ih * g.iw : 1,
                             .w = ordered.data<float>() + group * size,
                             .w_step = g.ocpg,
                             .runs = runs.data(),
                             .run_count = static_cast<int64_t>(runs.size())});
        ow = end_ow;
      }
      copying::transpose(sums, g.ocpg, y + (image * g.ocpg * g.oh + oh) * g.ow, g.oh * g.ow, g.ocpg, g.ow);
    }
  });
}

}  // namespace megalith::conv
