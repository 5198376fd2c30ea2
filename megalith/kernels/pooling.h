// Pooling of floats with vectors, and its gradient: the bits of the reference (ops/nn/pooling.cpp). Images lie with
// adjacent columns (vectors run along a row) or with adjacent channels (vectors run over channels).
#pragma once

#include <cstdint>

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

// Rows [begin, end) of all images: of n * h with `channels`, else of n * c * h.
void forward_rows(const Job& job, const float* x, float* y, int64_t begin, int64_t end);
// dx of the planes [begin, end) of n * c, from 0; with `channels` of n * channel_chunks(c), images by kChunk channels.
void backward_planes(const Job& job, const float* x, const float* dy, float* dx, const Images& grad, int64_t begin,
                     int64_t end);
inline constexpr int64_t kChunk = 64;
inline int64_t channel_chunks(int64_t c) { return (c + kChunk - 1) / kChunk; }

}  // namespace megalith::pool
