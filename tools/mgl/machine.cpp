#include "tools/mgl/machine.h"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include "megalith/megalith.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#include <sys/utsname.h>
#endif

namespace mgl {

using nlohmann::json;

std::string cpu_name() {
  std::ifstream f("/proc/cpuinfo");
  for (std::string line; std::getline(f, line);) {
    for (const char* key : {"model name", "Model", "Hardware"}) {
      if (line.rfind(key, 0) == 0 && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
    }
  }
  return "unknown";
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> r;
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  r.emplace_back("sse2");
  if (__builtin_cpu_supports("sse4.2")) r.emplace_back("sse4.2");
  if (__builtin_cpu_supports("avx")) r.emplace_back("avx");
  if (__builtin_cpu_supports("fma")) r.emplace_back("fma");
  if (__builtin_cpu_supports("avx2")) r.emplace_back("avx2");
  if (__builtin_cpu_supports("avx512f")) r.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512vnni")) r.emplace_back("avx512vnni");
#elif defined(__aarch64__)
  r.emplace_back("neon");
#endif
  return r;
}

size_t peak_process_bytes() {
#if defined(__APPLE__)
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<size_t>(u.ru_maxrss);
#elif defined(__unix__)
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<size_t>(u.ru_maxrss) * 1024;
#else
  return 0;
#endif
}

json load_average() {
#if defined(__unix__) || defined(__APPLE__)
  double v[3];
  if (getloadavg(v, 3) == 3) return {v[0], v[1], v[2]};
#endif
  return nullptr;
}

json device_json(int threads) {
#if defined(__x86_64__)
  const char* arch = "x86_64";
#elif defined(__aarch64__)
  const char* arch = "aarch64";
#else
  const char* arch = "other";
#endif
  return {{"kind", "cpu"},
          {"name", cpu_name()},
          {"arch", arch},
          {"isa", instruction_sets()},
          {"cpus", std::thread::hardware_concurrency()},
          {"threads", threads}};
}

json environment_json() {
  json j{{"megalith", mgl_version()}, {"compiler", __VERSION__}, {"load_average", load_average()}};
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  j["time"] = text;
#if defined(__unix__) || defined(__APPLE__)
  utsname u{};
  if (uname(&u) == 0) j["os"] = std::string(u.sysname) + " " + u.release;
#endif
  std::ifstream governor("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  std::string g;
  j["governor"] = governor >> g ? json(g) : json(nullptr);
  return j;
}

}  // namespace mgl
