#include "tools/mgl/flags.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

namespace mgl {

int Flags::number(const std::string& name) const {
  return static_cast<int>(std::strtol(text(name).c_str(), nullptr, 0));
}
double Flags::real(const std::string& name) const { return std::strtod(text(name).c_str(), nullptr); }
uint64_t Flags::size(const std::string& name) const {
  if (text(name) == "SIZE_MAX") return std::numeric_limits<uint64_t>::max();
  return std::strtoull(text(name).c_str(), nullptr, 0);
}

namespace {

const FlagSpec* find(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  for (const FlagSpec& f : run_flags()) {
    if (name == f.name) return &f;
  }
  return nullptr;
}

std::string truth(const FlagSpec& f, const std::string& v) {
  for (const char* t : {"true", "t", "1", "yes", "y"}) {
    if (v == t) return "true";
  }
  for (const char* t : {"false", "f", "0", "no", "n"}) {
    if (v == t) return "false";
  }
  throw UsageError{std::string("--") + f.name + " is true or false, not '" + v + "'"};
}

// The value if it is one of the flag's kind; throws UsageError.
std::string checked(const FlagSpec& f, const std::string& v) {
  const char* const begin = v.c_str();
  char* end = nullptr;
  bool good = !v.empty() && (v[0] == '-' || v[0] == '+' || v[0] == '.' || (v[0] >= '0' && v[0] <= '9'));
  switch (f.kind) {
    case FlagKind::kString: return v;
    case FlagKind::kBool: return truth(f, v);
    case FlagKind::kInt: {
      const long long n = std::strtoll(begin, &end, 0);
      good = good && !*end && n >= -1 && n <= std::numeric_limits<int32_t>::max();
      break;
    }
    case FlagKind::kSize:
      if (v == "SIZE_MAX") return v;
      errno = 0;
      std::strtoull(begin, &end, 0);
      good = good && !*end && v[0] != '-' && errno == 0;
      break;
    case FlagKind::kReal: {
      const double x = std::strtod(begin, &end);
      good = good && !*end && std::isfinite(x) && x >= 0;
      break;
    }
  }
  if (!good) throw UsageError{std::string("--") + f.name + " needs a number, not '" + v + "'"};
  return v;
}

class Parser {
 public:
  explicit Parser(Flags& out) : out_(out) {}

  void parse(const Args& args, int depth) {
    for (size_t i = 0; i < args.size(); ++i) {
      const std::string& a = args[i];
      if (a == "--") {
        out_.rest.insert(out_.rest.end(), args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args.end());
        return;
      }
      if (a.size() < 2 || a[0] != '-') {
        out_.rest.push_back(a);
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
        flag_file(next(), depth);
      } else if (name == "fromenv" || name == "tryfromenv") {
        from_environment(next(), name == "fromenv", depth);
      } else if (name == "undefok") {
        std::stringstream names(next());
        for (std::string n; std::getline(names, n, ',');) undefined_ok_.push_back(n);
      } else if (!flag(name, has_value, value, next)) {
        unknown_.push_back({name, a});
      }
    }
  }

  void finish() const {
    for (const auto& [name, arg] : unknown_) {
      if (std::find(undefined_ok_.begin(), undefined_ok_.end(), name) == undefined_ok_.end())
        throw UsageError{"unknown flag " + arg + " (mgl run --help lists them)"};
    }
  }

 private:
  template <class Next>
  bool flag(const std::string& name, bool has_value, const std::string& value, Next&& next) {
    const FlagSpec* f = find(name);
    bool no = false;
    if (!f && name.rfind("no", 0) == 0) {
      f = find(name.substr(name.size() > 2 && (name[2] == '-' || name[2] == '_') ? 3 : 2));
      no = f && f->kind == FlagKind::kBool;
      if (!no) return false;
      if (has_value) throw UsageError{"--" + name + " takes no value"};
    }
    if (!f) return false;
    if (f->kind == FlagKind::kBool) {
      out_.values[f->name] = no ? "false" : has_value ? truth(*f, value) : "true";
    } else {
      out_.values[f->name] = checked(*f, next());
    }
    const auto at = std::find(out_.unused.begin(), out_.unused.end(), f);
    const bool asks = f->effect == FlagEffect::kNone && out_.values[f->name] != f->def;
    if (asks && at == out_.unused.end()) out_.unused.push_back(f);
    if (!asks && at != out_.unused.end()) out_.unused.erase(at);
    return true;
  }

  // One flag on each line, as on the command line; '#' begins a comment.
  void flag_file(const std::string& paths, int depth) {
    std::stringstream names(paths);
    for (std::string path; std::getline(names, path, ',');) {
      std::ifstream f(path);
      if (!f) throw UsageError{"can't read flag file " + path};
      if (depth > 8) throw UsageError{"flag file " + path + " is one of a chain of more than 8"};
      Args more;
      for (std::string line; std::getline(f, line);) {
        const size_t begin = line.find_first_not_of(" \t"), end = line.find_last_not_of(" \t\r");
        if (begin == std::string::npos || line[begin] == '#') continue;
        line = line.substr(begin, end - begin + 1);
        // "--name value" on one line
        const size_t space = line.find(' ');
        if (line[0] == '-' && space != std::string::npos && line.find('=') > space) {
          more.push_back(line.substr(0, space));
          more.push_back(line.substr(line.find_first_not_of(' ', space)));
        } else {
          more.push_back(line);
        }
      }
      parse(more, depth + 1);
    }
  }

  void from_environment(const std::string& list, bool required, int depth) {
    std::stringstream names(list);
    for (std::string n; std::getline(names, n, ',');) {
      std::string variable = "FLAGS_" + n;
      std::replace(variable.begin(), variable.end(), '-', '_');
      const char* v = std::getenv(variable.c_str());
      if (v) {
        parse({"--" + n + "=" + v}, depth + 1);
      } else if (required) {
        throw UsageError{variable + " is not in the environment"};
      }
    }
  }

  Flags& out_;
  std::vector<std::string> undefined_ok_;
  std::vector<std::pair<std::string, std::string>> unknown_;
};

const char* kind_name(FlagKind k) {
  static const char* const kNames[] = {"bool", "int32", "uint64", "double", "string"};
  return kNames[static_cast<size_t>(k)];
}

}  // namespace

Flags parse_flags(const Args& args) {
  Flags out;
  for (const FlagSpec& f : run_flags()) out.values[f.name] = f.def;
  Parser parser(out);
  parser.parse(args, 0);
  parser.finish();
  return out;
}

int print_flag_help(const std::string& match) {
  std::printf("usage: mgl run MODEL [flags]\n\n");
  std::printf("-f, --f, --f=v, --f v and --nof are the same as in gflags; dashes and underscores are the same.\n");
  std::printf("--flagfile=F, --fromenv=a,b and --tryfromenv=a,b read more flags; --helpmatch=TEXT lists one group.\n");
  const char* group = "";
  for (const FlagSpec& f : run_flags()) {
    if (!match.empty() && std::string(f.group).find(match) == std::string::npos) continue;
    if (std::string(group) != f.group) std::printf("\n%s:\n", group = f.group);
    const std::string def = f.kind == FlagKind::kBool || !*f.def ? "" : std::string(" (") + f.def + ")";
    std::printf("  --%-36s %s%s%s\n", (std::string(f.name) + def).c_str(),
                f.effect == FlagEffect::kNone ? "no effect: " : "", f.help,
                f.effect == FlagEffect::kAlways ? " (accepted)" : "");
  }
  return kOk;
}

int print_flag_json(const Flags& flags) {
  nlohmann::json j = nlohmann::json::object();
  for (const FlagSpec& f : run_flags()) {
    static const char* const kEffects[] = {"used", "always", "none"};
    j[f.name] = {{"value", flags.text(f.name)},
                 {"kind", kind_name(f.kind)},
                 {"default", f.def},
                 {"group", f.group},
                 {"effect", kEffects[static_cast<size_t>(f.effect)]}};
  }
  std::printf("%s\n", nlohmann::json{{"flags", j}, {"arguments", flags.rest}}.dump(1).c_str());
  return kOk;
}

}  // namespace mgl
