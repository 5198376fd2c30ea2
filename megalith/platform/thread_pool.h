// A small pool: the caller takes part, pieces are handed out dynamically, idle workers spin shortly and then sleep.
#pragma once

#include <cstdint>
#include <memory>

#include "megalith/exec.h"

namespace megalith {

// MEGALITH_NUM_THREADS, else the CPUs this process may use (affinity and cgroup quota).
int default_threads();

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  int threads() const;
  // One loop at a time; a loop inside of a loop runs on its caller.
  void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace megalith
