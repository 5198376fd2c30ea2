// Sizes of recurrent networks, and where things lie in their packed weights and in what a forward run leaves for the
// backward one.
#pragma once

#include <algorithm>

#include "megalith/kernels/recurrent.h"
#include "megalith/op.h"

namespace megalith::rnn {

using recurrent::Kind;

inline Kind kind_of(param::RNNNonlineMode mode) {
  using Mode = param::RNNNonlineMode;
  return mode == Mode::RELU ? Kind::kRelu : mode == Mode::TANH ? Kind::kTanh : Kind::kIdentity;
}

inline int64_t gates_of(Kind kind) { return kind == Kind::kLstm ? 4 : kind == Kind::kGru ? 3 : 1; }

// Packed weights hold, per layer and direction: input weights, hidden weights and, with bias, the two biases.
struct Dims {
  Kind kind;
  int64_t layers, dirs, hidden, seq, batch, input;
  bool bias;
  bool training;

  int64_t gates() const { return gates_of(kind); }
  int64_t rows() const { return gates() * hidden; }
  int64_t state() const { return batch * hidden; }
  int64_t layer_input(int64_t layer) const { return layer == 0 ? input : dirs * hidden; }
  int64_t cell_weights(int64_t layer) const { return rows() * (layer_input(layer) + hidden) + (bias ? 2 * rows() : 0); }
  int64_t weights_at(int64_t layer, int64_t dir) const {
    const int64_t before = layer == 0 ? 0 : dirs * (cell_weights(0) + (layer - 1) * cell_weights(1));
    return before + dir * cell_weights(layer);
  }
  int64_t weights() const { return weights_at(layers, 0); }

  // What a forward run leaves, in floats: for every layer but the last its results (seq, batch, dirs * hidden); then
  // for each layer and direction the gates (seq, batch, saved() * hidden), see recurrent::Gates::saved, and of an LSTM
  // the cell states (seq, batch, hidden). Step 0 is the first of the sequence, for both directions.
  int64_t saved() const { return kind == Kind::kLstm || kind == Kind::kGru ? 4 : 0; }
  int64_t results() const { return seq * batch * dirs * hidden; }
  int64_t saved_at(int64_t layer, int64_t dir) const {
    const int64_t each = seq * state() * (saved() + (kind == Kind::kLstm ? 1 : 0));
    return (layers - 1) * results() + (layer * dirs + dir) * each;
  }
  int64_t cells_at(int64_t layer, int64_t dir) const { return saved_at(layer, dir) + seq * state() * saved(); }
  int64_t reserve() const { return saved_at(layers, 0); }
};

// The weights of one layer and direction; biases may be null.
template <class T>
struct CellWeights {
  T *w_ih = nullptr, *w_hh = nullptr, *b_ih = nullptr, *b_hh = nullptr;
};
template <class T>
CellWeights<T> cell_weights(const Dims& d, T* weights, int64_t layer, int64_t dir) {
  CellWeights<T> c;
  c.w_ih = weights + d.weights_at(layer, dir);
  c.w_hh = c.w_ih + d.rows() * d.layer_input(layer);
  if (d.bias) {
    c.b_ih = c.w_hh + d.rows() * d.hidden;
    c.b_hh = c.b_ih + d.rows();
  }
  return c;
}

// `c` and `dc` belong to LSTMs; `reserve` may be null when the run is not for training.
struct ForwardArgs {
  const float *x, *h, *c;
  Tensor weights;
  float *y, *h_out, *c_out, *reserve;
};
struct BackwardArgs {
  const float *x, *y, *h, *c, *dy, *dh, *dc;
  Tensor weights;
  const float* reserve;
  float *dx, *dh_out, *dc_out, *dweights;
};

// The fused kernels (fused.cpp).
void fused_forward(const Dims& d, const ForwardArgs& a, Exec& exec);
void fused_backward(const Dims& d, const BackwardArgs& a, Exec& exec);

// One step (fused_cells.cpp). `c` belongs to LSTMs; `gates`, [4][batch][hidden], gets what the op keeps for its
// gradient: an LSTM's sums, a GRU's r, z, n and W_hn h + b_hn.
struct FusedCell {
  Kind kind;
  int64_t batch, hidden;
  const float *x, *h, *c;
  Tensor w_ih, w_hh, b_ih, b_hh;
  float *h_out, *c_out, *gates;
};
void fused_cell(const FusedCell& cell, Exec& exec);

}  // namespace megalith::rnn
