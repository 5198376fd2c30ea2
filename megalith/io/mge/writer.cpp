#include "megalith/io/mge/writer.h"

#include <algorithm>
#include <fstream>

#include "megalith/io/mge/builder.h"
#include "megalith/io/mge/ids.h"
#include "megalith/kernels/simd.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using wire::Object;
using wire::ObjectRef;

constexpr bool kInformed = !kSmall;          // mge.js doesn't ask for MgeDumpInfo
constexpr uint32_t kLayoutVersion = 101300;  // what is written is laid out as MegEngine 1.13.0 does it

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
  Writer(const Graph& g, const MgeWriteOptions& options, MgeDumpInfo& info)
      : g_(g),
        v2_(options.format == MgeFormat::kFbsV2),
        options_(options),
        info_(info),
        outputs_(g.outputs),
        names_(g.values.size()) {
    if (!options_.output_names.empty() && options_.output_names.size() != outputs_.size())
      throw Error(cat(options_.output_names.size(), " output names for ", outputs_.size(), " outputs"));
    for (size_t i = 0; i < options_.output_names.size(); ++i) outputs_[i].name = options_.output_names[i];
    if (options_.model_version < 1 || options_.model_version > 2)
      throw Error(cat("model_version is 1 or 2, not ", options_.model_version));
  }

  std::string write() {
    if (options_.keep_var_name >= 1) {
      for (size_t i = 0; i < names_.size(); ++i) names_[i] = g_.values[i].name;
    }
    if (options_.keep_var_name == 1 || (!v2_ && options_.keep_var_name >= 2) || !options_.output_names.empty()) {
      for (const GraphOutput& o : outputs_) names_[static_cast<size_t>(o.value)] = o.name;
    }
    number_values();
    std::vector<ObjectRef> oprs;
    for (const Node& n : g_.nodes) oprs.push_back(operator_table(n));
    info_.nr_opr = g_.nodes.size();
    info_.content_hash = g_.hash ? g_.hash : identity_ | 1;
    if (kInformed)
      for (const GraphOutput& o : outputs_) info_.outputs.push_back(o.name);
    ObjectRef root = wire::table();
    root->scalar<uint32_t>(0, std::max(g_.mge_version, kLayoutVersion), 0);
    if (v2_) {
      root->scalar<uint32_t>(1, static_cast<uint32_t>(options_.model_version), 0);
      root->child(2, wire::refs(std::move(oprs)));
      const bool named = std::any_of(names_.begin(), names_.end(), [](const std::string& n) { return !n.empty(); });
      if (named) root->child(3, wire::refs(middle_tensors()));
      root->child(4, wire::refs(outputs_v2()));
      root->child(5, wire::refs(aliases()));
      root->scalar<uint32_t>(6, shared_, 0);
      if (metadata_of().present) root->child(7, metadata());
      return wire::Builder().finish(root, "mgv2");
    }
    root->scalar<uint64_t>(1, info_.content_hash, 0);
    root->scalar<uint32_t>(2, shared_, 0);
    root->child(3, wire::refs(std::move(oprs)));
    std::vector<uint32_t> outs;
    for (const GraphOutput& o : outputs_) outs.insert(outs.end(), {compact(o.value), o.original_id});
    ObjectRef list = wire::numbers(outs);
    list->count /= 2;
    root->child(4, list);
    if (metadata_of().present) root->child(5, metadata());
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
    for (const GraphOutput& o : outputs_) {
      ObjectRef t = wire::table();
      t->scalar<uint32_t>(0, compact(o.value), 0);
      t->scalar<uint32_t>(1, o.original_id, 0);
      r.push_back(std::move(t));
    }
    return r;
  }

  std::vector<ObjectRef> aliases() const {
    std::vector<ObjectRef> r;
    for (const GraphOutput& o : outputs_) {
      if (o.name.empty() || o.name == names_[static_cast<size_t>(o.value)]) continue;
      ObjectRef t = wire::table();
      t->scalar<uint32_t>(0, o.original_id, 0);
      t->child(1, wire::text(o.name));
      r.push_back(std::move(t));
    }
    return r;
  }

  const GraphMetadata& metadata_of() const { return options_.metadata ? *options_.metadata : g_.metadata; }

  ObjectRef metadata() const {
    const GraphMetadata& m = metadata_of();
    ObjectRef t = wire::table();
    t->scalar<uint8_t>(0, m.is_valid, 0);
    t->scalar<uint8_t>(1, m.graph_modified, 0);
    t->scalar<uint64_t>(v2_ ? 2 : 3, m.optimize_options, 0);
    t->child(v2_ ? 3 : 2, wire::text(m.user_info));
    return t;
  }

  ObjectRef operator_table(const Node& n) {
    const OpDef& op = *n.op;
    const auto [id, version, type] = n.unknown ? identity(*n.unknown) : identity(op);
    if (kInformed) info_.opr_types.insert(op.name);
    identity_ = (identity_ ^ id ^ n.inputs.size()) * 0x100000001b3;
    ObjectRef t = wire::table();
    t->scalar<uint64_t>(v2_ ? 1 : 0, id, 0);
    if (v2_) t->child(0, wire::text(type));
    if (options_.keep_opr_name && !n.name.empty()) t->child(v2_ ? 2 : 12, wire::text(n.name));
    const Attrs& a = n.attrs;
    if (kInformed && a.params.schema() == &param::Elemwise::kSchema) {
      const param::Elemwise& e = a.param<param::Elemwise>();
      if (const char* mode = enum_info<param::ElemwiseMode>().name_of(static_cast<uint32_t>(e.mode)))
        info_.elemwise_modes.insert(mode);
    }
    if (a.params.schema()) t->member(v2_ ? 4 : 2, a.params.schema()->union_id, param_table(a.params));
    if (a.policy || op.policy) {  // MegEngine reads one wherever an op has one
      const Params policy = a.policy ? *a.policy : Params(param::ExecutionPolicy{});
      t->child(v2_ ? 5 : 10, wire::numbers(std::vector<uint8_t>{policy.schema()->union_id}));
      t->child(v2_ ? 6 : 11, wire::refs({param_table(policy)}));
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
      bool any = op.open_outputs;  // their number is only said here
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
    if (options_.keep_opr_priority) t->scalar<int32_t>(v2_ ? 13 : 8, n.priority, 0);
    std::vector<ObjectRef> blobs;
    for (const std::string& b : stored_blobs(n)) {
      ObjectRef blob = wire::table();
      blob->child(0, wire::bytes(b, b.size()));
      blobs.push_back(std::move(blob));
    }
    if (!blobs.empty()) t->child(v2_ ? 14 : 9, wire::refs(std::move(blobs)));
    return t;
  }

  struct Identity {
    uint64_t id;
    int version;
    std::string type;  // FBS_V2
  };
  Identity identity(const OpDef& op) const {
    if (!op.mge.v1_name) throw UnsupportedError(cat(op.name, " has no place in .mge files"));
    const int version = v2_ ? std::min(op.mge.max_version, options_.model_version) : 1;
    return {v2_ ? mge::type_id_v2(op, version) : mge::type_id_v1(op), version, mge::type_name_v2(op, version)};
  }
  // The ids of the two formats are hashes of different names; without the name there is no way from one to the other.
  Identity identity(const UnknownOp& op) const {
    if (!op.complete) throw UnsupportedError(cat(op.name, " can't be written: its parameters are not known"));
    if (v2_ != (op.opr_version >= 0))
      throw UnsupportedError(cat(op.name, " can't be written as ", v2_ ? "FBS_V2" : "FBS", ": ", op.why));
    return {op.type_id, op.opr_version, op.name};
  }

  // FBS keeps the number of merged parameters and their memory formats in blobs; FBS_V2 has fields for them.
  std::vector<std::string> stored_blobs(const Node& n) const {
    if (n.op->kind == OpKind::kCompute) return n.attrs.blobs;
    std::vector<std::string> r;
    if (v2_) return r;
    const std::string_view name = n.op->name;
    const auto count = static_cast<uint32_t>(n.attrs.tensors.size());
    if (name.starts_with("Multiple")) r.emplace_back(reinterpret_cast<const char*>(&count), 4);
    if (name.find("WithFormat") == name.npos) return r;
    if (n.attrs.blobs.size() == r.size() + count) return n.attrs.blobs;  // as they were read
    for (const NamedTensor& x : n.attrs.tensors) {
      if (x.format.kind > TensorFormat::kDefault)
        throw UnsupportedError(cat(name, ": a memory format of FBS_V2 can't be written as FBS"));
    }
    r.resize(r.size() + count, std::string(4, '\0'));  // 0: row-major
    return r;
  }

  ObjectRef tensor(const NamedTensor& x, const Node& n) {
    if (n.op->kind == OpKind::kParameter) ++shared_;
    ObjectRef t = wire::table();
    const bool input = n.op->kind == OpKind::kInput;
    if (kInformed && !x.name.empty()) (input ? info_.inputs : info_.params).push_back(x.name);
    if (kInformed) info_.dtypes.insert(std::string(x.dtype.name()));
    if (!x.name.empty() && (input || options_.keep_param_name)) t->child(0, wire::text(x.name));
    std::vector<uint32_t> dims;
    for (int64_t d : x.shape) dims.push_back(static_cast<uint32_t>(d));
    if (dims.empty()) dims.push_back(1);  // the format has no scalars
    t->child(1, wire::numbers(dims));
    const std::string fallback = n.comp_node.empty() ? "xpux:0" : n.comp_node[0];
    t->child(2, comp_node(x.comp_node.empty() ? fallback : x.comp_node));
    t->child(3, dtype_table(x.dtype));
    if (v2_) {
      TensorFormat f = x.format;
      if (f.kind == TensorFormat::kNone) {
        f.kind = x.dtype.is_lowbit() ? TensorFormat::kLowbitsAligned : TensorFormat::kDefault;
        if (x.dtype.is_lowbit()) f.fields[0] = static_cast<uint8_t>(x.dtype.bits()), f.fields[1] = 8;
      }
      ObjectRef format = wire::table();
      for (size_t i = 0; i < 2; ++i) format->scalar<uint8_t>(i, f.fields[i], 0);
      t->member(5, f.kind, format);
    }
    if (!x.value.defined()) return t;
    kept_.push_back(x.value.to_contiguous());
    const std::string_view data(kept_.back().data<const char>(), kept_.back().bytes());
    info_.tensor_value_bytes += data.size();
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
  MgeDumpInfo& info_;
  std::vector<GraphOutput> outputs_;
  std::vector<std::string> names_;
  std::vector<uint32_t> numbers_;  // of each value, in the file
  std::vector<ValueId> order_;
  std::vector<Tensor> kept_;  // what the buffer borrows
  std::string blob_;          // FBS: tensor values
  uint32_t shared_ = 0;
  uint64_t identity_ = 0xcbf29ce484222325;
};

// A test case is a graph of constants, one for each input of the model in the order of their names.
Graph case_graph(const Graph& model, const std::map<std::string, Tensor>& values) {
  Graph g;
  g.mge_version = model.mge_version;
  std::set<std::string> names;
  for (NodeId n : model.inputs()) names.insert(model.input_name(n));
  for (const std::string& name : names) {
    const auto it = values.find(name);
    if (it == values.end()) throw Error(cat("a test case has no value for the input '", name, "'"));
    g.add_output(g.add_constant(it->second), name);
  }
  for (const auto& [name, value] : values) {
    if (!names.contains(name)) throw Error(cat("a test case has a value for '", name, "', which is no input"));
  }
  return g;
}

}  // namespace

std::string write_mge(const Graph& original, const MgeWriteOptions& options, MgeDumpInfo* info) {
  original.check();
  Graph graph = original;
  if (!kTrimmed) expand_for_files(graph);
  MgeDumpInfo unused, written;
  std::string file = Writer(graph, options, written).write();
  if (!kSmall && !options.test_cases.empty()) {
    const auto count = static_cast<uint32_t>(options.test_cases.size());
    file = "mgbtest0" + std::string(reinterpret_cast<const char*>(&count), 4) + file;
    // In the model's own format: load_and_run reads them with the loader that read the model.
    const MgeWriteOptions plain{.format = options.format};
    for (const auto& values : options.test_cases) file += Writer(case_graph(graph, values), plain, unused).write();
  }
  written.tot_bytes = file.size();
  if (info) *info = std::move(written);
  return file;
}

void write_mge(const std::string& path, const Graph& graph, const MgeWriteOptions& options, MgeDumpInfo* info) {
  const std::string bytes = write_mge(graph, options, info);
  std::ofstream f(path, std::ios::binary);
  f.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  f.close();
  if (!f) throw Error(cat("can't write ", path));
}

}  // namespace megalith
