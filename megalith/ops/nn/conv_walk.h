// How the axes of convolutions and of their gradients for the image are walked (kernels/patches.h).
#pragma once

#include "megalith/kernels/patches.h"

namespace megalith::conv {

// One axis of a convolution: the image's and the result's size, the window.
struct Window {
  int64_t in, out, taps, pad, stride, dilate;
  bool flip;  // the window's first tap is the filter's last
  int64_t stored(int64_t tap) const { return flip ? taps - 1 - tap : tap; }
};

// An axis and the filter's row or column for each of its taps.
struct Walk {
  nhwc::Axis axis;
  std::vector<int64_t> stored;
};

inline Walk forward_walk(const Window& v) {
  Walk r;
  r.axis.count = v.out;
  r.axis.step = v.stride;
  for (int64_t k = 0; k < v.taps; ++k) {
    r.axis.offset.push_back(k * v.dilate - v.pad);
    r.stored.push_back(v.stored(k));
  }
  return r;
}

// The image pixels of one phase of the stride gather from the result's gradient.
inline Walk backward_walk(const Window& v, int64_t phase) {
  Walk r;
  r.axis.count = (v.in - phase + v.stride - 1) / v.stride;
  r.axis.to_first = phase;
  r.axis.to_step = v.stride;
  for (int64_t k = v.taps - 1; k >= 0; --k) {
    const int64_t at = phase + v.pad - k * v.dilate;
    if (at % v.stride != 0) continue;
    r.axis.offset.push_back(at / v.stride);
    r.stored.push_back(v.stored(k));
  }
  return r;
}

}  // namespace megalith::conv
