// A small pool: the caller takes part, each thread begins with a share of its own and then helps with the others', and
// idle workers look for work for some 100 microseconds before they sleep.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "megalith/exec.h"

namespace megalith {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  int threads() const;
  // One loop at a time: a loop inside of a loop, and a loop while another thread's is running, run on their caller. The
  // first exception of `fn` is thrown again here. After a fork the child has workers of its own; a child forked by `fn`
  // itself may start loops, but the one that it was forked in throws an Error there.
  void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn);

 private:
  struct Impl;
  struct Live;
  std::unique_ptr<Impl> impl_;
};

ThreadPool& eager_pool();  // of all eager calls: default_threads()

}  // namespace megalith
