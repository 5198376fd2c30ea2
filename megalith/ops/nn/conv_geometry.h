// The window arithmetic and shape rule of 2D convolutions on plain NCHW tensors, for the ops that are variations of
// them.
#pragma once

#include "megalith/ops/op_util.h"

namespace megalith {

// filter: (group, ocpg, icpg, FH, FW); the leading dimension is missing when sparse=DENSE
struct ConvGeometry {
  int64_t n, group, icpg, ocpg;
  int64_t ih, iw, oh, ow, fh, fw;
  int64_t stride_h, stride_w, pad_h, pad_w, dilate_h, dilate_w;
  bool flip;  // CONVOLUTION: tap (0, 0) is the last of the window

  int64_t input_row(int64_t oh, int64_t k) const { return oh * stride_h - pad_h + (flip ? fh - 1 - k : k) * dilate_h; }
  int64_t input_col(int64_t ow, int64_t k) const { return ow * stride_w - pad_w + (flip ? fw - 1 - k : k) * dilate_w; }
  Shape output() const { return {n, group * ocpg, oh, ow}; }
};

inline ConvGeometry conv_geometry(const param::Convolution& p, const Shape& src, const Shape& filter) {
  const int at = filter.ndim() - 4;
  ConvGeometry g{};
  g.n = src[0];
  g.group = at ? filter[0] : 1;
  g.ocpg = filter[at];
  g.icpg = filter[at + 1];
  g.fh = filter[at + 2];
  g.fw = filter[at + 3];
  g.ih = src[2];
  g.iw = src[3];
  g.oh = window_output(g.ih, g.fh, p.pad_h, p.stride_h, p.dilate_h);
  g.ow = window_output(g.iw, g.fw, p.pad_w, p.stride_w, p.dilate_w);
  g.stride_h = p.stride_h;
  g.stride_w = p.stride_w;
  g.pad_h = p.pad_h;
  g.pad_w = p.pad_w;
  g.dilate_h = p.dilate_h;
  g.dilate_w = p.dilate_w;
  g.flip = p.mode == param::ConvolutionMode::CONVOLUTION;
  return g;
}

// Checks everything but the element types, then computes the geometry.
inline ConvGeometry check_conv(const InferContext& c, const Shape& src, const Shape& filter) {
  const auto& p = c.param<param::Convolution>();
  const bool group = p.sparse == param::ConvolutionSparse::GROUP;
  c.require(p.format == param::ConvolutionFormat::NCHW, "only format NCHW is supported");
  c.require(src.ndim() == 4, "input must have 4 dimensions, got ", src);
  c.require(filter.ndim() == (group ? 5 : 4), "filter must have ", group ? 5 : 4, " dimensions, got ", filter);
  c.require(p.stride_h > 0 && p.stride_w > 0 && p.dilate_h > 0 && p.dilate_w > 0,
            "strides and dilations must be positive (stride_h=", p.stride_h, ", stride_w=", p.stride_w,
            ", dilate_h=", p.dilate_h, ", dilate_w=", p.dilate_w, ")");
  for (int64_t d : filter) c.require(d > 0 && d < (int64_t{1} << 31), "bad dimension in filter ", filter);
  const ConvGeometry g = conv_geometry(p, src, filter);
  c.require(src[1] % g.group == 0 && src[1] / g.group == g.icpg, "input ", src, " has ", src[1],
            " channels, but filter ", filter, " takes ", g.group, " x ", g.icpg);
  c.require(g.oh > 0 && g.ow > 0, "a ", g.fh, "x", g.fw, " window does not fit input ", src, " (pad_h=", p.pad_h,
            ", pad_w=", p.pad_w, ", dilate_h=", p.dilate_h, ", dilate_w=", p.dilate_w, ")");
  return g;
}

// A multiplication and an addition for every tap, padding included.
inline double conv_flops(const Shape& filter, const Shape& dst) {
  const int at = filter.ndim() - 4;
  return 2.0 * static_cast<double>(dst.count()) * static_cast<double>(filter.count(at + 1, at + 4));
}

}  // namespace megalith
