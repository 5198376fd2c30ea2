// Normalization of Float32 with vectors: what BatchNorm, LayerNorm, GeneralNorm, GroupNorm and InstanceNorm share.
#pragma once

#include "megalith/ops/op_util.h"

namespace megalith::norm {

// x seen in a shape in which statistics and weights are broadcast: `statistics` and `weights` have its rank.
struct Job {
  Tensor x;
  Shape statistics, weights;
};

inline bool all_floats(const KernelQuery& q) {
  return std::all_of(
             q.in.begin(), q.in.end(),
             [](const TensorSpec& t) { return t.dtype.id == DTypeEnum::Float32 || t.dtype.id == DTypeEnum::Byte; }) &&
         q.in[0].shape.count() > 0;
}

// Mean and mean square deviation of every group, row-major.
void moments(const Job& job, float* mean, float* variance, Exec& exec);

// y = (x - mean) / sqrt(variance + eps) * weight + bias with the moments of x; without weights 1 and 0.
void forward(const Job& job, float eps, const float* weight, const float* bias, const Tensor& y, float* mean,
             float* variance, Exec& exec);

// dx, and where dweight is not null the gradients of weight and bias.
void backward(const Job& job, const Tensor& dy, const float* mean, const float* inv, const float* weight,
              const Tensor& dx, float* dweight, float* dbias, Exec& exec);

}  // namespace megalith::norm
