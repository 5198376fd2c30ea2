// mgl info and mgl inspect: what is in a model, and which ops there are.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "megalith/io/mge/reader.h"
#include "megalith/model.h"
#include "tools/mgl/commands.h"

namespace mgl {
namespace {

using nlohmann::json;

std::vector<int64_t> dims(const megalith::Shape& s) { return {s.begin(), s.end()}; }
void print(const json& j) { std::printf("%s\n", j.dump(1, ' ', false, json::error_handler_t::replace).c_str()); }

json structure(const megalith::Graph& g) {
  json nodes = json::array();
  for (const megalith::Node& n : g.nodes) {
    nodes.push_back({{"op", n.op->name}, {"name", n.name}, {"params", n.attrs.params.schema() ? n.attrs.params.str() : ""},
                     {"inputs", n.inputs}, {"outputs", n.outputs}});
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
  json inputs = json::array(), outputs = json::array();
  std::map<std::string, int> histogram;
  int64_t parameters = 0;
  for (const megalith::Node& n : file.graph.nodes) {
    ++histogram[n.op->name];
    for (const megalith::NamedTensor& t : n.attrs.tensors) {
      if (n.op->kind == megalith::OpKind::kInput) inputs.push_back({{"name", t.name}, {"dtype", t.dtype.str()}, {"shape", dims(t.shape)}});
      if (n.op->kind == megalith::OpKind::kParameter) parameters += t.shape.count();
    }
  }
  for (const auto& out : file.graph.outputs) outputs.push_back({{"name", out.name}});
  json r{{"format", file.format}, {"bytes", file.bytes}, {"inputs", inputs}, {"outputs", outputs},
         {"operators", histogram}, {"parameters", parameters}, {"test_cases", file.test_cases}};
  if (graph) r["graph"] = structure(file.graph);
  if (as_json) return print(r), kOk;
  std::printf("format %s, %zu bytes, %lld parameter values\n", file.format.c_str(), file.bytes, static_cast<long long>(parameters));
  for (const json& i : inputs) {
    std::printf("input  %s %s %s\n", i["name"].get<std::string>().c_str(), i["dtype"].get<std::string>().c_str(), i["shape"].dump().c_str());
  }
  for (const json& i : outputs) std::printf("output %s\n", i["name"].get<std::string>().c_str());
  for (const auto& [name, count] : histogram) std::printf("%6d %s\n", count, name.c_str());
  if (graph) print(r["graph"]);
  return kOk;
}

int inspect(const Args& args) {
  Options o(args);
  if (!o.flag("ops") || !o.rest().empty()) throw UsageError{"inspect takes --ops"};
  json ops = json::array();
  for (const megalith::OpDef* d : megalith::Registry::get().ops()) {
    json kernels = json::array(), fields = json::array();
    for (const megalith::Kernel& k : d->kernels) kernels.push_back(k.name);
    if (d->params) {
      const megalith::Params defaults(*d->params);
      for (const megalith::Field& f : d->params->fields) {
        json j{{"name", f.name}, {"doc", f.doc ? f.doc : ""}, {"default", megalith::field_str(defaults, f)}};
        if (f.enums) {
          for (const megalith::EnumValue& e : f.enums().values) j["values"][e.name] = e.value;
        }
        fields.push_back(j);
      }
    }
    json j{{"name", d->name}, {"doc", d->doc ? d->doc : ""}, {"kernels", kernels}, {"params", fields}, {"min_inputs", d->min_inputs},
           {"max_inputs", d->max_inputs}, {"gradient", d->grad != nullptr}};
    if (d->mge.v1_name) j["mge"] = {{"v1_name", d->mge.v1_name}, {"max_version", d->mge.max_version}};
    if (d->refuses) j["refuses"] = d->refuses;
    ops.push_back(j);
  }
  return print(ops), kOk;
}

}  // namespace mgl
