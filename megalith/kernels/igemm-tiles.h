// Tiles of a product that fit into the registers, and how a block is cut into them: for the kernel files of igemm.h,
// each of which includes this in its own namespace. MEGALITH_TILE says for which processor functions are compiled.
//
// Ops has kLanes, kPanelVectors and kAccumulators; a vector V of words; and the functions load(p), repeat(word),
// store(v, p) and add(sum, a, b); or, where kTwoSums holds, add(sum, a, b, more) and total(sum, more, start).

// kRows rows and kVectors vectors of columns, which begin with a panel.
template <class Ops, int kRows, int kVectors>
MEGALITH_TILE void Tile(const Block& g, const int32_t* a, const int32_t* b, const int32_t* start, int32_t* c) {
  using V = typename Ops::V;
  V sums[kRows][kVectors], more[Ops::kTwoSums ? kRows : 1][kVectors], first[kVectors];
  MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) first[v] = Ops::load(start + v * Ops::kLanes);
  MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
      sums[i][v] = Ops::kTwoSums ? Ops::repeat(0) : first[v];
      if constexpr (Ops::kTwoSums) more[i][v] = Ops::repeat(0);
    }
  }
  const auto row = static_cast<ptrdiff_t>(g.a_row);
  const int64_t panel = g.depth * Ops::kPanelVectors * Ops::kLanes;
  // Rows are addressed from three pointers: more would not fit into the registers.
  const int32_t *a0 = a, *a1 = a0 + 5 * row, *a2 = a1 + 5 * row;
  const ptrdiff_t row3 = 3 * row;
  for (int64_t k = 0; k < g.depth; ++k) {
    V bv[kVectors];
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) bv[v] =
        Ops::load(b + (v / Ops::kPanelVectors) * panel + (v % Ops::kPanelVectors) * Ops::kLanes);
    MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
      const int32_t* p = i < 5 ? a0 : i < 10 ? a1 : a2;
      const V av = Ops::repeat(p[i % 5 == 3 ? row3 : i % 5 * row]);
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
        if constexpr (Ops::kTwoSums)
          sums[i][v] = Ops::add(sums[i][v], av, bv[v], more[i][v]);
        else
          sums[i][v] = Ops::add(sums[i][v], av, bv[v]);
      }
    }
    ++a0, ++a1, ++a2;
    b += Ops::kPanelVectors * Ops::kLanes;
  }
  MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
      if constexpr (Ops::kTwoSums) sums[i][v] = Ops::total(sums[i][v], more[i][v], first[v]);
      Ops::store(sums[i][v], c + i * g.c_row + v * Ops::kLanes);
    }
  }
}

using TileFn = void (*)(const Block&, const int32_t* a, const int32_t* b, const int32_t* start, int32_t* c);

// By the number of rows.
template <class Ops, int kVectors, int... I>
TileFn PickTile(int64_t rows, std::integer_sequence<int, I...>) {
  static constexpr std::array<TileFn, sizeof...(I)> kTable = {Tile<Ops, I + 1, kVectors>...};
  return kTable[static_cast<size_t>(rows - 1)];
}
template <class Ops, int kVectors>
TileFn PickTile(int64_t rows) {
  constexpr int kMost = Ops::kAccumulators / std::max(kVectors, Ops::kPanelVectors);
  return PickTile<Ops, kVectors>(rows, std::make_integer_sequence<int, kMost>());
}

// Tiles of about equal height. Few rows take more panels at once, so that there are enough independent sums.
template <class Ops>
void Tiles(const Block& g) {
  for (int64_t j = 0; j < g.n;) {
    const int64_t left = g.n - j;
    const int vectors = g.m <= Ops::kAccumulators / 4 && left > Ops::kPanelVectors * Ops::kLanes ? 4
                        : left > Ops::kLanes                                                     ? 2
                                                                                                 : 1;
    const int64_t most = Ops::kAccumulators / std::max(vectors, Ops::kPanelVectors), tiles = (g.m + most - 1) / most;
    for (int64_t t = 0, i = 0; t < tiles; ++t) {
      const int64_t rows = (g.m - i + tiles - t - 1) / (tiles - t);
      const TileFn fn = vectors == 4   ? PickTile<Ops, 4>(rows)
                        : vectors == 2 ? PickTile<Ops, 2>(rows)
                                       : PickTile<Ops, 1>(rows);
      fn(g, g.a + i * g.a_row, g.b + j * g.depth, g.start + j, g.c + i * g.c_row + j);
      i += rows;
    }
    j += vectors * Ops::kLanes;
  }
}
