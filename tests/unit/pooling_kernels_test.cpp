// The vector kernels of pooling.
#include <doctest/doctest.h>

#include "tests/unit/kernel_check.h"

using namespace megalith;
using Mode = param::PoolingMode;
using Format = param::ConvolutionFormat;

namespace {

struct Case {
  param::Pooling p;
  Shape x, y;
};

Case any_case(Dice& dice) {
  Case c;
  const Format f = dice.of({Format::NCHW, Format::NCHW, Format::NHWC, Format::NCHW44, Format::NCHW88, Format::CHWN4});
  const int64_t block = f == Format::NCHW44 || f == Format::CHWN4 ? 4 : 8;
  const int64_t n = dice.pick(0, 3), ch = dice.of<int64_t>({0, 1, 2, 3, 7, 16, 17, 70});
  const int64_t h = dice.pick(1, 40), w = dice.pick(1, dice.one_in(2) ? 12 : 60);
  const auto window = [&](int64_t size) {
    return static_cast<uint32_t>(dice.one_in(6) ? size : dice.pick(1, std::min<int64_t>(size, 5)));
  };
  c.p.format = f;
  c.p.mode = dice.of({Mode::MAX, Mode::AVERAGE, Mode::AVERAGE_COUNT_EXCLUDE_PADDING});
  c.p.window_h = window(h);
  c.p.window_w = window(w);
  c.p.pad_h = static_cast<uint32_t>(dice.pick(0, dice.one_in(8) ? 6 : c.p.window_h / 2));
  c.p.pad_w = static_cast<uint32_t>(dice.pick(0, dice.one_in(8) ? 6 : c.p.window_w / 2));
  c.p.stride_h = static_cast<uint32_t>(dice.pick(1, 4));
  c.p.stride_w = static_cast<uint32_t>(dice.pick(1, 4));
  if (h > 1 && w > 1 && dice.one_in(4)) {  // the commonest, which have ways of their own
    c.p.window_h = c.p.window_w = c.p.stride_h = c.p.stride_w = 2;
    c.p.pad_h = c.p.pad_w = dice.one_in(3) ? 1 : 0;
  }
  const auto shape = [&](int64_t y, int64_t x) -> Shape {
    switch (f) {
      case Format::NCHW: return {n, ch, y, x};
      case Format::NHWC: return {n, y, x, ch};
      case Format::CHWN4: return {ch, y, x, n, block};
      default: return {n, ch, y, x, block};
    }
  };
  c.x = shape(h, w);
  c.y = shape((h + 2 * c.p.pad_h - c.p.window_h) / c.p.stride_h + 1,
              (w + 2 * c.p.pad_w - c.p.window_w) / c.p.stride_w + 1);
  return c;
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("pooling") {
    Dice dice(3);
    for (int round = 0; round < rounds(500); ++round) {
      const Case c = any_case(dice);
      const Tensor x = dice.floats(c.x);
      CHECK(check_kernels("Pooling", Params(c.p), {x}, {}, &dice, true) == 1);
      const Tensor y = dice.floats(c.y, false), dy = dice.floats(c.y);
      CHECK(check_kernels("PoolingBackward", Params(c.p), {x, y, dy}, {}, &dice, true) == 1);
    }
  }

  TEST_CASE("pooling of floats of 16 bits") {
    Dice dice(6);
    for (int round = 0; round < rounds(200); ++round) {
      const Case c = any_case(dice);
      const DType type = dice.of({DTypeEnum::Float16, DTypeEnum::BFloat16});
      CHECK(check_kernels("Pooling", Params(c.p), {dice.values(type, c.x)}, {}, &dice, true) == 1);
    }
  }

  TEST_CASE("pooling of bytes") {
    Dice dice(5);
    for (int round = 0; round < rounds(500); ++round) {
      const Case c = any_case(dice);
      const DType types[] = {DType(DTypeEnum::Int8), DType(DTypeEnum::QuantizedS8, 0.1f),
                             DType(DTypeEnum::Quantized8Asymm, 0.1f, static_cast<uint8_t>(dice.pick(0, 255)))};
      CHECK(check_kernels("Pooling", Params(c.p), {dice.values(types[dice.pick(0, 2)], c.x)}, {}, &dice, true) == 1);
    }
  }

  TEST_CASE("adaptive pooling") {
    Dice dice(4);
    for (int round = 0; round < rounds(200); ++round) {
      const Case c = any_case(dice);
      if (c.p.format != Format::NCHW) continue;
      const param::AdaptivePooling p{.mode = c.p.mode, .format = c.p.format};
      Shape out = c.x;
      out[2] = dice.one_in(2) ? 1 : dice.pick(1, out[2]);
      out[3] = dice.one_in(2) ? 1 : dice.pick(1, out[3]);
      const Tensor x = dice.floats(c.x),
                   size = Tensor::of<int32_t>(DTypeEnum::Int32, {2},
                                              {{static_cast<int32_t>(out[2]), static_cast<int32_t>(out[3])}});
      CHECK(check_kernels("AdaptivePooling", Params(p), {x, size}, {}, &dice, true) == 1);
      const Tensor y = dice.floats(out, false), dy = dice.floats(out);
      CHECK(check_kernels("AdaptivePoolingBackward", Params(p), {x, size, y, dy}, {}, &dice, true) == 1);
    }
  }
}
