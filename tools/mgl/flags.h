// The flags of load_and_run in every gflags spelling, and our own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/mgl/commands.h"

namespace mgl {

enum class FlagKind { kBool, kInt, kSize, kReal, kString };

// What giving a flag does here.
enum class FlagEffect {
  kUsed,    // does what it says
  kAlways,  // asks for what is always so: accepted without a word
  kNone,    // parsed, and warned about once
};

struct FlagSpec {
  const char* name;  // with underscores
  FlagKind kind;
  const char* def;
  const char* group;  // the file of load_and_run that defines it, or "mgl"
  FlagEffect effect;
  const char* help;  // for kNone: why it means nothing here
};

const std::vector<FlagSpec>& run_flags();

// Values of all flags, by name; what is no flag is in `rest`.
struct Flags {
  std::map<std::string, std::string> values;
  std::vector<const FlagSpec*> unused;  // flags given that mean nothing here, each once
  Args rest;

  bool on(const std::string& name) const { return values.at(name) == "true"; }
  const std::string& text(const std::string& name) const { return values.at(name); }
  bool given(const std::string& name) const { return !values.at(name).empty(); }
  int number(const std::string& name) const;
  double real(const std::string& name) const;
  uint64_t size(const std::string& name) const;  // "SIZE_MAX" is the largest
};

// "-f", "--f", "--f=v", "--f v", "--nof", "--"; '-' and '_' are the same; --flagfile, --fromenv, --tryfromenv,
// --undefok. Throws UsageError.
Flags parse_flags(const Args& args);

// --help (all of them), or --helpmatch TEXT: the flags of the groups whose name contains it.
int print_flag_help(const std::string& match);
// Every flag with its value, as JSON.
int print_flag_json(const Flags& flags);

}  // namespace mgl
