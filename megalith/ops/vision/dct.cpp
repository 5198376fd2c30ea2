// Discrete cosine transform of square blocks of 8-bit images, keeping chosen coefficients as channels.
#include <array>

#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

using P = param::DctChannelSelect;

// inputs: src (N, C, H, W) and maybe mask_offset (C + 1), mask_val: channel c keeps the coefficients
// mask_val[mask_offset[c] .. mask_offset[c + 1]); without a mask all of them.
bool has_mask(std::span<const TensorSpec> in) { return in.size() == 3 && in[1].shape.count() > 0; }

void infer_dct(InferContext& c) {
  const P& p = c.param<P>();
  const Shape& src = c.shape(0);
  const int64_t size = p.dct_block_size;
  c.require(c.nin() == 1 || c.nin() == 3, "needs 1 or 3 inputs, got ", c.nin());
  c.require(c.dtype(0).id == DTypeEnum::Uint8, "the image must be Uint8, got ", c.dtype(0).name());
  c.require(src.ndim() == 4, "the image must have 4 dimensions, got ", src);
  c.require(size > 0 && size <= 1024 && src[2] % size == 0 && src[3] % size == 0, "image ", src,
            " cannot be divided into blocks of dct_block_size=", p.dct_block_size);
  int64_t channels = src[1] * size * size;
  if (has_mask(c.in)) {
    for (int i : {1, 2}) {
      c.require(c.dtype(i).id == DTypeEnum::Int32, "the mask must be Int32, got ", c.dtype(i).name());
      c.require(c.shape(i).ndim() == 1, "the mask must have 1 dimension, got ", c.shape(i));
    }
    c.require(c.shape(1)[0] == src[1] + 1, "mask_offset must have ", src[1] + 1, " elements for image ", src, ", got ",
              c.shape(1));
    channels = c.shape(2)[0];
  }
  c.require(p.fastImpl == param::DctFastImpl::NONE || channels == 32, "fastImpl=FIX_32_MASK needs 32 channels, got ",
            channels);
  const DType out = c.attrs.output_dtype.value_or(DTypeEnum::Float32);
  if (p.format == param::ConvolutionFormat::NCHW) {
    c.require(out.id == DTypeEnum::Float32, "format NCHW gives Float32, not ", out.str());
    c.set(0, out, {src[0], channels, src[2] / size, src[3] / size});
  } else {
    c.require(p.format == param::ConvolutionFormat::NCHW4, "only formats NCHW and NCHW4 are supported");
    c.require(out.id == DTypeEnum::QuantizedS8 && out.scale > 0, "format NCHW4 gives QuantizedS8, not ", out.str());
    c.require(channels % 4 == 0, "format NCHW4 needs a multiple of 4 channels, got ", channels);
    c.set(0, out, {src[0], channels / 4, src[2] / size, src[3] / size, 4});
  }
}

// The coefficients that each channel keeps.
std::vector<std::vector<int32_t>> selection(const KernelArgs& a, int64_t channels, int64_t size) {
  std::vector<std::vector<int32_t>> keep(static_cast<size_t>(channels));
  if (a.in.size() != 3 || a.in[1].count() == 0) {
    for (auto& k : keep)
      for (int32_t i = 0; i < size * size; ++i) k.push_back(i);
    return keep;
  }
  const auto offset = a.in[1].span<const int32_t>(), value = a.in[2].span<const int32_t>();
  if (offset.front() != 0 || offset.back() != a.in[2].count())
    throw OpError(cat("DctChannelSelect: mask_offset runs from ", offset.front(), " to ", offset.back(),
                      ", but mask_val has ", a.in[2].count(), " elements"));
  for (size_t c = 0; c < keep.size(); ++c) {
    if (offset[c + 1] < offset[c] || offset[c + 1] > a.in[2].count())
      throw OpError(cat("DctChannelSelect: mask_offset is not ascending at ", c));
    for (int32_t i = offset[c]; i < offset[c + 1]; ++i) {
      const int32_t v = value[static_cast<size_t>(i)];
      if (v < 0 || v >= size * size)
        throw OpError(cat("DctChannelSelect: mask_val[", i, "]=", v, " is outside a block of ", size * size));
      keep[c].push_back(v);
    }
  }
  return keep;
}

// basis[i][j] = alpha(i) * cos((2j + 1) * i * pi / (2 * size)). MegEngine rounds alpha and the angle to float, but not
// the cosine; with that the results are equal to the bit.
std::vector<float> make_basis(int64_t size) {
  constexpr float pi = 3.14159265358979323846f;
  const float n = static_cast<float>(size);
  std::vector<float> basis;
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j) {
      const float alpha = std::sqrt((i == 0 ? 1.f : 2.f) / n);
      const float angle =
          (2.f * static_cast<float>(j) + 1.f) * static_cast<float>(i) * pi / static_cast<float>(2 * size);
      basis.push_back(static_cast<float>(static_cast<double>(alpha) * std::cos(static_cast<double>(angle))));
    }
  return basis;
}

void run_dct(const KernelArgs& a) {
  const int64_t size = a.param<P>().dct_block_size;
  const Tensor& src = a.in[0];
  const Tensor& dst = a.out[0];
  const int64_t channels = src.dim(1), oh = src.dim(2) / size, ow = src.dim(3) / size;
  const auto keep = selection(a, channels, size);
  const auto basis = make_basis(size);
  std::vector<int64_t> first{0};  // output channel of a channel's first coefficient
  for (const auto& k : keep) first.push_back(first.back() + static_cast<int64_t>(k.size()));
  const bool packed = dst.dtype().id == DTypeEnum::QuantizedS8;
  a.exec.parallel_for(src.dim(0) * channels * oh, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> half(basis.size()), block(basis.size());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t y = i % oh, c = i / oh % channels, n = i / oh / channels;
      for (int64_t x = 0; x < ow; ++x) {
        const uint8_t* s = src.data<uint8_t>() + ((n * channels + c) * src.dim(2) + y * size) * src.dim(3) + x * size;
        for (int64_t r = 0; r < size; ++r)
          for (int64_t col = 0; col < size; ++col) {
            float sum = 0;
            for (int64_t k = 0; k < size; ++k)
              sum += basis[static_cast<size_t>(r * size + k)] * static_cast<float>(s[k * src.dim(3) + col]);
            half[static_cast<size_t>(r * size + col)] = sum;
          }
        for (int64_t r = 0; r < size; ++r)
          for (int64_t col = 0; col < size; ++col) {
            float sum = 0;
            for (int64_t k = 0; k < size; ++k)
              sum += half[static_cast<size_t>(r * size + k)] * basis[static_cast<size_t>(col * size + k)];
            block[static_cast<size_t>(r * size + col)] = sum;
          }
        int64_t oc = first[static_cast<size_t>(c)];
        for (int32_t k : keep[static_cast<size_t>(c)]) {
          const float v = block[static_cast<size_t>(k)];
          if (packed) {
            const float q = std::clamp(std::round(v / dst.dtype().scale), -128.f, 127.f);
            dst.data<int8_t>()[(((n * dst.dim(1) + oc / 4) * oh + y) * ow + x) * 4 + oc % 4] = static_cast<int8_t>(q);
          } else {
            dst.data<float>()[((n * dst.dim(1) + oc) * oh + y) * ow + x] = v;
          }
          ++oc;
        }
      }
    }
  });
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_dct) {
  r.add({.name = "DctChannelSelect",
         .doc = "Discrete cosine transform of square blocks, keeping chosen coefficients as channels.",
         .mge = {"DctChannelSelectV1"},
         .params = &P::kSchema,
         .min_inputs = 1,
         .max_inputs = 3,
         .infer = infer_dct,
         .kernels = {{.name = "reference", .run = run_dct}}});
}
