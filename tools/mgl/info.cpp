// mgl info and mgl inspect: what is in a model, and what the registry knows.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "megalith/io/mge/reader.h"
#include "megalith/model.h"
#include "tools/mgl/commands.h"
#include "tools/mgl/inputs.h"

namespace mgl {
namespace {

using nlohmann::json;

json dims(const megalith::Shape& s) { return std::vector<int64_t>(s.begin(), s.end()); }
void print(const json& j) { std::printf("%s\n", j.dump(1, ' ', false, json::error_handler_t::replace).c_str()); }

json structure(const megalith::Graph& g) {
  json nodes = json::array();
  for (const megalith::Node& n : g.nodes) {
    json params = json::object();
    if (n.attrs.params.schema()) {
      for (const megalith::Field& f : n.attrs.params.schema()->fields) params[f.name] = field_str(n.attrs.params, f);
    }
    nodes.push_back(
        {{"op", n.op->name}, {"name", n.name}, {"inputs", n.inputs}, {"outputs", n.outputs}, {"params", params}});
  }
  return nodes;
}

}  // namespace

int info(const Args& args) {
  Options o(args);
  const bool as_json = o.flag("json"), graph = o.flag("graph");
  const Args rest = o.rest();
  if (rest.size() != 1) throw UsageError{"info needs one model file"};
  const megalith::MgeFile file = megalith::read_mge(rest[0]);
  const megalith::Graph& g = file.graph;
  std::map<std::string, int> kinds;
  size_t parameters = 0, bytes = 0;
  for (const megalith::Node& n : g.nodes) {
    ++kinds[n.op->name];
    for (const megalith::NamedTensor& t : n.attrs.tensors) {
      if (!t.value.defined() || n.op->kind == megalith::OpKind::kInput) continue;
      parameters += static_cast<size_t>(t.shape.count());
      bytes += t.value.bytes();
    }
  }
  // FLOPs and memory come from a run with generated inputs; a model that can't run here still has the rest.
  double flops = 0;
  megalith::MemoryStats memory;
  std::string cannot;
  try {
    megalith::Model model = megalith::Model::from_graph(g);
    megalith::Profile profile;
    model.run(make_feeds(model, "", {}), &profile);
    for (const megalith::NodeProfile& n : profile.nodes()) flops += std::max(n.flops, 0.0);
    memory = model.memory();
  } catch (const megalith::Error& e) {
    cannot = e.what();
  }
  json inputs = json::array(), outputs = json::array();
  for (megalith::NodeId n : g.inputs()) {
    const megalith::NamedTensor& t = g.node(n).attrs.tensors[0];
    inputs.push_back({{"name", t.name}, {"dtype", t.dtype.str()}, {"shape", dims(t.shape)}});
  }
  for (const megalith::GraphOutput& out : g.outputs) outputs.push_back(out.name);
  if (as_json) {
    json j{{"file", rest[0]},
           {"format", file.format},
           {"mge_version", g.mge_version},
           {"test_cases", file.test_cases},
           {"inputs", inputs},
           {"outputs", outputs},
           {"operators", kinds},
           {"parameters", parameters},
           {"parameter_bytes", bytes},
           {"flops", flops},
           {"arena_bytes", memory.arena},
           {"peak_live_bytes", memory.peak_live}};
    if (!cannot.empty()) j["cannot_run"] = cannot;
    if (graph) j["graph"] = structure(g);
    print(j);
    return kOk;
  }
  std::printf("%s: %s, MegEngine %u.%u.%u, %zu operators\n", rest[0].c_str(), file.format.c_str(),
              g.mge_version / 100000, g.mge_version / 100 % 1000, g.mge_version % 100, g.nodes.size());
  for (megalith::NodeId n : g.inputs()) {
    const megalith::NamedTensor& t = g.node(n).attrs.tensors[0];
    std::printf("  input   %s %s%s\n", t.name.c_str(), t.dtype.str().c_str(), t.shape.str().c_str());
  }
  for (const megalith::GraphOutput& out : g.outputs) std::printf("  output  %s\n", out.name.c_str());
  std::printf("  parameters  %zu (%.2f MB)\n", parameters, static_cast<double>(bytes) / 1e6);
  if (cannot.empty()) {
    std::printf("  FLOPs       %.4g\n  arena       %.2f MB (alive at once: %.2f MB)\n", flops,
                static_cast<double>(memory.arena) / 1e6, static_cast<double>(memory.peak_live) / 1e6);
  } else {
    std::printf("  does not run with generated inputs: %s\n", cannot.c_str());
  }
  for (const auto& [kind, n] : kinds) std::printf("  %5d  %s\n", n, kind.c_str());
  if (graph) {
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const megalith::Node& n = g.nodes[i];
      std::string in, out;
      for (auto v : n.inputs) in += " %" + std::to_string(v);
      for (auto v : n.outputs) out += " %" + std::to_string(v);
      std::printf("%s = %s(%s ) {%s} %s\n", out.c_str(), n.op->name, in.c_str(), n.attrs.params.str().c_str(),
                  n.name.c_str());
    }
  }
  return kOk;
}

int inspect(const Args& args) {
  Options o(args);
  if (!o.flag("ops")) throw UsageError{"inspect takes --ops"};
  o.rest();
  json ops = json::array();
  for (const megalith::OpDef* op : megalith::Registry::get().ops()) {
    json j{{"name", op->name},
           {"doc", op->doc},
           {"min_inputs", op->min_inputs},
           {"max_inputs", op->max_inputs},
           {"has_gradient", op->grad != nullptr},
           {"exact", op->exact},
           {"dynamic", op->dynamic},
           {"random", op->random}};
    if (op->refuses) j["refuses"] = op->refuses;
    if (op->mge.v1_name) j["mge"] = {{"v1_name", op->mge.v1_name}, {"max_opr_version", op->mge.max_version}};
    json kernels = json::array();
    for (const megalith::Kernel& k : op->kernels) kernels.push_back(k.name);
    j["kernels"] = kernels;
    if (op->params) {
      const megalith::Params defaults(*op->params);
      json fields = json::array();
      for (const megalith::Field& f : op->params->fields) {
        static const char* const kTypes[] = {"bool",    "int32",       "uint32",      "uint64", "float32",
                                             "float64", "enum",        "dtype",       "DType",  "scalar",
                                             "int32[]", "axis_desc[]", "index_item[]"};
        json e{{"name", f.name},
               {"type", kTypes[static_cast<size_t>(f.type)]},
               {"default", field_str(defaults, f)},
               {"doc", f.doc}};
        if (f.enums) {
          for (const megalith::EnumValue& v : f.enums().values) e["values"].push_back(v.name);
        }
        fields.push_back(e);
      }
      j["params"] = {{"table", op->params->name}, {"fields", fields}};
    }
    ops.push_back(j);
  }
  print({{"ops", ops}});
  return kOk;
}

}  // namespace mgl
