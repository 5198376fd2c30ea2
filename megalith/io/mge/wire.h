// Checked reads of a FlatBuffer: every offset is tested against the buffer before it is followed.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "megalith/error.h"

namespace megalith::wire {

class Buffer {
 public:
  Buffer() = default;
  // `where` is the position of the buffer in its file, for messages.
  Buffer(std::span<const std::byte> bytes, size_t where)
      : bytes_(bytes), where_(where), budget_(8 * uint64_t{bytes.size()} + (1 << 16)) {}

  size_t size() const { return bytes_.size(); }
  size_t where() const { return where_; }
  std::span<const std::byte> bytes(size_t at, size_t n) const {
    if (at > bytes_.size() || n > bytes_.size() - at) fail(at, "a read past the end");
    return bytes_.subspan(at, n);
  }
  template <class T>
  T read(size_t at) const {
    T v;
    std::memcpy(&v, bytes(at, sizeof(T)).data(), sizeof(T));
    return v;
  }
  // Follows the unsigned offset at `at`.
  size_t indirect(size_t at) const {
    const size_t to = at + read<uint32_t>(at);
    if (to >= bytes_.size()) fail(at, "an offset past the end");
    return to;
  }
  // Objects of a buffer may be referred to many times, so a small hostile file can describe a huge graph. Whoever
  // follows a reference charges the size of what it leads to; no honest file comes near the limit.
  void charge(uint64_t n) const {
    if (n > budget_) fail(0, "the same bytes are referred to too many times");
    budget_ -= n;
  }
  [[noreturn]] void fail(size_t at, const std::string& what) const {
    throw ModelError(cat("damaged model file: ", what, " at byte ", where_ + at));
  }

 private:
  std::span<const std::byte> bytes_;
  size_t where_ = 0;
  mutable uint64_t budget_ = 0;
};

// A vector: its length and where its elements begin.
struct Vector {
  const Buffer* buf = nullptr;
  size_t count = 0, begin = 0;
  template <class T>
  T at(size_t i) const {
    return buf->read<T>(begin + i * sizeof(T));
  }
};

class Table {
 public:
  Table() = default;
  Table(const Buffer& buf, size_t pos) : buf_(&buf), pos_(pos) {
    const int64_t vt = static_cast<int64_t>(pos) - buf.read<int32_t>(pos);
    if (vt < 0 || static_cast<size_t>(vt) + 4 > buf.size()) buf.fail(pos, "a table without a field list");
    vtable_ = static_cast<size_t>(vt);
    slots_ = buf.read<uint16_t>(vtable_);
    slots_ = slots_ < 4 ? 0 : (slots_ - 4) / 2;
    buf.bytes(vtable_, 4 + slots_ * 2);
    buf.charge(64);
  }
  size_t pos() const { return pos_; }
  const Buffer& buf() const { return *buf_; }
  // Where field `id` lies; 0 when it is not stored.
  size_t slot(size_t id) const {
    if (id >= slots_) return 0;
    const uint16_t o = buf_->read<uint16_t>(vtable_ + 4 + 2 * id);
    return o ? pos_ + o : 0;
  }
  template <class T>
  T scalar(size_t id, T def) const {
    const size_t at = slot(id);
    return at ? buf_->read<T>(at) : def;
  }
  std::optional<Table> table(size_t id) const {
    const size_t at = slot(id);
    if (!at) return std::nullopt;
    return Table(*buf_, buf_->indirect(at));
  }
  std::string string(size_t id) const {
    const Vector v = vector(id, 1);
    if (!v.count) return {};
    return {reinterpret_cast<const char*>(buf_->bytes(v.begin, v.count).data()), v.count};
  }
  // A vector of elements of `width` bytes; empty when it is not stored.
  Vector vector(size_t id, size_t width) const {
    const size_t at = slot(id);
    if (!at) return {buf_, 0, 0};
    const size_t to = buf_->indirect(at);
    const size_t n = buf_->read<uint32_t>(to);
    if (n > buf_->size() / width) buf_->fail(to, "a vector longer than the file");
    buf_->bytes(to + 4, n * width);
    buf_->charge(n * width);
    return {buf_, n, to + 4};
  }
  // Element i of a vector of tables; nothing for a null entry.
  static std::optional<Table> element(const Vector& v, size_t i) {
    const size_t at = v.begin + 4 * i;
    if (v.buf->read<uint32_t>(at) == 0) return std::nullopt;
    return Table(*v.buf, v.buf->indirect(at));
  }
  static std::string text(const Vector& v, size_t i) {
    const size_t to = v.buf->indirect(v.begin + 4 * i);
    const size_t n = v.buf->read<uint32_t>(to);
    v.buf->charge(n);
    return {reinterpret_cast<const char*>(v.buf->bytes(to + 4, n).data()), n};
  }

 private:
  const Buffer* buf_ = nullptr;
  size_t pos_ = 0, vtable_ = 0, slots_ = 0;
};

}  // namespace megalith::wire
