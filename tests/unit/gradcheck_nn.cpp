// Gradient cases of convolutions, pooling, normalization, recurrent cells, image ops and quantization-aware training.
#include "gradcheck.h"

namespace megalith::gradcheck {
namespace {

// The forward op and its two gradients on an image, a filter and the result's shape. `extra` stands behind them.
void add_conv_family(Adder add, const char* forward, const char* data, const char* filter, const std::string& label,
                     const Params& p, const Shape& image, const Shape& weights, const Shape& result,
                     const std::vector<Tensor>& extra = {}) {
  const Tensor x = uniform(image, -1, 1, 1), w = uniform(weights, -1, 1, 2), dy = uniform(result, -1, 1, 3);
  const auto with = [&](std::vector<Tensor> in, const Tensor* last) {
    in.insert(in.end(), extra.begin(), extra.end());
    if (last) in.push_back(*last);
    return in;
  };
  add(forward, label, p, with({x, w}, nullptr)).second = true;
  for (Case* c : {&add(data, label, p, with({w, dy}, &x))}) {
    c->options.wrt = std::vector<bool>(c->in.size(), false);
    c->options.wrt[0] = c->options.wrt[1] = true;
    c->second = true;
  }
  for (Case* c : {&add(filter, label, p, with({x, dy}, &w))}) {
    c->options.wrt = std::vector<bool>(c->in.size(), false);
    c->options.wrt[0] = c->options.wrt[1] = true;
    c->second = true;
  }
}

void add_convolutions(Adder add) {
  const auto conv = [&](const char* label, const param::Convolution& p, const Shape& x, const Shape& w,
                        const Shape& y) {
    add_conv_family(add, "Convolution", "ConvolutionBackwardData", "ConvolutionBackwardFilter", label, p, x, w, y);
  };
  using param::ConvolutionMode;
  using param::ConvolutionSparse;
  conv("plain", {}, {2, 2, 3, 3}, {2, 2, 2, 2}, {2, 2, 2, 2});
  conv("pad, stride", {.pad_h = 1, .pad_w = 1, .stride_h = 2, .stride_w = 2}, {1, 2, 4, 3}, {2, 2, 3, 2}, {1, 2, 2, 2});
  conv("dilate", {.dilate_h = 2, .dilate_w = 2}, {1, 1, 4, 4}, {1, 1, 2, 2}, {1, 1, 2, 2});
  conv("flipped", {.mode = ConvolutionMode::CONVOLUTION, .pad_h = 1}, {1, 2, 3, 3}, {2, 2, 2, 2}, {1, 2, 4, 2});
  conv("group", {.sparse = ConvolutionSparse::GROUP}, {1, 4, 3, 3}, {2, 1, 2, 2, 2}, {1, 2, 2, 2});
  conv("NHWC", {.format = param::ConvolutionFormat::NHWC}, {1, 3, 3, 2}, {2, 2, 2, 2}, {1, 2, 2, 2});
  add("ConvolutionBackwardData", "deconvolution", param::Convolution{.pad_h = 1, .stride_h = 2, .stride_w = 2},
      {uniform({2, 1, 2, 3}, -1, 1, 1), uniform({1, 2, 2, 2}, -1, 1, 2)})
      .second = true;

  const auto conv3d = [&](const char* label, const param::Convolution3D& p, const Shape& x, const Shape& w,
                          const Shape& y) {
    add_conv_family(add, "Convolution3D", "Convolution3DBackwardData", "Convolution3DBackwardFilter", label, p, x, w,
                    y);
  };
  conv3d("plain", {}, {1, 1, 3, 2, 3}, {2, 1, 2, 2, 2}, {1, 2, 2, 1, 2});
  conv3d("pad, stride, flipped",
         {.mode = ConvolutionMode::CONVOLUTION, .pad_d = 1, .stride_d = 2, .stride_w = 2, .dilate_h = 2},
         {1, 1, 3, 3, 3}, {1, 1, 2, 2, 2}, {1, 1, 2, 1, 1});
  conv3d("group", {.sparse = ConvolutionSparse::GROUP}, {1, 2, 2, 2, 3}, {2, 1, 1, 2, 1, 2}, {1, 2, 1, 2, 2});

  add_conv_family(add, "Local", "LocalBackwardData", "LocalBackwardFilter", "", param::Convolution{.pad_w = 1},
                  {2, 2, 3, 2}, {2, 3, 2, 2, 2, 1}, {2, 1, 2, 3});
  add_conv_family(add, "GroupLocal", "GroupLocalBackwardData", "GroupLocalBackwardFilter", "", param::Convolution{},
                  {1, 4, 3, 3}, {2, 2, 2, 2, 2, 2, 1}, {1, 2, 2, 2});
  add_conv_family(add, "LocalShareForward", "LocalShareBackwardData", "LocalShareBackwardFilter", "",
                  param::LocalShare{.spatial_groups_h = 2, .spatial_groups_w = 1}, {1, 2, 3, 3}, {2, 1, 2, 2, 2, 2},
                  {1, 2, 2, 2});
  add_conv_family(add, "RegionRestrictedConvolution", "RegionRestrictedConvolutionBackwardData",
                  "RegionRestrictedConvolutionBackwardFilter", "",
                  param::Convolution{.sparse = ConvolutionSparse::GROUP}, {1, 2, 3, 3}, {2, 1, 1, 2, 2}, {1, 2, 2, 2},
                  {ints({1, 3, 3}, {0, 1, 1, 0, 1, 0, 1, 1, 0}), ints({1, 2, 2}, {1, 0, 0, 1})});

  Case& deformable = add("DeformableConvForward", "", param::Convolution{},
                         {uniform({1, 2, 4, 4}, -1, 1, 1), uniform({2, 2, 2, 2}, -1, 1, 2),
                          uniform({1, 8, 3, 3}, 0.2, 0.8, 3), uniform({1, 4, 3, 3}, 0.2, 1, 4)});
  deformable.options.wrt = {true, true, true, true};
}

void add_pooling(Adder add) {
  using param::PoolingMode;
  for (const auto m : {PoolingMode::MAX, PoolingMode::AVERAGE, PoolingMode::AVERAGE_COUNT_EXCLUDE_PADDING}) {
    const char* name = enum_info<PoolingMode>().name_of(static_cast<uint32_t>(m));
    const Tensor x = shuffled({1, 2, 4, 5}, -2, 0.1, 1);
    param::Pooling p{.mode = m, .pad_h = 1, .stride_h = 2, .stride_w = 1, .window_h = 3, .window_w = 2};
    add("Pooling", name, p, {x}).second = true;
    p.format = param::ConvolutionFormat::NHWC;
    add("Pooling", std::string(name) + " NHWC", p, {x});
    const param::AdaptivePooling a{.mode = m};
    add("AdaptivePooling", name, a, {x, ints({2, 3})}).second = m != PoolingMode::MAX;
    if (m == PoolingMode::MAX) continue;
    p.format = param::ConvolutionFormat::NCHW;
    Case& back = add("PoolingBackward", name, p, {x, uniform({1, 2, 2, 4}, -1, 1, 2), uniform({1, 2, 2, 4}, -1, 1, 3)});
    back.options.wrt = {false, false, true};
    back.second = true;
    Case& adaptive = add("AdaptivePoolingBackward", name, a,
                         {x, ints({2, 3}), uniform({1, 2, 2, 3}, -1, 1, 2), uniform({1, 2, 2, 3}, -1, 1, 3)});
    adaptive.options.wrt = {false, false, false, true};
    adaptive.second = true;
  }
  const param::Images2Neibs windows{.pad_h = 1, .stride_w = 2, .dilate_w = 2, .window_h = 2, .window_w = 2};
  const Shape image{1, 2, 3, 5}, out{1, 2, 4, 2, 2, 2};
  add("Images2Neibs", "", windows, {uniform(image, -1, 1, 1)}).second = true;
  Case& neibs = add("Images2NeibsBackward", "", windows, {uniform(out, -1, 1, 1), uniform(image, -1, 1, 2)});
  neibs.options.wrt = {true, false};
  neibs.second = true;
  const param::SlidingWindowTranspose t{
      .out_h = 3, .out_w = 5, .pad_h = 1, .stride_w = 2, .dilate_w = 2, .window_h = 2, .window_w = 2};
  add("SlidingWindowTranspose", "", t, {uniform(out, -1, 1, 1)}).second = true;
  Case& slide = add("SlidingWindowTransposeBackward", "", t, {uniform(image, -1, 1, 1), uniform(out, -1, 1, 2)});
  slide.options.wrt = {true, false};
  slide.second = true;
}

void add_normalization(Adder add) {
  const Tensor x = uniform({2, 3, 2, 2}, -1, 1, 1);
  const auto channels = [](double lo, double hi, uint32_t seed) { return uniform({1, 3, 1, 1}, lo, hi, seed); };
  const std::vector<Tensor> five = {x, channels(0.5, 1.5, 2), channels(-1, 1, 3), channels(-1, 1, 4),
                                    channels(0.5, 1.5, 5)};
  Case& training = add("BatchNorm", "training", param::BN{.epsilon = 1e-3}, {five[0], five[1], five[2]});
  training.options.outs = {3};
  training.second = true;
  Case& running = add("BatchNorm", "training, running statistics", param::BN{.epsilon = 1e-3, .avg_factor = 0.1}, five);
  running.options.outs = {5};
  running.options.wrt = {true, true, true, false, false};
  Case& inference =
      add("BatchNorm", "inference", param::BN{.fwd_mode = param::BNFwdMode::INFERENCE, .epsilon = 1e-3}, five);
  inference.options.outs = {3};
  inference.second = true;

  const auto norm = [&](const char* op, const std::string& label, const Params& p, const Shape& weights) {
    std::vector<Tensor> in = {x};
    if (weights.ndim() > 0) {
      in.push_back(uniform(weights, 0.5, 1.5, 2));
      in.push_back(uniform(weights, -1, 1, 3));
    }
    add(op, label, p, in).second = std::string_view(op) != "GeneralNorm";
  };
  norm("LayerNorm", "affine", param::LayerNorm{.normalized_dim = 2, .normalized_size = 4}, {2, 2});
  norm("LayerNorm", "", param::LayerNorm{.affine = false, .normalized_dim = 3, .normalized_size = 12}, {});
  norm("GeneralNorm", "affine", param::GeneralNorm{.axis_start = 1, .axis_end = 3}, {3, 2});
  norm("GeneralNorm", "", param::GeneralNorm{.affine = false, .axis_start = 0, .axis_end = 2}, {});
  norm("GroupNorm", "affine", param::GroupNorm{.group = 1}, {3});
  norm("GroupNorm", "", param::GroupNorm{.affine = false, .group = 1}, {});
  norm("InstanceNorm", "affine", param::GroupNorm{.group = 3}, {3});
  norm("InstanceNorm", "", param::GroupNorm{.affine = false, .group = 3}, {});
  add("LRN", "", param::LRN{.n = 3, .k = 1, .alpha = 0.3f, .beta = 0.75f}, {uniform({1, 4, 2, 2}, -1, 1, 1)});
}

void add_recurrent(Adder add) {
  const auto u = [](const Shape& s, uint32_t seed) { return uniform(s, -0.8, 0.8, seed); };
  using param::RNNNonlineMode;
  for (const auto m : {RNNNonlineMode::IDENTITY, RNNNonlineMode::RELU, RNNNonlineMode::TANH}) {
    Tensor positive = uniform({3}, 3, 4, 3);  // keeps RELU away from its kink
    add("RNNCellForward", cat(static_cast<int>(m)), param::RNNCell{.nonlineMode = m},
        {u({2, 2}, 1), u({3, 2}, 2), m == RNNNonlineMode::RELU ? positive : u({3}, 3), u({2, 3}, 4), u({3, 3}, 5),
         u({1, 3}, 6)})
        .second = true;
  }
  add("RNNCellForward", "one bias", param::RNNCell{},
      {u({2, 2}, 1), u({3, 2}, 2), u({1}, 3), u({2, 3}, 4), u({3, 3}, 5), u({1}, 6)});
  for (const std::vector<int>& outs : std::vector<std::vector<int>>{{0}, {1}, {0, 1}}) {
    Case& c = add("LSTMCellForward", cat(outs.size(), outs[0]), param::Empty{},
                  {u({2, 2}, 1), u({12, 2}, 2), u({12}, 3), u({2, 3}, 4), u({12, 3}, 5), u({12}, 6), u({2, 3}, 7)});
    c.options.outs = outs;
    c.second = outs.size() == 2;
  }
  add("GRUCellForward", "", param::Empty{},
      {u({2, 2}, 1), u({9, 2}, 2), u({9}, 3), u({2, 3}, 4), u({9, 3}, 5), u({9}, 6)})
      .second = true;
  for (const bool two : {false, true}) {
    const int64_t dirs = two ? 2 : 1, H = 2, I = 2, states = dirs * 2;
    const auto weights = [&](int64_t gates, bool bias) {
      const int64_t b = bias ? 2 * gates * H : 0;
      return dirs * (gates * H * (I + H) + b) + dirs * (gates * H * (dirs * H + H) + b);
    };
    Case& rnn = add(
        "RNNForward", two ? "bidirectional" : "",
        param::RNN{
            .num_layers = 2, .bidirectional = two, .bias = two, .hidden_size = 2, .nonlineMode = RNNNonlineMode::TANH},
        {u({3, 2, I}, 1), u({states, 2, H}, 2), u({weights(1, two)}, 3)});
    rnn.options.outs = {0, 1};
    Case& lstm = add("LSTMForward", two ? "bidirectional" : "",
                     param::LSTM{.num_layers = 2, .bidirectional = two, .bias = two, .hidden_size = 2},
                     {u({3, 2, I}, 1), u({states, 2, H}, 2), u({states, 2, H}, 3), u({weights(4, two)}, 4)});
    lstm.options.outs = two ? std::vector<int>{0, 1, 2} : std::vector<int>{0};
    Case& gru = add("GRUForward", two ? "bidirectional" : "",
                    param::GRU{.num_layers = 2, .bidirectional = two, .bias = two, .hidden_size = 2},
                    {u({3, 2, I}, 1), u({states, 2, H}, 2), u({weights(3, two)}, 3)});
    gru.options.outs = {0, 1};
  }
}

void add_vision(Adder add) {
  const Tensor x = uniform({1, 2, 5, 5}, -1, 1, 1);
  using param::BorderMode;
  using param::ConvolutionFormat;
  using param::InterpolationMode;
  // NEAREST, LINEAR and CUBIC of Resize.
  for (const auto m : {InterpolationMode::LINEAR, InterpolationMode::NEAREST, InterpolationMode::CUBIC}) {
    const char* name = enum_info<InterpolationMode>().name_of(static_cast<uint32_t>(m));
    for (const std::vector<int32_t>& size : std::vector<std::vector<int32_t>>{{7, 3}, {3, 8}})
      add("Resize", cat(name, " ", size[0], "x", size[1]), param::Resize{.imode = m, .format = ConvolutionFormat::NCHW},
          {x, ints(size)})
          .second = true;
  }
  // Sampling positions stay away from pixel borders.
  const Tensor mat = numbers({1, 3, 3}, {0.9f, 0.05f, 0.6f, 0.04f, 0.95f, 0.55f, 0.01f, 0.015f, 1});
  const Tensor mats = numbers({2, 3, 3}, {0.9f, 0.05f, 0.6f, 0.04f, 0.95f, 0.55f, 0.01f, 0.015f, 1,  //
                                          1.f, 0.1f, 0.4f, 0.04f, 0.9f, 0.45f, 0.f, 0.01f, 1});
  for (const auto b : {BorderMode::REPLICATE, BorderMode::REFLECT, BorderMode::CONSTANT}) {
    const char* name = enum_info<BorderMode>().name_of(static_cast<uint32_t>(b));
    Case& c =
        add("WarpPerspective", name, param::WarpPerspective{.bmode = b, .border_val = 0.3f}, {x, mat, ints({3, 3})});
    c.options.step = 0.004;
    Case& i = add("WarpPerspective", std::string(name) + " mat_idx", param::WarpPerspective{.bmode = b},
                  {x, mats, ints({0, 0}), ints({3, 3})});
    i.options.step = 0.004;
    Tensor map = uniform({1, 2, 3, 2}, 0.2, 0.8, 5);
    for (int64_t k = 0; k < map.count(); ++k) map.data<float>()[k] += static_cast<float>((k * 3) % 4);
    add("Remap", name, param::Remap{.border_type = b, .format = ConvolutionFormat::NCHW, .scalar = 0.3f}, {x, map});
    Case& image = add("Remap", cat(name, ", image"),
                      param::Remap{.border_type = b, .format = ConvolutionFormat::NCHW, .scalar = 0.3f}, {x, map});
    image.options.wrt = {true, false};
    image.second = true;
    Case& seen = add("WarpPerspective", cat(name, ", image"), param::WarpPerspective{.bmode = b, .border_val = 0.3f},
                     {x, mat, ints({3, 3})});
    seen.options.wrt = {true, false, false};
    seen.second = true;
  }
  const Tensor rois = numbers({2, 5}, {0, 0, 0, 3, 3, 0, 1, 1, 4, 3});
  for (const auto m : {param::ROIPoolingMode::MAX, param::ROIPoolingMode::AVERAGE}) {
    Case& c = add("ROIPooling", cat(static_cast<int>(m)), param::ROIPooling{.mode = m},
                  {shuffled({1, 2, 5, 5}, -2, 0.1, 3), rois, ints({2, 2})});
    c.options.wrt = {true, false, false};
  }
  for (const auto m : {param::ROIAlignMode::MAX, param::ROIAlignMode::AVERAGE}) {
    Case& c =
        add("ROIAlign", cat(static_cast<int>(m)), param::ROIAlign{.mode = m, .pooled_height = 2, .pooled_width = 2},
            {shuffled({1, 2, 5, 5}, -2, 0.1, 3), rois});
    c.options.wrt = {true, false};
    c.options.step = 0.002;
    c.second = m == param::ROIAlignMode::AVERAGE;
  }
  // MegEngine's gradient of the first image pairs the displacements with x and y exchanged; it is right where there is
  // only one displacement.
  for (const uint32_t d : {0u, 1u}) {
    Case& c =
        add("CorrelationForward", cat(d), param::Correlation{.kernel_size = 1, .max_displacement = d, .pad_size = d},
            {uniform({1, 2, 3, 3}, -1, 1, 1), uniform({1, 2, 3, 3}, -1, 1, 2)});
    if (d > 0) c.options.wrt = {false, true};
  }
  Case& psroi =
      add("DeformablePSROIPoolingForward", "",
          param::DeformablePSROIPooling{
              .no_trans = false, .trans_std = 0.1f, .pooled_h = 2, .pooled_w = 2, .part_size = 2, .sample_per_part = 2},
          {x, numbers({1, 5}, {0, 1, 1, 3, 3}), uniform({1, 2, 2, 2}, 0.1, 0.4, 4)});
  psroi.options.wrt = {true, false, true};
  psroi.options.step = 0.004;
}

void add_rest(Adder add) {
  const Tensor x = uniform({3, 4}, -1, 1, 1);
  add("Dropout", "", param::Dropout{.drop_prob = 0.4f}, {x}).second = true;
  const Tensor mask =
      Tensor::of<uint8_t>(DTypeEnum::Byte, {12}, std::vector<uint8_t>{1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1});
  add("DropoutBackward", "", param::Dropout{.drop_prob = 0.4f}, {x, mask}).second = true;
  add("ShuffleRNG", "", param::ShuffleRNG{}, {x}).second = true;
  Case& shuffle = add("ShuffleRNGBackward", "", param::ShuffleRNG{}, {x, ints({2, 0, 1}), uniform({3, 4}, -1, 1, 2)});
  shuffle.options.wrt = {true, false, false};
  shuffle.second = true;
  constexpr const char* kStraight = "rounding has no slope; the gradient passes straight through it";
  const Tensor wide = uniform({3, 4}, -3, 3, 2), scale = numbers({1}, {0.1f}), zero = numbers({1}, {2});
  Case& fake = add("FakeQuant", "", param::FakeQuant{.qmin = -16, .qmax = 15}, {wide, scale, zero});
  fake.options.wrt = {true, false, false};
  fake.straight = kStraight;
  Case& tqt = add("TQT", "", param::TQT{.qmin = -16, .qmax = 15}, {wide, numbers({1}, {-3})});
  tqt.straight = kStraight;
  Case& lsq = add("LSQ", "", param::LSQ{.qmin = -16, .qmax = 15}, {wide, scale, zero, numbers({1}, {0.5f})});
  lsq.options.wrt = {true, true, false, false};
  lsq.straight = kStraight;
}

}  // namespace

void add_nn_cases(std::vector<Case>& all) {
  const Adder add{all};
  add_convolutions(add);
  add_pooling(add);
  add_normalization(add);
  add_recurrent(add);
  add_vision(add);
  add_rest(add);
}

}  // namespace megalith::gradcheck
