// Waiting for another thread without sleep.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

namespace megalith {

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Looks for `done` so many times, then for `yield_ns` more between offers of its processor to others: it may be what
// the one that is waited for needs. Returns whether it came.
template <class Fn>
bool wait_awake(int spins, int64_t yield_ns, Fn&& done) {
  for (int i = 0; i < spins; ++i) {
    if (done()) return true;
    pause();
  }
  for (const int64_t end = now_ns() + yield_ns; now_ns() < end;) {
    if (done()) return true;
    std::this_thread::yield();
  }
  return done();
}

}  // namespace megalith
