// The window arithmetic of 2-d convolutions, and the shape rule of those that know plain NCHW tensors only.
#pragma once

#include "megalith/ops/op_util.h"

namespace megalith::conv {

struct Geometry {
  int64_t n, g, ocpg, icpg, ih, iw, oh, ow, fh, fw;
  int64_t ph, pw, sh, sw, dh, dw;
  bool flip;  // CONVOLUTION: tap (0, 0) is the last of the window

  // The row or column of the image that tap `k` of the stored filter meets.
  int64_t input_row(int64_t o, int64_t k) const { return o * sh - ph + (flip ? fh - 1 - k : k) * dh; }
  int64_t input_col(int64_t o, int64_t k) const { return o * sw - pw + (flip ? fw - 1 - k : k) * dw; }
  // The range of output columns whose window column `b` lies inside of the image.
  void columns(int64_t b, int64_t& begin, int64_t& end) const {
    const int64_t off = b * dw - pw;
    begin = off >= 0 ? 0 : (-off + sw - 1) / sw;
    end = iw - 1 - off < 0 ? 0 : std::min(ow, (iw - 1 - off) / sw + 1);
    begin = std::min(begin, ow);
    end = std::max(begin, end);
  }
  Shape output() const { return {n, g * ocpg, oh, ow}; }
};

// Image and output (N, C, H, W), filter (G, OC/G, IC/G, FH, FW).
template <class P>
Geometry geometry(const P& p, const Shape& x, const Shape& f, const Shape& y) {
  return {.n = x[0],
          .g = f[0],
          .ocpg = f[1],
          .icpg = f[2],
          .ih = x[2],
          .iw = x[3],
          .oh = y[2],
          .ow = y[3],
          .fh = f[3],
          .fw = f[4],
          .ph = p.pad_h,
          .pw = p.pad_w,
          .sh = p.stride_h,
          .sw = p.stride_w,
          .dh = p.dilate_h,
          .dw = p.dilate_w,
          .flip = p.mode == param::ConvolutionMode::CONVOLUTION};
}

// Strides, dilations and padding that the window arithmetic can take.
template <class P>
void check_steps(const InferContext& c, const P& p) {
  c.require(p.stride_h > 0 && p.stride_w > 0 && p.dilate_h > 0 && p.dilate_w > 0,
            "stride and dilation must be positive (stride_h=", p.stride_h, ", stride_w=", p.stride_w,
            ", dilate_h=", p.dilate_h, ", dilate_w=", p.dilate_w, ")");
  c.require(p.pad_h < 65536 && p.pad_w < 65536 && p.stride_h < 65536 && p.stride_w < 65536 && p.dilate_h < 65536 &&
                p.dilate_w < 65536,
            "padding, stride or dilation is too large");
  c.require(p.mode <= param::ConvolutionMode::CONVOLUTION && p.sparse <= param::ConvolutionSparse::GROUP,
            "unknown mode or sparse (mode=", static_cast<uint32_t>(p.mode),
            ", sparse=", static_cast<uint32_t>(p.sparse), ")");
}

// ---- plain NCHW: images (N, C, H, W), filters ([G,] OC/G, IC/G, FH, FW)

inline Geometry plain_geometry(const param::Convolution& p, const Shape& src, const Shape& filter) {
  Shape f = filter, y = src;
  if (f.ndim() == 4) f.insert(0, 1);
  y[2] = window_output(src[2], f[3], p.pad_h, p.stride_h, p.dilate_h);
  y[3] = window_output(src[3], f[4], p.pad_w, p.stride_w, p.dilate_w);
  return geometry(p, src, f, y);
}

// Checks everything but the element types, then computes the geometry.
inline Geometry check_plain(const InferContext& c, const Shape& src, const Shape& filter) {
  const auto& p = c.param<param::Convolution>();
  const bool group = p.sparse == param::ConvolutionSparse::GROUP;
  check_steps(c, p);
  c.require(p.format == param::ConvolutionFormat::NCHW, "only format NCHW is supported");
  c.require(src.ndim() == 4, "input must have 4 dimensions, got ", src);
  c.require(filter.ndim() == (group ? 5 : 4), "filter must have ", group ? 5 : 4, " dimensions, got ", filter);
  for (int64_t d : filter) c.require(d > 0 && d < (int64_t{1} << 31), "bad dimension in filter ", filter);
  const Geometry g = plain_geometry(p, src, filter);
  c.require(src[1] % g.g == 0 && src[1] / g.g == g.icpg, "input ", src, " has ", src[1], " channels, but filter ",
            filter, " takes ", g.g, " x ", g.icpg);
  c.require(g.oh > 0 && g.ow > 0, "a ", g.fh, "x", g.fw, " window does not fit input ", src, " (pad_h=", p.pad_h,
            ", pad_w=", p.pad_w, ", dilate_h=", p.dilate_h, ", dilate_w=", p.dilate_w, ")");
  return g;
}

// A multiplication and an addition for every tap, padding included.
inline double plain_flops(const Shape& filter, const Shape& dst) {
  const int at = filter.ndim() - 4;
  return 2.0 * static_cast<double>(dst.count()) * static_cast<double>(filter.count(at + 1, at + 4));
}

}  // namespace megalith::conv
