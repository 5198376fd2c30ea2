// mgl run: load, feed, time, profile.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "megalith/io/npy.h"
#include "megalith/model.h"
#include "tools/mgl/flags.h"
#include "tools/mgl/inputs.h"
#include "tools/mgl/profile_json.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

namespace mgl {
namespace {

using megalith::cat;
using megalith::Tensor;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point t) { return std::chrono::duration<double, std::milli>(Clock::now() - t).count(); }

struct Summary {
  double mean = 0, deviation = 0, min = 0, max = 0, median = 0, p90 = 0, p99 = 0, total = 0;
};

Summary summarize(std::vector<double> v) {
  Summary s;
  if (v.empty()) return s;
  std::sort(v.begin(), v.end());
  const auto n = static_cast<double>(v.size());
  const auto at = [&](double q) { return v[static_cast<size_t>(std::min(std::ceil(q * n), n) - 1)]; };
  s.total = std::accumulate(v.begin(), v.end(), 0.0);
  s.mean = s.total / n;
  for (double x : v) s.deviation += (x - s.mean) * (x - s.mean);
  s.deviation = v.size() > 1 ? std::sqrt(s.deviation / (n - 1)) : NAN;  // load_and_run divides by n-1
  s.min = v.front();
  s.max = v.back();
  s.median = at(0.5);
  s.p90 = at(0.9);
  s.p99 = at(0.99);
  return s;
}

size_t peak_memory() {
#if defined(__unix__) || defined(__APPLE__)
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<size_t>(u.ru_maxrss) * 1024;
#else
  return 0;
#endif
}

// load_and_run's log lines: scripts parse them. They go to stderr under --json.
struct Log {
  std::FILE* to;
  void line(const char* format, ...) const __attribute__((format(printf, 2, 3))) {
    va_list args;
    va_start(args, format);
    std::vfprintf(to, format, args);
    va_end(args);
    std::fputc('\n', to);
  }
};

void dump_text(std::FILE* to, const megalith::Graph& g, const megalith::Step& step) {
  for (size_t i = 0; i < step.out.size(); ++i) {
    const Tensor& t = step.out[i];
    if (!t.defined() || t.dtype().is_lowbit()) continue;
    std::fprintf(to, "%s out%zu %s%s:", g.label(step.node).c_str(), i, t.dtype().str().c_str(),
                 t.shape().str().c_str());
    double sum = 0;
    for (int64_t k = 0; k < t.count(); ++k) sum += t.item(k);
    for (int64_t k = 0; k < std::min<int64_t>(t.count(), 8); ++k) std::fprintf(to, " %g", t.item(k));
    std::fprintf(to, "%s mean %g\n", t.count() > 8 ? " ..." : "",
                 t.count() ? sum / static_cast<double>(t.count()) : 0.0);
  }
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream f(path, std::ios::binary);
  f << text;
  if (!f.flush()) throw megalith::Error(cat("can't write ", path));
}

std::string check_output(const Tensor& got, const Flags& flags) {
  const Tensor want = megalith::read_npy(flags.text("check_output"));
  if (!(got.shape() == want.shape())) return cat("shape ", got.shape(), ", expected ", want.shape());
  const double rtol = std::atof(flags.text("rtol").c_str()), atol = std::atof(flags.text("atol").c_str());
  for (int64_t i = 0; i < want.count(); ++i) {
    if (!(std::abs(got.item(i) - want.item(i)) <= atol + rtol * std::abs(want.item(i))))
      return cat("element ", i, ": got ", got.item(i), ", expected ", want.item(i));
  }
  return "";
}

json to_json(const Summary& s) {
  return {{"median_ms", s.median},
          {"p90_ms", s.p90},
          {"p99_ms", s.p99},
          {"min_ms", s.min},
          {"max_ms", s.max},
          {"mean_ms", s.mean},
          {"standard_deviation_ms", std::isnan(s.deviation) ? json(nullptr) : json(s.deviation)}};
}

int help() {
  std::printf("usage: mgl run MODEL [flags]\n\n");
  for (const FlagSpec& f : run_flags()) {
    if (f.used) std::printf("  --%-24s %s\n", f.name, f.help);
  }
  std::printf("\nThe other flags of load_and_run are accepted and have no meaning here.\n");
  return kOk;
}

}  // namespace

int run(const Args& args) {
  if (std::find(args.begin(), args.end(), "--help") != args.end()) return help();
  const Flags flags = parse_flags(args);
  if (flags.rest.size() != 1) throw UsageError{"run needs one model file (mgl run --help)"};
  if (!flags.unused.empty()) {
    std::string names;
    for (const std::string& n : flags.unused) names += (names.empty() ? "--" : ", --") + n;
    if (flags.on("strict")) throw UsageError{names + " has no meaning here"};
    std::fprintf(stderr, "mgl: warning: %s: no meaning here, ignored\n", names.c_str());
  }
  const bool as_json = flags.on("json");
  const Log log{as_json ? stderr : stdout};
  megalith::ModelOptions options;
  options.threads = flags.number("threads");
  for (const char* name : {"multithread", "multithread_default"}) {
    if (flags.number(name) > 0) options.threads = flags.number(name);
  }
  if (flags.on("cpu_default")) options.threads = 1;
  options.optimize = flags.on("optimize");
  options.reference = flags.text("kernel") == "reference";
  options.seed = static_cast<uint64_t>(flags.number("seed"));
  options.memory_limit = static_cast<size_t>(flags.number("memory_limit")) << 20;
  for (std::string rest = flags.text("disable_pass"); !rest.empty();) {
    const size_t comma = rest.find(',');
    options.disabled_passes.push_back(rest.substr(0, comma));
    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
  }
  const auto load_start = Clock::now();
  megalith::Model model = megalith::Model::load(flags.rest[0], options);
  const double load_ms = ms_since(load_start);
  log.line("load model: %.3fms", load_ms);
  if (flags.on("model_info") || flags.on("verbose")) {
    for (const auto& i : model.inputs())
      log.line("input %s %s%s", i.name.c_str(), i.dtype.str().c_str(), i.shape.str().c_str());
    for (const auto& o : model.outputs()) log.line("output %s", o.name.c_str());
  }
  const auto prepare_start = Clock::now();
  const auto feeds = make_feeds(model, flags.text("input"),
                                {.seed = options.seed,
                                 .ones_bytes = flags.text("input_fill") == "ones-bytes",
                                 .batch = flags.number("batch_size")});
  log.line("=== prepare: %.3fms; going to warmup", ms_since(prepare_start));
  std::vector<Tensor> outputs;
  double first_ms = 0;
  const int warmups = std::max(flags.number("warmup_iter"), 0), iterations = std::max(flags.number("iter"), 0);
  for (int i = 0; i < warmups; ++i) {
    const auto start = Clock::now();
    outputs = model.run(feeds);
    if (i == 0) first_ms = ms_since(start);
    log.line("warm up %d  %.3fms", i, ms_since(start));
  }
  std::vector<double> times;
  for (int i = 0; i < iterations; ++i) {
    const auto start = Clock::now();
    outputs = model.run(feeds);
    times.push_back(ms_since(start));
    if (!as_json && (iterations <= 20 || flags.on("verbose")))
      log.line("iter %d/%d: e2e=%.3f ms (host=%.3f ms)", i, iterations, times.back(), times.back());
  }
  const Summary s = summarize(times);
  log.line("=== finished test #%u: time=%.3f ms avg_time=%.3f ms standard_deviation=%.3f ms min=%.3f ms max=%.3f ms",
           0u, s.total, s.mean, s.deviation, s.min, s.max);
  log.line("=== total time: %.3fms", s.total);
  log.line("latency: median %.3f ms, p90 %.3f ms, p99 %.3f ms, min %.3f ms, max %.3f ms (%d threads)", s.median, s.p90,
           s.p99, s.min, s.max, model.threads());
  const megalith::MemoryStats m = model.memory();
  log.line("memory: arena %zu bytes, values alive at once %zu bytes, constants %zu bytes, process peak %.1f MiB",
           m.arena, m.peak_live, m.constants, static_cast<double>(peak_memory()) / 1048576);

  // The profiled pass comes apart from the timed one.
  Summary profiled;
  const std::string mge_profile = flags.text("profile").empty() ? flags.text("profile_host") : flags.text("profile");
  if (!mge_profile.empty() || !flags.text("profile_v2").empty()) {
    megalith::Profile profile;
    std::vector<double> profiled_times;
    for (int i = 0; i < std::max(iterations, 1); ++i) {
      const auto start = Clock::now();
      model.run(feeds, &profile);
      profiled_times.push_back(ms_since(start));
    }
    profiled = summarize(profiled_times);
    if (!mge_profile.empty()) write_text(mge_profile, megengine_profile(model, profile));
    if (!flags.text("profile_v2").empty()) write_text(flags.text("profile_v2"), profile_v2(model, profile, times));
    log.line("profiled pass: median %.3f ms", profiled.median);
  }
  if (!flags.text("io_dump").empty() || flags.on("io_dump_stdout") || flags.on("io_dump_stderr") ||
      !flags.text("bin_io_dump").empty()) {
    std::FILE* to = !flags.text("io_dump").empty() ? std::fopen(flags.text("io_dump").c_str(), "w")
                    : flags.on("io_dump_stderr")   ? stderr
                                                   : stdout;
    if (!to) throw megalith::Error(cat("can't write ", flags.text("io_dump")));
    const bool text = !flags.text("io_dump").empty() || flags.on("io_dump_stdout") || flags.on("io_dump_stderr");
    model.set_observer([&](const megalith::Step& step) {
      if (text) dump_text(to, model.graph(), step);
      if (flags.text("bin_io_dump").empty()) return;
      for (size_t i = 0; i < step.out.size(); ++i) {
        if (!step.out[i].defined()) continue;
        const int value = model.graph().node(step.node).outputs[i];
        char name[32];
        std::snprintf(name, sizeof name, "/%06d.npy", value);
        megalith::write_npy(flags.text("bin_io_dump") + name, step.out[i]);
      }
    });
    outputs = model.run(feeds);
    model.set_observer(nullptr);
    if (to != stdout && to != stderr) std::fclose(to);
  }
  const auto names = model.outputs();
  if (!flags.text("bin_out_dump").empty()) {
    for (size_t i = 0; i < outputs.size(); ++i)
      megalith::write_npy(cat(flags.text("bin_out_dump"), "/out_", i, ".npy"), outputs[i]);
  }
  if (as_json) {
    json out{{"model", flags.rest[0]},
             {"threads", model.threads()},
             {"load_ms", load_ms},
             {"first_run_ms", first_ms},
             {"iterations", iterations},
             {"latency", to_json(s)},
             {"memory",
              {{"arena_bytes", m.arena},
               {"peak_live_bytes", m.peak_live},
               {"constant_bytes", m.constants},
               {"process_peak_bytes", peak_memory()}}}};
    if (profiled.median > 0) out["profiled_latency"] = to_json(profiled);
    for (size_t i = 0; i < outputs.size(); ++i) {
      out["outputs"].push_back({{"name", names[i].name},
                                {"shape", std::vector<int64_t>(outputs[i].shape().begin(), outputs[i].shape().end())},
                                {"dtype", outputs[i].dtype().str()}});
    }
    std::printf("%s\n", out.dump(1, ' ', false, json::error_handler_t::replace).c_str());
  }
  if (!flags.text("check_output").empty()) {
    if (outputs.empty()) outputs = model.run(feeds);
    const std::string wrong = check_output(outputs.at(0), flags);
    if (!wrong.empty()) throw megalith::Error("output 0 differs: " + wrong);
    log.line("output 0 equals %s", flags.text("check_output").c_str());
  }
  return kOk;
}

}  // namespace mgl
