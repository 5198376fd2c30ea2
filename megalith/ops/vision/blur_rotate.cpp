// GaussianBlur and Rotate of interleaved images, and the optical flow op that only CUDA has.
#include "megalith/ops/vision/image.h"

namespace megalith {
namespace {

using namespace vision;
using P = param::GaussianBlur;

struct KernelSize {
  int64_t height, width;
};

// Sizes left at 0 follow from sigma; 0 when they don't.
KernelSize kernel_size(const P& p) {
  const auto from_sigma = [](float sigma) -> int64_t {
    return sigma > 0 && sigma < 4000.f ? static_cast<int64_t>(static_cast<double>(sigma) * 8 + 1 + 0.5) | 1 : 0;
  };
  const float sigma_y = p.sigma_y > 0 ? p.sigma_y : p.sigma_x;
  return {p.kernel_height > 0 ? int64_t{p.kernel_height} : from_sigma(sigma_y),
          p.kernel_width > 0 ? int64_t{p.kernel_width} : from_sigma(p.sigma_x)};
}

void infer_blur(InferContext& c) {
  const P& p = c.param<P>();
  const Shape& s = c.shape(0);
  c.require(c.dtype(0).id == DTypeEnum::Uint8 || c.dtype(0).id == DTypeEnum::Float32,
            "the image must be Uint8 or Float32, got ", c.dtype(0).name());
  c.require(s.ndim() == 4 && (s[3] == 1 || s[3] == 3), "the image must have the shape (n, height, width, 1 or 3), got ",
            s);
  c.require(known_border(p.border_mode), "border_mode=", static_cast<uint32_t>(p.border_mode), " is not supported");
  const KernelSize k = kernel_size(p);
  for (int64_t v : {k.height, k.width})
    c.require(v > 0 && v % 2 == 1, "kernel_height and kernel_width must be odd, got ", k.height, " and ", k.width);
  // A window that reaches over both borders from everywhere sees nothing new when it grows.
  const int64_t most_h = std::max<int64_t>(63, 2 * s[1] + 1), most_w = std::max<int64_t>(63, 2 * s[2] + 1);
  c.require(k.height <= most_h && k.width <= most_w, "a kernel of ", k.height, "x", k.width, " is too large for ", s,
            "; at most ", most_h, "x", most_w);
  c.set(0, c.dtype(0), s);
}

std::vector<float> gaussian(int64_t n, double sigma) {
  static const float small[4][7] = {{1.f},
                                    {0.25f, 0.5f, 0.25f},
                                    {0.0625f, 0.25f, 0.375f, 0.25f, 0.0625f},
                                    {0.03125f, 0.109375f, 0.21875f, 0.28125f, 0.21875f, 0.109375f, 0.03125f}};
  std::vector<float> k(static_cast<size_t>(n));
  const double middle = static_cast<double>(n - 1) * 0.5;
  const double s = sigma > 0 ? sigma : (middle - 1) * 0.3 + 0.8;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(i) - middle;
    const auto at = static_cast<size_t>(i);
    k[at] = n <= 7 && sigma <= 0 ? small[n >> 1][at] : static_cast<float>(std::exp(-0.5 / (s * s) * x * x));
    sum += k[at];
  }
  for (float& v : k) v = static_cast<float>(v * (1. / sum));
  return k;
}

template <class T>
void blur(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Image m = image_of(a.in[0].shape(), Format::NHWC);
  const KernelSize size = kernel_size(p);
  const double sigma_x = std::max(p.sigma_x, 0.f), sigma_y = p.sigma_y > 0 ? p.sigma_y : sigma_x;
  const std::vector<float> kx = gaussian(size.width, sigma_x), ky = gaussian(size.height, sigma_y);
  a.exec.parallel_for(m.n * m.h, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / m.h, h = row % m.h;
      for (int64_t w = 0; w < m.w; ++w) {
        for (int64_t c = 0; c < m.c; ++c) {
          std::conditional_t<std::is_same_v<T, uint8_t>, int64_t, double> sum = 0;
          for (int64_t i = 0; i < size.height; ++i) {
            const int64_t y = border(p.border_mode, h + i - size.height / 2, m.h);
            for (int64_t j = 0; j < size.width; ++j) {
              const int64_t x = border(p.border_mode, w + j - size.width / 2, m.w);
              if (x < 0 || y < 0) continue;
              const T v = a.in[0].data<const T>()[m.at(n, c, y, x)];
              const float wx = kx[static_cast<size_t>(j)], wy = ky[static_cast<size_t>(i)];
              if constexpr (std::is_same_v<T, uint8_t>)
                sum += static_cast<int64_t>(wx * 256.f) * static_cast<int64_t>(wy * 256.f) * v;
              else
                sum += wx * wy * v;
            }
          }
          T& out = a.out[0].data<T>()[m.at(n, c, h, w)];
          if constexpr (std::is_same_v<T, uint8_t>)
            out = static_cast<T>(std::clamp<int64_t>((sum + (1 << 15)) >> 16, 0, 255));
          else
            out = static_cast<T>(sum);
        }
      }
    }
  });
}

void blur_reference(const KernelArgs& a) {
  if (a.in[0].dtype().id == DTypeEnum::Float32)
    blur<float>(a);
  else
    blur<uint8_t>(a);
}

void infer_rotate(InferContext& c) {
  const Shape& s = c.shape(0);
  c.require(s.ndim() == 4, "the image must have 4 dimensions, got ", s);
  c.require(!c.dtype(0).is_lowbit(), "element type ", c.dtype(0).name(), " is not supported");
  c.set(0, c.dtype(0), {s[0], s[2], s[1], s[3]});
}

bool view_rotate(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  const Shape &s = in[0].shape, &t = in[0].stride;
  if (s.count() == 0) return false;
  Layout l(Shape{s[0], s[2], s[1], s[3]}, Shape{t[0], t[2], t[1], t[3]});
  int64_t offset = 0;
  if (c.param<param::Rotate>().clockwise) {
    l.stride[2] = -t[1];
    offset = (s[1] - 1) * t[1];
  } else {
    l.stride[1] = -t[2];
    offset = (s[2] - 1) * t[2];
  }
  out[0] = {0, l, offset};
  return true;
}

void rotate_reference(const KernelArgs& a) {
  const bool clockwise = a.param<param::Rotate>().clockwise;
  const Image in = image_of(a.in[0].shape(), Format::NHWC), out = image_of(a.out[0].shape(), Format::NHWC);
  dispatch_width(a.in[0].dtype(), [&](auto tag) {
    using T = decltype(tag);
    a.exec.parallel_for(out.n * out.h, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t n = row / out.h, h = row % out.h;
        for (int64_t w = 0; w < out.w; ++w) {
          const int64_t from = clockwise ? in.at(n, 0, in.h - 1 - w, h) : in.at(n, 0, w, in.w - 1 - h);
          std::copy_n(a.in[0].data<const T>() + from, in.c, a.out[0].data<T>() + out.at(n, 0, h, w));
        }
      }
    });
  });
}

// (batch, frames, height, width, channels): one flow of two int16 per 4x4 pixels between neighbouring frames.
void infer_nvof(InferContext& c) {
  const Shape& s = c.shape(0);
  c.require(c.dtype(0).id == DTypeEnum::Uint8 && s.ndim() == 5 && s[1] > 1 && s[4] == 4,
            "frames must be Uint8 of the shape (n, frames, height, width, 4), got ", c.dtype(0).name(), " ", s);
  c.set(0, DTypeEnum::Int16, {s[0], s[1] - 1, (s[2] + 3) / 4, (s[3] + 3) / 4, 2});
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_blur_rotate) {
  r.add({.name = "GaussianBlur",
         .doc = "Images convolved with a Gaussian.",
         .mge = {"GaussianBlur"},
         .params = &param::GaussianBlur::kSchema,
         .infer = infer_blur,
         .kernels = {{.name = "reference", .run = blur_reference}},
         .exact = true});
  r.add({.name = "Rotate",
         .doc = "Images turned by 90 degrees.",
         .mge = {"Rotate"},
         .params = &param::Rotate::kSchema,
         .infer = infer_rotate,
         .view = view_rotate,
         .kernels = {{.name = "reference", .run = rotate_reference}},
         .exact = true});
  r.add({.name = "NvOf",
         .doc = "Optical flow between frames, computed by NVIDIA hardware.",
         .mge = {"NvOf"},
         .params = &param::NvOf::kSchema,
         .infer = infer_nvof,
         .refuses = "needs CUDA"});
}
