// Convolutions whose filters are not shared over the whole image, to the bit: every result is the sum from +0 over taps
// inside the image only, multiplied and rounded, then added and rounded, in the order of the plain loops (see
// ops/nn/local.cpp). The same for every instruction set and number of threads; of NaNs only that they are there.
#pragma once

#include <cstdint>

#include "megalith/exec.h"

namespace megalith::local {

// filter: (group, SGH, SGW, icpg, FH, FW, ocpg). A filter belongs to a cell of rows x cols output positions; for Local
// and GroupLocal every position is a cell of its own.
struct Geometry {
  int64_t n, group, icpg, ocpg;
  int64_t ih, iw, oh, ow, fh, fw;
  int64_t sgh, sgw;    // cells
  int64_t rows, cols;  // output positions in one of them
  int64_t stride_h, stride_w, pad_h, pad_w;
  bool flip;  // CONVOLUTION: tap (0, 0) is the last of the window

  int64_t input_row(int64_t oh, int64_t k) const { return oh * stride_h - pad_h + (flip ? fh - 1 - k : k); }
  int64_t input_col(int64_t ow, int64_t k) const { return ow * stride_w - pad_w + (flip ? fw - 1 - k : k); }
  int64_t taps() const { return fh * fw; }
  // The first output whose window of `size` reaches input position `at`.
  static int64_t first_output(int64_t at, int64_t size, int64_t pad, int64_t stride) {
    const int64_t before = at + pad - size;  // an output that ends here falls short
    return before < 0 ? 0 : before / stride + 1;
  }
  // the weights (icpg, FH, FW, ocpg) of one output position
  int64_t filter_at(int64_t g, int64_t oh, int64_t ow) const {
    return ((g * sgh + oh / rows) * sgw + ow / cols) * icpg * fh * fw * ocpg;
  }
};

// src (n, group * icpg, ih, iw), filter, dst (n, group * ocpg, oh, ow)
void forward(const Geometry& g, const float* src, const Tensor& filter, float* dst, Exec& exec);
// `every_step`: the sum is rounded to half after every step, not at the end alone.
void forward(const Geometry& g, const half* src, const half* filter, half* dst, bool every_step, Exec& exec);
// The same with lanes along the width, and whether that is the better way: a group has few output channels.
void forward_rows(const Geometry& g, const float* src, const float* filter, float* dst, Exec& exec);
bool narrow(const Geometry& g);
// The same with lanes along images and the columns of a cell, and whether that is the better way.
void forward_items(const Geometry& g, const float* src, const float* filter, float* dst, Exec& exec);
bool many_items(const Geometry& g);
// The gradients with lanes along the width: strides of 1 and few channels.
void backward_data_rows(const Geometry& g, const float* filter, const float* diff, float* grad, Exec& exec);
void backward_filter_rows(const Geometry& g, const float* src, const float* diff, float* grad, Exec& exec);
bool narrow_backward_data(const Geometry& g);
bool narrow_backward_filter(const Geometry& g);
// Every pixel of src adds in the order oc, oh, ow.
void backward_data(const Geometry& g, const float* filter, const float* diff, float* grad, Exec& exec);
// Every weight adds in the order n, oh, ow.
void backward_filter(const Geometry& g, const float* src, const float* diff, float* grad, Exec& exec);

}  // namespace megalith::local
