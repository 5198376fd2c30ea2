// Elementwise ops between elements of different types, block by block.
#pragma once

#include "megalith/kernels/convert.h"
#include "megalith/ops/op_util.h"

namespace megalith::elemwise {

constexpr int64_t kRealBlock = 512;

inline bool is_real(DType d) { return d.id == DTypeEnum::Float32 || convert::is_stored(d); }

// Whether the elements of both come in one order, without gaps.
inline bool together(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape())) return false;
  if (a.count() == 0) return true;
  int64_t extent = 1;
  for (int d = 0; d < a.ndim(); ++d) {
    if (a.dim(d) == 1) continue;
    if (a.stride()[d] != b.stride()[d] || a.stride()[d] <= 0) return false;
    extent += (a.dim(d) - 1) * a.stride()[d];
  }
  return extent == a.count();
}

// n elements from `at` on as real values: where they lie, or in the buffer.
inline const float* load_block(const Tensor& t, int64_t at, int64_t n, float* buffer) {
  if (t.dtype().id == DTypeEnum::Float32) return t.data<float>() + at;
  convert::from_stored(t.dtype(), t.data<std::byte>() + at * (t.dtype().bits() / 8), buffer, n);
  return buffer;
}

// Where n results are to be put, and their way from there into the tensor.
inline float* place_block(const Tensor& t, int64_t at, float* buffer) {
  return t.dtype().id == DTypeEnum::Float32 ? t.data<float>() + at : buffer;
}
inline void store_block(const Tensor& t, int64_t at, int64_t n, const float* values) {
  if (t.dtype().id == DTypeEnum::Float32) return;
  convert::to_stored(t.dtype(), values, t.data<std::byte>() + at * (t.dtype().bits() / 8), n);
}

// out = fn(in...) with operands of any types and in any order, block by block as C, which is float or int32_t: brought
// there and back with vectors.
template <class C>
void apply_blocks(std::span<const Tensor> in, const Tensor& out, Exec& exec,
                  void (*fn)(const C* const* in, const int64_t* step, C* out, int64_t n));

// fn(at, n) for blocks of all elements of `t`.
template <class Fn>
void for_blocks(const Tensor& t, Exec& exec, Fn&& fn) {
  const int64_t count = t.count();
  exec.parallel_for((count + kRealBlock - 1) / kRealBlock, 32, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kRealBlock; i < std::min(count, end * kRealBlock); i += kRealBlock)
      fn(i, std::min(kRealBlock, count - i));
  });
}

}  // namespace megalith::elemwise
