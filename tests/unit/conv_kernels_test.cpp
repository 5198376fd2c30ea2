// The fast kernels of convolutions and their gradients.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "megalith/op.h"
#include "tests/unit/kernel_check.h"

using namespace megalith;
using Format = param::ConvolutionFormat;

namespace {

constexpr Allowed kSums{.relative = 2e-5, .absolute = 1e-3};  // other orders of up to about 3000 products

template <class P>
P window(Dice& dice) {
  P p;
  p.mode = dice.one_in(4) ? param::ConvolutionMode::CONVOLUTION : param::ConvolutionMode::CROSS_CORRELATION;
  p.format = dice.one_in(4) ? Format::NHWC : Format::NCHW;
  p.pad_h = static_cast<uint32_t>(dice.pick(0, 3));
  p.pad_w = static_cast<uint32_t>(dice.one_in(2) ? p.pad_h : dice.pick(0, 5));
  p.stride_h = static_cast<uint32_t>(dice.one_in(2) ? 1 : dice.pick(1, 3));
  p.stride_w = static_cast<uint32_t>(dice.one_in(2) ? p.stride_h : dice.pick(1, 3));
  p.dilate_h = static_cast<uint32_t>(dice.one_in(3) ? dice.pick(1, 3) : 1);
  p.dilate_w = static_cast<uint32_t>(dice.one_in(2) ? p.dilate_h : dice.pick(1, 2));
  return p;
}

Shape image(Format f, int64_t n, int64_t c, int64_t h, int64_t w) {
  return f == Format::NHWC ? Shape{n, h, w, c} : Shape{n, c, h, w};
}

// What a call needs: shapes of image, filter and result for random parameters.
template <class P>
struct Call {
  P p;
  Shape x, f, y;
  int64_t channels;

  explicit Call(Dice& dice) : p(window<P>(dice)) {
    const bool grouped = dice.one_in(3);
    const bool depthwise = grouped && dice.one_in(2);
    const int64_t few = grouped ? dice.of<int64_t>({1, 2, 3, 8, 17, 40}) : 1,
                  g = depthwise && dice.one_in(4) ? 150 : few;
    const int64_t ic = depthwise ? 1 : dice.of<int64_t>({1, 2, 3, 4, 7, 16, 19}),
                  oc = depthwise ? 1 : dice.of<int64_t>({1, 2, 5, 16, 31, 33, 70});
    const int64_t fh = dice.one_in(3) ? 1 : dice.pick(1, 5), fw = dice.one_in(2) ? fh : dice.pick(1, 5);
    const int64_t n = dice.one_in(30) ? 0 : dice.pick(1, 3);
    const int64_t h = std::max<int64_t>(dice.pick(1, 20), (fh - 1) * p.dilate_h + 1 - 2 * int64_t{p.pad_h});
    const int64_t w = std::max<int64_t>(dice.pick(1, 40), (fw - 1) * p.dilate_w + 1 - 2 * int64_t{p.pad_w});
    p.sparse = grouped ? param::ConvolutionSparse::GROUP : param::ConvolutionSparse::DENSE;
    channels = g * oc;
    x = image(p.format, n, g * ic, h, w);
    f = p.format == Format::NHWC ? Shape{oc, fh, fw, ic} : Shape{oc, ic, fh, fw};
    if (grouped) f.insert(0, g);
    const auto out = [](int64_t in, int64_t taps, int64_t pad, int64_t stride, int64_t dilate) {
      return (in + 2 * pad - (taps - 1) * dilate - 1) / stride + 1;
    };
    y = image(p.format, n, g * oc, out(h, fh, p.pad_h, p.stride_h, p.dilate_h),
              out(w, fw, p.pad_w, p.stride_w, p.dilate_w));
  }
};

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("convolution") {
    Dice dice(21);
    int ran = 0;
    for (int i = 0; i < rounds(250); ++i) {
      const Call<param::Convolution> c(dice);
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      ran += check_kernels("Convolution", c.p, {dice.floats(c.x, false), dice.floats(c.f, false)}, kSums, &dice, true);
    }
    CHECK(ran > rounds(200));
  }

  TEST_CASE("convolution with bias and activation") {
    Dice dice(22);
    int ran = 0;
    for (int i = 0; i < rounds(150); ++i) {
      Call<param::ConvBias> c(dice);
      using Mode = param::NonlineMode;
      c.p.nonlineMode = dice.of({Mode::IDENTITY, Mode::RELU, Mode::H_SWISH, Mode::SIGMOID});
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      const Tensor bias = dice.floats(dice.one_in(3) ? c.y : image(c.p.format, 1, c.channels, 1, 1), false);
      ran += check_kernels("ConvBiasForward", c.p, {dice.floats(c.x, false), dice.floats(c.f, false), bias}, kSums,
                           &dice, true);
    }
    CHECK(ran > rounds(100));
  }

  TEST_CASE("convolution with bias and RELU6") {
    Dice dice(26);
    int ran = 0;
    for (int i = 0; i < rounds(60); ++i) {
      Call<param::ConvBias> c(dice);
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      Tensor bias = dice.floats(image(c.p.format, 1, c.channels, 1, 1), false);
      for (float& v : bias.span<float>()) v = dice.one_in(8) ? std::numeric_limits<float>::quiet_NaN() : v + 3;
      ran += check_kernels("ConvBiasRelu6", c.p, {dice.floats(c.x, false), dice.floats(c.f, false), bias}, kSums, &dice,
                           true);
    }
    CHECK(ran > rounds(40));
  }

  TEST_CASE("gradients of convolution") {
    Dice dice(23);
    int ran = 0;
    for (int i = 0; i < rounds(250); ++i) {
      const Call<param::Convolution> c(dice);
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      const Tensor x = dice.floats(c.x, false), f = dice.floats(c.f, false), dy = dice.floats(c.y, false);
      ran += check_kernels("ConvolutionBackwardData", c.p, {f, dy, x}, kSums, &dice, true);
      ran += check_kernels("ConvolutionBackwardFilter", c.p, {x, dy, f}, kSums, &dice, true);
    }
    CHECK(ran > rounds(400));
  }

  TEST_CASE("convolution deeper than one pass of a product") {
    Dice dice(25);
    for (int i = 0; i < 12; ++i) {
      param::ConvBias p{.nonlineMode = param::NonlineMode::RELU};
      p.pad_h = p.pad_w = static_cast<uint32_t>(dice.pick(0, 2));
      p.stride_h = p.stride_w = static_cast<uint32_t>(dice.pick(1, 2));
      const int64_t ic = dice.pick(86, 190), oc = dice.of<int64_t>({3, 20, 65}), size = dice.of<int64_t>({14, 30});
      const int64_t out = (size + 2 * p.pad_h - 3) / p.stride_h + 1;
      const Shape bias = dice.one_in(2) ? Shape{1, oc, 1, 1} : Shape{2, oc, out, out};
      CHECK(check_kernels(
                "ConvBiasForward", p,
                {dice.floats({2, ic, size, size}, false), dice.floats({oc, ic, 3, 3}, false), dice.floats(bias, false)},
                kSums, &dice, true) > 0);
    }
  }

  TEST_CASE("convolution whose window is mostly outside of the image") {
    Dice dice(27);
    for (uint32_t far : {1000u, 65000u}) {  // no copy of what it sees would fit into memory
      param::Convolution p;
      p.pad_h = p.pad_w = p.dilate_h = p.dilate_w = far;
      const Tensor x = dice.floats({1, 3, 14, 14}, false), f = dice.floats({20, 3, 3, 3}, false),
                   dy = dice.floats({1, 20, 14, 14}, false);
      CHECK(check_kernels("Convolution", p, {x, f}, kSums, &dice, true) > 0);
      CHECK(check_kernels("ConvolutionBackwardData", p, {f, dy, x}, kSums, &dice, true) > 0);
      CHECK(check_kernels("ConvolutionBackwardFilter", p, {x, dy, f}, kSums, &dice, true) > 0);
      p.sparse = param::ConvolutionSparse::GROUP;
      const Tensor each = dice.floats({20, 1, 1, 3, 3}, false);
      CHECK(check_kernels("Convolution", p, {dy, each}, kSums, &dice, true) > 0);
      CHECK(check_kernels("ConvolutionBackwardData", p, {each, dy, dy}, kSums, &dice, true) > 0);
    }
  }

  // On targets of four lanes these take kernels/winograd.h.
  TEST_CASE("convolution of 3 x 3 windows, one pixel apart") {
    Dice dice(28);
    const auto magnitudes = [](Tensor t) {
      t = t.clone();
      for (float& v : t.span<float>()) v = std::abs(v);
      return t;
    };
    // What every kernel makes of `in`: within 2e-6 of the largest sum of products' magnitudes.
    const auto check = [&](const char* name, const Params& params, const std::vector<Tensor>& in, const Shape& shape) {
      const OpDef& op = Registry::get().at(name);
      const Attrs attrs{.params = params};
      std::vector<TensorSpec> specs;
      for (const Tensor& t : in) specs.push_back({t.dtype(), t.shape()});
      const std::vector<TensorSpec> out{{DTypeEnum::Float32, shape}};
      Exec exec;
      Tensor want = Tensor::empty(DTypeEnum::Float32, shape), sums = Tensor::empty(DTypeEnum::Float32, shape);
      op.kernels.back().run({attrs, in, {&want, 1}, exec});
      std::vector<Tensor> sizes;
      for (const Tensor& t : in) sizes.push_back(magnitudes(t));
      op.kernels.back().run({attrs, sizes, {&sums, 1}, exec});
      for (const Kernel& k : op.kernels) {
        if (!k.accepts || !k.accepts({attrs, specs, out})) continue;
        CAPTURE(k.name);
        Tensor got = Tensor::empty(DTypeEnum::Float32, shape);
        k.run({attrs, in, {&got, 1}, exec});
        float most = 0, off = 0;
        for (int64_t i = 0; i < got.count(); ++i) {
          most = std::max(most, sums.data<float>()[i]);
          off = std::max(off, std::abs(got.data<float>()[i] - want.data<float>()[i]));
        }
        CHECK(off <= 2e-6f * most);
      }
    };
    for (int i = 0; i < rounds(60); ++i) {
      param::ConvBias p{.nonlineMode = param::NonlineMode::RELU};
      if (dice.one_in(4)) p.mode = param::ConvolutionMode::CONVOLUTION;
      p.pad_h = static_cast<uint32_t>(dice.pick(0, 3));
      p.pad_w = static_cast<uint32_t>(dice.one_in(8) ? 30 : dice.pick(0, 3));
      const int64_t ic = dice.of<int64_t>({8, 12, 16, 20, 36}), oc = dice.of<int64_t>({8, 12, 32, 44});
      const int64_t n = dice.one_in(12) ? 0 : dice.pick(1, 4);
      const int64_t h = std::max<int64_t>(dice.pick(1, 15), 3 - 2 * int64_t{p.pad_h});
      const int64_t w = std::max<int64_t>(dice.pick(1, 15), 3 - 2 * int64_t{p.pad_w});
      const Shape shape{n, oc, h + 2 * p.pad_h - 2, w + 2 * p.pad_w - 2};
      const Tensor x = dice.floats({n, ic, h, w}, false), f = dice.floats({oc, ic, 3, 3}, false);
      const Tensor dy = dice.floats(shape, false), bias = dice.floats({1, oc, 1, 1}, false);
      CAPTURE(x.shape().str());
      CAPTURE(f.shape().str());
      CAPTURE(Params(p).str());
      CHECK(check_kernels("ConvBiasForward", p, {x, f, bias}, kSums, &dice, true) > 0);
      p.nonlineMode = param::NonlineMode::IDENTITY;
      CHECK(check_kernels("ConvBiasRelu6", p, {x, f, bias}, kSums, &dice, true) > 0);
      const param::Convolution c{.mode = p.mode, .pad_h = p.pad_h, .pad_w = p.pad_w};
      CHECK(check_kernels("Convolution", c, {x, f}, kSums, &dice, true) > 0);
      CHECK(check_kernels("ConvolutionBackwardData", c, {f, dy, x}, kSums, &dice, true) > 0);
      CHECK(check_kernels("ConvolutionBackwardFilter", c, {x, dy, f}, kSums, &dice, true) > 0);
      check("Convolution", c, {x, f}, shape);
      check("ConvolutionBackwardData", c, {f, dy, x}, x.shape());
      check("ConvolutionBackwardFilter", c, {x, dy, f}, f.shape());
    }
  }

  TEST_CASE("convolutions of few channels sum in one order") {
    Dice dice(24);
    const OpDef& op = Registry::get().at("Convolution");
    Exec exec;
    int ran = 0;
    for (int i = 0; i < rounds(400); ++i) {
      const Call<param::Convolution> c(dice);
      const Attrs attrs{.params = Params(c.p)};
      const std::vector<Tensor> in{dice.floats(c.x, false), dice.floats(c.f, false)};
      const std::vector<TensorSpec> specs{{in[0].dtype(), c.x}, {in[1].dtype(), c.f}}, out{{DTypeEnum::Float32, c.y}};
      const KernelQuery q{attrs, specs, out};
      std::vector<Tensor> results;
      for (const char* name : {"planes", "nhwc_tiles"}) {
        for (const Kernel& k : op.kernels) {
          if (std::string_view(k.name) != name || !k.accepts(q)) continue;
          results.push_back(Tensor::empty(DTypeEnum::Float32, c.y));
          k.run({attrs, in, {&results.back(), 1}, exec});
        }
      }
      if (results.size() < 2) continue;
      ++ran;
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      CHECK(std::memcmp(results[0].data(), results[1].data(), results[0].bytes()) == 0);
    }
    CHECK(ran > rounds(20));
  }
}

namespace {

// Plain and quantized bytes; images and filters may have different zero points.
DType byte_type(Dice& dice, DTypeEnum id, bool filter) {
  if (id == DTypeEnum::QuantizedS8) return {id, filter ? 0.02f : 0.11f};
  if (id == DTypeEnum::Quantized8Asymm) return {id, filter ? 0.03f : 0.07f, static_cast<uint8_t>(dice.pick(0, 255))};
  return id;
}

// Images and filters whose channels are in blocks, where the format has any.
int64_t block_of(Format f) {
  switch (f) {
    case Format::NCHW4:
    case Format::NCHW44:
    case Format::NCHW44_DOT: return 4;
    case Format::NCHW88: return 8;
    case Format::NCHW32: return 32;
    default: return 1;
  }
}
Shape blocked(int64_t b, const Shape& s) { return b == 1 ? s : Shape{s[0], s[1] / b, s[2], s[3], b}; }

template <class P>
struct ByteCall {
  P p;
  Shape x, f, y, bias;

  explicit ByteCall(Dice& dice) : p(window<P>(dice)) {
    const bool grouped = dice.one_in(3);
    const Format formats[] = {Format::NCHW,   Format::NCHW,   Format::NHWC,       Format::NCHW4,
                              Format::NCHW32, Format::NCHW44, Format::NCHW44_DOT, Format::NCHW88};
    p.format = formats[dice.pick(0, 7)];
    const int64_t b = block_of(p.format);
    const int64_t g = grouped ? dice.of<int64_t>({1, 2, 3, 32, 40, 96}) : 1;
    const bool depthwise = grouped && b == 1 && dice.one_in(2);
    int64_t ic = depthwise ? 1 : dice.of<int64_t>({1, 2, 3, 4, 7, 16, 19}),
            oc = depthwise ? 1 : dice.of<int64_t>({1, 2, 5, 16, 31, 33, 70, 140});
    ic = (ic + b - 1) / b * b, oc = (oc + b - 1) / b * b;
    const int64_t fh = dice.one_in(3) ? 1 : dice.pick(1, 5), fw = dice.one_in(2) ? fh : dice.pick(1, 5);
    const int64_t n = dice.one_in(30) ? 0 : dice.pick(1, 3);
    const int64_t h = std::max<int64_t>(dice.pick(1, 12), (fh - 1) * p.dilate_h + 1 - 2 * int64_t{p.pad_h});
    const int64_t w = std::max<int64_t>(dice.pick(1, 30), (fw - 1) * p.dilate_w + 1 - 2 * int64_t{p.pad_w});
    const auto out = [](int64_t in, int64_t taps, int64_t pad, int64_t stride, int64_t dilate) {
      return (in + 2 * pad - (taps - 1) * dilate - 1) / stride + 1;
    };
    const int64_t oh = out(h, fh, p.pad_h, p.stride_h, p.dilate_h), ow = out(w, fw, p.pad_w, p.stride_w, p.dilate_w);
    p.sparse = grouped ? param::ConvolutionSparse::GROUP : param::ConvolutionSparse::DENSE;
    if (p.format == Format::NHWC) {
      x = {n, h, w, g * ic}, y = {n, oh, ow, g * oc}, bias = {1, 1, 1, g * oc}, f = {oc, fh, fw, ic};
    } else {
      x = blocked(b, {n, g * ic, h, w}), y = blocked(b, {n, g * oc, oh, ow}), bias = blocked(b, {1, g * oc, 1, 1});
      if (b == 1)
        f = {oc, ic, fh, fw};
      else if (p.format == Format::NCHW4 || p.format == Format::NCHW32)
        f = {oc, ic / b, fh, fw, b};
      else
        f = {oc / b, ic / b, fh, fw, b, b};
    }
    if (grouped) f.insert(0, g);
  }
};

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("convolution of bytes") {
    Dice dice(24);
    int ran = 0;
    using D = DTypeEnum;
    for (int i = 0; i < rounds(300); ++i) {
      ByteCall<param::ConvBias> c(dice);
      using Mode = param::NonlineMode;
      c.p.nonlineMode = dice.of({Mode::IDENTITY, Mode::RELU, Mode::RELU, Mode::H_SWISH, Mode::SIGMOID});
      const D id = dice.of({D::QuantizedS8, D::QuantizedS8, D::Quantized8Asymm, D::Int8, D::Uint8});
      const DType tx = byte_type(dice, id, false), tf = byte_type(dice, id, true);
      const bool quantized = tx.is_quantized();
      DType ty = D::Float32;
      if (quantized && !dice.one_in(8))
        ty = dice.one_in(2) ? DType(D::QuantizedS8, 0.5f) : DType(D::Quantized8Asymm, 0.7f, 99);
      const DType sums = quantized ? DType(D::QuantizedS32, tx.scale * tf.scale) : DType(D::Int32);
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      CAPTURE(tx.str());
      CAPTURE(ty.str());
      std::vector<Tensor> in = {dice.values(tx, c.x), dice.values(tf, c.f)};
      const bool z = dice.one_in(3);
      if (z || !dice.one_in(4)) in.push_back(dice.values(sums, !z && dice.one_in(3) ? c.y : c.bias));
      if (z) in.push_back(dice.values(quantized ? DType(D::QuantizedS8, 0.3f) : DType(D::Int8), c.y));
      if (c.x.count() == 0) continue;
      ran += check_kernels("ConvBiasForward", c.p, in, {}, &dice, true, ty);
    }
    CHECK(ran > rounds(200));
  }

  TEST_CASE("convolution of bytes to sums, and its gradient") {
    Dice dice(25);
    int ran = 0;
    using D = DTypeEnum;
    for (int i = 0; i < rounds(200); ++i) {
      ByteCall<param::Convolution> c(dice);
      const D id = dice.of({D::QuantizedS8, D::Quantized8Asymm, D::Int8, D::Uint8});
      const DType tx = byte_type(dice, id, false), tf = byte_type(dice, id, true);
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      CAPTURE(tx.str());
      if (c.x.count() == 0) continue;
      const Tensor f = dice.values(tf, c.f);
      ran += check_kernels("Convolution", c.p, {dice.values(tx, c.x), f}, {}, &dice, true);
      const Tensor dy = dice.values(tx, c.y), x = dice.values(tx, c.x);
      ran += check_kernels("ConvolutionBackwardData", c.p, {f, dy, x}, {}, &dice, true);
    }
    CHECK(ran > rounds(300));
  }

  TEST_CASE("convolution of halves") {
    Dice dice(26);
    int ran = 0;
    for (int i = 0; i < rounds(150); ++i) {
      Call<param::ConvBias> c(dice);
      using Mode = param::NonlineMode;
      c.p.nonlineMode = dice.of({Mode::IDENTITY, Mode::RELU, Mode::H_SWISH, Mode::SIGMOID});
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      const auto half = [&](const Shape& s) { return dice.values(DTypeEnum::Float16, s); };
      const Tensor bias = half(dice.one_in(3) ? c.y : image(c.p.format, 1, c.channels, 1, 1));
      ran += check_kernels("ConvBiasForward", c.p, {half(c.x), half(c.f), bias}, {}, &dice, true);
      const Call<param::Convolution> plain(dice);
      CAPTURE(Params(plain.p).str());
      ran += check_kernels("Convolution", plain.p, {half(plain.x), half(plain.f)}, {}, &dice, true);
      c.p.compute_mode = param::ComputeMode::FLOAT32;
      const DType type = dice.of({DTypeEnum::Float16, DTypeEnum::BFloat16});
      const auto wide = [&](const Shape& s) { return dice.values(type, s); };
      const Allowed rounded{.relative = type.id == DTypeEnum::Float16 ? 0.002 : 0.02, .absolute = 0.02};
      check_kernels("ConvBiasForward", c.p, {wide(c.x), wide(c.f), wide(bias.shape())}, rounded, &dice, true);
    }
    CHECK(ran > rounds(280));
  }
}
