// Images seen through a perspective or affine transformation of the output coordinates.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/vision/image.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using namespace vision;
using PP = param::WarpPerspective;
using PA = param::WarpAffine;

// MegEngine treats small interleaved images with OpenCV's method: coordinates of 5 fraction bits.
bool fixed_coordinates(Format f, const Shape& src, DType dtype) {
  return f == Format::NHWC && src[3] >= 1 && src[3] <= 3 &&
         (dtype.id == DTypeEnum::Float32 || dtype.id == DTypeEnum::Uint8);
}

void check_warp(const InferContext& c, Interp imode, Border bmode, bool fixed) {
  require_image_dtype(c, 0);
  c.require(known_border(bmode), "border mode ", static_cast<uint32_t>(bmode), " is not supported");
  c.require(imode == Interp::LINEAR || (fixed && (imode == Interp::NEAREST || imode == Interp::CUBIC)),
            "imode=", static_cast<uint32_t>(imode), " is not supported for ", c.dtype(0).name(), " ", c.shape(0));
}

void check_matrix(const InferContext& c, int i, int64_t rows, int64_t batch) {
  c.require(c.shape(i) == Shape({batch, rows, 3}), "the matrices must have the shape ", Shape{batch, rows, 3}, ", got ",
            c.shape(i));
  c.require(c.dtype(i).id == DTypeEnum::Float32 || (c.dtype(i).is_float() && c.dtype(i) == c.dtype(0)),
            "the matrices must be Float32, got ", c.dtype(i).name());
}

// inputs: image, matrices, [image of each matrix], target shape
void infer_warp_perspective(InferContext& c) {
  const PP& p = c.param<PP>();
  const Image m = infer_image(c, 0, p.format);
  const bool indexed = c.nin() == 4;
  check_warp(c, p.imode, p.bmode, fixed_coordinates(p.format, c.shape(0), c.dtype(0)));
  int64_t batch = m.n;
  if (indexed) {
    c.require(c.dtype(2).id == DTypeEnum::Int32 && c.shape(2).ndim() == 1,
              "mat_idx must be Int32 with 1 dimension, got ", c.dtype(2).name(), " ", c.shape(2));
    batch = c.shape(2)[0];
  }
  check_matrix(c, 1, 3, batch);
  Shape out = infer_sized(c, c.shape(0), m, c.nin() - 1);
  out[0] = batch;
  c.set(0, c.dtype(0), out);
}

void infer_warp_affine(InferContext& c) {
  const PA& p = c.param<PA>();
  const Image m = infer_image(c, 0, p.format);
  check_warp(c, p.imode, p.border_mode, fixed_coordinates(p.format, c.shape(0), c.dtype(0)));
  check_matrix(c, 1, 2, m.n);
  c.set(0, c.dtype(0), infer_sized(c, c.shape(0), m, 2));
}

// Which image a matrix looks at.
int64_t source_of(const char* op, const int32_t* index, int64_t n, int64_t images) {
  if (!index) return n;
  if (index[n] < 0 || index[n] >= images)
    throw OpError(cat(op, ": mat_idx[", n, "]=", index[n], " of ", images, " images"));
  return index[n];
}

struct Point {
  float x, y;
};

Point perspective(const float* m, int64_t oh, int64_t ow) {
  const auto x = static_cast<float>(ow), y = static_cast<float>(oh);
  const float d = m[6] * x + m[7] * y + m[8];
  return {(m[0] * x + m[1] * y + m[2]) / d, (m[3] * x + m[4] * y + m[5]) / d};
}

// The four pixels around a point; -1 is outside.
struct Corners {
  int64_t w0, w1, h0, h1;
  float aw, ah;
};

Corners corners(Point at, Border mode, int64_t height, int64_t width) {
  const float fw = std::floor(at.x), fh = std::floor(at.y);
  return {border(mode, to_index(fw), width),
          border(mode, to_index(fw + 1.f), width),
          border(mode, to_index(fh), height),
          border(mode, to_index(fh + 1.f), height),
          at.x - fw,
          at.y - fh};
}

struct WarpImages {
  Image in, out;
  Border mode;
  float border_value;
};

template <class T>
void warp_row(const WarpImages& v, const T* src, T* dst, int64_t oh, FunctionRef<Point(int64_t)> point) {
  for (int64_t ow = 0; ow < v.out.w; ++ow) {
    const Corners k = corners(point(ow), v.mode, v.in.h, v.in.w);
    for (int64_t c = 0; c < v.out.c; ++c) {
      const auto at = [&](int64_t h, int64_t w) {
        return h < 0 || w < 0 ? v.border_value : static_cast<float>(src[v.in.at(0, c, h, w)]);
      };
      float value = at(k.h0, k.w0) * (1.0f - k.aw) * (1.0f - k.ah) + at(k.h0, k.w1) * k.aw * (1.0f - k.ah) +
                    at(k.h1, k.w0) * (1.0f - k.aw) * k.ah + at(k.h1, k.w1) * k.aw * k.ah;
      if (v.mode == Border::CONSTANT && !std::isfinite(value)) value = v.border_value;
      dst[v.out.at(0, c, oh, ow)] = round_to<T>(value);
    }
  }
}

// A coordinate with 5 fraction bits.
struct FixedPoint {
  int64_t x, y;
};

int64_t round_index(double v) {
  return v >= -2147483648. && v < 2147483647.5 ? static_cast<int64_t>(std::nearbyint(v))
                                               : std::numeric_limits<int32_t>::min();
}

template <class T>
void warp_row_fixed(const WarpImages& v, Interp imode, const T* src, T* dst, int64_t oh,
                    FunctionRef<FixedPoint(int64_t)> point) {
  const T outside = round_to<T>(v.border_value);
  const auto clamp_short = [](int64_t i) { return std::clamp<int64_t>(i, -32768, 32767); };
  const int n = imode == Interp::CUBIC ? 4 : imode == Interp::LINEAR ? 2 : 1;
  for (int64_t ow = 0; ow < v.out.w; ++ow) {
    const FixedPoint at = point(ow);
    const int64_t sx = clamp_short(at.x >> 5), sy = clamp_short(at.y >> 5);
    const float fx = static_cast<float>(at.x & 31) / 32.f, fy = static_cast<float>(at.y & 31) / 32.f;
    float kx[4] = {1.f - fx, fx}, ky[4] = {1.f - fy, fy};
    if (n == 1) kx[0] = ky[0] = 1.f;
    if (n == 4) interpolate_cubic(fx, kx), interpolate_cubic(fy, ky);
    const int first = n == 4 ? -1 : 0;
    for (int64_t c = 0; c < v.out.c; ++c) {
      float sum = 0;
      for (int i = 0; i < n; ++i) {
        for (int j = 0; j < n; ++j) {
          const int64_t h = border(v.mode, sy + first + i, v.in.h), w = border(v.mode, sx + first + j, v.in.w);
          sum += static_cast<float>(h < 0 || w < 0 ? outside : src[v.in.at(0, c, h, w)]) * (ky[i] * kx[j]);
        }
      }
      dst[v.out.at(0, c, oh, ow)] = round_to<T>(sum);
    }
  }
}

template <class T>
void warp_perspective(const KernelArgs& a) {
  const PP& p = a.param<PP>();
  const WarpImages v = {image_of(a.in[0].shape(), p.format), image_of(a.out[0].shape(), p.format), p.bmode,
                        p.border_val};
  const auto* index = a.in.size() == 4 ? a.in[2].data<const int32_t>() : nullptr;
  const std::vector<float> mats = to_floats(a.in[1]);
  const bool fixed = fixed_coordinates(p.format, a.in[0].shape(), a.in[0].dtype());
  a.exec.parallel_for(v.out.n * v.out.h, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / v.out.h, oh = row % v.out.h;
      const float* m = mats.data() + n * 9;
      const T* src = a.in[0].data<const T>() + source_of("WarpPerspective", index, n, v.in.n) * v.in.sn;
      T* dst = a.out[0].data<T>() + n * v.out.sn;
      if (!fixed) {
        warp_row<T>(v, src, dst, oh, [&](int64_t ow) { return perspective(m, oh, ow); });
        continue;
      }
      if constexpr (std::is_same_v<T, float> || std::is_same_v<T, uint8_t>) {
        const double unit = p.imode == Interp::NEAREST ? 1. : 32.;
        warp_row_fixed<T>(v, p.imode, src, dst, oh, [&](int64_t ow) {
          const auto x = static_cast<double>(ow), y = static_cast<double>(oh);
          double d = m[6] * x + m[7] * y + m[8];
          d = d != 0 ? unit / d : 0;
          FixedPoint at = {round_index((m[0] * x + m[1] * y + m[2]) * d),
                           round_index((m[3] * x + m[4] * y + m[5]) * d)};
          if (p.imode == Interp::NEAREST) at = {at.x * 32, at.y * 32};
          return at;
        });
      }
    }
  });
}

template <class T>
void warp_affine(const KernelArgs& a) {
  const PA& p = a.param<PA>();
  const WarpImages v = {image_of(a.in[0].shape(), p.format), image_of(a.out[0].shape(), p.format), p.border_mode,
                        p.border_val};
  const std::vector<float> mats = to_floats(a.in[1]);
  const bool fixed = fixed_coordinates(p.format, a.in[0].shape(), a.in[0].dtype());
  a.exec.parallel_for(v.out.n * v.out.h, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / v.out.h, oh = row % v.out.h;
      const float* m = mats.data() + n * 6;
      const T* src = a.in[0].data<const T>() + n * v.in.sn;
      T* dst = a.out[0].data<T>() + n * v.out.sn;
      if (!fixed) {
        warp_row<T>(v, src, dst, oh, [&](int64_t ow) {
          const auto x = static_cast<float>(ow), y = static_cast<float>(oh);
          return Point{m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]};
        });
        continue;
      }
      if constexpr (std::is_same_v<T, float> || std::is_same_v<T, uint8_t>) {
        // 10 fraction bits, rounded to the 5 (or none) that are used
        const bool nearest = p.imode == Interp::NEAREST;
        warp_row_fixed<T>(v, p.imode, src, dst, oh, [&](int64_t ow) {
          const auto x = static_cast<double>(ow), y = static_cast<double>(oh);
          const auto at = [&](double mx, double my, double m1) {
            const int64_t sum = round_index((my * y + m1) * 1024.) + round_index(mx * x * 1024.) + (nearest ? 512 : 16);
            return nearest ? (sum >> 10) * 32 : sum >> 5;
          };
          return FixedPoint{at(m[0], m[1], m[2]), at(m[3], m[4], m[5])};
        });
      }
    }
  });
}

void warp_perspective_reference(const KernelArgs& a) {
  dispatch_storage(a.in[0].dtype(), [&](auto tag) { warp_perspective<decltype(tag)>(a); });
}
void warp_affine_reference(const KernelArgs& a) {
  dispatch_storage(a.in[0].dtype(), [&](auto tag) { warp_affine<decltype(tag)>(a); });
}

// The shared checks of both gradients: positions of image, matrices, indices (or -1) and gradient among the inputs.
void check_backward(const InferContext& c, int src, int mat, int idx, int diff) {
  const PP& p = c.param<PP>();
  c.require(p.format == Format::NCHW, "the gradient needs format NCHW");
  c.require(known_border(p.bmode), "border mode ", static_cast<uint32_t>(p.bmode), " is not supported");
  c.require(p.imode == Interp::LINEAR, "the gradient needs imode LINEAR");
  const Image m = infer_image(c, src, p.format), d = infer_image(c, diff, p.format);
  c.require(c.dtype(src).is_float() && c.dtype(src) == c.dtype(diff),
            "image and gradient must have one floating type, got ", c.dtype(src).name(), " and ", c.dtype(diff).name());
  c.require(m.h > 0 && m.w > 0 && d.c == m.c, "gradient ", c.shape(diff), " does not fit image ", c.shape(src));
  if (idx >= 0) {
    c.require(c.dtype(idx).id == DTypeEnum::Int32 && c.shape(idx) == Shape({d.n}), "mat_idx must be Int32 ", Shape{d.n},
              ", got ", c.dtype(idx).name(), " ", c.shape(idx));
  } else {
    c.require(m.n == d.n, "gradient ", c.shape(diff), " does not fit image ", c.shape(src));
  }
  c.require(c.shape(mat) == Shape({d.n, 3, 3}) && c.dtype(mat).is_float(), "the matrices must have the shape ",
            Shape{d.n, 3, 3}, ", got ", c.shape(mat));
}

// inputs: matrices, [image of each matrix], gradient, image
void infer_backward_data(InferContext& c) {
  const bool indexed = c.nin() == 4;
  check_backward(c, c.nin() - 1, 0, indexed ? 1 : -1, c.nin() - 2);
  c.set(0, c.dtype(c.nin() - 1), c.shape(c.nin() - 1));
}

// inputs: image, matrices, [image of each matrix], gradient
void infer_backward_mat(InferContext& c) {
  const bool indexed = c.nin() == 4;
  check_backward(c, 0, 1, indexed ? 2 : -1, c.nin() - 1);
  c.set(0, c.dtype(1), c.shape(1));
}

template <class T>
void backward_data(const KernelArgs& a) {
  const PP& p = a.param<PP>();
  const size_t nin = a.in.size();
  const Image in = image_of(a.out[0].shape(), p.format), out = image_of(a.in[nin - 2].shape(), p.format);
  const auto* index = nin == 4 ? a.in[1].data<const int32_t>() : nullptr;
  const std::vector<float> mats = to_floats(a.in[0]);
  std::fill_n(a.out[0].data<T>(), a.out[0].count(), T(0.f));
  a.exec.parallel_for(out.c, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = 0; n < out.n; ++n) {
      const int64_t image = source_of("WarpPerspectiveBackwardData", index, n, in.n);
      for (int64_t oh = 0; oh < out.h; ++oh) {
        for (int64_t ow = 0; ow < out.w; ++ow) {
          const Corners k = corners(perspective(mats.data() + n * 9, oh, ow), p.bmode, in.h, in.w);
          for (int64_t c = begin; c < end; ++c) {
            const float hidden = a.in[nin - 2].data<const T>()[out.at(n, c, oh, ow)];
            const auto add = [&](int64_t h, int64_t w, float v) {
              if (h < 0 || w < 0) return;
              T& g = a.out[0].data<T>()[in.at(image, c, h, w)];
              g = T(g + v);
            };
            add(k.h0, k.w0, (1.0f - k.aw) * (1.0f - k.ah) * hidden);
            add(k.h1, k.w0, (1.0f - k.aw) * k.ah * hidden);
            add(k.h0, k.w1, k.aw * (1.0f - k.ah) * hidden);
            add(k.h1, k.w1, k.aw * k.ah * hidden);
          }
        }
      }
    }
  });
}

template <class T>
void backward_mat(const KernelArgs& a) {
  const PP& p = a.param<PP>();
  const Tensor& diff = a.in[a.in.size() - 1];
  const Image in = image_of(a.in[0].shape(), p.format), out = image_of(diff.shape(), p.format);
  const auto* index = a.in.size() == 4 ? a.in[2].data<const int32_t>() : nullptr;
  const std::vector<float> mats = to_floats(a.in[1]);
  a.exec.parallel_for(out.n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = source_of("WarpPerspectiveBackwardMat", index, n, in.n);
      const float* m = mats.data() + n * 9;
      float sum[9] = {};
      for (int64_t oh = 0; oh < out.h; ++oh) {
        for (int64_t ow = 0; ow < out.w; ++ow) {
          const auto x = static_cast<float>(ow), y = static_cast<float>(oh);
          const float nw = m[0] * x + m[1] * y + m[2], nh = m[3] * x + m[4] * y + m[5];
          const float d = m[6] * x + m[7] * y + m[8];
          const Corners k = corners({nw / d, nh / d}, p.bmode, in.h, in.w);
          const float ddw = -nw / (d * d), ddh = -nh / (d * d);
          const float dw[9] = {x / d, y / d, 1.0f / d, 0, 0, 0, x * ddw, y * ddw, ddw};
          const float dh[9] = {0, 0, 0, x / d, y / d, 1.0f / d, x * ddh, y * ddh, ddh};
          for (int64_t c = 0; c < out.c; ++c) {
            const auto at = [&](int64_t h, int64_t w) {
              return h < 0 || w < 0 ? p.border_val : static_cast<float>(a.in[0].data<const T>()[in.at(image, c, h, w)]);
            };
            const float v00 = at(k.h0, k.w0), v01 = at(k.h0, k.w1), v10 = at(k.h1, k.w0), v11 = at(k.h1, k.w1);
            const float hidden = diff.data<const T>()[out.at(n, c, oh, ow)];
            float dx = 0, dy = 0;
            dx -= v00 * (1.0f - k.ah), dx += v01 * (1.0f - k.ah), dx -= v10 * k.ah, dx += v11 * k.ah;
            dy -= v00 * (1.0f - k.aw), dy -= v01 * k.aw, dy += v10 * (1.0f - k.aw), dy += v11 * k.aw;
            for (int i = 0; i < 9; ++i) {
              const float delta = hidden * dx * dw[i] + hidden * dy * dh[i];
              if (std::isfinite(delta)) sum[i] += delta;
            }
          }
        }
      }
      dispatch_float(a.out[0].dtype(), [&](auto tag) {
        using M = decltype(tag);
        for (int i = 0; i < 9; ++i) a.out[0].data<M>()[n * 9 + i] = M(sum[i]);
      });
    }
  });
}

void backward_data_reference(const KernelArgs& a) {
  dispatch_float(a.out[0].dtype(), [&](auto tag) { backward_data<decltype(tag)>(a); });
}
void backward_mat_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) { backward_mat<decltype(tag)>(a); });
}

std::vector<Var> grad_warp_perspective(const GradContext& c) {
  std::vector<Var> g(c.in.size());
  const Var& dy = c.dout[0];
  const Params& p = c.attrs.params;
  const bool indexed = c.in.size() == 4;
  if (c.needs[0])
    g[0] = indexed ? emit1("WarpPerspectiveBackwardData", p, {c.in[1], c.in[2], dy, c.in[0]})
                   : emit1("WarpPerspectiveBackwardData", p, {c.in[1], dy, c.in[0]});
  if (c.needs[1])
    g[1] = indexed ? emit1("WarpPerspectiveBackwardMat", p, {c.in[0], c.in[1], c.in[2], dy})
                   : emit1("WarpPerspectiveBackwardMat", p, {c.in[0], c.in[1], dy});
  return g;
}

// Of (matrices, [mat_idx,] dy, image) -> dimage, which is linear in dy: <d, dimage> is <dy, WarpPerspective(d)> without
// the border's value.
std::vector<Var> grad_backward_data(const GradContext& c) {
  Params p = c.attrs.params;
  p.as<param::WarpPerspective>().border_val = 0;
  const size_t at = c.in.size() - 2;  // of dy
  std::vector<Var> g(c.in.size());
  std::vector<Var> in(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(at));
  in.insert(in.begin(), c.dout[0]);
  std::vector<Var> mat = in;
  mat.push_back(c.in[at]);
  if (c.needs[0]) g[0] = emit1("WarpPerspectiveBackwardMat", p, mat);
  const int first = c.attrs.param<param::WarpPerspective>().format == param::ConvolutionFormat::NHWC ? 1 : 2;
  in.push_back(emit1("Concat", param::Axis{0}, {grads::size_of(c.in[at], first), grads::size_of(c.in[at], first + 1)}));
  if (c.needs[at]) g[at] = emit1("WarpPerspective", p, in);
  return g;
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_warp) {
  r.add({.name = "WarpPerspective",
         .doc = "Images seen through 3x3 matrices that map output to input coordinates.",
         .mge = {"WarpPerspectiveV2"},
         .params = &param::WarpPerspective::kSchema,
         .min_inputs = 3,
         .max_inputs = 4,
         .infer = infer_warp_perspective,
         .kernels = {{.name = "reference", .run = warp_perspective_reference}},
         .grad = grad_warp_perspective,
         .exact = true});
  r.add({.name = "WarpPerspectiveBackwardData",
         .doc = "Gradient of WarpPerspective with respect to the image; inputs: matrices, [mat_idx], gradient, image.",
         .mge = {"WarpPerspectiveBackwardDataV2"},
         .params = &param::WarpPerspective::kSchema,
         .min_inputs = 3,
         .max_inputs = 4,
         .infer = infer_backward_data,
         .kernels = {{.name = "reference", .run = backward_data_reference}},
         .grad = grad_backward_data,
         .exact = true});
  r.add(
      {.name = "WarpPerspectiveBackwardMat",
       .doc = "Gradient of WarpPerspective with respect to the matrices; inputs: image, matrices, [mat_idx], gradient.",
       .mge = {"WarpPerspectiveBackwardMatV2"},
       .params = &param::WarpPerspective::kSchema,
       .min_inputs = 3,
       .max_inputs = 4,
       .infer = infer_backward_mat,
       .kernels = {{.name = "reference", .run = backward_mat_reference}},
       .exact = true});
  r.add({.name = "WarpAffine",
         .doc = "Images seen through 2x3 matrices that map output to input coordinates.",
         .mge = {"WarpAffineV2"},
         .params = &param::WarpAffine::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_warp_affine,
         .kernels = {{.name = "reference", .run = warp_affine_reference}},
         .exact = true});
}
