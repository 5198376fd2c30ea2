// Convolutions of float images that have few channels, in planes: vectors run along the rows of images, so that no lane
// waits for a channel that there isn't, and nothing is gathered into patches.
//
// Sums run over (tap row, tap column, channel), as those of kernels/nhwc.h do: results have the same bits.
#pragma once

#include "megalith/kernels/nhwc.h"

namespace megalith::planes {

using nhwc::Axis;
using nhwc::Filter;
using nhwc::Image;
using nhwc::Taps;

// Whether this is the faster way for a filter of one group, and one that this knows.
bool suits(int64_t ins, int64_t outs, int64_t taps, int64_t out_columns, int64_t step);

// Floats of a filter in the order in which `convolve` reads it, and the packing.
inline int64_t packed_floats(const Filter& f, int64_t h, int64_t w) { return f.ins * f.outs * h * w; }
void pack(const Filter& f, Taps h, Taps w, float* to);

// y = epilogue(x * filter); images may lie in any order, with adjacent columns they are read and written fastest. The
// bias has a value for each channel of y; nothing else is added.
void convolve(const Image& x, const Axis& h, const Axis& w, const Filter& shape, const float* packed, const Image& y,
              const gemm::Epilogue& epilogue, Exec& exec);

// The gradient of `convolve` for the filter, written to `f`; h and w name its rows and columns by tap. The columns of
// dy are adjacent.
void filter_gradient(const Image& x, const Image& dy, const Axis& h, const Axis& w, Taps rows, Taps cols,
                     const Filter& f, Exec& exec);

}  // namespace megalith::planes
