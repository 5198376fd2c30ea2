// Convolutions of float images whose channels are innermost: products of matrices (kernels/gemm.h) whose rows are
// patches of the image, and a kernel of its own for depthwise ones.
//
// A convolution, its gradient for the image (one convolution of the output's gradient for every phase of the stride)
// and deconvolution are all the same walk: result pixel `o` of an axis meets image pixel o * step + offset[k] at tap k.
// Sums run over (tap row, tap column, channel) in this order for every result, so that the bits do not depend on how
// the work is split.
#pragma once

#include <span>

#include "megalith/kernels/gemm.h"
#include "megalith/kernels/patches.h"

namespace megalith::nhwc {

using Image = ImageOf<float>;

// A filter as it is stored: tap (h, w) between image channel i and result channel o of group g is
// data[g * group + o * out + i * in + h * row + w * col].
struct Filter {
  float* data;
  int64_t groups, ins, outs;  // channels of one group
  int64_t group, in, out, row, col;
};

// The taps of one axis that a walk uses, as rows or columns of the stored filter.
using Taps = std::span<const int64_t>;

// Floats of a filter of h x w taps in the order in which `convolve` reads it, and the packing.
int64_t packed_floats(const Filter& f, int64_t h, int64_t w);
void pack(const Filter& f, Taps h, Taps w, float* to, Exec& exec);

// Whether `convolve` reads an image in planes where it lies: for windows of one pixel, and where it copies lines
// anyway.
bool reads_planes(const Image& x, const Axis& h, const Axis& w, const Filter& f);

// y = epilogue(x * filter). `x` is dense, or as reads_planes() says. The bias has a value for each channel of y; what
// is added, which depthwise convolutions do not take, lies as a dense y does.
void convolve(const Image& x, const Axis& h, const Axis& w, const Filter& shape, const float* packed, const Image& y,
              const gemm::Epilogue& epilogue, Exec& exec);

// The gradient of `convolve` for the filter, written to `f`; h and w name its rows and columns by tap. Both images are
// dense.
void filter_gradient(const Image& x, const Image& dy, const Axis& h, const Axis& w, Taps rows, Taps cols,
                     const Filter& f, Exec& exec);

}  // namespace megalith::nhwc
