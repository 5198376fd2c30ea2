// Weights of recurrent networks in the order in which a step reads them, and how steps are cut into pieces.
#pragma once

#include <algorithm>

#include "megalith/kernels/gemm.h"
#include "megalith/kernels/recurrent.h"
#include "megalith/kernels/scratch.h"

namespace megalith::rnn {

inline constexpr int64_t kTileRows = 42;  // of sums that are in the first cache at once
inline constexpr int64_t kFewRows = 3;    // so few read panels four at once (gemm::multiply)

// Cuts [0, n) into pieces of about equal size, at most `most`.
template <class Fn>
void each_piece(int64_t begin, int64_t end, int64_t most, Fn&& fn) {
  const int64_t pieces = (end - begin + most - 1) / most;
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t next = begin + (end - begin) / (pieces - i);
    fn(begin, next);
    begin = next;
  }
}

// Pieces of [begin, end), in odd turns from the last to the first: what was read last is still in the cache.
template <class Fn>
void to_and_fro(int64_t turn, int64_t begin, int64_t end, int64_t size, Fn&& fn) {
  const int64_t pieces = (end - begin + size - 1) / size;
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t at = begin + (turn % 2 ? pieces - 1 - i : i) * size;
    fn(at, std::min(end, at + size));
  }
}

// Panels of hidden weights, one after the other, or, where few rows of a batch read four at once, in groups of four
// whose rows alternate: then a step reads one stream from its beginning to its end.
struct Panels {
  static constexpr int64_t kGroup = 4;
  const float* data = nullptr;
  int64_t count = 0, k = 0;
  bool grouped = false;

  int64_t group_size(int64_t group) const { return std::min(kGroup, count - group * kGroup); }
  int64_t offset(int64_t i) const {
    const int64_t panel = gemm::panel_width();
    return grouped ? (i / kGroup * kGroup * k + i % kGroup) * panel : i * k * panel;
  }
  // c[row][...] (+)= a[row][0, k) times panels [begin, end), rows of both `a_row` and `c_row` apart. Groups are walked
  // to_and_fro(). `beside`: says what else is computed beside one row's whole group, if anything.
  void multiply(int64_t turn, int64_t rows, const float* a, int64_t a_row, int64_t begin, int64_t end, float* c,
                int64_t c_row, bool accumulate = false,
                const FunctionRef<bool(gemm::Beside&)>* beside = nullptr) const {
    const int64_t panel = gemm::panel_width();
    const gemm::Run run{0, 0, k};
    gemm::Block block{.m = rows, .a = a, .a_row = a_row, .runs = &run, .run_count = 1, .c_row = c_row};
    block.accumulate = accumulate;
    const int64_t size = grouped ? kGroup : end - begin;
    to_and_fro(turn, grouped ? begin / size * size : begin, end, size, [&](int64_t from, int64_t to) {
      const int64_t i = std::max(begin, from);
      block.n = (to - i) * panel;
      block.b = data + offset(i);
      block.b_step = grouped ? group_size(i / kGroup) * panel : panel;
      block.b_panel = grouped ? panel : k * panel;
      block.c = c + (i - begin) * panel;
      gemm::Beside other;
      if (beside && to - i == kGroup && (*beside)(other))
        gemm::multiply_beside(a, block.b, k, block.c, accumulate, other);
      else
        gemm::multiply(block);
    });
  }
};

// Panels of units whose gates one tile computes. Few rows take many, so that there are enough independent sums, and so
// that the gates' functions, one long chain each, do not wait for one another.
inline int64_t units_at_once(recurrent::Kind kind, int64_t rows) {
  using recurrent::Kind;
  const bool many_gates = kind == Kind::kLstm || kind == Kind::kGru;
  return rows > kFewRows ? (many_gates ? 1 : 4) : (many_gates ? 8 : 16);
}

// One matrix below the other; the first one has `k` rows, or all of them.
struct Stacked {
  gemm::Matrix first;
  int64_t k = INT64_MAX;
  gemm::Matrix second = {};
};

// Fills panels.count panels at `to` with B(l, j), which has `units` columns for each of `gates` gates: for each panel
// of units, a panel of each gate.
inline void pack_panels(const Panels& panels, float* to, const Stacked& b, int64_t units, int64_t gates, Exec& exec) {
  const int64_t panel = gemm::panel_width(), k = panels.k;
  exec.parallel_for(panels.count, std::max<int64_t>(1, 32768 / (k * panel)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* out = panels.grouped ? Scratch::get(Scratch::kSums, k * panel) : to + panels.offset(i);
      const int64_t unit = i / gates * panel;
      const auto pack = [&](const gemm::Matrix& m, int64_t rows, float* at) {
        gemm::pack_b(m.data + (i % gates * units + unit) * m.col, m.row, m.col, rows, std::min(panel, units - unit), at,
                     0, 0, 1);
      };
      pack(b.first, std::min(b.k, k), out);
      if (b.k < k) pack(b.second, k - b.k, out + b.k * panel);
      if (!panels.grouped) continue;
      const int64_t step = panels.group_size(i / Panels::kGroup) * panel;
      for (int64_t l = 0; l < k; ++l) std::copy_n(out + l * panel, panel, to + panels.offset(i) + l * step);
    }
  });
}

}  // namespace megalith::rnn
