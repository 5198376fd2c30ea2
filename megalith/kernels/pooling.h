// Pooling of floats and bytes with vectors, and its gradient: the bits of the reference (ops/nn/pooling.cpp). Images
// lie with adjacent columns (vectors run along a row) or with adjacent channels (vectors run over channels).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "megalith/dtype.h"
#include "megalith/params_enums.h"

namespace megalith::pool {

// Where the elements of a batch of images lie.
struct Images {
  int64_t n = 0, c = 0, h = 0, w = 0;
  int64_t n_step = 0, c_step = 0, h_step = 0, w_step = 0;
};

struct Job {
  param::PoolingMode mode;
  int64_t window_h, window_w, pad_h, pad_w, stride_h, stride_w;
  bool channels;  // vectors run over channels: all c_step are 1; otherwise all w_step are
  Images in, out;
};

// The part of a window that lies on the image.
struct Range {
  int64_t begin, end;
  Range(int64_t out, int64_t stride, int64_t pad, int64_t window, int64_t size)
      : begin(std::max<int64_t>(out * stride - pad, 0)), end(std::min(out * stride - pad + window, size)) {}
  int64_t count() const { return std::max<int64_t>(0, end - begin); }
};

inline Range rows_of(const Job& j, int64_t oh) { return {oh, j.stride_h, j.pad_h, j.window_h, j.in.h}; }
inline Range columns_of(const Job& j, int64_t ow) { return {ow, j.stride_w, j.pad_w, j.window_w, j.in.w}; }

// Of how many elements the mean is taken.
inline float divisor_of(const Job& j, const Range& rows, const Range& columns) {
  const int64_t n = j.mode == param::PoolingMode::AVERAGE ? j.window_h * j.window_w : rows.count() * columns.count();
  return static_cast<float>(n);
}

// Rows [begin, end) of all images: of n * h with `channels`, else of n * c * h.
void forward_rows(const Job& job, const float* x, float* y, int64_t begin, int64_t end);
// dx of the planes [begin, end) of n * c, from 0; with `channels` of n * channel_chunks(c), images by kChunk channels.
void backward_planes(const Job& job, const float* x, const float* dy, float* dx, const Images& grad, int64_t begin,
                     int64_t end);
inline constexpr int64_t kChunk = 64;
inline int64_t channel_chunks(int64_t c) { return (c + kChunk - 1) / kChunk; }

// Rows [begin, end) of n * h of images of bytes, whose channels are adjacent: windows of less than kMostBytes elements.
void forward_bytes(const Job& job, DType type, const std::byte* x, std::byte* y, int64_t begin, int64_t end);
inline constexpr int64_t kMostBytes = int64_t{1} << 15;

}  // namespace megalith::pool
