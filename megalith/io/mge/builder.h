// Writes a FlatBuffer from a tree of objects, top down: a table before what it refers to, its field list directly in
// front of it. Alignment is relative to the size prefix, as MegEngine's verifier wants it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "megalith/error.h"
#include "megalith/sort_few.h"

namespace megalith::wire {

struct Object;
using ObjectRef = std::shared_ptr<Object>;

// A table, a run of bytes with a count in front, or a vector of references.
struct Object {
  struct Field {
    size_t id, size, align;
    uint8_t bytes[8];
    ObjectRef child;
  };
  enum class Kind { kTable, kBytes, kRefs } kind = Kind::kTable;
  std::vector<Field> fields;  // kTable
  std::string own;            // kBytes: the bytes, unless `borrowed` names others
  std::string_view borrowed;
  size_t count = 0, align = 4;  // kBytes
  bool text = false;            // kBytes: ends with a NUL that is not counted
  std::vector<ObjectRef> refs;  // kRefs

  template <class T>
  void scalar(size_t id, T v, T def) {
    if (std::memcmp(&v, &def, sizeof v) != 0) raw(id, &v, sizeof v, sizeof v);
  }
  void raw(size_t id, const void* data, size_t n, size_t alignment) {
    Field f{id, n, alignment, {}, nullptr};
    std::memcpy(f.bytes, data, n);
    fields.push_back(std::move(f));
  }
  void child(size_t id, ObjectRef o) { fields.push_back({id, 4, 4, {}, std::move(o)}); }
  // The type id of a union stands one before its value.
  void member(size_t id, uint8_t type, ObjectRef o) {
    raw(id - 1, &type, 1, 1);
    child(id, std::move(o));
  }
};

inline ObjectRef table() { return std::make_shared<Object>(); }
inline ObjectRef bytes(std::string own, size_t count) {
  auto o = std::make_shared<Object>();
  o->kind = Object::Kind::kBytes;
  o->own = std::move(own);
  o->count = count;
  return o;
}
inline ObjectRef text(std::string_view s) {
  auto o = bytes(std::string(s), s.size());
  o->text = true;
  return o;
}
// Bytes that stay where they are until the buffer is written, aligned for use in place.
inline ObjectRef borrow(std::string_view data, size_t align) {
  auto o = bytes({}, data.size());
  o->borrowed = data;
  o->align = align;
  return o;
}
template <class T>
ObjectRef numbers(const std::vector<T>& v) {
  return bytes(std::string(reinterpret_cast<const char*>(v.data()), v.size() * sizeof(T)), v.size());
}
inline ObjectRef refs(std::vector<ObjectRef> v) {
  auto o = std::make_shared<Object>();
  o->kind = Object::Kind::kRefs;
  o->refs = std::move(v);
  return o;
}

class Builder {
 public:
  // The size-prefixed buffer.
  std::string finish(const ObjectRef& root, std::string_view identifier) {
    out_.assign(8, '\0');
    out_ += identifier;
    const size_t pos = place(*root);
    put<uint32_t>(4, pos - 4);
    if (out_.size() > INT32_MAX)
      throw UnsupportedError(cat("the graph needs ", out_.size(), " bytes; this format ends at 2 GiB"));
    put<uint32_t>(0, out_.size() - 4);
    return std::move(out_);
  }

 private:
  template <class T>
  void put(size_t at, uint64_t v) {
    const T t = static_cast<T>(v);
    std::memcpy(out_.data() + at, &t, sizeof t);
  }
  void pad(size_t align, size_t ahead = 0) {
    while ((out_.size() + ahead) % align != 0) out_ += '\0';
  }
  // Appends an object and what it refers to; returns its position.
  size_t place(const Object& o) {
    if (o.kind == Object::Kind::kTable) return place_table(o);
    pad(std::max<size_t>(4, o.kind == Object::Kind::kBytes ? o.align : 4), 4);
    const size_t pos = out_.size();
    out_.append(4, '\0');
    if (o.kind == Object::Kind::kBytes) {
      put<uint32_t>(pos, o.count);
      out_ += o.borrowed.empty() ? std::string_view(o.own) : o.borrowed;
      if (o.text) out_ += '\0';
      return pos;
    }
    put<uint32_t>(pos, o.refs.size());
    out_.append(4 * o.refs.size(), '\0');
    for (size_t i = 0; i < o.refs.size(); ++i) refer(pos + 4 + 4 * i, *o.refs[i]);
    return pos;
  }
  void refer(size_t at, const Object& o) {
    const size_t to = place(o);
    put<uint32_t>(at, to - at);
  }
  size_t place_table(const Object& o) {
    size_t slots = 0, align = 4;
    std::vector<const Object::Field*> order;
    for (const Object::Field& f : o.fields) {
      slots = std::max(slots, f.id + 1);
      align = std::max(align, f.align);
      order.push_back(&f);
    }
    sort_few(order.begin(), order.end(), [](auto* a, auto* b) { return a->align > b->align; });
    pad(2);
    const size_t vtable = out_.size();
    out_.append(4 + 2 * slots, '\0');
    pad(align, 4);  // the first member stands behind the 4 bytes that lead to the field list
    const size_t pos = out_.size();
    out_.append(4, '\0');
    std::vector<std::pair<size_t, const Object*>> later;
    for (const Object::Field* f : order) {
      pad(f->align);
      const size_t at = out_.size();
      out_.append(reinterpret_cast<const char*>(f->bytes), f->size);
      put<uint16_t>(vtable + 4 + 2 * f->id, at - pos);
      if (f->child) later.emplace_back(at, f->child.get());
    }
    put<uint16_t>(vtable, 4 + 2 * slots);
    put<uint16_t>(vtable + 2, out_.size() - pos);
    put<int32_t>(pos, pos - vtable);
    for (const auto& [at, child] : later) refer(at, *child);
    return pos;
  }

  std::string out_;
};

}  // namespace megalith::wire
