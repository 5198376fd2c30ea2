#include "megalith/kernels/math.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

using namespace megalith;

TEST_SUITE_BEGIN("kernels");

namespace {

using Array = void (*)(const float*, float*, int64_t);

// How far `got` is from `want`, in spacings of floats at `want`.
double ulps(float got, double want) {
  const auto nearest = static_cast<float>(want);
  if (std::isnan(want)) return std::isnan(got) ? 0 : 1e9;
  if (std::isinf(nearest) || std::isinf(got)) return got == nearest ? 0 : 1e9;
  const float size = std::abs(nearest);
  const double spacing = static_cast<double>(std::nextafter(size, std::numeric_limits<float>::infinity())) - size;
  return std::abs(got - want) / (std::isinf(spacing) ? std::ldexp(1.0, 104) : spacing);
}

// Floats of every sign and exponent, `step` bit patterns apart.
double worst(Array f, double (*exact)(double), uint32_t step, float* at) {
  constexpr size_t kBlock = 4096;
  std::vector<float> x, y(kBlock);
  double most = 0;
  uint64_t bits = 0;
  while (bits <= 0xFFFFFFFFu) {
    x.clear();
    for (; x.size() < kBlock && bits <= 0xFFFFFFFFu; bits += step)
      x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    f(x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double e = ulps(y[i], exact(static_cast<double>(x[i])));
      if (e > most) most = e, *at = x[i];
    }
  }
  return most;
}

struct Case {
  const char* name;
  Array f;
  double (*exact)(double);
};
const Case kCases[] = {
    {"exp", math::exp, [](double x) { return std::exp(x); }},
    {"log", math::log, [](double x) { return std::log(x); }},
    {"tanh", math::tanh, [](double x) { return std::tanh(x); }},
    {"sigmoid", math::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"erf", math::erf, [](double x) { return std::erf(x); }},
};

}  // namespace

TEST_CASE("elementary functions are within 2 ulp everywhere") {
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    float at = 0;
    const double most = worst(c.f, c.exact, 1999, &at);
    CAPTURE(at);
    CHECK(most <= 2);
  }
}

TEST_CASE("elementary functions of arrays give every element what it gets alone") {
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    for (int64_t n : {0, 1, 3, 7, 15, 16, 17, 33, 50}) {
      std::vector<float> x(static_cast<size_t>(n) + 1), y(x.size(), 5.f);
      for (size_t i = 0; i < x.size(); ++i) x[i] = 0.37f * static_cast<float>(i) - 3.f;
      c.f(x.data(), y.data(), n);
      CHECK(y[static_cast<size_t>(n)] == 5.f);
      for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
        float one;
        c.f(&x[i], &one, 1);
        CHECK((std::isnan(one) ? std::isnan(y[i]) : one == y[i]));
      }
    }
  }
}

TEST_SUITE_END();
