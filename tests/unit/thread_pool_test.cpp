#include <doctest/doctest.h>

#include <algorithm>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <vector>

#include "megalith/platform/limits.h"
#include "megalith/platform/thread_pool.h"

#ifdef __linux__
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace megalith;

namespace {

// Every index exactly once.
bool covers(ThreadPool& pool, int64_t n, int64_t grain) {
  std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
  pool.parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) seen[static_cast<size_t>(i)].fetch_add(1);
  });
  return std::all_of(seen.begin(), seen.end(), [](const auto& s) { return s.load() == 1; });
}

}  // namespace

TEST_CASE("a_loop_visits_every_index_once") {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (int64_t n : {1, 2, 7, 64, 1000}) {
      for (int64_t grain : {0, 1, 5, 999, 100000}) CHECK(covers(pool, n, grain));
    }
  }
}

TEST_CASE("many_short_loops_follow_each_other") {
  ThreadPool pool(4);
  int64_t sum = 0;
  std::vector<int64_t> part(64);
  for (int round = 0; round < 3000; ++round) {
    pool.parallel_for(64, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) part[static_cast<size_t>(i)] = i + round;
    });
    sum += std::accumulate(part.begin(), part.end(), int64_t{0}) - 64 * round;
  }
  CHECK(sum == 3000 * 2016);
}

TEST_CASE("a_loop_in_a_loop_and_a_second_caller_run_on_their_own_thread") {
  ThreadPool pool(3);
  std::atomic<int> total{0};
  const auto nested = [&] {
    pool.parallel_for(8, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        pool.parallel_for(10, 1, [&](int64_t b, int64_t e) { total += static_cast<int>(e - b); });
    });
  };
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int k = 0; k < 50; ++k) nested();
    });
  }
  for (std::thread& t : callers) t.join();
  CHECK(total == 4 * 50 * 80);
}

TEST_CASE("the_first_exception_of_a_loop_reaches_its_caller") {
  ThreadPool pool(4);
  for (int round = 0; round < 100; ++round) {
    CHECK_THROWS_AS(pool.parallel_for(100, 1,
                                      [](int64_t begin, int64_t) {
                                        if (begin >= 40) throw Error("no");
                                      }),
                    Error);
    CHECK(covers(pool, 100, 1));
  }
}

TEST_CASE("loops_end_on_a_busy_machine") {
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (unsigned i = 0; i < 2 * std::thread::hardware_concurrency(); ++i) {
    others.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  }
  ThreadPool pool(2);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 500; ++i) CHECK(covers(pool, 256, 1));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  stop = true;
  for (std::thread& t : others) t.join();
  // Two time slices for each loop are 4 s; a pool that waits for every worker takes far more.
  MESSAGE("500 loops beside busy threads took " << seconds << " s");
}

#ifdef __linux__
#ifndef __SANITIZE_THREAD__  // which refuses new threads after a fork with threads
TEST_CASE("pools_work_in_both_processes_after_a_fork") {
  ThreadPool pool(3);
  REQUIRE(covers(pool, 100, 1));
  const pid_t child = fork();
  if (child == 0) {
    bool good = covers(pool, 100, 1);
    {
      ThreadPool fresh(2);
      good = good && covers(fresh, 50, 1);
    }
    _exit(good ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(covers(pool, 100, 1));
}

TEST_CASE("a_child_forked_inside_a_loop_gets_an_error_and_can_start_others") {
  ThreadPool pool(3);
  REQUIRE(covers(pool, 100, 1));
  const std::thread::id caller = std::this_thread::get_id();
  const pid_t parent = getpid();
  std::atomic<bool> forked{false};
  std::atomic<int> done{0};
  pid_t child = -1;
  bool good = false;
  std::string error;
  try {
    pool.parallel_for(100, 1, [&](int64_t begin, int64_t end) {
      if (std::this_thread::get_id() == caller && !forked.exchange(true)) {
        child = fork();
        if (child == 0) good = covers(pool, 100, 1);
      }
      while (!forked) std::this_thread::yield();  // leaves pieces for the caller
      done += static_cast<int>(end - begin);
    });
  } catch (const Error& e) {
    error = e.what();
  }
  if (getpid() != parent)
    _exit(good && error.find("forked inside") != std::string::npos && covers(pool, 50, 1) ? 0 : 1);
  REQUIRE(error.empty());
  CHECK(done == 100);
  REQUIRE(forked);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(covers(pool, 100, 1));
}
#endif

TEST_CASE("threads_are_counted_by_variable_affinity_and_quota") {
  const char* before = std::getenv("MEGALITH_NUM_THREADS");
  const std::string saved = before ? before : "";
  setenv("MEGALITH_NUM_THREADS", "5", 1);
  CHECK(default_threads() == 5);
  setenv("MEGALITH_NUM_THREADS", "none", 1);
  CHECK(default_threads() >= 1);
  unsetenv("MEGALITH_NUM_THREADS");
  cpu_set_t all, one;
  REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
  CPU_ZERO(&one);
  for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
  }
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(default_threads() == 1);
  sched_setaffinity(0, sizeof all, &all);
  if (before) setenv("MEGALITH_NUM_THREADS", saved.c_str(), 1);
}
#endif
