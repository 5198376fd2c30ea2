// Copying between images (N, C, IH, IW) and their windows (N, C, OH, OW, window_h, window_w).
#pragma once

#include "megalith/ops/op_util.h"

namespace megalith {

// The windows of `image`; P is param::Images2Neibs or param::SlidingWindowTranspose.
template <class P>
Shape check_windows(const InferContext& c, const P& p, const Shape& image) {
  c.require(image.ndim() == 4, "the image must have 4 dimensions, got ", image);
  c.require(p.stride_h > 0 && p.stride_w > 0 && p.dilate_h > 0 && p.dilate_w > 0 && p.window_h > 0 && p.window_w > 0,
            "windows, strides and dilations must be positive (window_h=", p.window_h, ", window_w=", p.window_w,
            ", stride_h=", p.stride_h, ", stride_w=", p.stride_w, ", dilate_h=", p.dilate_h, ", dilate_w=", p.dilate_w,
            ")");
  c.require(p.window_h < 1u << 31 && p.window_w < 1u << 31 && p.dilate_h < 1u << 31 && p.dilate_w < 1u << 31,
            "window or dilation is too large");
  const int64_t oh = window_output(image[2], p.window_h, p.pad_h, p.stride_h, p.dilate_h);
  const int64_t ow = window_output(image[3], p.window_w, p.pad_w, p.stride_w, p.dilate_w);
  c.require(oh > 0 && ow > 0, "a ", p.window_h, "x", p.window_w, " window does not fit image ", image,
            " (pad_h=", p.pad_h, ", pad_w=", p.pad_w, ")");
  return {image[0], image[1], oh, ow, p.window_h, p.window_w};
}

// Calls fn(image offset or -1 in the padding, offset in the windows) for one channel, in the order of the windows.
template <class P, class F>
void for_window_elements(const P& p, const Shape& image, const Shape& windows, F&& fn) {
  int64_t at = 0;
  for (int64_t oh = 0; oh < windows[2]; ++oh)
    for (int64_t ow = 0; ow < windows[3]; ++ow)
      for (int64_t kh = 0; kh < windows[4]; ++kh) {
        const int64_t ih = oh * p.stride_h + kh * p.dilate_h - p.pad_h;
        for (int64_t kw = 0; kw < windows[5]; ++kw, ++at) {
          const int64_t iw = ow * p.stride_w + kw * p.dilate_w - p.pad_w;
          fn(ih >= 0 && ih < image[2] && iw >= 0 && iw < image[3] ? ih * image[3] + iw : -1, at);
        }
      }
}

// windows <- image, zeros in the padding
template <class P>
void gather_windows(const KernelArgs& a) {
  const Shape& image = a.in[0].shape();
  const Shape& windows = a.out[0].shape();
  dispatch_width(a.in[0].dtype(), [&]<class T>(T) {
    const T* src = a.in[0].data<T>();
    T* dst = a.out[0].data<T>();
    a.exec.parallel_for(image[0] * image[1], 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* s = src + i * image.count(2, 4);
        T* d = dst + i * windows.count(2, 6);
        for_window_elements(a.param<P>(), image, windows,
                            [&](int64_t from, int64_t to) { d[to] = from < 0 ? T(0) : s[from]; });
      }
    });
  });
}

// image <- sums of the windows that overlap there
template <class P>
void scatter_windows(const KernelArgs& a) {
  const Shape& windows = a.in[0].shape();
  const Shape& image = a.out[0].shape();
  dispatch_storage(a.in[0].dtype(), [&]<class T>(T) {
    const T* src = a.in[0].data<T>();
    T* dst = a.out[0].data<T>();
    std::memset(static_cast<void*>(dst), 0, a.out[0].bytes());
    a.exec.parallel_for(image[0] * image[1], 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* s = src + i * windows.count(2, 6);
        T* d = dst + i * image.count(2, 4);
        for_window_elements(a.param<P>(), image, windows, [&](int64_t to, int64_t from) {
          if (to < 0) return;
          if constexpr (std::is_same_v<T, int32_t>)
            d[to] = static_cast<T>(static_cast<uint32_t>(d[to]) + static_cast<uint32_t>(s[from]));
          else
            d[to] = static_cast<T>(d[to] + s[from]);
        });
      }
    });
  });
}

}  // namespace megalith
