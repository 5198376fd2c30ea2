#include "megalith/io/mge/writer.h"

#include <fstream>

#include "megalith/io/mge/builder.h"
#include "megalith/io/mge/ids.h"

namespace megalith {
namespace {

using wire::Object;
using wire::ObjectRef;

ObjectRef dtype_table(const DType& d) {
  ObjectRef t = wire::table();
  t->scalar<int8_t>(0, static_cast<int8_t>(d.id), 0);
  if (d.is_quantized()) {
    ObjectRef q = wire::table();
    q->scalar<float>(0, d.scale, 0);
    q->scalar<uint8_t>(1, d.zero_point, 0);
    t->member(2, 1, q);
  }
  return t;
}

ObjectRef list_vector(const Field& f, const std::vector<int32_t>& list) {
  if (f.type == FieldType::kInt32List) return wire::numbers(list);
  std::string s;
  const bool axes = f.type == FieldType::kAxisDescList;
  const size_t width = axes ? 2 : 5;
  for (size_t i = 0; i + width <= list.size(); i += width) {
    if (axes) {
      s.append({static_cast<char>(list[i]), 0, 0, 0});
      s.append(reinterpret_cast<const char*>(&list[i + 1]), 4);
    } else {
      for (size_t k = 0; k < 5; ++k) s += static_cast<char>(list[i + k]);
    }
  }
  return wire::bytes(std::move(s), list.size() / width);
}

// Field i of the schema is vtable slot i. Scalars at their default are left out; MegEngine needs lists and structs.
ObjectRef param_table(const Params& p) {
  const ParamSchema& schema = *p.schema();
  if (schema.fields.size() == 1 && schema.fields[0].type == FieldType::kDType) {
    DType d;
    std::memcpy(&d, p.field(schema.fields[0]), sizeof d);
    return dtype_table(d);
  }
  const Params defaults(schema);
  ObjectRef t = wire::table();
  for (size_t id = 0; id < schema.fields.size(); ++id) {
    const Field& f = schema.fields[id];
    size_t n = 4;
    switch (f.type) {
      case FieldType::kBool:
      case FieldType::kDTypeEnum: n = 1; break;
      case FieldType::kUint64:
      case FieldType::kFloat64: n = 8; break;
      case FieldType::kScalar: t->raw(id, p.field(f), 5, 1); continue;
      case FieldType::kInt32List:
      case FieldType::kAxisDescList:
      case FieldType::kIndexItemList: t->child(id, list_vector(f, p.list())); continue;
      default: break;
    }
    if (std::memcmp(p.field(f), defaults.field(f), n) != 0) t->raw(id, p.field(f), n, n);
  }
  return t;
}

ObjectRef comp_node(const std::string& locator) {
  ObjectRef t = wire::table();
  t->child(0, wire::text(locator));
  return t;
}

class Writer {
 public:
  Writer(const Graph& g, MgeFormat format, const MgeWriteOptions& options)
      : g_(g), v2_(format == MgeFormat::kFbsV2), options_(options), names_(g.values.size()) {}

  std::string write() {
    if (options_.keep_names) {
      for (size_t i = 0; i < names_.size(); ++i) names_[i] = g_.values[i].name;
    }
    if (!v2_ || !options_.keep_names) {
      for (const GraphOutput& o : g_.outputs) names_[static_cast<size_t>(o.value)] = o.name;
    }
    number_values();
    std::vector<ObjectRef> oprs;
    for (const Node& n : g_.nodes) oprs.push_back(operator_table(n));
    ObjectRef root = wire::table();
    root->scalar<uint32_t>(0, g_.mge_version, 0);
    if (v2_) {
      root->scalar<uint32_t>(1, 2, 0);
      root->child(2, wire::refs(std::move(oprs)));
      root->child(3, wire::refs(middle_tensors()));
      root->child(4, wire::refs(outputs_v2()));
      root->child(5, wire::refs(aliases()));
      root->scalar<uint32_t>(6, shared_, 0);
      root->child(7, metadata());
      return wire::Builder().finish(root, "mgv2");
    }
    root->scalar<uint64_t>(1, g_.hash ? g_.hash : identity_ | 1, 0);
    root->scalar<uint32_t>(2, shared_, 0);
    root->child(3, wire::refs(std::move(oprs)));
    std::vector<uint32_t> outs;
    for (const GraphOutput& o : g_.outputs) outs.insert(outs.end(), {compact(o.value), o.original_id});
    ObjectRef list = wire::numbers(outs);
    list->count /= 2;
    root->child(4, list);
    root->child(5, metadata());
    std::string file("MGBC", 4);
    file.append(12, '\0');
    const uint64_t offset = blob_.size();
    file.append(reinterpret_cast<const char*>(&offset), 8);
    return file + blob_ + wire::Builder().finish(root, "mgb1");
  }

 private:
  uint32_t compact(ValueId v) const { return numbers_[static_cast<size_t>(v)]; }

  void number_values() {
    numbers_.resize(g_.values.size());
    for (const Node& n : g_.nodes) {
      for (ValueId v : n.outputs) {
        numbers_[static_cast<size_t>(v)] = static_cast<uint32_t>(order_.size());
        order_.push_back(v);
      }
    }
  }

  std::vector<ObjectRef> middle_tensors() const {
    std::vector<ObjectRef> r;
    for (ValueId v : order_) {
      ObjectRef t = wire::table();
      const std::string& name = names_[static_cast<size_t>(v)];
      t->child(0,
               wire::text(name.empty() ? cat("var", compact(v)) : name));  // MegEngine needs names, and different ones
      r.push_back(std::move(t));
    }
    return r;
  }

  std::vector<ObjectRef> outputs_v2() const {
    std::vector<ObjectRef> r;
    for (const GraphOutput& o : g_.outputs) {
      ObjectRef t = wire::table();
      t->scalar<uint32_t>(0, compact(o.value), 0);
      t->scalar<uint32_t>(1, o.original_id, 0);
      r.push_back(std::move(t));
    }
    return r;
  }

  std::vector<ObjectRef> aliases() const {
    std::vector<ObjectRef> r;
    for (const GraphOutput& o : g_.outputs) {
      if (o.name.empty() || o.name == names_[static_cast<size_t>(o.value)]) continue;
      ObjectRef t = wire::table();
      t->scalar<uint32_t>(0, o.original_id, 0);
      t->child(1, wire::text(o.name));
      r.push_back(std::move(t));
    }
    return r;
  }

  ObjectRef metadata() const {
    const GraphMetadata& m = g_.metadata;
    ObjectRef t = wire::table();
    t->scalar<uint8_t>(0, m.is_valid, 0);
    t->scalar<uint8_t>(1, m.graph_modified, 0);
    t->scalar<uint64_t>(v2_ ? 2 : 3, m.optimize_options, 0);
    t->child(v2_ ? 3 : 2, wire::text(m.user_info));
    return t;
  }

  ObjectRef operator_table(const Node& n) {
    const OpDef& op = *n.op;
    if (!op.mge.v1_name) throw UnsupportedError(cat(op.name, " has no place in .mge files"));
    if (op.refuses) throw UnsupportedError(cat(op.name, " can't be written: ", op.refuses));
    const int version = v2_ ? op.mge.max_version : 1;
    const uint64_t id = v2_ ? mge::type_id_v2(op, version) : mge::type_id_v1(op);
    identity_ = (identity_ ^ id ^ n.inputs.size()) * 0x100000001b3;
    ObjectRef t = wire::table();
    t->scalar<uint64_t>(v2_ ? 1 : 0, id, 0);
    if (v2_) t->child(0, wire::text(mge::type_name_v2(op, version)));
    if (options_.keep_names && !n.name.empty()) t->child(v2_ ? 2 : 12, wire::text(n.name));
    const Attrs& a = n.attrs;
    if (a.params.schema()) t->member(v2_ ? 4 : 2, a.params.schema()->union_id, param_table(a.params));
    if (a.policy) {
      t->child(v2_ ? 5 : 10, wire::numbers(std::vector<uint8_t>{a.policy->schema()->union_id}));
      t->child(v2_ ? 6 : 11, wire::refs({param_table(*a.policy)}));
    }
    std::vector<uint32_t> in, out;
    for (ValueId v : n.inputs) in.push_back(compact(v));
    for (ValueId v : n.outputs) out.push_back(compact(v));
    t->child(v2_ ? 7 : 3, wire::numbers(in));
    if (v2_) t->child(8, wire::numbers(out));
    std::vector<ObjectRef> list;
    for (const std::string& c : n.comp_node) list.push_back(comp_node(c));
    if (!list.empty()) t->child(v2_ ? 9 : 4, wire::refs(std::move(list)));
    if (!v2_) {
      std::vector<ObjectRef> names;
      bool any = false;
      for (ValueId v : n.outputs) {
        names.push_back(wire::text(names_[static_cast<size_t>(v)]));
        any |= !names_[static_cast<size_t>(v)].empty();
      }
      if (any) t->child(5, wire::refs(std::move(names)));
    }
    if (a.output_dtype) t->child(v2_ ? 10 : 6, dtype_table(*a.output_dtype));
    std::vector<ObjectRef> tensors;
    for (const NamedTensor& x : a.tensors) tensors.push_back(tensor(x, n));
    if (!tensors.empty()) t->child(v2_ ? 11 : 7, wire::refs(std::move(tensors)));
    if (v2_) t->scalar<uint32_t>(12, static_cast<uint32_t>(version), 0);
    t->scalar<int32_t>(v2_ ? 13 : 8, n.priority, 0);
    std::vector<ObjectRef> blobs;
    for (const std::string& b : stored_blobs(n)) {
      ObjectRef blob = wire::table();
      blob->child(0, wire::bytes(b, b.size()));
      blobs.push_back(std::move(blob));
    }
    if (!blobs.empty()) t->child(v2_ ? 14 : 9, wire::refs(std::move(blobs)));
    return t;
  }

  // FBS keeps the number of merged parameters and their memory formats in blobs; FBS_V2 has fields for them.
  std::vector<std::string> stored_blobs(const Node& n) const {
    if (n.op->kind == OpKind::kCompute) return n.attrs.blobs;
    std::vector<std::string> r;
    if (v2_) return r;
    const std::string_view name = n.op->name;
    const auto count = static_cast<uint32_t>(n.attrs.tensors.size());
    if (name.starts_with("Multiple")) r.emplace_back(reinterpret_cast<const char*>(&count), 4);
    if (name.find("WithFormat") != name.npos) r.resize(r.size() + count, std::string(4, '\0'));  // 0: row-major
    return r;
  }

  ObjectRef tensor(const NamedTensor& x, const Node& n) {
    if (n.op->kind == OpKind::kParameter) ++shared_;
    ObjectRef t = wire::table();
    const bool input = n.op->kind == OpKind::kInput;
    if (!x.name.empty() && (input || options_.keep_names)) t->child(0, wire::text(x.name));
    std::vector<uint32_t> dims;
    for (int64_t d : x.shape) dims.push_back(static_cast<uint32_t>(d));
    if (dims.empty()) dims.push_back(1);  // the format has no scalars
    t->child(1, wire::numbers(dims));
    t->child(2, comp_node(n.comp_node.empty() ? "xpux:0" : n.comp_node[0]));
    t->child(3, dtype_table(x.dtype));
    if (v2_) {
      ObjectRef format = wire::table();
      if (x.dtype.is_lowbit()) {
        format->scalar<uint8_t>(0, static_cast<uint8_t>(x.dtype.bits()), 0);
        format->scalar<uint8_t>(1, 8, 0);
      }
      t->member(5, x.dtype.is_lowbit() ? 3 : 1, format);
    }
    if (!x.value.defined()) return t;
    kept_.push_back(x.value.to_contiguous());
    const std::string_view data(kept_.back().data<const char>(), kept_.back().bytes());
    if (v2_) {
      t->child(6, wire::borrow(data, 64));
    } else {
      if (data.size() > UINT32_MAX)
        throw UnsupportedError(cat("a tensor of ", data.size(), " bytes; the format ends at 4 GiB"));
      t->scalar<uint32_t>(4, static_cast<uint32_t>(data.size()), 0);
      blob_ += data;
    }
    return t;
  }

  const Graph& g_;
  const bool v2_;
  const MgeWriteOptions& options_;
  std::vector<std::string> names_;
  std::vector<uint32_t> numbers_;  // of each value, in the file
  std::vector<ValueId> order_;
  std::vector<Tensor> kept_;  // what the buffer borrows
  std::string blob_;          // FBS: tensor values
  uint32_t shared_ = 0;
  uint64_t identity_ = 0xcbf29ce484222325;
};

}  // namespace

std::string write_mge(const Graph& graph, MgeFormat format, const MgeWriteOptions& options) {
  graph.check();
  return Writer(graph, format, options).write();
}

void write_mge(const std::string& path, const Graph& graph, MgeFormat format, const MgeWriteOptions& options) {
  const std::string bytes = write_mge(graph, format, options);
  std::ofstream f(path, std::ios::binary);
  f.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  f.close();
  if (!f) throw Error(cat("can't write ", path));
}

}  // namespace megalith
