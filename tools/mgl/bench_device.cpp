// mgl bench-device: the limits of this machine, measured: multiply-adds per second and memory bandwidth.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "megalith/platform/huge_pages.h"
#include "megalith/platform/limits.h"
#include "tools/mgl/commands.h"
#include "tools/mgl/machine.h"
#include "tools/mgl/profile_json.h"

namespace mgl {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;
[[maybe_unused]] double seconds_since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

// Each loop has enough independent accumulators to hide the latency of its instructions. The loops are written in
// assembly: what is counted is what runs. All registers are zero: values don't change the speed, but denormals would.
struct Isa {
  const char* name;
  void (*run)(long rounds);
  int lanes;
  int chains;      // multiply-adds per round
  const char* by;  // instructions
  // The same with a multiplication and an addition in place of a fused one: what code whose results must not depend
  // on fusing can reach. Null: run does that.
  void (*run_apart)(long rounds) = nullptr;
  int chains_apart = 0;
  const char* by_apart = nullptr;
};

#if defined(__x86_64__)
// SSE2 has no FMA: as many multiplications as additions, each in chains of their own.
__attribute__((target("sse2"))) void peak_sse2(long rounds) {
  asm volatile(
      "xorps %%xmm0, %%xmm0; xorps %%xmm1, %%xmm1\n"
      "xorps %%xmm2, %%xmm2; xorps %%xmm3, %%xmm3\n"
      "xorps %%xmm4, %%xmm4; xorps %%xmm5, %%xmm5\n"
      "xorps %%xmm6, %%xmm6; xorps %%xmm7, %%xmm7\n"
      "xorps %%xmm8, %%xmm8; xorps %%xmm9, %%xmm9\n"
      "xorps %%xmm10, %%xmm10; xorps %%xmm11, %%xmm11\n"
      "xorps %%xmm12, %%xmm12; xorps %%xmm13, %%xmm13\n"
      "xorps %%xmm14, %%xmm14; xorps %%xmm15, %%xmm15\n"
      "1:\n"
      "mulps %%xmm14, %%xmm0; addps %%xmm15, %%xmm1\n"
      "mulps %%xmm14, %%xmm2; addps %%xmm15, %%xmm3\n"
      "mulps %%xmm14, %%xmm4; addps %%xmm15, %%xmm5\n"
      "mulps %%xmm14, %%xmm6; addps %%xmm15, %%xmm7\n"
      "mulps %%xmm14, %%xmm8; addps %%xmm15, %%xmm9\n"
      "mulps %%xmm14, %%xmm10; addps %%xmm15, %%xmm11\n"
      "mulps %%xmm14, %%xmm12; addps %%xmm15, %%xmm13\n"
      "dec %0\n"
      "jnz 1b"
      : "+r"(rounds)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15");
}
__attribute__((target("avx2,fma"))) void peak_avx2(long rounds) {
  asm volatile(
      "vxorps %%ymm0, %%ymm0, %%ymm0; vxorps %%ymm1, %%ymm1, %%ymm1\n"
      "vxorps %%ymm2, %%ymm2, %%ymm2; vxorps %%ymm3, %%ymm3, %%ymm3\n"
      "vxorps %%ymm4, %%ymm4, %%ymm4; vxorps %%ymm5, %%ymm5, %%ymm5\n"
      "vxorps %%ymm6, %%ymm6, %%ymm6; vxorps %%ymm7, %%ymm7, %%ymm7\n"
      "vxorps %%ymm8, %%ymm8, %%ymm8; vxorps %%ymm9, %%ymm9, %%ymm9\n"
      "vxorps %%ymm10, %%ymm10, %%ymm10; vxorps %%ymm11, %%ymm11, %%ymm11\n"
      "vxorps %%ymm14, %%ymm14, %%ymm14; vxorps %%ymm15, %%ymm15, %%ymm15\n"
      "1:\n"
      "vfmadd231ps %%ymm15, %%ymm14, %%ymm0; vfmadd231ps %%ymm15, %%ymm14, %%ymm1\n"
      "vfmadd231ps %%ymm15, %%ymm14, %%ymm2; vfmadd231ps %%ymm15, %%ymm14, %%ymm3\n"
      "vfmadd231ps %%ymm15, %%ymm14, %%ymm4; vfmadd231ps %%ymm15, %%ymm14, %%ymm5\n"
      "vfmadd231ps %%ymm15, %%ymm14, %%ymm6; vfmadd231ps %%ymm15, %%ymm14, %%ymm7\n"
      "vfmadd231ps %%ymm15, %%ymm14, %%ymm8; vfmadd231ps %%ymm15, %%ymm14, %%ymm9\n"
      "vfmadd231ps %%ymm15, %%ymm14, %%ymm10; vfmadd231ps %%ymm15, %%ymm14, %%ymm11\n"
      "dec %0\n"
      "jnz 1b"
      : "+r"(rounds)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14",
        "xmm15");
}
__attribute__((target("avx512f"))) void peak_avx512(long rounds) {
  asm volatile(
      "vpxorq %%zmm0, %%zmm0, %%zmm0; vpxorq %%zmm1, %%zmm1, %%zmm1\n"
      "vpxorq %%zmm2, %%zmm2, %%zmm2; vpxorq %%zmm3, %%zmm3, %%zmm3\n"
      "vpxorq %%zmm4, %%zmm4, %%zmm4; vpxorq %%zmm5, %%zmm5, %%zmm5\n"
      "vpxorq %%zmm6, %%zmm6, %%zmm6; vpxorq %%zmm7, %%zmm7, %%zmm7\n"
      "vpxorq %%zmm8, %%zmm8, %%zmm8; vpxorq %%zmm9, %%zmm9, %%zmm9\n"
      "vpxorq %%zmm10, %%zmm10, %%zmm10; vpxorq %%zmm11, %%zmm11, %%zmm11\n"
      "vpxorq %%zmm12, %%zmm12, %%zmm12; vpxorq %%zmm13, %%zmm13, %%zmm13\n"
      "vpxorq %%zmm14, %%zmm14, %%zmm14; vpxorq %%zmm15, %%zmm15, %%zmm15\n"
      "vpxorq %%zmm16, %%zmm16, %%zmm16; vpxorq %%zmm17, %%zmm17, %%zmm17\n"
      "vpxorq %%zmm18, %%zmm18, %%zmm18; vpxorq %%zmm19, %%zmm19, %%zmm19\n"
      "vpxorq %%zmm20, %%zmm20, %%zmm20; vpxorq %%zmm21, %%zmm21, %%zmm21\n"
      "vpxorq %%zmm22, %%zmm22, %%zmm22; vpxorq %%zmm23, %%zmm23, %%zmm23\n"
      "vpxorq %%zmm30, %%zmm30, %%zmm30; vpxorq %%zmm31, %%zmm31, %%zmm31\n"
      "1:\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm0; vfmadd231ps %%zmm31, %%zmm30, %%zmm1\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm2; vfmadd231ps %%zmm31, %%zmm30, %%zmm3\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm4; vfmadd231ps %%zmm31, %%zmm30, %%zmm5\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm6; vfmadd231ps %%zmm31, %%zmm30, %%zmm7\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm8; vfmadd231ps %%zmm31, %%zmm30, %%zmm9\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm10; vfmadd231ps %%zmm31, %%zmm30, %%zmm11\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm12; vfmadd231ps %%zmm31, %%zmm30, %%zmm13\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm14; vfmadd231ps %%zmm31, %%zmm30, %%zmm15\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm16; vfmadd231ps %%zmm31, %%zmm30, %%zmm17\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm18; vfmadd231ps %%zmm31, %%zmm30, %%zmm19\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm20; vfmadd231ps %%zmm31, %%zmm30, %%zmm21\n"
      "vfmadd231ps %%zmm31, %%zmm30, %%zmm22; vfmadd231ps %%zmm31, %%zmm30, %%zmm23\n"
      "dec %0\n"
      "jnz 1b"
      : "+r"(rounds)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm30",
        "xmm31");
}
__attribute__((target("avx2"))) void apart_avx2(long rounds) {
  asm volatile(
      "vxorps %%ymm0, %%ymm0, %%ymm0; vxorps %%ymm1, %%ymm1, %%ymm1\n"
      "vxorps %%ymm2, %%ymm2, %%ymm2; vxorps %%ymm3, %%ymm3, %%ymm3\n"
      "vxorps %%ymm4, %%ymm4, %%ymm4; vxorps %%ymm5, %%ymm5, %%ymm5\n"
      "vxorps %%ymm6, %%ymm6, %%ymm6; vxorps %%ymm7, %%ymm7, %%ymm7\n"
      "vxorps %%ymm8, %%ymm8, %%ymm8; vxorps %%ymm9, %%ymm9, %%ymm9\n"
      "vxorps %%ymm10, %%ymm10, %%ymm10; vxorps %%ymm11, %%ymm11, %%ymm11\n"
      "vxorps %%ymm12, %%ymm12, %%ymm12; vxorps %%ymm13, %%ymm13, %%ymm13\n"
      "vxorps %%ymm14, %%ymm14, %%ymm14; vxorps %%ymm15, %%ymm15, %%ymm15\n"
      "1:\n"
      "vmulps %%ymm14, %%ymm0, %%ymm0; vaddps %%ymm15, %%ymm7, %%ymm7\n"
      "vmulps %%ymm14, %%ymm1, %%ymm1; vaddps %%ymm15, %%ymm8, %%ymm8\n"
      "vmulps %%ymm14, %%ymm2, %%ymm2; vaddps %%ymm15, %%ymm9, %%ymm9\n"
      "vmulps %%ymm14, %%ymm3, %%ymm3; vaddps %%ymm15, %%ymm10, %%ymm10\n"
      "vmulps %%ymm14, %%ymm4, %%ymm4; vaddps %%ymm15, %%ymm11, %%ymm11\n"
      "vmulps %%ymm14, %%ymm5, %%ymm5; vaddps %%ymm15, %%ymm12, %%ymm12\n"
      "vmulps %%ymm14, %%ymm6, %%ymm6; vaddps %%ymm15, %%ymm13, %%ymm13\n"
      "dec %0\n"
      "jnz 1b"
      : "+r"(rounds)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15");
}
__attribute__((target("avx512f"))) void apart_avx512(long rounds) {
  asm volatile(
      "vpxorq %%zmm0, %%zmm0, %%zmm0; vpxorq %%zmm1, %%zmm1, %%zmm1\n"
      "vpxorq %%zmm2, %%zmm2, %%zmm2; vpxorq %%zmm3, %%zmm3, %%zmm3\n"
      "vpxorq %%zmm4, %%zmm4, %%zmm4; vpxorq %%zmm5, %%zmm5, %%zmm5\n"
      "vpxorq %%zmm6, %%zmm6, %%zmm6; vpxorq %%zmm7, %%zmm7, %%zmm7\n"
      "vpxorq %%zmm8, %%zmm8, %%zmm8; vpxorq %%zmm9, %%zmm9, %%zmm9\n"
      "vpxorq %%zmm10, %%zmm10, %%zmm10; vpxorq %%zmm11, %%zmm11, %%zmm11\n"
      "vpxorq %%zmm12, %%zmm12, %%zmm12; vpxorq %%zmm13, %%zmm13, %%zmm13\n"
      "vpxorq %%zmm14, %%zmm14, %%zmm14; vpxorq %%zmm15, %%zmm15, %%zmm15\n"
      "vpxorq %%zmm16, %%zmm16, %%zmm16; vpxorq %%zmm17, %%zmm17, %%zmm17\n"
      "vpxorq %%zmm18, %%zmm18, %%zmm18; vpxorq %%zmm19, %%zmm19, %%zmm19\n"
      "vpxorq %%zmm20, %%zmm20, %%zmm20; vpxorq %%zmm21, %%zmm21, %%zmm21\n"
      "vpxorq %%zmm22, %%zmm22, %%zmm22; vpxorq %%zmm23, %%zmm23, %%zmm23\n"
      "vpxorq %%zmm30, %%zmm30, %%zmm30; vpxorq %%zmm31, %%zmm31, %%zmm31\n"
      "1:\n"
      "vmulps %%zmm30, %%zmm0, %%zmm0; vaddps %%zmm31, %%zmm12, %%zmm12\n"
      "vmulps %%zmm30, %%zmm1, %%zmm1; vaddps %%zmm31, %%zmm13, %%zmm13\n"
      "vmulps %%zmm30, %%zmm2, %%zmm2; vaddps %%zmm31, %%zmm14, %%zmm14\n"
      "vmulps %%zmm30, %%zmm3, %%zmm3; vaddps %%zmm31, %%zmm15, %%zmm15\n"
      "vmulps %%zmm30, %%zmm4, %%zmm4; vaddps %%zmm31, %%zmm16, %%zmm16\n"
      "vmulps %%zmm30, %%zmm5, %%zmm5; vaddps %%zmm31, %%zmm17, %%zmm17\n"
      "vmulps %%zmm30, %%zmm6, %%zmm6; vaddps %%zmm31, %%zmm18, %%zmm18\n"
      "vmulps %%zmm30, %%zmm7, %%zmm7; vaddps %%zmm31, %%zmm19, %%zmm19\n"
      "vmulps %%zmm30, %%zmm8, %%zmm8; vaddps %%zmm31, %%zmm20, %%zmm20\n"
      "vmulps %%zmm30, %%zmm9, %%zmm9; vaddps %%zmm31, %%zmm21, %%zmm21\n"
      "vmulps %%zmm30, %%zmm10, %%zmm10; vaddps %%zmm31, %%zmm22, %%zmm22\n"
      "vmulps %%zmm30, %%zmm11, %%zmm11; vaddps %%zmm31, %%zmm23, %%zmm23\n"
      "dec %0\n"
      "jnz 1b"
      : "+r"(rounds)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm30",
        "xmm31");
}
std::vector<Isa> peaks() {
  std::vector<Isa> r = {{"sse2", peak_sse2, 4, 7, "mulps + addps"}};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    r.push_back({"avx2", peak_avx2, 8, 12, "vfmadd on ymm", apart_avx2, 7, "vmulps + vaddps on ymm"});
  if (__builtin_cpu_supports("avx512f"))
    r.push_back({"avx512", peak_avx512, 16, 24, "vfmadd on zmm", apart_avx512, 12, "vmulps + vaddps on zmm"});
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
  asm volatile(
      "movi v0.4s, #0; movi v1.4s, #0\n"
      "movi v2.4s, #0; movi v3.4s, #0\n"
      "movi v4.4s, #0; movi v5.4s, #0\n"
      "movi v6.4s, #0; movi v7.4s, #0\n"
      "movi v8.4s, #0; movi v9.4s, #0\n"
      "movi v10.4s, #0; movi v11.4s, #0\n"
      "movi v12.4s, #0; movi v13.4s, #0\n"
      "movi v14.4s, #0; movi v15.4s, #0\n"
      "movi v16.4s, #0; movi v17.4s, #0\n"
      "movi v18.4s, #0; movi v19.4s, #0\n"
      "movi v20.4s, #0; movi v21.4s, #0\n"
      "movi v22.4s, #0; movi v23.4s, #0\n"
      "movi v30.4s, #0; movi v31.4s, #0\n"
      "1:\n"
      "fmla v0.4s, v30.4s, v31.4s; fmla v1.4s, v30.4s, v31.4s\n"
      "fmla v2.4s, v30.4s, v31.4s; fmla v3.4s, v30.4s, v31.4s\n"
      "fmla v4.4s, v30.4s, v31.4s; fmla v5.4s, v30.4s, v31.4s\n"
      "fmla v6.4s, v30.4s, v31.4s; fmla v7.4s, v30.4s, v31.4s\n"
      "fmla v8.4s, v30.4s, v31.4s; fmla v9.4s, v30.4s, v31.4s\n"
      "fmla v10.4s, v30.4s, v31.4s; fmla v11.4s, v30.4s, v31.4s\n"
      "fmla v12.4s, v30.4s, v31.4s; fmla v13.4s, v30.4s, v31.4s\n"
      "fmla v14.4s, v30.4s, v31.4s; fmla v15.4s, v30.4s, v31.4s\n"
      "fmla v16.4s, v30.4s, v31.4s; fmla v17.4s, v30.4s, v31.4s\n"
      "fmla v18.4s, v30.4s, v31.4s; fmla v19.4s, v30.4s, v31.4s\n"
      "fmla v20.4s, v30.4s, v31.4s; fmla v21.4s, v30.4s, v31.4s\n"
      "fmla v22.4s, v30.4s, v31.4s; fmla v23.4s, v30.4s, v31.4s\n"
      "subs %0, %0, #1\n"
      "b.ne 1b"
      : "+r"(rounds)
      :
      : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
        "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v30", "v31");
}
void apart_neon(long rounds) {
  asm volatile(
      "movi v0.4s, #0; movi v1.4s, #0\n"
      "movi v2.4s, #0; movi v3.4s, #0\n"
      "movi v4.4s, #0; movi v5.4s, #0\n"
      "movi v6.4s, #0; movi v7.4s, #0\n"
      "movi v8.4s, #0; movi v9.4s, #0\n"
      "movi v10.4s, #0; movi v11.4s, #0\n"
      "movi v12.4s, #0; movi v13.4s, #0\n"
      "movi v14.4s, #0; movi v15.4s, #0\n"
      "movi v16.4s, #0; movi v17.4s, #0\n"
      "movi v18.4s, #0; movi v19.4s, #0\n"
      "movi v20.4s, #0; movi v21.4s, #0\n"
      "movi v22.4s, #0; movi v23.4s, #0\n"
      "movi v30.4s, #0; movi v31.4s, #0\n"
      "1:\n"
      "fmul v0.4s, v0.4s, v30.4s; fadd v12.4s, v12.4s, v31.4s\n"
      "fmul v1.4s, v1.4s, v30.4s; fadd v13.4s, v13.4s, v31.4s\n"
      "fmul v2.4s, v2.4s, v30.4s; fadd v14.4s, v14.4s, v31.4s\n"
      "fmul v3.4s, v3.4s, v30.4s; fadd v15.4s, v15.4s, v31.4s\n"
      "fmul v4.4s, v4.4s, v30.4s; fadd v16.4s, v16.4s, v31.4s\n"
      "fmul v5.4s, v5.4s, v30.4s; fadd v17.4s, v17.4s, v31.4s\n"
      "fmul v6.4s, v6.4s, v30.4s; fadd v18.4s, v18.4s, v31.4s\n"
      "fmul v7.4s, v7.4s, v30.4s; fadd v19.4s, v19.4s, v31.4s\n"
      "fmul v8.4s, v8.4s, v30.4s; fadd v20.4s, v20.4s, v31.4s\n"
      "fmul v9.4s, v9.4s, v30.4s; fadd v21.4s, v21.4s, v31.4s\n"
      "fmul v10.4s, v10.4s, v30.4s; fadd v22.4s, v22.4s, v31.4s\n"
      "fmul v11.4s, v11.4s, v30.4s; fadd v23.4s, v23.4s, v31.4s\n"
      "subs %0, %0, #1\n"
      "b.ne 1b"
      : "+r"(rounds)
      :
      : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
        "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v30", "v31");
}
std::vector<Isa> peaks() { return {{"neon", peak_neon, 4, 24, "fmla on v.4s", apart_neon, 12, "fmul + fadd on v.4s"}}; }
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

// Four streams, as each lets the processor ask for more lines at once. V is a register of the target: wider vectors are
// kept in memory by GCC, which then is what is measured (16 GB/s from every cache with AVX2 and 64 bytes).
template <class V>
__attribute__((always_inline)) inline uint64_t read_streams(const Block* blocks, size_t n) {
  constexpr size_t kVectors = sizeof(Block) / sizeof(V);
  const size_t part = n / 4 * kVectors;
  const V *p = reinterpret_cast<const V*>(blocks), *q = p + part, *r = q + part, *s = r + part;
  V a{}, b{}, c{}, d{};
  for (size_t i = 0; i < part; i += kVectors) {
#pragma GCC unroll 4
    for (size_t k = 0; k < kVectors; ++k) a ^= p[i + k], b ^= q[i + k], c ^= r[i + k], d ^= s[i + k];
  }
  a ^= b ^ c ^ d;
  return a[0];
}
template <size_t kBytes>
struct Vector {
  typedef uint64_t type __attribute__((vector_size(kBytes), may_alias));
};
uint64_t read_plain(const Block* p, size_t n) { return read_streams<Vector<16>::type>(p, n); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) uint64_t read_avx2(const Block* p, size_t n) {
  return read_streams<Vector<32>::type>(p, n);
}
__attribute__((target("avx512f"))) uint64_t read_avx512(const Block* p, size_t n) { return read_streams<Block>(p, n); }
#endif
uint64_t read_all(const Block* p, size_t n) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return read_avx512(p, n);
  if (__builtin_cpu_supports("avx2")) return read_avx2(p, n);
#endif
  return read_plain(p, n);
}

struct Measure {
  std::string measure, kind;
  int threads;
  double value;
  const char* unit;
  json more;
};

// Operations per second of a loop of `flops` a round. Many short bursts, of about 1 ms, and the fastest of them: most
// are not interrupted even on a busy machine.
double peak_of(void (*run)(long), double flops, int threads) {
  long rounds = 10000;
  double once = 1;
  for (int i = 0; i < 20; ++i) once = std::min(once, on_threads(1, [&](int) { run(rounds); }));
  rounds = std::max(1L, static_cast<long>(static_cast<double>(rounds) * 0.001 / std::max(once, 1e-7)));
  double best = 0;
  for (int i = 0; i < 100; ++i) {
    const double s = on_threads(threads, [&](int) { run(rounds); });
    best = std::max(best, flops * static_cast<double>(rounds) * threads / s);
  }
  return best / 1e9;
}

void measure_peaks(std::vector<Measure>& out, const std::vector<int>& counts, double ghz) {
  for (const Isa& isa : peaks()) {
    for (int threads : counts) {
      const auto add = [&](const char* measure, double value, const char* by) {
        json more{{"instructions", by}, {"lanes", isa.lanes}};
        if (ghz > 0) more["multiply_adds_per_cycle"] = value / (2.0 * isa.lanes * threads * ghz);
        out.push_back({measure, isa.name, threads, value, "GFLOP/s", more});
      };
      const double fused = peak_of(isa.run, 2.0 * isa.chains * isa.lanes, threads);
      add("multiply-add", fused, isa.by);
      if (isa.run_apart) {
        add("multiply, then add", peak_of(isa.run_apart, 2.0 * isa.chains_apart * isa.lanes, threads), isa.by_apart);
      } else {
        add("multiply, then add", fused, isa.by);
      }
    }
  }
}

// Memory that each thread wrote to first, in large pages where there are some.
class Buffer {
 public:
  explicit Buffer(size_t blocks) : blocks_(blocks) {
    const size_t bytes = (blocks * sizeof(Block) + megalith::kHugePage - 1) / megalith::kHugePage * megalith::kHugePage;
    memory_.reset(static_cast<Block*>(::operator new(bytes, std::align_val_t{megalith::kHugePage})));
    megalith::advise_huge_pages(memory_.get(), bytes);
    std::memset(static_cast<void*>(memory_.get()), 0, bytes);
  }
  Block* get() const { return memory_.get(); }
  size_t blocks() const { return blocks_; }

 private:
  struct Free {
    void operator()(Block* p) const { ::operator delete(p, std::align_val_t{megalith::kHugePage}); }
  };
  size_t blocks_;
  std::unique_ptr<Block, Free> memory_;
};
using Buffers = std::vector<std::unique_ptr<Buffer>>;

Buffers buffers(int threads, size_t blocks) {
  Buffers r(static_cast<size_t>(threads));
  on_threads(threads, [&](int t) { r[static_cast<size_t>(t)] = std::make_unique<Buffer>(blocks); });
  return r;
}

// Reads of a set again and again, each thread one of its own: caches. Up to what no cache of today holds. Always from
// the beginning; and in pieces, in turns from the first and from the last one, as a recurrent layer reads its weights
// in every step: so a set of about a cache's size finds in it what was read last.
void measure_caches(std::vector<Measure>& out, const std::vector<int>& counts) {
  constexpr size_t kPieces = 8;
  for (size_t bytes : {16u << 10, 32u << 10, 128u << 10, 512u << 10, 1u << 20, 4u << 20, 16u << 20, 32u << 20}) {
    for (int threads : counts) {
      const Buffers sets = buffers(threads, bytes / sizeof(Block));
      const long times = std::max(2L, static_cast<long>((4u << 20) / bytes));
      volatile uint64_t sink = 0;
      const auto measure = [&](const char* name, const std::function<void(const Buffer&, bool)>& read) {
        double best = 0;
        for (int i = 0; i < 20; ++i) {
          const double s = on_threads(threads, [&](int t) {
            for (long k = 0; k < times; ++k) read(*sets[static_cast<size_t>(t)], k % 2 == 1);
          });
          best = std::max(best, static_cast<double>(bytes) * static_cast<double>(times) * threads / s);
        }
        out.push_back({name, "read", threads, best / 1e9, "GB/s", {{"bytes", bytes}}});
      };
      measure("cache", [&](const Buffer& set, bool) { sink = read_all(set.get(), set.blocks()); });
      measure("cache, to and fro", [&](const Buffer& set, bool back) {
        const size_t piece = set.blocks() / kPieces;
        for (size_t i = 0; i < kPieces; ++i) sink = read_all(set.get() + (back ? kPieces - 1 - i : i) * piece, piece);
      });
    }
  }
}

void measure_memory(std::vector<Measure>& out, const std::vector<int>& counts) {
  for (int threads : counts) {
    // More than the caches hold, in all; in parts, of which the fastest counts.
    const size_t part = (size_t{16} << 20) / sizeof(Block);
    const size_t blocks =
        std::max(size_t{32} << 20, (size_t{256} << 20) / static_cast<size_t>(threads)) / sizeof(Block);
    const Buffers from = buffers(threads, blocks), to = buffers(threads, blocks);
    const double bytes = static_cast<double>(part * sizeof(Block)) * threads;
    volatile uint64_t sink = 0;
    const auto passes = [&](double counted, const std::function<void(Block*, const Block*)>& f) {
      double best = 0;
      for (int i = 0; i < 5; ++i) {
        for (size_t begin = 0; begin + part <= blocks; begin += part) {
          best = std::max(best, counted / on_threads(threads, [&](int t) {
                                  const auto k = static_cast<size_t>(t);
                                  f(to[k]->get() + begin, from[k]->get() + begin);
                                }));
        }
      }
      return best;
    };
    const double read = passes(bytes, [&](Block*, const Block* p) { sink = read_all(p, part); });
    const double write =
        passes(bytes, [&](Block* p, const Block*) { std::memset(static_cast<void*>(p), 1, part * sizeof(Block)); });
    const double copy = passes(
        2 * bytes, [&](Block* p, const Block* q) { std::memcpy(static_cast<void*>(p), q, part * sizeof(Block)); });
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
  measure_caches(measures, counts);
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
    std::printf("%-18s %-6s %3d thread%s %10.2f %s", m.measure.c_str(), m.kind.c_str(), m.threads,
                m.threads > 1 ? "s" : " ", m.value, m.unit);
    if (m.more.contains("multiply_adds_per_cycle"))
      std::printf("   %.2f %s a cycle", m.more["multiply_adds_per_cycle"].get<double>(),
                  m.more["instructions"].get<std::string>().c_str());
    if (m.more.contains("bytes")) std::printf("   %zu KiB", m.more["bytes"].get<size_t>() >> 10);
    std::printf("\n");
  }
  return kOk;
}

}  // namespace mgl
