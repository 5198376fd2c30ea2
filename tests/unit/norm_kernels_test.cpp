// The vector kernels of normalizations and softmax.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/unit/kernel_check.h"

using namespace megalith;

namespace {

Shape image(Dice& dice) {
  return {dice.pick(1, 5), dice.of<int64_t>({1, 2, 3, 8, 16, 17, 70}), dice.pick(1, 20), dice.pick(1, 20)};
}

Tensor positive(Tensor t) {
  for (float& v : t.span<float>()) v = std::abs(v) + 0.1f;
  return t;
}

constexpr Allowed kClose{2e-4, 2e-4};

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("batch norm") {
    Dice dice(9);
    for (int round = 0; round < rounds(80); ++round) {
      const Shape s = image(dice);
      const bool inference = dice.one_in(3), running = inference || dice.one_in(2);
      if (s.count() / s[1] < 2) continue;
      const Shape per_channel{1, s[1], 1, 1};
      const param::BN p{.fwd_mode = inference ? param::BNFwdMode::INFERENCE : param::BNFwdMode::TRAINING,
                        .epsilon = 1e-3,
                        .avg_factor = 0.1};
      const auto floats = [&](const Shape& shape) { return dice.floats(shape, false); };
      std::vector<Tensor> in = {floats(s), floats(per_channel), floats(per_channel)};
      if (running) {
        in.push_back(floats(per_channel));
        in.push_back(positive(floats(per_channel)));
      }
      CHECK(check_kernels("BatchNorm", Params(p), in, kClose, &dice, true) == 1);
      CHECK(check_kernels("BatchNormBackward", Params(p),
                          {floats(s), floats(s), floats(per_channel), positive(floats(per_channel)),
                           floats(per_channel), Tensor::empty(DTypeEnum::Byte, {0})},
                          Allowed{2e-4, 2e-3}, &dice, true) == 1);
    }
  }

  TEST_CASE("layer, general and group norm") {
    Dice dice(10);
    for (int round = 0; round < rounds(80); ++round) {
      const Shape s = image(dice);
      const bool affine = dice.one_in(2);
      const auto floats = [&](const Shape& shape) { return dice.floats(shape, false); };
      const int begin = static_cast<int>(dice.pick(0, 3)), end = static_cast<int>(dice.pick(begin + 1, 4));
      const auto check = [&](const char* op, const Params& p, const Shape& weight, const Shape& statistics) {
        std::vector<Tensor> in = {floats(s)}, back = {floats(s), floats(s)};
        if (affine) in.insert(in.end(), {floats(weight), floats(weight)});
        if (affine) back.push_back(floats(weight));
        back.insert(back.end(), {floats(statistics), positive(floats(statistics))});
        CHECK(check_kernels(op, p, in, Allowed{5e-4, 1e-3}, &dice) == 1);
        CHECK(check_kernels((std::string(op) + "Backward").c_str(), p, back, Allowed{5e-4, 5e-3}, &dice) == 1);
      };
      Shape weight, kept;
      for (int d = 0; d < 4; ++d) (d >= begin && d < end ? weight : kept).push_back(s[d]);
      if (kept.ndim() == 0) kept.push_back(1);
      check("GeneralNorm",
            Params(param::GeneralNorm{.affine = affine,
                                      .eps = 1e-3f,
                                      .axis_start = static_cast<uint64_t>(begin),
                                      .axis_end = static_cast<uint64_t>(end)}),
            weight, kept);
      if (end == 4) {
        check("LayerNorm",
              Params(param::LayerNorm{.affine = affine,
                                      .eps = 1e-3f,
                                      .normalized_dim = static_cast<uint64_t>(4 - begin),
                                      .normalized_size = static_cast<uint64_t>(weight.count())}),
              weight, kept);
      }
      uint32_t groups = static_cast<uint32_t>(s[1]);
      while (groups > 1 && (s[1] % groups != 0 || dice.one_in(2))) --groups;
      if (s[1] % groups != 0) groups = 1;
      check("GroupNorm", Params(param::GroupNorm{.affine = affine, .eps = 1e-3f, .group = groups}), {s[1]},
            {s[0], groups});
      check("InstanceNorm", Params(param::GroupNorm{.affine = affine, .eps = 1e-3f, .group = 1}), {s[1]}, {s[0], s[1]});
    }
  }

  TEST_CASE("softmax") {
    Dice dice(11);
    for (int round = 0; round < rounds(150); ++round) {
      const Shape s = dice.shape();
      const param::Softmax p{.axis = static_cast<int32_t>(dice.pick(-s.ndim(), s.ndim() - 1))};
      check_kernels("Softmax", Params(p), {dice.floats(s)}, Allowed{5e-6, 1e-30}, &dice);
      check_kernels("SoftmaxBackward", Params(p), {dice.floats(s, false), dice.floats(s, false)}, Allowed{1e-4, 1e-2},
                    &dice);
    }
  }
}
