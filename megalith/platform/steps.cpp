#include "megalith/platform/steps.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "megalith/platform/spin.h"

namespace megalith {
namespace {

// How often a thread looks before it offers its processor to others.
constexpr int kSpins = 2000;
// Who comes this late was interrupted: parts of a step end at about the same time.
constexpr int64_t kLate = 200'000;  // nanoseconds
// Teams rest for so many times the time that was lost.
constexpr int64_t kRest = 20;

std::atomic<int64_t> rest_until{0};

template <class Fn>
void wait_for(Fn&& done) {
  while (!wait_awake(kSpins, kLate, done)) {
  }
}

// The first thread that comes leads: it hands out the parts of each step, takes one itself, and waits for the others.
struct Team {
  // What the leader tells a member and what it answers, in a cache line each.
  struct alignas(64) Order {
    std::atomic<uint64_t> number{0};  // of the order; 0: none yet
    int64_t step = 0;
    int part = 0, parts = 0;  // part < 0: leave
  };
  struct alignas(64) Answer {
    std::atomic<uint64_t> number{0};  // of the last order that was carried out
  };
  struct Member {
    Order order;
    Answer answer;
  };

  const int64_t steps;
  FunctionRef<void(int64_t, int, int)> fn;
  std::vector<Member> members;
  std::atomic<bool> led{false};
  std::atomic<bool> over{false};
  std::atomic<int> came{0};

  Team(int64_t n, FunctionRef<void(int64_t, int, int)> f, int threads)
      : steps(n), fn(f), members(static_cast<size_t>(threads)) {}

  void lead() {
    uint64_t number = 0;
    std::vector<Member*> with;
    size_t seen = 0;
    bool alone = false;
    for (int64_t step = 0; step < steps; ++step) {
      const auto here = std::min(static_cast<size_t>(came.load(std::memory_order_acquire)), members.size());
      for (; seen < here; ++seen) {
        if (alone)
          tell(members[seen], ++number, step, -1, 0);
        else
          with.push_back(&members[seen]);
      }
      const int parts = static_cast<int>(with.size()) + 1;
      ++number;
      for (size_t i = 0; i < with.size(); ++i) tell(*with[i], number, step, static_cast<int>(i) + 1, parts);
      fn(step, 0, parts);
      const auto answered = [&] {
        return std::all_of(with.begin(), with.end(),
                           [&](const Member* m) { return m->answer.number.load(std::memory_order_acquire) == number; });
      };
      if (wait_awake(kSpins, 0, answered)) continue;
      const int64_t start = now_ns();
      wait_for(answered);
      const int64_t lost = now_ns() - start;
      if (lost < kLate) continue;
      rest_until.store(now_ns() + kRest * lost, std::memory_order_relaxed);
      alone = true;
      for (Member* m : with) tell(*m, ++number, step, -1, 0);
      with.clear();
    }
    over.store(true, std::memory_order_release);
    for (Member* m : with) tell(*m, ++number, steps, -1, 0);
    // Who came since then sees that it is over.
  }

  static void tell(Member& m, uint64_t number, int64_t step, int part, int parts) {
    m.order.step = step;
    m.order.part = part;
    m.order.parts = parts;
    m.order.number.store(number, std::memory_order_release);
  }

  void follow() {
    const int place = came.fetch_add(1, std::memory_order_acq_rel);
    if (place >= static_cast<int>(members.size())) return;
    Member& me = members[static_cast<size_t>(place)];
    uint64_t last = 0;
    for (;;) {
      wait_for([&] {
        return me.order.number.load(std::memory_order_acquire) != last || over.load(std::memory_order_acquire);
      });
      const uint64_t number = me.order.number.load(std::memory_order_acquire);
      if (number == last || me.order.part < 0) return;
      fn(me.order.step, me.order.part, me.order.parts);
      last = number;
      me.answer.number.store(number, std::memory_order_release);
    }
  }
};

}  // namespace

void run_in_steps(Exec& exec, int64_t steps, FunctionRef<void(int64_t, int, int)> fn) {
  const int threads = exec.threads();
  if (threads == 1 || steps <= 1 || now_ns() < rest_until.load(std::memory_order_relaxed)) {
    for (int64_t i = 0; i < steps; ++i) fn(i, 0, 1);
    return;
  }
  Team team(steps, fn, threads - 1);
  exec.parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
    for (; begin < end; ++begin) {
      if (!team.led.exchange(true, std::memory_order_acq_rel))
        team.lead();
      else if (!team.over.load(std::memory_order_acquire))
        team.follow();
    }
  });
}

}  // namespace megalith
