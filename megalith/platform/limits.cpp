#include "megalith/platform/limits.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif
#ifdef __unix__
#include <unistd.h>
#endif

namespace megalith {
namespace {

// A limit as it stands in the files of one folder of either version; infinity when there is none.
using Limit = double (*)(const std::string& folder);

// "max" and -1 mean no quota.
double quota_of(double quota, double period) { return quota > 0 && period > 0 ? quota / period : INFINITY; }

double cpus_v2(const std::string& folder) {
  std::ifstream f(folder + "/cpu.max");
  double quota = 0, period = 0;
  return f >> quota >> period ? quota_of(quota, period) : INFINITY;
}

double cpus_v1(const std::string& folder) {
  std::ifstream q(folder + "/cpu.cfs_quota_us"), p(folder + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  return q >> quota && p >> period ? quota_of(quota, period) : INFINITY;
}

double bytes_in(const std::string& file) {
  std::ifstream f(file);
  double bytes = 0;
  return f >> bytes && bytes >= 0 ? bytes : INFINITY;
}

double memory_v2(const std::string& folder) { return bytes_in(folder + "/memory.max"); }
double memory_v1(const std::string& folder) { return bytes_in(folder + "/memory.limit_in_bytes"); }

// The least limit of all folders that this process stands in: a limit may stand at any level.
double least_limit(const std::string& proc_self_cgroup, const std::string& mount, const std::string& controller,
                   Limit v2_limit, Limit v1_limit) {
  double least = std::min(v2_limit(mount), v1_limit(mount + "/" + controller));
  std::ifstream f(proc_self_cgroup);
  for (std::string line; std::getline(f, line);) {  // "0::/a/b" (v2) or "4:cpu,cpuacct:/a/b" (v1)
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find("," + controller + ",") == std::string::npos) continue;
    for (std::string path = line.substr(second + 1); path.size() > 1; path.resize(path.rfind('/'))) {
      least = std::min(least, v2 ? v2_limit(mount + path) : v1_limit(mount + "/" + controller + path));
      if (path.rfind('/') == std::string::npos) break;
    }
  }
  return least;
}

}  // namespace

double cgroup_cpus(const std::string& proc_self_cgroup, const std::string& mount) {
  return least_limit(proc_self_cgroup, mount, "cpu", cpus_v2, cpus_v1);
}

double cgroup_memory(const std::string& proc_self_cgroup, const std::string& mount) {
  return least_limit(proc_self_cgroup, mount, "memory", memory_v2, memory_v1);
}

int default_threads() {
  if (const char* e = std::getenv("MEGALITH_NUM_THREADS")) {
    const int n = std::atoi(e);
    if (n > 0) return std::min(n, 256);
  }
  int n = static_cast<int>(std::thread::hardware_concurrency());
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
  const double quota = cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
  if (quota < n) n = static_cast<int>(std::ceil(quota));
#endif
  return std::clamp(n, 1, 256);
}

uint64_t usable_memory() {
  uint64_t bytes = 0;
#ifdef _SC_PHYS_PAGES
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  if (pages > 0 && size > 0) bytes = static_cast<uint64_t>(pages) * static_cast<uint64_t>(size);
#endif
#ifdef __linux__
  const double most = cgroup_memory("/proc/self/cgroup", "/sys/fs/cgroup");
  if (bytes > 0 && most < static_cast<double>(bytes)) bytes = static_cast<uint64_t>(most);
#endif
  return bytes;
}

}  // namespace megalith
