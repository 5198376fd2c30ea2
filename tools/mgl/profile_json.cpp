#include "tools/mgl/profile_json.h"

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

namespace mgl {
namespace {

using megalith::NodeProfile;
using megalith::Shape;
using nlohmann::json;

json dims(const Shape& s) { return std::vector<int64_t>(s.begin(), s.end()); }

json shapes(const std::vector<Shape>& v) {
  json j = json::array();
  for (const Shape& s : v) j.push_back(dims(s));
  return j;
}

std::string dump(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

json params_of(const megalith::Node& node) {
  json j = json::object();
  if (!node.attrs.params.schema()) return j;
  for (const megalith::Field& f : node.attrs.params.schema()->fields) j[f.name] = field_str(node.attrs.params, f);
  return j;
}

std::string cpu_name() {
  std::ifstream f("/proc/cpuinfo");
  for (std::string line; std::getline(f, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

// Ids of operators and variables come from one number space: operators keep their index, variables follow.
std::string megengine_profile(const megalith::Model& model, const megalith::Profile& profile) {
  const megalith::Graph& g = model.graph();
  const auto op_id = [](int32_t n) { return std::to_string(n); };
  const auto var_id = [&](int32_t v) { return std::to_string(g.nodes.size() + static_cast<size_t>(v)); };
  std::map<int32_t, std::pair<double, double>> times;  // of the last iteration, as MegEngine keeps them
  double epoch = 1e300;
  for (const megalith::Span& s : profile.spans()) {
    if (s.iteration != profile.iteration()) continue;
    epoch = std::min(epoch, s.start);
    const auto it = times.find(s.node);
    if (it == times.end())
      times[s.node] = {s.start, s.end};
    else
      it->second.second = s.end;
  }
  json device = json::object(), host = json::object(), footprint = json::object(), seq = json::array();
  std::map<int32_t, const NodeProfile*> by_node;
  for (const NodeProfile& n : profile.nodes()) by_node[n.node] = &n;
  const std::string comp_node = "CompNode(\"cpu0:0\" from \"xpux:0\")";
  for (const auto& [node, t] : times) {
    const json span{{"start", t.first - epoch}, {"kern", t.first - epoch}, {"end", t.second - epoch}};
    device[op_id(node)] = {{comp_node, span}};
    host[op_id(node)] = {{"@", span}};
    const NodeProfile& n = *by_node[node];
    json f{{"computation", n.flops < 0 ? json(nullptr) : json(static_cast<int64_t>(n.flops))},
           {"memory", n.bytes},
           {"in_shapes", shapes(n.in_shapes)},
           {"out_shapes", shapes(n.out_shapes)},
           {"param", params_of(g.node(node))}};
    bool strided = false;
    json layouts = json::array();
    for (const auto& s : n.in_strides) {
      layouts.push_back(s.empty() ? json(nullptr) : json(s));
      strided = strided || !s.empty();
    }
    if (strided) f["in_layouts"] = layouts;
    footprint[op_id(node)] = f;
  }
  for (const NodeProfile& n : profile.nodes()) seq.push_back(op_id(n.node));
  json operators = json::object(), vars = json::object(), chunks = json::object();
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const megalith::Node& node = g.nodes[i];
    json in = json::array(), out = json::array();
    for (auto v : node.inputs) in.push_back(var_id(v));
    for (auto v : node.outputs) out.push_back(var_id(v));
    const auto id = static_cast<int32_t>(i);
    json o{{"node_type", "operator"},
           {"id", op_id(id)},
           {"name", node.name},
           {"type", node.op->name},
           {"input", in},
           {"output", out},
           {"extra", {{"priority", node.priority}}}};
    o["waiting_spec"] = times.count(id) ? json{{comp_node, {{"dev_ready", json::array()}}}} : json(nullptr);
    operators[op_id(id)] = o;
    const auto p = by_node.find(id);
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      const std::string v = var_id(node.outputs[k]);
      json plan = nullptr;
      if (p != by_node.end() && k < p->second->out_shapes.size() && p->second->out_offsets[k] >= 0) {
        const NodeProfile& n = *p->second;
        const megalith::Layout l(n.out_shapes[k]);
        plan = {{"mem_chunk_id", "chk" + v},
                {"offset_byte", 0},
                {"layout", {{"shape", dims(l.shape)}, {"stride", dims(l.stride)}, {"dtype", n.out_dtypes[k].str()}}}};
        chunks["chk" + v] = {{"node_type", "mem_chunk"},
                             {"id", "chk" + v},
                             {"size", tensor_bytes(n.out_dtypes[k], n.out_shapes[k])},
                             {"owner_var", v},
                             {"dev_ptr", n.out_offsets[k]}};
      }
      const json tag{{"node_type", "static_infer_tag"},
                     {"infer_type", "NO_DESC"},
                     {"inferred_result", nullptr},
                     {"deps", json::array()}};
      vars[v] = {{"node_type", "var"},
                 {"id", v},
                 {"name", g.value(node.outputs[k]).name},
                 {"mem_readonly_fwd_src", nullptr},
                 {"force_update_src", nullptr},
                 {"mem_plan", plan},
                 {"comp_node", comp_node},
                 {"dev_ptr", nullptr},
                 {"prev_dev_ptr", 0},
                 {"flag", json::array()},
                 {"static_infer_tags", {{"SHAPE", tag}, {"VALUE", tag}}}};
    }
  }
  return dump(
      {{"profiler",
        {{"device", device}, {"host", host}, {"opr_footprint", footprint}, {"opr_internal_pf", json::object()}}},
       {"graph_exec", {{"operator", operators}, {"var", vars}, {"mem_chunk", chunks}, {"comp_seq", seq}}}});
}

std::string profile_v2(const megalith::Model& model, const megalith::Profile& profile,
                       const std::vector<double>& plain_ms) {
  json nodes = json::array(), spans = json::array();
  for (const NodeProfile& n : profile.nodes()) {
    json in_types = json::array(), out_types = json::array();
    for (const auto& d : n.in_dtypes) in_types.push_back(d.str());
    for (const auto& d : n.out_dtypes) out_types.push_back(d.str());
    nodes.push_back({{"node", n.node},
                     {"op", n.op},
                     {"name", n.name},
                     {"kernel", n.kernel},
                     {"params", n.params},
                     {"in_shapes", shapes(n.in_shapes)},
                     {"in_dtypes", in_types},
                     {"out_shapes", shapes(n.out_shapes)},
                     {"out_dtypes", out_types},
                     {"bytes", n.bytes},
                     {"flops", n.flops < 0 ? json(nullptr) : json(n.flops)}});
  }
  for (const megalith::Span& s : profile.spans()) spans.push_back({s.node, s.iteration, s.start, s.end});
  const megalith::MemoryStats m = model.memory();
  return dump(
      {{"format", "megalith-profile"},
       {"version", 2},
       {"device", {{"kind", "cpu"}, {"name", cpu_name()}, {"threads", profile.threads}}},
       {"environment", {{"megalith", "0.1.0"}, {"compiler", __VERSION__}}},
       {"iterations", profile.iteration() + 1},
       {"plain_ms", plain_ms},
       {"memory", {{"arena_bytes", m.arena}, {"peak_live_bytes", m.peak_live}, {"constant_bytes", m.constants}}},
       {"nodes", nodes},
       {"span_fields", {"node", "iteration", "start_s", "end_s"}},
       {"spans", spans}});
}

}  // namespace mgl
