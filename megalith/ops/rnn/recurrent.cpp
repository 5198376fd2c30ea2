// RNNCell, LSTMCell, RNN and LSTM. Packed weights hold, per layer and direction: input weights, hidden weights and,
// with bias, the two biases. The gates of an LSTM stand in the order i, f, g, o.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/rnn/dims.h"

namespace megalith {
namespace {

using rnn::Dims;
using Nonline = param::RNNNonlineMode;

int outputs_three(const Attrs&, int) { return 3; }
int outputs_four(const Attrs&, int) { return 4; }

float sigmoid(float x) { return 1.f / (1.f + std::exp(-x)); }

float activate(Nonline mode, float v) {
  return mode == Nonline::RELU ? std::max(v, 0.f) : mode == Nonline::TANH ? std::tanh(v) : v;
}

// Weights of one cell; biases may be null.
struct Cell {
  const float *w_ih = nullptr, *w_hh = nullptr, *b_ih = nullptr, *b_hh = nullptr;
  int64_t in = 0, hidden = 0, gates = 1;    // gates: multiples of hidden
  bool one_b_ih = false, one_b_hh = false;  // a single number for all gates
};

// out[b][g] = x W_ih^T + h W_hh^T + biases
void linear(const Cell& c, const float* x, const float* h, float* out, int64_t batch) {
  const int64_t rows = c.gates * c.hidden;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t g = 0; g < rows; ++g) {
      float sx = 0, sh = 0;
      for (int64_t i = 0; i < c.in; ++i) sx += x[b * c.in + i] * c.w_ih[g * c.in + i];
      for (int64_t i = 0; i < c.hidden; ++i) sh += h[b * c.hidden + i] * c.w_hh[g * c.hidden + i];
      float v = sh + sx;
      if (c.b_ih) v += c.b_ih[c.one_b_ih ? 0 : g];
      if (c.b_hh) v += c.b_hh[c.one_b_hh ? 0 : g];
      out[b * rows + g] = v;
    }
  }
}

// From gates[b][4H] and the old c to the new c and h (which may lie over the old ones).
void lstm_step(const float* gates, const float* c_old, float* h_new, float* c_new, int64_t batch, int64_t H) {
  for (int64_t b = 0; b < batch; ++b) {
    const float* g = gates + b * 4 * H;
    for (int64_t j = 0; j < H; ++j) {
      const float c = sigmoid(g[H + j]) * c_old[b * H + j] + sigmoid(g[j]) * std::tanh(g[2 * H + j]);
      c_new[b * H + j] = c;
      h_new[b * H + j] = sigmoid(g[3 * H + j]) * std::tanh(c);
    }
  }
}

// The functions of the gates, which the gradient needs.
void save_lstm_gates(const std::vector<float>& gates, float* to, int64_t H) {
  for (size_t i = 0; i < gates.size(); ++i)
    to[i] = static_cast<int64_t>(i) / H % 4 == 2 ? std::tanh(gates[i]) : sigmoid(gates[i]);
}

// The weights of one layer and direction of a network.
Cell cell_of(const Dims& d, const float* weights, int64_t layer, int64_t dir) {
  const auto w = rnn::cell_weights(d, weights, layer, dir);
  return {w.w_ih, w.w_hh, w.b_ih, w.b_hh, d.layer_input(layer), d.hidden, d.gates()};
}

// Inputs: x, W_ih, b_ih, h, W_hh, b_hh (, c).
void check_cell(InferContext& c, int64_t gates) {
  for (int i = 0; i < c.nin(); ++i)
    c.require(c.dtype(i).id == DTypeEnum::Float32, "input ", i, " has type ", c.dtype(i).name());
  const Shape &x = c.shape(0), &wi = c.shape(1), &h = c.shape(3), &wh = c.shape(4);
  c.require(x.ndim() == 2 && wi.ndim() == 2 && h.ndim() == 2 && wh.ndim() == 2, "inputs have shapes ", x, wi, h, wh,
            ", expected 2 dimensions");
  c.require(h[0] == x[0] && wi[1] == x[1] && wh[1] == h[1] && wi[0] == gates * h[1] && wh[0] == wi[0],
            "inputs have shapes ", x, wi, h, wh);
  for (int i : {2, 5})
    c.require(c.shape(i).count() == wi[0] || c.shape(i).count() == 1, "bias has shape ", c.shape(i), " for ", wi[0],
              " rows");
}

Cell cell_of(const KernelArgs& a, int64_t gates) {
  return {a.in[1].data<float>(),
          a.in[4].data<float>(),
          a.in[2].data<float>(),
          a.in[5].data<float>(),
          a.in[0].dim(1),
          a.in[3].dim(1),
          gates,
          a.in[2].count() == 1,
          a.in[5].count() == 1};
}

void infer_rnn_cell(InferContext& c) {
  check_cell(c, 1);
  c.require(static_cast<uint32_t>(c.param<param::RNNCell>().nonlineMode) <= 2, "unknown nonlineMode");
  c.set(0, c.dtype(0), c.shape(3));
}

void run_rnn_cell(const KernelArgs& a) {
  const Nonline mode = a.param<param::RNNCell>().nonlineMode;
  linear(cell_of(a, 1), a.in[0].data<float>(), a.in[3].data<float>(), a.out[0].data<float>(), a.in[0].dim(0));
  for (float& v : a.out[0].span<float>()) v = activate(mode, v);
}

void infer_lstm_cell(InferContext& c) {
  check_cell(c, 4);
  c.require(c.shape(6) == c.shape(3), "cell state has shape ", c.shape(6), ", hidden state ", c.shape(3));
  c.set(0, c.dtype(0), c.shape(3));
  c.set(1, c.dtype(0), c.shape(3));
  c.set(2, c.dtype(0), Shape{c.shape(0)[0], c.shape(1)[0]});
}

// Output 2 holds the gates one after the other: [4][batch][hidden].
void run_lstm_cell(const KernelArgs& a) {
  const int64_t batch = a.in[0].dim(0), H = a.in[3].dim(1);
  std::vector<float> gates(static_cast<size_t>(batch * 4 * H));
  linear(cell_of(a, 4), a.in[0].data<float>(), a.in[3].data<float>(), gates.data(), batch);
  lstm_step(gates.data(), a.in[6].data<float>(), a.out[0].data<float>(), a.out[1].data<float>(), batch, H);
  float* to = a.out[2].data<float>();
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t i = 0; i < H; ++i) to[(j * batch + b) * H + i] = gates[static_cast<size_t>((b * 4 + j) * H + i)];
}

template <class P>
Dims dims_of(const P& p, const Shape& x) {
  using recurrent::Kind;
  Kind kind = Kind::kLstm;
  if constexpr (std::is_same_v<P, param::RNN>)
    kind = p.nonlineMode == Nonline::RELU   ? Kind::kRelu
           : p.nonlineMode == Nonline::TANH ? Kind::kTanh
                                            : Kind::kIdentity;
  return {kind,          p.num_layers, p.bidirectional ? 2 : 1,
          p.hidden_size, x[0],         x[1],
          x[2],          p.bias,       p.fwd_mode == param::BNFwdMode::TRAINING};
}

// Inputs: x, h (, c), weights.
template <class P>
void infer_recurrent(InferContext& c) {
  constexpr bool lstm = std::is_same_v<P, param::LSTM>;
  const auto& p = c.param<P>();
  for (int i = 0; i < c.nin(); ++i)
    c.require(c.dtype(i).id == DTypeEnum::Float32, "input ", i, " has type ", c.dtype(i).name());
  c.require(c.shape(0).ndim() == 3, "input has shape ", c.shape(0), ", expected 3 dimensions");
  c.require(p.num_layers > 0 && p.num_layers <= 1024 && p.hidden_size > 0 && p.hidden_size <= (1u << 20),
            "num_layers is ", p.num_layers, ", hidden_size ", p.hidden_size);
  c.require(c.shape(0)[2] < (int64_t{1} << 31), "input has shape ", c.shape(0));
  if constexpr (lstm) c.require(p.proj_size == 0, "proj_size is ", p.proj_size, ", expected 0");
  const Dims d = dims_of(p, c.shape(0));
  const Shape state{d.layers * d.dirs, d.batch, d.hidden};
  for (int i = 1; i < c.nin() - 1; ++i)
    c.require(c.shape(i).count() == state.count(), "state has shape ", c.shape(i), ", expected ", state);
  const int64_t weights = d.weights();
  c.require(c.shape(c.nin() - 1).count() == weights, "weights have shape ", c.shape(c.nin() - 1), ", expected ",
            weights, " numbers");
  c.set(0, c.dtype(0), Shape{d.seq, d.batch, d.dirs * d.hidden});
  for (int i = 1; i < c.nin() - 1; ++i) c.set(i, c.dtype(0), c.shape(i));
  c.set(c.nin() - 1, DType(DTypeEnum::Byte), Shape{d.training ? d.reserve() * int64_t{sizeof(float)} : 0});
}

template <class P>
void run_recurrent(const KernelArgs& a) {
  constexpr bool lstm = std::is_same_v<P, param::LSTM>;
  const auto& p = a.param<P>();
  const Dims d = dims_of(p, a.in[0].shape());
  const size_t state = static_cast<size_t>(d.state());
  std::vector<float> gates(static_cast<size_t>(d.batch * d.rows()));
  std::vector<float> in(a.in[0].data<float>(), a.in[0].data<float>() + a.in[0].count());
  std::vector<float> out(static_cast<size_t>(a.out[0].count()));
  float* const reserve = d.training ? a.out[a.out.size() - 1].data<float>() : nullptr;
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      const Cell cell = cell_of(d, a.in[a.in.size() - 1].data<float>(), layer, dir);
      const size_t at = static_cast<size_t>(layer * d.dirs + dir) * state;
      float* h = a.out[1].data<float>() + at;
      std::copy_n(a.in[1].data<float>() + at, state, h);
      float* c = nullptr;
      if constexpr (lstm) {
        c = a.out[2].data<float>() + at;
        std::copy_n(a.in[2].data<float>() + at, state, c);
      }
      for (int64_t i = 0; i < d.seq; ++i) {
        const int64_t step = dir == 0 ? i : d.seq - 1 - i;
        linear(cell, in.data() + step * d.batch * cell.in, h, gates.data(), d.batch);
        if constexpr (lstm) {
          lstm_step(gates.data(), c, h, c, d.batch, d.hidden);
          if (reserve) {
            save_lstm_gates(gates, reserve + d.saved_at(layer, dir) + step * d.batch * d.rows(), d.hidden);
            std::copy_n(c, state, reserve + d.cells_at(layer, dir) + step * d.state());
          }
        } else {
          for (size_t k = 0; k < state; ++k) h[k] = activate(p.nonlineMode, gates[k]);
        }
        for (int64_t b = 0; b < d.batch; ++b)
          std::copy_n(h + b * d.hidden, d.hidden, out.data() + ((step * d.batch + b) * d.dirs + dir) * d.hidden);
      }
    }
    if (reserve && layer + 1 < d.layers) std::copy(out.begin(), out.end(), reserve + layer * d.results());
    in = out;
  }
  std::copy(out.begin(), out.end(), a.out[0].data<float>());
}

template <class P>
void run_fused(const KernelArgs& a) {
  constexpr size_t s = std::is_same_v<P, param::LSTM> ? 2 : 1;
  const Dims d = dims_of(a.param<P>(), a.in[0].shape());
  rnn::fused_forward(d,
                     {.x = a.in[0].data<float>(),
                      .h = a.in[1].data<float>(),
                      .c = s == 2 ? a.in[2].data<float>() : nullptr,
                      .weights = a.in[1 + s],
                      .y = a.out[0].data<float>(),
                      .h_out = a.out[1].data<float>(),
                      .c_out = s == 2 ? a.out[2].data<float>() : nullptr,
                      .reserve = d.training ? a.out[1 + s].data<float>() : nullptr},
                     a.exec);
}

// Rows of states and panels of weights are padded: where that would take much memory, the reference runs.
template <class P>
bool fused_accepts(const KernelQuery& q) {
  const Dims d = dims_of(q.attrs.param<P>(), q.in[0].shape);
  return d.hidden >= 32 || (d.batch <= 4096 && (d.hidden >= 8 || d.weights() <= 16384));
}

// Inputs: x, y, h (, c), dy, dh (, dc), weights, reserve. Outputs: dx, dh (, dc), dweights.
template <class P>
void infer_backward(InferContext& c) {
  constexpr int s = std::is_same_v<P, param::LSTM> ? 2 : 1;
  const Dims d = c.shape(0).ndim() == 3 ? dims_of(c.param<P>(), c.shape(0)) : Dims{};
  for (int i = 0; i < c.nin() - 1; ++i)
    c.require(c.dtype(i).id == DTypeEnum::Float32, "input ", i, " has type ", c.dtype(i).name());
  c.require(d.layers > 0 && d.layers <= 1024 && d.hidden > 0 && d.hidden <= (1 << 20) && d.input < (int64_t{1} << 31),
            "input has shape ", c.shape(0), ", hidden_size ", d.hidden, ", num_layers ", d.layers);
  const int64_t state = d.layers * d.dirs * d.batch * d.hidden;
  for (int i = 0; i < s; ++i)
    c.require(c.shape(2 + i).count() == state && c.shape(3 + s + i).count() == state, "states have wrong shapes");
  c.require(c.shape(2 + s).count() == d.seq * d.batch * d.dirs * d.hidden, "gradient has shape ", c.shape(2 + s));
  const int64_t weights = d.weights();
  c.require(c.shape(3 + 2 * s).count() == weights, "weights have shape ", c.shape(3 + 2 * s), ", expected ", weights,
            " numbers");
  c.set(0, c.dtype(0), c.shape(0));
  for (int i = 0; i < s; ++i) c.set(1 + i, c.dtype(0), c.shape(2 + i));
  c.set(1 + s, c.dtype(0), c.shape(3 + 2 * s));
}

// Runs every layer forward again, keeping states and gates, then walks back through layers and steps.
template <class P>
void run_backward(const KernelArgs& a) {
  constexpr bool lstm = std::is_same_v<P, param::LSTM>;
  constexpr size_t s = lstm ? 2 : 1;
  const auto& p = a.param<P>();
  const Dims d = dims_of(p, a.in[0].shape());
  const int64_t B = d.batch, H = d.hidden, R = d.rows(), S = B * H;
  using Buffer = std::vector<float>;
  const auto buffer = [](int64_t n) { return Buffer(static_cast<size_t>(n)); };
  float* dweights = a.out[1 + s].data<float>();
  std::fill_n(dweights, a.out[1 + s].count(), 0.f);
  std::vector<Buffer> inputs{Buffer(a.in[0].data<float>(), a.in[0].data<float>() + a.in[0].count())};
  std::vector<Buffer> hs, cs, gs;
  std::vector<Cell> cells;
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    Buffer out = buffer(d.seq * B * d.dirs * H);
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      const Cell cell = cell_of(d, a.in[3 + 2 * s].data<float>(), layer, dir);
      const int64_t at = (layer * d.dirs + dir) * S;
      Buffer h = buffer((d.seq + 1) * S), c = buffer((d.seq + 1) * S), g = buffer(d.seq * B * R);
      std::copy_n(a.in[2].data<float>() + at, S, h.data());
      if (lstm) std::copy_n(a.in[3].data<float>() + at, S, c.data());
      for (int64_t i = 0; i < d.seq; ++i) {
        const int64_t step = dir == 0 ? i : d.seq - 1 - i;
        float *gi = g.data() + i * B * R, *hn = h.data() + (i + 1) * S;
        linear(cell, inputs.back().data() + step * B * cell.in, h.data() + i * S, gi, B);
        if (lstm)
          lstm_step(gi, c.data() + i * S, hn, c.data() + (i + 1) * S, B, H);
        else if constexpr (!lstm)
          for (int64_t k = 0; k < S; ++k) hn[k] = activate(p.nonlineMode, gi[k]);
        for (int64_t b = 0; b < B; ++b) std::copy_n(hn + b * H, H, out.data() + ((step * B + b) * d.dirs + dir) * H);
      }
      cells.push_back(cell), hs.push_back(h), cs.push_back(c), gs.push_back(g);
    }
    inputs.push_back(out);
  }
  Buffer dy(a.in[2 + s].data<float>(), a.in[2 + s].data<float>() + a.in[2 + s].count());
  for (int64_t layer = d.layers - 1; layer >= 0; --layer) {
    const Buffer& in = inputs[static_cast<size_t>(layer)];
    Buffer dx = buffer(static_cast<int64_t>(in.size()));
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      const size_t k = static_cast<size_t>(layer * d.dirs + dir);
      const Cell& cell = cells[k];
      const int64_t at = static_cast<int64_t>(k) * S;
      const auto dw = rnn::cell_weights(d, dweights, layer, dir);
      Buffer dh(a.in[3 + s].data<float>() + at, a.in[3 + s].data<float>() + at + S), dc = buffer(S);
      if (lstm) std::copy_n(a.in[4 + s].data<float>() + at, S, dc.data());
      for (int64_t i = d.seq - 1; i >= 0; --i) {
        const int64_t step = dir == 0 ? i : d.seq - 1 - i;
        Buffer dg = buffer(B * R), dprev = buffer(S);
        for (int64_t b = 0; b < B; ++b)
          for (int64_t j = 0; j < H; ++j) {
            const size_t q = static_cast<size_t>(b * H + j);
            const float g = dh[q] + dy[static_cast<size_t>(((step * B + b) * d.dirs + dir) * H + j)];
            const float* z = gs[k].data() + (i * B + b) * R + j;
            float* to = dg.data() + b * R + j;
            if constexpr (lstm) {
              const float vi = sigmoid(z[0]), vf = sigmoid(z[H]), vg = std::tanh(z[2 * H]), vo = sigmoid(z[3 * H]);
              const float t = std::tanh(cs[k][static_cast<size_t>((i + 1) * S) + q]);
              const float e = dc[q] + g * vo * (1.f - t * t);
              to[0] = e * vg * vi * (1.f - vi);
              to[H] = e * cs[k][static_cast<size_t>(i * S) + q] * vf * (1.f - vf);
              to[2 * H] = e * vi * (1.f - vg * vg);
              to[3 * H] = g * t * vo * (1.f - vo);
              dc[q] = e * vf;
            } else {
              const float y = hs[k][static_cast<size_t>((i + 1) * S) + q];
              to[0] = p.nonlineMode == Nonline::TANH             ? g * (1.f - y * y)
                      : p.nonlineMode == Nonline::RELU && y <= 0 ? 0.f
                                                                 : g;
            }
          }
        for (int64_t b = 0; b < B; ++b)
          for (int64_t r = 0; r < R; ++r) {
            const float v = dg[static_cast<size_t>(b * R + r)];
            const int64_t x = (step * B + b) * cell.in;
            for (int64_t n = 0; n < cell.in; ++n) {
              dw.w_ih[r * cell.in + n] += v * in[static_cast<size_t>(x + n)];
              dx[static_cast<size_t>(x + n)] += v * cell.w_ih[r * cell.in + n];
            }
            for (int64_t n = 0; n < H; ++n) {
              dw.w_hh[r * H + n] += v * hs[k][static_cast<size_t>(i * S + b * H + n)];
              dprev[static_cast<size_t>(b * H + n)] += v * cell.w_hh[r * H + n];
            }
            if (d.bias) dw.b_ih[r] += v, dw.b_hh[r] += v;
          }
        dh = dprev;
      }
      std::copy_n(dh.data(), S, a.out[1].data<float>() + at);
      if (lstm) std::copy_n(dc.data(), S, a.out[2].data<float>() + at);
    }
    dy = dx;
  }
  std::copy(dy.begin(), dy.end(), a.out[0].data<float>());
}

template <class P>
void run_fused_backward(const KernelArgs& a) {
  constexpr size_t s = std::is_same_v<P, param::LSTM> ? 2 : 1;
  const Dims d = dims_of(a.param<P>(), a.in[0].shape());
  const auto in = [&](size_t i) { return a.in[i].template data<float>(); };
  rnn::fused_backward(d,
                      {.x = in(0),
                       .y = in(1),
                       .h = in(2),
                       .c = s == 2 ? in(3) : nullptr,
                       .dy = in(2 + s),
                       .dh = in(3 + s),
                       .dc = s == 2 ? in(4 + s) : nullptr,
                       .weights = a.in[3 + 2 * s],
                       .reserve = in(4 + 2 * s),
                       .dx = a.out[0].template data<float>(),
                       .dh_out = a.out[1].template data<float>(),
                       .dc_out = s == 2 ? a.out[2].template data<float>() : nullptr,
                       .dweights = a.out[1 + s].template data<float>()},
                      a.exec);
}

// The gradients of x, W_ih, b_ih, h, W_hh and b_hh from that of the sums (batch, rows).
void linear_gradients(const GradContext& c, const Var& d, std::vector<Var>& r) {
  const auto matmul = [](const Var& a, bool ta, const Var& b) {
    return emit1("MatrixMul", param::MatrixMul{.transposeA = ta}, {a, b});
  };
  if (c.needs[0]) r[0] = matmul(d, false, c.in[1]);
  if (c.needs[1]) r[1] = matmul(d, true, c.in[0]);
  if (c.needs[3]) r[3] = matmul(d, false, c.in[4]);
  if (c.needs[4]) r[4] = matmul(d, true, c.in[3]);
  for (const size_t i : {size_t{2}, size_t{5}}) {
    // A bias of any rank with one number per row, or a single number.
    if (c.needs[i]) r[i] = grads::sum_to_count(d, c.in[i]);
  }
}

std::vector<Var> grad_rnn_cell(const GradContext& c) {
  using namespace grads;
  const Nonline mode = c.attrs.param<param::RNNCell>().nonlineMode;
  std::vector<Var> r(c.in.size());
  linear_gradients(c,
                   mode == Nonline::IDENTITY ? c.dout[0]
                   : mode == Nonline::TANH   ? call(E::TANH_GRAD, {c.out[0], c.dout[0]})
                                             : call(E::SWITCH_GT0, {c.out[0], c.dout[0]}),
                   r);
  return r;
}

// Output 2 holds the gates as [4][batch][hidden] in a (batch, 4 hidden) tensor.
std::vector<Var> grad_lstm_cell(const GradContext& c) {
  using namespace grads;
  const Var &h_out = c.out[0], &c_out = c.out[1], &cx = c.in[6], &dh = c.dout[0];
  const auto part = [&](const Var& gates, int32_t k) {
    const Var four = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{4});
    const Var index = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::span<const int32_t>(&k, 1));
    const Var all = emit1("Reshape", {gates, emit1("Concat", param::Axis{0}, {four, shape_of(h_out)})});
    return emit1("Subtensor", Params(param::IndexDescMaskDump{}, {0, 0, 0, 0, 1}), {all, index});
  };
  const Var i = call(E::SIGMOID, {part(c.out[2], 0)}), f = call(E::SIGMOID, {part(c.out[2], 1)}),
            g = call(E::TANH, {part(c.out[2], 2)}), o = call(E::SIGMOID, {part(c.out[2], 3)});
  Var dc = c.dout[1], d[4];
  if (dh.defined()) {
    const Var t = call(E::TANH, {c_out});
    dc = add_defined(dc, call(E::TANH_GRAD, {t, mul(dh, o)}));
    d[3] = call(E::SIGMOID_GRAD, {o, mul(dh, t)});
  }
  if (dc.defined()) {
    d[0] = call(E::SIGMOID_GRAD, {i, mul(dc, g)});
    d[1] = call(E::SIGMOID_GRAD, {f, mul(dc, cx)});
    d[2] = call(E::TANH_GRAD, {g, mul(dc, i)});
  }
  std::vector<Var> r(c.in.size());
  if (c.needs[6] && dc.defined()) r[6] = mul(dc, f);
  if (std::none_of(c.needs.begin(), c.needs.begin() + 6, [](bool b) { return b; })) return r;
  for (int32_t k = 0; k < 4; ++k) {
    if (c.dout[2].defined()) d[k] = add_defined(d[k], part(c.dout[2], k));
    if (!d[k].defined()) d[k] = zeros_like(h_out, c.dtype(0));
  }
  linear_gradients(c, emit1("Concat", param::Axis{1}, {d[0], d[1], d[2], d[3]}), r);
  return r;
}

// RNNForward and LSTMForward.
std::vector<Var> grad_recurrent(const GradContext& c) {
  const size_t states = c.in.size() - 2;  // 1 or 2
  std::vector<Var> in = {c.in[0], c.out[0]};
  for (size_t i = 0; i < states; ++i) in.push_back(c.in[1 + i]);
  for (size_t i = 0; i <= states; ++i)
    in.push_back(c.dout[i].defined() ? c.dout[i] : grads::zeros_like(c.out[i], c.dtype(0)));
  in.push_back(c.in.back());
  in.push_back(c.out.back());
  return grads::emit_same(c, states == 2 ? "LSTMBackward" : "RNNBackward", in);
}

GradReads reads_cell(const Attrs&, const std::vector<bool>&) { return {~0x24u, ~0u}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(rnn_recurrent) {
  r.add({.name = "RNNCellForward",
         .doc = "One step of a recurrent cell.",
         .mge = {"RNNCellForward"},
         .params = &param::RNNCell::kSchema,
         .min_inputs = 6,
         .max_inputs = 6,
         .infer = infer_rnn_cell,
         .kernels = {{.name = "reference", .run = run_rnn_cell}},
         .grad = grad_rnn_cell,
         .grad_reads = reads_cell});
  r.add({.name = "LSTMCellForward",
         .doc = "One step of an LSTM: new hidden state, new cell state, gates.",
         .mge = {"LSTMCellForward"},
         .params = &param::Empty::kSchema,
         .min_inputs = 7,
         .max_inputs = 7,
         .outputs = outputs_three,
         .infer = infer_lstm_cell,
         .kernels = {{.name = "reference", .run = run_lstm_cell}},
         .grad = grad_lstm_cell,
         .grad_reads = reads_cell});
  r.add({.name = "RNNForward",
         .doc = "Layers of recurrent cells over a sequence: result, last states, reserve.",
         .mge = {"RNNForward"},
         .params = &param::RNN::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .outputs = outputs_three,
         .infer = infer_recurrent<param::RNN>,
         .kernels = {{.name = "fused", .run = run_fused<param::RNN>, .accepts = fused_accepts<param::RNN>},
                     {.name = "reference", .run = run_recurrent<param::RNN>}},
         .grad = grad_recurrent});
  r.add({.name = "LSTMForward",
         .doc = "Layers of LSTM cells over a sequence: result, last hidden and cell states, reserve.",
         .mge = {"LSTMForward"},
         .params = &param::LSTM::kSchema,
         .min_inputs = 4,
         .max_inputs = 4,
         .outputs = outputs_four,
         .infer = infer_recurrent<param::LSTM>,
         .kernels = {{.name = "fused", .run = run_fused<param::LSTM>, .accepts = fused_accepts<param::LSTM>},
                     {.name = "reference", .run = run_recurrent<param::LSTM>}},
         .grad = grad_recurrent});
  r.add({.name = "RNNBackward",
         .doc = "Gradients of RNNForward: of the input, of the first states, of the weights.",
         .mge = {"RNNBackward"},
         .params = &param::RNN::kSchema,
         .min_inputs = 7,
         .max_inputs = 7,
         .outputs = outputs_three,
         .infer = infer_backward<param::RNN>,
         .kernels = {{.name = "fused", .run = run_fused_backward<param::RNN>, .accepts = fused_accepts<param::RNN>},
                     {.name = "reference", .run = run_backward<param::RNN>}}});
  r.add({.name = "LSTMBackward",
         .doc = "Gradients of LSTMForward: of the input, of the first hidden and cell states, of the weights.",
         .mge = {"LSTMBackward"},
         .params = &param::LSTM::kSchema,
         .min_inputs = 9,
         .max_inputs = 9,
         .outputs = outputs_four,
         .infer = infer_backward<param::LSTM>,
         .kernels = {{.name = "fused", .run = run_fused_backward<param::LSTM>, .accepts = fused_accepts<param::LSTM>},
                     {.name = "reference", .run = run_backward<param::LSTM>}}});
}
