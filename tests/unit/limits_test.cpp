#ifdef __linux__
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "megalith/platform/limits.h"

using namespace megalith;

namespace {

struct Folder {
  Folder() {
    std::filesystem::create_directories(root / "a/b");
    std::filesystem::create_directories(root / "cpu/c");
    std::filesystem::create_directories(root / "memory/x");
  }
  ~Folder() { std::filesystem::remove_all(root); }
  void write(const std::filesystem::path& file, const char* text) const { std::ofstream(root / file) << text; }
  double cpus() const { return cgroup_cpus(root / "proc", root); }
  double memory() const { return cgroup_memory(root / "proc", root); }
  std::filesystem::path root = std::filesystem::temp_directory_path() / ("megalith_cgroup_" + std::to_string(getpid()));
};

}  // namespace

TEST_CASE("the_tightest_cgroup_quota_counts") {
  const Folder f;
  f.write("proc", "0::/a/b\n");
  CHECK(f.cpus() == INFINITY);
  f.write("a/b/cpu.max", "max 100000\n");
  CHECK(f.cpus() == INFINITY);
  f.write("a/cpu.max", "150000 100000\n");
  CHECK(f.cpus() == 1.5);
  f.write("cpu.max", "50000 100000\n");
  CHECK(f.cpus() == 0.5);
  std::filesystem::remove(f.root / "cpu.max");
  f.write("proc", "3:memory:/x\n4:cpu,cpuacct:/c\n");
  f.write("cpu/c/cpu.cfs_quota_us", "200000\n");
  f.write("cpu/c/cpu.cfs_period_us", "100000\n");
  CHECK(f.cpus() == 2);
  f.write("cpu/c/cpu.cfs_quota_us", "-1\n");
  CHECK(f.cpus() == INFINITY);
  std::filesystem::remove(f.root / "proc");
  CHECK(f.cpus() == INFINITY);
}

TEST_CASE("the_tightest_cgroup_memory_limit_counts") {
  const Folder f;
  f.write("proc", "0::/a/b\n");
  f.write("a/b/memory.max", "max\n");
  CHECK(f.memory() == INFINITY);
  f.write("a/memory.max", "1073741824\n");
  CHECK(f.memory() == 1073741824);
  f.write("proc", "3:memory:/x\n4:cpu,cpuacct:/c\n");
  f.write("memory/x/memory.limit_in_bytes", "536870912\n");
  CHECK(f.memory() == 536870912);
  CHECK(usable_memory() > 0);
}
#endif
