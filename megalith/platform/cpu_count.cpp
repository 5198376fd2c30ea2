#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "megalith/platform/thread_pool.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace megalith {
namespace {

// "max" and -1 mean no quota.
double quota_of(double quota, double period) { return quota > 0 && period > 0 ? quota / period : INFINITY; }

double quota_v2(const std::string& folder) {
  std::ifstream f(folder + "/cpu.max");
  double quota = 0, period = 0;
  return f >> quota >> period ? quota_of(quota, period) : INFINITY;
}

double quota_v1(const std::string& folder) {
  std::ifstream q(folder + "/cpu.cfs_quota_us"), p(folder + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  return q >> quota && p >> period ? quota_of(quota, period) : INFINITY;
}

}  // namespace

double cgroup_cpus(const std::string& proc_self_cgroup, const std::string& mount) {
  double least = std::min(quota_v2(mount), quota_v1(mount + "/cpu"));
  std::ifstream f(proc_self_cgroup);
  for (std::string line; std::getline(f, line);) {  // "0::/a/b" (v2) or "4:cpu,cpuacct:/a/b" (v1)
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",cpu,") == std::string::npos) continue;
    // A limit may stand at any level.
    for (std::string path = line.substr(second + 1); path.size() > 1; path.resize(path.rfind('/'))) {
      least = std::min(least, v2 ? quota_v2(mount + path) : quota_v1(mount + "/cpu" + path));
      if (path.rfind('/') == std::string::npos) break;
    }
  }
  return least;
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

}  // namespace megalith
