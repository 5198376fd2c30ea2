// mgl check: run every case of a manifest.json and compare with what was recorded.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "megalith/io/mge/reader.h"
#include "megalith/io/npy.h"
#include "megalith/model.h"
#include "tools/mgl/commands.h"

namespace mgl {
namespace {

using megalith::cat;
using megalith::DTypeEnum;
using megalith::Tensor;
using nlohmann::json;

struct Tolerance {
  double rtol = 0, atol = 0;
  bool bits = false, up_to_sign = false;
};

std::string index_of(const Tensor& t, int64_t i) {
  std::string s;
  for (int d = t.ndim() - 1; d >= 0; --d) {
    s = std::to_string(i % t.dim(d)) + (s.empty() ? "" : ",") + s;
    i /= t.dim(d);
  }
  return "[" + s + "]";
}

// Empty when equal; otherwise what differs first.
std::string compare(const Tensor& got, const Tensor& want, const Tolerance& tol) {
  if (!(got.shape() == want.shape()) && got.count() != want.count())
    return cat("shape ", got.shape(), ", expected ", want.shape());
  if (!(got.shape() == want.shape()) && !(got.ndim() <= 1 && want.ndim() <= 1))
    return cat("shape ", got.shape(), ", expected ", want.shape());
  if (tol.bits) {
    if (got.bytes() != want.bytes()) return cat("type ", got.dtype().str(), ", expected ", want.dtype().str());
    const size_t width = static_cast<size_t>(want.dtype().bits() / 8);
    for (int64_t i = 0; i < want.count(); ++i) {
      const auto at = static_cast<size_t>(i) * width;
      if (std::memcmp(got.data<char>() + at, want.data<char>() + at, width) != 0) {
        return cat("bits differ at ", index_of(want, i), ": got ", got.item(i), ", expected ", want.item(i));
      }
    }
    return "";
  }
  // A quantized result may have been recorded as real numbers.
  const bool scaled = got.dtype().is_quantized() && want.dtype().is_float();
  int64_t bad = 0, first = -1;
  double worst = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    double a = got.item(i), b = want.item(i);
    if (scaled) a = (a - got.dtype().zero_point) * static_cast<double>(got.dtype().scale);
    if (tol.up_to_sign) a = std::abs(a), b = std::abs(b);
    if ((std::isnan(a) && std::isnan(b)) || a == b) continue;
    const double diff = std::abs(a - b);
    if (diff <= tol.atol + tol.rtol * std::abs(b)) continue;
    if (first < 0) first = i;
    worst = std::max(worst, diff);
    ++bad;
  }
  if (first < 0) return "";
  return cat(bad, " of ", want.count(), " differ (at most ", worst, "), first at ", index_of(want, first), ": got ",
             got.item(first), ", expected ", want.item(first));
}

struct Moments {
  double mean = 0, dev = 0;
};
Moments moments(const Tensor& t) {
  Moments m;
  const auto n = static_cast<double>(std::max<int64_t>(t.count(), 1));
  for (int64_t i = 0; i < t.count(); ++i) m.mean += t.item(i) / n;
  for (int64_t i = 0; i < t.count(); ++i) m.dev += std::pow(t.item(i) - m.mean, 2) / n;
  m.dev = std::sqrt(m.dev);
  return m;
}

// Random results: shape, type, and mean and deviation within what samples of this size give.
std::string compare_random(const Tensor& got, const Tensor& want) {
  if (!(got.shape() == want.shape())) return cat("shape ", got.shape(), ", expected ", want.shape());
  if (got.dtype().id != want.dtype().id) return cat("type ", got.dtype().str(), ", expected ", want.dtype().str());
  const Moments a = moments(got), b = moments(want);
  const double slack = (a.dev + b.dev) * 4 / std::sqrt(static_cast<double>(std::max<int64_t>(want.count(), 1))) + 1e-6;
  if (std::abs(a.mean - b.mean) > slack) return cat("mean ", a.mean, ", recorded ", b.mean);
  if (std::abs(a.dev - b.dev) > slack + 0.25 * b.dev) return cat("deviation ", a.dev, ", recorded ", b.dev);
  return "";
}

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

// Runs one file of a case; returns what went wrong.
std::string run_file(const std::string& dir, const json& entry, const std::string& format, const Settings& settings) {
  const std::string path = dir + "/" + entry["files"][format]["file"].get<std::string>();
  megalith::Model model = megalith::Model::load(path, settings.model);
  std::map<std::string, Tensor> feeds;
  const auto inputs = model.inputs();
  for (const json& in : entry["inputs"]) {
    const std::string name = in["name"];
    for (const auto& i : inputs) {
      if (i.name == name) feeds[name] = megalith::read_npy(dir + "/" + in["file"].get<std::string>());
    }
  }
  const megalith::MgeFile file = megalith::read_mge(path);
  for (const auto& c : file.cases) model.run(c);  // their assertions are in the graph
  if (file.test_cases > 0) return "";
  const std::vector<Tensor> got = model.run(feeds);
  const json& want = format == "FBS_V2" && entry.contains("outputs_v2") ? entry["outputs_v2"] : entry["outputs"];
  // A file may list one variable as two outputs; the recording has it once.
  if (got.size() < want.size()) return cat(got.size(), " outputs, expected ", want.size());
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
    const json manifest = json::parse(f);
    const json& cases = manifest.at("cases");
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
