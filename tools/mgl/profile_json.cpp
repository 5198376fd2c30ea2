#include "tools/mgl/profile_json.h"

#include <algorithm>
#include <map>

#include "tools/mgl/dumps.h"

namespace mgl {

using megalith::DType;
using megalith::Field;
using megalith::FieldType;
using megalith::Graph;
using megalith::Layout;
using megalith::Node;
using megalith::NodeProfile;
using megalith::OpKind;
using megalith::PlanInfo;
using megalith::PlannedBlock;
using megalith::Shape;
using megalith::Tensor;
using megalith::ValueProfile;
using nlohmann::json;

json dims(const Shape& s) { return std::vector<int64_t>(s.begin(), s.end()); }

std::string json_text(const json& j, int indent) {
  return j.dump(indent, ' ', false, json::error_handler_t::replace) + "\n";
}

namespace {

const char* const kCompNode = "CompNode(\"cpu0:0\" from \"xpux:0\")";

json shapes(const std::vector<ValueProfile>& v) {
  json j = json::array();
  for (const ValueProfile& s : v) j.push_back(dims(s.shape));
  return j;
}

// Numbers as numbers, enums as their names.
json params_of(const Node& node) {
  json j = json::object();
  if (!node.attrs.params.schema()) return j;
  for (const Field& f : node.attrs.params.schema()->fields) {
    const std::string text = field_str(node.attrs.params, f);
    switch (f.type) {
      case FieldType::kBool:
      case FieldType::kInt32:
      case FieldType::kUint32:
      case FieldType::kUint64:
      case FieldType::kFloat32:
      case FieldType::kFloat64: {
        const json number = json::parse(text, nullptr, false);
        j[f.name] = number.is_discarded() ? json(text) : number;  // inf and nan are no JSON
        break;
      }
      default: j[f.name] = text;
    }
  }
  return j;
}

std::string op_id(int32_t node) { return std::to_string(op_number(node)); }
std::string var_id(const Graph& g, int32_t v) { return std::to_string(var_number(g, v)); }

// Where a planned value lies: the block of its segment that is alive at the step and holds the offset.
const PlannedBlock* block_of(const PlanInfo& plan, const NodeProfile& n, int64_t offset) {
  if (offset < 0) return nullptr;
  for (const PlannedBlock& b : plan.blocks) {
    if (b.segment != n.segment || b.first > n.step || b.last < n.step) continue;
    const auto at = static_cast<size_t>(offset);
    if (at >= b.offset && at < b.offset + std::max<size_t>(b.bytes, 1)) return &b;
  }
  return nullptr;
}

json tag(const char* type, json result, json deps) {
  return {{"node_type", "static_infer_tag"}, {"infer_type", type}, {"inferred_result", result}, {"deps", deps}};
}

json known_value(const Tensor& t) {
  if (t.count() > 32 || t.dtype().is_lowbit() || t.dtype().bits() > 32) return "Large Array";
  json j = json::array();
  for (int64_t i = 0; i < t.count(); ++i) {
    const double v = t.item(i);
    j.push_back(t.dtype().is_float() ? json(v) : json(static_cast<int64_t>(v)));
  }
  return j;
}

json plan_of(const std::string& chunk, size_t offset, const ValueProfile& v) {
  const json stride = v.stride.empty() ? dims(Layout(v.shape).stride) : json(v.stride);
  return {{"mem_chunk_id", chunk},
          {"offset_byte", offset},
          {"layout", {{"shape", dims(v.shape)}, {"stride", stride}, {"dtype", std::string(v.dtype.name())}}}};
}

json chunk_of(const std::string& id, size_t bytes, const std::string& owner, json at) {
  return {{"node_type", "mem_chunk"}, {"id", id}, {"size", bytes}, {"owner_var", owner}, {"dev_ptr", at}};
}

// Variables and chunks of a graph, by the plan. `dev_ptr` is an offset in the arena: no address of the process leaks.
class Memory {
 public:
  Memory(const Graph& g, const PlanInfo& plan) : g_(g), plan_(plan) {
    for (const NodeProfile& n : plan.nodes) {
      for (const ValueProfile& v : n.out) made_[v.value] = {&n, &v};
    }
    for (const auto& [v, t] : plan.known) known_[v] = t;
  }

  json variable(int32_t v, json& chunks) const {
    const Node& node = g_.node(g_.value(v).node);
    const std::string id = var_id(g_, v);
    json flags = json::array({"ALLOW_EMPTY_SHAPE"});
    json mem_plan = nullptr, address = nullptr;
    json j{{"node_type", "var"},
           {"id", id},
           {"name", g_.value(v).name},
           {"mem_readonly_fwd_src", nullptr},
           {"force_update_src", nullptr},
           {"comp_node", kCompNode},
           {"prev_dev_ptr", 0}};
    json deps = json::array();
    for (int32_t in : node.inputs) deps.push_back({{"dep_type", "SHAPE"}, {"var", var_id(g_, in)}});
    json shape = tag("NO_DESC", nullptr, json::array()), value = shape;
    const auto made = made_.find(v);
    const auto known = known_.find(v);
    if (node.op->kind != OpKind::kCompute) {
      const megalith::NamedTensor& t = node.attrs.tensors[static_cast<size_t>(g_.value(v).index)];
      const bool constant = node.op->kind != OpKind::kInput;
      if (constant) flags.push_back("PERSISTENT_DEVICE_VALUE");
      shape = tag(constant ? "CONST" : "RT_STATIC", dims(t.shape), json::array());
      if (constant && t.value.defined()) value = tag("CONST", known_value(t.value), json::array());
      const ValueProfile held{.value = v, .dtype = t.dtype, .shape = t.shape};
      mem_plan = plan_of("chk" + id, 0, held);
      chunks["chk" + id] = chunk_of("chk" + id, tensor_bytes(t.dtype, t.shape), id, nullptr);
    } else if (known != known_.end()) {  // computed while planning
      const ValueProfile held{.value = v, .dtype = known->second.dtype(), .shape = known->second.shape()};
      shape = tag("CONST", dims(held.shape), deps);
      value = tag("CONST", known_value(known->second), json::array());
      mem_plan = plan_of("chk" + id, 0, held);
      chunks["chk" + id] = chunk_of("chk" + id, known->second.bytes(), id, nullptr);
    } else if (made != made_.end()) {
      const auto& [n, p] = made->second;
      shape = tag(node.op->dynamic ? "NO_DESC" : "RT_STATIC", node.op->dynamic ? json(nullptr) : dims(p->shape), deps);
      if (node.op->dynamic) flags.push_back("NO_SYS_MEM_ALLOC");
      if (n->kernel == "view" && !node.inputs.empty()) j["mem_readonly_fwd_src"] = var_id(g_, node.inputs[0]);
      if (const PlannedBlock* b = block_of(plan_, *n, p->offset)) {
        const std::string owner = b->owner >= 0 ? var_id(g_, b->owner) : id;
        mem_plan = plan_of("chk" + owner, static_cast<size_t>(p->offset) - b->offset, *p);
        chunks["chk" + owner] = chunk_of("chk" + owner, b->bytes, owner, b->offset);
        address = p->offset;
        j["prev_dev_ptr"] = p->offset;
        j["prev_dev_ptr_end"] = static_cast<size_t>(p->offset) + tensor_bytes(p->dtype, p->shape);
      } else if (node.op->dynamic) {
        mem_plan = plan_of("chk" + id, 0, *p);
        chunks["chk" + id] = chunk_of("chk" + id, tensor_bytes(p->dtype, p->shape), id, nullptr);
      }
    }
    j["mem_plan"] = mem_plan;
    j["dev_ptr"] = address;
    j["flag"] = flags;
    j["static_infer_tags"] = {{"SHAPE", shape}, {"VALUE", value}};
    return j;
  }

 private:
  const Graph& g_;
  const PlanInfo& plan_;
  std::map<int32_t, std::pair<const NodeProfile*, const ValueProfile*>> made_;
  std::map<int32_t, Tensor> known_;
};

}  // namespace

json graph_exec(const megalith::Model& model, const PlanInfo& plan) {
  const Graph& g = model.graph();
  const Memory memory(g, plan);
  std::map<int32_t, int> position;
  json seq = json::array();
  for (const NodeProfile& n : plan.nodes) {
    position.emplace(n.node, static_cast<int>(position.size()));
    seq.push_back(op_id(n.node));
  }
  json operators = json::object(), vars = json::object(), chunks = json::object();
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    const auto id = static_cast<int32_t>(i);
    json in = json::array(), out = json::array(), ready = json::array();
    for (int32_t v : node.inputs) in.push_back(var_id(g, v));
    for (int32_t v : node.outputs) {
      out.push_back(var_id(g, v));
      vars[var_id(g, v)] = memory.variable(v, chunks);
    }
    json o{{"node_type", "operator"},
           {"id", op_id(id)},
           {"name", g.name(id)},
           {"type", node.op->name},
           {"input", in},
           {"output", out},
           {"extra", {{"priority", node.priority}}}};
    // One device: nothing ever waits for another.
    o["waiting_spec"] = position.count(id) ? json::object() : json(nullptr);
    if (position.count(id)) o["extra"]["dfs_step_num"] = position[id];
    operators[op_id(id)] = o;
  }
  return {{"operator", operators}, {"var", vars}, {"mem_chunk", chunks}, {"comp_seq", seq}};
}

std::string megengine_profile(const megalith::Model& model, const megalith::Profile& profile, const PlanInfo& plan) {
  const Graph& g = model.graph();
  struct Times {
    double start, kern, end;
  };
  std::map<int32_t, Times> times;
  double epoch = -1;
  for (const megalith::Span& s : profile.spans()) {
    if (epoch < 0) epoch = s.start;  // of the first event of the first run
    if (s.iteration != profile.iteration()) continue;
    const auto [at, fresh] = times.try_emplace(s.node, Times{s.start, s.kern, s.end});
    if (fresh) continue;
    at->second.end = s.end;  // a copy of an input came first
    if (at->second.kern < 0) at->second.kern = s.kern;
  }
  json device = json::object(), host = json::object(), footprint = json::object();
  for (const auto& [node, t] : times) {
    const bool ran = t.kern >= 0;  // a view runs no kernel
    const double kern = ran ? t.kern : t.start;
    device[op_id(node)] = {{kCompNode, {{"start", kern - epoch}, {"kern", kern - epoch}, {"end", t.end - epoch}}}};
    host[op_id(node)] = {{"@", {{"start", t.start}, {"kern", ran ? t.kern : -1.0}, {"end", t.end}}}};
  }
  for (const NodeProfile& n : profile.nodes()) {
    json f{{"computation", n.flops < 0 ? json(nullptr) : json(static_cast<int64_t>(n.flops))},
           {"memory", n.bytes},
           {"in_shapes", shapes(n.in)},
           {"out_shapes", shapes(n.out)},
           {"param", params_of(g.node(n.node))}};
    json layouts = json::array();
    for (const ValueProfile& v : n.in) layouts.push_back(v.stride.empty() ? json(nullptr) : json(v.stride));
    const bool strided = std::any_of(n.in.begin(), n.in.end(), [](const ValueProfile& v) { return !v.stride.empty(); });
    if (strided) f["in_layouts"] = layouts;
    footprint[op_id(n.node)] = f;
  }
  return json_text(
      {{"profiler",
        {{"device", device}, {"host", host}, {"opr_footprint", footprint}, {"opr_internal_pf", json::object()}}},
       {"graph_exec", graph_exec(model, plan)}});
}

std::string static_memory_info(const megalith::Model& model, const PlanInfo& plan) {
  const Graph& g = model.graph();
  // Time is a position in the order of execution; constants lie behind the arenas and live all the time.
  std::vector<size_t> base(static_cast<size_t>(plan.segments) + 1, 0), arena(base), start(base);
  std::map<std::pair<int, int>, size_t> order;
  json oprs = json::object(), chunks = json::object();
  for (const NodeProfile& n : plan.nodes) {
    const size_t at = order.size();
    order[{n.segment, n.step}] = at;
    const std::string id = std::to_string(at);
    oprs[id] = {{"name", n.name}, {"id", id}};
  }
  for (const PlannedBlock& b : plan.blocks) {
    size_t& size = arena[static_cast<size_t>(b.segment)];
    size = std::max(size, b.offset + b.bytes);
  }
  for (size_t s = 1; s < base.size(); ++s) base[s] = base[s - 1] + arena[s - 1];
  const auto time = [&](int segment, int step) {
    const auto at = order.lower_bound({segment, step});
    return at == order.end() ? order.size() : at->second;
  };
  const auto add = [&](const char* type, size_t from, size_t to, size_t begin, size_t end) {
    const std::string id = std::to_string(chunks.size());
    chunks[id] = {{"id", id},
                  {"type", type},
                  {"logic_addr_begin", std::to_string(begin)},
                  {"logic_addr_end", std::to_string(end)},
                  {"time_begin", std::to_string(from)},
                  {"time_end", std::to_string(to)},
                  {"overwrite_dest_id", "-1"}};
  };
  for (const PlannedBlock& b : plan.blocks) {
    const size_t at = base[static_cast<size_t>(b.segment)] + b.offset;
    add("static_mem", time(b.segment, b.first), time(b.segment, b.last + 1), at, at + b.bytes);
  }
  size_t at = base.back();
  for (const Node& node : g.nodes) {
    if (node.op->kind != OpKind::kConstant && node.op->kind != OpKind::kParameter) continue;
    for (const megalith::NamedTensor& t : node.attrs.tensors) {
      add("weight_mem", 0, order.size(), at, at + t.value.bytes());
      at += t.value.bytes();
    }
  }
  return json_text({{"opr", oprs}, {"chunk", chunks}});
}

}  // namespace mgl
