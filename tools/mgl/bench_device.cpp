// mgl bench-device: the limits of this machine, measured: multiply-adds per second and memory bandwidth.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "megalith/platform/thread_pool.h"
#include "tools/mgl/commands.h"
#include "tools/mgl/machine.h"
#include "tools/mgl/profile_json.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace mgl {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;
double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// Each loop keeps enough independent accumulators to hide the latency of its instructions, and an empty asm pins every
// accumulator to a register, so that the compiler can neither fold the arithmetic nor spill.
struct Isa {
  const char* name;
  void (*run)(long rounds);
  int lanes;
  int chains;      // multiply-adds per round
  const char* by;  // instructions
};

#if defined(__x86_64__)
#define MEGALITH_KEEP(v) asm volatile("" : "+x"(v))
// SSE2 has no FMA: as many multiplications as additions, each in chains of their own.
__attribute__((target("sse2"))) void peak_sse2(long rounds) {
  __m128 mul[7], add[7];
  __m128 one = _mm_set1_ps(1.0f), zero = _mm_set1_ps(0.0f);
  MEGALITH_KEEP(one);
  MEGALITH_KEEP(zero);
  for (int i = 0; i < 7; ++i) mul[i] = add[i] = _mm_set1_ps(static_cast<float>(i));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 7
    for (int i = 0; i < 7; ++i) {
      mul[i] = _mm_mul_ps(mul[i], one);
      add[i] = _mm_add_ps(add[i], zero);
      MEGALITH_KEEP(mul[i]);
      MEGALITH_KEEP(add[i]);
    }
  }
}
__attribute__((target("avx2,fma"))) void peak_avx2(long rounds) {
  __m256 acc[12], one = _mm256_set1_ps(1.0f), zero = _mm256_set1_ps(0.0f);
  MEGALITH_KEEP(one);
  MEGALITH_KEEP(zero);
  for (int i = 0; i < 12; ++i) acc[i] = _mm256_set1_ps(static_cast<float>(i));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) {
      acc[i] = _mm256_fmadd_ps(acc[i], one, zero);
      MEGALITH_KEEP(acc[i]);
    }
  }
}
__attribute__((target("avx512f"))) void peak_avx512(long rounds) {
#define MEGALITH_KEEP_Z(v) asm volatile("" : "+v"(v))
  __m512 acc[24], one = _mm512_set1_ps(1.0f), zero = _mm512_set1_ps(0.0f);
  MEGALITH_KEEP_Z(one);
  MEGALITH_KEEP_Z(zero);
  for (int i = 0; i < 24; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < 24; ++i) {
      acc[i] = _mm512_fmadd_ps(acc[i], one, zero);
      MEGALITH_KEEP_Z(acc[i]);
    }
  }
}
std::vector<Isa> peaks() {
  std::vector<Isa> r = {{"sse2", peak_sse2, 4, 7, "mulps + addps"}};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    r.push_back({"avx2", peak_avx2, 8, 12, "vfmadd on ymm"});
  if (__builtin_cpu_supports("avx512f")) r.push_back({"avx512", peak_avx512, 16, 24, "vfmadd on zmm"});
  return r;
}
// A chain of multiplications of 3 cycles each: what the clock is now.
double measured_ghz() {
  uint64_t x = 3;
  const long n = 500000;
  double best = 1e9;
  for (int k = 0; k < 200; ++k) {
    const auto start = Clock::now();
    for (long i = 0; i < n; i += 10) {
#pragma GCC unroll 10
      for (int j = 0; j < 10; ++j) asm volatile("imul %0, %0" : "+r"(x));
    }
    best = std::min(best, seconds_since(start));
  }
  return 3.0 * static_cast<double>(n) / best / 1e9;
}
#elif defined(__aarch64__)
void peak_neon(long rounds) {
  float32x4_t acc[24], one = vdupq_n_f32(1.0f), zero = vdupq_n_f32(0.0f);
  asm volatile("" : "+w"(one), "+w"(zero));
  for (int i = 0; i < 24; ++i) acc[i] = vdupq_n_f32(static_cast<float>(i));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < 24; ++i) {
      acc[i] = vfmaq_f32(acc[i], one, zero);
      asm volatile("" : "+w"(acc[i]));
    }
  }
}
std::vector<Isa> peaks() { return {{"neon", peak_neon, 4, 24, "fmla on v.4s"}}; }
double measured_ghz() {  // a chain of additions of 1 cycle each
  uint64_t x = 3, one = 1;
  const long n = 1500000;
  double best = 1e9;
  for (int k = 0; k < 200; ++k) {
    const auto start = Clock::now();
    for (long i = 0; i < n; i += 10) {
#pragma GCC unroll 10
      for (int j = 0; j < 10; ++j) asm volatile("add %0, %0, %1" : "+r"(x) : "r"(one));
    }
    best = std::min(best, seconds_since(start));
  }
  return static_cast<double>(n) / best / 1e9;
}
#else
void peak_scalar(long rounds) {
  float acc[8];
  for (int i = 0; i < 8; ++i) acc[i] = static_cast<float>(i);
  volatile float one = 1.0f, zero = 0.0f;
  const float m = one, a = zero;
  for (long r = 0; r < rounds; ++r) {
    for (float& v : acc) v = v * m + a;
  }
  for (float v : acc) one = v;
}
std::vector<Isa> peaks() { return {{"scalar", peak_scalar, 1, 8, "mul + add"}}; }
double measured_ghz() { return 0; }
#endif

// Seconds from the start of the first thread's f(thread) to the end of the last one's; all are released together.
double on_threads(int threads, const std::function<void(int)>& f) {
  std::atomic<int> waiting{threads};
  std::vector<Clock::time_point> begins(static_cast<size_t>(threads)), ends(begins);
  const auto work = [&](int t) {
    waiting.fetch_sub(1);
    while (waiting.load() > 0) {
    }
    begins[static_cast<size_t>(t)] = Clock::now();
    f(t);
    ends[static_cast<size_t>(t)] = Clock::now();
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back(work, i);
  work(0);
  for (auto& w : workers) w.join();
  return std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) -
                                       *std::min_element(begins.begin(), begins.end()))
      .count();
}

typedef uint64_t Block __attribute__((vector_size(64)));

uint64_t read_all(const Block* p, size_t n) {
  Block a{}, b{}, c{}, d{};
  for (size_t i = 0; i + 4 <= n; i += 4) a ^= p[i], b ^= p[i + 1], c ^= p[i + 2], d ^= p[i + 3];
  a ^= b ^ c ^ d;
  return a[0];
}

struct Measure {
  std::string measure, kind;
  int threads;
  double value;
  const char* unit;
  json more;
};

void measure_peaks(std::vector<Measure>& out, const std::vector<int>& counts, double ghz) {
  for (const Isa& isa : peaks()) {
    for (int threads : counts) {
      // Many short bursts, of about 1 ms, and the fastest of them: most are not interrupted even on a busy machine.
      long rounds = 10000;
      double once = 1;
      for (int i = 0; i < 20; ++i) once = std::min(once, on_threads(1, [&](int) { isa.run(rounds); }));
      rounds = std::max(1L, static_cast<long>(static_cast<double>(rounds) * 0.001 / std::max(once, 1e-7)));
      double best = 0;
      for (int i = 0; i < 200; ++i) {
        const double s = on_threads(threads, [&](int) { isa.run(rounds); });
        const double flops = 2.0 * isa.chains * isa.lanes * static_cast<double>(rounds) * threads;
        best = std::max(best, flops / s / 1e9);
      }
      json more{{"instructions", isa.by}, {"lanes", isa.lanes}};
      if (ghz > 0) more["multiply_adds_per_cycle"] = best / (2.0 * isa.lanes * threads * ghz);
      out.push_back({"multiply-add", isa.name, threads, best, "GFLOP/s", more});
    }
  }
}

void measure_memory(std::vector<Measure>& out, const std::vector<int>& counts) {
  for (int threads : counts) {
    // More than the caches hold, in all.
    const size_t blocks =
        std::max(size_t{16} << 20, (size_t{256} << 20) / static_cast<size_t>(threads)) / sizeof(Block);
    std::vector<std::unique_ptr<Block[]>> from(static_cast<size_t>(threads)), to(from.size());
    on_threads(threads, [&](int t) {
      const auto i = static_cast<size_t>(t);
      from[i] = std::make_unique<Block[]>(blocks);
      to[i] = std::make_unique<Block[]>(blocks);
    });
    const double bytes = static_cast<double>(blocks * sizeof(Block)) * threads;
    volatile uint64_t sink = 0;
    double read = 0, write = 0, copy = 0;
    for (int i = 0; i < 5; ++i) {
      read = std::max(read, bytes / on_threads(threads, [&](int t) {
                              sink = read_all(from[static_cast<size_t>(t)].get(), blocks);
                            }));
      write = std::max(write, bytes / on_threads(threads, [&](int t) {
                                std::memset(static_cast<void*>(to[static_cast<size_t>(t)].get()), i,
                                            blocks * sizeof(Block));
                              }));
      copy = std::max(copy, 2 * bytes / on_threads(threads, [&](int t) {
                              std::memcpy(static_cast<void*>(to[static_cast<size_t>(t)].get()),
                                          from[static_cast<size_t>(t)].get(), blocks * sizeof(Block));
                            }));
    }
    out.push_back({"memory", "read", threads, read / 1e9, "GB/s", json::object()});
    out.push_back({"memory", "write", threads, write / 1e9, "GB/s", json::object()});
    out.push_back({"memory", "copy", threads, copy / 1e9, "GB/s", {{"counts", "bytes read and bytes written"}}});
  }
}

}  // namespace

int bench_device(const Args& args) {
  Options o(args);
  const bool as_json = o.flag("json");
  const int all = o.number("threads", megalith::default_threads());
  if (!o.rest().empty()) throw UsageError{"bench-device takes no file"};
  std::vector<int> counts = {1};
  if (all > 1) counts.push_back(all);
  const double ghz = measured_ghz();
  std::vector<Measure> measures;
  measure_peaks(measures, counts, ghz);
  measure_memory(measures, counts);
  if (as_json) {
    json list = json::array();
    for (const Measure& m : measures) {
      json j{{"measure", m.measure}, {"kind", m.kind}, {"threads", m.threads}, {"value", m.value}, {"unit", m.unit}};
      j.update(m.more);
      list.push_back(j);
    }
    std::fputs(json_text({{"device", device_json(all)},
                          {"environment", environment_json()},
                          {"measured_ghz", ghz > 0 ? json(ghz) : json(nullptr)},
                          {"measures", list}},
                         1)
                   .c_str(),
               stdout);
    return kOk;
  }
  std::printf("%s", cpu_name().c_str());
  if (ghz > 0) std::printf(", measured clock %.2f GHz", ghz);
  std::printf("\n");
  for (const Measure& m : measures) {
    std::printf("%-12s %-8s %3d thread%s %10.2f %s", m.measure.c_str(), m.kind.c_str(), m.threads,
                m.threads > 1 ? "s" : " ", m.value, m.unit);
    if (m.more.contains("multiply_adds_per_cycle"))
      std::printf("   %.2f %s a cycle", m.more["multiply_adds_per_cycle"].get<double>(),
                  m.more["instructions"].get<std::string>().c_str());
    std::printf("\n");
  }
  return kOk;
}

}  // namespace mgl
