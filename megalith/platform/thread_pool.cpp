#include "megalith/platform/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "megalith/platform/limits.h"
#include "megalith/platform/spin.h"

#if (defined(__unix__) || defined(__APPLE__)) && !defined(__EMSCRIPTEN__)
#include <pthread.h>
#define MEGALITH_CAN_FORK 1
#endif

namespace megalith {

#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)  // one thread, and no code for more

struct ThreadPool::Impl {};
ThreadPool::ThreadPool(int) {}
ThreadPool::~ThreadPool() = default;
int ThreadPool::threads() const { return 1; }
void ThreadPool::parallel_for(int64_t n, int64_t, FunctionRef<void(int64_t, int64_t)> fn) {
  if (n > 0) fn(0, n);
}

#else

namespace {

constexpr int kMostThreads = 256;

thread_local bool inside_loop = false;

// Forks that led to this process. A loop that finds the number changed is in a child: what the other threads had taken
// of it is lost, and its locks may be held by threads that exist no more.
std::atomic<uint32_t> forks{0};

// How often a thread looks before it offers its processor to others, and for how long it does that before it sleeps:
// loops of one plan follow each other sooner, and waking up costs some 50 microseconds.
constexpr int kSpins = 300;
constexpr int64_t kYield = 100'000;  // nanoseconds

// What is left of one thread's share of a loop, in a cache line of its own.
struct alignas(64) Share {
  std::atomic<int64_t> next{0};
  int64_t end = 0;
};

// Each thread begins with a share that is the same for every loop of a size, and when that is done helps with the
// others': what a loop wrote is read by the next one on the same processor, as far as they run over the same things.
struct Job {
  FunctionRef<void(int64_t, int64_t)> fn;
  int64_t piece;
  std::vector<Share>& shares;
  size_t parts;  // shares in use
  std::exception_ptr error;
  std::mutex error_mutex;
  const uint32_t forks_before = forks.load(std::memory_order_relaxed);

  Job(FunctionRef<void(int64_t, int64_t)> f, int64_t n, int64_t p, std::vector<Share>& s)
      : fn(f), piece(p), shares(s), parts(static_cast<size_t>(std::min<int64_t>(std::ssize(s), (n - 1) / p + 1))) {
    const int64_t pieces = (n - 1) / piece + 1, count = static_cast<int64_t>(parts);
    for (int64_t i = 0; i < count; ++i) {
      Share& share = shares[static_cast<size_t>(i)];
      share.next.store(pieces * i / count * piece, std::memory_order_relaxed);
      share.end = std::min(n, pieces * (i + 1) / count * piece);
    }
  }

  bool forked() const { return forks.load(std::memory_order_relaxed) != forks_before; }

  void work(size_t thread) {
    inside_loop = true;
    for (size_t i = 0; i < parts && !forked(); ++i) work_on(shares[(thread + i) % parts]);
    inside_loop = false;
  }

  void work_on(Share& share) {
    while (share.next.load(std::memory_order_relaxed) < share.end) {
      const int64_t begin = share.next.fetch_add(piece, std::memory_order_relaxed);
      if (begin >= share.end) return;
      try {
        fn(begin, std::min(begin + piece, share.end));
        if (forked()) return;
      } catch (...) {
        if (forked()) return;
        std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        for (size_t i = 0; i < parts; ++i) shares[i].next.store(shares[i].end, std::memory_order_relaxed);
      }
    }
  }
};

}  // namespace

// The caller publishes a job, works on it, takes it back, and then waits only for workers that did enter it: one that
// the system has not woken yet costs nothing.
struct ThreadPool::Impl {
  const int threads;
  std::vector<std::thread> workers;
  std::vector<Share> shares;
  std::mutex run_mutex;  // held during a loop

  std::mutex mutex;  // of everything below
  std::condition_variable wake, left;
  std::atomic<uint32_t> generation{0};  // number of loops so far; also read without the mutex
  std::atomic<int> inside{0};           // workers in the current job; also read without the mutex
  Job* job = nullptr;
  int sleeping = 0;
  bool stop = false;

  explicit Impl(int n) : threads(n), shares(static_cast<size_t>(n)) {}

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stop = true;
      generation.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
    for (std::thread& w : workers) w.join();
  }

  void worker(size_t thread) {
    uint32_t seen = 0;
    for (;;) {
      wait_awake(kSpins, kYield, [&] { return generation.load(std::memory_order_acquire) != seen; });
      Job* mine = nullptr;
      {
        std::unique_lock lock(mutex);
        ++sleeping;
        wake.wait(lock, [&] { return generation.load(std::memory_order_relaxed) != seen; });
        --sleeping;
        seen = generation.load(std::memory_order_relaxed);
        if (stop) return;
        mine = job;
        if (!mine) continue;  // it is over already
        inside.fetch_add(1, std::memory_order_relaxed);
      }
      mine->work(thread);
      if (mine->forked()) {  // the only thread of a child, without the caller that it worked for
        std::fputs("megalith: a worker of a parallel loop was forked and has nowhere to return to\n", stderr);
        std::abort();
      }
      bool last;
      {
        std::lock_guard lock(mutex);
        last = inside.fetch_sub(1, std::memory_order_release) == 1 && !job;
      }
      if (last) left.notify_one();
    }
  }

  void run(Job& j) {
    if (workers.empty()) {
      for (int i = 1; i < threads; ++i) workers.emplace_back([this, i] { worker(static_cast<size_t>(i)); });
    }
    const int helpers = static_cast<int>(j.parts) - 1;
    int asleep;
    {
      std::lock_guard lock(mutex);
      job = &j;
      generation.fetch_add(1, std::memory_order_release);
      asleep = sleeping;
    }
    for (int i = 0; i < std::min(asleep, helpers); ++i) wake.notify_one();
    j.work(0);
    if (j.forked())
      throw Error("a parallel loop can't go on in a child forked inside of it: its workers are the parent's");
    {
      std::lock_guard lock(mutex);
      job = nullptr;
    }
    if (wait_awake(kSpins, kYield, [&] { return inside.load(std::memory_order_acquire) == 0; })) return;
    std::unique_lock lock(mutex);
    left.wait(lock, [&] { return inside.load(std::memory_order_relaxed) == 0; });
  }
};

// Workers do not survive a fork: the child gives every pool a fresh Impl, whose workers start with its first loop. What
// was there before is kept, not destroyed: its locks and threads belong to the parent.
struct ThreadPool::Live {
  std::mutex mutex;
  std::vector<ThreadPool*> pools;
  std::vector<Impl*> before_fork;

  static Live& get() {
    static Live* const live = [] {
      auto* l = new Live;
#ifdef MEGALITH_CAN_FORK
      pthread_atfork([] { get().mutex.lock(); }, [] { get().mutex.unlock(); },
                     [] {
                       for (ThreadPool* p : get().pools) {
                         const int n = p->impl_->threads;
                         get().before_fork.push_back(p->impl_.release());
                         p->impl_ = std::make_unique<Impl>(n);
                       }
                       inside_loop = false;
                       forks.fetch_add(1, std::memory_order_relaxed);
                       get().mutex.unlock();
                     });
#endif
      return l;
    }();
    return *live;
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>(std::clamp(threads, 1, kMostThreads))) {
  Live& live = Live::get();
  std::lock_guard lock(live.mutex);
  live.pools.push_back(this);
}

ThreadPool::~ThreadPool() {
  Live& live = Live::get();
  std::lock_guard lock(live.mutex);
  std::erase(live.pools, this);
}

int ThreadPool::threads() const { return impl_->threads; }

void ThreadPool::parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (impl_->threads == 1 || n <= grain || inside_loop) return fn(0, n);
  std::unique_lock lock(impl_->run_mutex, std::try_to_lock);
  if (!lock) return fn(0, n);  // another thread's loop has the workers
  // Several pieces for each thread: who is interrupted holds up little.
  Job job(fn, n, std::max(grain, (n - 1) / (impl_->threads * 8) + 1), impl_->shares);
  impl_->run(job);
  if (job.error) std::rethrow_exception(job.error);
}

#endif

ThreadPool& eager_pool() {
  static ThreadPool pool(default_threads());
  return pool;
}

void Exec::parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn) {
  if (!pool_) {
    if (n > 0) fn(0, n);
    return;
  }
  const int64_t pieces = (n + std::max<int64_t>(grain, 1) - 1) / std::max<int64_t>(grain, 1);
  const int used = static_cast<int>(std::clamp<int64_t>(pieces, 1, pool_->threads()));
  if (used > used_threads()) used_threads_.store(used, std::memory_order_relaxed);
  pool_->parallel_for(n, grain, fn);
}
int Exec::threads() const { return pool_ ? pool_->threads() : 1; }

}  // namespace megalith
