// RNN, LSTM and GRU over sequences.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/rnn/expand.h"
#include "megalith/ops/rnn/reference.h"

namespace megalith {
namespace {

using recurrent::Kind;
using rnn::Cell;
using rnn::cell_of;
using rnn::Dims;

int outputs_three(const Attrs&, int) { return 3; }
int outputs_four(const Attrs&, int) { return 4; }

template <class P>
Dims dims_of(const P& p, const Shape& x) {
  Kind kind = std::is_same_v<P, param::GRU> ? Kind::kGru : Kind::kLstm;
  if constexpr (std::is_same_v<P, param::RNN>) kind = rnn::kind_of(p.nonlineMode);
  return {kind,          p.num_layers, p.bidirectional ? 2 : 1,
          p.hidden_size, x[0],         x[1],
          x[2],          p.bias,       p.fwd_mode == param::BNFwdMode::TRAINING};
}

template <class P>
constexpr size_t kStates = std::is_same_v<P, param::LSTM> ? 2 : 1;

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
  const Dims d = dims_of(a.param<P>(), a.in[0].shape());
  const int64_t S = d.state(), H = d.hidden;
  std::vector<float> in(a.in[0].data<float>(), a.in[0].data<float>() + a.in[0].count());
  std::vector<float> out(static_cast<size_t>(a.out[0].count())), saved(static_cast<size_t>(d.saved() * S));
  float* const reserve = d.training ? a.out[a.out.size() - 1].template data<float>() : nullptr;
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      const Cell cell = cell_of(d, a.in[a.in.size() - 1].template data<float>(), layer, dir);
      const int64_t at = (layer * d.dirs + dir) * S;
      float *h = a.out[1].data<float>() + at, *c = nullptr;
      std::copy_n(a.in[1].data<float>() + at, S, h);
      if constexpr (kStates<P> == 2) {
        c = a.out[2].data<float>() + at;
        std::copy_n(a.in[2].data<float>() + at, S, c);
      }
      for (int64_t i = 0; i < d.seq; ++i) {
        const int64_t t = dir == 0 ? i : d.seq - 1 - i;
        rnn::step(d.kind, cell, in.data() + t * d.batch * cell.in, h, c, saved.data(), d.batch);
        if (reserve) std::copy(saved.begin(), saved.end(), reserve + d.saved_at(layer, dir) + t * d.saved() * S);
        if (reserve && c) std::copy_n(c, S, reserve + d.cells_at(layer, dir) + t * S);
        for (int64_t b = 0; b < d.batch; ++b)
          std::copy_n(h + b * H, H, out.data() + ((t * d.batch + b) * d.dirs + dir) * H);
      }
    }
    if (reserve && layer + 1 < d.layers) std::copy(out.begin(), out.end(), reserve + layer * d.results());
    in = out;
  }
  std::copy(out.begin(), out.end(), a.out[0].data<float>());
}

template <class P>
void run_fused(const KernelArgs& a) {
  constexpr size_t s = kStates<P>;
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
  constexpr int s = kStates<P>;
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

// The gradient of a step's gates, from that of its results: `x` for the sums of the input's side, `h` for those of the
// state's (gates apart by `H`). `dh` and `dc` become what flows past the products.
void gate_gradients(Kind kind, const float* saved, float h_old, float h_new, float c_old, float c_new, float& dh,
                    float& dc, float* x, float* h, int64_t H) {
  const auto s = [&](int k) { return saved[k * H]; };
  if (kind == Kind::kLstm) {
    const float i = s(0), f = s(1), g = s(2), o = s(3), t = std::tanh(c_new), e = dc + dh * o * (1.f - t * t);
    x[0] = e * g * i * (1.f - i);
    x[H] = e * c_old * f * (1.f - f);
    x[2 * H] = e * i * (1.f - g * g);
    x[3 * H] = dh * t * o * (1.f - o);
    for (int k = 0; k < 4; ++k) h[k * H] = x[k * H];
    dc = e * f;
    dh = 0;
  } else if (kind == Kind::kGru) {
    const float r = s(0), z = s(1), n = s(2), dn = dh * (1.f - z) * (1.f - n * n);
    x[0] = h[0] = dn * s(3) * r * (1.f - r);
    x[H] = h[H] = dh * (h_old - n) * z * (1.f - z);
    x[2 * H] = dn;
    h[2 * H] = dn * r;
    dh *= z;
  } else {
    x[0] = h[0] = kind == Kind::kTanh ? dh * (1.f - h_new * h_new) : kind == Kind::kRelu && h_new <= 0 ? 0.f : dh;
    dh = 0;
  }
}

// Runs every layer forward again, keeping states and gates, then walks back through layers and steps.
template <class P>
void run_backward(const KernelArgs& a) {
  constexpr size_t s = kStates<P>;
  const Dims d = dims_of(a.param<P>(), a.in[0].shape());
  const int64_t B = d.batch, H = d.hidden, R = d.rows(), S = B * H, kept = d.saved() * H;
  using Buffer = std::vector<float>;
  const auto buffer = [](int64_t n) { return Buffer(static_cast<size_t>(n)); };
  float* dweights = a.out[1 + s].template data<float>();
  std::fill_n(dweights, a.out[1 + s].count(), 0.f);
  std::vector<Buffer> inputs{Buffer(a.in[0].data<float>(), a.in[0].data<float>() + a.in[0].count())};
  std::vector<Buffer> hs, cs, gs;  // of every layer and direction: states before all steps and behind the last, gates
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    Buffer out = buffer(d.seq * B * d.dirs * H);
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      const Cell cell = cell_of(d, a.in[3 + 2 * s].template data<float>(), layer, dir);
      const int64_t at = (layer * d.dirs + dir) * S;
      Buffer h = buffer((d.seq + 1) * S), c = buffer((d.seq + 1) * S);
      Buffer g = buffer(std::max(H, d.seq * B * kept));  // RNN keeps none, and is given a place all the same
      std::copy_n(a.in[2].data<float>() + at, S, h.data());
      if (s == 2) std::copy_n(a.in[3].data<float>() + at, S, c.data());
      for (int64_t i = 0; i < d.seq; ++i) {
        const int64_t t = dir == 0 ? i : d.seq - 1 - i;
        float *hn = h.data() + (i + 1) * S, *cn = c.data() + (i + 1) * S;
        std::copy_n(hn - S, S, hn);
        std::copy_n(cn - S, S, cn);
        rnn::step(d.kind, cell, inputs.back().data() + t * B * cell.in, hn, cn, g.data() + i * B * kept, B);
        for (int64_t b = 0; b < B; ++b) std::copy_n(hn + b * H, H, out.data() + ((t * B + b) * d.dirs + dir) * H);
      }
      hs.push_back(h), cs.push_back(c), gs.push_back(g);
    }
    inputs.push_back(out);
  }
  Buffer dy(a.in[2 + s].template data<float>(), a.in[2 + s].template data<float>() + a.in[2 + s].count());
  for (int64_t layer = d.layers - 1; layer >= 0; --layer) {
    const Buffer& in = inputs[static_cast<size_t>(layer)];
    Buffer dx = buffer(static_cast<int64_t>(in.size()));
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      const size_t k = static_cast<size_t>(layer * d.dirs + dir);
      const Cell cell = cell_of(d, a.in[3 + 2 * s].template data<float>(), layer, dir);
      const auto dw = rnn::cell_weights(d, dweights, layer, dir);
      const int64_t at = static_cast<int64_t>(k) * S;
      Buffer dh(a.in[3 + s].template data<float>() + at, a.in[3 + s].template data<float>() + at + S), dc = buffer(S);
      if (s == 2) std::copy_n(a.in[4 + s].template data<float>() + at, S, dc.data());
      for (int64_t i = d.seq - 1; i >= 0; --i) {
        const int64_t t = dir == 0 ? i : d.seq - 1 - i;
        Buffer dgx = buffer(B * R), dgh = buffer(B * R);
        const float *h_old = hs[k].data() + i * S, *c_old = cs[k].data() + i * S;
        for (int64_t b = 0; b < B; ++b)
          for (int64_t j = 0; j < H; ++j) {
            const int64_t q = b * H + j;
            float& g = dh[static_cast<size_t>(q)];
            g += dy[static_cast<size_t>(((t * B + b) * d.dirs + dir) * H + j)];
            gate_gradients(d.kind, gs[k].data() + (i * B + b) * kept + j, h_old[q], h_old[S + q], c_old[q],
                           c_old[S + q], g, dc[static_cast<size_t>(q)], dgx.data() + b * R + j, dgh.data() + b * R + j,
                           H);
          }
        for (int64_t b = 0; b < B; ++b)
          for (int64_t r = 0; r < R; ++r) {
            const float vx = dgx[static_cast<size_t>(b * R + r)], vh = dgh[static_cast<size_t>(b * R + r)];
            const int64_t x = (t * B + b) * cell.in;
            for (int64_t n = 0; n < cell.in; ++n) {
              dw.w_ih[r * cell.in + n] += vx * in[static_cast<size_t>(x + n)];
              dx[static_cast<size_t>(x + n)] += vx * cell.w_ih[r * cell.in + n];
            }
            for (int64_t n = 0; n < H; ++n) {
              dw.w_hh[r * H + n] += vh * h_old[b * H + n];
              dh[static_cast<size_t>(b * H + n)] += vh * cell.w_hh[r * H + n];
            }
            if (d.bias) dw.b_ih[r] += vx, dw.b_hh[r] += vh;
          }
      }
      std::copy_n(dh.data(), S, a.out[1].data<float>() + at);
      if (s == 2) std::copy_n(dc.data(), S, a.out[2].data<float>() + at);
    }
    dy = dx;
  }
  std::copy(dy.begin(), dy.end(), a.out[0].data<float>());
}

template <class P>
void run_fused_backward(const KernelArgs& a) {
  constexpr size_t s = kStates<P>;
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

// RNNForward, LSTMForward and GRUForward.
std::vector<Var> grad_recurrent(const GradContext& c) {
  const size_t states = c.in.size() - 2;  // 1 or 2
  std::vector<Var> in = {c.in[0], c.out[0]};
  for (size_t i = 0; i < states; ++i) in.push_back(c.in[1 + i]);
  for (size_t i = 0; i <= states; ++i)
    in.push_back(c.dout[i].defined() ? c.dout[i] : grads::zeros_like(c.out[i], c.dtype(0)));
  in.push_back(c.in.back());
  in.push_back(c.out.back());
  const bool gru = c.attrs.params.schema() == &param::GRU::kSchema;
  return grads::emit_same(c, states == 2 ? "LSTMBackward" : gru ? "GRUBackward" : "RNNBackward", in);
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(rnn_recurrent) {
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
  r.add({.name = "GRUForward",
         .doc = "Layers of GRU cells over a sequence: result, last states, reserve.",
         .params = &param::GRU::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .outputs = outputs_three,
         .infer = infer_recurrent<param::GRU>,
         .kernels = {{.name = "fused", .run = run_fused<param::GRU>, .accepts = fused_accepts<param::GRU>},
                     {.name = "reference", .run = run_recurrent<param::GRU>}},
         .grad = grad_recurrent,
         .expand = rnn::expand_gru});
  r.add({.name = "GRUBackward",
         .doc = "Gradients of GRUForward: of the input, of the first states, of the weights.",
         .params = &param::GRU::kSchema,
         .min_inputs = 7,
         .max_inputs = 7,
         .outputs = outputs_three,
         .infer = infer_backward<param::GRU>,
         .kernels = {{.name = "fused", .run = run_fused_backward<param::GRU>, .accepts = fused_accepts<param::GRU>},
                     {.name = "reference", .run = run_backward<param::GRU>}}});
}
