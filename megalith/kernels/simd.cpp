#include "megalith/kernels/simd.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "megalith/error.h"

namespace megalith {
namespace {

Isa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  const Isa best = vnni ? Isa::kAvx512Vnni : avx512 ? Isa::kAvx512 : avx2 ? Isa::kAvx2 : Isa::kBaseline;
#else
  const Isa best = Isa::kBaseline;
#endif
  const char* wanted = std::getenv("MEGALITH_ISA");
  if (!wanted || !*wanted) return best;
  const std::string_view w = wanted;
  if (w == "baseline") return Isa::kBaseline;
  if (w == "avx2") return std::min(best, Isa::kAvx2);
  if (w == "avx512") return std::min(best, Isa::kAvx512);
  if (w == "avx512vnni") return best;
  throw Error(cat("MEGALITH_ISA is '", wanted, "'; it can be baseline, avx2, avx512 or avx512vnni"));
}

}  // namespace

Isa isa() {
  static const Isa chosen = detect();
  return chosen;
}

std::string isa_name() {
  switch (isa()) {
    case Isa::kAvx512Vnni: return "avx512vnni";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx2: return "avx2";
    case Isa::kBaseline: break;
  }
#if defined(__aarch64__)
  return "neon";
#elif defined(__wasm_simd128__)
  return "wasm";
#else
  return "baseline";
#endif
}

}  // namespace megalith

// What failed checks inside Highway's headers call; its library, which has this function too, is not linked.
namespace hwy {
[[noreturn]] __attribute__((weak)) void Abort(const char* file, int line, const char* format, ...);
void Abort(const char* file, int line, const char* format, ...) {
#ifdef __EMSCRIPTEN__  // without the C library's way of formatting, which nothing else needs there
  std::fputs(format, stderr);
#else
  std::fprintf(stderr, "%s:%d: ", file, line);
  va_list args;
  va_start(args, format);
  std::vfprintf(stderr, format, args);
  va_end(args);
#endif
  std::fputc('\n', stderr);
  std::abort();
}
}  // namespace hwy
