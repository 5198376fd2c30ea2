// Convolution whose taps are moved by learned offsets and weighted by a mask, and its gradients.
//
// Inputs of all three ops begin with im (N, IC, IH, IW), filter, offset (N, 2*DG*FH*FW, OH, OW), mask (N, DG*FH*FW, OH,
// OW): the input channels are divided into DG deformable groups with offsets of their own.
#include "megalith/ops/nn/conv_geometry.h"
#include "megalith/var.h"

namespace megalith {
namespace {

// --- shape rules

conv::Geometry check_inputs(const InferContext& c) {
  for (int i = 0; i < c.nin(); ++i)
    c.require(c.dtype(i).id == DTypeEnum::Float32, "only Float32 is supported, got ", c.dtype(i).name());
  c.require(c.param<param::Convolution>().mode == param::ConvolutionMode::CROSS_CORRELATION,
            "only mode=CROSS_CORRELATION is supported");
  const Shape& offset = c.shape(2);
  const Shape& mask = c.shape(3);
  const conv::Geometry g = conv::check_plain(c, c.shape(0), c.shape(1));
  c.require(offset.ndim() == 4 && mask.ndim() == 4, "offset and mask must have 4 dimensions, got ", offset, " and ",
            mask);
  const int64_t taps = g.fh * g.fw, groups = mask[1] / taps;
  c.require(groups > 0 && mask[1] == groups * taps && offset[1] == 2 * mask[1], "offset ", offset, " and mask ", mask,
            " do not match a ", g.fh, "x", g.fw, " filter");
  c.require(g.g * g.icpg % groups == 0 && g.g * g.ocpg % groups == 0, g.g * g.icpg, " input and ", g.g * g.ocpg,
            " output channels cannot be divided into ", groups, " deformable groups");
  for (const Shape* s : {&offset, &mask})
    c.require((*s)[0] == g.n && (*s)[2] == g.oh && (*s)[3] == g.ow, "offset ", offset, " and mask ", mask,
              " must fit the output ", g.output());
  if (c.nin() == 5) c.require(c.shape(4) == g.output(), "diff must be ", g.output(), ", got ", c.shape(4));
  return g;
}

void infer_forward(InferContext& c) { c.set(0, c.dtype(0), check_inputs(c).output()); }

void infer_backward_data(InferContext& c) {
  check_inputs(c);
  c.set(0, c.dtype(0), c.shape(0));
  c.set(1, c.dtype(0), c.shape(2));
  c.set(2, c.dtype(0), c.shape(3));
}

void infer_backward_filter(InferContext& c) {
  check_inputs(c);
  c.set(0, c.dtype(0), c.shape(1));
}

// --- reference kernels

// The four pixels around a point, weighted by nearness; pixels outside the image count as 0.
struct Bilinear {
  int64_t height, width;
  int64_t row, col;   // upper left
  float down, right;  // distances to it

  Bilinear(int64_t height, int64_t width, float h, float w)
      : height(height),
        width(width),
        row(static_cast<int64_t>(std::floor(h))),
        col(static_cast<int64_t>(std::floor(w))),
        down(h - static_cast<float>(row)),
        right(w - static_cast<float>(col)) {}
  bool inside(int64_t r, int64_t c) const { return r >= 0 && r < height && c >= 0 && c < width; }
  float pixel(const float* im, int64_t r, int64_t c) const { return inside(r, c) ? im[r * width + c] : 0.f; }
  float value(const float* im) const {
    const float up = 1 - down, left = 1 - right;
    return up * left * pixel(im, row, col) + up * right * pixel(im, row, col + 1) +
           down * left * pixel(im, row + 1, col) + down * right * pixel(im, row + 1, col + 1);
  }
  float slope_down(const float* im) const {
    const float left = 1 - right;
    return -left * pixel(im, row, col) - right * pixel(im, row, col + 1) + left * pixel(im, row + 1, col) +
           right * pixel(im, row + 1, col + 1);
  }
  float slope_right(const float* im) const {
    const float up = 1 - down;
    return -up * pixel(im, row, col) + up * pixel(im, row, col + 1) - down * pixel(im, row + 1, col) +
           down * pixel(im, row + 1, col + 1);
  }
  void spread(float* im, float v) const {
    const float up = 1 - down, left = 1 - right;
    auto add = [&](int64_t r, int64_t c, float weight) {
      if (inside(r, c)) im[r * width + c] += weight * v;
    };
    add(row, col, up * left);
    add(row, col + 1, up * right);
    add(row + 1, col, down * left);
    add(row + 1, col + 1, down * right);
  }
};

struct Deformed : conv::Geometry {
  int64_t groups;  // deformable
  const float *im, *filter, *offset, *mask;

  explicit Deformed(const KernelArgs& a)
      : conv::Geometry(conv::plain_geometry(a.param<param::Convolution>(), a.in[0].shape(), a.in[1].shape())),
        groups(a.in[3].dim(1) / (fh * fw)),
        im(a.in[0].data<float>()),
        filter(a.in[1].data<float>()),
        offset(a.in[2].data<float>()),
        mask(a.in[3].data<float>()) {}
  int64_t channels_per_group() const { return g * icpg / groups; }
  const float* image(int64_t n, int64_t ic) const { return im + (n * g * icpg + ic) * ih * iw; }
  // Where tap k of output (oh, ow) finds its mask; its offsets are at twice that index, one plane of outputs apart.
  int64_t mask_at(int64_t n, int64_t dg, int64_t k, int64_t y, int64_t x) const {
    return (((n * groups + dg) * fh * fw + k) * oh + y) * ow + x;
  }
  int64_t offset_at(int64_t n, int64_t dg, int64_t k, int64_t y, int64_t x) const {
    return ((((n * groups + dg) * fh * fw + k) * 2) * oh + y) * ow + x;
  }
  // The point that tap k looks at; false when no pixel of the image is near.
  bool point(int64_t n, int64_t dg, int64_t k, int64_t y, int64_t x, float& h, float& w) const {
    const int64_t at = offset_at(n, dg, k, y, x);
    h = static_cast<float>(y * sh - ph) + static_cast<float>(k / fw * dh) + offset[at];
    w = static_cast<float>(x * sw - pw) + static_cast<float>(k % fw * dw) + offset[at + oh * ow];
    return h > -1.f && w > -1.f && h < static_cast<float>(ih) && w < static_cast<float>(iw);
  }
  float sample(int64_t n, int64_t ic, int64_t k, int64_t y, int64_t x) const {
    float h, w;
    return point(n, ic / channels_per_group(), k, y, x, h, w) ? Bilinear(ih, iw, h, w).value(image(n, ic)) : 0.f;
  }
};

void run_forward(const KernelArgs& a) {
  const Deformed g(a);
  float* dst = a.out[0].data<float>();
  const int64_t taps = g.fh * g.fw, channels = g.g * g.ocpg;
  a.exec.parallel_for(g.n * channels * g.oh, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t oh = i % g.oh, oc = i / g.oh % channels, n = i / g.oh / channels;
      const int64_t first = oc / g.ocpg * g.icpg;
      for (int64_t ow = 0; ow < g.ow; ++ow) {
        float sum = 0;
        for (int64_t ic = 0; ic < g.icpg; ++ic)
          for (int64_t k = 0; k < taps; ++k) {
            const float m = g.mask[g.mask_at(n, (first + ic) / g.channels_per_group(), k, oh, ow)];
            sum += g.sample(n, first + ic, k, oh, ow) * m * g.filter[(oc * g.icpg + ic) * taps + k];
          }
        dst[i * g.ow + ow] = sum;
      }
    }
  });
}

// Threads split by (n, deformable group), so that every gradient has one writer.
void run_backward_data(const KernelArgs& a) {
  const Deformed g(a);
  const float* diff = a.in[4].data<float>();
  float* im_grad = a.out[0].data<float>();
  float* offset_grad = a.out[1].data<float>();
  float* mask_grad = a.out[2].data<float>();
  for (Tensor& t : a.out) std::memset(t.data(), 0, t.bytes());
  const int64_t taps = g.fh * g.fw;
  a.exec.parallel_for(g.n * g.groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / g.groups, dg = i % g.groups;
      const int64_t dg_begin = dg * g.channels_per_group(), dg_end = dg_begin + g.channels_per_group();
      for (int64_t oc = 0; oc < g.g * g.ocpg; ++oc) {
        const int64_t first = oc / g.ocpg * g.icpg;
        const int64_t ic_begin = std::max(first, dg_begin), ic_end = std::min(first + g.icpg, dg_end);
        for (int64_t oh = 0; oh < g.oh; ++oh)
          for (int64_t ow = 0; ow < g.ow; ++ow) {
            const float d = diff[((n * g.g * g.ocpg + oc) * g.oh + oh) * g.ow + ow];
            for (int64_t ic = ic_begin; ic < ic_end; ++ic)
              for (int64_t k = 0; k < taps; ++k) {
                float h, w;
                if (!g.point(n, dg, k, oh, ow, h, w)) continue;
                const Bilinear b(g.ih, g.iw, h, w);
                const float* im = g.image(n, ic);
                const int64_t mask_at = g.mask_at(n, dg, k, oh, ow), offset_at = g.offset_at(n, dg, k, oh, ow);
                const float v = d * g.filter[(oc * g.icpg + ic - first) * taps + k];
                mask_grad[mask_at] += v * b.value(im);
                offset_grad[offset_at] += v * g.mask[mask_at] * b.slope_down(im);
                offset_grad[offset_at + g.oh * g.ow] += v * g.mask[mask_at] * b.slope_right(im);
                b.spread(im_grad + (im - g.im), g.mask[mask_at] * v);
              }
          }
      }
    }
  });
}

void run_backward_filter(const KernelArgs& a) {
  const Deformed g(a);
  const float* diff = a.in[4].data<float>();
  float* grad = a.out[0].data<float>();
  const int64_t taps = g.fh * g.fw, channels = g.g * g.ocpg;
  a.exec.parallel_for(channels * g.icpg * taps, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t k = i % taps, oc = i / taps / g.icpg, ic = oc / g.ocpg * g.icpg + i / taps % g.icpg;
      float sum = 0;
      for (int64_t n = 0; n < g.n; ++n)
        for (int64_t oh = 0; oh < g.oh; ++oh)
          for (int64_t ow = 0; ow < g.ow; ++ow) {
            const float m = g.mask[g.mask_at(n, ic / g.channels_per_group(), k, oh, ow)];
            sum += g.sample(n, ic, k, oh, ow) * m * diff[((n * channels + oc) * g.oh + oh) * g.ow + ow];
          }
      grad[i] = sum;
    }
  });
}

std::vector<Var> grad_forward(const GradContext& c) {
  const Registry& r = Registry::get();
  const std::vector<Var> inputs{c.in[0], c.in[1], c.in[2], c.in[3], c.dout[0]};
  std::vector<Var> dx(4);
  if (c.needs[0] || c.needs[2] || c.needs[3]) {
    const auto d = emit(r.at("DeformableConvBackwardData"), c.attrs, inputs);
    dx[0] = d[0];
    dx[2] = d[1];
    dx[3] = d[2];
  }
  if (c.needs[1]) dx[1] = emit(r.at("DeformableConvBackwardFilter"), c.attrs, inputs)[0];
  return dx;
}

double flops_all(const KernelQuery& q) {
  const Shape& mask = q.in[3].shape;  // (N, ..., OH, OW)
  return 2.0 * static_cast<double>(q.in[1].shape.count()) * static_cast<double>(mask[0] * mask[2] * mask[3]);
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_deformable_conv) {
  r.add({.name = "DeformableConvForward",
         .doc = "Convolution whose taps are moved by offsets and weighted by a mask.",
         .mge = {"DeformableConvForwardV1", 2},
         .params = &param::Convolution::kSchema,
         .policy = true,
         .min_inputs = 4,
         .max_inputs = 4,
         .infer = infer_forward,
         .kernels = {{.name = "reference", .run = run_forward}},
         .grad = grad_forward,
         .flops = flops_all});
  r.add({.name = "DeformableConvBackwardData",
         .doc = "Gradients of DeformableConv with respect to its input, offsets and mask.",
         .mge = {"DeformableConvBackwardDataV1", 2},
         .params = &param::Convolution::kSchema,
         .policy = true,
         .min_inputs = 5,
         .max_inputs = 5,
         .outputs = [](const Attrs&, int) { return 3; },
         .infer = infer_backward_data,
         .kernels = {{.name = "reference", .run = run_backward_data}},
         .flops = flops_all});
  r.add({.name = "DeformableConvBackwardFilter",
         .doc = "Gradient of DeformableConv with respect to its filter.",
         .mge = {"DeformableConvBackwardFilterV1", 2},
         .params = &param::Convolution::kSchema,
         .policy = true,
         .min_inputs = 5,
         .max_inputs = 5,
         .infer = infer_backward_filter,
         .kernels = {{.name = "reference", .run = run_backward_filter}},
         .flops = flops_all});
}
