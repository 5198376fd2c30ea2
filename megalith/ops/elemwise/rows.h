// Walking elementwise ops: axes that all operands step through evenly are merged, then rows are converted to the
// compute type in blocks, computed, and converted back.
#pragma once

#include <algorithm>
#include <vector>

#include "megalith/ops/op_util.h"
#include "megalith/sort_few.h"

namespace megalith::elemwise {

constexpr int64_t kBlock = 512;

// An operand seen at the shape of the result: stride 0 where it is repeated.
inline Layout broadcast_layout(const Tensor& t, const Shape& shape) {
  Layout l(shape, shape);
  const int lead = shape.ndim() - t.ndim();
  for (int i = 0; i < shape.ndim(); ++i) {
    l.stride[i] = i < lead || (t.dim(i - lead) == 1 && shape[i] != 1) ? 0 : t.stride()[i - lead];
  }
  return l;
}

struct Rows {
  int64_t rows = 1, length = 1;
  Shape outer;                      // the merged axes before the last
  std::vector<Shape> outer_stride;  // per operand
  std::vector<int64_t> step;        // per operand, along the row
};

// The last operand is the result, which is dense: rows follow its order in memory.
inline Rows merge_axes(const Shape& shape, const std::vector<Layout>& operands) {
  Shape dims;
  std::vector<Shape> strides(operands.size());
  const Shape& to = operands.back().stride;
  std::array<int, kMaxDims> order;
  for (int d = 0; d < shape.ndim(); ++d) order[static_cast<size_t>(d)] = d;
  sort_few(order.begin(), order.begin() + shape.ndim(), [&](int a, int b) { return to[a] > to[b]; });
  for (int i = 0; i < shape.ndim(); ++i) {
    const int d = order[static_cast<size_t>(i)];
    if (shape[d] == 1) continue;
    bool merge = dims.ndim() > 0;
    const int last = dims.ndim() - 1;
    for (size_t k = 0; merge && k < operands.size(); ++k) merge = strides[k][last] == operands[k].stride[d] * shape[d];
    if (merge) {
      dims[last] *= shape[d];
      for (size_t k = 0; k < operands.size(); ++k) strides[k][last] = operands[k].stride[d];
    } else {
      dims.push_back(shape[d]);
      for (size_t k = 0; k < operands.size(); ++k) strides[k].push_back(operands[k].stride[d]);
    }
  }
  Rows r;
  r.step.assign(operands.size(), 0);
  r.outer_stride = std::move(strides);
  if (dims.ndim() == 0) return r;
  const int last = dims.ndim() - 1;
  r.length = dims[last];
  for (size_t k = 0; k < operands.size(); ++k) {
    r.step[k] = r.outer_stride[k][last];
    r.outer_stride[k].erase(last);
  }
  dims.erase(last);
  r.rows = dims.count();
  r.outer = dims;
  return r;
}

// fn(offsets, n): a piece of a row of at most kBlock elements; offsets are elements from the start of every operand.
template <class Fn>
void for_pieces(const Rows& r, Exec& exec, Fn&& fn) {
  const int64_t per_row = (r.length + kBlock - 1) / kBlock;
  const size_t operands = r.step.size();
  exec.parallel_for(r.rows * per_row, std::max<int64_t>(1, 16384 / std::min(r.length, kBlock)),
                    [&](int64_t begin, int64_t end) {
                      std::vector<int64_t> offset(operands);
                      for (int64_t i = begin; i < end; ++i) {
                        int64_t row = i / per_row;
                        const int64_t at = i % per_row * kBlock;
                        for (size_t k = 0; k < operands; ++k) offset[k] = at * r.step[k];
                        for (int d = r.outer.ndim() - 1; d >= 0; --d) {
                          const int64_t index = row % r.outer[d];
                          row /= r.outer[d];
                          for (size_t k = 0; k < operands; ++k) offset[k] += index * r.outer_stride[k][d];
                        }
                        fn(offset, std::min(kBlock, r.length - at));
                      }
                    });
}

// n elements as C; the operand's own memory when it already is an even row of C.
template <class C>
const C* load(const Tensor& t, int64_t offset, int64_t step, int64_t n, C* buffer) {
  return dispatch_storage(t.dtype(), [&](auto tag) -> const C* {
    using T = decltype(tag);
    using Plain = std::conditional_t<std::is_integral_v<T>, T, float>;
    const T* p = t.data<T>() + offset;
    if constexpr (std::is_same_v<T, C>) {
      if (step == 1) return p;
    }
    for (int64_t i = 0; i < n; ++i) buffer[i] = static_cast<C>(static_cast<Plain>(p[i * step]));
    return buffer;
  });
}

// Real values of a quantized (or plain) operand.
inline const float* load_real(const Tensor& t, int64_t offset, int64_t step, int64_t n, float* buffer) {
  const float* p = load<float>(t, offset, step, n, buffer);
  if (!t.dtype().is_quantized()) return p;
  const float scale = t.dtype().scale, zero = t.dtype().is_asymmetric() ? t.dtype().zero_point : 0.f;
  for (int64_t i = 0; i < n; ++i) buffer[i] = (p[i] - zero) * scale;
  return buffer;
}

template <class C>
void store(const Tensor& t, int64_t offset, int64_t n, const C* values) {
  dispatch_storage(t.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* p = t.data<T>() + offset;
    if (t.dtype().id == DTypeEnum::Bool) {
      for (int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(values[i] != 0 ? 1.f : 0.f);
    } else if constexpr (std::is_integral_v<T> && !std::is_integral_v<C>) {
      // C++ leaves the conversion of values out of range open; x86 gives the lowest int32.
      for (int64_t i = 0; i < n; ++i) {
        const float v = values[i];
        p[i] = static_cast<T>(v > -2147483904.f && v < 2147483648.f ? static_cast<int32_t>(v) : INT32_MIN);
      }
    } else if constexpr (std::is_integral_v<T>) {
      for (int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(values[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(static_cast<float>(values[i]));
    }
  });
}

// Rounds to nearest, ties away from zero, and saturates: real values to quantized storage. NaN gives the lowest value.
inline void store_quantized(const Tensor& t, int64_t offset, int64_t n, const float* values) {
  const DType d = t.dtype();
  const double zero = d.is_asymmetric() ? d.zero_point : 0;
  dispatch_storage(d, [&](auto tag) {
    using T = decltype(tag);
    if constexpr (std::is_integral_v<T>) {
      T* p = t.data<T>() + offset;
      const double lo = static_cast<double>(std::numeric_limits<T>::lowest()),
                   hi = static_cast<double>(std::numeric_limits<T>::max());
      for (int64_t i = 0; i < n; ++i) {
        const double v = std::round(values[i] / d.scale) + zero;
        p[i] = static_cast<T>(v > hi ? hi : v >= lo ? v : lo);
      }
    }
  });
}

// Whether the operands and the result walk through memory together: same order, same number of elements, or only one.
inline bool flat(std::span<const Tensor> in, const Tensor& out) {
  const int64_t n = out.count();
  return out.contiguous() && std::all_of(in.begin(), in.end(), [n](const Tensor& t) {
           const int64_t m = t.count();
           return (m == n || m == 1) && t.contiguous();
         });
}

// Calls piece(at, step, n) for pieces of all elements: where each operand, and last the result, has its first element,
// and how far apart the others are.
inline void for_operands(std::span<const Tensor> in, const Tensor& out, Exec& exec,
                         FunctionRef<void(const int64_t* at, const int64_t* step, int64_t n)> piece) {
  const int64_t count = out.count();
  if (count == 0) return;
  if (count <= kBlock && flat(in, out)) {  // one piece: nothing to plan
    const int64_t at[7] = {};
    int64_t step[7];
    for (size_t k = 0; k < in.size(); ++k) step[k] = in[k].count() == count ? 1 : 0;
    return piece(at, step, count);
  }
  std::vector<Layout> operands;
  operands.reserve(in.size() + 1);
  for (const Tensor& t : in) operands.push_back(broadcast_layout(t, out.shape()));
  operands.push_back(out.layout());
  const Rows rows = merge_axes(out.shape(), operands);
  for_pieces(rows, exec, [&](const std::vector<int64_t>& at, int64_t n) { piece(at.data(), rows.step.data(), n); });
}

// Calls fn(p, r, n) for pieces of all elements: the operands' values as C, and room for n results. Compiled once for
// each C: functions differ in `fn` alone.
template <class C>
void apply_pieces(std::span<const Tensor> in, const Tensor& out, Exec& exec,
                  FunctionRef<void(const C* const* p, C* r, int64_t n)> fn) {
  const bool direct = std::is_same_v<C, float> && out.dtype().id == DTypeEnum::Float32;
  for_operands(in, out, exec, [&](const int64_t* at, const int64_t* step, int64_t n) {
    C buffers[6][kBlock], result[kBlock];
    const C* p[6] = {};
    for (size_t k = 0; k < in.size(); ++k) {
      if constexpr (std::is_same_v<C, float>) {
        p[k] = load_real(in[k], at[k], step[k], n, buffers[k]);
      } else {
        p[k] = load<C>(in[k], at[k], step[k], n, buffers[k]);
      }
    }
    C* r = result;
    if constexpr (std::is_same_v<C, float>) {
      if (direct) r = out.data<float>() + at[in.size()];
    }
    fn(p, r, n);
    if (direct) return;
    if constexpr (std::is_same_v<C, float>) {
      if (out.dtype().is_quantized()) return store_quantized(out, at[in.size()], n, r);
    }
    store<C>(out, at[in.size()], n, r);
  });
}

// out = f(in...) over all elements, in compute type C.
template <class C, class F>
void apply(std::span<const Tensor> in, const Tensor& out, Exec& exec, F f) {
  apply_pieces<C>(in, out, exec, [&f](const C* const* p, C* r, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (std::is_invocable_v<F, C>)
        r[i] = f(p[0][i]);
      else if constexpr (std::is_invocable_v<F, C, C>)
        r[i] = f(p[0][i], p[1][i]);
      else if constexpr (std::is_invocable_v<F, C, C, C>)
        r[i] = f(p[0][i], p[1][i], p[2][i]);
      else if constexpr (std::is_invocable_v<F, C, C, C, C>)
        r[i] = f(p[0][i], p[1][i], p[2][i], p[3][i]);
      else
        r[i] = f(p[0][i], p[1][i], p[2][i], p[3][i], p[4][i], p[5][i]);
    }
  });
}

}  // namespace megalith::elemwise
