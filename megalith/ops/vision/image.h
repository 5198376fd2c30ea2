// What the image ops share: where a pixel lies in each memory format, borders, and rounding to the stored type.
#pragma once

#include "megalith/ops/op_util.h"

namespace megalith::vision {

using Format = param::ConvolutionFormat;
using Border = param::BorderMode;
using Interp = param::InterpolationMode;

// The axes of an image batch. Packed formats keep `pack` channels together on the last axis.
struct Image {
  int64_t n = 0, c = 0, h = 0, w = 0, pack = 1;
  int64_t sn = 0, sc = 0, sh = 0, sw = 0;  // strides; sc is the step between blocks of `pack` channels
  int h_axis = 0, w_axis = 0;

  int64_t at(int64_t in, int64_t ic, int64_t ih, int64_t iw) const {
    return in * sn + ic / pack * sc + ic % pack + ih * sh + iw * sw;
  }
};

inline int packed_channels(Format f) {
  switch (f) {
    case Format::NCHW4:
    case Format::NHWCD4:
    case Format::NCHW44:
    case Format::NCHW44_DOT: return 4;
    case Format::NCHW8:
    case Format::NCHW88: return 8;
    case Format::NCHW32: return 32;
    case Format::NCHW64: return 64;
    default: return 1;
  }
}

inline bool image_format(Format f) { return f == Format::NCHW || f == Format::NHWC || packed_channels(f) > 1; }

// `s` must have the number of axes that the format asks for; infer_image checks.
inline Image image_of(const Shape& s, Format f) {
  Image m;
  m.n = s[0];
  m.pack = packed_channels(f);
  if (f == Format::NHWC) {
    m.h_axis = 1, m.w_axis = 2;
    m.c = s[3], m.sc = 1, m.sw = m.c;
  } else if (f == Format::NHWCD4) {
    m.h_axis = 1, m.w_axis = 3;
    m.c = s[2] * 4, m.sw = 4, m.sc = 4 * s[3];
  } else {
    m.h_axis = 2, m.w_axis = 3;
    m.c = s[1] * m.pack, m.sw = m.pack, m.sc = m.pack * s[2] * s[3];
  }
  m.h = s[m.h_axis], m.w = s[m.w_axis];
  m.sh = f == Format::NHWC ? m.w * m.c : f == Format::NHWCD4 ? m.c * m.w : m.pack * m.w;
  m.sn = m.c * m.h * m.w;
  return m;
}

// Fails unless input i is an image batch of this format.
inline Image infer_image(const InferContext& c, int i, Format f) {
  c.require(image_format(f), "format=", static_cast<uint32_t>(f), " is not supported");
  const int pack = packed_channels(f);
  const Shape& s = c.shape(i);
  c.require(s.ndim() == (pack > 1 ? 5 : 4), "input ", i, " must have ", pack > 1 ? 5 : 4, " dimensions, got ", s);
  c.require(pack == 1 || s[4] == pack, "input ", i, " must have ", pack, " channels on its last axis, got ", s);
  return image_of(s, f);
}

// The element types of MegEngine's image kernels.
inline void require_image_dtype(const InferContext& c, int i) {
  const DTypeEnum id = c.dtype(i).id;
  c.require(c.dtype(i).is_float() || id == DTypeEnum::Int8 || id == DTypeEnum::Uint8 || id == DTypeEnum::QuantizedS8 ||
                id == DTypeEnum::Quantized8Asymm,
            "element type ", c.dtype(i).name(), " of input ", i, " is not supported");
}

// The `n` target sizes in input `at`.
inline std::vector<int64_t> target_sizes(const InferContext& c, int at, size_t n) {
  const std::vector<int64_t> size = c.ints(at);
  c.require(size.size() == n, "the target shape must have ", n, " elements, got ", size.size());
  for (int64_t v : size) c.require(v > 0 && v < (int64_t{1} << 31), "target size ", v, " is out of range");
  return size;
}

// The shape of an image with another height and width, those of input `at`.
inline Shape infer_sized(const InferContext& c, const Shape& src, const Image& m, int at) {
  const std::vector<int64_t> size = target_sizes(c, at, 2);
  c.require(m.h > 0 && m.w > 0, "the image is empty: ", src);
  Shape out = src;
  out[m.h_axis] = size[0];
  out[m.w_axis] = size[1];
  return out;
}

// float to int as the CPU does it: what does not fit becomes the smallest int.
inline int64_t to_index(float v) {
  return v >= -2147483648.f && v < 2147483648.f ? static_cast<int64_t>(v) : std::numeric_limits<int32_t>::min();
}

// The pixel that stands for position p outside [0, len); -1 where the border value does.
inline int64_t border(Border mode, int64_t p, int64_t len) {
  if (p >= 0 && p < len) return p;
  const auto wrap = [](int64_t v, int64_t period) { return (v % period + period) % period; };
  switch (mode) {
    case Border::REPLICATE: return p < 0 ? 0 : len - 1;
    case Border::REFLECT: {
      const int64_t q = wrap(p, 2 * len);
      return q < len ? q : 2 * len - 1 - q;
    }
    case Border::REFLECT_101: {
      if (len == 1) return 0;
      const int64_t q = wrap(p, 2 * len - 2);
      return q < len ? q : 2 * len - 2 - q;
    }
    case Border::WRAP: return wrap(p, len);
    default: return -1;
  }
}

inline bool known_border(Border b) { return b <= Border::CONSTANT; }

// Rounds to nearest (ties away from zero) and clamps, for the integer types.
template <class T>
T round_to(float v) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, half> || std::is_same_v<T, bfloat16>) {
    return T(v);
  } else {
    using L = std::numeric_limits<T>;
    const float r = std::round(v);
    if (!(r > static_cast<float>(L::min()))) return L::min();  // NaN too
    // The largest int32 has no float of its own: 2^31 is the first that does not fit.
    return r < static_cast<float>(L::max()) ? static_cast<T>(r) : L::max();
  }
}

// A matrix or a map: Float32, or one of the 16-bit types.
inline std::vector<float> to_floats(const Tensor& t) {
  std::vector<float> v(static_cast<size_t>(t.count()));
  dispatch_float(t.dtype(), [&](auto tag) {
    const auto* p = t.data<const decltype(tag)>();
    for (size_t i = 0; i < v.size(); ++i) v[i] = p[i];
  });
  return v;
}

inline void interpolate_cubic(float x, float k[4]) {
  const float a = -0.75f;
  k[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
  k[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
  k[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
  k[3] = 1.f - k[0] - k[1] - k[2];
}

}  // namespace megalith::vision
