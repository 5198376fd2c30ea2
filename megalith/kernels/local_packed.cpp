#include "megalith/kernels/local_packed.h"

#include <algorithm>

#include "megalith/packed.h"
#include "megalith/plan.h"

namespace megalith::local {
namespace {

uint64_t key_of(const Geometry& g, std::initializer_list<int64_t> more) {
  uint64_t key = g.flip;
  for (int64_t v : {g.ih, g.iw, g.stride_h, g.stride_w, g.pad_h, g.pad_w, g.rows, g.cols, lanes()})
    key = mix_bits(key, static_cast<uint64_t>(v));
  for (int64_t v : more) key = mix_bits(key, static_cast<uint64_t>(v));
  return key;
}

}  // namespace

CellPanels::CellPanels(const Geometry& g, int64_t items, const Tensor& filter, Exec& exec)
    : g_(g),
      panel_(vectors_at_once(items) * lanes()),
      columns_((g.ocpg + lanes() - 1) / lanes() * lanes()),
      rows_(g.sgh, g.rows, g.fh, g.ih, [&](int64_t o, int64_t k) { return g.input_row(o, k); }),
      cols_(g.sgw, g.cols, g.fw, g.iw, [&](int64_t o, int64_t k) { return g.input_col(o, k); }) {
  panel_ = std::min(panel_, columns_);
  storage_ =
      packed_again(filter, key_of(g, {1, panel_}), static_cast<size_t>(floats()) * sizeof(float), [&](std::byte* to) {
        const int64_t cells = g.group * g.sgh * g.sgw;
        exec.parallel_for(cells, 1 + 65536 / (g.taps() * g.icpg * columns_), [&](int64_t begin, int64_t end) {
          for (int64_t cell = begin; cell < end; ++cell) fill(cell, filter.data<float>(), reinterpret_cast<float*>(to));
        });
      });
}

int64_t CellPanels::offset(int64_t cell, int64_t panel) const {
  const auto r = static_cast<size_t>(cell / g_.sgw % g_.sgh), c = static_cast<size_t>(cell % g_.sgw);
  const int64_t before =
      cell / (g_.sgh * g_.sgw) * rows_.all * cols_.all + rows_.before[r] * cols_.all + rows_.count[r] * cols_.before[c];
  return (before * columns_ + taps(cell) * first(panel)) * g_.icpg;
}

const float* CellPanels::data(int64_t cell, int64_t panel) const {
  return reinterpret_cast<const float*>(storage_->data()) + offset(cell, panel);
}

void CellPanels::fill(int64_t cell, const float* filter, float* to) const {
  const auto r = static_cast<size_t>(cell / g_.sgw % g_.sgh), c = static_cast<size_t>(cell % g_.sgw);
  filter += cell * g_.icpg * g_.taps() * g_.ocpg;
  for (int64_t p = 0; p < panels(); ++p) {
    float* out = to + offset(cell, p);
    const int64_t n = channels(p), pitch = step(p);
    for (int64_t kh = rows_.low[r]; kh < rows_.low[r] + rows_.count[r]; ++kh) {
      for (int64_t kw = cols_.low[c]; kw < cols_.low[c] + cols_.count[c]; ++kw) {
        for (int64_t ic = 0; ic < g_.icpg; ++ic, out += pitch) {
          std::copy_n(filter + (ic * g_.taps() + kh * g_.fw + kw) * g_.ocpg + first(p), n, out);
          std::fill(out + n, out + pitch, 0.f);
        }
      }
    }
  }
}

}  // namespace megalith::local
