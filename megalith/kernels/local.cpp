#include "megalith/kernels/local.h"

#include <algorithm>
#include <vector>

#include "megalith/kernels/gemm.h"
#include "megalith/kernels/local_tile.h"
#include "megalith/kernels/scratch.h"

namespace megalith::local {
namespace {

// Pieces of work that are worth a thread: about 30 us of multiplications.
int64_t grain(int64_t products) { return std::max<int64_t>(1, (int64_t{1} << 18) / std::max<int64_t>(1, products)); }

// Images (images, channels, pixels) as (images, pixels, channels), in `slot` unless that is the same.
const float* channels_last(const float* from, int64_t images, int64_t channels, int64_t pixels, Scratch::Slot slot,
                           Exec& exec) {
  if (channels == 1 || pixels == 1) return from;
  auto* to = Scratch::get(slot, images * channels * pixels);
  exec.parallel_for(images, grain(channels * pixels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      gemm::transpose(from + i * channels * pixels, pixels, channels, pixels, to + i * channels * pixels, channels);
  });
  return to;
}

void channels_first(const float* from, int64_t images, int64_t channels, int64_t pixels, float* to, Exec& exec) {
  if (from == to) return;
  exec.parallel_for(images, grain(channels * pixels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      gemm::transpose(from + i * channels * pixels, channels, pixels, channels, to + i * channels * pixels, pixels);
  });
}

// What a thread needs to walk cells.
struct Walk {
  std::vector<Run> runs;
  std::vector<const float*> x;
  std::vector<float*> out;
  std::vector<uint8_t> takes;
};

}  // namespace

// A cell is one product: items are its positions in all images, steps are taps and input channels.
void forward(const Geometry& g, const float* src, const float* filter, float* dst, Exec& exec) {
  const int64_t in = g.ih * g.iw, positions = g.oh * g.ow;
  const float* x = channels_last(src, g.n * g.group, g.icpg, in, Scratch::kImage, exec);
  const bool direct = g.ocpg == 1 || positions == 1;
  float* y = direct ? dst : Scratch::get(Scratch::kSums, g.n * g.group * g.ocpg * positions);
  const int64_t per_cell = g.rows * g.cols, items = per_cell * g.n;
  const int64_t chunk = per_cell == 1 ? items : std::min<int64_t>(items, 96);  // items of one task
  const int64_t chunks = (items + chunk - 1) / chunk;
  exec.parallel_for(
      g.group * g.sgh * g.sgw * chunks, grain(chunk * g.icpg * g.taps() * g.ocpg), [&](int64_t begin, int64_t end) {
        Walk walk;
        for (int64_t task = begin; task < end; ++task) {
          const int64_t cell = task / chunks, first = task % chunks * chunk, last = std::min(items, first + chunk);
          const int64_t group = cell / (g.sgh * g.sgw), top = cell / g.sgw % g.sgh * g.rows,
                        left = cell % g.sgw * g.cols;
          walk.x.clear();
          walk.out.clear();
          for (int64_t i = first; i < last; ++i) {
            const int64_t image = i / per_cell * g.group + group, oh = top + i % per_cell / g.cols,
                          ow = left + i % g.cols;
            walk.x.push_back(x + image * g.icpg * in +
                             ((oh - top) * g.stride_h * g.iw + (ow - left) * g.stride_w) * g.icpg);
            walk.out.push_back(y + (image * positions + oh * g.ow + ow) * g.ocpg);
          }
          walk.runs.clear();
          walk.takes.clear();
          bool mixed = false;
          for (int64_t kh = 0; kh < g.fh; ++kh) {
            for (int64_t kw = 0; kw < g.fw; ++kw) {
              const int64_t ih = g.input_row(top, kh), iw = g.input_col(left, kw);
              const Run run{(ih * g.iw + iw) * g.icpg, (kh * g.fw + kw) * g.ocpg, g.icpg};
              if (per_cell == 1) {
                if (ih >= 0 && ih < g.ih && iw >= 0 && iw < g.iw) walk.runs.push_back(run);
                continue;
              }
              walk.runs.push_back(run);
              for (int64_t i = first; i < last; ++i) {
                const int64_t h = ih + i % per_cell / g.cols * g.stride_h, w = iw + i % g.cols * g.stride_w;
                const bool inside = h >= 0 && h < g.ih && w >= 0 && w < g.iw;
                walk.takes.push_back(inside);
                mixed |= !inside;
              }
            }
          }
          sums({.x = walk.x.data(),
                .out = walk.out.data(),
                .items = last - first,
                .columns = g.ocpg,
                .w = filter + cell * g.icpg * g.taps() * g.ocpg,
                .w_step = g.taps() * g.ocpg,
                .runs = walk.runs.data(),
                .run_count = static_cast<int64_t>(walk.runs.size()),
                .takes = mixed ? walk.takes.data() : nullptr});
        }
      });
  channels_first(y, g.n * g.group, g.ocpg, positions, dst, exec);
  Scratch::release(Scratch::kImage);
  Scratch::release(Scratch::kSums);
}

}  // namespace megalith::local
