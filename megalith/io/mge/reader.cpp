#include "megalith/io/mge/reader.h"

#include <algorithm>
#include <optional>
#include <set>

#include "megalith/io/mge/ids.h"
#include "megalith/io/mge/legacy.h"
#include "megalith/io/mge/wire.h"
#include "megalith/platform/file_map.h"

namespace megalith {
namespace {

using wire::Buffer;
using wire::Table;
using wire::Vector;

constexpr uint32_t kMagicV1 = 0x4342474d, kMagicV0 = 0x5342474d;
constexpr uint8_t kDTypeParamUnion = 51;  // a bare DTypeEnum, where the full table is usual

constexpr uint32_t kPolicyFlags = 100300;  // since 1.3 an execution strategy is a set of flags

// Where the two root schemas keep an operator's fields; a union's type id stands one before its value.
struct OperatorFields {
  size_t type_id, name, param, more_params, inputs, comp_node, output_dtype, tensors, priority, blobs;
};
constexpr OperatorFields kV1Fields{0, 12, 2, 11, 3, 4, 6, 7, 8, 9};
constexpr OperatorFields kV2Fields{1, 2, 4, 6, 7, 9, 10, 11, 13, 14};

DType read_dtype(const Table& t) {
  const int id = t.scalar<int8_t>(0, 0);
  if (!valid_dtype(id)) t.buf().fail(t.pos(), cat("element type ", id, ", which does not exist"));
  DType d(static_cast<DTypeEnum>(id));
  if (t.scalar<uint8_t>(1, 0) == 1) {
    if (const auto q = t.table(2)) {
      d.scale = q->scalar<float>(0, 0);
      d.zero_point = q->scalar<uint8_t>(1, 0);
    }
  }
  return d;
}

void read_list(const Field& f, const Table& t, size_t id, std::vector<int32_t>& list) {
  if (f.type == FieldType::kInt32List) {
    const Vector v = t.vector(id, 4);
    for (size_t i = 0; i < v.count; ++i) list.push_back(v.at<int32_t>(i));
  } else if (f.type == FieldType::kAxisDescList) {  // {int8 method, 3 bytes, int32 axis}
    const Vector v = t.vector(id, 8);
    for (size_t i = 0; i < v.count; ++i) {
      list.push_back(t.buf().read<int8_t>(v.begin + 8 * i));
      list.push_back(t.buf().read<int32_t>(v.begin + 8 * i + 4));
    }
  } else {  // {int8 axis, bool begin, end, step, idx}
    const Vector v = t.vector(id, 5);
    for (size_t i = 0; i < v.count; ++i) {
      list.push_back(t.buf().read<int8_t>(v.begin + 5 * i));
      for (size_t k = 1; k < 5; ++k) list.push_back(t.buf().read<uint8_t>(v.begin + 5 * i + k) != 0);
    }
  }
}

// The one parameter codec: field i of the schema is vtable slot i, unless an older table says otherwise.
Params read_params(const ParamSchema& schema, const Table& t, const mge::LegacyTable* old = nullptr) {
  Params p(schema);
  for (size_t id = 0; id < schema.fields.size(); ++id) {
    const Field& f = schema.fields[id];
    const int slot = old ? mge::legacy_slot(*old, schema, id) : static_cast<int>(id);
    const size_t at = slot < 0 ? 0 : t.slot(static_cast<size_t>(slot));
    if (!at) continue;
    const auto copy = [&](size_t n) { std::memcpy(p.field(f), t.buf().bytes(at, n).data(), n); };
    switch (f.type) {
      case FieldType::kBool: *p.field(f) = std::byte{t.buf().read<uint8_t>(at) != 0}; break;
      case FieldType::kInt32:
      case FieldType::kUint32:
      case FieldType::kFloat32: copy(4); break;
      case FieldType::kUint64:
      case FieldType::kFloat64: copy(8); break;
      case FieldType::kEnum: {
        auto v = t.buf().read<uint32_t>(at);
        if (old) v = mge::legacy_enum(*old, f, v);
        if (!f.enums().flags && !f.enums().name_of(v)) {
          throw ModelError(cat("parameter ", schema.name, ".", f.name, " has the unknown value ", v));
        }
        std::memcpy(p.field(f), &v, sizeof v);
        break;
      }
      case FieldType::kDTypeEnum: {
        const int v = t.buf().read<int8_t>(at);
        if (!valid_dtype(v))
          throw ModelError(cat("parameter ", schema.name, ".", f.name, " has the unknown element type ", v));
        copy(1);
        break;
      }
      case FieldType::kScalar: {
        const int v = t.buf().read<int8_t>(at);
        if (!valid_dtype(v))
          throw ModelError(cat("parameter ", schema.name, ".", f.name, " has the unknown element type ", v));
        copy(5);
        break;
      }
      case FieldType::kDType: break;  // the table as a whole, below
      default: read_list(f, t, id, p.list());
    }
  }
  if (schema.fields.size() == 1 && schema.fields[0].type == FieldType::kDType) {
    const DType d = read_dtype(t);
    std::memcpy(p.field(schema.fields[0]), &d, sizeof d);
  }
  if (old) mge::legacy_extras(*old, t, p);
  return p;
}

class Reader {
 public:
  Reader(std::span<const std::byte> file, std::shared_ptr<void> owner)
      : file_(file),
        storage_(Storage::wrap(const_cast<std::byte*>(file.data()), file.size(), std::move(owner), false)) {}

  MgeFile read() {
    MgeFile out;
    out.bytes = file_.size();
    size_t at = 0;
    if (!kTrimmed && starts_with("mgbtest0")) {
      out.test_cases = static_cast<int>(at_most(value<uint32_t>(8), file_.size(), "test cases"));
      at = 12;
    }
    at = read_graph(at, out);
    std::multiset<std::string> names;
    for (NodeId n : out.graph.inputs()) names.insert(out.graph.input_name(n));
    for (int i = 0; i < out.test_cases; ++i) {
      MgeFile one;
      at = read_graph(at, one);
      std::map<std::string, Tensor> feeds;
      if (one.graph.outputs.size() != names.size()) {
        throw ModelError(
            cat("test case ", i, " has ", one.graph.outputs.size(), " values for ", names.size(), " inputs"));
      }
      size_t k = 0;
      for (const std::string& name : names) {
        const Value& v = one.graph.value(one.graph.outputs[k].value);
        const Node& node = one.graph.node(v.node);
        if (static_cast<size_t>(v.index) >= node.attrs.tensors.size())
          throw ModelError(cat("test case ", i, ": value ", k, " is no constant"));
        if (!node.attrs.tensors[static_cast<size_t>(v.index)].value.defined())
          throw ModelError(cat("test case ", i, ": value ", k, " is missing"));
        feeds[name] = node.attrs.tensors[static_cast<size_t>(v.index)].value;
        ++k;
      }
      out.cases.push_back(std::move(feeds));
    }
    return out;
  }

 private:
  bool starts_with(std::string_view magic, size_t at = 0) const {
    return file_.size() >= at + magic.size() && std::memcmp(file_.data() + at, magic.data(), magic.size()) == 0;
  }
  template <class T>
  T value(size_t at) const {
    return Buffer(file_, 0).read<T>(at);
  }
  static uint64_t at_most(uint64_t n, uint64_t limit, const char* what) {
    if (n > limit) throw ModelError(cat("damaged model file: ", n, " ", what));
    return n;
  }

  // Reads the graph that begins at `at`; returns where it ends.
  size_t read_graph(size_t at, MgeFile& out) {
    if (file_.size() < at + 24) throw ModelError(cat("not a model file, or truncated: ", file_.size(), " bytes"));
    const auto magic = value<uint32_t>(at);
    size_t begin = at;
    v2_ = false;
    if (magic == kMagicV1 || (!kTrimmed && magic == kMagicV0)) {
      v0_ = !kTrimmed && magic == kMagicV0;
      out.format = v0_ ? "FBS_V0" : "FBS";
      size_t p = at + 4 + (v0_ ? 0 : 8) + 4;
      const auto offset = at_most(value<uint64_t>(p), file_.size(), "bytes of tensors");
      cursor_ = p + 8;
      begin = cursor_ + offset;
    } else if (starts_with("mgv2", at + 8)) {
      v2_ = true;
      out.format = "FBS_V2";
    } else if (starts_with("packed_m", at) || starts_with("packed_model", at)) {
      throw UnsupportedError("this is a MegEngine Lite package (packed_model), not a bare model");
    } else {
      throw ModelError("not a model file: none of the magic numbers MGBC, MGBS, mgv2, mgbtest0");
    }
    const auto size = value<uint32_t>(begin);
    if (size > file_.size() - begin - 4)
      throw ModelError(
          cat("truncated model file: the graph needs ", size, " bytes, ", file_.size() - begin - 4, " are left"));
    buf_ = Buffer(file_.subspan(begin + 4, size), begin + 4);
    if (size < 8 || std::memcmp(buf_.bytes(4, 4).data(), v2_ ? "mgv2" : "mgb1", 4) != 0) {
      throw ModelError(cat("damaged model file: no ", v2_ ? "mgv2" : "mgb1", " identifier at byte ", begin + 8));
    }
    const Table root(buf_, buf_.indirect(0));
    read_root(root, out);
    return begin + 4 + size;
  }

  void read_root(const Table& root, MgeFile& out) {
    Graph& g = out.graph;
    version_ = g.mge_version = root.scalar<uint32_t>(0, 0);
    if (v2_) {
      out.model_version = static_cast<int>(root.scalar<uint32_t>(1, 0));
    } else {
      g.hash = root.scalar<uint64_t>(1, 0);
    }
    if (const auto m = root.table(v2_ ? 7 : 5)) {
      g.metadata.present = true;
      g.metadata.is_valid = m->scalar<uint8_t>(0, 0) != 0;
      g.metadata.graph_modified = m->scalar<uint8_t>(1, 0) != 0;
      g.metadata.user_info = m->string(v2_ ? 3 : 2);
      g.metadata.optimize_options = m->scalar<uint64_t>(v2_ ? 2 : 3, 0);
    }
    const Vector oprs = root.vector(v2_ ? 2 : 3, 4);
    guessed_.clear();
    try {
      for (size_t i = 0; i < oprs.count; ++i) {
        const auto o = Table::element(oprs, i);
        if (!o) throw ModelError(cat("damaged model file: operator ", i, " is empty"));
        read_operator(*o, i, g);
      }
    } catch (const ModelError& e) {
      // FBS does not say how many outputs an operator has; a wrong guess shows as wrong variable numbers.
      if (guessed_.empty()) throw;
      throw UnsupportedError(cat("unknown operators: ", guessed_, " (", e.what(), ")"));
    }
    if (!v2_ && cursor_ != buf_.where() - 4) {
      throw ModelError(cat("damaged model file: tensor values end at byte ", cursor_, ", but the graph begins at ",
                           buf_.where() - 4));
    }
    read_names(root, g);
    read_outputs(root, g);
    g.check();
  }

  void read_names(const Table& root, Graph& g) {
    if (!v2_) return;
    const Vector mids = root.vector(3, 4);
    for (size_t i = 0; i < mids.count && i < g.values.size(); ++i) {
      if (const auto t = Table::element(mids, i)) g.values[i].name = t->string(0);
    }
  }

  void read_outputs(const Table& root, Graph& g) {
    const Vector outs = root.vector(v2_ ? 4 : 4, v2_ ? 4 : 8);
    for (size_t i = 0; i < outs.count; ++i) {
      uint32_t id = 0, original = 0;
      if (v2_) {
        const auto t = Table::element(outs, i);
        if (!t) throw ModelError(cat("damaged model file: output ", i, " is empty"));
        id = t->scalar<uint32_t>(0, 0);
        original = t->scalar<uint32_t>(1, 0);
      } else {
        id = outs.buf->read<uint32_t>(outs.begin + 8 * i);
        original = outs.buf->read<uint32_t>(outs.begin + 8 * i + 4);
      }
      if (id >= g.values.size())
        throw ModelError(cat("output ", i, " names variable ", id, "; there are ", g.values.size()));
      g.outputs.push_back({g.values[id].name, static_cast<ValueId>(id), original});
    }
    if (!v2_) return;
    const Vector aliases = root.vector(5, 4);
    for (size_t i = 0; i < aliases.count; ++i) {
      const auto t = Table::element(aliases, i);
      if (!t) continue;
      for (GraphOutput& o : g.outputs) {
        if (o.original_id == t->scalar<uint32_t>(0, 0)) o.name = t->string(1);
      }
    }
  }

  void read_operator(const Table& o, size_t index, Graph& g) {
    const OperatorFields& f = v2_ ? kV2Fields : kV1Fields;
    const auto id = o.scalar<uint64_t>(f.type_id, 0);
    const int version = v2_ ? static_cast<int>(o.scalar<uint32_t>(12, 0)) : 1;
    const OpDef* op = v2_ ? mge::find_v2(id, version) : v0_ ? mge::find_v0(id) : mge::find_v1(id);
    const mge::LegacyTable* old = nullptr;
    if (!kTrimmed && !op && !v2_ && !v0_) {
      const mge::LegacyOp legacy = mge::find_legacy(id);
      op = legacy.op;
      if (op && op->params) old = mge::legacy_table(*op->params, legacy.version);
    }
    std::shared_ptr<UnknownOp> unknown;
    if (!op) {
      unknown = unknown_op(o, f, id, v2_ ? version : -1);
      op = &unknown->def;
    }
    std::string name = o.string(f.name);
    const std::string label = name.empty() ? cat(op->name, " #", index) : cat(op->name, " '", name, "'");
    Attrs attrs;
    read_all_params(o, f, *op, label, attrs, unknown.get(), old);
    if (const auto d = o.table(f.output_dtype)) attrs.output_dtype = read_dtype(*d);
    const Vector tensors = o.vector(f.tensors, 4);
    for (size_t i = 0; i < tensors.count; ++i) {
      const auto t = Table::element(tensors, i);
      if (!t) throw ModelError(cat(label, ": tensor ", i, " is empty"));
      attrs.tensors.push_back(v2_ ? tensor_v2(*t, label) : tensor_v1(*t, label));
      NamedTensor& n = attrs.tensors.back();
      if (op->kind == OpKind::kInput || unknown || n.value.defined()) continue;
      if (tensor_bytes(n.dtype, n.shape) != 0) throw ModelError(cat(label, ": tensor ", i, " has no value"));
      n.value = Tensor::empty(n.dtype, n.shape);
    }
    const bool many = std::string_view(op->name).starts_with("Multiple");
    if (op->kind != OpKind::kCompute && (many ? attrs.tensors.empty() : attrs.tensors.size() != 1)) {
      throw ModelError(cat(label, ": has ", attrs.tensors.size(), " tensors"));
    }
    const Vector blobs = o.vector(f.blobs, 4);
    for (size_t i = 0; i < blobs.count; ++i) {
      const auto b = Table::element(blobs, i);
      attrs.blobs.push_back(b ? b->string(0) : std::string());
    }
    std::vector<ValueId> inputs;
    const Vector in = o.vector(f.inputs, 4);
    for (size_t i = 0; i < in.count; ++i) {
      const auto v = in.at<uint32_t>(i);
      if (v >= g.values.size())
        throw ModelError(cat(label, ": reads variable ", v, ", but only ", g.values.size(), " were made before it"));
      inputs.push_back(static_cast<ValueId>(v));
    }
    const Vector outs = v2_ ? o.vector(8, 4) : o.vector(5, 4);
    const bool counted = v2_ || o.slot(5);
    if (op->open_outputs && !counted) guessed_ += (guessed_.empty() ? "" : ", ") + std::string(op->name);
    const size_t n_outputs = counted ? outs.count : 1;
    const NodeId n = g.add(*op, std::move(attrs), std::move(inputs), std::move(name), static_cast<int>(n_outputs));
    Node& node = g.node(n);
    node.unknown = std::move(unknown);
    node.priority = o.scalar<int32_t>(f.priority, 0);
    const Vector cns = o.vector(f.comp_node, 4);
    for (size_t i = 0; i < cns.count; ++i) {
      const auto c = Table::element(cns, i);
      node.comp_node.push_back(c ? c->string(0) : std::string());
    }
    if (v2_) {
      if (outs.count != node.outputs.size())
        throw ModelError(cat(label, ": the file lists ", outs.count, " outputs, but it has ", node.outputs.size()));
      for (size_t i = 0; i < outs.count; ++i) {
        if (outs.at<uint32_t>(i) != static_cast<uint32_t>(node.outputs[i])) {
          throw ModelError(cat(label, ": output ", i, " is variable ", outs.at<uint32_t>(i), " where ", node.outputs[i],
                               " comes next"));
        }
      }
    } else {
      for (size_t i = 0; i < outs.count && i < node.outputs.size(); ++i) {
        g.values[static_cast<size_t>(node.outputs[i])].name = Table::text(outs, i);
      }
    }
  }

  static std::shared_ptr<UnknownOp> unknown_op(const Table& o, const OperatorFields& f, uint64_t id, int version) {
    auto u = std::make_shared<UnknownOp>();
    u->name = version >= 0 ? o.string(0) : "";
    if (u->name.empty()) u->name = cat("operator ", id);
    u->why = cat("unknown operator", version >= 0 ? cat(" version ", version) : "", " (id ", id, ")");
    u->type_id = id;
    u->opr_version = version;
    u->def = {.name = u->name.c_str(),
              .doc = "An operator that this build does not know.",
              .params = mge::find_params(o.scalar<uint8_t>(f.param - 1, 0)),
              .min_inputs = 0,
              .max_inputs = -1,
              .infer = [](InferContext& c) { c.fail("can't run here: ", c.op.refuses); },
              .effect = true,  // whoever runs the model is told, wherever it stands
              .open_outputs = true,
              .refuses = u->why.c_str()};
    return u;
  }

  void read_all_params(const Table& o, const OperatorFields& f, const OpDef& op, const std::string& label, Attrs& attrs,
                       UnknownOp* unknown, const mge::LegacyTable* old) {
    if (op.params) attrs.params = Params(*op.params);
    if (op.policy) attrs.policy = Params(param::ExecutionPolicy{});
    const auto first = o.scalar<uint8_t>(f.param - 1, 0);
    const auto table = o.table(f.param);
    if (first && table && op.params) {
      if (first == op.params->union_id) {
        attrs.params = read_params(*op.params, *table, old);
      } else if (first == kDTypeParamUnion && op.params == &param::TypeCvt::kSchema) {
        const int id = table->scalar<int8_t>(0, static_cast<int8_t>(DTypeEnum::Byte));
        if (!valid_dtype(id)) throw ModelError(cat(label, ": unknown element type ", id));
        attrs.params = Params(param::TypeCvt{DType(static_cast<DTypeEnum>(id))});
      } else {
        throw ModelError(cat(label, ": its parameter is table ", int{first}, ", but ", op.params->name, " (",
                             int{op.params->union_id}, ") is expected"));
      }
    } else if (op.params && !first && !op.params->fields.empty()) {
      throw ModelError(cat(label, ": has no ", op.params->name, " parameter"));
    } else if (unknown && first) {
      unknown->complete = false;
    }
    const Vector types = o.vector(f.more_params - 1, 1);
    const Vector values = o.vector(f.more_params, 4);
    if (types.count != values.count)
      throw ModelError(cat(label, ": ", values.count, " further parameters with ", types.count, " types"));
    for (size_t i = 0; i < types.count; ++i) {
      const auto t = Table::element(values, i);
      if ((op.policy || unknown) && t && types.at<uint8_t>(i) == param::ExecutionPolicy::kSchema.union_id) {
        attrs.policy = read_params(param::ExecutionPolicy::kSchema, *t);
        if (version_ < kPolicyFlags && t->slot(0)) {
          auto& policy = attrs.policy->as<param::ExecutionPolicy>();
          policy.strategy =
              static_cast<param::ExecutionPolicyStrategy>(mge::legacy_strategy(t->scalar<uint32_t>(0, 0)));
        }
      } else if (unknown) {
        unknown->complete = false;
      }
    }
  }

  NamedTensor declaration(const Table& t, const std::string& label) {
    NamedTensor n;
    n.name = t.string(0);
    const Vector dims = t.vector(1, 4);
    if (dims.count > static_cast<size_t>(kMaxDims))
      throw ModelError(cat(label, ": a tensor has ", dims.count, " dimensions; at most ", kMaxDims));
    for (size_t i = 0; i < dims.count; ++i) n.shape.push_back(dims.at<uint32_t>(i));
    if (const auto c = t.table(2)) n.comp_node = c->string(0);
    if (const auto d = t.table(3)) n.dtype = read_dtype(*d);
    try {
      tensor_bytes(n.dtype, n.shape);
    } catch (const Error& e) {
      throw ModelError(cat(label, ": ", e.what()));
    }
    return n;
  }

  NamedTensor tensor_v1(const Table& t, const std::string& label) {
    NamedTensor n = declaration(t, label);
    const size_t size = t.scalar<uint32_t>(4, 0), skip = t.scalar<uint32_t>(5, 0);
    if (size == 0) return n;
    if (skip > size || size > file_.size() || cursor_ > file_.size() - size) {
      throw ModelError(
          cat(label, ": its value of ", size, " bytes at byte ", cursor_, " lies past the end of the file"));
    }
    n.value = stored(n, cursor_ + skip, size - skip, label);
    cursor_ += size;
    return n;
  }

  NamedTensor tensor_v2(const Table& t, const std::string& label) {
    NamedTensor n = declaration(t, label);
    const auto kind = t.scalar<uint8_t>(4, 0);
    const auto format = t.table(5);
    if (format && kind <= TensorFormat::kLowbitsAligned) {
      n.format.kind = static_cast<TensorFormat::Kind>(kind);
      for (size_t i = 0; i < 2; ++i) n.format.fields[i] = format->scalar<uint8_t>(i, 0);
    }
    if (!t.slot(6)) return n;
    const Vector data = t.vector(6, 1);
    n.value = stored(n, buf_.where() + data.begin, data.count, label);
    return n;
  }

  Tensor stored(const NamedTensor& n, size_t at, size_t size, const std::string& label) {
    const size_t need = tensor_bytes(n.dtype, n.shape);
    if (size != need)
      throw ModelError(
          cat(label, ": a tensor ", n.dtype.str(), n.shape, " needs ", need, " bytes, the file has ", size));
    const size_t align = std::max(1, n.dtype.bits() / 8);
    Tensor t = Tensor::from_storage(storage_, at, n.dtype, Layout(n.shape));
    if (reinterpret_cast<uintptr_t>(t.data()) % align == 0) return t;
    Tensor copy = Tensor::empty(n.dtype, n.shape);
    std::memcpy(copy.data(), t.data(), need);
    return copy;
  }

  std::span<const std::byte> file_;
  std::shared_ptr<Storage> storage_;
  bool v2_ = false, v0_ = false;
  size_t cursor_ = 0;  // FBS: where the next tensor value begins
  Buffer buf_;
  uint32_t version_ = 0;  // of MegEngine
  std::string guessed_;   // operators whose number of outputs the file does not say
};

}  // namespace

MgeFile read_mge(std::span<const std::byte> bytes, std::shared_ptr<void> owner) {
  if (!owner) {
    auto copy = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
    bytes = *copy;
    owner = std::move(copy);
  }
  return Reader(bytes, std::move(owner)).read();
}

MgeFile read_mge(const std::string& path) {
  std::shared_ptr<FileMap> map;
  try {
    map = std::make_shared<FileMap>(path);
  } catch (const Error& e) {
    throw ModelError(e.what());
  }
  const std::span<const std::byte> bytes = map->bytes();
  try {
    return Reader(bytes, std::move(map)).read();
  } catch (const ModelError& e) {
    throw ModelError(cat(path, ": ", e.what()));
  } catch (const UnsupportedError& e) {
    throw UnsupportedError(cat(path, ": ", e.what()));
  }
}

}  // namespace megalith
