// What recurrent cells do with the sums of their matrix products, forward and backward, for a few rows of the batch and
// a stretch of hidden units. The products are gemm.h's; the loop over steps is ops/rnn/fused.cpp.
#pragma once

#include <cstdint>

namespace megalith::recurrent {

// Gates stand in the order i, f, g, o (LSTM) and r, z, n (GRU).
enum class Kind : uint8_t { kIdentity, kRelu, kTanh, kLstm, kGru };

// Element (row, gate, unit) is at data[row * row_stride + gate * gate_stride + unit].
template <class T>
struct Units {
  T* data = nullptr;
  int64_t row = 0, gate = 0;
};

struct Gates {
  Kind kind = Kind::kTanh;
  int64_t rows = 0, units = 0;
  Units<float> hidden;  // W_hh h; that of a GRU's n is overwritten
  int64_t panel = 0;    // unless 0: as many units as lie between gates of `hidden`, and so far from there the next ones
  Units<const float> input;  // W_ih x + biases; those of a GRU's n without b_hh. Missing: `hidden` has W_ih x as well,
                             // that of a GRU's n as a fourth gate
  const float* bias = nullptr;  // added to `input` unless null: gates `bias_gate` apart
  int64_t bias_gate = 0;
  const float* n_bias = nullptr;  // GRU, may be null: b_hh of n
  Units<const float> h_old;       // GRU
  Units<const float> c_old;       // LSTM
  Units<float> c_new;             // LSTM; may lie over c_old
  Units<float> h_new, h_copy;     // the copy may be missing
  Units<float> saved;             // may be missing, may lie over `input`: what the gradient needs:
                                  // LSTM i, f, g, o; GRU r, z, n and W_hn h + b_hn
  Units<float> sums;              // may be missing: the gates before their functions
};
// An LSTM's and a GRU's are two passes, as what waits for other gates of a unit would leave the processor idle:
// forward() makes c_new and leaves o at h_new, or leaves z at h_new and n's sum at `hidden`; results() makes h_new and
// h_copy of them.
void forward(const Gates& g);
void results(const Gates& g);

struct GateGradients {
  Kind kind = Kind::kTanh;
  int64_t rows = 0, units = 0;
  Units<const float> saved;         // LSTM, GRU
  Units<const float> h_old;         // GRU
  Units<const float> h_new;         // the others but LSTM
  Units<const float> c_old, c_new;  // LSTM
  Units<const float> dy;            // of the step's result
  Units<float> dh;                  // in: from the step behind; out, GRU: what flows past the products
  Units<float> dc;                  // LSTM: in and out
  Units<float> sums;                // of the gates before their functions; GRU: r, z, n and W_hn h + b_hn
  Units<float> sums_copy;           // the same; GRU: r, z and W_hn h + b_hn
};
void backward(const GateGradients& g);

// to[j] (+)= the sum over `rows` rows of from[i * row + j], in order, for j < n.
void column_sums(const float* from, int64_t row, int64_t rows, int64_t n, float* to, bool accumulate);

}  // namespace megalith::recurrent
