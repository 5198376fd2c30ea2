// Where the elements of an image batch lie in each tensor format, seen as rows of `inner` neighbours that pool alike.
#pragma once

#include "megalith/ops/op_util.h"

namespace megalith::pool {

struct Spatial {
  int h = 2, w = 3;  // axes
};

inline Spatial spatial_axes(const InferContext& c, param::ConvolutionFormat format) {
  using F = param::ConvolutionFormat;
  const int ndim = c.shape(0).ndim();
  int want = 5;
  Spatial s;
  int64_t block = 0;  // what the last dimension must be
  switch (format) {
    case F::NCHW: want = 4; break;
    case F::NHWC:
      want = 4;
      s = {1, 2};
      break;
    case F::NCHW4:
    case F::NCHW44: block = 4; break;
    case F::NCHW88: block = 8; break;
    case F::NCHW32: block = 32; break;
    case F::NCHW64: block = 64; break;
    case F::CHWN4:
      block = 4;
      s = {1, 2};
      break;
    case F::NHWCD4:
      block = 4;
      s = {1, 3};
      break;
    default: c.fail("format ", static_cast<uint32_t>(format), " can't be pooled");
  }
  c.require(ndim == want, "input has shape ", c.shape(0), ", this format needs ", want, " dimensions");
  c.require(block == 0 || c.shape(0)[4] == block, "input has shape ", c.shape(0), ", last dimension must be ", block);
  return s;
}

// Element offset of (image, y, x, i): image runs over everything that is not y, x or inner.
struct Grid {
  int64_t outer = 1, groups = 1, h = 0, w = 0, inner = 1;
  int64_t outer_stride = 0, group_stride = 0, h_stride = 0, w_stride = 0;

  int64_t images() const { return outer * groups; }
  int64_t base(int64_t image) const { return image / groups * outer_stride + image % groups * group_stride; }
};

inline Grid make_grid(const Shape& s, param::ConvolutionFormat format) {
  using F = param::ConvolutionFormat;
  Grid g;
  switch (format) {
    case F::NHWC: g = {s[0], 1, s[1], s[2], s[3]}; break;
    case F::CHWN4: g = {s[0], 1, s[1], s[2], s[3] * s[4]}; break;
    case F::NHWCD4: g = {s[0], s[2], s[1], s[3], s[4]}; break;
    default: g = {s[0] * s[1], 1, s[2], s[3], s.ndim() == 5 ? s[4] : 1}; break;
  }
  g.w_stride = g.inner;
  g.group_stride = g.w * g.inner;
  g.h_stride = g.groups * g.group_stride;
  g.outer_stride = g.h * g.h_stride;
  return g;
}

struct Window {
  param::PoolingMode mode;
  int64_t h, w, pad_h, pad_w, stride_h, stride_w;
};

void check_dtype(const InferContext& c);
void check_mode(const InferContext& c, param::PoolingMode mode);
// Whether the vector kernels (kernels/pooling.h) take the format: one run of channels or columns.
bool vector_accepts(const KernelQuery& q, param::ConvolutionFormat format);
bool forward_accepts(const KernelQuery& q, const Window& win, param::ConvolutionFormat format);  // and bytes
void forward_vector(const KernelArgs& a, const Window& win, param::ConvolutionFormat format);
void backward_vector(const KernelArgs& a, const Tensor& src, const Tensor& diff, const Window& win,
                     param::ConvolutionFormat format);

void forward(const KernelArgs& a, const Window& win, param::ConvolutionFormat format);
// Inputs: source, result, gradient of the result. Accumulates window by window in output order.
void backward(const KernelArgs& a, const Tensor& src, const Tensor& diff, const Window& win,
              param::ConvolutionFormat format);

}  // namespace megalith::pool
