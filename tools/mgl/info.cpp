// mgl info: what is in a model. Nothing runs: FLOPs and memory come from planning it at the declared shapes.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "megalith/io/mge/reader.h"
#include "megalith/model.h"
#include "tools/mgl/commands.h"
#include "tools/mgl/inputs.h"
#include "tools/mgl/profile_json.h"

namespace mgl {
namespace {

using megalith::Graph;
using megalith::Node;
using megalith::NodeProfile;
using nlohmann::json;

struct Parameters {
  size_t count = 0, bytes = 0;
};

Parameters parameters_of(const Node& n) {
  Parameters p;
  if (n.op->kind != megalith::OpKind::kConstant && n.op->kind != megalith::OpKind::kParameter) return p;
  for (const megalith::NamedTensor& t : n.attrs.tensors) {
    p.count += static_cast<size_t>(t.shape.count());
    p.bytes += t.value.defined() ? t.value.bytes() : 0;
  }
  return p;
}

// Operators of the file, with what planning says about those that run.
json structure(const Graph& g, const megalith::PlanInfo& plan) {
  std::map<int32_t, const NodeProfile*> planned;
  for (const NodeProfile& n : plan.nodes) planned[n.node] = &n;
  json nodes = json::array();
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    json params = json::object();
    if (n.attrs.params.schema()) {
      for (const megalith::Field& f : n.attrs.params.schema()->fields) params[f.name] = field_str(n.attrs.params, f);
    }
    json j{{"op", n.op->name}, {"name", n.name}, {"inputs", n.inputs}, {"outputs", n.outputs}, {"params", params}};
    for (const megalith::NamedTensor& t : n.attrs.tensors)
      j["tensors"].push_back({{"name", t.name}, {"dtype", t.dtype.str()}, {"shape", dims(t.shape)}});
    if (const auto at = planned.find(static_cast<int32_t>(i)); at != planned.end()) {
      j["kernel"] = at->second->kernel;
      j["flops"] = at->second->flops < 0 ? json(nullptr) : json(at->second->flops);
      for (const auto& v : at->second->out) j["values"].push_back({{"dtype", v.dtype.str()}, {"shape", dims(v.shape)}});
    }
    nodes.push_back(j);
  }
  return nodes;
}

void print_structure(const Graph& g) {
  for (const Node& n : g.nodes) {
    std::string in, out;
    for (auto v : n.inputs) in += " %" + std::to_string(v);
    for (auto v : n.outputs) out += " %" + std::to_string(v);
    std::printf("%s = %s(%s ) {%s} %s\n", out.c_str(), n.op->name, in.c_str(), n.attrs.params.str().c_str(),
                n.name.c_str());
  }
}

// "name:{d0,d1};name2:{d0}": shapes other than the declared ones.
std::map<std::string, megalith::Shape> parse_shapes(const std::string& text, const Graph& g) {
  std::map<std::string, megalith::Shape> shapes;
  const auto inputs = g.inputs();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(';', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t brace = part.find('{');
    const json list = brace == std::string::npos || part.back() != '}'
                          ? json()
                          : json::parse("[" + part.substr(brace + 1, part.size() - brace - 2) + "]", nullptr, false);
    if (!list.is_array()) throw UsageError{"--input takes name:{d0,d1}, not '" + part + "'"};
    std::string name = part.substr(0, brace);
    if (!name.empty() && name.back() == ':') name.pop_back();
    if (name.empty()) name = inputs.size() == 1 ? g.input_name(inputs[0]) : "data";
    try {
      shapes[name] = megalith::Shape(list.get<std::vector<int64_t>>());
    } catch (const json::exception&) {
      throw UsageError{"--input takes name:{d0,d1}, not '" + part + "'"};
    }
  }
  return shapes;
}

}  // namespace

int info(const Args& args) {
  Options o(args);
  const bool as_json = o.flag("json"), graph = o.flag("graph");
  megalith::ModelOptions options;
  options.optimize = !o.flag("no-optimize");
  const std::string shapes = o.value("input", "");
  const Args rest = o.rest();
  if (rest.size() != 1) throw UsageError{"info needs one model file"};
  const megalith::MgeFile file = open_model(rest[0]);
  const Graph& g = file.graph;
  std::map<std::string, int> kinds;
  Parameters parameters;
  for (const Node& n : g.nodes) {
    ++kinds[n.op->name];
    const Parameters p = parameters_of(n);
    parameters.count += p.count;
    parameters.bytes += p.bytes;
  }
  // A model that can't be planned here still has the rest.
  megalith::PlanInfo plan;
  std::optional<megalith::Model> model;
  std::string cannot, stopped;
  try {
    model.emplace(megalith::Model::from_graph(g, options));
    plan = model->plan(parse_shapes(shapes, g));
    if (plan.stopped_at >= 0) stopped = model->graph().label(plan.stopped_at);
  } catch (const megalith::Error& e) {
    cannot = e.what();
  }
  std::map<int32_t, const megalith::ValueProfile*> values;
  for (const NodeProfile& n : plan.nodes) {
    for (const auto& v : n.out) values[v.value] = &v;
  }
  std::map<std::string, double> flops_by_op;
  for (const NodeProfile& n : plan.nodes) flops_by_op[n.op] += std::max(n.flops, 0.0);
  json inputs = json::array(), outputs = json::array();
  for (megalith::NodeId n : g.inputs()) {
    const megalith::NamedTensor& t = g.node(n).attrs.tensors[0];
    inputs.push_back({{"name", t.name}, {"dtype", t.dtype.str()}, {"shape", dims(t.shape)}});
  }
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    outputs.push_back({{"name", g.outputs[i].name}});
    if (!model) continue;
    const auto at = values.find(model->graph().outputs[i].value);
    if (at == values.end()) continue;
    outputs.back()["dtype"] = at->second->dtype.str();
    outputs.back()["shape"] = dims(at->second->shape);
  }
  const megalith::MemoryStats& m = plan.memory;
  if (as_json) {
    json j{{"file", rest[0]},
           {"file_bytes", file.bytes},
           {"format", file.format},
           {"mge_version", g.mge_version},
           {"test_cases", file.test_cases},
           {"inputs", inputs},
           {"outputs", outputs},
           {"operators", kinds},
           {"parameters", parameters.count},
           {"parameter_bytes", parameters.bytes}};
    if (cannot.empty()) {
      j["flops"] = plan.flops();
      j["flops_by_op"] = flops_by_op;
      j["planned_operators"] = plan.nodes.size();
      j["complete"] = stopped.empty();  // false: what lies behind `stopped_at` depends on data and is not counted
      if (!stopped.empty()) j["stopped_at"] = stopped;
      j["memory"] = {{"arena_bytes", m.arena},
                     {"peak_live_bytes", m.peak_live},
                     {"constant_bytes", m.constants},
                     {"folded_bytes", m.folded}};
    } else {
      j["cannot_run"] = cannot;
    }
    if (graph) {
      j["graph"] = structure(g, {});
      if (model) j["planned_graph"] = structure(model->graph(), plan);
    }
    std::fputs(json_text(j, 1).c_str(), stdout);
    return kOk;
  }
  std::printf("%s: %s, MegEngine %u.%u.%u, %zu operators\n", rest[0].c_str(), file.format.c_str(),
              g.mge_version / 100000, g.mge_version / 100 % 1000, g.mge_version % 100, g.nodes.size());
  if (file.test_cases > 0) std::printf("  %d test cases\n", file.test_cases);
  for (const json& i : inputs) {
    std::printf("  input   %s %s %s\n", i["name"].get<std::string>().c_str(), i["dtype"].get<std::string>().c_str(),
                i["shape"].dump().c_str());
  }
  for (const json& i : outputs) {
    std::printf("  output  %s %s %s\n", i["name"].get<std::string>().c_str(), i.value("dtype", "").c_str(),
                i.contains("shape") ? i["shape"].dump().c_str() : "");
  }
  std::printf("  parameters  %zu (%.2f MB)\n", parameters.count, static_cast<double>(parameters.bytes) / 1e6);
  if (cannot.empty()) {
    const char* at_least = stopped.empty() ? "" : "at least ";
    std::printf("  FLOPs       %s%.4g\n  arena       %s%.2f MB (alive at once: %.2f MB)\n", at_least, plan.flops(),
                at_least, static_cast<double>(m.arena) / 1e6, static_cast<double>(m.peak_live) / 1e6);
    if (!stopped.empty()) std::printf("  from %s on shapes depend on data: not counted\n", stopped.c_str());
  } else {
    std::printf("  can't be planned: %s\n", cannot.c_str());
  }
  for (const auto& [kind, n] : kinds) std::printf("  %5d  %s\n", n, kind.c_str());
  if (plan.flops() > 0) std::printf("  where the FLOPs are, after the graph passes:\n");
  for (const auto& [kind, f] : flops_by_op) {
    if (f > 0) std::printf("  %5.1f %% %s\n", 100 * f / plan.flops(), kind.c_str());
  }
  if (graph) print_structure(g);
  return kOk;
}

}  // namespace mgl
