#include "megalith/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "megalith/block_pool.h"

namespace megalith {

Shape::Shape(std::span<const int64_t> dims) {
  for (int64_t d : dims) push_back(d);
}

void Shape::push_back(int64_t v) {
  if (n_ == kMaxDims) throw Error(cat("a tensor has at most ", kMaxDims, " dimensions"));
  d_[static_cast<size_t>(n_++)] = v;
}

void Shape::insert(int at, int64_t v) {
  push_back(v);
  std::rotate(d_.begin() + at, d_.begin() + n_ - 1, d_.begin() + n_);
}

void Shape::erase(int at) {
  std::rotate(d_.begin() + at, d_.begin() + at + 1, d_.begin() + n_);
  --n_;
}

int64_t Shape::count() const { return count(0, n_); }

int64_t Shape::count(int begin, int end) const {
  int64_t n = 1;
  for (int i = begin; i < end; ++i) {
    if (__builtin_mul_overflow(n, (*this)[i], &n)) throw Error(cat("shape ", str(), " has too many elements"));
  }
  return n;
}

std::string Shape::str() const {
  std::string s = "(";
  for (int i = 0; i < n_; ++i) s += (i ? "," : "") + std::to_string((*this)[i]);
  return s + ")";
}

bool operator==(const Shape& a, const Shape& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

Layout::Layout(const Shape& s) : shape(s), stride(s) {
  int64_t n = 1;
  for (int i = s.ndim() - 1; i >= 0; --i) {
    stride[i] = n;
    n *= std::max<int64_t>(s[i], 1);
  }
}

bool Layout::contiguous() const {
  int64_t n = 1;
  for (int i = shape.ndim() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && stride[i] != n) return false;
    n *= shape[i];
  }
  return true;
}

Layout channels_last(const Shape& s) {
  if (s.ndim() == 4) return Layout(s, {s[1] * s[2] * s[3], 1, s[1] * s[3], s[1]});
  const int64_t c = s[1] * s[4];
  return Layout(s, {c * s[2] * s[3], s[4], c * s[3], c, 1});
}

bool is_channels_last(const Layout& l) {
  const Shape& s = l.shape;
  if ((s.ndim() != 4 && s.ndim() != 5) || l.contiguous()) return false;
  const Shape want = channels_last(s).stride;
  for (int i = 0; i < s.ndim(); ++i) {
    if (s[i] != 1 && l.stride[i] != want[i]) return false;
  }
  return true;
}

size_t tensor_bytes(DType dtype, const Shape& shape) {
  // Dimensions of 0 count as 1 in the check, so that strides and partial products can't overflow either.
  const int64_t last = shape.ndim() ? shape[shape.ndim() - 1] : 1;
  int64_t row = 0, bound = 0;
  bool bad = __builtin_mul_overflow(std::max<int64_t>(last, 1), int64_t{dtype.bits()}, &row) || row > INT64_MAX - 7;
  if (!bad) bound = (row + 7) / 8;
  for (int i = 0; i < shape.ndim(); ++i) {
    bad = bad || shape[i] < 0;
    if (!bad && i + 1 < shape.ndim()) bad = __builtin_mul_overflow(bound, std::max<int64_t>(shape[i], 1), &bound);
  }
  int64_t elements = 0;  // of types below a byte there are more elements than bytes
  bad = bad || __builtin_mul_overflow(bound, int64_t{8}, &elements) || bound > PTRDIFF_MAX;
  if (bad) throw Error(cat("a tensor of shape ", shape, " and type ", dtype.name(), " is too large"));
  return shape.count() == 0 ? 0 : static_cast<size_t>(bound);
}

namespace {

// A Storage, its reference counts and its bytes lie in one block.
constexpr size_t kHeader = 128;

template <class T>
struct InBlock {
  using value_type = T;
  std::byte* block;
  size_t bytes;
  InBlock(std::byte* block, size_t bytes) : block(block), bytes(bytes) {}
  template <class U>
  InBlock(const InBlock<U>& other) : block(other.block), bytes(other.bytes) {}  // NOLINT
  T* allocate(size_t) {
    static_assert(sizeof(T) <= kHeader && alignof(T) <= 64);
    return reinterpret_cast<T*>(block);
  }
  void deallocate(T*, size_t) { free_block(block, bytes); }
  template <class U>
  bool operator==(const InBlock<U>& other) const {
    return block == other.block;
  }
};

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  const size_t total = bytes + kHeader;
  std::byte* block = total < bytes ? nullptr : allocate_block(total);
  if (!block) throw Error(cat("out of memory: ", bytes, " bytes"));
  return std::allocate_shared<Storage>(InBlock<Storage>(block, total), Key{}, block + kHeader, bytes, true, nullptr);
}

std::shared_ptr<Storage> Storage::wrap(void* data, size_t bytes, std::shared_ptr<void> owner, bool writable) {
  return std::make_shared<Storage>(Key{}, static_cast<std::byte*>(data), bytes, writable, std::move(owner));
}

Tensor Tensor::empty(DType dtype, const Shape& shape) {
  return from_storage(Storage::allocate(tensor_bytes(dtype, shape)), 0, dtype, Layout(shape));
}

Tensor Tensor::empty(DType dtype, const Layout& layout) {
  return from_storage(Storage::allocate(tensor_bytes(dtype, layout.shape)), 0, dtype, layout);
}

Tensor Tensor::zeros(DType dtype, const Shape& shape) {
  Tensor t = empty(dtype, shape);
  std::memset(t.data(), 0, t.bytes());
  return t;
}

Tensor Tensor::from_storage(std::shared_ptr<Storage> storage, size_t offset_bytes, DType dtype, const Layout& layout) {
  Tensor t;
  t.storage_ = std::move(storage);
  t.offset_ = offset_bytes;
  t.dtype_ = dtype;
  t.layout_ = layout;
  return t;
}

Tensor Tensor::view(const Layout& layout, int64_t offset) const {
  Tensor t = *this;
  t.layout_ = layout;
  t.offset_ = static_cast<size_t>(static_cast<int64_t>(offset_) + offset * (dtype_.bits() / 8));
  return t;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  assert(contiguous());
  if (shape.count() != count()) throw Error(cat("can't see ", this->shape(), " as ", shape));
  return view(Layout(shape));
}

Tensor Tensor::with_dtype(DType dtype) const {
  assert(dtype.bits() == dtype_.bits());
  Tensor t = *this;
  t.dtype_ = dtype;
  return t;
}

Tensor Tensor::to_contiguous() const { return contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
  Tensor t = empty(dtype_, shape());
  copy_strided(*this, t);
  return t;
}

double Tensor::item(int64_t i) const {
  if (dtype_.is_lowbit()) return unpack_lowbit(*this).item(i);
  int64_t at = 0;
  for (int k = ndim() - 1; k >= 0; --k) {
    at += i % dim(k) * stride()[k];
    i /= dim(k);
  }
  switch (dtype_.id) {
    case DTypeEnum::Float32: return data<float>()[at];
    case DTypeEnum::Int32: return data<int32_t>()[at];
#ifndef MEGALITH_TRIMMED
    case DTypeEnum::Complex64: return data<float>()[2 * at];
    case DTypeEnum::Float16: return data<half>()[at];
    case DTypeEnum::BFloat16: return data<bfloat16>()[at];
    case DTypeEnum::QuantizedS32: return data<int32_t>()[at];
    case DTypeEnum::Int16:
    case DTypeEnum::QuantizedS16: return data<int16_t>()[at];
    case DTypeEnum::Uint16: return data<uint16_t>()[at];
    case DTypeEnum::Int8:
    case DTypeEnum::QuantizedS8: return data<int8_t>()[at];
#endif
    default: return data<uint8_t>()[at];
  }
}

Tensor unpack_lowbit(const Tensor& packed) {
  const int bits = packed.dtype().bits();
  const bool is_signed = packed.dtype().id == DTypeEnum::QuantizedS4 || packed.dtype().id == DTypeEnum::IntB4;
  Tensor out = Tensor::empty(is_signed ? DTypeEnum::Int8 : DTypeEnum::Uint8, packed.shape());
  const int64_t row = packed.ndim() ? packed.dim(packed.ndim() - 1) : 1;
  const int64_t row_bytes = (row * bits + 7) / 8, per = 8 / bits;
  const int64_t rows = row ? packed.count() / row : 0;
  const auto* src = packed.data<uint8_t>();
  auto* dst = out.data<uint8_t>();
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < row; ++i) {
      uint32_t v = (src[r * row_bytes + i / per] >> (i % per * bits)) & ((1u << bits) - 1);
      if (is_signed && (v & (1u << (bits - 1)))) v |= ~0u << bits;
      dst[r * row + i] = static_cast<uint8_t>(v);
    }
  }
  return out;
}

Tensor pack_lowbit(const Tensor& values, DType dtype) {
  const int bits = dtype.bits();
  Tensor out = Tensor::zeros(dtype, values.shape());
  const int64_t row = values.ndim() ? values.dim(values.ndim() - 1) : 1;
  const int64_t row_bytes = (row * bits + 7) / 8, per = 8 / bits;
  const int64_t rows = row ? values.count() / row : 0;
  const auto* src = values.data<uint8_t>();
  auto* dst = out.data<uint8_t>();
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < row; ++i) {
      const uint32_t v = src[r * row + i] & ((1u << bits) - 1);
      dst[r * row_bytes + i / per] |= static_cast<uint8_t>(v << (i % per * bits));
    }
  }
  return out;
}

}  // namespace megalith
