// The profile in MegEngine's GraphProfiler form: times of the last iteration, footprints, and the executed graph.
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/mgl/profile_json.h"

namespace mgl {

using nlohmann::json;

void write_megengine_profile(const std::string& path, const megalith::Graph& g, const megalith::Profile& p) {
  const char* cn = "CompNode(\"cpu0:0\" from \"xpux:0\")";
  const size_t base = g.nodes.size();  // operators and variables share one number space
  const auto var = [&](int v) { return std::to_string(base + static_cast<size_t>(v)); };
  const auto dims = [](const megalith::Shape& s) { return std::vector<int64_t>(s.begin(), s.end()); };
  json device = json::object(), host = json::object(), foot = json::object(), ops = json::object(), vars = json::object();
  json seq = json::array();
  int last = 0;
  for (const auto& s : p.spans()) last = std::max(last, s.iteration);
  for (const auto& s : p.spans()) {
    if (s.iteration != last || s.node < 0) continue;
    const json t{{"start", s.start}, {"kern", s.start}, {"end", s.end}};
    device[std::to_string(s.node)][cn] = t;
    host[std::to_string(s.node)]["@"] = t;
  }
  for (const auto& n : p.nodes()) {
    if (n.node < 0) continue;
    json in = json::array(), out = json::array();
    for (const auto& s : n.in_shapes) in.push_back(dims(s));
    for (const auto& s : n.out_shapes) out.push_back(dims(s));
    foot[std::to_string(n.node)] = {{"computation", n.flops < 0 ? json() : json(static_cast<int64_t>(n.flops))}, {"memory", n.bytes},
                                    {"in_shapes", in}, {"out_shapes", out}, {"param", json::object()}};
  }
  for (size_t i = 0; i < base; ++i) {
    json in = json::array(), out = json::array();
    for (int v : g.nodes[i].inputs) in.push_back(var(v));
    for (int v : g.nodes[i].outputs) out.push_back(var(v));
    const std::string id = std::to_string(i);
    seq.push_back(id);
    ops[id] = {{"node_type", "operator"}, {"id", id}, {"name", g.nodes[i].name}, {"type", g.nodes[i].op->name}, {"input", in},
               {"output", out}, {"extra", json::object()}, {"waiting_spec", json::object()}};
  }
  const json tag{{"node_type", "static_infer_tag"}, {"infer_type", "NO_DESC"}, {"inferred_result", nullptr}, {"deps", json::array()}};
  for (size_t i = 0; i < g.values.size(); ++i) {
    const std::string id = var(static_cast<int>(i));
    vars[id] = {{"node_type", "var"}, {"id", id}, {"name", g.values[i].name}, {"mem_readonly_fwd_src", nullptr},
                {"force_update_src", nullptr}, {"mem_plan", nullptr}, {"comp_node", cn}, {"dev_ptr", nullptr}, {"prev_dev_ptr", 0},
                {"flag", json::array()}, {"static_infer_tags", {{"SHAPE", tag}, {"VALUE", tag}}}};
  }
  const json r{{"profiler", {{"device", device}, {"host", host}, {"opr_footprint", foot}, {"opr_internal_pf", json::object()}}},
               {"graph_exec", {{"operator", ops}, {"var", vars}, {"mem_chunk", json::object()}, {"comp_seq", seq}}}};
  std::ofstream f(path);
  f << r.dump(1, ' ', false, json::error_handler_t::replace) << '\n';
  if (!f) throw megalith::Error("can't write " + path);
}

}  // namespace mgl
