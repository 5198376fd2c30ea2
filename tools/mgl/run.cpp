// mgl run: load, feed, time, profile.
#include "tools/mgl/run_settings.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"
#include "megalith/io/npy.h"
#include "megalith/platform/affinity.h"
#include "megalith/platform/limits.h"
#include "tools/mgl/compare.h"
#include "tools/mgl/dumps.h"
#include "tools/mgl/machine.h"
#include "tools/mgl/profile_json.h"
#include "tools/mgl/stats.h"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace mgl {
namespace {

using megalith::cat;
using megalith::MgeFile;
using megalith::Model;
using megalith::Tensor;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point t) { return std::chrono::duration<double, std::milli>(Clock::now() - t).count(); }
double mib(size_t bytes) { return static_cast<double>(bytes) / 1048576; }

// load_and_run's log lines: scripts parse them. They go to stderr under --json. A line is written at once: several
// threads may log.
struct Log {
  std::FILE* to;
  void line(const char* format, ...) const __attribute__((format(printf, 2, 3))) {
    char text[1024];
    va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    std::fputs((std::string(text) + "\n").c_str(), to);
    std::fflush(to);
  }
};

// One line on a terminal that is written over; nothing elsewhere.
class Progress {
 public:
  Progress(bool wanted) : shown_(wanted && stderr_is_terminal()) {}  // NOLINT
  void show(const std::string& text) {
    if (!shown_ || ms_since(last_) < 100) return;
    last_ = Clock::now();
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
  }
  ~Progress() {
    if (shown_) std::fprintf(stderr, "\r\033[K");
  }

 private:
  bool shown_;
  Clock::time_point last_ = Clock::now();
};

void end_after(double seconds) {
  if (seconds <= 0) return;
  std::thread([seconds] {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    std::fflush(stdout);
    std::fprintf(stderr, "mgl: error: the run took longer than %g seconds\n", seconds);
    std::_Exit(kTimeout);
  }).detach();
}

// AssertEqual hands on its first input; without the comparison it is a copy.
void remove_assertions(megalith::Graph& graph) {
  for (megalith::Node& n : graph.nodes) {
    if (!megalith::is(n, "AssertEqual")) continue;
    n.op = &megalith::Registry::get().at("Copy");
    n.attrs = {};
    n.inputs.resize(1);
  }
}

void print_model(const Log& log, const Model& model, const std::vector<Tensor>& outputs) {
  log.line("%-6s %-24s %-24s %s", "type", "name", "shape", "dtype");
  for (const auto& i : model.inputs())
    log.line("%-6s %-24s %-24s %s", "INPUT", i.name.c_str(), i.shape.str().c_str(), i.dtype.str().c_str());
  const auto names = model.outputs();
  for (size_t i = 0; i < names.size(); ++i) {
    const bool known = i < outputs.size();
    log.line("%-6s %-24s %-24s %s", "OUTPUT", names[i].name.c_str(), known ? outputs[i].shape().str().c_str() : "?",
             known ? outputs[i].dtype().str().c_str() : "?");
  }
}

// Everything that the timed runs of one test case give.
struct Timed {
  double first_ms = 0;
  std::vector<double> samples;
  Summary summary;
  std::vector<Tensor> outputs;
};

constexpr int kMostRuns = 100000;  // of --repeat_until
constexpr double kMostMs = 60000;

class Run {
 public:
  Run(const Flags& flags, const RunSettings& settings) : flags_(flags), s_(settings), log_{s_.json ? stderr : stdout} {}

  int all() {
    const auto start = Clock::now();
    file_ = open_model(s_.model_path);
    if (flags_.on("disable_assert_throw")) remove_assertions(file_.graph);
    if (s_.fitting) fit();
    const Clock::time_point load_start = s_.fitting ? Clock::now() : start;
    Model model = load();
    load_ms_ = ms_since(load_start);
    log_.line("load model: %.3fms", load_ms_);
    if (s_.instances > 1) return parallel(model);
    make_cases(model);
    if (flags_.on("model_info") || flags_.on("verbose")) print_model(log_, model, {});
    if (flags_.on("verbose")) verbose(model);
    std::vector<Timed> timed;
    double total = 0;
    for (size_t i = 0; i < cases_.size(); ++i) {
      timed.push_back(time(model, cases_[i], i));
      total += timed.back().summary.total;
    }
    log_.line("=== total time: %.3fms", total);
    report(model, timed[0]);
    if (flags_.on("model_info")) print_model(log_, model, timed[0].outputs);
    json result = basics(model, timed);
    if (s_.profiled) profile(model, timed[0], result);
    extras(model);
    const std::string wrong = check_outputs(timed[0].outputs, model, result);
    result["load_average_after"] = load_average();
    if (s_.json) std::fputs(json_text(result, 1).c_str(), stdout);
    if (!wrong.empty()) throw megalith::Error(wrong);
    return kOk;
  }

 private:
  Model load() const { return Model::from_graph(file_.graph, s_.model); }

  void make_cases(const Model& model) {
    if (!file_.cases.empty() && !flags_.given("input")) {
      cases_ = file_.cases;
    } else {
      cases_ = {make_feeds(model, flags_.text("input"), s_.inputs)};
    }
  }

  static std::map<std::string, megalith::Shape> shapes(const Feeds& feeds) {
    std::map<std::string, megalith::Shape> r;
    for (const auto& [name, t] : feeds) r[name] = t.shape();
    return r;
  }

  void verbose(const Model& model) {
    log_.line("graph: %zu operators, %zu before the passes", model.graph().nodes.size(), model.original().nodes.size());
    for (const megalith::Node& n : model.graph().nodes)
      log_.line("  %s '%s' {%s}", n.op->name, n.name.c_str(), n.attrs.params.str().c_str());
  }

  // Warm-up (before the first case only) and the timed runs.
  Timed time(Model& model, const Feeds& feeds, size_t index) {
    Timed t;
    auto prepare = Clock::now();
    if (index == 0 && flags_.on("fake_first")) model.plan(shapes(feeds));
    for (int i = 0; index == 0 && i < s_.warmups; ++i) {
      log_.line("=== prepare: %.3fms; going to warmup", ms_since(prepare));
      const auto start = Clock::now();
      t.outputs = model.run(feeds);
      const double ms = ms_since(start);
      if (i == 0) t.first_ms = ms;
      log_.line("warm up %d  %.3fms", i, ms);
      dump(model, t.outputs);
      prepare = Clock::now();
    }
    Progress progress(s_.json || !stdout_is_terminal());
    const auto begin = Clock::now();
    for (int i = 0; more(i, t.samples, begin); ++i) {
      const auto start = Clock::now();
      t.outputs = model.run(feeds);
      t.samples.push_back(ms_since(start));
      if (s_.repeat_until == 0)
        log_.line("iter %d/%d: e2e=%.3f ms (host=%.3f ms)", i, s_.iterations, t.samples.back(), t.samples.back());
      progress.show(cat("run ", i + 1, ": ", t.samples.back(), " ms"));
      dump(model, t.outputs);
    }
    if (t.outputs.empty()) t.outputs = model.run(feeds);
    if (t.first_ms == 0 && !t.samples.empty()) t.first_ms = t.samples[0];
    t.summary = summarize(t.samples);
    const Summary& s = t.summary;
    log_.line(
        "=== finished test #%zu: time=%.3f ms avg_time=%.3f ms standard_deviation=%.3f ms min=%.3f ms max=%.3f ms",
        index, s.total, s.mean, s.deviation, s.min, s.max);
    return t;
  }

  bool more(int done, const std::vector<double>& samples, Clock::time_point begin) const {
    if (done < s_.iterations) return true;
    if (s_.repeat_until == 0) return false;
    if (done < 6) return true;
    if (done >= kMostRuns || ms_since(begin) > kMostMs) return false;
    if (done % std::max(1, done / 8) != 0) return true;  // the interval narrows slowly: no need to look every time
    const Summary s = summarize(samples);
    return s.median_high - s.median_low > s_.repeat_until * s.median;
  }

  void dump(const Model& model, const std::vector<Tensor>& outputs) {
    if (!flags_.given("bin_out_dump") || s_.instances > 1) return;
    make_folder(flags_.text("bin_out_dump"));
    dump_outputs(model, outputs, dumped_runs_++, flags_.text("bin_out_dump"));
  }

  void report(const Model& model, const Timed& t) {
    const Summary& s = t.summary;
    if (s.count > 0) {
      log_.line("latency: median %.3f ms, p90 %.3f ms, p99 %.3f ms, min %.3f ms, max %.3f ms (%zu runs, %d threads)",
                s.median, s.p90, s.p99, s.min, s.max, s.count, model.threads());
    }
    if (s.count >= 6) {
      log_.line("median's 95 %% interval: %.3f to %.3f ms (%.2f %%)", s.median_low, s.median_high,
                100 * (s.median_high - s.median_low) / s.median);
    }
    if (s.count >= 16) std::fputs(histogram_text(s).c_str(), log_.to);
    const megalith::MemoryStats m = model.memory();
    log_.line("load %.3f ms, first run %.3f ms", load_ms_, t.first_ms);
    log_.line("memory: arena %.2f MiB, values alive at once %.2f MiB, constants %.2f MiB, process peak %.1f MiB",
              mib(m.arena), mib(m.peak_live), mib(m.constants), mib(peak_process_bytes()));
  }

  json basics(const Model& model, const std::vector<Timed>& timed) const {
    const Timed& t = timed[0];
    const megalith::MemoryStats m = model.memory();
    json j{{"model", s_.model_path},
           {"model_format", file_.format},
           {"device", device_json(model.threads())},
           {"environment", environment_json()},
           {"options", {{"kernel", flags_.text("kernel")}, {"optimize", s_.model.optimize}, {"seed", s_.model.seed}}},
           {"threads", model.threads()},
           {"load_ms", load_ms_},
           {"first_run_ms", t.first_ms},
           {"warmups", s_.warmups},
           {"plain", to_json(t.summary)},
           {"memory",
            {{"arena_bytes", m.arena},
             {"peak_live_bytes", m.peak_live},
             {"constant_bytes", m.constants},
             {"folded_bytes", m.folded},
             {"process_peak_bytes", peak_process_bytes()}}},
           {"inputs", json::array()},
           {"outputs", json::array()}};
    j["plain"]["samples_ms"] = t.samples;
    if (s_.repeat_until > 0) {
      const double width = (t.summary.median_high - t.summary.median_low) / t.summary.median;
      j["repeat_until"] = {{"wanted", s_.repeat_until}, {"reached", width}, {"stable", width <= s_.repeat_until}};
    }
    const auto tensor = [](const std::string& name, const Tensor& v) {
      return json{{"name", name}, {"shape", dims(v.shape())}, {"dtype", v.dtype().str()}};
    };
    for (const auto& [name, v] : cases_[0]) j["inputs"].push_back(tensor(name, v));
    const auto names = model.outputs();
    for (size_t i = 0; i < t.outputs.size(); ++i) j["outputs"].push_back(tensor(names[i].name, t.outputs[i]));
    for (size_t i = 1; i < timed.size(); ++i) j["more_cases"].push_back(to_json(timed[i].summary));
    return j;
  }

  // The profiled pass comes apart from the timed one.
  void profile(Model& model, const Timed& t, json& result) {
    megalith::Profile profile;
    std::vector<double> samples;
    for (int i = 0; i < std::max(s_.iterations, 1); ++i) {
      const auto start = Clock::now();
      model.run(cases_[0], &profile);
      samples.push_back(ms_since(start));
    }
    const Summary s = summarize(samples);
    result["profiled"] = to_json(s);
    result["profiled"]["samples_ms"] = samples;
    const double overhead = t.summary.median > 0 ? 100 * (s.median / t.summary.median - 1) : 0;
    if (t.summary.median > 0) result["profiling_overhead_percent"] = overhead;
    log_.line("profiled pass: median %.3f ms (%+.1f %%)", s.median, overhead);
    const megalith::PlanInfo plan = model.last_plan();
    result["flops"] = plan.flops();
    if (!s_.profile.empty()) write_text(s_.profile, megengine_profile(model, profile, plan));
    if (flags_.given("profile_v2")) write_text(flags_.text("profile_v2"), profile_v2(model, profile, plan, result));
    if (flags_.given("trace")) write_text(flags_.text("trace"), chrome_trace(profile));
  }

  // Dumps and checks: runs of their own, so that they don't disturb the times.
  void extras(Model& model) {
    const Feeds& feeds = cases_[0];
    // As in load_and_run, one dump of values at a time.
    if (flags_.on("io_dump_stderr")) {
      dump_text(model, feeds, stderr);
    } else if (flags_.on("io_dump_stdout")) {
      dump_text(model, feeds, s_.json ? stderr : stdout);
    } else if (flags_.given("bin_io_dump")) {
      dump_binary(model, feeds, flags_.text("bin_io_dump"));
    } else if (flags_.given("io_dump")) {
      std::FILE* to = std::fopen(flags_.text("io_dump").c_str(), "w");
      if (!to) throw megalith::Error(cat("can't write ", flags_.text("io_dump")));
      dump_text(model, feeds, to);
      std::fclose(to);
    }
    if (flags_.real("range") > 0) check_range(model, feeds, flags_.real("range"));
    if (s_.value_interval > 0)
      check_values(model, feeds, s_.value_interval, s_.value_first, std::max(s_.iterations, 1));
    if (flags_.given("get_static_mem_info")) {
      const std::string& folder = flags_.text("get_static_mem_info");
      make_folder(folder);
      const megalith::PlanInfo plan = model.last_plan();
      write_text(folder + "/StaticMemoryInfo.json", static_memory_info(model, plan));
      write_text(folder + "/graph.json", json_text(graph_exec(model, plan)));
    }
  }

  // "X.npy" is output 0; "name:X.npy;..." names outputs.
  std::string check_outputs(const std::vector<Tensor>& outputs, const Model& model, json& result) const {
    const Tolerance tol{.rtol = flags_.real("rtol"), .atol = flags_.real("atol")};
    const auto names = model.outputs();
    std::stringstream parts(flags_.text("check_output"));
    std::string wrong;
    for (std::string part; std::getline(parts, part, ';');) {
      const size_t colon = part.find(':');
      const std::string path = colon == std::string::npos ? part : part.substr(colon + 1);
      size_t at = 0;
      if (colon != std::string::npos) {
        while (at < names.size() && names[at].name != part.substr(0, colon)) ++at;
        if (at == names.size())
          throw megalith::InputError(cat("the model has no output '", part.substr(0, colon), "'"));
      }
      const std::string diff = compare(outputs.at(at), megalith::read_npy(path), tol);
      const std::string label = cat("output ", at, " '", names[at].name, "'");
      result["checks"].push_back({{"output", names[at].name}, {"file", path}, {"equal", diff.empty()}});
      if (!diff.empty()) result["checks"].back()["difference"] = diff;
      if (diff.empty()) log_.line("%s equals %s", label.c_str(), path.c_str());
      if (!diff.empty() && wrong.empty()) wrong = cat(label, " differs from ", path, ": ", diff);
    }
    return wrong;
  }

  // --thread: the whole model in several threads, which share the parameters and nothing else.
  int parallel(Model& first) {
    make_cases(first);
    std::vector<Timed> timed(static_cast<size_t>(s_.instances));
    std::vector<std::exception_ptr> errors(timed.size());
    std::vector<std::thread> threads;
    const auto start = Clock::now();
    for (size_t i = 0; i < timed.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          Model model = load();
          Run one(flags_, s_);
          timed[i] = one.time(model, cases_[0], 0);
        } catch (...) {
          errors[i] = std::current_exception();
        }
      });
    }
    for (std::thread& t : threads) t.join();
    for (const std::exception_ptr& e : errors) {
      if (e) std::rethrow_exception(e);
    }
    const double wall = ms_since(start);
    std::vector<double> samples;
    for (const Timed& t : timed) samples.insert(samples.end(), t.samples.begin(), t.samples.end());
    log_.line("=== total time: %.3fms", wall);
    Timed merged{timed[0].first_ms, samples, summarize(samples), timed[0].outputs};
    log_.line("%d instances: median %.3f ms, %.2f runs per second together", s_.instances, merged.summary.median,
              1000 * static_cast<double>(samples.size() + static_cast<size_t>(s_.instances * s_.warmups)) / wall);
    json result = basics(first, {merged});
    result["instances"] = s_.instances;
    for (const Timed& t : timed) result["per_instance"].push_back(to_json(t.summary));
    const std::string wrong = check_outputs(merged.outputs, first, result);
    if (s_.json) std::fputs(json_text(result, 1).c_str(), stdout);
    if (!wrong.empty()) throw megalith::Error(wrong);
    return kOk;
  }

  // Tries the options that change speed and keeps the fastest set.
  void fit() {
    std::vector<int> counts;
    const int most = s_.model.threads > 0 ? s_.model.threads : megalith::default_threads();
    for (int n = 1; n < most; n *= 2) counts.push_back(n);
    counts.push_back(most);
    megalith::ModelOptions best = s_.model;
    double best_ms = INFINITY;
    for (bool optimize : {true, false}) {
      for (int threads : counts) {
        megalith::ModelOptions o = s_.model;
        o.optimize = optimize;
        o.threads = threads;
        Model model = Model::from_graph(file_.graph, o);
        make_cases(model);
        for (int i = 0; i < 3; ++i) model.run(cases_[0]);
        std::vector<double> samples;
        for (int i = 0; i < 10; ++i) {
          const auto start = Clock::now();
          model.run(cases_[0]);
          samples.push_back(ms_since(start));
        }
        const double ms = summarize(samples).median;
        log_.line("fitting: --threads %d --%soptimize: median %.3f ms", threads, optimize ? "" : "no", ms);
        if (ms < best_ms) best_ms = ms, best = o;
      }
    }
    s_.model = best;
    log_.line("fitting chose: --threads %d --%soptimize (median %.3f ms)", best.threads, best.optimize ? "" : "no",
              best_ms);
    if (!flags_.given("dump_fitting_model")) return;
    const auto format = file_.format == "FBS_V2" ? megalith::MgeFormat::kFbsV2 : megalith::MgeFormat::kFbs;
    megalith::write_mge(flags_.text("dump_fitting_model"), load().original(),
                        {.format = format, .test_cases = file_.cases});
  }

  const Flags& flags_;
  RunSettings s_;
  Log log_;
  MgeFile file_;
  std::vector<Feeds> cases_;
  double load_ms_ = 0;
  size_t dumped_runs_ = 0;
};

// What gflags does before anything else. Returns whether it was one of its flags.
bool reporting_flags(const Args& args, bool alias, int& code) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].size() < 2 || args[i][0] != '-') continue;
    std::string name = args[i].substr(args[i][1] == '-' ? 2 : 1), value;
    if (name.empty()) return false;  // "--": no more flags
    const size_t eq = name.find('=');
    if (eq != std::string::npos) {
      value = name.substr(eq + 1);
      name.resize(eq);
    } else if (i + 1 < args.size()) {
      value = args[i + 1];
    }
    if (name == "help" || name == "helpfull" || name == "helpshort") return code = print_flag_help(""), true;
    if (name == "helpmatch" || name == "helpon") return code = print_flag_help(value), true;
    if (name == "version") {
      std::puts(alias ? "load_and_run version 1.0" : (std::string("mgl ") + megalith_version()).c_str());
      return code = kOk, true;
    }
  }
  return false;
}

}  // namespace

int run_as(const Args& args, bool alias) {
  int code = kOk;
  if (reporting_flags(args, alias, code)) return code;
  const Flags flags = parse_flags(args);
  if (flags.on("print_flags")) return print_flag_json(flags);
  const RunSettings settings = run_settings(flags);
  if (flags.on("wait_gdb")) {
#if defined(__unix__) || defined(__APPLE__)
    std::fprintf(stderr, "wait for gdb attach (pid=%d): ", static_cast<int>(getpid()));
    std::getchar();
#endif
  }
  end_after(settings.timeout);
  if (!settings.cpus.empty() && !megalith::bind_to_cpus(settings.cpus))
    throw megalith::Error("can't bind to the CPUs " + flags.text("multi_thread_core_ids"));
  return Run(flags, settings).all();
}

int run(const Args& args) { return run_as(args, false); }
int load_and_run(const Args& args) { return run_as(args, true); }

}  // namespace mgl
