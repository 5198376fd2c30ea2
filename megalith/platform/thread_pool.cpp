#include "megalith/platform/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#include <unistd.h>
#endif

namespace megalith {

int default_threads() {
  if (const char* e = std::getenv("MEGALITH_NUM_THREADS")) {
    const int n = std::atoi(e);
    if (n > 0) return std::min(n, 256);
  }
  int n = static_cast<int>(std::thread::hardware_concurrency());
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
  if (std::FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    long long quota = 0, period = 0;
    if (std::fscanf(f, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0) {
      n = std::min<int>(n, static_cast<int>(std::max<long long>(1, (quota + period - 1) / period)));
    }
    std::fclose(f);
  }
#endif
  return std::clamp(n, 1, 256);
}

struct ThreadPool::Impl {
  struct Job {
    FunctionRef<void(int64_t, int64_t)> fn;
    int64_t n, piece;
    std::atomic<int64_t> next{0};
    std::exception_ptr error;
    std::mutex error_mutex;

    void work() {
      for (;;) {
        const int64_t begin = next.fetch_add(piece, std::memory_order_relaxed);
        if (begin >= n) return;
        try {
          fn(begin, std::min(begin + piece, n));
        } catch (...) {
          std::lock_guard lock(error_mutex);
          if (!error) error = std::current_exception();
          next.store(n, std::memory_order_relaxed);
        }
      }
    }
  };

  int threads;
  std::vector<std::thread> workers;
  std::mutex run_mutex;
  std::atomic<uint32_t> generation{0};
  std::atomic<Job*> job{nullptr};
  std::atomic<int> busy{0};
  std::atomic<bool> stop{false};
#ifdef __linux__
  pid_t owner = getpid();
#endif

  explicit Impl(int n) : threads(n) {}

  void start() {
    for (int i = 1; i < threads; ++i) {
      workers.emplace_back([this] { loop(); });
    }
  }

  void loop() {
    uint32_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < 2000 && generation.load(std::memory_order_acquire) == seen; ++spin) {
        if (spin > 200) std::this_thread::yield();
      }
      generation.wait(seen, std::memory_order_acquire);
      seen = generation.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      job.load(std::memory_order_acquire)->work();
      if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_all();
    }
  }

  bool forked() const {
#ifdef __linux__
    return owner != getpid();
#else
    return false;
#endif
  }
};

namespace {
thread_local bool inside_loop = false;
}

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>(std::max(1, threads))) {}

ThreadPool::~ThreadPool() {
  if (impl_->forked()) {  // the workers did not survive the fork
    for (auto& w : impl_->workers) w.detach();
    return;
  }
  impl_->stop.store(true, std::memory_order_release);
  impl_->generation.fetch_add(1, std::memory_order_acq_rel);
  impl_->generation.notify_all();
  for (auto& w : impl_->workers) w.join();
}

int ThreadPool::threads() const { return impl_->threads; }

void ThreadPool::parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (impl_->threads == 1 || n <= grain || inside_loop || impl_->forked()) return fn(0, n);
  std::unique_lock lock(impl_->run_mutex, std::try_to_lock);
  if (!lock) return fn(0, n);  // another thread's loop has the workers
  if (impl_->workers.empty()) impl_->start();
  const int64_t piece = std::max(grain, (n + impl_->threads * 4 - 1) / (impl_->threads * 4));
  Impl::Job job{fn, n, piece, {}, {}, {}};
  impl_->job.store(&job, std::memory_order_release);
  impl_->busy.store(impl_->threads - 1, std::memory_order_release);
  impl_->generation.fetch_add(1, std::memory_order_acq_rel);
  impl_->generation.notify_all();
  inside_loop = true;
  job.work();
  inside_loop = false;
  for (int left = impl_->busy.load(std::memory_order_acquire), spin = 0; left != 0;
       left = impl_->busy.load(std::memory_order_acquire)) {
    if (++spin > 1000) impl_->busy.wait(left, std::memory_order_acquire);
  }
  if (job.error) std::rethrow_exception(job.error);
}

void Exec::parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn) {
  if (pool_) return pool_->parallel_for(n, grain, fn);
  if (n > 0) fn(0, n);
}
int Exec::threads() const { return pool_ ? pool_->threads() : 1; }

}  // namespace megalith
