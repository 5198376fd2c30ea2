// Resampling of images to another height and width.
#include "megalith/kernels/rows.h"
#include "megalith/kernels/scratch.h"
#include "megalith/ops/grad_util.h"
#include "megalith/ops/vision/resize_area.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using namespace vision;
using P = param::Resize;

bool few_channels(const P& p, const Shape& s) { return p.format == Format::NHWC && (s[3] == 1 || s[3] == 3); }

// MegEngine has all modes for NCHW and for interleaved images of 1 or 3 channels, two for the others.
Interp mode_for(const P& p, const Shape& s) {
  return p.format == Format::NCHW || few_channels(p, s) || p.imode == Interp::NEAREST ? p.imode : Interp::LINEAR;
}

bool uses_filter(Interp mode) { return mode == Interp::AREA || mode == Interp::LANCZOS4; }

void check_resize(const InferContext& c, int image) {
  const P& p = c.param<P>();
  c.require(p.imode <= Interp::LANCZOS4, "imode=", static_cast<uint32_t>(p.imode), " is not supported");
  require_image_dtype(c, image);
  infer_image(c, image, p.format);
  const DTypeEnum id = c.dtype(image).id;
  const Interp mode = mode_for(p, c.shape(image));
  c.require(p.format == Format::NHWC || !uses_filter(mode), "imode AREA and LANCZOS4 need format NHWC");
  c.require(
      !few_channels(p, c.shape(image)) || mode == Interp::LINEAR || id == DTypeEnum::Float32 || id == DTypeEnum::Uint8,
      "format NHWC with 1 or 3 channels and imode other than LINEAR needs Float32 or Uint8, got ",
      c.dtype(image).name());
}

void infer_resize(InferContext& c) {
  check_resize(c, 0);
  const Image m = infer_image(c, 0, c.param<P>().format);
  c.set(0, c.dtype(0), infer_sized(c, c.shape(0), m, 1));
}

// inputs: gradient, image
void infer_resize_backward(InferContext& c) {
  const P& p = c.param<P>();
  check_resize(c, 1);
  c.require(p.format == Format::NCHW && p.imode != Interp::AREA && p.imode != Interp::LANCZOS4,
            "the gradient needs format NCHW and imode NEAREST, LINEAR or CUBIC");
  c.require(c.dtype(0) == c.dtype(1) && c.dtype(0).is_float(), "needs one floating type, got ", c.dtype(0).name(),
            " and ", c.dtype(1).name());
  const Image d = infer_image(c, 0, p.format), m = infer_image(c, 1, p.format);
  c.require(d.n == m.n && d.c == m.c && m.h > 0 && m.w > 0 && d.h > 0 && d.w > 0, "gradient ", c.shape(0),
            " does not fit image ", c.shape(1));
  c.set(0, c.dtype(1), c.shape(1));
}

// The source pixels of every output row or column, with their weights.
Filter plain_filter(Interp mode, int64_t in, int64_t out) {
  Filter f;
  const float scale = static_cast<float>(out) / static_cast<float>(in);
  for (int64_t d = 0; d < out; ++d) {
    if (mode == Interp::NEAREST) {
      f.taps.push_back({{std::min(static_cast<int64_t>(static_cast<float>(d) / scale), in - 1), 1.f}});
      continue;
    }
    float x = (static_cast<float>(d) + 0.5f) / scale - 0.5f;
    int64_t s = static_cast<int64_t>(std::floor(x));
    x -= static_cast<float>(s);
    if (mode == Interp::CUBIC) {
      float k[4];
      interpolate_cubic(x, k);
      Taps taps;
      for (int i = 0; i < 4; ++i) taps.push_back({std::clamp<int64_t>(s - 1 + i, 0, in - 1), k[i]});
      f.taps.push_back(std::move(taps));
      continue;
    }
    if (in == 1) {
      f.taps.push_back({{0, 1.f}, {0, 0.f}});
      continue;
    }
    if (s < 0)
      s = 0, x = 0;
    else if (s + 1 >= in)
      s = in - 2, x = 1;
    f.taps.push_back({{s, 1.0f - x}, {s + 1, x}});
  }
  return f;
}

// Interleaved images find the nearest pixel in double precision.
Filter nearest_filter_nhwc(int64_t in, int64_t out) {
  Filter f;
  const double step = 1.0 / (static_cast<double>(out) / static_cast<double>(in));
  for (int64_t d = 0; d < out; ++d)
    f.taps.push_back({{std::min(static_cast<int64_t>(std::floor(static_cast<double>(d) * step)), in - 1), 1.f}});
  return f;
}

template <class T>
void resize(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Image in = image_of(a.in[0].shape(), p.format), out = image_of(a.out[0].shape(), p.format);
  const auto* src = a.in[0].data<const T>();
  auto* dst = a.out[0].data<T>();
  const DTypeEnum id = a.in[0].dtype().id;
  const bool interleaved =
      p.format == Format::NHWC && (in.c == 1 || in.c == 3) && (id == DTypeEnum::Float32 || id == DTypeEnum::Uint8);
  const Interp mode = mode_for(p, a.in[0].shape());
  const bool opencv = uses_filter(mode) || (interleaved && mode == Interp::CUBIC);
  const bool wraps = id == DTypeEnum::Int8;  // MegEngine does not clamp plain Int8; only CUBIC can leave its range
  const bool shrink = in.h >= out.h && in.w >= out.w;
  const auto filter = [&](int64_t from, int64_t to) {
    if (opencv) return make_filter(mode, from, to, shrink);
    if (interleaved && mode == Interp::NEAREST) return nearest_filter_nhwc(from, to);
    return plain_filter(mode, from, to);
  };
  const Filter fh = filter(in.h, out.h), fw = filter(in.w, out.w);
  a.exec.parallel_for(out.n * out.c, 1, [&](int64_t begin, int64_t end) {
    for (int64_t nc = begin; nc < end; ++nc) {
      const T* plane = src + in.at(nc / out.c, nc % out.c, 0, 0);
      T* to = dst + out.at(nc / out.c, nc % out.c, 0, 0);
      for (int64_t h = 0; h < out.h; ++h) {
        const Taps& th = fh.taps[static_cast<size_t>(h)];
        for (int64_t w = 0; w < out.w; ++w) {
          const Taps& tw = fw.taps[static_cast<size_t>(w)];
          const auto at = [&](int64_t y, int64_t x) { return plane[y * in.sh + x * in.sw]; };
          T& o = to[h * out.sh + w * out.sw];
          if (th.size() == 1 && tw.size() == 1) {
            o = at(th[0].at, tw[0].at);
            continue;
          }
          if constexpr (std::is_same_v<T, uint8_t> || std::is_same_v<T, float>) {
            if (opencv) {
              o = filtered<T>(th, tw, mode, shrink, at);
              continue;
            }
          }
          float sum = 0;
          for (const Tap& y : th)
            for (const Tap& x : tw) sum += static_cast<float>(at(y.at, x.at)) * x.weight * y.weight;
          if constexpr (std::is_same_v<T, int8_t>) {
            if (wraps) {
              o = static_cast<int8_t>(static_cast<int32_t>(std::round(sum)));
              continue;
            }
          }
          o = round_to<T>(sum);
        }
      }
    }
  });
}

void resize_reference(const KernelArgs& a) {
  dispatch_storage(a.in[0].dtype(), [&](auto tag) { resize<decltype(tag)>(a); });
}

// Planes of Float32 by NEAREST and LINEAR, row by row: the pixels that a row takes from another are brought together
// first, and kept as long as output rows read them.
bool resize_rows_accept(const KernelQuery& q) {
  const P& p = q.attrs.param<P>();
  return q.in[0].dtype.id == DTypeEnum::Float32 && p.format == Format::NCHW &&
         (p.imode == Interp::NEAREST || p.imode == Interp::LINEAR);
}

void resize_rows(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Image in = image_of(a.in[0].shape(), p.format), out = image_of(a.out[0].shape(), p.format);
  const Filter fh = plain_filter(p.imode, in.h, out.h), fw = plain_filter(p.imode, in.w, out.w);
  const bool linear = p.imode == Interp::LINEAR;
  const auto width = static_cast<size_t>(out.w);
  std::vector<float> weights(2 * width);
  for (size_t w = 0; linear && w < width; ++w) {
    weights[w] = fw.taps[w][0].weight;
    weights[width + w] = fw.taps[w][1].weight;
  }
  const int64_t planes = out.n * out.c, grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, out.h * out.w));
  a.exec.parallel_for(planes, grain, [&](int64_t begin, int64_t end) {
    const rows::Fn bilinear = rows::bilinear();
    std::vector<float> brought(linear ? 4 * width : 0);
    for (int64_t plane = begin; plane < end; ++plane) {
      const float* src = a.in[0].data<float>() + plane * in.h * in.w;
      float* to = a.out[0].data<float>() + plane * out.h * out.w;
      int64_t held[2] = {-1, -1};  // rows of which the pixels are in `brought`
      for (int64_t h = 0; h < out.h; ++h, to += out.w) {
        const Taps& th = fh.taps[static_cast<size_t>(h)];
        if (!linear) {
          const float* row = src + th[0].at * in.w;
          if (h > 0 && fh.taps[static_cast<size_t>(h - 1)][0].at == th[0].at) {
            std::copy_n(to - out.w, out.w, to);
          } else {
            for (size_t w = 0; w < width; ++w) to[w] = row[fw.taps[w][0].at];
          }
          continue;
        }
        const float* operands[8];
        float repeated[2][rows::kRepeat];
        for (size_t k = 0; k < 2; ++k) {
          const int64_t y = th[k].at;
          const int64_t other = th[1 - k].at;
          const size_t place = held[0] == y ? 0 : held[1] == y ? 1 : held[0] == other ? 1 : 0;
          float* pixels = brought.data() + place * 2 * width;
          if (held[place] != y) {
            held[place] = y;
            for (size_t w = 0; w < width; ++w) {
              pixels[w] = src[y * in.w + fw.taps[w][0].at];
              pixels[width + w] = src[y * in.w + fw.taps[w][1].at];
            }
          }
          operands[2 * k] = pixels;
          operands[2 * k + 1] = pixels + width;
          operands[4 + k] = weights.data() + k * width;
          std::fill_n(repeated[k], rows::kRepeat, th[k].weight);
          operands[6 + k] = repeated[k];
        }
        static constexpr int64_t kSteps[] = {1, 1, 1, 1, 1, 1, 0, 0};
        bilinear(operands, kSteps, to, out.w);
      }
    }
  });
}

template <class T>
void resize_backward(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Image in = image_of(a.in[1].shape(), p.format), out = image_of(a.in[0].shape(), p.format);
  const Filter fh = plain_filter(p.imode, in.h, out.h), fw = plain_filter(p.imode, in.w, out.w);
  a.exec.parallel_for(in.n * in.c, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(in.h * in.w));
    for (int64_t nc = begin; nc < end; ++nc) {
      const T* diff = a.in[0].data<const T>() + nc * out.h * out.w;
      T* grad = a.out[0].data<T>() + nc * in.h * in.w;
      std::fill(sum.begin(), sum.end(), 0.f);
      for (int64_t h = 0; h < out.h; ++h)
        for (int64_t w = 0; w < out.w; ++w)
          for (const Tap& x : fw.taps[static_cast<size_t>(w)])
            for (const Tap& y : fh.taps[static_cast<size_t>(h)])
              sum[static_cast<size_t>(y.at * in.w + x.at)] +=
                  x.weight * y.weight * static_cast<float>(diff[h * out.w + w]);
      for (size_t i = 0; i < sum.size(); ++i) grad[i] = T(sum[i]);
    }
  });
}

void resize_backward_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) { resize_backward<decltype(tag)>(a); });
}

std::vector<Var> grad_resize(const GradContext& c) {
  return {emit1("ResizeBackward", c.attrs.params, {c.dout[0], c.in[0]}), {}};
}

// Linear in the gradient: what flows back, resized to its size.
std::vector<Var> grad_resize_backward(const GradContext& c) {
  if (!c.needs[0]) return {{}, {}};
  const int first = c.attrs.param<param::Resize>().format == param::ConvolutionFormat::NHWC ? 1 : 2;
  const Var size =
      emit1("Concat", param::Axis{0}, {grads::size_of(c.in[0], first), grads::size_of(c.in[0], first + 1)});
  return {emit1("Resize", c.attrs.params, {c.dout[0], size}), {}};
}

using P3 = param::Resize3D;

void infer_resize3d(InferContext& c) {
  const P3& p = c.param<P3>();
  const Shape& s = c.shape(0);
  c.require(p.imode == Interp::LINEAR && p.format == param::Convolution3DFormat::NCDHW,
            "only imode LINEAR and format NCDHW are supported");
  c.require(c.dtype(0).is_float(), "the image must have a floating type, got ", c.dtype(0).name());
  c.require(s.ndim() == 5 && s[2] > 0 && s[3] > 0 && s[4] > 0, "the image must have 5 dimensions, none empty, got ", s);
  const std::vector<int64_t> size = target_sizes(c, 1, 3);
  c.set(0, c.dtype(0), {s[0], s[1], size[0], size[1], size[2]});
}

Filter filter_3d(bool align_corners, int64_t in, int64_t out) {
  Filter f;
  const float scale = align_corners ? (out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.f)
                                    : static_cast<float>(in) / static_cast<float>(out);
  for (int64_t d = 0; d < out; ++d) {
    const float x =
        align_corners ? scale * static_cast<float>(d) : std::max(0.f, scale * (static_cast<float>(d) + 0.5f) - 0.5f);
    const int64_t s = std::min(static_cast<int64_t>(x), in - 1);
    const float frac = x - static_cast<float>(s);
    f.taps.push_back({{s, 1.f - frac}, {std::min(s + 1, in - 1), frac}});
  }
  return f;
}

template <class T>
void resize3d(const KernelArgs& a) {
  const Tensor &src = a.in[0], &dst = a.out[0];
  const bool align = a.param<P3>().align_corners;
  const Filter fd = filter_3d(align, src.dim(2), dst.dim(2)), fh = filter_3d(align, src.dim(3), dst.dim(3)),
               fw = filter_3d(align, src.dim(4), dst.dim(4));
  const int64_t in_h = src.dim(3), in_w = src.dim(4);
  a.exec.parallel_for(dst.dim(0) * dst.dim(1), 1, [&](int64_t begin, int64_t end) {
    for (int64_t nc = begin; nc < end; ++nc) {
      const T* from = src.data<const T>() + nc * src.dim(2) * in_h * in_w;
      T* to = dst.data<T>() + nc * dst.shape().count(2, 5);
      for (const Taps& td : fd.taps)
        for (const Taps& th : fh.taps)
          for (const Taps& tw : fw.taps) {
            float sum = 0;
            for (const Tap& z : td) {
              float plane = 0;
              for (const Tap& y : th) {
                float row = 0;
                for (const Tap& x : tw) row += x.weight * static_cast<float>(from[(z.at * in_h + y.at) * in_w + x.at]);
                plane += y.weight * row;
              }
              sum += z.weight * plane;
            }
            *to++ = T(sum);
          }
    }
  });
}

void resize3d_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) { resize3d<decltype(tag)>(a); });
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_resize) {
  r.add({.name = "Resize",
         .doc = "Images resampled to the height and width given by input 1.",
         .mge = {"ResizeV2"},
         .params = &param::Resize::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_resize,
         .kernels = {{.name = "rows", .run = resize_rows, .accepts = resize_rows_accept},
                     {.name = "reference", .run = resize_reference}},
         .grad = grad_resize,
         .exact = true});
  r.add({.name = "ResizeBackward",
         .doc = "Gradient of Resize; inputs: gradient, image.",
         .mge = {"ResizeBackward"},
         .params = &param::Resize::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_resize_backward,
         .kernels = {{.name = "reference", .run = resize_backward_reference}},
         .grad = grad_resize_backward,
         .exact = true});
  r.add({.name = "Resize3D",
         .doc = "Volumes resampled linearly to the depth, height and width given by input 1.",
         .mge = {"Resize3D"},
         .params = &param::Resize3D::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_resize3d,
         .kernels = {{.name = "reference", .run = resize3d_reference}},
         .exact = true});
}
