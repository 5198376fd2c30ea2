// RNNCell, LSTMCell and GRUCell: one step.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/rnn/expand.h"
#include "megalith/ops/rnn/reference.h"

namespace megalith {
namespace {

using rnn::Cell;
using rnn::linear;
using rnn::lstm_step;
using Nonline = param::RNNNonlineMode;

int outputs_two(const Attrs&, int) { return 2; }
int outputs_three(const Attrs&, int) { return 3; }

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
  std::copy_n(a.in[3].data<float>(), a.in[3].count(), a.out[0].data<float>());
  rnn::step(rnn::kind_of(a.param<param::RNNCell>().nonlineMode), cell_of(a, 1), a.in[0].data<float>(),
            a.out[0].data<float>(), nullptr, nullptr, a.in[0].dim(0));
}

void infer_lstm_cell(InferContext& c) {
  check_cell(c, 4);
  c.require(c.shape(6) == c.shape(3), "cell state has shape ", c.shape(6), ", hidden state ", c.shape(3));
  c.set(0, c.dtype(0), c.shape(3));
  c.set(1, c.dtype(0), c.shape(3));
  c.set(2, c.dtype(0), Shape{c.shape(0)[0], c.shape(1)[0]});
}

// (batch, 4, hidden) as [4][batch][hidden].
void gates_apart(const std::vector<float>& gates, float* to, int64_t batch, int64_t H) {
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t i = 0; i < H; ++i) to[(j * batch + b) * H + i] = gates[static_cast<size_t>((b * 4 + j) * H + i)];
}

// Output 2 holds the gates one after the other: [4][batch][hidden].
void run_lstm_cell(const KernelArgs& a) {
  const int64_t batch = a.in[0].dim(0), H = a.in[3].dim(1);
  std::vector<float> gates(static_cast<size_t>(batch * 4 * H));
  linear(cell_of(a, 4), a.in[0].data<float>(), a.in[3].data<float>(), gates.data(), batch);
  gates_apart(gates, a.out[2].data<float>(), batch, H);
  lstm_step(gates.data(), a.in[6].data<float>(), a.out[0].data<float>(), a.out[1].data<float>(), batch, H);
}

void infer_gru_cell(InferContext& c) {
  check_cell(c, 3);
  c.set(0, c.dtype(0), c.shape(3));
  c.set(1, c.dtype(0), Shape{c.shape(0)[0], 4 * c.shape(3)[1]});
}

// Output 1 holds r, z, n and W_hn h + b_hn one after the other: [4][batch][hidden].
void run_gru_cell(const KernelArgs& a) {
  const int64_t batch = a.in[0].dim(0), H = a.in[3].dim(1);
  std::vector<float> saved(static_cast<size_t>(batch * 4 * H));
  std::copy_n(a.in[3].data<float>(), a.in[3].count(), a.out[0].data<float>());
  rnn::step(rnn::Kind::kGru, cell_of(a, 3), a.in[0].data<float>(), a.out[0].data<float>(), nullptr, saved.data(),
            batch);
  gates_apart(saved, a.out[1].data<float>(), batch, H);
}

template <rnn::Kind kKind>
void run_fused(const KernelArgs& a) {
  constexpr bool lstm = kKind == rnn::Kind::kLstm, gru = kKind == rnn::Kind::kGru;
  const rnn::Kind kind = lstm || gru ? kKind : rnn::kind_of(a.param<param::RNNCell>().nonlineMode);
  rnn::fused_cell({.kind = kind,
                   .batch = a.in[0].dim(0),
                   .hidden = a.in[3].dim(1),
                   .x = a.in[0].data<float>(),
                   .h = a.in[3].data<float>(),
                   .c = lstm ? a.in[6].data<float>() : nullptr,
                   .w_ih = a.in[1],
                   .w_hh = a.in[4],
                   .b_ih = a.in[2],
                   .b_hh = a.in[5],
                   .h_out = a.out[0].data<float>(),
                   .c_out = lstm ? a.out[1].data<float>() : nullptr,
                   .gates = lstm || gru ? a.out[lstm ? 2 : 1].data<float>() : nullptr},
                  a.exec);
}

// Panels of weights are padded: small cells run on the reference.
bool fused_accepts(const KernelQuery& q) { return q.in[3].shape[1] >= 8; }

// The gradients of x, W_ih, b_ih, h, W_hh and b_hh from those of the sums of each side (batch, rows).
void linear_gradients(const GradContext& c, const Var& dx, const Var& dh, std::vector<Var>& r) {
  const auto matmul = [](const Var& a, bool ta, const Var& b) {
    return emit1("MatrixMul", param::MatrixMul{.transposeA = ta}, {a, b});
  };
  for (const size_t i : {size_t{0}, size_t{3}}) {
    const Var& d = i == 0 ? dx : dh;
    if (c.needs[i]) r[i] = grads::add_defined(r[i], matmul(d, false, c.in[i + 1]));
    if (c.needs[i + 1]) r[i + 1] = matmul(d, true, c.in[i]);
    // A bias of any rank with one number per row, or a single number.
    if (!c.needs[i + 2]) continue;
    r[i + 2] = i == 3 && &dx == &dh && r[2].defined() && grads::same_shapes(c.in[2], c.in[5])
                   ? r[2]
                   : grads::sum_to_count(d, c.in[i + 2]);
  }
}

std::vector<Var> grad_rnn_cell(const GradContext& c) {
  using namespace grads;
  const Nonline mode = c.attrs.param<param::RNNCell>().nonlineMode;
  std::vector<Var> r(c.in.size());
  const Var d = mode == Nonline::IDENTITY ? c.dout[0]
                : mode == Nonline::TANH   ? call(E::TANH_GRAD, {c.out[0], c.dout[0]})
                                          : call(E::SWITCH_GT0, {c.out[0], c.dout[0]});
  linear_gradients(c, d, d, r);
  return r;
}

// Parts of gates that lie as [4][batch][hidden] in a (batch, 4 hidden) tensor; undefined ones of an undefined tensor.
class Parts {
 public:
  Parts(const Var& gates, const Var& like) {
    if (!gates.defined()) return;
    const Var four = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{4});
    all_ = emit1("Reshape", {gates, emit1("Concat", param::Axis{0}, {four, grads::shape_of(like)})});
  }
  Var operator()(int32_t k) const {
    if (!all_.defined()) return {};
    const Var index = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::span<const int32_t>(&k, 1));
    return emit1("Subtensor", Params(param::IndexDescMaskDump{}, {0, 0, 0, 0, 1}), {all_, index});
  }

 private:
  Var all_;
};

std::vector<Var> grad_lstm_cell(const GradContext& c) {
  using namespace grads;
  const Var &h_out = c.out[0], &c_out = c.out[1], &cx = c.in[6], &dh = c.dout[0];
  const Parts sum(c.out[2], h_out), dsum(c.dout[2], h_out);
  const Var i = call(E::SIGMOID, {sum(0)}), f = call(E::SIGMOID, {sum(1)}), g = call(E::TANH, {sum(2)}),
            o = call(E::SIGMOID, {sum(3)});
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
    if (c.dout[2].defined()) d[k] = add_defined(d[k], dsum(k));
    if (!d[k].defined()) d[k] = zeros_like(h_out, c.dtype(0));
  }
  const Var all = emit1("Concat", param::Axis{1}, {d[0], d[1], d[2], d[3]});
  linear_gradients(c, all, all, r);
  return r;
}

// Output 1 holds r, z, n and m = W_hn h + b_hn; h' = n + z (h - n), n = tanh(.. + r m).
std::vector<Var> grad_gru_cell(const GradContext& c) {
  using namespace grads;
  const Parts saved(c.out[1], c.out[0]), dsaved(c.dout[1], c.out[0]);
  const Var &h = c.in[3], d = c.dout[0].defined() ? c.dout[0] : zeros_like(c.out[0], c.dtype(0));
  const Var r = saved(0), z = saved(1), n = saved(2), m = saved(3);
  const Var past = mul(d, z), dn = call(E::TANH_GRAD, {n, add_defined(sub(d, past), dsaved(2))});
  const Var dr = call(E::SIGMOID_GRAD, {r, add_defined(mul(dn, m), dsaved(0))});
  const Var dz = call(E::SIGMOID_GRAD, {z, add_defined(mul(d, sub(h, n)), dsaved(1))});
  const Var dm = add_defined(mul(dn, r), dsaved(3));
  std::vector<Var> to(c.in.size());
  if (c.needs[3]) to[3] = past;
  linear_gradients(c, emit1("Concat", param::Axis{1}, {dr, dz, dn}), emit1("Concat", param::Axis{1}, {dr, dz, dm}), to);
  return to;
}

GradReads reads_cell(const Attrs&, const std::vector<bool>&) { return {~0x24u, ~0u}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(rnn_cells) {
  r.add({.name = "RNNCellForward",
         .doc = "One step of a recurrent cell.",
         .mge = {"RNNCellForward"},
         .params = &param::RNNCell::kSchema,
         .min_inputs = 6,
         .max_inputs = 6,
         .infer = infer_rnn_cell,
         .kernels = {{.name = "fused", .run = run_fused<rnn::Kind::kTanh>, .accepts = fused_accepts},
                     {.name = "reference", .run = run_rnn_cell}},
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
         .kernels = {{.name = "fused", .run = run_fused<rnn::Kind::kLstm>, .accepts = fused_accepts},
                     {.name = "reference", .run = run_lstm_cell}},
         .grad = grad_lstm_cell,
         .grad_reads = reads_cell});
  r.add({.name = "GRUCellForward",
         .doc = "One step of a GRU: new hidden state; gates, for the gradient.",
         .params = &param::Empty::kSchema,
         .min_inputs = 6,
         .max_inputs = 6,
         .outputs = outputs_two,
         .infer = infer_gru_cell,
         .kernels = {{.name = "fused", .run = run_fused<rnn::Kind::kGru>, .accepts = fused_accepts},
                     {.name = "reference", .run = run_gru_cell}},
         .grad = grad_gru_cell,
         .grad_reads = reads_cell,
         .expand = rnn::expand_gru_cell});
}
