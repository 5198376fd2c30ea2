#include "tools/mgl/flags.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace mgl {

const std::vector<FlagSpec>& run_flags() {
  constexpr FlagKind B = FlagKind::kBool, I = FlagKind::kInt, S = FlagKind::kString;
  static const std::vector<FlagSpec> flags = {
      // ours
      {"threads", I, "0", true, "threads of one run; 0: what the machine allows"},
      {"json", B, "false", true, "one machine-readable result on stdout, log lines on stderr"},
      {"strict", B, "false", true, "refuse flags that mean nothing here"},
      {"profile_v2", S, "", true, "write our own profile: every iteration's span of every op"},
      {"kernel", S, "fast", true, "fast or reference"},
      {"optimize", B, "true", true, "run the graph passes"},
      {"disable_pass", S, "", true, "comma-separated graph passes to leave out"},
      {"seed", I, "0", true, "seed of random ops and of generated inputs"},
      {"input_fill", S, "uniform", true, "values of shape-only inputs: uniform, or ones-bytes as load_and_run does"},
      {"check_output", S, "", true, "compare output 0 with this .npy file"},
      {"rtol", S, "1e-4", true, "relative tolerance of --check-output"},
      {"atol", S, "1e-5", true, "absolute tolerance of --check-output"},
      {"memory_limit", I, "0", true, "MiB that values may take; 0: by the size of model and inputs"},
      // load_and_run
      {"lite", B, "false", false, ""},
      {"mdl", B, "false", false, ""},
      {"cpu", B, "false", true, "run on the CPU (the default)"},
      {"cuda", B, "false", false, ""},
      {"cpu_default", B, "false", true, "one thread, inline on the caller"},
      {"multithread", I, "-1", true, "number of threads"},
      {"multithread_default", I, "-1", true, "number of threads"},
      {"multi_thread_core_ids", S, "", false, ""},
      {"iter", I, "10", true, "timed runs"},
      {"warmup_iter", I, "1", true, "runs before timing"},
      {"thread", I, "1", false, ""},
      {"share_param_mem", B, "false", false, ""},
      {"input", S, "", true,
       "name:value;... values are .npy, .ppm, .pgm, .json files, [[1,2],[3,4]] or {d0,d1} (a shape)"},
      {"batch_size", I, "-1", true, "first dimension of inputs that are not given"},
      {"io_dump", S, "", true, "write every operator's outputs as text"},
      {"io_dump_stdout", B, "false", true, "the same to stdout"},
      {"io_dump_stderr", B, "false", true, "the same to stderr"},
      {"bin_io_dump", S, "", true, "write every operator's outputs to this folder"},
      {"bin_out_dump", S, "", true, "write the outputs to this folder as .npy"},
      {"copy_to_host", B, "false", true, "outputs are always on the host"},
      {"profile", S, "", true, "write a profile in MegEngine's format"},
      {"profile_host", S, "", true, "the same"},
      {"range", S, "0", false, ""},
      {"check_dispatch", B, "false", false, ""},
      {"check_var_value", S, "", false, ""},
      {"model_info", B, "false", true, "print inputs and outputs"},
      {"verbose", B, "false", true, "say more"},
      {"disable_assert_throw", B, "false", false, ""},
      {"wait_gdb", B, "false", false, ""},
      {"get_static_mem_info", S, "", false, ""},
      {"fast_run", B, "false", false, ""},
      {"full_run", B, "false", false, ""},
      {"fast_run_algo_policy", S, "", false, ""},
      {"fast_run_shared_batch_size", I, "0", false, ""},
      {"binary_equal_between_batch", B, "false", false, ""},
      {"reproducible", B, "false", true, "results are always reproducible"},
      {"enable_nchw4", B, "false", false, ""},
      {"enable_chwn4", B, "false", false, ""},
      {"enable_nchw44", B, "false", false, ""},
      {"enable_nchw88", B, "false", false, ""},
      {"enable_nchw32", B, "false", false, ""},
      {"enable_nchw64", B, "false", false, ""},
      {"enable_nhwcd4", B, "false", false, ""},
      {"enable_nchw44_dot", B, "false", false, ""},
      {"layout_transform", S, "", false, ""},
      {"layout_transform_dump", S, "", false, ""},
      {"enable_ioc16", B, "false", false, ""},
      {"enable_fuse_preprocess", B, "false", false, ""},
      {"fuse_grain", B, "false", false, ""},
      {"weight_preprocess", B, "false", false, ""},
      {"enable_fuse_conv_bias_nonlinearity", B, "false", false, ""},
      {"enable_fuse_conv_bias_with_z", B, "false", false, ""},
      {"optimize_for_inference", B, "false", false, ""},
      {"const_shape", B, "false", false, ""},
      {"fake_first", B, "false", false, ""},
      {"no_sanity_check", B, "false", false, ""},
      {"record_comp_seq", B, "false", false, ""},
      {"record_comp_seq2", B, "false", false, ""},
      {"disable_mem_opt", B, "false", false, ""},
      {"workspace_limit", S, "", false, ""},
      {"enable_jit", B, "false", false, ""},
      {"tensorrt", B, "false", false, ""},
      {"tensorrt_cache", S, "", false, ""},
      {"model_dump", S, "", false, ""},
      {"packed_model_dump", S, "", false, ""},
      {"pack_info_json", S, "", false, ""},
      {"pack_cache", S, "", false, ""},
      {"pack_info_cryption", S, "NONE", false, ""},
      {"pack_model_cryption", S, "NONE", false, ""},
      {"c_opr_lib", S, "", false, ""},
      {"c_opr_lib_with_param", B, "false", false, ""},
      {"c_opr_init_interface", S, "", false, ""},
      {"fitting", B, "false", false, ""},
      {"dump_fitting_model", S, "", false, ""},
  };
  return flags;
}

int Flags::number(const std::string& name) const {
  const std::string& v = text(name);
  char* end = nullptr;
  const long n = std::strtol(v.c_str(), &end, 10);
  if (v.empty() || *end || n < -1 || n > 1000000000) throw UsageError{"--" + name + " needs a number, not '" + v + "'"};
  return static_cast<int>(n);
}

namespace {

const FlagSpec* find(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  for (const FlagSpec& f : run_flags()) {
    if (name == f.name) return &f;
  }
  return nullptr;
}

bool truth(const FlagSpec& f, const std::string& v) {
  for (const char* t : {"true", "t", "1", "yes", "y"}) {
    if (v == t) return true;
  }
  for (const char* t : {"false", "f", "0", "no", "n"}) {
    if (v == t) return false;
  }
  throw UsageError{std::string("--") + f.name + " is true or false, not '" + v + "'"};
}

void parse_into(Flags& out, const Args& args, int depth) {
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& a = args[i];
    if (a.size() < 2 || a[0] != '-' || (a[1] >= '0' && a[1] <= '9')) {
      out.rest.push_back(a);
      continue;
    }
    std::string name = a.substr(a[1] == '-' ? 2 : 1), value;
    const size_t eq = name.find('=');
    const bool has_value = eq != std::string::npos;
    if (has_value) {
      value = name.substr(eq + 1);
      name.resize(eq);
    }
    const auto next = [&]() -> std::string {
      if (has_value) return value;
      if (i + 1 >= args.size()) throw UsageError{"--" + name + " needs a value"};
      return args[++i];
    };
    if (name == "flagfile") {
      const std::string path = next();
      std::ifstream f(path);
      if (!f || depth > 8) throw UsageError{"can't read flag file " + path};
      Args more;
      for (std::string line; std::getline(f, line);) {
        if (!line.empty() && line[0] != '#') more.push_back(line);
      }
      parse_into(out, more, depth + 1);
      continue;
    }
    if (name == "fromenv" || name == "tryfromenv") {
      std::stringstream names(next());
      for (std::string n; std::getline(names, n, ',');) {
        if (const char* v = std::getenv(("FLAGS_" + n).c_str())) parse_into(out, {"--" + n + "=" + v}, depth + 1);
      }
      continue;
    }
    const FlagSpec* f = find(name);
    bool no = false;
    if (!f && name.rfind("no", 0) == 0) {
      f = find(name.substr(name.size() > 2 && (name[2] == '-' || name[2] == '_') ? 3 : 2));
      no = f && f->kind == FlagKind::kBool;
      if (!no) f = nullptr;
    }
    if (!f) throw UsageError{"unknown flag " + a + " (mgl run --help lists them)"};
    if (f->kind == FlagKind::kBool) {
      out.values[f->name] = no ? "false" : has_value ? (truth(*f, value) ? "true" : "false") : "true";
    } else {
      out.values[f->name] = next();
    }
    if (!f->used && out.values[f->name] != f->def) out.unused.push_back(f->name);
  }
}

}  // namespace

Flags parse_flags(const Args& args) {
  Flags out;
  for (const FlagSpec& f : run_flags()) out.values[f.name] = f.def;
  parse_into(out, args, 0);
  return out;
}

}  // namespace mgl
