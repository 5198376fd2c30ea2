// Shape, Layout, Storage and Tensor: memory with an element type and a shape.
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "megalith/dtype.h"
#include "megalith/error.h"

namespace megalith {

inline constexpr int kMaxDims = 7;  // MegEngine's limit

// Dimensions of a tensor, inline. {} is a shape with no dimensions and one element; `.mge` files store scalars as {1}.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);  // throws Error when there are more than kMaxDims

  int ndim() const { return n_; }
  int64_t operator[](int i) const { return d_[static_cast<size_t>(i)]; }
  int64_t& operator[](int i) { return d_[static_cast<size_t>(i)]; }
  const int64_t* begin() const { return d_.data(); }
  const int64_t* end() const { return d_.data() + n_; }
  void push_back(int64_t v);
  void insert(int at, int64_t v);
  void erase(int at);
  int64_t count() const;                    // number of elements
  int64_t count(int begin, int end) const;  // product of the dimensions in [begin, end)
  std::string str() const;                  // "(1,3,224,224)"
  friend bool operator==(const Shape& a, const Shape& b);
  friend Text& operator<<(Text& s, const Shape& v) { return s << v.str(); }
  friend std::ostream& operator<<(std::ostream& s, const Shape& v) { return s << v.str(); }

 private:
  std::array<int64_t, kMaxDims> d_{};
  int n_ = 0;
};

// A shape and the distance between neighbours along each axis, in elements (0 repeats, negative walks backwards).
struct Layout {
  Shape shape;
  Shape stride;
  Layout() = default;
  explicit Layout(const Shape& shape);  // row-major
  Layout(const Shape& shape, const Shape& stride) : shape(shape), stride(stride) {}
  bool contiguous() const;
};

// (N, C, H, W), or (N, C/b, H, W, b) with channels in blocks, with the channels innermost.
Layout channels_last(const Shape& shape);
// Whether it lies so, densely; never when it is contiguous as well.
bool is_channels_last(const Layout& layout);

// Bytes of a row-major tensor. Types below 8 bits are packed and every row (last axis) is padded to a whole byte.
// Throws Error when the product overflows.
size_t tensor_bytes(DType dtype, const Shape& shape);

// A block of memory with one owner: the heap, a mapped file, or somebody else.
class Storage {
 public:
  static std::shared_ptr<Storage> allocate(size_t bytes);  // 64-byte aligned, not initialized
  static std::shared_ptr<Storage> wrap(void* data, size_t bytes, std::shared_ptr<void> owner, bool writable);
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool writable() const { return writable_; }

  // Says that the bytes will not change again, so that kernels may keep what they make of them (megalith/packed.h).
  void freeze() {
    State open = State::kOpen;
    state_.compare_exchange_strong(open, State::kFrozen, std::memory_order_relaxed);
  }
  // Says that somebody else can write to the bytes, for good.
  void share() { state_.store(State::kShared, std::memory_order_relaxed); }
  bool frozen() const { return state_.load(std::memory_order_relaxed) == State::kFrozen; }

  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

 private:
  struct Key {};  // makes the constructor ours although std::allocate_shared calls it

 public:
  Storage(Key, std::byte* data, size_t bytes, bool writable, std::shared_ptr<void> owner)
      : data_(data), bytes_(bytes), writable_(writable), owner_(std::move(owner)) {}

 private:
  std::byte* data_;
  size_t bytes_;
  bool writable_;
  std::shared_ptr<void> owner_;  // of wrapped memory

  enum class State : uint8_t { kOpen, kFrozen, kShared };
  std::atomic<State> state_{State::kOpen};
  friend class PackedCache;
  std::unique_ptr<class PackedCache, void (*)(class PackedCache*)> packed_{nullptr, nullptr};
};

// A cheap handle: shared storage, element type, layout and offset. Views share storage.
class Tensor {
 public:
  Tensor() = default;
  static Tensor empty(DType dtype, const Shape& shape);
  static Tensor empty(DType dtype, const Layout& layout);  // dense, in any order of axes
  static Tensor zeros(DType dtype, const Shape& shape);
  static Tensor from_storage(std::shared_ptr<Storage> storage, size_t offset_bytes, DType dtype, const Layout& layout);
  template <class T>
  static Tensor of(DType dtype, const Shape& shape, std::span<const T> values) {
    Tensor t = empty(dtype, shape);
    std::copy(values.begin(), values.end(), t.data<T>());
    return t;
  }

  bool defined() const { return storage_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return layout_.shape; }
  const Shape& stride() const { return layout_.stride; }
  const Layout& layout() const { return layout_; }
  int ndim() const { return layout_.shape.ndim(); }
  int64_t dim(int i) const { return layout_.shape[i]; }
  int64_t count() const { return layout_.shape.count(); }
  size_t bytes() const { return tensor_bytes(dtype_, layout_.shape); }
  bool contiguous() const { return layout_.contiguous(); }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  size_t offset() const { return offset_; }  // bytes from the start of the storage

  template <class T = void>
  T* data() const {
    return reinterpret_cast<T*>(storage_->data() + offset_);
  }
  template <class T>
  std::span<T> span() const {
    return {data<T>(), static_cast<size_t>(count())};
  }

  // The same memory seen differently. `offset` is in elements from the first one.
  Tensor view(const Layout& layout, int64_t offset = 0) const;
  Tensor reshaped(const Shape& shape) const;  // contiguous tensors only
  Tensor with_dtype(DType dtype) const;       // same width
  Tensor to_contiguous() const;               // itself when it already is
  Tensor clone() const;                       // a contiguous copy

  // What its owner calls the device that holds it, a number; 0 says nothing. Results of eager calls take it over.
  uint16_t place() const { return place_; }
  void set_place(uint16_t place) { place_ = place; }

  // Element `i` in row-major order as a number. Slow; for shapes, indices and tests. Quantized values are not scaled.
  double item(int64_t i = 0) const;

 private:
  std::shared_ptr<Storage> storage_;
  size_t offset_ = 0;
  DType dtype_;
  uint16_t place_ = 0;
  Layout layout_;
};

// Copies `src` into `dst` (same shape and element width; any strides), on the calling thread or on all.
void copy_strided(const Tensor& src, const Tensor& dst);
void copy_strided(const Tensor& src, const Tensor& dst, class Exec& exec);

// Values below a byte are stored low nibble (or bit pair, or bit) first; these widen to and narrow from int8/uint8
// rows.
Tensor unpack_lowbit(const Tensor& packed);  // -> Int8 or Uint8 of the same shape
Tensor pack_lowbit(const Tensor& values, DType dtype);

}  // namespace megalith
