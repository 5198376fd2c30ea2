// Passes around convolutions: what inference does to their result per channel moves into filters and bias.
#include <algorithm>
#include <cmath>

#include "megalith/passes/facts.h"

namespace megalith::pass {
namespace {

using E = param::ElemwiseMode;
using N = param::NonlineMode;
using Channel = std::vector<float>;

// A linear op with constant Float32 weights, as scaling its result per channel sees it.
struct Linear {
  Tensor weights;
  int64_t channels = 0;
  int axis = -3;                           // of the result's channels, from the back
  int ndim = 4;                            // of the result
  int64_t outer = 1, skip = 1, inner = 1;  // weights are (outer, channels / outer, ...): see scaled()
  int weights_input = 1;
};

// Weights w seen as (outer, skip, channels / outer, inner): channel o * (channels / outer) + c lies at (o, *, c, *).
Tensor scaled(const Linear& l, const Channel& scale) {
  Tensor w = l.weights.clone();
  const int64_t per = l.channels / l.outer;
  float* p = w.data<float>();
  for (int64_t o = 0; o < l.outer; ++o) {
    for (int64_t s = 0; s < l.skip; ++s) {
      for (int64_t c = 0; c < per; ++c) {
        const float f = scale[static_cast<size_t>(o * per + c)];
        for (int64_t i = 0; i < l.inner; ++i) *p++ *= f;
      }
    }
  }
  return w;
}

std::optional<Linear> linear(const Facts& facts, const Node& n) {
  Linear l;
  const bool conv = is(n, "Convolution"), deconv = is(n, "ConvolutionBackwardData"), matmul = is(n, "MatrixMul");
  if (!(conv || deconv || matmul) || n.inputs.size() < 2 || n.attrs.output_dtype) return std::nullopt;
  l.weights_input = deconv ? 0 : 1;
  const Tensor* weights = facts.constant(n.inputs[static_cast<size_t>(l.weights_input)]);
  if (!weights || weights->dtype().id != DTypeEnum::Float32) return std::nullopt;
  l.weights = *weights;
  const Shape& w = l.weights.shape();
  if (matmul) {
    if (w.ndim() != 2 || n.attrs.param<param::MatrixMul>().format != param::MatrixMulFormat::DEFAULT)
      return std::nullopt;
    const bool t = n.attrs.param<param::MatrixMul>().transposeB;  // then (N, K), else (K, N)
    l.axis = -1, l.ndim = 2;
    l.channels = w[t ? 0 : 1];
    l.skip = t ? 1 : w[0];
    l.inner = t ? w[1] : 1;
    return l;
  }
  const auto& p = n.attrs.param<param::Convolution>();
  const bool group = p.sparse == param::ConvolutionSparse::GROUP;
  if (p.format != param::ConvolutionFormat::NCHW || w.ndim() != (group ? 5 : 4)) return std::nullopt;
  const int g = group ? 1 : 0;
  l.outer = group ? w[0] : 1;
  const int channel_axis = deconv ? g + 1 : g;  // filters are (OC, IC, H, W); a deconvolution gives IC channels
  l.channels = l.outer * w[channel_axis];
  l.skip = deconv ? w[g] : 1;
  l.inner = w.count(channel_axis + 1, w.ndim());
  return l;
}

// scale * linear(x) + shift, per channel: a run of nodes that begins behind the linear op.
struct Affine {
  NodeId source = -1;
  Linear l;
  Channel scale, shift;
  bool scales = false;
};

Tensor channel_constant(const Channel& v, const Linear& l) {
  Shape shape;
  for (int i = 0; i < l.ndim; ++i) shape.push_back(i == l.ndim + l.axis ? l.channels : 1);
  return Tensor::of<float>(DTypeEnum::Float32, shape, std::span<const float>(v));
}

// Appends one elementwise node to a run; false when it is no affine function per channel.
bool extend(const Facts& facts, const Node& n, size_t from, Affine& a) {
  const E mode = n.attrs.param<param::Elemwise>().mode;
  const auto side = [&](size_t i) { return facts.per_channel(n.inputs[i], a.l.channels, a.l.axis, a.l.ndim); };
  const auto each = [&](auto f) {
    for (size_t c = 0; c < a.scale.size(); ++c) f(c);
  };
  if (mode == E::FUSE_MUL_ADD3 && n.inputs.size() == 3 && from < 2) {
    const auto k = side(1 - from), b = side(2);
    if (!k || !b) return false;
    each([&](size_t c) { a.scale[c] *= (*k)[c], a.shift[c] = a.shift[c] * (*k)[c] + (*b)[c]; });
    return a.scales = true;
  }
  if (n.inputs.size() != 2) return false;
  const auto k = side(1 - from);
  if (!k) return false;
  switch (mode) {
    case E::MUL: each([&](size_t c) { a.scale[c] *= (*k)[c], a.shift[c] *= (*k)[c]; }); return a.scales = true;
    case E::TRUE_DIV:
      if (from != 0) return false;
      each([&](size_t c) { a.scale[c] /= (*k)[c], a.shift[c] /= (*k)[c]; });
      return a.scales = true;
    case E::ADD: each([&](size_t c) { a.shift[c] += (*k)[c]; }); return true;
    case E::SUB:
      if (from == 0) {
        each([&](size_t c) { a.shift[c] -= (*k)[c]; });
        return true;
      }
      each([&](size_t c) { a.scale[c] = -a.scale[c], a.shift[c] = (*k)[c] - a.shift[c]; });
      return a.scales = true;
    default: return false;
  }
}

// BatchNorm with fixed statistics: (x - mean) / sqrt(variance + epsilon) * scale + bias.
bool extend_batch_norm(const Facts& facts, const Node& n, Affine& a) {
  const auto& p = n.attrs.param<param::BN>();
  if (p.fwd_mode != param::BNFwdMode::INFERENCE || n.inputs.size() != 5) return false;
  for (size_t i = 0; i + 1 < n.outputs.size(); ++i) {
    if (facts.reads(n.outputs[i]) > 0) return false;
  }
  std::optional<Channel> v[4];
  for (size_t i = 0; i < 4; ++i) {
    v[i] = facts.per_channel(n.inputs[i + 1], a.l.channels, -3, 4);
    if (!v[i]) return false;
  }
  for (size_t c = 0; c < a.scale.size(); ++c) {
    const float k = (*v[0])[c] / std::sqrt((*v[3])[c] + static_cast<float>(p.epsilon));
    a.scale[c] *= k;
    a.shift[c] = (a.shift[c] - (*v[2])[c]) * k + (*v[1])[c];
  }
  return a.scales = true;
}

bool finite(const Channel& v) {
  return std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); });
}

Attrs elemwise(E mode) {
  Attrs a;
  a.params = Params(param::Elemwise{.mode = mode});
  return a;
}

}  // namespace

void fold_batch_norm(Graph& g) {
  const Facts facts(g);
  std::vector<std::optional<Affine>> runs(g.nodes.size());
  std::vector<bool> continued(g.nodes.size(), false);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    const bool batch_norm = is(n, "BatchNorm");
    if ((!batch_norm && !is(n, "Elemwise")) || facts.late(static_cast<NodeId>(i)) || n.attrs.output_dtype) continue;
    for (size_t from = 0; from < (batch_norm ? 1 : n.inputs.size()); ++from) {
      const Node* before = facts.absorbable(n.inputs[from]);
      if (!before) continue;
      const NodeId id = g.value(n.inputs[from]).node;
      Affine a;
      if (const auto& run = runs[static_cast<size_t>(id)]) {
        a = *run;
      } else if (const auto l = linear(facts, *before); l && l->channels > 0) {
        a.source = id;
        a.l = *l;
        a.scale.assign(static_cast<size_t>(l->channels), 1.f);
        a.shift.assign(static_cast<size_t>(l->channels), 0.f);
      } else {
        continue;
      }
      if (batch_norm ? a.l.ndim != 4 || !extend_batch_norm(facts, n, a) : !extend(facts, n, from, a)) continue;
      runs[i] = std::move(a);
      continued[static_cast<size_t>(id)] = true;
      break;
    }
  }
  NewConstants fresh(g);
  const OpDef& add = Registry::get().at("Elemwise");
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i] || continued[i] || !runs[i]->scales || !finite(runs[i]->scale) || !finite(runs[i]->shift)) continue;
    const Affine& a = *runs[i];
    const ValueId w = fresh.add(scaled(a.l, a.scale)), b = fresh.add(channel_constant(a.shift, a.l));
    g.node(a.source).inputs[static_cast<size_t>(a.l.weights_input)] = w;
    Node& last = g.nodes[i];
    last.op = &add;
    last.attrs = elemwise(E::ADD);
    last.inputs = {g.node(a.source).outputs[0], b};
    last.outputs = {last.outputs.back()};  // BatchNorm's result is its last output
    g.values[static_cast<size_t>(last.outputs[0])].index = 0;
  }
  fresh.move_up();
}

namespace {

std::optional<N> activation(E mode) {
  switch (mode) {
    case E::RELU:
    case E::FUSE_ADD_RELU: return N::RELU;
    case E::SIGMOID:
    case E::FUSE_ADD_SIGMOID: return N::SIGMOID;
    case E::H_SWISH:
    case E::FUSE_ADD_H_SWISH: return N::H_SWISH;
    case E::ADD:
    case E::RELU6: return N::IDENTITY;  // RELU6 is an op of its own
    default: return std::nullopt;
  }
}

Attrs conv_bias(const Node& conv, N nonline) {
  const auto& c = conv.attrs.param<param::Convolution>();
  Attrs a;
  a.params = Params(param::ConvBias{.nonlineMode = nonline,
                                    .mode = c.mode,
                                    .sparse = c.sparse,
                                    .format = c.format,
                                    .pad_h = c.pad_h,
                                    .pad_w = c.pad_w,
                                    .stride_h = c.stride_h,
                                    .stride_w = c.stride_w,
                                    .dilate_h = c.dilate_h,
                                    .dilate_w = c.dilate_w,
                                    .compute_mode = c.compute_mode});
  a.policy = conv.attrs.policy;
  return a;
}

// A ConvBias that still waits for its activation, in Float32 and NCHW.
bool open(const Facts& facts, const Node& n, NodeId reader) {
  if (!is(n, "ConvBiasForward") || n.inputs.size() < 2 || n.attrs.output_dtype) return false;
  const auto& p = n.attrs.param<param::ConvBias>();
  const Tensor* w = facts.parameter(n.inputs[1], reader);
  return p.nonlineMode == N::IDENTITY && p.format == param::ConvolutionFormat::NCHW && w &&
         w->dtype().id == DTypeEnum::Float32;
}

// A convolution whose weights, and the bias that is added to it, are trained.
bool adds_trained_bias(const Facts& facts, const Node& conv, ValueId bias, NodeId reader) {
  if (!is(conv, "Convolution") || conv.inputs.size() != 2 || conv.attrs.output_dtype) return false;
  const auto& p = conv.attrs.param<param::Convolution>();
  const Tensor *w = facts.parameter(conv.inputs[1], reader), *b = facts.parameter(bias, reader);
  const auto is_float = [](const Tensor& t) { return t.dtype().id == DTypeEnum::Float32; };
  if (facts.constant(conv.inputs[1]) && facts.constant(bias)) return false;
  return w && b && is_float(*w) && is_float(*b) && w->ndim() == 4 && b->shape() == Shape{1, w->dim(0), 1, 1} &&
         p.format == param::ConvolutionFormat::NCHW && p.sparse == param::ConvolutionSparse::DENSE;
}

}  // namespace

void fuse_conv_bias(Graph& g) {
  const Facts facts(g);
  const OpDef* fused = Registry::get().find("ConvBiasForward");
  const OpDef* relu6 = Registry::get().find("ConvBiasRelu6");
  if (!fused || !relu6) return;
  NewConstants fresh(g);
  const size_t count = g.nodes.size();
  std::vector<std::optional<Channel>> bias(g.values.size());  // of the new constants, by the ConvBias result
  for (size_t i = 0; i < count; ++i) {
    if (!is(g.nodes[i], "Elemwise") || facts.late(static_cast<NodeId>(i)) || g.nodes[i].attrs.output_dtype) continue;
    const E mode = g.nodes[i].attrs.param<param::Elemwise>().mode;
    const auto act = activation(mode);
    const size_t arity = g.nodes[i].inputs.size();
    if (!act || arity > 2) continue;
    for (size_t side = 0; side < arity; ++side) {
      const ValueId y = g.nodes[i].inputs[side];
      const Node* conv = &g.node(g.value(y).node);
      if (!is(*conv, "Convolution") && !is(*conv, "ConvBiasForward")) continue;
      const auto shapes = facts.wants_shape(y, static_cast<NodeId>(i));
      if (!shapes) continue;
      Attrs attrs;
      std::vector<ValueId> inputs;
      if (arity == 1) {
        if (open(facts, *conv, static_cast<NodeId>(i))) {
          attrs = conv->attrs;
          attrs.params.as<param::ConvBias>().nonlineMode = *act;
        } else if (is(*conv, "Convolution") && linear(facts, *conv)) {
          attrs = conv_bias(*conv, *act);
        } else {
          continue;
        }
        inputs = conv->inputs;
        if (is(*conv, "Convolution")) inputs.resize(2);
      } else {
        Channel sum;
        const ValueId added = g.nodes[i].inputs[1 - side];
        if (adds_trained_bias(facts, *conv, added, static_cast<NodeId>(i))) {
          attrs = conv_bias(*conv, *act);
        } else if (is(*conv, "Convolution")) {
          const auto l = linear(facts, *conv);
          if (!l) continue;
          const auto b = facts.per_channel(added, l->channels, -3, 4);
          if (!b) continue;
          sum = *b;
          attrs = conv_bias(*conv, *act);
        } else if (open(facts, *conv, static_cast<NodeId>(i)) && conv->inputs.size() == 3 &&
                   bias[static_cast<size_t>(y)]) {
          sum = *bias[static_cast<size_t>(y)];
          const auto b = facts.per_channel(added, static_cast<int64_t>(sum.size()), -3, 4);
          if (!b) continue;
          for (size_t c = 0; c < sum.size(); ++c) sum[c] += (*b)[c];
          attrs = conv->attrs;
          attrs.params.as<param::ConvBias>().nonlineMode = *act;
        } else {
          continue;
        }
        inputs = {conv->inputs[0], conv->inputs[1], added};
        if (!sum.empty()) {
          const Tensor value = Tensor::of<float>(DTypeEnum::Float32, {1, static_cast<int64_t>(sum.size()), 1, 1},
                                                 std::span<const float>(sum));
          inputs[2] = fresh.add(value);
          bias[static_cast<size_t>(g.nodes[i].outputs[0])] = sum;
        }
      }
      // Reached through `g` again: adding the constant moved the nodes.
      Node& n = g.nodes[i];
      if (arity == 1 && bias[static_cast<size_t>(y)])
        bias[static_cast<size_t>(n.outputs[0])] = bias[static_cast<size_t>(y)];
      n.op = mode == E::RELU6 ? relu6 : fused;
      n.attrs = std::move(attrs);
      n.inputs = std::move(inputs);
      for (NodeId s : *shapes) g.node(s).inputs[0] = n.outputs[0];
      break;
    }
  }
  fresh.move_up();
}

}  // namespace megalith::pass
