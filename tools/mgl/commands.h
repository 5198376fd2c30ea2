// The sub-commands of mgl. Each takes its arguments (without the command's name) and returns the exit code.
#pragma once

#include <string>
#include <vector>

#include "megalith/io/mge/reader.h"

namespace mgl {

using Args = std::vector<std::string>;

// Exit codes that scripts rely on.
inline constexpr int kOk = 0, kFailed = 1, kUsage = 2, kBadModel = 3, kUnsupported = 4, kRunFailed = 5, kTimeout = 124;

struct UsageError {
  std::string what;
};

int check(const Args& args);
int run(const Args& args);
int load_and_run(const Args& args);  // the same, when the command has that name
int info(const Args& args);
int rewrite(const Args& args);
int inspect(const Args& args);
int bench_device(const Args& args);

// "--name" and "--name=value" options of a sub-command; `take` removes them from the arguments.
class Options {
 public:
  explicit Options(Args args) : args_(std::move(args)) {}
  bool flag(const std::string& name);                                  // --name
  std::string value(const std::string& name, const std::string& def);  // --name V or --name=V
  int number(const std::string& name, int def);
  Args rest();  // what is left; throws UsageError for an unknown option

 private:
  Args args_;
};

// read_mge; a file that can't be opened is a bad model.
megalith::MgeFile open_model(const std::string& path);

bool stderr_is_terminal();
bool stdout_is_terminal();
const char* megalith_version();

}  // namespace mgl
