// What the reference kernels of recurrent cells and sequences share: plain loops, in MegEngine's order.
#pragma once

#include <cmath>
#include <vector>

#include "megalith/ops/rnn/dims.h"

namespace megalith::rnn {

inline float sigmoid(float x) { return 1.f / (1.f + std::exp(-x)); }

// Weights of one cell; biases may be null.
struct Cell {
  const float *w_ih = nullptr, *w_hh = nullptr, *b_ih = nullptr, *b_hh = nullptr;
  int64_t in = 0, hidden = 0, gates = 1;    // gates: multiples of hidden
  bool one_b_ih = false, one_b_hh = false;  // a single number for all gates
};

// The weights of one layer and direction of a network.
inline Cell cell_of(const Dims& d, const float* weights, int64_t layer, int64_t dir) {
  const auto w = cell_weights(d, weights, layer, dir);
  return {w.w_ih, w.w_hh, w.b_ih, w.b_hh, d.layer_input(layer), d.hidden, d.gates()};
}

// out[b][g] = x W_ih^T + h W_hh^T + biases; without the part whose operand is null.
inline void linear(const Cell& c, const float* x, const float* h, float* out, int64_t batch) {
  const int64_t rows = c.gates * c.hidden;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t g = 0; g < rows; ++g) {
      float sx = 0, sh = 0;
      for (int64_t i = 0; x && i < c.in; ++i) sx += x[b * c.in + i] * c.w_ih[g * c.in + i];
      for (int64_t i = 0; h && i < c.hidden; ++i) sh += h[b * c.hidden + i] * c.w_hh[g * c.hidden + i];
      float v = sh + sx;
      if (x && c.b_ih) v += c.b_ih[c.one_b_ih ? 0 : g];
      if (h && c.b_hh) v += c.b_hh[c.one_b_hh ? 0 : g];
      out[b * rows + g] = v;
    }
  }
}

// From the sums (batch, 4H) and the old c to the new c and h, which may lie over the old ones. The functions of the
// gates replace their sums.
inline void lstm_step(float* gates, const float* c_old, float* h_new, float* c_new, int64_t batch, int64_t H) {
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t j = 0; j < H; ++j) {
      float* g = gates + b * 4 * H + j;
      for (int k = 0; k < 4; ++k) g[k * H] = k == 2 ? std::tanh(g[k * H]) : sigmoid(g[k * H]);
      const float c = g[H] * c_old[b * H + j] + g[0] * g[2 * H];
      c_new[b * H + j] = c;
      h_new[b * H + j] = g[3 * H] * std::tanh(c);
    }
  }
}

// From the sums of both sides (batch, 3H) and the old h to the new one, which may lie over it. `saved` (batch, 4H) gets
// r, z, n and W_hn h + b_hn.
inline void gru_step(const float* x_sums, const float* h_sums, const float* h_old, float* h_new, float* saved,
                     int64_t batch, int64_t H) {
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t j = 0; j < H; ++j) {
      const float *x = x_sums + b * 3 * H + j, *h = h_sums + b * 3 * H + j;
      const float r = sigmoid(x[0] + h[0]), z = sigmoid(x[H] + h[H]), n = std::tanh(x[2 * H] + r * h[2 * H]);
      float* s = saved + b * 4 * H + j;
      s[0] = r, s[H] = z, s[2 * H] = n, s[3 * H] = h[2 * H];
      h_new[b * H + j] = n + z * (h_old[b * H + j] - n);
    }
  }
}

// One step of any kind. States may lie over the old ones; `c` belongs to LSTMs. `saved` gets what the gradient needs,
// (batch, Dims::saved() * H).
inline void step(Kind kind, const Cell& cell, const float* x, float* h, float* c, float* saved, int64_t batch) {
  const int64_t H = cell.hidden;
  std::vector<float> sums(static_cast<size_t>(batch * cell.gates * H)), more;
  if (kind == Kind::kGru) {
    more.resize(sums.size());
    linear(cell, x, nullptr, sums.data(), batch);
    linear(cell, nullptr, h, more.data(), batch);
    return gru_step(sums.data(), more.data(), h, h, saved, batch, H);
  }
  linear(cell, x, h, sums.data(), batch);
  if (kind == Kind::kLstm) {
    lstm_step(sums.data(), c, h, c, batch, H);
    std::copy(sums.begin(), sums.end(), saved);
    return;
  }
  for (size_t i = 0; i < sums.size(); ++i)
    h[i] = kind == Kind::kRelu ? std::max(sums[i], 0.f) : kind == Kind::kTanh ? std::tanh(sums[i]) : sums[i];
}

}  // namespace megalith::rnn
