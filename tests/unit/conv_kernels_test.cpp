// The fast kernels of convolutions and their gradients.
#include <doctest/doctest.h>

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
    const int64_t g = grouped ? dice.of<int64_t>({1, 2, 3, 8, 17, 40}) : 1;
    const bool depthwise = grouped && dice.one_in(2);
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
    for (int i = 0; i < 250; ++i) {
      const Call<param::Convolution> c(dice);
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      ran += check_kernels("Convolution", c.p, {dice.floats(c.x, false), dice.floats(c.f, false)}, kSums, &dice, true);
    }
    CHECK(ran > 200);
  }

  TEST_CASE("convolution with bias and activation") {
    Dice dice(22);
    int ran = 0;
    for (int i = 0; i < 150; ++i) {
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
    CHECK(ran > 100);
  }

  TEST_CASE("gradients of convolution") {
    Dice dice(23);
    int ran = 0;
    for (int i = 0; i < 250; ++i) {
      const Call<param::Convolution> c(dice);
      CAPTURE(c.x.str());
      CAPTURE(c.f.str());
      CAPTURE(Params(c.p).str());
      const Tensor x = dice.floats(c.x, false), f = dice.floats(c.f, false), dy = dice.floats(c.y, false);
      ran += check_kernels("ConvolutionBackwardData", c.p, {f, dy, x}, kSums, &dice, true);
      ran += check_kernels("ConvolutionBackwardFilter", c.p, {x, dy, f}, kSums, &dice, true);
    }
    CHECK(ran > 400);
  }
}
