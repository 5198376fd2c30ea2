#include "tools/mgl/run_settings.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace mgl {
namespace {

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::stringstream s(text);
  for (std::string p; std::getline(s, p, by);) {
    if (!p.empty()) parts.push_back(p);
  }
  return parts;
}

size_t to_size(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  const unsigned long long n = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || text[0] < '0' || text[0] > '9' || *end || n > 1u << 30)
    throw UsageError{"--" + flag + ": '" + text + "' is no number"};
  return static_cast<size_t>(n);
}

// "x86", "x86:4": a CPU and how many threads.
int device_threads(const std::string& device) {
  const size_t colon = device.find(':');
  const std::string kind = device.substr(0, colon);
#if defined(__aarch64__) || defined(__arm__)
  const std::string here = "arm";
#else
  const std::string here = "x86";
#endif
  // The default names x86 on every machine: it stands for "the CPU".
  if (kind != here && kind != "cpu" && device != "x86")
    throw UsageError{"--device " + device + ": this build runs on " + here + " only"};
  return colon == std::string::npos ? 0 : static_cast<int>(to_size("device", device.substr(colon + 1)));
}

void warn_of_unused(const Flags& flags) {
  if (flags.unused.empty()) return;
  std::string text;
  for (const FlagSpec* f : flags.unused)
    text += (text.empty() ? "--" : "; --") + std::string(f->name) + " (" + f->help + ")";
  if (flags.on("strict")) throw UsageError{"no meaning here: " + text};
  std::fprintf(stderr, "mgl: warning: no effect: %s\n", text.c_str());
}

void check_exclusive(const Flags& flags) {
  std::string given;
  int n = 0;
  for (const FlagSpec& f : run_flags()) {
    if (std::string(f.group) != "layout_options" || !flags.on(f.name)) continue;
    given += (n++ ? " and --" : "--") + std::string(f.name);
  }
  if (n > 1) throw UsageError{"one layout at a time, not " + given};
}

}  // namespace

RunSettings run_settings(const Flags& flags) {
  if (flags.rest.size() != 1) throw UsageError{"run needs one model file (mgl run --help)"};
  check_exclusive(flags);
  warn_of_unused(flags);
  RunSettings s;
  s.model_path = flags.rest[0];
  s.json = flags.on("json");

  megalith::ModelOptions& m = s.model;
  m.threads = device_threads(flags.text("device"));
  for (const char* name : {"multithread", "multithread_default", "threads"}) {
    if (flags.number(name) > 0) m.threads = flags.number(name);
  }
  if (flags.on("cpu_default")) m.threads = 1;
  for (const std::string& id : split(flags.text("multi_thread_core_ids"), ','))
    s.cpus.push_back(static_cast<int>(to_size("multi_thread_core_ids", id)));
  if (!s.cpus.empty() && m.threads == 0) m.threads = static_cast<int>(s.cpus.size());
  if (!s.cpus.empty() && static_cast<size_t>(m.threads) != s.cpus.size())
    throw UsageError{"--multi_thread_core_ids names " + std::to_string(s.cpus.size()) + " CPUs for " +
                     std::to_string(m.threads) + " threads"};
  const std::string& kernel = flags.text("kernel");
  if (kernel != "fast" && kernel != "reference")
    throw UsageError{"--kernel is fast or reference, not '" + kernel + "'"};
  m.reference = kernel == "reference";
  // What --optimize_for_inference and --enable_fuse_conv_bias_nonlinearity ask for is the default; --nooptimize wins.
  m.optimize = flags.on("optimize");
  m.disabled_passes = split(flags.text("disable_pass"), ',');
  m.memory_limit = static_cast<size_t>(std::max(flags.number("memory_limit"), 0)) << 20;
  m.seed = static_cast<uint64_t>(flags.number("seed"));
  m.workspace_limit = flags.size("workspace_limit");
  m.reuse_memory = !flags.on("disable_mem_opt");

  const std::string& fill = flags.text("input_fill");
  if (fill != "uniform" && fill != "ones-bytes" && fill != "ones_bytes")
    throw UsageError{"--input_fill is uniform or ones-bytes, not '" + fill + "'"};
  s.inputs = {.seed = m.seed,
              .ones_bytes = fill != "uniform",
              .batch = flags.number("batch_size"),
              .memory_limit = m.memory_limit};

  s.warmups = std::max(flags.number("warmup_iter"), 0);
  s.iterations = std::max(flags.number("iter"), 0);
  s.instances = flags.number("thread");
  if (s.instances < 1 || s.instances > 1024)
    throw UsageError{"--thread is a positive number, not " + flags.text("thread")};
  s.timeout = flags.real("timeout");
  if (flags.given("repeat_until")) {
    const std::string& text = flags.text("repeat_until");
    char* end = nullptr;
    s.repeat_until = std::strtod(text.c_str(), &end);
    if (std::string(end) == "%") s.repeat_until /= 100;
    if (!(s.repeat_until > 0 && s.repeat_until < 1) || (*end && std::string(end) != "%"))
      throw UsageError{"--repeat_until is a share between 0 and 1 like 1% or 0.01, not '" + text + "'"};
  }
  s.fitting = flags.on("fitting");
  if (!s.fitting && flags.given("dump_fitting_model")) throw UsageError{"--dump_fitting_model needs --fitting"};
  s.profile = flags.given("profile_host") ? flags.text("profile_host") : flags.text("profile");
  s.profiled = !s.profile.empty() || flags.given("profile_v2") || flags.given("trace");
  if (flags.given("check_var_value")) {
    const std::string& text = flags.text("check_var_value");
    const size_t colon = text.find(':');
    s.value_interval = to_size("check_var_value", text.substr(0, colon));
    if (colon != std::string::npos) s.value_first = to_size("check_var_value", text.substr(colon + 1));
    if (s.value_interval == 0) throw UsageError{"--check_var_value: the interval is a positive number"};
  }
  return s;
}

}  // namespace mgl
