// How an op's parameters are described: a trivially copyable aggregate and the list of its fields.
//
// The same list drives the `.mge` codec, the printed parameters, `mgl inspect --ops`, bindings and docs.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "megalith/dtype.h"

namespace megalith {

enum class FieldType : uint8_t {
  kBool,
  kInt32,
  kUint32,
  kUint64,
  kFloat32,
  kFloat64,
  kEnum,       // uint32 with named values
  kDTypeEnum,  // int8
  kDType,      // the table {id, quantization}
  kScalar,     // Scalar: 5 bytes
  // Lists live in Params::list(), flattened; at most one per table.
  kInt32List,
  kAxisDescList,   // (method, axis)
  kIndexItemList,  // (axis, begin, end, step, idx)
};

struct EnumValue {
  const char* name;
  uint32_t value;
};
struct EnumInfo {
  const char* name;
  std::span<const EnumValue> values;
  bool flags = false;                     // values are bits that can be combined
  const char* name_of(uint32_t v) const;  // null when v has no name
};
template <class E>
const EnumInfo& enum_info();

// MegEngine's PersistentDTypeScalar: a number with its type, as stored by AddUpdate.
struct Scalar {
  DTypeEnum dtype = DTypeEnum::Float32;
  uint8_t storage[4] = {0, 0, 0, 0};
  double value() const;
  static Scalar of(float v);
};

struct Field {
  const char* name;
  FieldType type;
  size_t offset;
  const EnumInfo& (*enums)();
  const char* doc;
};

// One parameter table. `union_id` is its number in the files' OperatorParam union.
struct ParamSchema {
  const char* name;
  uint8_t union_id;
  size_t size;
  std::span<const Field> fields;
  void (*init)(void*);  // placement-constructs the defaults
};

namespace detail {
template <class M>
constexpr FieldType field_type() {
  if constexpr (std::is_same_v<M, bool>)
    return FieldType::kBool;
  else if constexpr (std::is_same_v<M, int32_t>)
    return FieldType::kInt32;
  else if constexpr (std::is_same_v<M, uint32_t>)
    return FieldType::kUint32;
  else if constexpr (std::is_same_v<M, uint64_t>)
    return FieldType::kUint64;
  else if constexpr (std::is_same_v<M, float>)
    return FieldType::kFloat32;
  else if constexpr (std::is_same_v<M, double>)
    return FieldType::kFloat64;
  else if constexpr (std::is_same_v<M, DTypeEnum>)
    return FieldType::kDTypeEnum;
  else if constexpr (std::is_same_v<M, Scalar>)
    return FieldType::kScalar;
  else {
    static_assert(std::is_enum_v<M>, "no field type for this member");
    return FieldType::kEnum;
  }
}
template <class M>
constexpr auto field_enums() -> const EnumInfo& (*)() {
  if constexpr (std::is_enum_v<M> && !std::is_same_v<M, DTypeEnum>)
    return &enum_info<M>;
  else
    return nullptr;
}
}  // namespace detail

#define MEGALITH_FIELD(P, member, doc)                                                   \
  ::megalith::Field {                                                                    \
    #member, ::megalith::detail::field_type<decltype(P::member)>(), offsetof(P, member), \
        ::megalith::detail::field_enums<decltype(P::member)>(), kTrimmed ? "" : doc      \
  }
constexpr Field list_field(const char* name, FieldType type, const char* doc) {
  return {name, type, 0, nullptr, kTrimmed ? "" : doc};
}

inline constexpr size_t kMaxParamSize = 128;

template <class P>
constexpr ParamSchema make_schema(const char* name, uint8_t union_id, std::span<const Field> fields) {
  static_assert(std::is_trivially_copyable_v<P> && sizeof(P) <= kMaxParamSize);
  return {name, union_id, sizeof(P), fields, [](void* at) { new (at) P{}; }};
}

// A parameter struct held by value, plus the integer list of the few tables that have one.
class Params {
 public:
  Params() = default;
  explicit Params(const ParamSchema& schema) : schema_(&schema) { schema.init(data_); }
  template <class P, class = decltype(P::kSchema)>
  Params(const P& p, std::vector<int32_t> list = {}) : schema_(&P::kSchema), list_(std::move(list)) {  // NOLINT
    new (data_) P(p);
  }

  const ParamSchema* schema() const { return schema_; }  // null for ops that store no parameter
  template <class P>
  const P& as() const {
    assert(schema_ == &P::kSchema);
    return *std::launder(reinterpret_cast<const P*>(data_));
  }
  template <class P>
  P& as() {
    assert(schema_ == &P::kSchema);
    return *std::launder(reinterpret_cast<P*>(data_));
  }
  const std::vector<int32_t>& list() const { return list_; }
  std::vector<int32_t>& list() { return list_; }
  std::byte* field(const Field& f) { return data_ + f.offset; }
  const std::byte* field(const Field& f) const { return data_ + f.offset; }
  std::string str() const;  // "mode=MAX, pad_h=1"; fields at their default are left out

  friend bool operator==(const Params& a, const Params& b);  // field by field

 private:
  const ParamSchema* schema_ = nullptr;
  alignas(8) std::byte data_[kMaxParamSize] = {};
  std::vector<int32_t> list_;
};

std::string field_str(const Params& p, const Field& f);

}  // namespace megalith
