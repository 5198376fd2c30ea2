// mgl inspect: what the registry of operators knows.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "megalith/model.h"
#include "tools/mgl/commands.h"
#include "tools/mgl/profile_json.h"

namespace mgl {
namespace {

using nlohmann::json;

json ops_json() {
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
  return {{"ops", ops}};
}

// The table of docs/ops.md.
void print_markdown() {
  const auto& ops = megalith::Registry::get().ops();
  int runs = 0, stored = 0, differentiable = 0;
  for (const megalith::OpDef* op : ops) {
    runs += !op->refuses;
    stored += op->mge.v1_name != nullptr;
    differentiable += op->grad != nullptr;
  }
  std::printf("# Operators\n\n");
  std::printf(
      "Made by `mgl inspect --ops --markdown`; a test says when it is stale. %zu operators: %d run, %zu load and\n"
      "refuse to run; %d are stored in `.mge` files; %d have a gradient. `ops.json` has the parameters as well.\n\n",
      ops.size(), runs, ops.size() - static_cast<size_t>(runs), stored, differentiable);
  std::printf(
      "- **stored as**: the name in `.mge` files, in both formats (FBS and FBS_V2); `v2` and later: the newest "
      "version\n"
      "  of the operator in FBS_V2 files;\n"
      "- **runs**: yes, or why this build refuses to;\n"
      "- **kernels**: in order of priority, each for the element types and layouts that it accepts; the last one is\n"
      "  the reference and takes whatever the operator takes;\n"
      "- **exact**: every kernel gives the reference's bits; **dynamic**: the output's shape depends on data.\n\n");
  std::printf(
      "| operator | stored as | runs | gradient | kernels | | what |\n| --- | --- | --- | --- | --- | --- | --- |\n");
  for (const megalith::OpDef* op : ops) {
    std::string kernels, notes, doc = op->doc, stored_as = op->mge.v1_name ? op->mge.v1_name : "-";
    for (const megalith::Kernel& k : op->kernels) kernels += (kernels.empty() ? "" : ", ") + std::string(k.name);
    if (op->view) kernels += kernels.empty() ? "view" : ", or a view";
    if (op->kind != megalith::OpKind::kCompute) kernels = "holds a value";
    if (op->mge.v1_name && op->mge.max_version > 1) stored_as += " (v" + std::to_string(op->mge.max_version) + ")";
    for (const auto& [on, word] : {std::pair(op->exact, "exact"),
                                   {op->dynamic, "dynamic"},
                                   {op->random, "random"},
                                   {op->effect, "effect"},
                                   {!op->updates.empty(), "updates"}}) {
      if (on) notes += (notes.empty() ? "" : ", ") + std::string(word);
    }
    for (size_t at = 0; (at = doc.find('|', at)) != std::string::npos; at += 2) doc.insert(at, "\\");
    std::printf("| %s | %s | %s | %s | %s | %s | %s |\n", op->name, stored_as.c_str(),
                op->refuses ? (std::string("no: ") + op->refuses).c_str() : "yes", op->grad ? "yes" : "",
                op->refuses ? "" : kernels.c_str(), notes.c_str(), doc.c_str());
  }
}

}  // namespace

int inspect(const Args& args) {
  Options o(args);
  if (!o.flag("ops")) throw UsageError{"inspect takes --ops"};
  const bool markdown = o.flag("markdown");
  if (!o.rest().empty()) throw UsageError{"inspect takes no file"};
  if (markdown) {
    print_markdown();
  } else {
    std::fputs(json_text(ops_json(), 1).c_str(), stdout);
  }
  return kOk;
}

}  // namespace mgl
