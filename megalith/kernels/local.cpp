#include "megalith/kernels/local.h"

#include <algorithm>
#include <vector>

#include "megalith/kernels/copy.h"
#include "megalith/kernels/local_packed.h"
#include "megalith/kernels/local_tile.h"
#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"

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
      copying::transpose(from + i * channels * pixels, pixels, to + i * channels * pixels, channels, pixels, channels);
  });
  return to;
}

void channels_first(const float* from, int64_t images, int64_t channels, int64_t pixels, float* to, Exec& exec) {
  if (from == to) return;
  exec.parallel_for(images, grain(channels * pixels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      copying::transpose(from + i * channels * pixels, channels, to + i * channels * pixels, pixels, channels, pixels);
  });
}

// What a thread needs to walk cells.
struct Walk {
  std::vector<Run> runs;
  std::vector<const float*> x;
  std::vector<float*> out;
};

// Positions of a cell that have the same taps, in some images, are the items of one product; its steps are taps and
// input channels. Calls fn(cell, its taps, again, sums) for pieces of cells, where sums lacks w; `again`: the piece
// before had the same weights. With `panels` the offsets of runs are for one of their columns.
template <class Fn>
void each_cell(const Geometry& g, const float* x, float* y, const CellPanels* panels, int64_t first_cell, Exec& exec,
               Fn&& fn) {
  const int64_t in = g.ih * g.iw, positions = g.oh * g.ow;
  const auto rows = stretches(g.sgh, g.rows, g.fh, g.ih, [&](int64_t o, int64_t k) { return g.input_row(o, k); });
  const auto cols = stretches(g.sgw, g.cols, g.fw, g.iw, [&](int64_t o, int64_t k) { return g.input_col(o, k); });
  // A line is a row of a cell in one image. One task takes some.
  const int64_t lines = g.rows * g.n;
  const int64_t chunk = g.rows * g.cols == 1 ? lines : std::min(lines, 1 + 191 / g.cols);
  const int64_t chunks = (lines + chunk - 1) / chunk;
  const int64_t tasks = g.group * g.sgh * g.sgw * chunks, at_least = grain(chunk * g.cols * g.icpg * g.taps() * g.ocpg);
  exec.parallel_for(tasks, at_least, [&](int64_t begin, int64_t end) {
    Walk walk;
    walk.x.resize(static_cast<size_t>(chunk * g.cols));
    walk.out.resize(walk.x.size());
    for (int64_t task = begin; task < end; ++task) {
      const int64_t cell = task / chunks, first = task % chunks * chunk, last = std::min(lines, first + chunk);
      const int64_t group = cell / (g.sgh * g.sgw), cell_row = cell / g.sgw % g.sgh;
      const CellPanels::Cell taps = panels ? panels->cell(first_cell + cell) : CellPanels::Cell{0, 0, g.fh, g.fw, 0};
      bool again = false;
      for (const Stretch& row : rows[static_cast<size_t>(cell_row)]) {
        for (const Stretch& col : cols[static_cast<size_t>(cell % g.sgw)]) {
          // x of an item is where the first of its taps falls into.
          const int64_t left = g.input_col(col.begin, col.low) * g.icpg;
          const float** from = walk.x.data();
          float** to = walk.out.data();
          for (int64_t line = first, n = first / g.rows, r = first % g.rows; line < last; ++line) {
            const int64_t image = n * g.group + group, oh = cell_row * g.rows + r;
            if (++r == g.rows) ++n, r = 0;
            if (oh < row.begin || oh >= row.end) continue;
            const float* at = x + (image * in + g.input_row(oh, row.low) * g.iw) * g.icpg + left;
            float* out = y + (image * positions + oh * g.ow + col.begin) * g.ocpg;
            for (int64_t i = col.begin; i < col.end; ++i, at += g.stride_w * g.icpg, out += g.ocpg)
              *from++ = at, *to++ = out;
          }
          const int64_t items = to - walk.out.data();
          if (items == 0) continue;
          walk.runs.clear();
          const int64_t step = g.flip ? -g.icpg : g.icpg;
          for (int64_t kh = row.low; kh < row.high; ++kh) {
            for (int64_t kw = col.low; kw < col.high; ++kw) {
              const Run run{((kh - row.low) * g.iw + kw - col.low) * step, taps.at(kh, kw) * (panels ? g.icpg : g.ocpg),
                            g.icpg};
              if (panels && kw > col.low && !g.flip)
                walk.runs.back().k += g.icpg;
              else
                walk.runs.push_back(run);
            }
          }
          Sums s{.x = walk.x.data(),
                 .out = walk.out.data(),
                 .items = items,
                 .columns = g.ocpg,
                 .w_step = g.taps() * g.ocpg,
                 .runs = walk.runs.data(),
                 .run_count = static_cast<int64_t>(walk.runs.size())};
          fn(cell, taps, again, s);
          again = true;
        }
      }
    }
  });
}

// fn(x, y) with channels last in both.
template <class Fn>
void with_channels_last(const Geometry& g, const float* src, float* dst, Exec& exec, Fn&& fn) {
  const int64_t positions = g.oh * g.ow, images = g.n * g.group;
  const float* x = channels_last(src, images, g.icpg, g.ih * g.iw, Scratch::kImage, exec);
  const bool direct = g.ocpg == 1 || positions == 1;
  float* y = direct ? dst : Scratch::get(Scratch::kSums, images * g.ocpg * positions);
  fn(x, y);
  channels_first(y, images, g.ocpg, positions, dst, exec);
  Scratch::release(Scratch::kImage);
  Scratch::release(Scratch::kSums);
}

// With packed weights; x and y have channels last, and their first cell is first_cell of all.
void cells_packed(const Geometry& g, const CellPanels& panels, int64_t first_cell, const float* x, float* y,
                  Exec& exec) {
  if (g.rows * g.cols == 1) return forward_cells(g, panels, first_cell, x, y, exec);
  const int64_t ahead = panels.ahead();
  each_cell(g, x, y, &panels, first_cell, exec, [&](int64_t, const CellPanels::Cell& taps, bool again, const Sums& s) {
    PanelSums p{
        .x = s.x, .out = s.out, .items = s.items, .runs = s.runs, .run_count = s.run_count, .ahead = again ? 0 : ahead};
    panels.sums(taps, p);
  });
}

// Groups one after the other, each on one thread: what is turned around stays in its caches.
bool groups_packed(const Geometry& g, const CellPanels& panels, const float* src, float* dst, Exec& exec) {
  const int64_t in = g.ih * g.iw, positions = g.oh * g.ow;
  if (g.n == 1 || g.group == 1 || g.group < 2 * exec.threads() || std::min({g.icpg, g.ocpg, in, positions}) == 1)
    return false;
  Geometry one = g;
  one.group = 1;
  exec.parallel_for(g.group, 1, [&](int64_t begin, int64_t end) {
    Exec serial;
    float* x = Scratch::get(Scratch::kImage, g.n * g.icpg * in);
    float* y = Scratch::get(Scratch::kSums, g.n * g.ocpg * positions);
    for (int64_t group = begin; group < end; ++group) {
      for (int64_t n = 0; n < g.n; ++n)
        copying::transpose(src + (n * g.group + group) * g.icpg * in, in, x + n * g.icpg * in, g.icpg, in, g.icpg);
      cells_packed(one, panels, group * g.sgh * g.sgw, x, y, serial);
      for (int64_t n = 0; n < g.n; ++n) {
        copying::transpose(y + n * g.ocpg * positions, g.ocpg, dst + (n * g.group + group) * g.ocpg * positions,
                           positions, g.ocpg, positions);
      }
    }
    Scratch::release(Scratch::kImage);
    Scratch::release(Scratch::kSums);
  });
  return true;
}

}  // namespace

void forward(const Geometry& g, const float* src, const Tensor& weights, float* dst, Exec& exec) {
  const float* filter = weights.data<float>();
  if (!kSmall) {
    if ((narrow(g) || few_images(g)) && forward_rows_packed(g, src, weights, dst, exec)) return;
    if (narrow(g)) return forward_rows(g, src, filter, dst, exec);
    if (many_items(g)) return forward_items(g, src, filter, dst, exec);
    if (const CellPanels panels(g, g.n * g.rows * g.cols, weights, exec); panels) {
      if (groups_packed(g, panels, src, dst, exec)) return;
      return with_channels_last(g, src, dst, exec,
                                [&](const float* x, float* y) { cells_packed(g, panels, 0, x, y, exec); });
    }
  }
  const int64_t per_filter = g.icpg * g.taps() * g.ocpg;
  // Few images with many channels leave the memory to the processor, which sees through a walk in wide rows; they are
  // done with a large block before the next one could come.
  constexpr int64_t kNearRows = 12288, kNearFloats = 24576, kAllNearFloats = 131072;
  const bool near =
      g.group * g.sgh * g.sgw * per_filter <= kAllNearFloats || (g.n * g.rows * g.cols < 4 && g.ocpg > 2 * lanes());
  const auto far = near                                                                  ? Sums::Far::kNo
                   : per_filter <= (g.n * g.rows * g.cols < 4 ? kNearRows : kNearFloats) ? Sums::Far::kBlock
                                                                                         : Sums::Far::kRows;
  with_channels_last(g, src, dst, exec, [&](const float* x, float* y) {
    each_cell(g, x, y, nullptr, 0, exec, [&](int64_t cell, const CellPanels::Cell&, bool again, Sums& s) {
      s.w = filter + cell * per_filter;
      s.far = again ? Sums::Far::kNo : far;
      s.next = per_filter;
      sums(s);
    });
  });
}

// Halves are widened, which is exact: images at once, filters when their turn comes.
void forward(const Geometry& g, const half* src, const half* filter, half* dst, bool every_step, Exec& exec) {
  const int64_t in = g.ih * g.iw, positions = g.oh * g.ow, per_filter = g.icpg * g.taps() * g.ocpg;
  const int64_t images = g.n * g.group, results = images * g.ocpg * positions;
  const auto widen = [](const half* from, int64_t count, float* to) { std::copy(from, from + count, to); };
  float* wide = Scratch::get(Scratch::kImage2, std::max(images * g.icpg * in, results));
  exec.parallel_for(images * g.icpg, grain(in), [&](int64_t begin, int64_t end) {
    widen(src + begin * in, (end - begin) * in, wide + begin * in);
  });
  const float* x = channels_last(wide, images, g.icpg, in, Scratch::kImage, exec);
  float* y = Scratch::get(Scratch::kSums, results);
  each_cell(g, x, y, nullptr, 0, exec, [&](int64_t cell, const CellPanels::Cell&, bool again, Sums& s) {
    float* w = Scratch::get(Scratch::kPanelsOfB, per_filter);
    if (!again) widen(filter + cell * per_filter, per_filter, w);
    s.w = w;
    every_step ? sums_of_half(s) : sums(s);
  });
  if (g.ocpg != 1 && positions != 1)
    channels_first(y, images, g.ocpg, positions, wide, exec);
  else
    wide = y;
  exec.parallel_for(results, grain(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dst[i] = half(wide[i]);
  });
  for (Scratch::Slot slot : {Scratch::kImage, Scratch::kImage2, Scratch::kSums}) Scratch::release(slot);
}

namespace {

// Rows of src (or columns) that take the same taps of the same cells, counted from the first output that reaches them.
struct Line {
  int64_t at, first;  // position in src, first output
};
struct LineTap {
  int64_t output, cell, k;  // output: from the first one on
  bool operator==(const LineTap&) const = default;
};
struct LineClass {
  std::vector<LineTap> taps;
  std::vector<Line> lines;
};

std::vector<LineClass> line_classes(int64_t size, int64_t outputs, int64_t window, int64_t pad, int64_t stride,
                                    int64_t per_cell, bool flip) {
  std::vector<LineClass> classes;
  std::vector<LineTap> taps;
  for (int64_t at = 0; at < size; ++at) {
    const int64_t first = Geometry::first_output(at, window, pad, stride);
    taps.clear();
    for (int64_t o = first; o < outputs && o * stride <= at + pad; ++o) {
      const int64_t k = at + pad - o * stride;
      taps.push_back({o - first, o / per_cell, flip ? window - 1 - k : k});
    }
    // Its like are near: a stride and the edges of a cell away. To miss one costs time alone.
    const auto near = classes.end() - static_cast<int64_t>(std::min<size_t>(classes.size(), 64));
    auto c = std::find_if(near, classes.end(), [&](const LineClass& l) { return l.taps == taps; });
    if (c == classes.end()) c = classes.insert(c, {taps, {}});
    c->lines.push_back({at, first});
  }
  return classes;
}

}  // namespace

// The pixels that one row class and one column class have in common, in all images, are the items of one product: its
// steps are output channels and, in each, taps. The weights of a tap are brought into columns of input channels.
void backward_data(const Geometry& g, const float* filter, const float* diff, float* grad, Exec& exec) {
  if (!kSmall && narrow_backward_data(g)) return backward_data_rows(g, filter, diff, grad, exec);
  const int64_t in = g.ih * g.iw, positions = g.oh * g.ow;
  const float* d = channels_last(diff, g.n * g.group, g.ocpg, positions, Scratch::kImage, exec);
  float* sums_of = g.icpg == 1 || in == 1 ? grad : Scratch::get(Scratch::kSums, g.n * g.group * g.icpg * in);
  const std::vector<LineClass> rows = line_classes(g.ih, g.oh, g.fh, g.pad_h, g.stride_h, g.rows, g.flip),
                               cols = line_classes(g.iw, g.ow, g.fw, g.pad_w, g.stride_w, g.cols, g.flip);
  struct Task {
    int64_t group;
    const LineClass *rows, *cols;
    int64_t first, last;  // items
  };
  constexpr int64_t kMostItems = 192;
  std::vector<Task> tasks;
  for (int64_t group = 0; group < g.group; ++group) {
    for (const LineClass& r : rows) {
      for (const LineClass& c : cols) {
        const auto items = static_cast<int64_t>(r.lines.size() * c.lines.size()) * g.n;
        for (int64_t i = 0; i < items; i += kMostItems)
          tasks.push_back({group, &r, &c, i, std::min(items, i + kMostItems)});
      }
    }
  }
  // Columns that are brought into order at a time stay in the second cache.
  const int64_t block = std::min(g.icpg, std::max<int64_t>(32, 65536 / (g.taps() * g.ocpg) / 32 * 32));
  exec.parallel_for(static_cast<int64_t>(tasks.size()), grain(g.n * g.icpg * g.taps() * g.ocpg),
                    [&](int64_t begin, int64_t end) {
                      Walk walk;
                      float* panel = Scratch::get(Scratch::kPanelsOfB, g.taps() * g.ocpg * block);
                      std::vector<const float*> weights;  // of every tap
                      constexpr size_t kTapsAhead = 2;
                      for (int64_t t = begin; t < end; ++t) {
                        const Task& task = tasks[static_cast<size_t>(t)];
                        const auto width = static_cast<int64_t>(task.cols->lines.size());
                        const int64_t pixels = static_cast<int64_t>(task.rows->lines.size()) * width;
                        walk.x.clear();
                        walk.out.clear();
                        for (int64_t i = task.first; i < task.last; ++i) {
                          const Line row = task.rows->lines[static_cast<size_t>(i % pixels / width)];
                          const Line col = task.cols->lines[static_cast<size_t>(i % width)];
                          const int64_t image = i / pixels * g.group + task.group;
                          walk.x.push_back(d + (image * positions + row.first * g.ow + col.first) * g.ocpg);
                          walk.out.push_back(sums_of + (image * in + row.at * g.iw + col.at) * g.icpg);
                        }
                        // taps of one output row: one output after the other
                        const auto per_run = static_cast<int64_t>(task.cols->taps.size());
                        walk.runs.clear();
                        for (const LineTap& r : task.rows->taps) {
                          const auto n = static_cast<int64_t>(walk.runs.size());
                          walk.runs.push_back({r.output * g.ow * g.ocpg, n * per_run, per_run});
                        }
                        for (int64_t c = 0; c < g.icpg; c += block) {
                          const int64_t columns = std::min(block, g.icpg - c), per_tap = g.ocpg * columns;
                          weights.clear();
                          for (const LineTap& r : task.rows->taps) {
                            for (const LineTap& q : task.cols->taps) {
                              const int64_t cell = (task.group * g.sgh + r.cell) * g.sgw + q.cell;
                              weights.push_back(filter + cell * g.icpg * g.taps() * g.ocpg +
                                                (c * g.taps() + r.k * g.fw + q.k) * g.ocpg);
                            }
                          }
                          for (size_t i = 0; i < weights.size(); ++i) {
                            // Every tap lies somewhere else: those that come next are asked for meanwhile.
                            if (const size_t next = i + kTapsAhead; next < weights.size()) {
                              for (int64_t row = 0; row < columns; ++row) {
                                for (int64_t j = 0; j < g.ocpg; j += 16)
                                  __builtin_prefetch(weights[next] + row * g.taps() * g.ocpg + j);
                              }
                            }
                            copying::transpose(weights[i], g.taps() * g.ocpg, panel + static_cast<int64_t>(i) * per_tap,
                                               columns, g.ocpg, columns);
                          }
                          std::vector<Run> runs = walk.runs;
                          for (Run& run : runs) run.w *= per_tap;
                          sums({.x = walk.x.data(),
                                .out = walk.out.data(),
                                .out_at = c,
                                .items = task.last - task.first,
                                .columns = columns,
                                .x_step = g.ocpg,
                                .w = panel,
                                .w_step = per_tap,
                                .runs = runs.data(),
                                .run_count = static_cast<int64_t>(runs.size()),
                                .repeats = g.ocpg,
                                .x_repeat = 1,
                                .w_repeat = columns});
                        }
                      }
                      Scratch::release(Scratch::kPanelsOfB);
                    });
  channels_first(sums_of, g.n * g.group, g.icpg, in, grad, exec);
  Scratch::release(Scratch::kImage);
  Scratch::release(Scratch::kSums);
}

// One tap of a cell is one product: items are input channels, steps are images and, in each, the outputs whose tap lies
// inside of it.
void backward_filter(const Geometry& g, const float* src, const float* diff, float* grad, Exec& exec) {
  if (!kSmall && narrow_backward_filter(g)) return backward_filter_rows(g, src, diff, grad, exec);
  const int64_t in = g.ih * g.iw, positions = g.oh * g.ow;
  const float* x = channels_last(src, g.n * g.group, g.icpg, in, Scratch::kImage, exec);
  const float* d = channels_last(diff, g.n * g.group, g.ocpg, positions, Scratch::kSums, exec);
  const bool single = g.rows * g.cols == 1;
  exec.parallel_for(
      g.group * g.sgh * g.sgw * g.taps(), grain(g.n * g.rows * g.cols * g.icpg * g.ocpg),
      [&](int64_t begin, int64_t end) {
        Walk walk;
        for (int64_t i = 0; i < g.icpg; ++i) {
          walk.x.push_back(x + i);
          walk.out.push_back(grad + i * g.taps() * g.ocpg);
        }
        for (int64_t task = begin; task < end; ++task) {
          const int64_t cell = task / g.taps(), kh = task % g.taps() / g.fw, kw = task % g.fw;
          const int64_t group = cell / (g.sgh * g.sgw), top = cell / g.sgw % g.sgh * g.rows,
                        left = cell % g.sgw * g.cols;
          walk.runs.clear();
          // outputs [low, high) of a row whose tap is inside
          int64_t low = left, high = left + g.cols;
          while (low < high && g.input_col(low, kw) < 0) ++low;
          while (low < high && g.input_col(high - 1, kw) >= g.iw) --high;
          for (int64_t n = 0; n < (single ? std::min<int64_t>(g.n, 1) : g.n); ++n) {
            const int64_t image = n * g.group + group;
            for (int64_t oh = top; oh < top + g.rows && low < high; ++oh) {
              const int64_t ih = g.input_row(oh, kh);
              if (ih < 0 || ih >= g.ih) continue;
              walk.runs.push_back({(image * in + ih * g.iw + g.input_col(low, kw)) * g.icpg,
                                   (image * positions + oh * g.ow + low) * g.ocpg, single ? g.n : high - low});
            }
          }
          sums({.x = walk.x.data(),
                .out = walk.out.data(),
                .out_at = cell * g.icpg * g.taps() * g.ocpg + (kh * g.fw + kw) * g.ocpg,
                .items = g.icpg,
                .columns = g.ocpg,
                .x_step = single ? g.group * g.icpg * in : g.stride_w * g.icpg,
                .w = d,
                .w_step = single ? g.group * g.ocpg * positions : g.ocpg,
                .runs = walk.runs.data(),
                .run_count = static_cast<int64_t>(walk.runs.size())});
        }
      });
  Scratch::release(Scratch::kImage);
  Scratch::release(Scratch::kSums);
}

}  // namespace megalith::local
