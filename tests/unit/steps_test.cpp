#include "megalith/platform/steps.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "megalith/platform/thread_pool.h"

#ifdef __linux__
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace megalith;

namespace {

// Steps in which every part needs all of the step before: whether their result is right. `most` gets the most parts.
bool steps_follow(Exec& exec, int64_t steps, std::atomic<int>* most = nullptr) {
  constexpr int64_t kWidth = 24;
  const auto part_of = [](std::vector<int64_t>& value, int64_t step, int part, int parts) {
    const int64_t* from = value.data() + step % 2 * kWidth;
    int64_t* to = value.data() + (step + 1) % 2 * kWidth;
    for (int64_t i = kWidth * part / parts; i < kWidth * (part + 1) / parts; ++i)
      to[i] = (from[i] + from[(i + 1) % kWidth] + from[(i + 7) % kWidth] + i) % 1000003;
  };
  std::vector<int64_t> value(2 * kWidth, 1), want = value;
  run_in_steps(exec, steps, [&](int64_t step, int part, int parts) {
    part_of(value, step, part, parts);
    if (most && parts > most->load(std::memory_order_relaxed)) most->store(parts, std::memory_order_relaxed);
  });
  for (int64_t step = 0; step < steps; ++step) part_of(want, step, 0, 1);
  return value == want;
}

}  // namespace

TEST_CASE("steps_come_one_after_the_other_and_have_all_their_parts") {
  for (const int threads : {1, 2, 3, 8}) {
    CAPTURE(threads);
    ThreadPool pool(threads);
    Exec exec(&pool);
    std::atomic<int> most{0};
    CHECK(steps_follow(exec, 3000, &most));
    CHECK(most <= threads);
  }
}

TEST_CASE("steps_inside_of_a_loop_run_on_its_thread") {
  ThreadPool pool(2);
  Exec exec(&pool);
  std::atomic<int> calls{0};
  exec.parallel_for(2, 1, [&](int64_t begin, int64_t end) {
    for (; begin < end; ++begin) run_in_steps(exec, 10, [&](int64_t, int, int parts) { calls += parts == 1; });
  });
  CHECK(calls == 20);
}

TEST_CASE("steps_on_a_busy_machine_do_not_wait_for_who_was_interrupted") {
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (unsigned i = 0; i < 2 * std::max(2u, std::thread::hardware_concurrency()); ++i)
    busy.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  ThreadPool pool(4);
  Exec exec(&pool);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) CHECK(steps_follow(exec, 500));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  stop = true;
  for (std::thread& t : busy) t.join();
  // A time slice or so for each of 10,000 steps would take minutes.
  MESSAGE("10,000 steps beside busy threads took " << seconds << " s");
}

#ifdef __linux__
#ifndef __SANITIZE_THREAD__  // which refuses new threads after a fork with threads
TEST_CASE("steps_go_on_in_both_processes_after_a_fork") {
  ThreadPool pool(3);
  Exec exec(&pool);
  REQUIRE(steps_follow(exec, 300));
  const pid_t child = fork();
  if (child == 0) _exit(steps_follow(exec, 300) && steps_follow(exec, 300) ? 0 : 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(steps_follow(exec, 300));
}
#endif
#endif
