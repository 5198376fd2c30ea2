// Conversions between colour spaces of interleaved images.
#include <string_view>

#include "megalith/ops/vision/image.h"

namespace megalith {
namespace {

using Mode = param::CvtColorMode;

enum class Yuv : uint8_t { kNone, kNV21, kNV12, kYV12, kYU12 };  // where the chroma of 4:2:0 images lies

struct Kind {
  int in = 0, out = 0;  // channels
  bool has_float = false;
  Yuv yuv = Yuv::kNone;
  bool bgr = false, bt601 = false;
};

Kind kind_of(Mode m) {
  switch (m) {
    case Mode::RGB2GRAY:
    case Mode::BGR2GRAY: return {3, 1, true};
    case Mode::RGB2YUV:
    case Mode::YUV2RGB: return {3, 3, true};
    case Mode::GRAY2RGB: return {1, 3, true};
    case Mode::RGBA2RGB:
    case Mode::RGBA2BGR: return {4, 3};
    case Mode::RGBA2GRAY: return {4, 1};
    case Mode::RGB2BGR:
    case Mode::BGR2RGB: return {3, 3};
    case Mode::YUV2GRAY_NV21: return {1, 1, false, Yuv::kNV21};
    case Mode::YUV2GRAY_NV12: return {1, 1, false, Yuv::kNV12};
    case Mode::YUV2GRAY_YV12: return {1, 1, false, Yuv::kYV12};
    case Mode::YUV2GRAY_YU12: return {1, 1, false, Yuv::kYU12};
    case Mode::YCrCb2RGB:
    case Mode::YUV2RGB_NV21: return {1, 3, false, Yuv::kNV21};
    case Mode::YCrCb2BGR:
    case Mode::YUV2BGR_NV21: return {1, 3, false, Yuv::kNV21, true};
    case Mode::YUV2RGB_NV12: return {1, 3, false, Yuv::kNV12};
    case Mode::YUV2BGR_NV12: return {1, 3, false, Yuv::kNV12, true};
    case Mode::YUV2RGB_YV12: return {1, 3, false, Yuv::kYV12};
    case Mode::YUV2BGR_YV12: return {1, 3, false, Yuv::kYV12, true};
    case Mode::YUV2RGB_YU12: return {1, 3, false, Yuv::kYU12};
    case Mode::YUV2BGR_YU12: return {1, 3, false, Yuv::kYU12, true};
    case Mode::BT601_YUV2RGB_NV21: return {1, 3, false, Yuv::kNV21, false, true};
    case Mode::BT601_YUV2BGR_NV21: return {1, 3, false, Yuv::kNV21, true, true};
    case Mode::BT601_YUV2RGB_NV12: return {1, 3, false, Yuv::kNV12, false, true};
    case Mode::BT601_YUV2BGR_NV12: return {1, 3, false, Yuv::kNV12, true, true};
    case Mode::BT601_YUV2RGB_YV12: return {1, 3, false, Yuv::kYV12, false, true};
    case Mode::BT601_YUV2BGR_YV12: return {1, 3, false, Yuv::kYV12, true, true};
    case Mode::BT601_YUV2RGB_YU12: return {1, 3, false, Yuv::kYU12, false, true};
    case Mode::BT601_YUV2BGR_YU12: return {1, 3, false, Yuv::kYU12, true, true};
  }
  return {};
}

bool planar(Yuv y) { return y == Yuv::kYV12 || y == Yuv::kYU12; }
bool u_first(Yuv y) { return y == Yuv::kNV12 || y == Yuv::kYU12; }

void infer_cvt_color(InferContext& c) {
  const Mode mode = c.param<param::CvtColor>().mode;
  const Kind k = kind_of(mode);
  const Shape& s = c.shape(0);
  c.require(k.in > 0, "mode=", static_cast<uint32_t>(mode), " is not supported");
  c.require(c.dtype(0).id == DTypeEnum::Uint8 || (k.has_float && c.dtype(0).id == DTypeEnum::Float32), "mode ",
            static_cast<uint32_t>(mode), " does not take ", c.dtype(0).name());
  c.require(s.ndim() == 4 && s[3] == k.in, "the image must have the shape (n, height, width, ", k.in, "), got ", s);
  int64_t rows = s[1];
  if (k.yuv != Yuv::kNone) {
    const int64_t step = planar(k.yuv) ? 6 : 3;
    c.require(rows % step == 0 && s[2] % 2 == 0, "the height must be a multiple of ", step, " and the width even, got ",
              s);
    rows = rows / 3 * 2;
  }
  c.set(0, c.dtype(0), {s[0], rows, s[2], k.out});
}

uint8_t clamp_u8(int v) { return static_cast<uint8_t>(std::clamp(v, 0, 255)); }
int descale(int v) { return (v + (1 << 13)) >> 14; }

uint8_t gray(int r, int g, int b) { return static_cast<uint8_t>((r * 4899 + g * 9617 + b * 1868 + (1 << 13)) >> 14); }
float gray(float r, float g, float b) { return r * 0.299f + g * 0.587f + b * 0.114f; }

void rgb_to_yuv(const uint8_t* v, uint8_t* out) {
  const int y = descale(v[0] * 1868 + v[1] * 9617 + v[2] * 4899);
  out[0] = clamp_u8(y);
  out[1] = clamp_u8(descale((v[0] - y) * 8061 + (128 << 14)));
  out[2] = clamp_u8(descale((v[2] - y) * 14369 + (128 << 14)));
}
void rgb_to_yuv(const float* v, float* out) {
  const float y = v[0] * 0.114f + v[1] * 0.587f + v[2] * 0.299f;
  out[0] = y;
  out[1] = (v[0] - y) * 0.492f + 0.5f;
  out[2] = (v[2] - y) * 0.877f + 0.5f;
}
void yuv_to_rgb(const uint8_t* v, uint8_t* out) {
  const int cr = v[1] - 128, cb = v[2] - 128;
  out[0] = clamp_u8(v[0] + descale(cr * 33292));
  out[1] = clamp_u8(v[0] + descale(cb * -9519 + cr * -6472));
  out[2] = clamp_u8(v[0] + descale(cb * 18678));
}
void yuv_to_rgb(const float* v, float* out) {
  const float y = v[0], cr = v[1] - 0.5f, cb = v[2] - 0.5f;
  out[0] = y + cr * 2.032f;
  out[1] = y + cb * -0.581f + cr * -0.395f;
  out[2] = y + cb * 1.140f;
}

// One pixel of the modes that look at one pixel.
template <class T>
void convert_pixel(Mode mode, const T* v, T* out) {
  switch (mode) {
    case Mode::RGB2GRAY:
    case Mode::RGBA2GRAY: out[0] = gray(v[0], v[1], v[2]); break;
    case Mode::BGR2GRAY: out[0] = gray(v[2], v[1], v[0]); break;
    case Mode::RGB2YUV: rgb_to_yuv(v, out); break;
    case Mode::YUV2RGB: yuv_to_rgb(v, out); break;
    case Mode::GRAY2RGB: out[0] = out[1] = out[2] = v[0]; break;
    case Mode::RGBA2RGB: out[0] = v[0], out[1] = v[1], out[2] = v[2]; break;
    default: out[0] = v[2], out[1] = v[1], out[2] = v[0]; break;  // swapped red and blue
  }
}

// 4:2:0: every 2x2 pixels share one U and V.
void convert_yuv420(const Kind& k, const uint8_t* src, uint8_t* dst, int64_t h, int64_t w, int64_t height,
                    int64_t width) {
  const int y = src[h * width + w];
  if (k.out == 1) {
    dst[0] = static_cast<uint8_t>(y);
    return;
  }
  const uint8_t *first = nullptr, *second = nullptr;
  if (planar(k.yuv)) {
    first = src + height * width + h / 2 * (width / 2) + w / 2;
    second = first + height / 4 * width;
  } else {
    first = src + height * width + h / 2 * width + w / 2 * 2;
    second = first + 1;
  }
  const int u = u_first(k.yuv) ? *first : *second, v = u_first(k.yuv) ? *second : *first;
  int red = 0, green = 0, blue = 0;
  if (k.bt601) {  // fixed point with 6 bits
    const int y1 = static_cast<int>(static_cast<uint32_t>(y * 0x0101 * 18997) >> 16);
    const int bias = -1160, ub = -128, ug = 25, vg = 52, vr = -102;
    blue = (-(u * ub) + y1 + ub * 128 + bias) >> 6;
    green = (-(u * ug + v * vg) + y1 + ug * 128 + vg * 128 + bias) >> 6;
    red = (-(v * vr) + y1 + vr * 128 + bias) >> 6;
  } else {
    red = y + ((359 * (v - 128)) >> 8);
    green = y - ((88 * (u - 128) + 183 * (v - 128)) >> 8);
    blue = y + ((454 * (u - 128)) >> 8);
  }
  dst[k.bgr ? 2 : 0] = clamp_u8(red);
  dst[1] = clamp_u8(green);
  dst[k.bgr ? 0 : 2] = clamp_u8(blue);
}

template <class T>
void cvt_color(const KernelArgs& a) {
  const Mode mode = a.param<param::CvtColor>().mode;
  const Kind k = kind_of(mode);
  const Tensor &src = a.in[0], &dst = a.out[0];
  const int64_t height = dst.dim(1), width = dst.dim(2);
  a.exec.parallel_for(dst.dim(0) * height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t w = 0; w < width; ++w) {
        T* out = dst.data<T>() + (row * width + w) * k.out;
        if constexpr (std::is_same_v<T, uint8_t>) {
          if (k.yuv != Yuv::kNone) {
            convert_yuv420(k, src.data<const T>() + row / height * src.dim(1) * width, out, row % height, w, height,
                           width);
            continue;
          }
        }
        convert_pixel(mode, src.data<const T>() + (row * width + w) * k.in, out);
      }
    }
  });
}

void cvt_color_reference(const KernelArgs& a) {
  if (a.in[0].dtype().id == DTypeEnum::Float32)
    cvt_color<float>(a);
  else
    cvt_color<uint8_t>(a);
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_cvt_color) {
  r.add({.name = "CvtColor",
         .doc = "Images in another colour space.",
         .mge = {"CvtColor"},
         .params = &param::CvtColor::kSchema,
         .infer = infer_cvt_color,
         .kernels = {{.name = "reference", .run = cvt_color_reference}},
         .exact = true});
}
