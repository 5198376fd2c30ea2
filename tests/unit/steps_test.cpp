#include "megalith/platform/steps.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "megalith/platform/thread_pool.h"

using namespace megalith;

TEST_CASE("steps_come_one_after_the_other_and_have_all_their_parts") {
  for (const int threads : {1, 2, 3, 8}) {
    CAPTURE(threads);
    ThreadPool pool(threads);
    Exec exec(&pool);
    constexpr int64_t kSteps = 3000, kWidth = 24;
    // Every step needs all of the one before.
    std::vector<int64_t> value(2 * kWidth, 1);
    std::atomic<int> most{0};
    run_in_steps(exec, kSteps, [&](int64_t step, int part, int parts) {
      const int64_t* from = value.data() + step % 2 * kWidth;
      int64_t* to = value.data() + (step + 1) % 2 * kWidth;
      for (int64_t i = kWidth * part / parts; i < kWidth * (part + 1) / parts; ++i)
        to[i] = (from[i] + from[(i + 1) % kWidth] + from[(i + 7) % kWidth] + i) % 1000003;
      if (parts > most.load(std::memory_order_relaxed)) most.store(parts, std::memory_order_relaxed);
    });
    CHECK(most <= threads);
    std::vector<int64_t> want(2 * kWidth, 1);
    for (int64_t step = 0; step < kSteps; ++step) {
      for (int64_t i = 0; i < kWidth; ++i) {
        const int64_t* from = want.data() + step % 2 * kWidth;
        want[static_cast<size_t>((step + 1) % 2 * kWidth + i)] =
            (from[i] + from[(i + 1) % kWidth] + from[(i + 7) % kWidth] + i) % 1000003;
      }
    }
    CHECK(value == want);
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
