#include "megalith/ops/elemwise/modes.h"

namespace megalith::elemwise {

// Newton steps on erf in double, from Winitzki's approximation.
static double erfinv_double(double x) {
  if (x <= -1 || x >= 1) return x == 1 ? INFINITY : x == -1 ? -INFINITY : NAN;
  const double w = -std::log((1 - x) * (1 + x)), a = 0.147;
  const double t = 2 / (3.14159265358979323846 * a) - w / 2;
  double y = std::copysign(std::sqrt(std::sqrt(t * t + w / a) - t), x);
  for (int i = 0; i < 3; ++i) y -= (std::erf(y) - x) / (1.1283791670955126 * std::exp(-y * y));
  return y;
}

float erfinv(float x) { return static_cast<float>(erfinv_double(x)); }

float erfcinv(float x) {
  if (x > 0.1f) return static_cast<float>(erfinv_double(1.0 - x));
  if (x <= 0) return x == 0 ? INFINITY : NAN;
  // Near zero 1 - x loses digits: iterate on erfc itself.
  double y = std::sqrt(-std::log(static_cast<double>(x) * std::sqrt(3.14159265358979323846)));
  for (int i = 0; i < 30; ++i) {
    const double step = (std::erfc(y) - x) / (1.1283791670955126 * std::exp(-y * y));
    y += step;
    if (std::abs(step) < 1e-12) break;
  }
  return static_cast<float>(y);
}

int64_t floor_div(int64_t x, int64_t y) {
  if (y == 0) return 0;
  const int64_t q = x / y;
  return x % y != 0 && ((x < 0) != (y < 0)) ? q - 1 : q;
}

int64_t rounding_mulh(int64_t x, int64_t y, int bits) {
  const int64_t lowest = -(int64_t{1} << (bits - 1));
  if (x == lowest && y == lowest) return -(lowest + 1);
  const int64_t p = x * y, half = int64_t{1} << (bits - 2);
  return (p >= 0 ? p + half : p + 1 - half) / (int64_t{1} << (bits - 1));
}

}  // namespace megalith::elemwise
