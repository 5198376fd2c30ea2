// Local forward with constant weights, packed once: lanes are output channels.
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#ifdef __linux__
#include <unistd.h>
#endif

#include "megalith/kernels/local_packed.h"
#include "megalith/kernels/simd.h"
#include "megalith/packed.h"
#include "megalith/plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/local_packed.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/local-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::local::HWY_NAMESPACE {

template <int kVectors>
constexpr int kPanelSteps = kManyRegisters                            ? std::max(1, 4 / kVectors)
                            : HWY_TARGET == HWY_WASM                  ? 1
                            : kVectors == 2 && HWY_TARGET == HWY_AVX2 ? 4
                            : kVectors == 1                           ? 2
                                                                      : 1;
template <int kVectors>
constexpr int kPanelItems = std::max(1, std::min(14, kAccumulators / kVectors));

// Tiles that leave no register free, and are written so that the compiler needs none.
template <int kVectors, bool kCells>
constexpr bool kTightTile = HWY_TARGET == HWY_AVX2 && kVectors == 2 && !kCells;

// The most that weights are asked for ahead of need.
constexpr int64_t kMostAhead = 4096;

// Asks for a line of the cache, for the second one.
HWY_INLINE void PrefetchNear(const float* p) {
#if HWY_COMPILER_GCC || HWY_COMPILER_CLANG
  __builtin_prefetch(p, 0, 2);
#else
  hwy::Prefetch(p);
#endif
}

// Items [i0, i0 + kItems) of that cell, or, with kCells, one item of each of kItems cells from it on.
template <int kItems, int kVectors, bool kCells>
void Panel(const PanelSums& s, int64_t i0, int64_t cell) {
  const D d;
  constexpr int64_t kRow = kVectors * kLanes;
  constexpr int kWeights = kCells ? kItems : 1;
  constexpr bool kTight = kTightTile<kVectors, kCells>;
  V acc[kItems][kVectors];
  const float* x[kItems];
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
    x[i] = s.x[kCells ? 0 : i0 + i] + s.x_at + (kCells ? cell + i : cell) * s.x_cell;
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Zero(d);
    if (kTight && s.resume) {
      const float* out = s.out[i0 + i] + s.out_at + cell * s.out_cell;
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] =
          LoadFirst(d, out + v * kLanes, std::clamp<int64_t>(s.columns - v * kLanes, 0, kLanes));
    }
  }
  int64_t ahead = kCells || i0 == 0 ? s.ahead : 0;
  const bool second_cache = s.second_cache;
  const float* const first = s.w + cell * s.w_cell;
  // Of several tiles with the same weights each asks for its part of those that all of them take next: they come in the
  // whole time and not while the first tile waits for them. Unless 0: so many floats in the time of kMost steps.
  constexpr int kMost = kPanelSteps<kVectors>;
  int64_t part = 0;
  const float* next = nullptr;
  if constexpr (kTight) {
    if (s.ahead && s.items > kItems && s.run_count > 0) {
      int64_t steps = 0;
      for (int64_t r = 0; r < s.run_count; ++r) steps += s.runs[r].k;
      next = first + (s.runs[0].w + steps) * kRow + steps * kRow * i0 / s.items;
      part = kMost * kRow * kItems / s.items;
      ahead = 0;
    }
  }
  const int64_t w_cell = s.w_cell;
  for (int64_t r = 0; r < s.run_count; ++r) {
    const Run run = s.runs[r];
    const float* w = first + run.w * kRow;
    const float* from[kItems];
    MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) from[i] = x[i] + run.x;
    int64_t at = 0;
    const auto advance = [&](auto steps) HWY_ATTR __attribute__((always_inline)) {
      constexpr int kCount = decltype(steps)::value;
      if (kTight && kCount == kMost && part) {
        static_assert(!kTight || kMost * kRow == 64);
        PrefetchNear(next);
        if (part > 16) PrefetchNear(next + 16);
        next += part;
      }
      if (ahead) {
        constexpr int kLines = static_cast<int>((kCount * kRow + 15) / 16);
        MEGALITH_UNROLL for (int c = 0; c < kWeights; ++c) {
          MEGALITH_UNROLL for (int line = 0; line < kLines; ++line) {
            const float* p = w + ahead + c * w_cell + line * 16;
            second_cache ? PrefetchNear(p) : hwy::Prefetch(p);
          }
        }
      }
      if constexpr (kVectors <= 2 && !kCells) {
        // The weights of all these steps at once, where there are registers for them.
        constexpr int kTogether = kManyRegisters || kVectors == 1 ? kCount : 1;
        MEGALITH_UNROLL for (int first_step = 0; first_step < kCount; first_step += kTogether) {
          V wv[kTogether][kVectors];
          MEGALITH_UNROLL for (int u = 0; u < kTogether; ++u) {
            MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
              wv[u][v] = hn::LoadU(d, w + (first_step + u) * kRow + v * kLanes);
              if (kTight) wv[u][v] = Once(wv[u][v]);
            }
          }
          MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
            MEGALITH_UNROLL for (int u = 0; u < kTogether; ++u) {
              const float& from_i = from[i][at + first_step + u];
              if (kVectors > 1 && embedded(i)) {
                MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] =
                    hn::Add(acc[i][v], MulBroadcast(from_i, wv[u][v]));
              } else if (kTight) {
                const V xv = ReadOnce(from_i);
                MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) AddProduct(acc[i][v], xv, wv[u][v]);
              } else {
                const V xv = hn::Set(d, from_i);
                MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] =
                    hn::Add(acc[i][v], hn::Mul(xv, wv[u][v]));
              }
            }
          }
        }
      } else {
        MEGALITH_UNROLL for (int u = 0; u < kCount; ++u) {
          const auto embed = [](int i) { return !kCells && kVectors == 4 && i % 2 == 0 && embedded(i); };
          V xv[kItems];
          MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
            if (!embed(i)) xv[i] = hn::Set(d, from[i][at + u]);
          }
          MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
            V wv[kWeights];
            MEGALITH_UNROLL for (int c = 0; c < kWeights; ++c) wv[c] =
                hn::LoadU(d, w + c * w_cell + u * kRow + v * kLanes);
            MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
              acc[i][v] = hn::Add(acc[i][v],
                                  embed(i) ? MulBroadcast(from[i][at + u], wv[0]) : hn::Mul(xv[i], wv[kCells ? i : 0]));
            }
          }
        }
      }
      at += kCount;
      w += kCount * kRow;
    };
    for (; at + kMost <= run.k;) advance(std::integral_constant<int, kMost>());
    if constexpr (kMost > 1) {
      while (at < run.k) advance(std::integral_constant<int, 1>());
    }
  }
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
    float* out = s.out[kCells ? 0 : i0 + i] + s.out_at + (kCells ? cell + i : cell) * s.out_cell;
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
      const int64_t left = s.columns - v * kLanes;
      if (left >= kLanes)
        hn::StoreU(acc[i][v], d, out + v * kLanes);
      else
        StoreFirst(acc[i][v], d, out + v * kLanes, left);
    }
  }
}

// The most items of two cells beside each other.
constexpr int kPairItems = std::min(8, kAccumulators / 2);

// Items [i0, i0 + kItems) of that cell and the next, one vector: most of what they read of x is the same, one s.x_cell
// further in the first, and is read once for both.
template <int kItems>
void Pair(const PanelSums& s, int64_t i0, int64_t cell) {
  const D d;
  V acc[2][kItems];
  const float* x[kItems];
  MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
    x[i] = s.x[i0 + i] + s.x_at + cell * s.x_cell;
    acc[0][i] = acc[1][i] = hn::Zero(d);
  }
  const bool far = i0 == 0 && s.ahead;
  const int64_t apart = s.x_cell;
  for (int64_t r = 0; r < s.run_count; ++r) {
    const Run run = s.runs[r];
    const float* const w = s.w + cell * s.w_cell + run.w * kLanes;
    const float* const w_next = w + s.w_cell - apart * kLanes;
    const float* from[kItems];
    MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) from[i] = x[i] + run.x;
    const auto steps = [&](int64_t begin, int64_t end, auto first, auto second) HWY_ATTR {
      constexpr bool kFirst = decltype(first)::value, kSecond = decltype(second)::value;
      for (int64_t at = begin; at < end; ++at) {
        V w0 = hn::Zero(d), w1 = w0;
        if constexpr (kFirst) {
          w0 = hn::LoadU(d, w + at * kLanes);
          if (far) hwy::Prefetch(w + at * kLanes + kMostAhead);
        }
        if constexpr (kSecond) {
          w1 = hn::LoadU(d, w_next + at * kLanes);
          if (far) hwy::Prefetch(w_next + at * kLanes + kMostAhead);
        }
        MEGALITH_UNROLL for (int i = 0; i < kItems; ++i) {
          const float& from_i = from[i][at];
          if (embedded(i)) {
            if constexpr (kFirst) acc[0][i] = hn::Add(acc[0][i], MulBroadcast(from_i, w0));
            if constexpr (kSecond) acc[1][i] = hn::Add(acc[1][i], MulBroadcast(from_i, w1));
            continue;
          }
          const V xv = kFirst && kSecond ? ReadOnce(from_i) : hn::Set(d, from_i);
          if constexpr (kFirst) acc[0][i] = hn::Add(acc[0][i], hn::Mul(xv, w0));
          if constexpr (kSecond) acc[1][i] = hn::Add(acc[1][i], hn::Mul(xv, w1));
        }
      }
    };
    steps(0, apart, std::true_type(), std::false_type());
    steps(apart, run.k, std::true_type(), std::true_type());
    steps(run.k, run.k + apart, std::false_type(), std::true_type());
  }
  MEGALITH_UNROLL for (int c = 0; c < 2; ++c) {
    MEGALITH_UNROLL for (int i = 0; i < kItems; ++i)
        StoreFirst(acc[c][i], d, s.out[i0 + i] + s.out_at + (cell + c) * s.out_cell, std::min(s.columns, kLanes));
  }
}

using PanelFn = void (*)(const PanelSums&, int64_t, int64_t);

// fn[items - 1](s, first item, cell) for all items, in tiles of alike size.
template <size_t kMost>
void InTiles(const std::array<PanelFn, kMost>& fn, const PanelSums& s, int64_t cell) {
  const int64_t most = kMost, tiles = (s.items + most - 1) / most;
  for (int64_t t = 0, at = 0; t < tiles; ++t) {
    const int64_t items = (s.items - at + tiles - t - 1) / (tiles - t);
    fn[static_cast<size_t>(items - 1)](s, at, cell);
    at += items;
  }
}

template <int kVectors>
void ItemsOf(const PanelSums& s) {
  static constexpr auto kTable = []<size_t... I>(std::index_sequence<I...>) {
    return std::array<PanelFn, sizeof...(I)>{Panel<static_cast<int>(I) + 1, kVectors, false>...};
  }(std::make_index_sequence<kPanelItems<kVectors>>());
  int64_t cell = 0;
  if constexpr (kVectors == 1 && kPairItems > 2) {
    static constexpr auto kPairs = []<size_t... I>(std::index_sequence<I...>) {
      return std::array<PanelFn, sizeof...(I)>{Pair<static_cast<int>(I) + 1>...};
    }(std::make_index_sequence<kPairItems>());
    if (s.run_count > 0 && s.x_cell < s.runs[0].k && s.w_cell <= kMostAhead) {
      for (; cell + 2 <= s.cells; cell += 2) InTiles(kPairs, s, cell);
    }
  }
  for (; cell < s.cells; ++cell) {
    // Weights that all tiles take and those that come next shall stay in the second cache: one run after the other.
    if (kTightTile<kVectors, false> && s.items > kPanelItems<kVectors> && s.run_count > 1 &&
        s.runs[0].k * s.run_count * kVectors * kLanes > kNear / 4) {
      PanelSums part = s;
      part.run_count = 1;
      for (; part.runs < s.runs + s.run_count; ++part.runs, part.resume = true) InTiles(kTable, part, cell);
    } else {
      InTiles(kTable, s, cell);
    }
  }
}

void CellsOf(const PanelSums& s) {
  constexpr int kAtOnce = std::min(4, kAccumulators / 2);
  int64_t at = 0;
  for (; at + kAtOnce <= s.cells; at += kAtOnce) Panel<kAtOnce, 1, true>(s, 0, at);
  for (; at < s.cells; ++at) Panel<1, 1, true>(s, 0, at);
}

void PanelsOf(const PanelSums& s) {
  if (s.cells > 1 && s.items == 1 && s.vectors == 1) return CellsOf(s);
  switch (s.vectors) {
    case 1: return ItemsOf<1>(s);
    case 2: return ItemsOf<2>(s);
    case 4: return ItemsOf<4>(s);
    default: return ItemsOf<8>(s);
  }
}

// The most vectors of a panel. Few items: more columns at once, so that there are enough independent sums.
int64_t VectorsAtOnce(int64_t items) { return items <= kPanelItems<8> ? 8 : items <= kPanelItems<4> ? 4 : 2; }

}  // namespace megalith::local::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::local {
namespace {

// As much as leaves room in the first cache: 4 KB where it has 32 KB, 16 KB where it has 48. One thread, ms: 512
// channels 7x7 n1 15.7 with 16 KB, 12.2 with 4 (Zen 4); 32 channels 28x28 n1 0.35 with 16 KB, 0.41 with 8 (Zen 5).
int64_t floats_ahead() {
#ifdef _SC_LEVEL1_DCACHE_SIZE
  static const long kFirstCache = sysconf(_SC_LEVEL1_DCACHE_SIZE);
  if (kFirstCache > 0 && kFirstCache < 49152) return 1024;
#endif
  return 4096;
}

// Intel's first cache waits for 16 lines at a time, its second one for 48. One thread, ms, a Xeon with AMX: 512
// channels 7x7 n8 36.1 into the first, 30.0 into the second; 16 channels 9x9 n8 26.4 and 23.0.
bool into_second_cache() {
#ifdef __x86_64__
  static const bool kIntel = __builtin_cpu_is("intel");
  return kIntel;
#else
  return false;
#endif
}

void panel_sums(const PanelSums& s) { MEGALITH_DISPATCH(PanelsOf)(s); }
int64_t vectors_at_once(int64_t items) { return MEGALITH_DISPATCH(VectorsAtOnce)(items); }

}  // namespace

uint64_t key_of(const Geometry& g, std::initializer_list<int64_t> more) {
  uint64_t key = g.flip;
  for (int64_t v : {g.ih, g.iw, g.stride_h, g.stride_w, g.pad_h, g.pad_w, g.rows, g.cols, lanes()})
    key = mix_bits(key, static_cast<uint64_t>(v));
  for (int64_t v : more) key = mix_bits(key, static_cast<uint64_t>(v));
  return key;
}

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
      for (int64_t cell = begin; cell < end; ++cell) fill(cell, filter.data<float>(), reinterpret_cast<float*>(to));
    });
  });
}

int64_t CellPanels::ahead() const { return floats() > kNear ? floats_ahead() : 0; }

CellPanels::Cell CellPanels::cell(int64_t index) const {
  const int64_t line = index / g_.sgw, group = line / g_.sgh;
  const auto r = static_cast<size_t>(line - group * g_.sgh), c = static_cast<size_t>(index - line * g_.sgw);
  const int64_t before = (group * rows_.all + rows_.before[r]) * cols_.all + rows_.count[r] * cols_.before[c];
  return {rows_.low[r], cols_.low[c], rows_.count[r], cols_.count[c], before * columns_ * g_.icpg};
}

void CellPanels::fill(int64_t cell_index, const float* filter, float* to) const {
  const auto [top, left, rows, cols, offset] = cell(cell_index);
  filter += cell_index * g_.icpg * g_.taps() * g_.ocpg;
  to += offset;
  for (const Panel& p : panels_) {
    for (int64_t kh = top; kh < top + rows; ++kh) {
      for (int64_t kw = left; kw < left + cols; ++kw) {
        for (int64_t ic = 0; ic < g_.icpg; ++ic, to += p.vectors * lanes()) {
          std::copy_n(filter + (ic * g_.taps() + kh * g_.fw + kw) * g_.ocpg + p.first, p.channels, to);
          std::fill(to + p.channels, to + p.vectors * lanes(), 0.f);
        }
      }
    }
  }
}

void CellPanels::sums(const Cell& cell, PanelSums& s) const {
  const int64_t steps = cell.rows * cell.cols * g_.icpg;
  s.w = reinterpret_cast<const float*>(storage_->data()) + cell.offset;
  s.w_cell = steps * columns_;
  s.second_cache = into_second_cache();
  const int64_t out = s.out_at;
  for (const Panel& p : panels_) {
    s.out_at = out + p.first;
    s.columns = p.channels;
    s.vectors = p.vectors;
    panel_sums(s);
    s.w += steps * p.vectors * lanes();
  }
  s.out_at = out;
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
        const CellPanels::Cell taps = panels.cell(first_cell + cell);
        for (int64_t kh = row->low; kh < row->high; ++kh) {
          for (int64_t kw = col->low; kw < col->high; ++kw) {
            // x counts from the first tap; without a flip those of a row follow each other.
            const int64_t at = ((kh - row->low) * g.iw + kw - col->low) * (g.flip ? -g.icpg : g.icpg);
            if (kw > col->low && !g.flip)
              runs.back().k += g.icpg;
            else
              runs.push_back({at, taps.at(kh, kw) * g.icpg, g.icpg});
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
                  .ahead = panels.ahead(),
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
        panels.sums(panels.cell(first_cell + c), s);
    }
  });
}

}  // namespace megalith::local
#endif
