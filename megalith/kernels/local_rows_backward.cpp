// Gradients of Local where a group has few channels: lanes are neighbours along the width, columns are one apart.
#include <algorithm>
#include <vector>

#include "megalith/kernels/copy.h"
#include "megalith/kernels/local.h"
#include "megalith/kernels/local_tile.h"
#include "megalith/kernels/scratch.h"

namespace megalith::local {
namespace {

// Rows of one task, as many as stay near and as leave tasks for all threads.
int64_t rows_of_task(const Geometry& g, int64_t rows, int64_t floats_of_row, Exec& exec) {
  int64_t most = kNear / std::max<int64_t>(1, floats_of_row);
  if (exec.threads() > 1) most = std::min(most, rows * g.group / (4 * exec.threads()));
  return std::clamp<int64_t>(most, 1, rows);
}

int64_t grain(int64_t products) { return std::max<int64_t>(1, 65536 / std::max<int64_t>(1, products)); }

}  // namespace

// Rows of diff and of weights lie between zeros: a product of them changes no sum, because none is ever -0. A pixel
// meets its outputs from left to right, that is, columns of the window from right to left.
void backward_data_rows(const Geometry& g, const float* filter, const float* diff, float* grad, Exec& exec) {
  const int64_t per_filter = g.icpg * g.taps() * g.ocpg;
  const int64_t left = g.fw, pitch = left + std::max(g.ow, whole_vectors(g.iw) + g.pad_w);
  const int64_t most = rows_of_task(g, g.ih, (g.n * g.ocpg + per_filter) * pitch, exec);
  const int64_t blocks = (g.ih + most - 1) / most;
  const int64_t most_outputs = std::min(g.oh, (most + g.fh - 2) / g.stride_h + 1);  // that reach a block
  exec.parallel_for(
      g.group * blocks, grain((g.n + 1) * most * whole_vectors(g.iw) * per_filter), [&](int64_t begin, int64_t end) {
        float* d = Scratch::get(Scratch::kTilesOfA, g.n * g.ocpg * most_outputs * pitch);
        float* w = Scratch::get(Scratch::kPanelsOfB, per_filter * most_outputs * pitch);
        std::vector<int64_t> x_at, w_at;
        for (int64_t task = begin; task < end; ++task) {
          const int64_t group = task / blocks, top = task % blocks * most, bottom = std::min(g.ih, top + most);
          const int64_t first = Geometry::first_output(top, g.fh, g.pad_h, g.stride_h);
          const int64_t count = std::max<int64_t>(0, std::min(g.oh, (bottom - 1 + g.pad_h) / g.stride_h + 1) - first);
          std::fill_n(d, g.n * g.ocpg * count * pitch, 0.f);
          std::fill_n(w, per_filter * count * pitch, 0.f);
          for (int64_t row = 0; row < count; ++row) {
            copying::transpose(filter + g.filter_at(group, first + row, 0), per_filter, w + row * pitch + left,
                               count * pitch, per_filter, g.ow);
            for (int64_t i = 0; i < g.n * g.ocpg; ++i) {
              const int64_t channel = (i / g.ocpg * g.group + group) * g.ocpg + i % g.ocpg;
              std::copy_n(diff + (channel * g.oh + first + row) * g.ow, g.ow, d + (i * count + row) * pitch + left);
            }
          }
          for (int64_t ih = top; ih < bottom; ++ih) {
            for (int64_t ic = 0; ic < g.icpg; ++ic) {
              x_at.clear();
              w_at.clear();
              for (int64_t oc = 0; oc < g.ocpg; ++oc) {
                for (int64_t oh = Geometry::first_output(ih, g.fh, g.pad_h, g.stride_h);
                     oh < g.oh && oh * g.stride_h <= ih + g.pad_h; ++oh) {
                  const int64_t r = ih + g.pad_h - oh * g.stride_h, kh = g.flip ? g.fh - 1 - r : r;
                  for (int64_t c = g.fw - 1; c >= 0; --c) {
                    const int64_t kw = g.flip ? g.fw - 1 - c : c, at = (oh - first) * pitch + left + g.pad_w - c;
                    x_at.push_back(oc * count * pitch + at);
                    w_at.push_back((((ic * g.fh + kh) * g.fw + kw) * g.ocpg + oc) * count * pitch + at);
                  }
                }
              }
              row_sums({.x = d,
                        .x_image = g.ocpg * count * pitch,
                        .w = w,
                        .x_at = x_at.data(),
                        .w_at = w_at.data(),
                        .steps = static_cast<int64_t>(x_at.size()),
                        .images = g.n,
                        .columns = g.iw,
                        .out = grad + ((group * g.icpg + ic) * g.ih + ih) * g.iw,
                        .out_image = g.group * g.icpg * g.ih * g.iw});
            }
          }
        }
        Scratch::release(Scratch::kTilesOfA);
        Scratch::release(Scratch::kPanelsOfB);
      });
}

// Weights of one row of outputs, brought beside each other: images are the steps of their sums, and what the columns of
// a window read is one apart. Where a tap lies outside of the image its weight gets 0, whatever diff holds.
void backward_filter_rows(const Geometry& g, const float* src, const float* diff, float* grad, Exec& exec) {
  const int64_t per_filter = g.icpg * g.taps() * g.ocpg;
  const int64_t d_pitch = whole_vectors(g.ow), x_pitch = std::max(g.pad_w + g.iw, d_pitch + g.fw);
  const int64_t most = rows_of_task(g, g.oh, g.n * (g.ocpg * d_pitch + g.icpg * g.stride_h * x_pitch), exec);
  const int64_t blocks = (g.oh + most - 1) / most, rows = (most - 1) * g.stride_h + g.fh;
  exec.parallel_for(g.group * blocks, grain((g.n + 2) * most * d_pitch * per_filter), [&](int64_t begin, int64_t end) {
    float* x = Scratch::get(Scratch::kTilesOfA, g.n * g.icpg * rows * x_pitch);
    float* d = Scratch::get(Scratch::kPanelsOfB, g.n * g.ocpg * most * d_pitch);
    float* out = Scratch::get(Scratch::kFilter, per_filter * g.ow);
    std::vector<int64_t> x_at(static_cast<size_t>(g.n)), w_at(x_at.size());
    for (int64_t n = 0; n < g.n; ++n) {
      x_at[static_cast<size_t>(n)] = n * g.icpg * rows * x_pitch;
      w_at[static_cast<size_t>(n)] = n * g.ocpg * most * d_pitch;
    }
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / blocks, top = task % blocks * most, count = std::min(g.oh - top, most);
      const int64_t base = top * g.stride_h - g.pad_h;  // the first image row
      std::fill_n(x, g.n * g.icpg * rows * x_pitch, 0.f);
      std::fill_n(d, g.n * g.ocpg * most * d_pitch, 0.f);
      for (int64_t i = 0; i < g.n * g.icpg; ++i) {
        const float* from = src + ((i / g.icpg * g.group + group) * g.icpg + i % g.icpg) * g.ih * g.iw;
        for (int64_t r = std::max<int64_t>(0, -base); r < rows && base + r < g.ih; ++r)
          std::copy_n(from + (base + r) * g.iw, g.iw, x + (i * rows + r) * x_pitch + g.pad_w);
      }
      for (int64_t i = 0; i < g.n * g.ocpg; ++i) {
        const float* from = diff + (((i / g.ocpg * g.group + group) * g.ocpg + i % g.ocpg) * g.oh + top) * g.ow;
        for (int64_t r = 0; r < count; ++r) std::copy_n(from + r * g.ow, g.ow, d + (i * most + r) * d_pitch);
      }
      for (int64_t row = 0; row < count; ++row) {
        for (int64_t i = 0; i < g.icpg * g.fh * g.ocpg; ++i) {
          const int64_t oc = i % g.ocpg, kh = i / g.ocpg % g.fh, ic = i / g.ocpg / g.fh;
          const int64_t ih = g.input_row(top + row, kh);
          float* first = out + (ic * g.taps() + kh * g.fw) * g.ocpg * g.ow + oc * g.ow;  // of kw 0
          const int64_t next = g.ocpg * g.ow;
          if (ih < 0 || ih >= g.ih) {
            for (int64_t kw = 0; kw < g.fw; ++kw) std::fill_n(first + kw * next, g.ow, 0.f);
            continue;
          }
          row_sums({.x = x + (ic * rows + ih - base) * x_pitch,
                    .x_image = 1,
                    .w = d + (oc * most + row) * d_pitch,
                    .x_at = x_at.data(),
                    .w_at = w_at.data(),
                    .steps = g.n,
                    .images = g.fw,
                    .columns = g.ow,
                    .out = g.flip ? first + (g.fw - 1) * next : first,
                    .out_image = g.flip ? -next : next});
          for (int64_t kw = 0; kw < g.fw; ++kw) {
            int64_t low = 0, high = g.ow;
            while (low < high && g.input_col(low, kw) < 0) ++low;
            while (low < high && g.input_col(high - 1, kw) >= g.iw) --high;
            std::fill(first + kw * next, first + kw * next + low, 0.f);
            std::fill(first + kw * next + high, first + kw * next + g.ow, 0.f);
          }
        }
        copying::transpose(out, g.ow, grad + g.filter_at(group, top + row, 0), per_filter, g.ow, per_filter);
      }
    }
    for (Scratch::Slot slot : {Scratch::kTilesOfA, Scratch::kPanelsOfB, Scratch::kFilter}) Scratch::release(slot);
  });
}

}  // namespace megalith::local
