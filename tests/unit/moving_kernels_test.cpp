// The fast kernels of gathers, padding, resampling, regions and fake quantization.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/unit/kernel_check.h"

using namespace megalith;

namespace {

Tensor indices(Dice& dice, const Shape& shape, int64_t size) {
  Tensor t = Tensor::empty(DTypeEnum::Int32, shape);
  for (int32_t& v : t.span<int32_t>()) v = static_cast<int32_t>(dice.pick(-size, size - 1));
  return t;
}

}  // namespace

TEST_SUITE("kernels") {
  TEST_CASE("gathers") {
    Dice dice(12);
    for (int round = 0; round < rounds(200); ++round) {
      const int rank = static_cast<int>(dice.pick(1, 4));
      Shape s;
      for (int d = 0; d < rank; ++d) s.push_back(dice.of<int64_t>({1, 2, 3, 8, 17, 40}));
      const DType type = dice.of<DTypeEnum>({DTypeEnum::Float32, DTypeEnum::Float16, DTypeEnum::Uint8});
      std::vector<Tensor> in = {dice.values(type, s)}, mesh = in;
      std::vector<int32_t> items;
      const int64_t together = dice.pick(0, 30);
      for (int32_t d = 0; d < rank; ++d) {
        if (d > 0 && dice.one_in(2)) continue;
        items.insert(items.end(), {d, 0, 0, 0, 1});
        in.push_back(indices(dice, {together}, s[d]));
        mesh.push_back(indices(dice, {dice.pick(0, 20)}, s[d]));
      }
      CHECK(check_kernels("IndexingMultiAxisVec", Params(param::IndexDescMaskDump{}, items), in) == 1);
      CHECK(check_kernels("MeshIndexing", Params(param::IndexDescMaskDump{}, items), mesh) == 1);
      if (rank == 1) continue;
      const int32_t axis = static_cast<int32_t>(dice.pick(1, rank - 1));
      CHECK(check_kernels("BatchedMeshIndexing", Params(param::IndexDescMaskDump{}, {axis, 0, 0, 0, 1}),
                          {in[0], indices(dice, {s[0], dice.pick(1, 9)}, s[axis])}) == 1);
    }
  }

  TEST_CASE("padding") {
    Dice dice(13);
    for (int round = 0; round < rounds(200); ++round) {
      const Shape s = dice.shape(static_cast<int>(dice.pick(1, 4)), 4000);
      param::Padding p;
      p.padding_mode =
          dice.of({param::PaddingMode::CONSTANT, param::PaddingMode::REFLECT, param::PaddingMode::REPLICATE});
      p.padding_val = 2.5f;
      uint32_t* sizes[] = {&p.front_offset_dim0, &p.front_offset_dim1, &p.front_offset_dim2, &p.front_offset_dim3};
      uint32_t* backs[] = {&p.back_offset_dim0, &p.back_offset_dim1, &p.back_offset_dim2, &p.back_offset_dim3};
      bool fits = true;
      for (int d = 0; d < s.ndim(); ++d) {
        const int64_t most = p.padding_mode == param::PaddingMode::REFLECT ? std::min<int64_t>(3, s[d] - 1) : 3;
        fits = fits && (p.padding_mode == param::PaddingMode::CONSTANT || s[d] > 0);
        *sizes[d] = static_cast<uint32_t>(dice.pick(0, std::max<int64_t>(0, most)));
        *backs[d] = static_cast<uint32_t>(dice.pick(0, std::max<int64_t>(0, most)));
      }
      if (!fits) continue;
      const DType type = dice.of<DTypeEnum>({DTypeEnum::Float32, DTypeEnum::Uint8});
      CHECK(check_kernels("Padding", Params(p), {dice.values(type, s)}) == 1);
    }
  }

  TEST_CASE("resize") {
    Dice dice(14);
    for (int round = 0; round < rounds(150); ++round) {
      const Shape s{dice.pick(0, 2), dice.pick(1, 5), dice.pick(1, 30), dice.pick(1, 30)};
      param::Resize p;
      p.format = param::ConvolutionFormat::NCHW;
      p.imode = dice.of({param::InterpolationMode::LINEAR, param::InterpolationMode::NEAREST});
      const std::vector<int32_t> size = {static_cast<int32_t>(dice.pick(1, 60)),
                                         static_cast<int32_t>(dice.pick(1, 60))};
      CHECK(check_kernels("Resize", Params(p), {dice.floats(s), Tensor::of<int32_t>(DTypeEnum::Int32, {2}, size)}) ==
            1);
    }
  }

  TEST_CASE("roi align") {
    Dice dice(15);
    for (int round = 0; round < rounds(60); ++round) {
      const Shape s{dice.pick(1, 3), dice.of<int64_t>({1, 3, 70}), dice.pick(1, 20), dice.pick(1, 20)};
      param::ROIAlign p;
      p.mode = dice.of({param::ROIAlignMode::MAX, param::ROIAlignMode::AVERAGE});
      p.spatial_scale = 0.5f;
      p.offset = 0.5f;
      p.pooled_height = static_cast<uint32_t>(dice.pick(1, 5));
      p.pooled_width = static_cast<uint32_t>(dice.pick(1, 5));
      p.sample_height = static_cast<uint32_t>(dice.pick(1, 3));
      p.sample_width = static_cast<uint32_t>(dice.pick(1, 3));
      Tensor rois = Tensor::empty(DTypeEnum::Float32, {dice.pick(0, 6), 5});
      for (int64_t i = 0; i < rois.count(); ++i) {
        rois.data<float>()[i] = static_cast<float>(i % 5 == 0 ? dice.pick(0, s[0] - 1) : dice.pick(-5, 50));
      }
      CHECK(check_kernels("ROIAlign", Params(p), {dice.floats(s), rois}, {}, &dice) == 1);
    }
  }

  TEST_CASE("boxes that none overlaps") {
    Dice dice(19);
    for (int round = 0; round < rounds(60); ++round) {
      Tensor boxes = Tensor::empty(DTypeEnum::Float32, {dice.pick(0, 3), dice.pick(0, 200), 4});
      for (int64_t i = 0; i < boxes.count(); ++i) {
        boxes.data<float>()[i] = static_cast<float>(dice.pick(0, 60) + (i % 4 > 1 ? 30 : 0));
      }
      const param::NMSKeep p{.iou_thresh = 0.4f, .max_output = static_cast<uint32_t>(dice.pick(1, 100))};
      CHECK(check_kernels("NMSKeepMGB", Params(p), {boxes}) == 1);
    }
  }

  TEST_CASE("fake quantization and powers") {
    Dice dice(16);
    const auto positive = [&](const Shape& s) {
      Tensor t = dice.floats(s, false);
      for (float& v : t.span<float>()) v = std::abs(v) * 0.1f + 0.01f;
      return t;
    };
    for (int round = 0; round < rounds(100); ++round) {
      const Shape s = dice.shape();
      Shape part = s;
      for (int d = 0; d < s.ndim(); ++d) {
        if (dice.one_in(2)) part[d] = 1;
      }
      const Tensor x = dice.floats(s), scale = positive(part), zero = indices(dice, part, 20);
      Tensor zeros = Tensor::empty(DTypeEnum::Float32, part);
      for (int64_t i = 0; i < zeros.count(); ++i) zeros.data<float>()[i] = static_cast<float>(zero.data<int32_t>()[i]);
      const param::FakeQuant p{.qmin = -128, .qmax = 127};
      CHECK(check_kernels("FakeQuant", Params(p), {x, scale, zeros}, {}, &dice, true) == 1);
      CHECK(check_kernels("FakeQuantBackward", Params(p), {dice.floats(s), x, scale, zeros}, {}, &dice, true) == 1);
      CHECK(check_kernels("TQT", Params(param::TQT{.qmin = -8, .qmax = 7}), {x, dice.floats(part, false)}, {}, &dice,
                          true) == 1);
      const float e = dice.of({2.f, 3.f, -1.f, -2.f, 0.5f});
      CHECK(check_kernels("PowC", Params(param::PowC{.exp = e}), {x}, {}, &dice, true) == 1);
    }
  }
}
