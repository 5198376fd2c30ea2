// mgl check: run every case of a manifest.json and compare with what was recorded.
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>

#include "megalith/io/mge/reader.h"
#include "megalith/io/npy.h"
#include "megalith/model.h"
#include "tools/mgl/commands.h"
#include "tools/mgl/compare.h"

namespace mgl {
namespace {

using megalith::cat;
using megalith::Tensor;
using nlohmann::json;

struct Settings {
  megalith::ModelOptions model;
  std::string filter;
};

// Lines "case FORMAT reason"; '#' begins a comment.
std::map<std::string, bool> read_known(const std::string& path) {
  std::map<std::string, bool> known;  // -> has been seen to fail
  if (path.empty()) return known;
  std::ifstream f(path);
  if (!f) throw UsageError{"can't open " + path};
  for (std::string line; std::getline(f, line);) {
    std::istringstream words(line);
    std::string name, format;
    if (words >> name >> format && name[0] != '#') known[name + " " + format] = false;
  }
  return known;
}

// The recording lists what the model computes. In a file with test cases the outputs are assertions, which hand on what
// they expect: what counts is the value that they look at.
megalith::Graph with_actual_outputs(megalith::Graph graph) {
  for (megalith::GraphOutput& o : graph.outputs) {
    const megalith::Node& n = graph.node(graph.value(o.value).node);
    if (megalith::is(n, "AssertEqual")) o.value = n.inputs[1];
  }
  return graph;
}

// A file may list one variable as several outputs; the recording has it once.
std::vector<Tensor> distinct(const std::vector<Tensor>& outputs, const megalith::Graph& graph) {
  std::vector<Tensor> r;
  std::set<megalith::ValueId> seen;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (seen.insert(graph.outputs[i].value).second) r.push_back(outputs[i]);
  }
  return r;
}

// Runs one file of a case; returns what went wrong.
std::string run_file(const std::string& dir, const json& entry, const std::string& format, const Settings& settings) {
  const std::string path = dir + "/" + entry["files"][format]["file"].get<std::string>();
  const megalith::MgeFile file = megalith::read_mge(path);
  if (file.test_cases > 0) {  // their assertions are in the graph
    megalith::Model model = megalith::Model::from_graph(file.graph, settings.model);
    for (const auto& c : file.cases) model.run(c);
  }
  const megalith::Graph graph = file.test_cases > 0 ? with_actual_outputs(file.graph) : file.graph;
  megalith::Model model = megalith::Model::from_graph(graph, settings.model);
  const json& want = format == "FBS_V2" && entry.contains("outputs_v2") ? entry["outputs_v2"] : entry["outputs"];
  std::map<std::string, Tensor> feeds;
  for (const auto& i : model.inputs()) {
    for (const json& in : entry["inputs"]) {
      if (in["name"] == i.name) feeds[i.name] = megalith::read_npy(dir + "/" + in["file"].get<std::string>());
    }
    for (const json& out : want) {  // what an assertion expects
      if (out["name"].get<std::string>() + ":expect" == i.name)
        feeds[i.name] = megalith::read_npy(dir + "/" + out["file"].get<std::string>());
    }
  }
  const std::vector<Tensor> got = distinct(model.run(feeds), graph);
  if (got.size() != want.size()) return cat(got.size(), " outputs, expected ", want.size());
  const json& t = entry["tolerance"];
  Tolerance tol{t.value("rtol", 0.0), t.value("atol", 0.0), t.value("bit_exact", false),
                t.value("note", "").find("sign") != std::string::npos};
  for (size_t i = 0; i < want.size(); ++i) {
    const Tensor expected = megalith::read_npy(dir + "/" + want[i]["file"].get<std::string>());
    const std::string diff =
        entry.value("stochastic", false) ? compare_random(got[i], expected) : compare(got[i], expected, tol);
    if (!diff.empty()) return cat("output ", i, ": ", diff);
  }
  return "";
}

}  // namespace

int check(const Args& args) {
  Options o(args);
  Settings s;
  s.filter = o.value("filter", "");
  const bool as_json = o.flag("json");
  const std::string kernel = o.value("kernel", "fast");
  if (kernel != "fast" && kernel != "reference")
    throw UsageError{"--kernel is reference or fast, not '" + kernel + "'"};
  s.model.reference = kernel == "reference";
  s.model.threads = o.number("threads", 0);
  s.model.optimize = !o.flag("no-optimize");
  std::map<std::string, bool> known = read_known(o.value("known", ""));
  int expected = 0;
  const Args dirs = o.rest();
  if (dirs.empty()) throw UsageError{"check needs a directory with a manifest.json"};
  int passed = 0, failed = 0;
  json failures = json::array();
  for (const std::string& root : dirs) {
    std::ifstream f(root + "/manifest.json");
    if (!f) throw UsageError{"can't open " + root + "/manifest.json"};
    const json manifest = json::parse(f, nullptr, false);
    if (!manifest.is_object() || !manifest.contains("cases"))
      throw UsageError{root + "/manifest.json is no manifest of cases"};
    const json& cases = manifest["cases"];
    size_t done = 0;
    for (const json& entry : cases) {
      const std::string name = entry["name"];
      ++done;
      if (name.find(s.filter) == std::string::npos) continue;
      if (stderr_is_terminal()) std::fprintf(stderr, "\r\033[K%zu/%zu %s", done, cases.size(), name.c_str());
      for (const auto& [format, unused] : entry["files"].items()) {
        std::string wrong;
        try {
          wrong = run_file(root + "/" + name, entry, format, s);
        } catch (const std::exception& e) {
          wrong = e.what();
        }
        if (const auto it = known.find(name + " " + format); it != known.end()) {
          // A listed case that passes has to leave the list.
          if (!wrong.empty()) {
            ++expected;
            continue;
          }
          wrong = "passes, but is listed as a known failure";
        }
        ++(wrong.empty() ? passed : failed);
        if (wrong.empty()) continue;
        if (stderr_is_terminal()) std::fprintf(stderr, "\r\033[K");
        if (!as_json) std::printf("FAIL %s %s: %s\n", name.c_str(), format.c_str(), wrong.c_str());
        failures.push_back({{"case", name}, {"format", format}, {"reason", wrong}});
      }
    }
  }
  if (stderr_is_terminal()) std::fprintf(stderr, "\r\033[K");
  if (as_json) {
    std::printf("%s\n", json{{"passed", passed}, {"failed", failed}, {"failures", failures}}.dump(1).c_str());
  } else {
    if (expected) std::printf("%d known failures\n", expected);
    std::printf("%d passed, %d failed\n", passed, failed);
  }
  return failed ? kFailed : kOk;
}

}  // namespace mgl
