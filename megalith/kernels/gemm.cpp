#include "megalith/kernels/gemm.h"

#include <algorithm>
#include <array>
#include <utility>

#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/gemm.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/epilogue-inl.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::gemm::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::Activate;
using megalith::HWY_NAMESPACE::LoadFirst;
using megalith::HWY_NAMESPACE::StoreFirst;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// A panel is two vectors wide; the accumulators of a tile, two vectors of B and one value of A fit into the registers.
#if HWY_TARGET == HWY_AVX3
constexpr int kAccumulators = 28;
#elif HWY_ARCH_ARM_A64
constexpr int kAccumulators = 24;
#elif HWY_ARCH_WASM  // engines have fewer than 16 registers to give, and products need one
constexpr int kAccumulators = 8;
#else
constexpr int kAccumulators = 12;
#endif
constexpr int kPanelVectors = 2;
constexpr int64_t kPanel = kPanelVectors * kLanes;
constexpr int kMaxRows = kAccumulators / kPanelVectors;
constexpr int kAhead = 16;  // steps of k between the use of B and what is fetched for later

struct Tile {
  const float* a;
  int64_t a_row, a_step;
  int64_t a_rest;  // from one row of this tile to that of the next, by its number of rows
  const float* b;
  float* c;
  const float* bias;
  const float* add;
  int64_t columns;  // of C that are wanted; fewer than the tile has only when it is masked
};

// kRows x kVectors vectors of C. A vector beyond `columns` is not touched in memory when kMask is set.
template <int kRows, int kVectors, bool kMask>
HWY_INLINE void OneTile(const Block& g, const Tile& t) {
  const D d;
  V acc[kRows][kVectors];
  const auto left = [&](int v) { return std::clamp<int64_t>(t.columns - v * kLanes, 0, kLanes); };
  const auto load = [&](const float* p, int v) {
    if constexpr (kMask)
      return LoadFirst(d, p + v * kLanes, left(v));
    else
      return hn::LoadU(d, p + v * kLanes);
  };
  MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
    // What there is of C is added at the end: until then it is on its way from a far cache.
    if (g.accumulate) {
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) hwy::Prefetch(t.c + i * g.c_row + v * kLanes);
    }
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Zero(d);
  }
  const auto row = static_cast<ptrdiff_t>(t.a_row), step = static_cast<ptrdiff_t>(t.a_step);
  const auto row3 = 3 * row, b_step = static_cast<ptrdiff_t>(g.b_step);
  for (int64_t r = 0; r < g.run_count; ++r) {
    const Run run = g.runs[r];
    // Rows are addressed from three pointers: more would not fit into the registers.
    const float* a0 = t.a + run.a;
    const float* a1 = a0 + 5 * row;
    const float* a2 = a1 + 5 * row;
    const float* b = t.b + run.b;
    for (int64_t k = run.k; k > 0; --k) {
      V bv[kVectors];
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
        const float* p = b + (v / kPanelVectors) * g.b_panel + (v % kPanelVectors) * kLanes;
        // A panel comes from the second cache or beyond.
        if (!kMask && kVectors <= kPanelVectors && v * kLanes % 16 == 0) hwy::Prefetch(p + kAhead * b_step);
        // A packed panel is wide enough; where masks cost nothing, they spare the question.
        if (kMask && (!HWY_MEM_OPS_MIGHT_FAULT || g.b_panel == kPanel))
          bv[v] = LoadFirst(d, p, left(v));
        else
          bv[v] = hn::LoadU(d, p);
      }
      MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
        const float* p = i < 5 ? a0 : i < 10 ? a1 : a2;
        const int at = i % 5;
        const V av = hn::Set(d, p[at == 3 ? row3 : at * row]);
        MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::MulAdd(av, bv[v], acc[i][v]);
      }
      a0 += step;
      a1 += step;
      a2 += step;
      b += b_step;
    }
  }
  if (g.accumulate) {
    MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Add(acc[i][v], load(t.c + i * g.c_row, v));
    }
  }
  if (!kTrimmed && g.epilogue) {
    const Epilogue& e = *g.epilogue;
    if (t.bias) {
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
        const V bias = load(t.bias, v);
        MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) acc[i][v] = hn::Add(acc[i][v], bias);
      }
    }
    if (t.add) {
      MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
        MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] =
            hn::Add(acc[i][v], load(t.add + i * e.add_stride, v));
      }
    }
    if (e.act != Activation::kNone) {
      MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
        MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[i][v] = Activate(d, e, acc[i][v]);
      }
    }
  }
  MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
      float* p = t.c + i * g.c_row + v * kLanes;
      if constexpr (kMask)
        StoreFirst(acc[i][v], d, p, left(v));
      else
        hn::StoreU(acc[i][v], d, p);
    }
  }
}

// `count` tiles below each other; `t` is the first of them, and becomes the one behind them.
template <int kRows, int kVectors, bool kMask>
void Micro(const Block& g, Tile& t, int64_t count) {
  for (; count > 0; --count) {
    OneTile<kRows, kVectors, kMask>(g, t);
    t.a += kRows * t.a_rest;
    t.c += kRows * g.c_row;
    if (t.add) t.add += kRows * g.epilogue->add_stride;
  }
}

using MicroFn = void (*)(const Block&, Tile&, int64_t);

// Micro kernels by number of rows, for one width.
template <int kVectors, bool kMask>
MicroFn Pick(int64_t rows) {
  constexpr int kMost = std::min(kMaxRows, kAccumulators / kVectors);
  static constexpr auto kTable = []<size_t... I>(std::index_sequence<I...>) {
    return std::array<MicroFn, kMost>{Micro<static_cast<int>(I) + 1, kVectors, kMask>...};
  }(std::make_index_sequence<kMost>());
  return kTable[static_cast<size_t>(rows - 1)];
}

// Rows in tiles of about equal height.
template <class Fn>
HWY_INLINE void EachRows(int64_t m, int64_t most, Fn&& fn) {
  const int64_t tiles = (m + most - 1) / most;
  for (int64_t i = 0, at = 0; i < tiles; ++i) {
    const int64_t rows = (m - at + tiles - i - 1) / (tiles - i);
    fn(at, rows);
    at += rows;
  }
}

void Multiply(const Block& g) {
  if (g.m <= 0 || g.n <= 0) return;
  for (int64_t j = 0; j < g.n;) {
    const int64_t left = g.n - j;
    // Few rows: more panels at once, so that there are enough independent sums.
    int vectors = left > (kTrimmed ? 2 * kLanes - 1 : kLanes) ? 2 : 1;
    bool masked = left < vectors * kLanes;
    if (!kTrimmed && g.m <= kAccumulators / 8 && left >= 8 * kLanes)
      vectors = 8, masked = false;
    else if (!kTrimmed && g.m <= kAccumulators / 4 && left >= 4 * kLanes)
      vectors = 4, masked = false;
    const float* b = g.b + j / kPanel * g.b_panel;
    const auto pick = [&](int64_t rows) {
      return kTrimmed       ? (vectors == 2 ? Pick<2, false>(rows) : Pick<1, true>(rows))
             : vectors == 8 ? Pick<8, false>(rows)
             : vectors == 4 ? Pick<4, false>(rows)
             : vectors == 2 ? (masked ? Pick<2, true>(rows) : Pick<2, false>(rows))
                            : (masked ? Pick<1, true>(rows) : Pick<1, false>(rows));
    };
    // Tiles of about equal height: the first `taller` of them have a row more.
    const int64_t most = std::min<int64_t>(kMaxRows, kAccumulators / vectors), tiles = (g.m + most - 1) / most;
    const int64_t height = g.m / tiles, taller = g.m % tiles;
    const MicroFn low = pick(height), high = taller > 0 ? pick(height + 1) : low;
    const Epilogue* e = g.epilogue;
    const bool tiled = g.a_tile_depth > 0;
    for (int64_t line = 0; line < g.lines; ++line) {
      Tile t{g.a + line * g.a_line,
             tiled ? 1 : g.a_row,
             tiled ? height + 1 : g.a_step,
             tiled ? g.a_tile_depth : g.a_row,
             b,
             g.c + line * g.c_line + j,
             e && e->bias ? e->bias + j : nullptr,
             e && e->add ? e->add + line * g.m * e->add_stride + j : nullptr,
             left};
      high(g, t, taller);
      if (tiled) t.a_step = height;
      low(g, t, tiles - taller);
    }
    j += vectors * kLanes;
  }
}

// to[l * to_row + i] = from[i * row + l] for `count` i and k l: rows become columns. Four rows and four steps at a time
// where the target has vectors.
HWY_INLINE void Transpose(const float* from, int64_t row, int64_t count, int64_t k, float* to, int64_t to_row) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> pairs;
  for (; i + 4 <= count; i += 4) {
    const float* p = from + i * row;
    float* out = to + i;
    int64_t l = 0;
    for (; l + 4 <= k; l += 4) {
      const auto r0 = hn::LoadU(d, p + l), r1 = hn::LoadU(d, p + row + l);
      const auto r2 = hn::LoadU(d, p + 2 * row + l), r3 = hn::LoadU(d, p + 3 * row + l);
      const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1));
      const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3));
      const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1));
      const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), d, out + l * to_row);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), d, out + (l + 1) * to_row);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), d, out + (l + 2) * to_row);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), d, out + (l + 3) * to_row);
    }
    for (; l < k; ++l) {
      for (int64_t x = 0; x < 4; ++x) out[l * to_row + x] = p[x * row + l];
    }
  }
#endif
  for (; i < count; ++i) {
    for (int64_t l = 0; l < k; ++l) to[l * to_row + i] = from[i * row + l];
  }
}

// Cache lines of rows that become columns are used while they are there.
constexpr int64_t kStretch = 64;

// Brings A of one run into the order in which tiles read it: for every tile, for every k, a column of its rows.
void PackA(const float* a, int64_t row, int64_t col, int64_t m, int64_t k, float* to) {
  if (row == 1 && m > 1) {  // columns of all tiles lie side by side: some of them at a time
    constexpr int64_t kColumns = 8;
    const D d;
    for (int64_t begin = 0; begin < k; begin += kColumns) {
      const int64_t end = std::min(k, begin + kColumns);
      EachRows(m, kMaxRows, [&](int64_t at, int64_t rows) HWY_ATTR {
        for (int64_t l = begin; l < end; ++l) {
          const float* from = a + l * col + at;
          float* out = to + at * k + l * rows;
          hwy::Prefetch(from + kColumns * col);  // pieces of rows are too short for others to see that more follow
          int64_t i = 0;
          for (; i + kLanes <= rows; i += kLanes) hn::StoreU(hn::LoadU(d, from + i), d, out + i);
          if (i == rows) continue;
          // The next columns overwrite what is too much; what lies behind those of this tile stands there already.
          const V rest = at + i + kLanes <= m ? hn::LoadU(d, from + i) : LoadFirst(d, from + i, rows - i);
          if (l * rows + i + kLanes <= k * rows)
            hn::StoreU(rest, d, out + i);
          else
            StoreFirst(rest, d, out + i, rows - i);
        }
      });
    }
    return;
  }
  EachRows(m, kMaxRows, [&](int64_t at, int64_t rows) {
    const float* from = a + at * row;
    float* out = to + at * k;
    if (col == 1) {
      for (int64_t l = 0; l < k; l += kStretch)
        Transpose(from + l, row, rows, std::min(kStretch, k - l), out + l * rows, rows);
      return;
    }
    for (int64_t l = 0; l < k; ++l) {
      for (int64_t i = 0; i < rows; ++i) out[l * rows + i] = from[i * row + l * col];
    }
  });
}

void PackB(const float* b, int64_t row, int64_t col, int64_t k, int64_t n, float* to, int64_t to_panel, int64_t begin,
           int64_t end) {
  const D d;
  for (int64_t p = begin; p < end; ++p) {
    const int64_t j = p * kPanel, width = std::min(kPanel, n - j);
    float* out = to + p * to_panel;
    const float* from = b + j * col;
    if (col == 1 && width == kPanel) {
      for (int64_t l = 0; l < k; ++l) {
        for (int64_t v = 0; v < kPanel; v += kLanes)
          hn::StoreU(hn::LoadU(d, from + l * row + v), d, out + l * kPanel + v);
      }
      continue;
    }
    if (row == 1) {
      for (int64_t l = 0; l < k; l += kStretch)
        Transpose(from + l, col, width, std::min(kStretch, k - l), out + l * kPanel, kPanel);
    } else {
      for (int64_t l = 0; l < k; ++l) {
        for (int64_t c = 0; c < width; ++c) out[l * kPanel + c] = from[l * row + c * col];
      }
    }
    if (width == kPanel) continue;
    for (int64_t l = 0; l < k; ++l) std::fill(out + l * kPanel + width, out + (l + 1) * kPanel, 0.f);
  }
}

#if HWY_TARGET == HWY_AVX3
constexpr int kBesideRows = 16;  // one vector wide: each weight is read once for all of them
#else
constexpr int kBesideRows = 0;
#endif

void MultiplyBeside(const float* a, const float* b, int64_t k, float* c, bool accumulate, const Beside& o) {
#if HWY_TARGET == HWY_AVX3
  constexpr int kVectors = 4 * kPanelVectors;
  const D d;
  V acc[kVectors], side[kBesideRows];
  MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  MEGALITH_UNROLL for (int i = 0; i < kBesideRows; ++i) {
    side[i] = o.resume ? hn::LoadU(d, o.c + i * o.c_row) : hn::Zero(d);
  }
  const auto row = static_cast<ptrdiff_t>(o.a_row), row3 = 3 * row;
  const float *a0 = o.a, *a1 = a0 + 5 * row, *a2 = a1 + 5 * row, *a3 = a2 + 5 * row, *panel = o.b;
  const auto own = [&]() HWY_ATTR {
    const V av = hn::Set(d, *a++);
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) acc[v] = hn::MulAdd(av, hn::LoadU(d, b + v * kLanes), acc[v]);
    b += kVectors * kLanes;
  };
  const auto other = [&]() HWY_ATTR {
    const V bv = hn::LoadU(d, panel);
    hwy::Prefetch(panel + kAhead * kPanel);
    MEGALITH_UNROLL for (int i = 0; i < kBesideRows; ++i) {
      const float* p = i < 5 ? a0 : i < 10 ? a1 : i < 15 ? a2 : a3;
      const int at = i % 5;
      side[i] = hn::MulAdd(hn::Set(d, p[at == 3 ? row3 : at * row]), bv, side[i]);
    }
    ++a0, ++a1, ++a2, ++a3;
    panel += kPanel;
  };
  int64_t l = 0, left = o.k;
  if (2 * left <= k) {
    for (; left > 0; --left, l += 2) own(), other(), own();
  } else {
    for (; l < k && left > 0; ++l, --left) own(), other();
  }
  for (; l < k; ++l) own();
  for (; left > 0; --left) other();
  MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
    if (accumulate) acc[v] = hn::Add(acc[v], hn::LoadU(d, c + v * kLanes));
    hn::StoreU(acc[v], d, c + v * kLanes);
  }
  MEGALITH_UNROLL for (int i = 0; i < kBesideRows; ++i) {
    float* to = o.c + i * o.c_row;
    if (o.add) side[i] = hn::Add(side[i], hn::LoadU(d, to));
    if (o.bias) side[i] = hn::Add(side[i], hn::LoadU(d, o.bias));
    hn::StoreU(side[i], d, to);
  }
#endif
}

int64_t BesideRows() { return kBesideRows; }
int64_t PanelWidth() { return kPanel; }
int64_t TileRows() { return kMaxRows; }

}  // namespace megalith::gemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::gemm {

int64_t panel_width() {
  static const int64_t width = MEGALITH_DISPATCH(PanelWidth)();
  return width;
}
int64_t tile_rows() {
  static const int64_t rows = MEGALITH_DISPATCH(TileRows)();
  return rows;
}

void pack_a(Matrix a, int64_t m, int64_t k, float* to) { MEGALITH_DISPATCH(PackA)(a.data, a.row, a.col, m, k, to); }

void multiply(const Block& block) { MEGALITH_DISPATCH(Multiply)(block); }

int64_t beside_rows() {
  static const int64_t rows = MEGALITH_DISPATCH(BesideRows)();
  return rows;
}
void multiply_beside(const float* a, const float* b, int64_t k, float* c, bool accumulate, const Beside& other) {
  MEGALITH_DISPATCH(MultiplyBeside)(a, b, k, c, accumulate, other);
}

void pack_b(const float* b, int64_t row, int64_t col, int64_t k, int64_t n, float* to, int64_t to_panel, int64_t begin,
            int64_t end) {
  MEGALITH_DISPATCH(PackB)(b, row, col, k, n, to, to_panel, begin, end);
}

void pack_b(const float* b, int64_t row, int64_t col, int64_t k, int64_t n, float* to, Exec& exec) {
  const int64_t panel = k * panel_width();
  exec.parallel_for(panels(n), std::max<int64_t>(1, 32768 / std::max<int64_t>(1, panel)),
                    [&](int64_t begin, int64_t end) { pack_b(b, row, col, k, n, to, panel, begin, end); });
}

namespace {

constexpr int64_t kRowsInCache = 210;                 // rows of A in one pass: two thirds of a second cache of 1 MiB
constexpr int64_t kSumsInCache = 32768;               // of C that wait for a sink
constexpr int64_t kPackedAtOnce = int64_t{64} << 20;  // floats of B; a larger B is packed in pieces, by every task
constexpr int64_t kPieceColumns = 1024;

int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

// How a product is cut: tasks of `rows` x `cols`, A brought into tile order where it is read often or lies badly.
struct Cut {
  int64_t rows, cols;
  bool pack_a, pack_b;
  bool pack_pieces;  // of B, where all of it would take too much memory
};

Cut cut_of(const Product& p, int threads) {
  Cut c{};
  const int64_t tile = tile_rows(), panel = panel_width();
  const bool gathered = p.gather || p.gather_t;
  // Rows that are a multiple of 4 KiB apart fall into the same places of the first cache.
  const bool crowded = p.a.col == 1 && p.a.row % 1024 == 0 && p.m > 8;
  const int64_t n = p.n + (p.also ? p.also->n : 0);
  const bool often = n > (p.a.col == 1 ? 16 : 4) * panel;  // rows lie better than columns
  c.pack_a = !gathered && p.m > 1 && (often || crowded) && p.k > 8;
  const bool pack = !p.packed_b && (p.b.col != 1 || p.m > 4 * tile);
  c.pack_b = pack && packs_tightly(1, p.k, p.n) && packed_floats(p.k, p.n) <= kPackedAtOnce;
  c.pack_pieces = pack && !c.pack_b;
  c.rows = std::min(p.m, round_up(kRowsInCache, tile));
  c.cols = c.pack_pieces ? std::min(p.n, kPieceColumns) : p.n;
  if (p.sink) c.rows = std::min(c.rows, std::max(4 * tile, round_up(kSumsInCache / p.n, tile)));
  const auto tasks = [&] { return ((p.m + c.rows - 1) / c.rows) * ((p.n + c.cols - 1) / c.cols); };
  if (threads > 1 && p.m * p.n * p.k > 64 * 64 * 64) {
    // Rows first: they share nothing. Then columns, in whole groups of panels.
    if (p.m >= 2 * tile * threads) {
      while (tasks() < threads * 4 && c.rows > tile * 2) c.rows = round_up((c.rows + 1) / 2, tile);
    }
    const int64_t group = 4 * panel;
    while (tasks() < threads * 4 && c.cols > group) c.cols = round_up((c.cols + 1) / 2, group);
  }
  return c;
}

// Rows [i0, i1) and columns [j0, j1) of C, on the calling thread.
void run_task(const Product& p, const Cut& cut, const float* packed_b, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  const int64_t panel = panel_width(), rows = i1 - i0, tile_room = round_up(cut.rows, tile_rows());
  const bool copied = cut.pack_a || p.gather || p.gather_t;
  float* piece = copied ? Scratch::get(Scratch::kTilesOfA, (tile_room + 16) * (kDepth + 16)) : nullptr;
  float* sums = p.sink ? Scratch::get(Scratch::kSums, rows * (j1 - j0)) : nullptr;
  float* piece_of_b = cut.pack_pieces ? Scratch::get(Scratch::kPanelsOfB, packed_floats(kDepth, j1 - j0)) : nullptr;
  for (int64_t l = 0; l < p.k || l == 0; l += p.depth) {
    const int64_t depth = std::min(p.depth, p.k - l);
    Run run{0, packed_b ? l * panel : l * p.b.row, depth};
    Block g{.m = rows, .n = j1 - j0, .runs = &run, .run_count = 1, .accumulate = p.accumulate || l > 0};
    g.b = packed_b ? packed_b + j0 * p.k : p.b.data + j0;
    g.b_step = packed_b ? panel : p.b.row;
    g.b_panel = packed_b ? p.k * panel : panel;
    if (piece_of_b) {
      pack_b(p.b.data + l * p.b.row + j0 * p.b.col, p.b.row, p.b.col, depth, g.n, piece_of_b, depth * panel, 0,
             panels(g.n));
      g.b = piece_of_b;
      g.b_step = panel;
      g.b_panel = depth * panel;
      run.b = 0;
    }
    Epilogue e;
    if (p.epilogue && l + p.depth >= p.k) {
      e = *p.epilogue;
      if (e.bias) e.bias += j0;
      if (e.add) e.add += i0 * e.add_stride + j0;
      g.epilogue = &e;
    }
    g.c = sums ? sums : p.c + i0 * p.c_row + j0;
    g.c_row = sums ? j1 - j0 : p.c_row;
    if (p.gather) {
      g.a = piece;
      g.a_row = kDepth + 16;
      (*p.gather)(i0, rows, l, depth, piece, g.a_row);
    } else if (p.gather_t) {
      g.a = piece;
      g.a_row = 1;
      g.a_step = tile_room + 16;
      (*p.gather_t)(l, depth, i0, rows, piece, g.a_step);
    } else {
      g.a = p.a.data + i0 * p.a.row + l * p.a.col;
      g.a_row = p.a.row;
      g.a_step = p.a.col;
      if (cut.pack_a) {
        pack_a({g.a, g.a_row, g.a_step}, g.m, depth, piece);
        g.a = piece;
        g.a_tile_depth = depth;
      }
    }
    multiply(g);
    if (!p.also) continue;
    // The same part of its columns.
    const auto part = [&](int64_t j) { return panels(p.also->n) * panels(j) / panels(p.n) * panel; };
    const int64_t from = part(j0);
    g.n = std::min(part(j1), p.also->n) - from;
    g.b = p.also->packed_b + from * p.k;
    g.c = p.also->c + i0 * p.also->c_row + from;
    g.c_row = p.also->c_row;
    multiply(g);
  }
  if (sums) (*p.sink)(i0, rows, j0, j1 - j0, sums, j1 - j0);
}

}  // namespace

void product(const Product& p, Exec& exec) {
  if (p.m <= 0 || p.n <= 0) return;
  const Cut cut = cut_of(p, exec.threads());
  const float* packed_b = p.packed_b;
  if (cut.pack_b) {
    float* room = Scratch::get(Scratch::kPanelsOfB, packed_floats(p.k, p.n));
    pack_b(p.b.data, p.b.row, p.b.col, p.k, p.n, room, exec);
    packed_b = room;
  }
  const int64_t row_tasks = (p.m + cut.rows - 1) / cut.rows, col_tasks = (p.n + cut.cols - 1) / cut.cols;
  exec.parallel_for(row_tasks * col_tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / col_tasks * cut.rows, j = task % col_tasks * cut.cols;
      run_task(p, cut, packed_b, i, std::min(p.m, i + cut.rows), j, std::min(p.n, j + cut.cols));
    }
  });
  if (cut.pack_b) Scratch::release(Scratch::kPanelsOfB);
}

}  // namespace megalith::gemm
#endif
