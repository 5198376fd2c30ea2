#include "megalith/ops/rnn/expand.h"

#include "megalith/ops/grad_util.h"
#include "megalith/ops/rnn/dims.h"

namespace megalith::rnn {
namespace {

using namespace grads;

Var ints(std::vector<int64_t> v) {
  const std::vector<int32_t> narrow(v.begin(), v.end());
  return Tensor::of<int32_t>(DTypeEnum::Int32, {static_cast<int64_t>(v.size())}, std::span<const int32_t>(narrow));
}
Var part(const Var& v, int32_t axis, int64_t begin, int64_t end) {
  return emit1("Subtensor", Params(param::IndexDescMaskDump{}, {axis, 1, 1, 0, 0}), {v, ints({begin}), ints({end})});
}
Var at(const Var& v, int64_t index) {
  return emit1("Subtensor", Params(param::IndexDescMaskDump{}, {0, 0, 0, 0, 1}), {v, ints({index})});
}
Var join(const std::vector<Var>& parts, int32_t axis) {
  return parts.size() == 1 ? parts[0] : emit1("Concat", param::Axis{axis}, parts);
}

struct Weights {
  Var w_ih, w_hh, b_ih, b_hh;  // biases may be undefined
};

Var step(const Weights& w, const Var& x, const Var& h, int64_t H) {
  const auto side = [](const Var& v, const Var& weights, const Var& bias) {
    const Var sums = emit1("MatrixMul", param::MatrixMul{.transposeB = true}, {v, weights});
    return bias.defined() ? add(sums, bias) : sums;
  };
  const Var xs = side(x, w.w_ih, w.b_ih), hs = side(h, w.w_hh, w.b_hh);
  const Var rz = call(E::SIGMOID, {add(part(xs, 1, 0, 2 * H), part(hs, 1, 0, 2 * H))});
  const Var n = call(E::TANH, {add(part(xs, 1, 2 * H, 3 * H), mul(part(rz, 1, 0, H), part(hs, 1, 2 * H, 3 * H)))});
  return add(n, mul(part(rz, 1, H, 2 * H), sub(h, n)));
}

}  // namespace

std::vector<Var> expand_gru_cell(const Attrs&, const std::vector<Var>& in, std::span<const TensorSpec> specs) {
  return {step({in[1], in[4], in[2], in[5]}, in[0], in[3], specs[3].shape[1]), {}};
}

std::vector<Var> expand_gru(const Attrs& attrs, const std::vector<Var>& in, std::span<const TensorSpec> specs) {
  const auto& p = attrs.param<param::GRU>();
  const Shape& x = specs[0].shape;
  const Dims d{Kind::kGru, p.num_layers, p.bidirectional ? 2 : 1, p.hidden_size, x[0], x[1], x[2], p.bias, false};
  if (d.seq == 0) throw UnsupportedError("GRUForward: a network without steps can't be written to a file");
  const Var all = emit1("Reshape", {in[2], ints({d.weights()})});
  // Results of the layer below, a step each: (batch, width).
  std::vector<Var> below, ends;
  for (int64_t t = 0; t < d.seq; ++t) below.push_back(at(in[0], t));
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    std::vector<std::vector<Var>> results(static_cast<size_t>(d.seq));
    for (int64_t dir = 0; dir < d.dirs; ++dir) {
      int64_t begin = d.weights_at(layer, dir);
      const auto take = [&](int64_t count) {
        begin += count;
        return part(all, 0, begin - count, begin);
      };
      const auto matrix = [&](int64_t cols) {
        return emit1("Reshape", {take(d.rows() * cols), ints({d.rows(), cols})});
      };
      Weights w;
      w.w_ih = matrix(d.layer_input(layer));
      w.w_hh = matrix(d.hidden);
      if (d.bias) w.b_ih = take(d.rows()), w.b_hh = take(d.rows());
      Var h = at(in[1], layer * d.dirs + dir);
      for (int64_t i = 0; i < d.seq; ++i) {
        const auto t = static_cast<size_t>(dir == 0 ? i : d.seq - 1 - i);
        h = step(w, below[t], h, d.hidden);
        results[t].push_back(h);
      }
      ends.push_back(add_axis(h, 0));
    }
    for (size_t t = 0; t < below.size(); ++t) below[t] = join(results[t], 1);
  }
  for (Var& v : below) v = add_axis(v, 0);
  return {join(below, 0), join(ends, 0), {}};
}

}  // namespace megalith::rnn
