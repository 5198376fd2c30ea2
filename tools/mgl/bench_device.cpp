// mgl bench-device: the limits of this machine, measured: multiply-adds per second and memory bandwidth.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "megalith/platform/thread_pool.h"
#include "tools/mgl/commands.h"

namespace mgl {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// Vectors of the GNU extension; the loops below are compiled once per instruction set.
template <int N>
struct Vec {
  typedef float Type __attribute__((vector_size(N * 4)));
};

#define MEGALITH_PEAK_BODY(N)                               \
  typename Vec<N>::Type acc[12], m, a;                      \
  for (int i = 0; i < N; ++i) m[i] = 0.999f, a[i] = 0.001f; \
  for (auto& v : acc) v = a;                                \
  for (long i = 0; i < rounds; ++i) {                       \
    for (auto& v : acc) v = v * m + a;                      \
    asm volatile("" ::: "memory");                          \
  }                                                         \
  float s = 0;                                              \
  for (auto& v : acc) s += v[0];                            \
  return s;

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target("avx2,fma"), optimize("O3,fp-contract=fast"))) float peak_avx2(long rounds) {
  MEGALITH_PEAK_BODY(8)
}
__attribute__((target("avx512f,fma"), optimize("O3,fp-contract=fast"))) float peak_avx512(long rounds) {
  MEGALITH_PEAK_BODY(16)
}
#endif
float peak_base(long rounds) { MEGALITH_PEAK_BODY(4) }

struct Isa {
  const char* name;
  float (*run)(long);
  int lanes;
};

std::vector<Isa> instruction_sets() {
  std::vector<Isa> r = {{"baseline", peak_base, 4}};
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) r.push_back({"avx2", peak_avx2, 8});
  if (__builtin_cpu_supports("avx512f")) r.push_back({"avx512", peak_avx512, 16});
#endif
  return r;
}

template <class F>
double on_threads(int threads, F&& f) {  // seconds
  const auto start = Clock::now();
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back(f, i);
  f(0);
  for (auto& w : workers) w.join();
  return seconds_since(start);
}

}  // namespace

int bench_device(const Args& args) {
  Options o(args);
  const bool as_json = o.flag("json");
  o.rest();
  const int all = megalith::default_threads();
  std::vector<int> counts = {1};
  if (all > 1) counts.push_back(all);
  volatile float sink = 0;
  bool first = true;
  if (as_json) std::printf("[");
  const auto report = [&](const char* what, const char* kind, int threads, double value, const char* unit) {
    if (as_json)
      std::printf("%s\n {\"measure\": \"%s\", \"kind\": \"%s\", \"threads\": %d, \"value\": %.2f, \"unit\": \"%s\"}",
                  first ? "" : ",", what, kind, threads, value, unit);
    else
      std::printf("%-12s %-10s %3d thread%s  %10.2f %s\n", what, kind, threads, threads > 1 ? "s" : " ", value, unit);
    first = false;
  };
  for (const Isa& isa : instruction_sets()) {
    for (int threads : counts) {
      const long rounds = 2000000;
      double best = 0;
      for (int i = 0; i < 5; ++i) {
        const double s = on_threads(threads, [&](int) { sink = isa.run(rounds); });
        best = std::max(best, 2.0 * 12 * isa.lanes * static_cast<double>(rounds) * threads / s / 1e9);
      }
      report("multiply-add", isa.name, threads, best, "GFLOP/s");
    }
  }
  const size_t n = size_t{64} << 20;  // bytes per thread
  for (int threads : counts) {
    std::vector<std::vector<uint64_t>> blocks(static_cast<size_t>(threads), std::vector<uint64_t>(n / 8, 1));
    double best = 0;
    for (int i = 0; i < 4; ++i) {
      const double s = on_threads(threads, [&](int t) {
        uint64_t sum = 0;
        for (uint64_t v : blocks[static_cast<size_t>(t)]) sum += v;
        sink = static_cast<float>(sum);
      });
      best = std::max(best, static_cast<double>(n) * threads / s / 1e9);
    }
    report("memory", "read", threads, best, "GB/s");
  }
  if (as_json) std::printf("\n]\n");
  return kOk;
}

}  // namespace mgl
