// A list whose length is fixed when it is made, and whose first N elements need no heap: the arguments of one call.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace megalith {

template <class T, size_t N>
class InlineVector {
 public:
  explicit InlineVector(size_t n) : size_(n), data_(n <= N ? reinterpret_cast<T*>(inline_) : allocate(n)) {
    std::uninitialized_value_construct_n(data_, n);
  }
  ~InlineVector() {
    std::destroy_n(data_, size_);
    if (size_ > N) ::operator delete(data_, std::align_val_t{alignof(T)});
  }
  InlineVector(const InlineVector&) = delete;
  InlineVector& operator=(const InlineVector&) = delete;

  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  operator std::span<T>() { return {data_, size_}; }              // NOLINT
  operator std::span<const T>() const { return {data_, size_}; }  // NOLINT

 private:
  static T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{alignof(T)})); }

  size_t size_;
  T* data_;
  alignas(T) std::byte inline_[N * sizeof(T)];
};

}  // namespace megalith
