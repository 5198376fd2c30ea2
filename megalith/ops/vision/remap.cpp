// Images sampled at the positions of a map.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/vision/image.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using namespace vision;
using P = param::Remap;

void check_remap(const InferContext& c, int src, int map) {
  const P& p = c.param<P>();
  require_image_dtype(c, src);
  c.require(p.imode == Interp::LINEAR || p.imode == Interp::NEAREST, "only imode LINEAR and NEAREST are supported");
  c.require(known_border(p.border_type), "border_type=", static_cast<uint32_t>(p.border_type), " is not supported");
  const Image m = infer_image(c, src, p.format);
  c.require(m.h > 0 && m.w > 0, "the image is empty: ", c.shape(src));
  c.require(c.dtype(map).id == DTypeEnum::Float32, "the map must be Float32, got ", c.dtype(map).name());
  const Shape& s = c.shape(map);
  c.require(s.ndim() == 4 && s[0] == m.n && s[3] == 2, "the map must have the shape (", m.n,
            ", height, width, 2), got ", s);
}

Shape remapped(const InferContext& c, int src, int map) {
  const Image m = infer_image(c, src, c.param<P>().format);
  Shape out = c.shape(src);
  out[m.h_axis] = c.shape(map)[1];
  out[m.w_axis] = c.shape(map)[2];
  return out;
}

void infer_remap(InferContext& c) {
  check_remap(c, 0, 1);
  c.set(0, c.dtype(0), remapped(c, 0, 1));
}

void check_backward(const InferContext& c, int src, int map, int diff) {
  check_remap(c, src, map);
  c.require(c.param<P>().format == Format::NCHW, "the gradient needs format NCHW");
  c.require(c.dtype(src).is_float() && c.dtype(diff) == c.dtype(src),
            "image and gradient must have one floating type, got ", c.dtype(src).name(), " and ", c.dtype(diff).name());
  c.require(c.shape(diff) == remapped(c, src, map), "the gradient must have the shape ", remapped(c, src, map),
            ", got ", c.shape(diff));
}

// inputs: map, gradient, image
void infer_backward_data(InferContext& c) {
  check_backward(c, 2, 0, 1);
  c.set(0, c.dtype(2), c.shape(2));
}

// inputs: image, map, gradient
void infer_backward_mat(InferContext& c) {
  check_backward(c, 0, 1, 2);
  c.set(0, c.dtype(1), c.shape(1));
}

// The pixels around one position of the map, and how much each counts.
struct Sample {
  int64_t h[2], w[2];
  float u, v;  // fractions along h and w
};

int64_t round_even(float v) {
  const float away = std::round(v), diff = away - v;
  const bool tie = diff == 0.5f || diff == -0.5f;
  return to_index(tie && std::fmod(away, 2.0f) != 0.0f ? v - diff : away);
}

Sample sample(const P& p, const float* xy, int64_t height, int64_t width) {
  if (p.imode == Interp::NEAREST) {
    const int64_t h = border(p.border_type, round_even(xy[1]), height);
    const int64_t w = border(p.border_type, round_even(xy[0]), width);
    return {{h, h}, {w, w}, 0, 0};
  }
  const float fw = std::floor(xy[0]), fh = std::floor(xy[1]);
  const int64_t col = to_index(fw), row = to_index(fh);
  const auto b = [&](int64_t i, int64_t len) { return border(p.border_type, i, len); };
  return {{b(row, height), b(row + 1, height)}, {b(col, width), b(col + 1, width)}, xy[1] - fh, xy[0] - fw};
}

template <class T>
void remap(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Image in = image_of(a.in[0].shape(), p.format), out = image_of(a.out[0].shape(), p.format);
  const float outside = round_to<T>(p.scalar);
  a.exec.parallel_for(out.n * out.h, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / out.h, oh = row % out.h;
      for (int64_t ow = 0; ow < out.w; ++ow) {
        const Sample s = sample(p, a.in[1].data<const float>() + (row * out.w + ow) * 2, in.h, in.w);
        for (int64_t c = 0; c < out.c; ++c) {
          const auto at = [&](int i, int j) {
            return s.h[i] < 0 || s.w[j] < 0 ? outside
                                            : static_cast<float>(a.in[0].data<const T>()[in.at(n, c, s.h[i], s.w[j])]);
          };
          T& o = a.out[0].data<T>()[out.at(n, c, oh, ow)];
          if (p.imode == Interp::NEAREST)
            o = round_to<T>(at(0, 0));
          else
            o = round_to<T>(at(0, 0) * (1.f - s.v) * (1.f - s.u) + at(0, 1) * (1.f - s.u) * s.v +
                            at(1, 0) * (1.f - s.v) * s.u + at(1, 1) * s.u * s.v);
        }
      }
    }
  });
}

template <class T>
void backward_data(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Image in = image_of(a.out[0].shape(), p.format), out = image_of(a.in[1].shape(), p.format);
  std::fill_n(a.out[0].data<T>(), a.out[0].count(), T(0.f));
  a.exec.parallel_for(out.c, 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = 0; at < out.n * out.h * out.w; ++at) {
      const int64_t n = at / (out.h * out.w);
      const Sample s = sample(p, a.in[0].data<const float>() + at * 2, in.h, in.w);
      for (int64_t c = begin; c < end; ++c) {
        const float hidden = a.in[1].data<const T>()[out.at(n, c, at / out.w % out.h, at % out.w)];
        const auto add = [&](int i, int j, float v) {
          if (s.h[i] < 0 || s.w[j] < 0) return;
          T& g = a.out[0].data<T>()[in.at(n, c, s.h[i], s.w[j])];
          g = T(g + T(v));
        };
        if (p.imode == Interp::NEAREST) {
          add(0, 0, hidden);
          continue;
        }
        add(0, 0, (1.f - s.v) * (1.f - s.u) * hidden);
        add(0, 1, (1.f - s.u) * s.v * hidden);
        add(1, 0, s.u * (1.f - s.v) * hidden);
        add(1, 1, s.v * s.u * hidden);
      }
    }
  });
}

template <class T>
void backward_mat(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Image in = image_of(a.in[0].shape(), p.format), out = image_of(a.in[2].shape(), p.format);
  a.exec.parallel_for(out.n * out.h * out.w, 16, [&](int64_t begin, int64_t end) {
    for (int64_t pos = begin; pos < end; ++pos) {
      const int64_t n = pos / (out.h * out.w);
      const Sample s = sample(p, a.in[1].data<const float>() + pos * 2, in.h, in.w);
      float dx = 0, dy = 0;
      for (int64_t c = 0; c < out.c && p.imode == Interp::LINEAR; ++c) {
        const auto at = [&](int i, int j) {
          return s.h[i] < 0 || s.w[j] < 0 ? p.scalar
                                          : static_cast<float>(a.in[0].data<const T>()[in.at(n, c, s.h[i], s.w[j])]);
        };
        const float hidden = a.in[2].data<const T>()[out.at(n, c, pos / out.w % out.h, pos % out.w)];
        float du = 0, dv = 0;
        dv -= at(0, 0) * (1.f - s.u), dv += at(0, 1) * (1.f - s.u), dv -= at(1, 0) * s.u, dv += at(1, 1) * s.u;
        du -= at(0, 0) * (1.f - s.v), du -= at(0, 1) * s.v, du += at(1, 0) * (1.f - s.v), du += at(1, 1) * s.v;
        dx += hidden * dv;
        dy += hidden * du;
      }
      a.out[0].data<float>()[pos * 2] = dx;
      a.out[0].data<float>()[pos * 2 + 1] = dy;
    }
  });
}

void remap_reference(const KernelArgs& a) {
  dispatch_storage(a.in[0].dtype(), [&](auto tag) { remap<decltype(tag)>(a); });
}
void backward_data_reference(const KernelArgs& a) {
  dispatch_float(a.out[0].dtype(), [&](auto tag) { backward_data<decltype(tag)>(a); });
}
void backward_mat_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) { backward_mat<decltype(tag)>(a); });
}

std::vector<Var> grad_remap(const GradContext& c) {
  std::vector<Var> g(2);
  if (c.needs[0]) g[0] = emit1("RemapBackwardData", c.attrs.params, {c.in[1], c.dout[0], c.in[0]});
  if (c.needs[1]) g[1] = emit1("RemapBackwardMat", c.attrs.params, {c.in[0], c.in[1], c.dout[0]});
  return g;
}

// Of (map, dy, image) -> dimage, which is linear in dy: <d, dimage> is <dy, Remap(d)> without the border's value.
std::vector<Var> grad_backward_data(const GradContext& c) {
  Params p = c.attrs.params;
  p.as<param::Remap>().scalar = 0;
  std::vector<Var> g(3);
  if (c.needs[0]) g[0] = emit1("RemapBackwardMat", p, {c.dout[0], c.in[0], c.in[1]});
  if (c.needs[1]) g[1] = emit1("Remap", p, {c.dout[0], c.in[0]});
  return g;
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_remap) {
  const auto add = [&](const char* name, const char* mge, const char* doc, int inputs, void (*infer)(InferContext&),
                       void (*run)(const KernelArgs&), std::vector<Var> (*grad)(const GradContext&)) {
    r.add({.name = name,
           .doc = doc,
           .mge = {mge},
           .params = &param::Remap::kSchema,
           .min_inputs = inputs,
           .max_inputs = inputs,
           .infer = infer,
           .kernels = {{.name = "reference", .run = run}},
           .grad = grad,
           .exact = true});
  };
  add("Remap", "RemapV1", "Images sampled at the positions (x, y) of a map.", 2, infer_remap, remap_reference,
      grad_remap);
  add("RemapBackwardData", "RemapBackwardDataV1",
      "Gradient of Remap with respect to the image; inputs: map, gradient, image.", 3, infer_backward_data,
      backward_data_reference, grad_backward_data);
  add("RemapBackwardMat", "RemapBackwardMatV1",
      "Gradient of Remap with respect to the map; inputs: image, map, gradient.", 3, infer_backward_mat,
      backward_mat_reference, nullptr);
}
