// Weights of local convolutions in the order in which they are read, made once (megalith/packed.h).
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "megalith/kernels/local.h"
#include "megalith/kernels/local_tile.h"

namespace megalith::local {

// Outputs [begin, end) along one axis whose windows have taps [low, high) inside of the image.
struct Stretch {
  int64_t begin, end, low, high;
};

// The outputs of every cell in stretches: `input(o, k)` is where tap k of output o falls into.
template <class Fn>
std::vector<std::vector<Stretch>> stretches(int64_t cells, int64_t per_cell, int64_t window, int64_t size, Fn&& input) {
  std::vector<std::vector<Stretch>> of_cell(static_cast<size_t>(cells));
  for (int64_t o = 0; o < cells * per_cell; ++o) {
    int64_t low = 0, high = window;
    const auto inside = [&](int64_t k) { return input(o, k) >= 0 && input(o, k) < size; };
    while (low < high && !inside(low)) ++low;
    while (low < high && !inside(high - 1)) --high;
    std::vector<Stretch>& all = of_cell[static_cast<size_t>(o / per_cell)];
    if (!all.empty() && all.back().low == low && all.back().high == high)
      ++all.back().end;
    else
      all.push_back({o, o + 1, low, high});
  }
  return of_cell;
}

// Along one axis: the taps that the outputs of each cell have inside of the image, some that follow each other.
struct CellTaps {
  std::vector<int64_t> low, count;  // of each cell
  std::vector<int64_t> before;      // taps of the cells before it
  int64_t all = 0;

  template <class Fn>
  CellTaps(int64_t cells, int64_t per_cell, int64_t window, int64_t size, Fn&& input) {
    for (const std::vector<Stretch>& cell : stretches(cells, per_cell, window, size, input)) {
      int64_t least = window, most = 0;
      for (const Stretch& s : cell) {
        if (s.low == s.high) continue;
        least = std::min(least, s.low);
        most = std::max(most, s.high);
      }
      low.push_back(std::min(least, most));
      count.push_back(most - low.back());
      before.push_back(all);
      all += count.back();
    }
  }
};

// Lanes are output channels: in each cell, panels of channels; in a panel its taps in the order of the sums, and in
// each the input channels.
class CellPanels {
 public:
  struct Panel {
    int64_t first, channels, vectors;
  };

  // `items`: outputs of a cell in all images, which decides how wide a panel is.
  CellPanels(const Geometry& g, int64_t items, const Tensor& filter, Exec& exec);

  explicit operator bool() const { return storage_ != nullptr; }
  const std::vector<Panel>& panels() const { return panels_; }
  int64_t floats() const { return g_.group * rows_.all * cols_.all * g_.icpg * columns_; }
  // The taps of a cell: where they begin in the window, how many there are, and where their weights lie.
  struct Cell {
    int64_t top, left, rows, cols, offset;
    int64_t at(int64_t kh, int64_t kw) const { return (kh - top) * cols + kw - left; }
  };
  Cell cell(int64_t index) const;
  // The sums of one cell, for all panels; s lacks w, its cache and all that is said of columns, and gets it.
  void sums(const Cell& cell, PanelSums& s) const;
  // How many floats ahead weights are asked for; 0 where they stay near.
  int64_t ahead() const;

 private:
  void fill(int64_t cell, const float* filter, float* to) const;

  const Geometry& g_;
  std::vector<Panel> panels_;
  int64_t columns_;
  CellTaps rows_, cols_;
  std::shared_ptr<Storage> storage_;
};

// src and dst have channels last: (n, group, pixels, channels). For cells of one output; the first one here is
// first_cell of all.
void forward_cells(const Geometry& g, const CellPanels& panels, int64_t first_cell, const float* src, float* dst,
                   Exec& exec);
// Lanes along the width; false where that can't be done, or weights are not packed. It pays where narrow() does and for
// few_images() of one vector of channels or less: those wait for memory, and then nothing has to be turned around.
bool few_images(const Geometry& g);
bool forward_rows_packed(const Geometry& g, const float* src, const Tensor& filter, float* dst, Exec& exec);

// How weights are packed: what they depend on, and `more`.
uint64_t key_of(const Geometry& g, std::initializer_list<int64_t> more);

}  // namespace megalith::local
