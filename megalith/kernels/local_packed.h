// Weights of local convolutions in the order in which they are read, made once (megalith/packed.h).
#pragma once

#include <memory>
#include <vector>

#include "megalith/kernels/local.h"
#include "megalith/kernels/local_tile.h"

namespace megalith::local {

// Along one axis: the taps that the outputs of each cell have inside of the image, some that follow each other.
struct CellTaps {
  std::vector<int64_t> low, count;  // of each cell
  std::vector<int64_t> before;      // taps of the cells before it
  int64_t all = 0;

  template <class Fn>
  CellTaps(int64_t cells, int64_t per_cell, int64_t window, int64_t size, Fn&& input) {
    for (int64_t cell = 0; cell < cells; ++cell) {
      int64_t least = window, most = 0;
      for (int64_t o = cell * per_cell; o < (cell + 1) * per_cell; ++o) {
        for (int64_t k = 0; k < window; ++k) {
          const int64_t at = input(o, k);
          if (at < 0 || at >= size) continue;
          least = std::min(least, k);
          most = std::max(most, k + 1);
        }
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
  // `items`: outputs of a cell in all images, which decides how wide a panel is.
  CellPanels(const Geometry& g, int64_t items, const Tensor& filter, Exec& exec);

  explicit operator bool() const { return storage_ != nullptr; }
  int64_t panels() const { return (columns_ + panel_ - 1) / panel_; }
  // The panel's first channel, its channels, and the floats from one input channel to the next.
  int64_t first(int64_t panel) const { return panel * panel_; }
  int64_t channels(int64_t panel) const { return std::min(panel_, g_.ocpg - first(panel)); }
  int64_t step(int64_t panel) const { return std::min(panel_, columns_ - first(panel)); }
  const float* data(int64_t cell, int64_t panel) const;
  int64_t floats() const { return g_.group * rows_.all * cols_.all * g_.icpg * columns_; }
  // Where a tap stands in the cell, in taps.
  int64_t tap(int64_t cell, int64_t kh, int64_t kw) const {
    const auto r = static_cast<size_t>(cell / g_.sgw % g_.sgh), c = static_cast<size_t>(cell % g_.sgw);
    return (kh - rows_.low[r]) * cols_.count[c] + kw - cols_.low[c];
  }

 private:
  int64_t taps(int64_t cell) const {
    return rows_.count[static_cast<size_t>(cell / g_.sgw % g_.sgh)] * cols_.count[static_cast<size_t>(cell % g_.sgw)];
  }
  int64_t offset(int64_t cell, int64_t panel) const;
  void fill(int64_t cell, const float* filter, float* to) const;

  const Geometry& g_;
  int64_t panel_, columns_;
  CellTaps rows_, cols_;
  std::shared_ptr<Storage> storage_;
};

}  // namespace megalith::local
