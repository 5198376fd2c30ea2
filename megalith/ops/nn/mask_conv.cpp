// Convolution at the places that a mask selects, and the mask of the places that such a convolution can reach.
#include "megalith/ops/nn/conv_geometry.h"

namespace megalith {
namespace {

void check_mask_dtype(const InferContext& c, DType t) {
  c.require(t.is_int(), "the mask must be integers, got ", t.name());
}

// inputs: src, filter, mask (OH, OW)
void infer_mask_convolution(InferContext& c) {
  c.require(c.dtype(0).id == DTypeEnum::Float32 && c.dtype(1).id == DTypeEnum::Float32,
            "input and filter must be Float32, got ", c.dtype(0).name(), " and ", c.dtype(1).name());
  check_mask_dtype(c, c.dtype(2));
  const conv::Geometry g = conv::check_plain(c, c.shape(0), c.shape(1));
  c.require(c.shape(2) == Shape({g.oh, g.ow}), "the mask must be ", Shape({g.oh, g.ow}), ", got ", c.shape(2));
  c.set(0, c.dtype(0), g.output());
}

template <class M>
void mask_convolution(const KernelArgs& a, const M* mask) {
  const conv::Geometry g = conv::plain_geometry(a.param<param::Convolution>(), a.in[0].shape(), a.in[1].shape());
  const float* src = a.in[0].data<float>();
  const float* filter = a.in[1].data<float>();
  float* dst = a.out[0].data<float>();
  a.exec.parallel_for(g.n * g.g * g.ocpg, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {  // (n, group, oc)
      const int64_t image = i / g.ocpg;
      const float* x = src + image * g.icpg * g.ih * g.iw;
      const float* w = filter + i % (g.g * g.ocpg) * g.icpg * g.fh * g.fw;
      for (int64_t oh = 0; oh < g.oh; ++oh)
        for (int64_t ow = 0; ow < g.ow; ++ow) {
          float sum = 0;
          if (mask[oh * g.ow + ow] != 0) {
            for (int64_t kh = 0; kh < g.fh; ++kh) {
              const int64_t ih = g.input_row(oh, kh);
              if (ih < 0 || ih >= g.ih) continue;
              for (int64_t kw = 0; kw < g.fw; ++kw) {
                const int64_t iw = g.input_col(ow, kw);
                if (iw < 0 || iw >= g.iw) continue;
                for (int64_t ic = 0; ic < g.icpg; ++ic)
                  sum += x[(ic * g.ih + ih) * g.iw + iw] * w[(ic * g.fh + kh) * g.fw + kw];
              }
            }
          }
          dst[(i * g.oh + oh) * g.ow + ow] = sum;
        }
    }
  });
}

template <class F>
void dispatch_mask(DType t, F&& fn) {
  dispatch_storage(t, [&](auto v) {
    if constexpr (std::is_integral_v<decltype(v)>) fn(v);
  });
}

void run_mask_convolution(const KernelArgs& a) {
  dispatch_mask(a.in[2].dtype(), [&](auto v) { mask_convolution(a, a.in[2].data<decltype(v)>()); });
}

void infer_mask_propagate(InferContext& c) {
  const auto& p = c.param<param::MaskPropagate>();
  check_mask_dtype(c, c.dtype(0));
  c.require(c.shape(0).ndim() == 2, "the mask must have 2 dimensions, got ", c.shape(0));
  c.require(p.kernel_h > 0 && p.kernel_w > 0 && p.stride_h > 0 && p.stride_w > 0 && p.dilate_h > 0 && p.dilate_w > 0,
            "kernel, strides and dilations must be positive (kernel_h=", p.kernel_h, ", kernel_w=", p.kernel_w,
            ", stride_h=", p.stride_h, ", stride_w=", p.stride_w, ", dilate_h=", p.dilate_h, ", dilate_w=", p.dilate_w,
            ")");
  c.require(p.kernel_h < 1u << 31 && p.kernel_w < 1u << 31 && p.dilate_h < 1u << 31 && p.dilate_w < 1u << 31,
            "kernel or dilation is too large");
  const int64_t oh = window_output(c.shape(0)[0], p.kernel_h, p.pad_h, p.stride_h, p.dilate_h);
  const int64_t ow = window_output(c.shape(0)[1], p.kernel_w, p.pad_w, p.stride_w, p.dilate_w);
  c.require(oh > 0 && ow > 0, "a ", p.kernel_h, "x", p.kernel_w, " window does not fit the mask ", c.shape(0));
  c.set(0, c.dtype(0), {oh, ow});
}

// The taps k of a window that fall on one of `n` elements: begin + k * dilate in [0, n).
std::pair<int64_t, int64_t> taps_inside(int64_t begin, int64_t dilate, int64_t kernel, int64_t n) {
  const auto first_at = [&](int64_t at) { return at <= begin ? 0 : (at - begin + dilate - 1) / dilate; };
  return {first_at(0), std::min(kernel, first_at(n))};
}

template <class T>
void mask_propagate(const param::MaskPropagate& p, const Tensor& src, const Tensor& dst) {
  const T* s = src.data<T>();
  T* d = dst.data<T>();
  const int64_t dh = p.dilate_h, dw = p.dilate_w;
  for (int64_t oh = 0; oh < dst.dim(0); ++oh)
    for (int64_t ow = 0; ow < dst.dim(1); ++ow) {
      const int64_t ih = oh * p.stride_h - p.pad_h, iw = ow * p.stride_w - p.pad_w;
      const auto [top, bottom] = taps_inside(ih, dh, p.kernel_h, src.dim(0));
      const auto [left, right] = taps_inside(iw, dw, p.kernel_w, src.dim(1));
      bool reached = false;
      for (int64_t kh = top; kh < bottom && !reached; ++kh)
        for (int64_t kw = left; kw < right && !reached; ++kw)
          reached = s[(ih + kh * dh) * src.dim(1) + iw + kw * dw] != 0;
      d[oh * dst.dim(1) + ow] = reached;
    }
}

void run_mask_propagate(const KernelArgs& a) {
  dispatch_mask(a.in[0].dtype(),
                [&](auto v) { mask_propagate<decltype(v)>(a.param<param::MaskPropagate>(), a.in[0], a.out[0]); });
}

double flops_mask_convolution(const KernelQuery& q) { return conv::plain_flops(q.in[1].shape, q.out[0].shape); }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_mask_conv) {
  r.add({.name = "MaskConvolution",
         .doc = "Convolution that gives 0 where the mask is 0.",
         .mge = {"MaskConvolutionV2"},
         .params = &param::Convolution::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_mask_convolution,
         .kernels = {{.name = "reference", .run = run_mask_convolution}},
         .flops = flops_mask_convolution});
  r.add({.name = "MaskPropagate",
         .doc = "1 where the window of a convolution meets a nonzero element of the mask.",
         .mge = {"MaskPropagate"},
         .params = &param::MaskPropagate::kSchema,
         .infer = infer_mask_propagate,
         .kernels = {{.name = "reference", .run = run_mask_propagate}},
         .exact = true});
}
