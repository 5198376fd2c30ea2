// Small things that most op files need.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "megalith/op.h"

namespace megalith {

// Calls fn(T{}) with the C++ type that stores `dtype`. Quantized types come as their plain integers.
// Throws UnsupportedError for the types that are packed below a byte.
template <class F>
decltype(auto) dispatch_storage(DType dtype, F&& fn) {
  switch (dtype.id) {
    case DTypeEnum::Float32: return fn(float{});
    case DTypeEnum::Int32: return fn(int32_t{});
    case DTypeEnum::Uint8:
    case DTypeEnum::Bool:
    case DTypeEnum::Byte: return fn(uint8_t{});
#ifndef MEGALITH_TRIMMED
    case DTypeEnum::Float16: return fn(half{});
    case DTypeEnum::BFloat16: return fn(bfloat16{});
    case DTypeEnum::QuantizedS32: return fn(int32_t{});
    case DTypeEnum::Int16:
    case DTypeEnum::QuantizedS16: return fn(int16_t{});
    case DTypeEnum::Uint16: return fn(uint16_t{});
    case DTypeEnum::Int8:
    case DTypeEnum::QuantizedS8: return fn(int8_t{});
    case DTypeEnum::Quantized8Asymm: return fn(uint8_t{});
#endif
    default: throw UnsupportedError(cat("no kernel for element type ", dtype.name()));
  }
}

// float, half and bfloat16 only.
template <class F>
decltype(auto) dispatch_float(DType dtype, F&& fn) {
  switch (dtype.id) {
    case DTypeEnum::Float32: return fn(float{});
#ifndef MEGALITH_TRIMMED
    case DTypeEnum::Float16: return fn(half{});
    case DTypeEnum::BFloat16: return fn(bfloat16{});
#endif
    default: throw UnsupportedError(cat("no kernel for element type ", dtype.name()));
  }
}

// By element size only: for ops that move values without looking at them. fn(T{}) with an unsigned integer of that
// size.
template <class F>
decltype(auto) dispatch_width(DType dtype, F&& fn) {
  switch (dtype.bits()) {
    case 8: return fn(uint8_t{});
    case 32: return fn(uint32_t{});
#ifndef MEGALITH_TRIMMED
    case 16: return fn(uint16_t{});
    case 64: return fn(uint64_t{});
#endif
    default: throw UnsupportedError(cat("no kernel for element type ", dtype.name()));
  }
}

// Walks all indices of a shape in row-major order and keeps the element offset of up to a few layouts.
class Odometer {
 public:
  Odometer(const Shape& shape, std::vector<Shape> strides);
  int64_t offset(size_t layout) const { return offset_[layout]; }
  const Shape& index() const { return index_; }
  void next();

 private:
  Shape shape_, index_;
  std::vector<Shape> strides_;
  std::vector<int64_t> offset_;
};

// Output rows (or columns) of a window slid over `in`; negative or zero when it never fits.
inline int64_t window_output(int64_t in, int64_t window, int64_t pad, int64_t stride, int64_t dilate = 1) {
  const int64_t extent = (window - 1) * dilate + 1;
  return in + 2 * pad < extent ? 0 : (in + 2 * pad - extent) / stride + 1;
}

// Shape rules shared by many ops.
void infer_same_as_input(InferContext& c);  // one output like input 0
// NumPy broadcasting of all inputs; fails with `what` (the mode of an elementwise op) and their shapes.
Shape broadcast_shapes(const InferContext& c, const char* what = nullptr);
// The common type of all inputs, as MegEngine promotes: the wider of two integers of one signedness; Float32 for any
// other plain types that differ.
DType promoted_dtype(const InferContext& c);

// ---- Ops that only move elements: the same function over two ways to copy.

using CopyFn = void (*)(const Tensor& src, const Tensor& dst, Exec& exec);
void copy_plain(const Tensor& src, const Tensor& dst, Exec& exec);  // element by element: what copy_strided means

// `kRun` on types packed below a byte: on copies that have a byte for each element.
template <void (*kRun)(const KernelArgs&)>
void any_width(const KernelArgs& a) {
  const auto packed = [](const Tensor& t) { return t.dtype().is_lowbit(); };
  if (kTrimmed || !std::any_of(a.in.begin(), a.in.end(), packed)) return kRun(a);
  std::vector<Tensor> in(a.in.begin(), a.in.end()), out(a.out.begin(), a.out.end());
  for (Tensor& t : in) {
    if (packed(t)) t = unpack_lowbit(t).with_dtype(DTypeEnum::Uint8);
  }
  for (Tensor& t : out) t = Tensor::empty(DTypeEnum::Uint8, t.shape());
  kRun({a.attrs, in, out, a.exec});
  for (size_t i = 0; i < out.size(); ++i) {
    const Tensor t = pack_lowbit(out[i], a.out[i].dtype());
    std::memcpy(a.out[i].data<std::byte>(), t.data<std::byte>(), t.bytes());
  }
}

inline std::vector<Kernel> copy_kernels(void (*fast)(const KernelArgs&), void (*plain)(const KernelArgs&),
                                        Order order = Order::kRowMajor) {
  return {{.name = "copy", .run = fast, .strided = true, .order = order},
          unless_trimmed(Kernel{.name = "reference", .run = plain, .strided = true, .order = order})};
}

Tensor converted(const Tensor& t, DType dtype, Exec& exec);  // itself when it already has the type

// ---- Ops on floats of 16 bits that compute as on Float32 and round their results once: through copies of everything.
// Whether there are such floats, and `accepts` takes them as Float32.
bool accepts_as_floats(const KernelQuery& q, bool (*accepts)(const KernelQuery&));
void run_as_floats(const KernelArgs& a, void (*run)(const KernelArgs&));

}  // namespace megalith
