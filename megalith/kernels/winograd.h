// Convolutions whose windows are 3 x 3 and go one pixel at a time, with a quarter of the multiplications (Winograd's
// F(4x4, 3x3)): polynomials are multiplied by their values at 0, -5/8, 5/8, -3/2, 3/2 and infinity. A tile of 6 x 6
// pixels becomes 36 values, which are multiplied by those of the filter as matrices (kernels/gemm.h), one product for
// each of the 36; their sums become a tile of 4 x 4 results.
//
// With these points the sums are as good as plain ones, up to a factor of 3 of their error (with the customary 1 and 2
// it is 7). What is not finite reaches all results of a tile.
//
// For targets whose vectors have four lanes: wider ones, with fused multiply-adds, wait for the memory between the
// three parts and gain little.
#pragma once

#include "megalith/kernels/nhwc.h"

namespace megalith::winograd {

// Whether it pays for results of this size; `ins` and `outs` are the channels of images and results.
bool suits(int64_t ins, int64_t outs, int64_t height, int64_t width);

int64_t packed_floats(const nhwc::Filter& f);
void pack(const nhwc::Filter& f, nhwc::Taps h, nhwc::Taps w, float* to, Exec& exec);

// As nhwc::convolve, but `x` is dense, there is one group and nothing is added.
void convolve(const nhwc::Image& x, const nhwc::Axis& h, const nhwc::Axis& w, const nhwc::Filter& f,
              const float* packed, const nhwc::Image& y, const gemm::Epilogue& epilogue, Exec& exec);

void filter_gradient(const nhwc::Image& x, const nhwc::Image& dy, const nhwc::Axis& h, const nhwc::Axis& w,
                     nhwc::Taps rows, nhwc::Taps cols, const nhwc::Filter& f, Exec& exec);

}  // namespace megalith::winograd
