// mgl: run, check and look into MegEngine models.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "megalith/error.h"
#include "megalith/megalith.h"
#include "tools/mgl/commands.h"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace mgl {

bool Options::flag(const std::string& name) {
  for (size_t i = 0; i < args_.size(); ++i) {
    if (args_[i] == "--" + name) {
      args_.erase(args_.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
  }
  return false;
}

std::string Options::value(const std::string& name, const std::string& def) {
  const std::string with = "--" + name + "=";
  for (size_t i = 0; i < args_.size(); ++i) {
    const auto at = args_.begin() + static_cast<std::ptrdiff_t>(i);
    if (args_[i].rfind(with, 0) == 0) {
      const std::string v = args_[i].substr(with.size());
      args_.erase(at);
      return v;
    }
    if (args_[i] == "--" + name) {
      if (i + 1 == args_.size()) throw UsageError{"--" + name + " needs a value"};
      const std::string v = args_[i + 1];
      args_.erase(at, at + 2);
      return v;
    }
  }
  return def;
}

int Options::number(const std::string& name, int def) {
  const std::string v = value(name, "");
  if (v.empty()) return def;
  char* end = nullptr;
  const long n = std::strtol(v.c_str(), &end, 10);
  if (*end || n < 0 || n > 1 << 30) throw UsageError{"--" + name + " needs a number, not '" + v + "'"};
  return static_cast<int>(n);
}

Args Options::rest() {
  for (const std::string& a : args_) {
    if (a.size() > 1 && a[0] == '-') throw UsageError{"unknown option " + a};
  }
  return args_;
}

namespace {
bool is_terminal(int fd) {
#if defined(__unix__) || defined(__APPLE__)
  return isatty(fd);
#else
  (void)fd;
  return false;
#endif
}
}  // namespace

megalith::MgeFile open_model(const std::string& path) {
  try {
    return megalith::read_mge(path);
  } catch (const megalith::ModelError&) {
    throw;
  } catch (const megalith::UnsupportedError&) {
    throw;
  } catch (const megalith::Error& e) {
    throw megalith::ModelError(e.what());
  }
}

bool stderr_is_terminal() { return is_terminal(2); }
bool stdout_is_terminal() { return is_terminal(1); }
const char* megalith_version() { return mgl_version(); }

namespace {

struct Command {
  const char* name;
  int (*run)(const Args&);
  const char* help;
};
constexpr Command kCommands[] = {
    {"run", run, "run MODEL [load_and_run flags]   run a model, time it, profile it"},
    {"check", check, "check DIR...                     run recorded cases and compare"},
    {"info", info, "info MODEL                       inputs, outputs, operators, parameters"},
    {"rewrite", rewrite, "rewrite IN OUT [--format F]      write a model again, as FBS or FBS_V2"},
    {"inspect", inspect, "inspect --ops                    the op registry as JSON"},
    {"bench-device", bench_device, "bench-device                     measured FMA peak and memory bandwidth"},
};

int usage(std::FILE* to, int code) {
  std::fprintf(to, "usage: mgl COMMAND ...\n\n");
  for (const Command& c : kCommands) std::fprintf(to, "  mgl %s\n", c.help);
  return code;
}

int dispatch(int argc, char** argv) {
  const char* base = std::strrchr(argv[0], '/');
  base = base ? base + 1 : argv[0];
  if (!std::strcmp(base, "load_and_run")) return load_and_run(Args(argv + 1, argv + argc));
  if (argc < 2) return usage(stderr, kUsage);
  if (!std::strcmp(argv[1], "--help") || !std::strcmp(argv[1], "help")) return usage(stdout, kOk);
  if (!std::strcmp(argv[1], "--version")) return std::printf("mgl %s\n", mgl_version()), kOk;
  for (const Command& c : kCommands) {
    if (!std::strcmp(argv[1], c.name)) return c.run(Args(argv + 2, argv + argc));
  }
  throw UsageError{std::string("unknown command '") + argv[1] + "' (try mgl --help)"};
}

}  // namespace
}  // namespace mgl

int main(int argc, char** argv) {
  const auto fail = [](const char* what, int code) {
    std::fflush(stdout);
    std::fprintf(stderr, "mgl: error: %s\n", what);
    return code;
  };
  try {
    return mgl::dispatch(argc, argv);
  } catch (const mgl::UsageError& e) {
    return fail(e.what.c_str(), mgl::kUsage);
  } catch (const megalith::ModelError& e) {
    return fail(e.what(), mgl::kBadModel);
  } catch (const megalith::UnsupportedError& e) {
    return fail(e.what(), mgl::kUnsupported);
  } catch (const std::exception& e) {
    return fail(e.what(), mgl::kRunFailed);
  }
}
