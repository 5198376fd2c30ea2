// What this process may use of the machine.
#pragma once

#include <cstdint>
#include <string>

namespace megalith {

// MEGALITH_NUM_THREADS, else the CPUs this process may use (affinity and cgroup quota).
int default_threads();
// Bytes of memory: the machine's, or less where cgroups say so. 0: unknown.
uint64_t usable_memory();

// What cgroups (v1 or v2) grant, for the file /proc/self/cgroup and the mount point /sys/fs/cgroup; infinity when
// nothing limits it.
double cgroup_cpus(const std::string& proc_self_cgroup, const std::string& mount);
double cgroup_memory(const std::string& proc_self_cgroup, const std::string& mount);

}  // namespace megalith
