// mgl run: run a model with load_and_run's flags, time it, and write its outputs.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "megalith/io/npy.h"
#include "megalith/model.h"
#include "tools/mgl/commands.h"
#include "tools/mgl/profile_json.h"

namespace mgl {
namespace {

using megalith::cat;
using megalith::Tensor;
using nlohmann::json;

enum class Kind : uint8_t { kBool, kInt, kText };
struct Flag {
  const char* name;
  Kind kind;
  bool used;  // false: accepted for the sake of existing scripts, with a warning
};
constexpr Flag kFlags[] = {
    {"lite", Kind::kBool, false}, {"mdl", Kind::kBool, false}, {"cpu", Kind::kBool, true}, {"cuda", Kind::kBool, false},
    {"cpu_default", Kind::kBool, true}, {"multithread", Kind::kInt, true}, {"multithread_default", Kind::kInt, true},
    {"multi_thread_core_ids", Kind::kText, false}, {"iter", Kind::kInt, true}, {"warmup_iter", Kind::kInt, true},
    {"thread", Kind::kInt, false}, {"share_param_mem", Kind::kBool, false}, {"input", Kind::kText, true},
    {"batch_size", Kind::kInt, false}, {"io_dump", Kind::kText, false}, {"io_dump_stdout", Kind::kBool, false},
    {"io_dump_stderr", Kind::kBool, false}, {"bin_io_dump", Kind::kText, false}, {"bin_out_dump", Kind::kText, true},
    {"copy_to_host", Kind::kBool, true}, {"profile", Kind::kText, true}, {"profile_host", Kind::kText, false},
    {"range", Kind::kText, false}, {"check_dispatch", Kind::kBool, false}, {"check_var_value", Kind::kText, false},
    {"model_info", Kind::kBool, true}, {"verbose", Kind::kBool, false}, {"disable_assert_throw", Kind::kBool, false},
    {"wait_gdb", Kind::kBool, false}, {"get_static_mem_info", Kind::kText, false}, {"fast_run", Kind::kBool, false},
    {"full_run", Kind::kBool, false}, {"fast_run_algo_policy", Kind::kText, false},
    {"fast_run_shared_batch_size", Kind::kInt, false}, {"binary_equal_between_batch", Kind::kBool, false},
    {"reproducible", Kind::kBool, true}, {"enable_nchw4", Kind::kBool, false}, {"enable_chwn4", Kind::kBool, false},
    {"enable_nchw44", Kind::kBool, false}, {"enable_nchw88", Kind::kBool, false}, {"enable_nchw32", Kind::kBool, false},
    {"enable_nchw64", Kind::kBool, false}, {"enable_nhwcd4", Kind::kBool, false}, {"enable_nchw44_dot", Kind::kBool, false},
    {"layout_transform", Kind::kText, false}, {"layout_transform_dump", Kind::kText, false},
    {"enable_ioc16", Kind::kBool, false}, {"enable_fuse_preprocess", Kind::kBool, false}, {"fuse_grain", Kind::kBool, false},
    {"weight_preprocess", Kind::kBool, false}, {"enable_fuse_conv_bias_nonlinearity", Kind::kBool, false},
    {"enable_fuse_conv_bias_with_z", Kind::kBool, false}, {"optimize_for_inference", Kind::kBool, false},
    {"const_shape", Kind::kBool, false}, {"fake_first", Kind::kBool, false}, {"no_sanity_check", Kind::kBool, false},
    {"record_comp_seq", Kind::kBool, false}, {"record_comp_seq2", Kind::kBool, false},
    {"disable_mem_opt", Kind::kBool, false}, {"workspace_limit", Kind::kInt, false}, {"enable_jit", Kind::kBool, false},
    {"tensorrt", Kind::kBool, false}, {"tensorrt_cache", Kind::kText, false}, {"model_dump", Kind::kText, false},
    {"packed_model_dump", Kind::kText, false}, {"pack_info_json", Kind::kText, false}, {"pack_cache", Kind::kText, false},
    {"pack_info_cryption", Kind::kText, false}, {"pack_model_cryption", Kind::kText, false},
    {"c_opr_lib", Kind::kText, false}, {"c_opr_lib_with_param", Kind::kBool, false},
    {"c_opr_init_interface", Kind::kText, false}, {"fitting", Kind::kBool, false}, {"dump_fitting_model", Kind::kText, false},
    // Ours.
    {"json", Kind::kBool, true}, {"strict", Kind::kBool, true}, {"threads", Kind::kInt, true},
    {"optimize", Kind::kBool, true}, {"reference", Kind::kBool, true}, {"seed", Kind::kInt, true},
};

using Values = std::map<std::string, std::string>;

// gflags spellings: one or two dashes, '-' or '_' inside, "=v" or the next argument, "no" before a switch.
Values parse(const Args& args, std::string& path) {
  Values v;
  const auto find = [](const std::string& n) {
    return std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& f) { return n == f.name; });
  };
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& a = args[i];
    if (a.size() < 2 || a[0] != '-') {
      if (!path.empty()) throw UsageError{"more than one model: '" + path + "' and '" + a + "'"};
      path = a;
      continue;
    }
    std::string name = a.substr(a[1] == '-' ? 2 : 1), val;
    const size_t eq = name.find('=');
    if (eq != std::string::npos) val = name.substr(eq + 1), name.resize(eq);
    std::replace(name.begin(), name.end(), '-', '_');
    auto f = find(name);
    if (f == std::end(kFlags) && name.rfind("no", 0) == 0) {
      f = find(name.substr(name[2] == '_' ? 3 : 2));
      if (f != std::end(kFlags) && f->kind == Kind::kBool && eq == std::string::npos) {
        v[f->name] = "false";
        continue;
      }
      f = std::end(kFlags);
    }
    if (f == std::end(kFlags)) throw UsageError{"unknown option " + a};
    if (f->kind == Kind::kBool && eq == std::string::npos) val = "true";
    if (f->kind != Kind::kBool && eq == std::string::npos) {
      if (++i == args.size()) throw UsageError{"--" + name + " needs a value"};
      val = args[i];
    }
    if (f->kind == Kind::kInt) {
      char* end = nullptr;
      std::strtoll(val.c_str(), &end, 10);
      if (val.empty() || *end) throw UsageError{"--" + name + " needs a number, not '" + val + "'"};
    }
    v[name] = val;
  }
  if (path.empty()) throw UsageError{"run needs a model file"};
  return v;
}

bool on(const Values& v, const char* n, bool def = false) {
  const auto i = v.find(n);
  return i == v.end() ? def : i->second == "true" || i->second == "1" || i->second == "yes";
}
int number(const Values& v, const char* n, int def) {
  const auto i = v.find(n);
  return i == v.end() ? def : static_cast<int>(std::clamp(std::atoll(i->second.c_str()), -1ll, 1ll << 30));
}

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// "name:x.npy;name2:y.npy"; without a name the input is "data".
std::map<std::string, Tensor> read_feeds(const std::string& text) {
  std::map<std::string, Tensor> feeds;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(';', at), text.size());
    const std::string part = text.substr(at, end - at);
    at = end + 1;
    if (part.empty()) continue;
    const size_t colon = part.find(':');
    const std::string name = colon == std::string::npos ? "data" : part.substr(0, colon);
    const std::string value = colon == std::string::npos ? part : part.substr(colon + 1);
    if (value.size() < 4 || value.substr(value.size() - 4) != ".npy") {
      throw UsageError{"--input takes .npy files, not '" + value + "'"};
    }
    feeds[name] = megalith::read_npy(value);
  }
  return feeds;
}

// A seeded, uniform fill, so that inputs that were not given are no denormals.
Tensor fill(const megalith::InputInfo& in) {
  Tensor t = Tensor::zeros(in.dtype, in.shape);
  uint32_t s = 12345;
  if (in.dtype.id == megalith::DTypeEnum::Float32) {
    for (float& x : t.span<float>()) s = s * 1664525u + 1013904223u, x = static_cast<float>(s >> 8) / 16777216.0f;
  }
  return t;
}

}  // namespace

int run(const Args& args) {
  std::string path;
  const Values v = parse(args, path);
  for (const Flag& f : kFlags) {
    if (f.used || !v.count(f.name)) continue;
    if (on(v, "strict")) throw UsageError{cat("--", f.name, " has no meaning here")};
    std::fprintf(stderr, "mgl: warning: --%s is not supported and was ignored\n", f.name);
  }
  megalith::ModelOptions options;
  options.threads = number(v, "threads", std::max(0, std::max(number(v, "multithread", 0), number(v, "multithread_default", 0))));
  if (on(v, "cpu_default")) options.threads = 1;
  options.optimize = on(v, "optimize", true);
  options.reference = on(v, "reference");
  options.seed = static_cast<uint64_t>(std::max(0, number(v, "seed", 0)));
  const int iter = number(v, "iter", 10), warmup = number(v, "warmup_iter", 1);
  if (iter < 1 || warmup < 0) throw UsageError{"--iter must be at least 1 and --warmup-iter at least 0"};
  std::FILE* log = on(v, "json") ? stderr : stdout;
  double t = now_ms();
  megalith::Model model = megalith::Model::load(path, options);
  const double load = now_ms() - t;
  std::fprintf(log, "load model: %.3fms\n", load);
  std::map<std::string, Tensor> feeds = read_feeds(v.count("input") ? v.at("input") : "");
  const auto inputs = model.inputs();
  // A bare value names the input "data"; with one input it can only mean that one.
  if (feeds.size() == 1 && feeds.count("data") && inputs.size() == 1 && inputs[0].name != "data") {
    feeds = {{inputs[0].name, feeds["data"]}};
  }
  for (const auto& i : inputs) {
    if (on(v, "model_info")) std::fprintf(log, "input %s %s %s\n", i.name.c_str(), i.dtype.str().c_str(), i.shape.str().c_str());
    if (feeds.count(i.name) || i.has_default) continue;
    std::fprintf(stderr, "mgl: warning: input '%s' was not given, uniform values are used\n", i.name.c_str());
    feeds[i.name] = fill(i);
  }
  std::fprintf(log, "=== prepare: %.3fms; going to warmup\n", now_ms() - t);
  std::vector<Tensor> out;
  for (int i = 0; i < warmup; ++i) {
    const double s = now_ms();
    out = model.run(feeds);
    std::fprintf(log, "warm up %lu  %.3fms\n", static_cast<unsigned long>(i), now_ms() - s);
  }
  std::vector<double> ms;
  for (int i = 0; i < iter; ++i) {
    const double s = now_ms();
    out = model.run(feeds);
    ms.push_back(now_ms() - s);
    std::fprintf(log, "iter %lu/%lu: e2e=%.3f ms (host=%.3f ms)\n", static_cast<unsigned long>(i), static_cast<unsigned long>(iter), ms.back(), ms.back());
  }
  double sum = 0, sq = 0;
  for (double x : ms) sum += x;
  const double avg = sum / iter;
  for (double x : ms) sq += (x - avg) * (x - avg);
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double q) { return ms[static_cast<size_t>(q * (iter - 1) + 0.5)]; };
  std::fprintf(log, "=== finished test #0: time=%.3f ms avg_time=%.3f ms standard_deviation=%.3f ms min=%.3f ms max=%.3f ms\n", sum, avg,
               std::sqrt(sq / (iter - 1)), ms.front(), ms.back());
  std::fprintf(log, "=== total time: %.3fms\n", sum);
  // Profiled runs stand apart, so that they don't disturb the latency above.
  if (v.count("profile")) {
    megalith::Profile profile;
    out = model.run(feeds, &profile);
    write_megengine_profile(v.at("profile"), model.graph(), profile);
  }
  const auto names = model.outputs();
  if (v.count("bin_out_dump")) {
    std::filesystem::create_directories(v.at("bin_out_dump"));
    for (size_t i = 0; i < out.size(); ++i) megalith::write_npy(cat(v.at("bin_out_dump"), "/out_", i, ".npy"), out[i]);
  }
  json outs = json::array();
  for (size_t i = 0; i < out.size(); ++i) {
    outs.push_back({{"name", names[i].name}, {"dtype", out[i].dtype().str()}, {"shape", std::vector<int64_t>(out[i].shape().begin(), out[i].shape().end())}});
  }
  const auto mem = model.memory();
  if (on(v, "json")) {
    const json r{{"model", path}, {"threads", model.threads()}, {"load_ms", load}, {"iterations", iter},
                 {"latency_ms", {{"median", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"min", ms.front()}, {"max", ms.back()}}},
                 {"memory", {{"arena", mem.arena}, {"peak_live", mem.peak_live}, {"constants", mem.constants}}}, {"outputs", outs}};
    std::printf("%s\n", r.dump(1, ' ', false, json::error_handler_t::replace).c_str());
  } else {
    std::printf("median=%.3fms p90=%.3fms p99=%.3fms min=%.3fms max=%.3fms arena=%zu peak_live=%zu\n", at(0.5), at(0.9), at(0.99),
                ms.front(), ms.back(), mem.arena, mem.peak_live);
  }
  return kOk;
}

int bench_device(const Args&) { throw megalith::UnsupportedError("bench-device is not available in this build"); }

}  // namespace mgl
