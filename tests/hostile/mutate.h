// Edits of model files that know the format: they go for sizes, variable numbers, element types, operator ids,
// parameters and values, where a blind bit flip seldom lands. The same seed gives the same edit.
#pragma once

#include <cmath>
#include <limits>

#include "megalith/io/mge/ids.h"
#include "megalith/io/mge/wire.h"
#include "tests/hostile/try_model.h"

namespace hostile {

// A place in a file where an edit hurts.
struct Site {
  enum Kind {
    kSize,
    kOffset,
    kSlot,
    kCount,
    kTypeId,
    kVersion,
    kDim,
    kVariable,
    kByte,
    kParam,
    kEnum,
    kInt,
    kFloat,
    kName
  } kind;
  size_t at, width;
};

class Sites {
 public:
  explicit Sites(std::string_view file) : file_(file) {
    try {
      size_t at = starts_with("mgbtest0", 0) ? 12 : 0;
      if (at) add(Site::kInt, 8, 4);
      while (at < file_.size()) at = graph(at);
    } catch (const megalith::Error&) {  // damaged already: what was found before is enough
    }
  }
  std::vector<Site> all;

 private:
  using Table = megalith::wire::Table;
  using Vector = megalith::wire::Vector;

  bool starts_with(std::string_view magic, size_t at) const {
    return at < file_.size() && file_.substr(at, magic.size()) == magic;
  }
  void add(Site::Kind kind, size_t at, size_t width) { all.push_back({kind, at, width}); }
  size_t abs(size_t at) const { return at + where_; }

  size_t graph(size_t at) {
    const auto bytes = std::as_bytes(std::span(file_));
    const megalith::wire::Buffer whole(bytes, 0);
    v2_ = starts_with("mgv2", at + 8);
    v0_ = starts_with("MGBS", at);
    if (!v2_) {
      const size_t p = at + (v0_ ? 8 : 16);
      add(Site::kSize, p, 8);
      at = p + 8 + whole.read<uint64_t>(p);
    }
    const size_t size = whole.read<uint32_t>(at);
    add(Site::kSize, at, 4);
    where_ = at + 4;
    if (where_ > file_.size()) return where_;
    buffer_ = megalith::wire::Buffer(bytes.subspan(where_, std::min(size, file_.size() - where_)), where_);
    const Table root(buffer_, buffer_.indirect(0));
    slots(root, 8);
    const Vector ops = vector(root, v2_ ? 2 : 3, 4);
    for (size_t i = 0; i < ops.count; ++i) {
      if (const auto op = Table::element(ops, i)) operation(*op);
    }
    const Vector outs = vector(root, 4, v2_ ? 4 : 8);
    for (size_t i = 0; i < outs.count; ++i) {
      if (!v2_) {
        add(Site::kVariable, abs(outs.begin + 8 * i), 4);
      } else if (const auto o = Table::element(outs, i); o && o->slot(0)) {
        add(Site::kVariable, abs(o->slot(0)), 4);
      }
    }
    return where_ + size;
  }

  // The field list of a table: a slot of 0 makes the field its default.
  void slots(const Table& t, size_t most) {
    const size_t vtable = t.pos() - static_cast<size_t>(buffer_.read<int32_t>(t.pos()));
    const size_t n = (buffer_.read<uint16_t>(vtable) - 4) / 2;
    for (size_t i = 0; i < std::min(n, most); ++i) add(Site::kSlot, abs(vtable + 4 + 2 * i), 2);
  }
  Vector vector(const Table& t, size_t id, size_t width) {
    const size_t at = t.slot(id);
    const Vector v = t.vector(id, width);
    if (at) add(Site::kOffset, abs(at), 4), add(Site::kCount, abs(v.begin - 4), 4);
    return v;
  }
  void field(const Table& t, size_t id, Site::Kind kind, size_t width) {
    if (const size_t at = t.slot(id)) add(kind, abs(at), width);
  }
  void name(const Table& t, size_t id) { field(t, id, Site::kName, 4); }

  void operation(const Table& o) {
    slots(o, 16);
    field(o, v2_ ? 1 : 0, Site::kTypeId, 8);
    name(o, v2_ ? 2 : 12);
    if (v2_) field(o, 12, Site::kVersion, 4);
    const size_t param = v2_ ? 4 : 2;
    field(o, param - 1, Site::kVersion, 1);
    const auto id = o.scalar<uint64_t>(v2_ ? 1 : 0, 0);
    const auto* op = v2_   ? megalith::mge::find_v2(id, static_cast<int>(o.scalar<uint32_t>(12, 0)))
                     : v0_ ? megalith::mge::find_v0(id)
                           : megalith::mge::find_v1(id);
    if (const auto p = o.table(param); p && op && op->params) params(*op->params, *p);
    for (size_t list : {v2_ ? size_t{7} : size_t{3}, size_t{8}}) {  // what it reads; FBS_V2: what it makes
      if (!v2_ && list == 8) continue;
      const Vector v = vector(o, list, 4);
      for (size_t i = 0; i < v.count; ++i) add(Site::kVariable, abs(v.begin + 4 * i), 4);
    }
    if (const auto d = o.table(v2_ ? 10 : 6)) dtype(*d);
    const Vector tensors = vector(o, v2_ ? 11 : 7, 4);
    for (size_t i = 0; i < tensors.count; ++i) {
      if (const auto t = Table::element(tensors, i)) tensor(*t);
    }
  }

  void params(const megalith::ParamSchema& schema, const Table& t) {
    using F = megalith::FieldType;
    slots(t, 32);
    for (size_t i = 0; i < schema.fields.size(); ++i) {
      switch (schema.fields[i].type) {
        case F::kBool:
        case F::kDTypeEnum: field(t, i, Site::kByte, 1); break;
        case F::kScalar: field(t, i, Site::kByte, 1); break;
        case F::kFloat32: field(t, i, Site::kFloat, 4); break;
        case F::kFloat64:
        case F::kUint64: field(t, i, Site::kParam, 8); break;
        case F::kInt32:
        case F::kUint32: field(t, i, Site::kParam, 4); break;
        case F::kInt32List:
        case F::kAxisDescList: {
          const Vector v = vector(t, i, 4);
          for (size_t k = 0; k < std::min<size_t>(v.count, 16); ++k) add(Site::kParam, abs(v.begin + 4 * k), 4);
          break;
        }
        case F::kEnum: field(t, i, Site::kEnum, 4); break;
        case F::kDType: dtype(t); break;
        default: {
          const Vector v = vector(t, i, 5);
          for (size_t k = 0; k < std::min<size_t>(5 * v.count, 40); ++k) add(Site::kByte, abs(v.begin + k), 1);
        }
      }
    }
  }

  void dtype(const Table& t) {
    field(t, 0, Site::kByte, 1);
    field(t, 1, Site::kByte, 1);
    if (const auto q = t.table(2)) {
      field(*q, 0, Site::kFloat, 4);
      field(*q, 1, Site::kByte, 1);
    }
  }

  void tensor(const Table& t) {
    slots(t, 8);
    name(t, 0);
    const Vector dims = vector(t, 1, 4);
    for (size_t i = 0; i < dims.count; ++i) add(Site::kDim, abs(dims.begin + 4 * i), 4);
    if (const auto d = t.table(3)) dtype(*d);
    if (!v2_) {
      field(t, 4, Site::kInt, 4);
      field(t, 5, Site::kInt, 4);
    } else {
      const Vector data = vector(t, 6, 1);
      for (size_t i = 0; i + 4 <= std::min<size_t>(data.count, 32); i += 4) add(Site::kInt, abs(data.begin + i), 4);
    }
  }

  std::string_view file_;
  megalith::wire::Buffer buffer_;
  size_t where_ = 0;
  bool v2_ = false, v0_ = false;
};

inline bool within(const std::string& file, size_t at, size_t width) {
  return width <= file.size() && at <= file.size() - width;
}

template <class T>
void poke(std::string& file, size_t at, size_t width, T v) {
  if (within(file, at, width) && width <= sizeof v) std::memcpy(file.data() + at, &v, width);
}

inline uint64_t peek(const std::string& file, size_t at, size_t width) {
  uint64_t v = 0;
  if (within(file, at, width)) std::memcpy(&v, file.data() + at, width);
  return v;
}

// Writes one wrong value; says what it did.
inline std::string edit(std::string& file, const Site& s, const std::vector<Site>& all, Random& random) {
  using std::array;
  const uint64_t old = peek(file, s.at, s.width);
  const auto near = old + random.pick(array<uint64_t, 4>{1, ~uint64_t{0}, 2, ~uint64_t{1}});
  uint64_t v = near;
  const char* what = "";
  switch (s.kind) {
    case Site::kSize:
      what = "size";
      v = random.pick(array<uint64_t, 5>{0, near, 0xffffffff, old * 2, ~uint64_t{0}});
      break;
    case Site::kOffset:
      what = "offset";
      v = random.pick(array<uint64_t, 6>{0, 4, old + 4, old - 4, 0x7fffffff, 0xffffffff});
      break;
    case Site::kSlot:
      what = "field";
      v = random.pick(array<uint64_t, 5>{0, 0, 4, old + 4, 0xffff});
      break;
    case Site::kCount:
      what = "count";
      v = random.pick(array<uint64_t, 6>{0, near, 1, old * 2, 0x7fffffff, 0xffffffff});
      break;
    case Site::kDim:
      what = "dimension";
      v = random.pick(array<uint64_t, 10>{0, 1, 2, 3, near, 65536, 1 << 20, 0x7fffffff, 0x80000000, 0xffffffff});
      break;
    case Site::kVariable:
      what = "variable";
      v = random.pick(array<uint64_t, 6>{0, near, near, 1000, 0x7fffffff, 0xffffffff});
      break;
    case Site::kTypeId: {
      what = "operator id";
      const auto& ops = megalith::Registry::get().ops();
      const megalith::OpDef* op = ops[random.below(ops.size())];
      v = random.next();
      if (op->mge.v1_name && random.below(8) != 0) {
        v = random.below(2) ? megalith::mge::type_id_v1(*op) : megalith::mge::type_id_v2(*op, op->mge.max_version);
      }
      break;
    }
    case Site::kByte:
      what = "byte";
      v = random.pick(array<uint64_t, 6>{0, 1, near, random.below(256), 0x7f, 0xff});
      break;
    case Site::kEnum:
      what = "enumerator";
      v = random.pick(array<uint64_t, 4>{near, near, random.below(12), random.below(100)});
      break;
    case Site::kVersion:
    case Site::kParam:
    case Site::kInt:
      what = "number";
      v = random.pick(
          array<uint64_t, 14>{0, 0, 1, 2, near, near, 3, 7, 16, 65536, 1 << 20, 0x7fffffff, 0x80000000, ~uint64_t{0}});
      break;
    case Site::kFloat: {
      what = "real number";
      float x;
      std::memcpy(&x, &old, 4);
      using L = std::numeric_limits<float>;
      x = random.pick(array{0.f, -0.f, L::quiet_NaN(), L::infinity(), -L::infinity(), L::max(), L::denorm_min(), -1.f,
                            x * 2, -x, 1e9f});
      v = 0;
      std::memcpy(&v, &x, 4);
      break;
    }
    case Site::kName: {  // the name of something else further on, or the middle of this one
      what = "name";
      std::vector<size_t> later;
      for (const Site& o : all) {
        const size_t to = o.at + peek(file, o.at, 4);
        if (o.kind == Site::kName && to > s.at && o.at != s.at) later.push_back(to - s.at);
      }
      v = later.empty() ? old + 4 : later[random.below(later.size())];
      break;
    }
  }
  poke(file, s.at, s.width, v);
  return megalith::cat(what, " at byte ", s.at, ": ", old, " -> ", v);
}

// Makes the size in front of the graph fit again, so that what comes behind it is read at all.
inline void repair_sizes(std::string& file) {
  if (file.size() < 40) return;
  if (file.compare(8, 4, "mgv2") == 0) return poke(file, 0, 4, static_cast<uint32_t>(file.size() - 4));
  const size_t p = file.compare(0, 4, "MGBS") == 0 ? 8 : file.compare(0, 4, "MGBC") == 0 ? 16 : 0;
  if (!p) return;
  const uint64_t graph = p + 8 + peek(file, p, 8);
  if (graph + 12 <= file.size() && graph > p) poke(file, graph, 4, static_cast<uint32_t>(file.size() - graph - 4));
}

// One to three edits at sites, or now and then a cut, a flip, a hole or a repetition. Says what it did.
inline std::string mutate(std::string& file, uint64_t seed) {
  Random random(seed);
  if (file.empty()) return "nothing";
  switch (random.below(16)) {
    case 0: {
      file.resize(random.below(file.size()));
      return megalith::cat("cut to ", file.size(), " bytes");
    }
    case 1: {
      const size_t n = 1 + random.below(8);
      for (size_t i = 0; i < n; ++i) file[random.below(file.size())] ^= static_cast<char>(1 << random.below(8));
      return megalith::cat(n, " flipped bits");
    }
    case 2: {
      const size_t at = random.below(file.size()), n = std::min<size_t>(4 * (1 + random.below(8)), file.size() - at);
      const bool more = random.below(2);
      more ? file.insert(at, file.substr(at, n)) : file.erase(at, n);
      repair_sizes(file);
      return megalith::cat(n, " bytes ", more ? "repeated" : "left out", " at ", at);
    }
    default: {
      const Sites sites(file);
      if (sites.all.empty()) return file[random.below(file.size())] ^= 1, "a flipped bit";
      std::string what;
      for (size_t i = 0, n = 1 + random.below(3); i < n; ++i) {
        // First a kind, so that no kind is drowned by another. Mostly one that the reader can't refuse by itself, so
        // that passes, shape rules and kernels get their share.
        static constexpr std::array kDeep{Site::kDim,   Site::kVariable, Site::kByte, Site::kParam, Site::kParam,
                                          Site::kParam, Site::kEnum,     Site::kInt,  Site::kFloat, Site::kName};
        const auto kind = random.below(5) ? random.pick(kDeep) : static_cast<Site::Kind>(random.below(Site::kName + 1));
        std::vector<Site> of_kind;
        for (const Site& s : sites.all) {
          if (s.kind == kind) of_kind.push_back(s);
        }
        const std::vector<Site>& from = of_kind.empty() ? sites.all : of_kind;
        what += (i ? ", " : "") + edit(file, from[random.below(from.size())], sites.all, random);
      }
      return what;
    }
  }
}

}  // namespace hostile
