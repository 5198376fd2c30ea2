#include "megalith/kernels/local_packed.h"

#include "megalith/packed.h"
#include "megalith/plan.h"

namespace megalith::local {

uint64_t key_of(const Geometry& g, std::initializer_list<int64_t> more) {
  uint64_t key = g.flip;
  for (int64_t v : {g.ih, g.iw, g.stride_h, g.stride_w, g.pad_h, g.pad_w, g.rows, g.cols, lanes()})
    key = mix_bits(key, static_cast<uint64_t>(v));
  for (int64_t v : more) key = mix_bits(key, static_cast<uint64_t>(v));
  return key;
}

namespace {

// Weights that have to come from a cache of all processors or from memory.
bool far(int64_t floats) { return floats > 131072; }

}  // namespace

CellPanels::CellPanels(const Geometry& g, int64_t items, const Tensor& filter, Exec& exec)
    : g_(g),
      columns_((g.ocpg + lanes() - 1) / lanes() * lanes()),
      rows_(g.sgh, g.rows, g.fh, g.ih, [&](int64_t o, int64_t k) { return g.input_row(o, k); }),
      cols_(g.sgw, g.cols, g.fw, g.iw, [&](int64_t o, int64_t k) { return g.input_col(o, k); }) {
  int64_t most = vectors_at_once(items);
  for (int64_t first = 0; first < g.ocpg;) {
    while (first + most * lanes() > columns_) most /= 2;
    panels_.push_back({first, std::min(most * lanes(), g.ocpg - first), most});
    first += most * lanes();
  }
  const auto bytes = static_cast<size_t>(floats()) * sizeof(float);
  storage_ = packed_again(filter, key_of(g, {1, panels_[0].vectors}), bytes, [&](std::byte* to) {
    const int64_t cells = g.group * g.sgh * g.sgw;
    exec.parallel_for(cells, 1 + 65536 / (g.taps() * g.icpg * columns_), [&](int64_t begin, int64_t end) {
      for (int64_t cell = begin; cell < end; ++cell)
        fill(cell, filter.data<float>(), reinterpret_cast<float*>(to) + offset(cell));
    });
  });
}

int64_t CellPanels::offset(int64_t cell) const {
  const int64_t before = cell / (g_.sgh * g_.sgw) * rows_.all * cols_.all +
                         rows_.before[static_cast<size_t>(cell / g_.sgw % g_.sgh)] * cols_.all +
                         rows(cell) * cols_.before[static_cast<size_t>(cell % g_.sgw)];
  return before * columns_ * g_.icpg;
}

void CellPanels::fill(int64_t cell, const float* filter, float* to) const {
  const auto [top, left, taps] = window(cell);
  filter += cell * g_.icpg * g_.taps() * g_.ocpg;
  for (const Panel& p : panels_) {
    for (int64_t kh = top; kh < top + rows(cell); ++kh) {
      for (int64_t kw = left; kw < left + taps; ++kw) {
        for (int64_t ic = 0; ic < g_.icpg; ++ic, to += p.vectors * lanes()) {
          std::copy_n(filter + (ic * g_.taps() + kh * g_.fw + kw) * g_.ocpg + p.first, p.channels, to);
          std::fill(to + p.channels, to + p.vectors * lanes(), 0.f);
        }
      }
    }
  }
}

void CellPanels::sums(int64_t cell, PanelSums s) const {
  const int64_t steps = rows(cell) * cols(cell) * g_.icpg;
  s.far = s.far && far(floats());
  s.w = reinterpret_cast<const float*>(storage_->data()) + offset(cell);
  s.w_cell = cell_floats(cell);
  const int64_t out = s.out_at;
  for (const Panel& p : panels_) {
    s.out_at = out + p.first;
    s.columns = p.channels;
    s.vectors = p.vectors;
    panel_sums(s);
    s.w += steps * p.vectors * lanes();
  }
}

void forward_cells(const Geometry& g, const CellPanels& panels, int64_t first_cell, const float* src, float* dst,
                   Exec& exec) {
  const int64_t in = g.ih * g.iw, positions = g.oh * g.ow;
  const std::vector<Stretch> rows =
      stretches(1, g.oh, g.fh, g.ih, [&](int64_t o, int64_t k) { return g.input_row(o, k); })[0];
  const std::vector<Stretch> cols =
      stretches(1, g.ow, g.fw, g.iw, [&](int64_t o, int64_t k) { return g.input_col(o, k); })[0];
  const int64_t grain = 1 + (int64_t{1} << 17) / std::max<int64_t>(1, g.n * g.icpg * g.taps() * g.ocpg);
  exec.parallel_for(g.group * positions, grain, [&](int64_t begin, int64_t end) {
    std::vector<Run> runs;
    std::vector<const float*> x(static_cast<size_t>(g.n));
    std::vector<float*> out(x.size());
    const Stretch *row = nullptr, *col = nullptr;
    // Outputs that follow each other in one row and have the same taps.
    for (int64_t cell = begin, next; cell < end; cell = next) {
      const int64_t group = cell / positions, oh = cell / g.ow % g.oh, ow = cell % g.ow;
      const auto of = [](const std::vector<Stretch>& all, int64_t o) {
        return &*std::find_if(all.begin(), all.end(), [&](const Stretch& s) { return o < s.end; });
      };
      const Stretch *const row_here = of(rows, oh), *const col_here = of(cols, ow);
      if (row != row_here || col != col_here) {
        row = row_here, col = col_here;
        runs.clear();
        const CellPanels::Window window = panels.window(cell);
        for (int64_t kh = row->low; kh < row->high; ++kh) {
          for (int64_t kw = col->low; kw < col->high; ++kw) {
            // x counts from the first tap; without a flip those of a row follow each other.
            const int64_t at = ((kh - row->low) * g.iw + kw - col->low) * (g.flip ? -g.icpg : g.icpg);
            if (kw > col->low && !g.flip)
              runs.back().k += g.icpg;
            else
              runs.push_back({at, window.at(kh, kw) * g.icpg, g.icpg});
          }
        }
      }
      next = std::min(end, cell + col->end - ow);
      const float* from =
          src + ((group * g.ih + g.input_row(oh, row->low)) * g.iw + g.input_col(ow, col->low)) * g.icpg;
      float* to = dst + cell * g.ocpg;
      PanelSums s{.x = x.data(),
                  .out = out.data(),
                  .items = g.n,
                  .runs = runs.data(),
                  .run_count = static_cast<int64_t>(runs.size()),
                  .far = true,
                  .x_cell = g.stride_w * g.icpg,
                  .out_cell = g.ocpg};
      for (int64_t n = 0; n < g.n; ++n) {
        x[static_cast<size_t>(n)] = from + n * g.group * in * g.icpg;
        out[static_cast<size_t>(n)] = to + n * g.group * positions * g.ocpg;
      }
      // One item of one vector is best done in some cells at once; several panels lie behind each other in every cell.
      const bool many = panels.panels().size() == 1 && (g.n > 1 || panels.panels()[0].vectors == 1);
      s.cells = many ? next - cell : 1;
      for (int64_t c = cell; c < next; c += s.cells, s.x_at += s.x_cell, s.out_at += s.out_cell)
        panels.sums(first_cell + c, s);
    }
  });
}

}  // namespace megalith::local
