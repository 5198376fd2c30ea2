// Recurrent networks over sequences. With few rows of a batch, the input's share of the gates comes from matrix
// products over many steps at once; a step then is one product with the hidden weights, unit by unit with all of a
// unit's gates side by side, whose sums go through the gates' functions while they are in the first cache. With many
// rows, a step's one product takes input and state together: weights are cheap there, and sums that wait for their step
// are not. Weights are packed once (megalith/packed.h).
//
// Threads have rows of the batch and directions of their own, which need no waiting; where those are too few, they
// share the units of every step.
#include <cstring>

#include "megalith/kernels/simd.h"
#include "megalith/ops/rnn/dims.h"
#include "megalith/ops/rnn/panels.h"
#include "megalith/packed.h"
#include "megalith/plan.h"
#include "megalith/platform/steps.h"

namespace megalith::rnn {
namespace {

using recurrent::Units;

constexpr int64_t kChunkRows = 512;   // of a product of inputs: what it makes stays in the caches until it is used
constexpr int64_t kRowsOfThread = 8;  // fewer rows of a batch are no work of their own

// Many rows of a batch: input and state go through one product. It depends on sizes alone, as the sums' order does.
constexpr int64_t kJoinedRows = 16;
constexpr int64_t kJoinedWeights = 4 << 20;  // floats of a layer's direction that each step may read

bool joined(const Dims& d, int64_t layer) {
  return d.batch >= kJoinedRows && d.rows() * (d.layer_input(layer) + d.hidden) <= kJoinedWeights;
}

// Rows of states lie so that they do not fall into the same places of the first cache.
int64_t padded(int64_t n) { return (n + 15) / 16 * 16 + 16; }

// Packed weights of a whole network.
struct PackedWeights {
  const Dims& d;
  bool backward, grouped;
  std::shared_ptr<Storage> storage;

  bool with_input(int64_t layer) const { return !backward && joined(d, layer); }
  int64_t input_floats(int64_t layer) const {
    return backward            ? gemm::packed_floats(d.rows(), d.layer_input(layer))
           : with_input(layer) ? 0
                               : gemm::packed_floats(d.layer_input(layer), d.rows());
  }
  // Forward: for each panel of units, for each gate, a panel of the transposed hidden weights, below the input's where
  // they are joined.
  int64_t hidden_depth(int64_t layer) const {
    return backward ? d.rows() : d.hidden + (with_input(layer) ? d.layer_input(layer) : 0);
  }
  int64_t floats(int64_t layer) const {
    return input_floats(layer) + hidden_panels() * gemm::panel_width() * hidden_depth(layer);
  }
  int64_t at(int64_t layer, int64_t dir) const {
    const int64_t before = layer == 0 ? 0 : floats(0) + (layer - 1) * floats(1);
    return d.dirs * before + (layer == d.layers ? 0 : dir * floats(layer));
  }
  const float* input(int64_t layer, int64_t dir) const {
    return reinterpret_cast<const float*>(storage->data()) + at(layer, dir);
  }
  Panels hidden(int64_t layer, int64_t dir) const {
    return {input(layer, dir) + input_floats(layer), hidden_panels(), hidden_depth(layer), grouped};
  }
  int64_t hidden_panels() const { return gemm::panels(d.hidden) * (backward ? 1 : d.gates()); }

  PackedWeights(const Dims& dims, bool for_backward, const Tensor& weights, Exec& exec)
      : d(dims), backward(for_backward), grouped(d.batch <= kFewRows) {
    uint64_t key = mix_bits(static_cast<uint64_t>(d.kind), 2 + (backward ? 1 : 0) + (grouped ? 2 : 0));
    for (int64_t v : {d.layers, d.dirs, d.hidden, d.input, int64_t{d.bias}})
      key = mix_bits(key, static_cast<uint64_t>(v));
    storage = packed(weights, key, static_cast<size_t>(at(d.layers, 0)) * sizeof(float), [&](std::byte* to) {
      for (int64_t layer = 0; layer < d.layers; ++layer) {
        for (int64_t dir = 0; dir < d.dirs; ++dir) {
          float* out = reinterpret_cast<float*>(to) + at(layer, dir);
          fill(cell_weights(d, weights.data<float>(), layer, dir), layer, out, exec);
        }
      }
    });
  }

 private:
  void fill(const CellWeights<float>& w, int64_t layer, float* to, Exec& exec) const {
    const int64_t H = d.hidden, G = d.gates(), in = d.layer_input(layer);
    float* hidden = to + input_floats(layer);
    const Panels panels{hidden, hidden_panels(), hidden_depth(layer), grouped};
    if (backward) {
      gemm::pack_b(w.w_ih, in, 1, d.rows(), in, to, exec);
      pack_panels(panels, hidden, {{w.w_hh, H, 1}}, H, 1, exec);
    } else if (with_input(layer)) {
      pack_panels(panels, hidden, {{w.w_ih, 1, in}, in, {w.w_hh, 1, H}}, H, G, exec);
    } else {
      gemm::pack_b(w.w_ih, 1, in, in, d.rows(), to, exec);
      pack_panels(panels, hidden, {{w.w_hh, 1, H}}, H, G, exec);
    }
  }
};

void copy_rows(const float* from, int64_t from_row, float* to, int64_t to_row, int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * to_row, from + i * from_row, static_cast<size_t>(n) * 4);
}

// A product over steps, of inputs on the way forward and of gates' gradients on the way back, some tiles of it beside
// each product of one row's steps: those wait for weights from the second cache, these need multiply-adds. Sums are the
// same bits as a product of their own gives.
struct TilesBeside {
  int64_t first = 0, end = 0;  // steps that are multiplied here, in whole tiles
  const float* a = nullptr;    // of step 0, others `a_row` behind, which may be negative
  int64_t a_row = 0, k = 0;
  float* room = nullptr;  // for a block of those rows, of `padded` floats; null: they lie well
  const float *weights = nullptr, *bias = nullptr;
  float* sums = nullptr;
  int64_t sums_row = 0, columns = 0;
  int64_t parts = 1;    // of a tile's k, one at a time
  bool pieces = false;  // parts are summed alone and added
  int64_t done = 0;     // parts

  static int64_t steps() { return gemm::beside_rows(); }
  static int64_t width() { return gemm::panel_width() / 2; }
  int64_t finished() const { return first + done / (parts * columns / width()) * steps(); }  // steps before this one

  // The next part, if it is of a tile whose first step is at most `most`. Both tiles that share a panel get one before
  // either gets another: cache lines come from far in pairs.
  bool next(int64_t most, gemm::Beside& tile) {
    const int64_t step = finished();
    if (step >= end || step > most) return false;
    const int64_t panel = gemm::panel_width(), at = done++ % (parts * columns / width());
    const int64_t begin = at / (2 * parts) * panel, part = at / 2 % parts, half = at % 2 * width();
    const int64_t column = begin + half, from = k * part / parts, to = k * (part + 1) / parts;
    if (room && at == 0) copy_rows(a + step * a_row, a_row, room, padded(k), steps(), k);
    tile = {.a = (room ? room : a + step * a_row) + from,
            .a_row = room ? padded(k) : a_row,
            .b = weights + begin * k + from * panel + half,
            .k = to - from,
            .c = sums + step * sums_row + column,
            .c_row = sums_row,
            .resume = part > 0 && !pieces,
            .add = part > 0 && pieces,
            .bias = bias && part + 1 == parts ? bias + column : nullptr};
    return true;
  }
};

// One direction of one layer on its way forward.
struct Forward {
  const Dims& d;
  bool reverse = false;
  Panels weights;  // for each panel of units, its gates
  const float *bias = nullptr, *n_bias = nullptr;
  Units<const float> sums;  // of the inputs and biases; row 0 is step `first` of the sequence; null when joined
  int64_t first = 0;
  const float* x = nullptr;  // joined: of step 0
  int64_t inputs = 0;        // joined: these many floats of x before each state
  float* h[2] = {};          // states, in turns
  int64_t h_row = 0;
  const float* c_first = nullptr;  // LSTM
  float* c = nullptr;              // LSTM: the state, or when training the states of all steps
  float* y = nullptr;              // of step 0
  float* saved = nullptr;          // training
  TilesBeside* beside = nullptr;   // products of inputs to come; may be missing

  int64_t step_of(int64_t i) const { return reverse ? d.seq - 1 - i : i; }

  // Rows [row, row_end) of the batch and units of the panels [u, u_end) in the i-th step.
  void step(int64_t i, int64_t row, int64_t row_end, int64_t u, int64_t u_end) const {
    const int64_t G = d.gates(), panel = gemm::panel_width();
    const bool two_sums = d.kind == Kind::kGru && x;  // of a GRU's n
    const int64_t at_once = two_sums ? 1 : units_at_once(d.kind, row_end - row), tile_panels = two_sums ? 4 : G;
    const int64_t width = std::min(at_once, u_end - u) * tile_panels * panel;
    float* tile = Scratch::get(Scratch::kSums, std::min(row_end - row, kTileRows) * width);
    const auto next = [&](gemm::Beside& b) { return beside->next(i + TilesBeside::steps(), b); };
    const FunctionRef<bool(gemm::Beside&)> other(next);
    to_and_fro(i, u, u_end, at_once, [&](int64_t from, int64_t to) {
      each_piece(row, row_end, kTileRows, [&](int64_t begin, int64_t end) {
        if (!x) {
          for (int64_t v = from; v < to; ++v) fetch(i, begin, end, v * panel);
        }
        if (two_sums)
          gru_sums(i, begin, end, from, tile, width);
        else
          weights.multiply(i, end - begin, h[i % 2] - inputs + begin * h_row, h_row, from * G, to * G, tile, width,
                           false, beside ? &other : nullptr);
        recurrent::Gates all = gates(i, begin, end, from * panel, tile, width);
        all.units = std::min(to * panel, d.hidden) - from * panel;
        all.panel = tile_panels * panel;
        recurrent::forward(all);
        recurrent::results(all);
      });
    });
    if (x && i + 1 < d.seq) {
      const int64_t all = gemm::panels(d.hidden), at = inputs * u / all;
      take_input(i + 1, row, row_end, at, inputs * u_end / all - at);
    }
  }

  // Brings n floats of each row's input in the i-th step to its place before the state.
  void take_input(int64_t i, int64_t row, int64_t row_end, int64_t at, int64_t n) const {
    copy_rows(x + (step_of(i) * d.batch + row) * inputs + at, inputs, h[i % 2] - inputs + row * h_row + at, h_row,
              row_end - row, n);
  }

 private:
  // r and z of a panel of units, and the state's and the input's share of n.
  void gru_sums(int64_t i, int64_t row, int64_t row_end, int64_t u, float* tile, int64_t width) const {
    const int64_t panel = gemm::panel_width(), k = weights.k, rows = row_end - row;
    const float *h_at = h[i % 2] + row * h_row, *n = weights.data + (u * 3 + 2) * k * panel;
    weights.multiply(i, rows, h_at - inputs, h_row, u * 3, u * 3 + 2, tile, width);
    Panels{n + inputs * panel, 1, k - inputs}.multiply(i, rows, h_at, h_row, 0, 1, tile + 2 * panel, width);
    Panels{n, 1, inputs}.multiply(i, rows, h_at - inputs, h_row, 0, 1, tile + 3 * panel, width);
  }

  recurrent::Gates gates(int64_t i, int64_t row, int64_t row_end, int64_t unit, float* tile, int64_t width) const {
    const int64_t H = d.hidden, t = step_of(i), from = t * d.batch + row;
    recurrent::Gates g{.kind = d.kind, .rows = row_end - row};
    g.hidden = {tile, width, gemm::panel_width()};
    if (!x) g.input = {sums.data + (from - first * d.batch) * sums.row + unit, sums.row, sums.gate};
    if (bias) g.bias = bias + unit, g.bias_gate = H;
    if (n_bias) g.n_bias = n_bias + unit;
    g.h_old = {h[i % 2] + row * h_row + unit, h_row};
    g.h_new = {h[(i + 1) % 2] + row * h_row + unit, h_row};
    g.h_copy = {y + from * d.dirs * H + unit, d.dirs * H};
    if (d.kind == Kind::kLstm) {
      const int64_t here = row * H + unit;
      const float* old = i == 0 ? c_first : d.training ? c + step_of(i - 1) * d.state() : c;
      g.c_old = {old + here, H};
      g.c_new = {c + (d.training ? t * d.state() : 0) + here, H};
    }
    if (saved) g.saved = {saved + from * d.saved() * H + unit, d.saved() * H, H};
    return g;
  }

  // Asks for the sums of the inputs while the product goes on: they lie in short pieces that no prefetcher sees.
  void fetch(int64_t i, int64_t row, int64_t row_end, int64_t unit) const {
    const float* p = sums.data + ((step_of(i) - first) * d.batch + row) * sums.row + unit;
    const int64_t units = std::min(gemm::panel_width(), d.hidden - unit);
    for (; row < row_end; ++row, p += sums.row) {
      for (int64_t q = 0; q < d.gates(); ++q) {
        for (int64_t j = 0; j < units; j += 16) __builtin_prefetch(p + q * sums.gate + j);
      }
    }
  }
};

// Rows of the batch that one thread works on for a whole stretch of steps.
int64_t rows_of_task(const Dims& d, int threads) {
  const int64_t pieces = std::max<int64_t>(1, (threads + d.dirs - 1) / d.dirs);
  return std::max<int64_t>((d.batch + pieces - 1) / pieces, std::min(d.batch, kRowsOfThread));
}

// Calls fn(direction, row, row_end) for all directions and pieces of the batch, on all threads.
void each_task(const Dims& d, Exec& exec, FunctionRef<void(int64_t, int64_t, int64_t)> fn) {
  const int64_t rows = rows_of_task(d, exec.threads()), pieces = (d.batch + rows - 1) / rows;
  exec.parallel_for(d.dirs * pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fn(i / pieces, i % pieces * rows, std::min(d.batch, (i % pieces + 1) * rows));
  });
}

// Few rows of a batch are split by units, with all threads meeting behind every step; that takes a step of some size.
bool split_by_units(const Dims& d, int threads) {
  constexpr int64_t kProducts = 65536;
  const int64_t rows = rows_of_task(d, threads), tasks = d.dirs * ((d.batch + rows - 1) / rows);
  return tasks < threads && d.dirs * d.batch * d.rows() * d.hidden >= kProducts;
}

// Calls fn(i, direction, row, row_end, u, u_end) for every step i < steps, all rows of the batch and all panels of
// units.
template <class Fn>
void each_step(const Dims& d, Exec& exec, int64_t steps, Fn&& fn) {
  const int64_t all = gemm::panels(d.hidden);
  if (!split_by_units(d, exec.threads())) {
    each_task(d, exec, [&](int64_t dir, int64_t row, int64_t row_end) {
      for (int64_t i = 0; i < steps; ++i) fn(i, dir, row, row_end, 0, all);
    });
    return;
  }
  run_in_steps(exec, steps, [&](int64_t i, int part, int parts) {
    const int64_t from = d.dirs * all * part / parts, to = d.dirs * all * (part + 1) / parts;
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      const int64_t u = std::max<int64_t>(0, from - dir * all), u_end = std::min(all, to - dir * all);
      if (u < u_end) fn(i, dir, 0, d.batch, u, u_end);
    }
  });
}

void add_biases(const Dims& d, const CellWeights<const float>& w, float* to) {
  const int64_t both = d.kind == Kind::kGru ? 2 * d.hidden : d.rows();
  for (int64_t j = 0; j < d.rows(); ++j) to[j] = w.b_ih[j] + (j < both ? w.b_hh[j] : 0.f);
}

void forward_layer(const Dims& d, const ForwardArgs& a, const PackedWeights& weights, int64_t layer, const float* in,
                   float* out, Exec& exec) {
  const int64_t H = d.hidden, R = d.rows(), I = d.layer_input(layer);
  const bool keeps = d.training && d.saved(), with_input = weights.with_input(layer);
  const int64_t inputs = with_input ? I : 0, h_row = padded(inputs + H);
  // Sums of inputs lie in the reserve, where gates' values overwrite them, or here for some steps at once.
  const int64_t steps = keeps || with_input ? d.seq : std::max<int64_t>(1, std::min(d.seq, kChunkRows / d.batch));
  const int64_t width = keeps ? d.saved() * H : R, sums = keeps || with_input ? 0 : steps * d.batch * width;
  const int64_t states = d.batch * h_row;
  const int64_t room = TilesBeside::steps() * padded(I);
  float* scratch = Scratch::get(Scratch::kGates, d.dirs * (2 * states + R + sums + room));
  std::vector<Forward> directions;
  std::vector<const float*> biases;
  for (int64_t dir = 0; dir < d.dirs; ++dir) {
    const CellWeights<const float> w = cell_weights<const float>(d, a.weights.data<float>(), layer, dir);
    const int64_t state = (layer * d.dirs + dir) * d.state();
    Forward f{.d = d, .reverse = dir == 1, .weights = weights.hidden(layer, dir), .inputs = inputs, .h_row = h_row};
    f.h[0] = scratch + inputs, f.h[1] = scratch + states + inputs;
    scratch += 2 * states;
    copy_rows(a.h + state, H, f.h[0], h_row, d.batch, H);
    if (d.bias) {
      add_biases(d, w, scratch);
      if (d.kind == Kind::kGru) f.n_bias = w.b_hh + 2 * H;
    }
    biases.push_back(d.bias ? scratch : nullptr);
    scratch += R;
    if (keeps) f.saved = a.reserve + d.saved_at(layer, dir);
    if (with_input) {
      f.x = in;
      f.bias = biases.back();
      if (d.seq > 0) f.take_input(0, 0, d.batch, 0, I);
    } else {
      f.sums = {keeps ? f.saved : scratch, width, H};
      scratch += sums;
    }
    if (d.kind == Kind::kLstm) {
      f.c_first = a.c + state;
      f.c = d.training ? a.reserve + d.cells_at(layer, dir) : a.c_out + state;
    }
    f.y = out + dir * H;
    directions.push_back(f);
  }
  // One row's products leave gaps for those of the inputs: all but the first ones go there, where a product's sums are
  // of one piece as well. A step has so many groups of hidden panels that all tiles, in halves, are done in time.
  const int64_t tile = TilesBeside::steps(), panel = gemm::panel_width();
  const bool beside = !kSmall && tile > 0 && d.batch == 1 && I <= gemm::kDepth && R % panel == 0 &&
                      weights.hidden_panels() % Panels::kGroup == 0 && !split_by_units(d, exec.threads());
  std::vector<TilesBeside> tiles(static_cast<size_t>(d.dirs));
  for (int64_t i = 0; i < d.seq; i += steps) {
    const int64_t end = std::min(d.seq, i + steps), now = beside && end - i > tile ? tile + (end - i) % tile : end - i;
    for (int64_t dir = 0; dir < d.dirs && !with_input; ++dir) {
      Forward& f = directions[static_cast<size_t>(dir)];
      f.first = std::min(f.step_of(i), f.step_of(end - 1));
      gemm::Epilogue bias{.bias = biases[static_cast<size_t>(dir)]};
      const int64_t from = std::min(f.step_of(i), f.step_of(i + now - 1));
      auto* to = const_cast<float*>(f.sums.data);
      gemm::product({.m = now * d.batch,
                     .n = R,
                     .k = I,
                     .a = {in + from * d.batch * I, I, 1},
                     .packed_b = weights.input(layer, dir),
                     .c = to + (from - f.first) * d.batch * width,
                     .c_row = width,
                     .epilogue = bias.bias ? &bias : nullptr},
                    exec);
      if (now == end - i) continue;
      const int64_t at = f.step_of(0), sign = f.reverse ? -1 : 1;
      f.beside = &tiles[static_cast<size_t>(dir)];
      *f.beside = {.first = i + now,
                   .end = end,
                   .a = in + at * I,
                   .a_row = sign * I,
                   .k = I,
                   .room = scratch + dir * room,
                   .weights = weights.input(layer, dir),
                   .bias = bias.bias,
                   .sums = to + (at - f.first) * width,
                   .sums_row = sign * width,
                   .columns = R,
                   .parts = 2};
    }
    each_step(d, exec, end - i, [&](int64_t s, int64_t dir, int64_t row, int64_t row_end, int64_t u, int64_t u_end) {
      directions[static_cast<size_t>(dir)].step(i + s, row, row_end, u, u_end);
    });
  }
  for (int64_t dir = 0; dir < d.dirs; ++dir) {
    const Forward& f = directions[static_cast<size_t>(dir)];
    const int64_t state = (layer * d.dirs + dir) * d.state();
    copy_rows(f.h[d.seq % 2], h_row, a.h_out + state, H, d.batch, H);
    if (d.kind != Kind::kLstm) continue;
    const float* last = d.seq == 0 ? f.c_first : d.training ? f.c + f.step_of(d.seq - 1) * d.state() : f.c;
    if (last != a.c_out + state) std::memcpy(a.c_out + state, last, static_cast<size_t>(d.state()) * 4);
  }
}

// One direction of one layer on its way back.
struct Backward {
  const Dims& d;
  bool reverse = false;
  Panels weights;
  const float *saved = nullptr, *cells = nullptr;  // of the forward run
  const float *h_first = nullptr, *c_first = nullptr;
  const float *y = nullptr, *dy = nullptr;  // of step 0
  float* sums = nullptr;                    // gradients of the gates of some steps, `first` and behind
  int64_t first = 0, sums_row = 0;
  int64_t done = 0;          // steps behind those
  float* step_sums[2] = {};  // of a step, in turns: those that meet the hidden weights, unless they stand in `sums`
  float* dh = nullptr;
  float* dc = nullptr;
  int64_t step_row = 0, dh_row = 0;
  TilesBeside* beside = nullptr;  // gradients of the inputs of finished steps; may be missing

  int64_t step_of(int64_t i) const { return reverse ? d.seq - 1 - i : i; }
  // Gradients of a row's gates; a GRU's n has two, one for each product.
  static int64_t sums_of(const Dims& d) { return std::max<int64_t>(1, d.saved()) * d.hidden; }

  // The gates' gradients in the i-th step.
  void gates(int64_t i, int64_t row, int64_t row_end, int64_t u, int64_t u_end) const {
    const int64_t H = d.hidden, t = step_of(i), at = t * d.batch + row, unit = u * gemm::panel_width();
    const int64_t y_row = d.dirs * H, width = d.saved() * H, here = row * H + unit;
    recurrent::GateGradients g{.kind = d.kind, .rows = row_end - row};
    g.units = std::min(u_end * gemm::panel_width(), H) - unit;
    if (saved) g.saved = {saved + at * width + unit, width, H};
    if (i == 0)
      g.h_old = {h_first + here, H};
    else
      g.h_old = {y + (step_of(i - 1) * d.batch + row) * y_row + unit, y_row};
    g.h_new = {y + at * y_row + unit, y_row};
    if (d.kind == Kind::kLstm) {
      g.c_old = {(i == 0 ? c_first : cells + step_of(i - 1) * d.state()) + here, H};
      g.c_new = {cells + t * d.state() + here, H};
      g.dc = {dc + here, H};
    }
    g.dy = {dy + at * y_row + unit, y_row};
    g.dh = {dh + row * dh_row + unit, dh_row};
    g.sums = {sums + (at - first * d.batch) * sums_row + unit, sums_row, H};
    if (d.kind == Kind::kGru) g.sums_copy = {step_sums[i % 2] + row * step_row + unit, step_row, H};
    recurrent::backward(g);
  }

  // What flows to the state before the i-th step.
  void state(int64_t i, int64_t row, int64_t row_end, int64_t u, int64_t u_end) const {
    constexpr int64_t kPanels = 4;
    const auto next = [&](gemm::Beside& b) { return beside->next(d.seq - i - TilesBeside::steps(), b); };
    const FunctionRef<bool(gemm::Beside&)> other(next);
    const bool copied = d.kind == Kind::kGru || d.seq - i == done;
    const float* from_gates = copied ? step_sums[i % 2] : sums + (step_of(i) - first) * d.batch * sums_row;
    const int64_t gates_row = copied ? step_row : sums_row;
    to_and_fro(i, u, u_end, kPanels, [&](int64_t from, int64_t to) {
      weights.multiply(i, row_end - row, from_gates + row * gates_row, gates_row, from, to,
                       dh + row * dh_row + from * gemm::panel_width(), dh_row, d.kind == Kind::kGru,
                       beside ? &other : nullptr);
    });
  }
};

// How the gradients of one row's inputs are summed: where there are so many gates that it takes several passes, in the
// parts that fit beside the products of the steps. That depends on sizes alone, as the sums' order does.
struct InputGradients {
  int64_t parts = 0;  // of a tile; 0: none fits beside
  int64_t depth = gemm::kDepth;

  InputGradients(const Dims& d, int64_t inputs) {
    const int64_t rows = d.rows(), most = inputs > 0 ? 2 * d.hidden / inputs : 0;
    if (kSmall || gemm::beside_rows() == 0 || d.batch != 1 || d.dirs != 1 || d.seq > gemm::kDepth ||
        inputs % gemm::panel_width() != 0 || gemm::panels(d.hidden) % Panels::kGroup != 0)
      return;
    int64_t few = (rows + gemm::kDepth - 1) / gemm::kDepth;
    while (few <= most && rows % few != 0) ++few;
    if (few > most) return;
    parts = few > 1 ? few : most;
    if (few > 1) depth = rows / few;
  }
};

// The products of the gates' gradients of steps [first, end) with their inputs, weights and states. `more`: they add to
// those of other steps. The inputs of the last `known` steps have their gradients already.
void weight_gradients(const Dims& d, const Backward& b, int64_t end, int64_t known, const PackedWeights& weights,
                      int64_t layer, int64_t dir, const float* in, float* din, const CellWeights<float>& dw, bool more,
                      Exec& exec) {
  const int64_t H = d.hidden, R = d.rows(), I = d.layer_input(layer), batch = d.batch, panel = gemm::panel_width();
  const int64_t steps = end - b.first, N = steps * batch, width = b.sums_row, y_row = d.dirs * H;
  float* inputs = Scratch::get(Scratch::kPanelsOfB, gemm::packed_floats(N, I) + gemm::packed_floats(N, H));
  float* states = inputs + gemm::packed_floats(N, I);
  gemm::pack_b(in + b.first * batch * I, I, 1, N, I, inputs, exec);
  // The states before the steps: results of the steps before them, and the first one.
  const int64_t t = b.first + (b.reverse ? 1 : -1), from = std::max<int64_t>(0, t), to = std::min(d.seq, t + steps);
  const auto pack_states = [&](const float* h, int64_t row, int64_t step, int64_t count) {
    exec.parallel_for(gemm::panels(H), 1 + 32768 / (N * panel + 1), [&](int64_t begin, int64_t last) {
      gemm::pack_b(h, row, 1, count * batch, H, states + step * batch * panel, N * panel, begin, last);
    });
  };
  if (to > from) pack_states(b.y + from * batch * y_row, y_row, from - t, to - from);
  if (steps > 0 && to - from < steps) pack_states(b.h_first, H, b.reverse ? steps - 1 : 0, 1);
  const auto product = [&](int64_t row, int64_t rows, float* with_inputs, float* with_states) {
    gemm::Product of_states{.n = H, .packed_b = states, .c = with_states, .c_row = H};
    gemm::Product p{.m = rows, .k = N, .a = {b.sums + row, 1, width}, .accumulate = more};
    if (with_inputs) {
      p.n = I, p.packed_b = inputs, p.c = with_inputs, p.c_row = I;
      if (with_states) p.also = &of_states;
    } else {
      p.n = H, p.packed_b = states, p.c = with_states, p.c_row = H;
    }
    gemm::product(p, exec);
  };
  const bool gru = d.kind == Kind::kGru;
  product(0, gru ? 2 * H : R, dw.w_ih, dw.w_hh);
  if (gru) {
    product(2 * H, H, dw.w_ih + 2 * H * I, nullptr);
    product(3 * H, H, nullptr, dw.w_hh + 2 * H * H);
  }
  Scratch::release(Scratch::kPanelsOfB);
  if (d.bias) {
    constexpr int64_t kColumns = 64;
    exec.parallel_for((R + kColumns - 1) / kColumns, 1 + 65536 / (kColumns * std::max<int64_t>(1, N)),
                      [&](int64_t begin, int64_t last) {
                        const int64_t j = begin * kColumns, n = std::min(R, last * kColumns) - j;
                        recurrent::column_sums(b.sums + j, width, N, n, dw.b_ih + j, more);
                      });
    if (gru) {
      std::copy_n(dw.b_ih, 2 * H, dw.b_hh);
      recurrent::column_sums(b.sums + 3 * H, width, N, H, dw.b_hh + 2 * H, more);
    } else {
      std::copy_n(dw.b_ih, R, dw.b_hh);
    }
  }
  gemm::product({.m = N - known * batch,
                 .n = I,
                 .k = R,
                 .a = {b.sums, width, 1},
                 .packed_b = weights.input(layer, dir),
                 .c = din + b.first * batch * I,
                 .c_row = I,
                 .accumulate = d.dirs > 1,
                 .depth = InputGradients(d, I).depth},
                exec);
}

void backward_layer(const Dims& d, const BackwardArgs& a, const PackedWeights& weights, int64_t layer, const float* in,
                    const float* out, const float* dout, float* din, Exec& exec) {
  const int64_t H = d.hidden, panel = gemm::panel_width(), all = gemm::panels(H);
  const int64_t step_row = padded(d.rows()), dh_row = all * panel + 16, sums_row = padded(Backward::sums_of(d));
  // Gates' gradients of as many steps as one pass of the products over them takes.
  const int64_t some = std::max<int64_t>(1, std::min(d.seq, gemm::kDepth / d.batch));
  const int64_t steps = d.batch * step_row, states = d.batch * dh_row, sums = some * d.batch * sums_row;
  float* scratch = Scratch::get(Scratch::kGates, d.dirs * (2 * steps + states + sums));
  std::vector<Backward> directions;
  for (int64_t dir = 0; dir < d.dirs; ++dir) {
    const int64_t state = (layer * d.dirs + dir) * d.state();
    Backward b{.d = d, .reverse = dir == 1, .weights = weights.hidden(layer, dir)};
    if (d.saved()) b.saved = a.reserve + d.saved_at(layer, dir);
    if (d.kind == Kind::kLstm) {
      b.cells = a.reserve + d.cells_at(layer, dir);
      b.c_first = a.c + state;
      b.dc = a.dc_out + state;
      std::copy_n(a.dc + state, d.state(), b.dc);
    }
    b.h_first = a.h + state;
    b.y = out + dir * H;
    b.dy = dout + dir * H;
    b.step_sums[0] = scratch, b.step_sums[1] = scratch + steps;
    b.dh = scratch + 2 * steps;
    b.sums = b.dh + states;
    b.step_row = step_row, b.dh_row = dh_row, b.sums_row = sums_row;
    scratch = b.sums + sums;
    std::fill_n(b.dh, states, 0.f);
    copy_rows(a.dh + state, H, b.dh, dh_row, d.batch, H);
    directions.push_back(b);
  }
  if (d.dirs > 1) std::fill_n(din, d.seq * d.batch * d.layer_input(layer), 0.f);  // both add to it
  // One row's products leave gaps for those of the inputs' gradients: all but the last ones go there.
  const int64_t I = d.layer_input(layer), tile = TilesBeside::steps();
  const InputGradients inputs(d, I);
  TilesBeside beside;
  if (inputs.parts > 0 && d.seq > tile && !split_by_units(d, exec.threads())) {
    beside = {.end = (d.seq - 1) / tile * tile,
              .a = directions[0].sums + (d.seq - 1) * sums_row,
              .a_row = -sums_row,
              .k = d.rows(),
              .weights = weights.input(layer, 0),
              .sums = din + (d.seq - 1) * I,
              .sums_row = -I,
              .columns = I,
              .parts = inputs.parts,
              .pieces = d.rows() > gemm::kDepth};
    directions[0].beside = &beside;
  }
  int64_t done = 0;
  do {
    const int64_t end = std::min(d.seq, done + some);
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      Backward& b = directions[static_cast<size_t>(dir)];
      b.first = dir == 1 ? done : d.seq - end;
      b.done = done;
    }
    // The gates of a step need its units only, the states before them all gates.
    each_step(d, exec, end - done + (end == d.seq ? 1 : 0),
              [&](int64_t i, int64_t dir, int64_t row, int64_t row_end, int64_t u, int64_t u_end) {
                const Backward& b = directions[static_cast<size_t>(dir)];
                const int64_t k = done + i;
                if (k > 0) b.state(d.seq - k, row, row_end, u, u_end);
                if (k < d.seq) b.gates(d.seq - 1 - k, row, row_end, u, u_end);
              });
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      const Backward& b = directions[static_cast<size_t>(dir)];
      const int64_t known = b.beside ? beside.finished() : 0, i = d.seq - end;
      if (d.kind != Kind::kGru && i > 0)
        copy_rows(b.sums + (b.step_of(i) - b.first) * d.batch * sums_row, sums_row, b.step_sums[i % 2], step_row,
                  d.batch, d.rows());
      weight_gradients(d, b, b.first + end - done, known, weights, layer, dir, in, din,
                       cell_weights(d, a.dweights, layer, dir), done > 0, exec);
    }
    done = end;
  } while (done < d.seq);
  for (int64_t dir = 0; dir < d.dirs; ++dir)
    copy_rows(directions[static_cast<size_t>(dir)].dh, dh_row, a.dh_out + (layer * d.dirs + dir) * d.state(), H,
              d.batch, H);
}

}  // namespace

void fused_forward(const Dims& d, const ForwardArgs& a, Exec& exec) {
  if (d.batch == 0) return;
  const PackedWeights weights(d, false, a.weights, exec);
  std::vector<Tensor> between;  // results of layers, in turns
  if (!d.training) between.resize(static_cast<size_t>(std::min<int64_t>(2, d.layers - 1)));
  for (Tensor& t : between) t = Tensor::empty(DTypeEnum::Float32, {d.results()});
  const float* in = a.x;
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    float* out = layer + 1 == d.layers ? a.y
                 : d.training          ? a.reserve + layer * d.results()
                                       : between[static_cast<size_t>(layer % 2)].data<float>();
    forward_layer(d, a, weights, layer, in, out, exec);
    in = out;
  }
  Scratch::release(Scratch::kGates);
}

void fused_backward(const Dims& d, const BackwardArgs& a, Exec& exec) {
  if (d.batch == 0) {
    std::fill_n(a.dweights, d.weights(), 0.f);
    return;
  }
  if (!d.training) {  // the forward run kept nothing
    Dims training = d;
    training.training = true;
    const auto floats = [](int64_t n) { return Tensor::empty(DTypeEnum::Float32, {n}); };
    const Tensor y = floats(d.results()), h = floats(d.layers * d.dirs * d.state()), c = floats(h.count()),
                 reserve = floats(training.reserve());
    fused_forward(training,
                  {a.x, a.h, a.c, a.weights, y.data<float>(), h.data<float>(), c.data<float>(), reserve.data<float>()},
                  exec);
    BackwardArgs again = a;
    again.reserve = reserve.data<float>();
    return fused_backward(training, again, exec);
  }
  const PackedWeights weights(d, true, a.weights, exec);
  std::vector<Tensor> between(static_cast<size_t>(std::min<int64_t>(2, d.layers - 1)));  // in turns
  for (Tensor& t : between) t = Tensor::empty(DTypeEnum::Float32, {d.results()});
  const float* dout = a.dy;
  for (int64_t layer = d.layers - 1; layer >= 0; --layer) {
    const float* in = layer == 0 ? a.x : a.reserve + (layer - 1) * d.results();
    const float* out = layer + 1 == d.layers ? a.y : a.reserve + layer * d.results();
    float* din = layer == 0 ? a.dx : between[static_cast<size_t>(layer) % between.size()].data<float>();
    backward_layer(d, a, weights, layer, in, out, dout, din, exec);
    dout = din;
  }
  Scratch::release(Scratch::kGates);
}

}  // namespace megalith::rnn
