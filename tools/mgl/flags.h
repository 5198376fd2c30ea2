// The flags of load_and_run in every gflags spelling, and our own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/mgl/commands.h"

namespace mgl {

enum class FlagKind { kBool, kInt, kString };

struct FlagSpec {
  const char* name;  // with underscores
  FlagKind kind;
  const char* def;
  bool used;  // false: parsed, and warned about once when given
  const char* help;
};

const std::vector<FlagSpec>& run_flags();

// Values of all flags, by name; what is no flag is in `rest`.
struct Flags {
  std::map<std::string, std::string> values;
  std::vector<std::string> unused;  // flags given that mean nothing here
  Args rest;

  bool on(const std::string& name) const { return values.at(name) == "true"; }
  const std::string& text(const std::string& name) const { return values.at(name); }
  int number(const std::string& name) const;
};

// "-f", "--f", "--f=v", "--f v", "--nof"; '-' and '_' are the same. Throws UsageError.
Flags parse_flags(const Args& args);

}  // namespace mgl
