#include "tools/mgl/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mgl {

using megalith::cat;
using megalith::Tensor;

namespace {

struct Moments {
  double mean = 0, dev = 0;
};
Moments moments(const Tensor& t) {
  Moments m;
  const auto n = static_cast<double>(std::max<int64_t>(t.count(), 1));
  for (int64_t i = 0; i < t.count(); ++i) m.mean += t.item(i) / n;
  for (int64_t i = 0; i < t.count(); ++i) m.dev += std::pow(t.item(i) - m.mean, 2) / n;
  m.dev = std::sqrt(m.dev);
  return m;
}

// `.npy` files have no name for quantized types: a recording holds the plain integers.
bool same_type(const Tensor& got, const Tensor& want) {
  if (got.dtype().id == want.dtype().id) return true;
  return got.dtype().is_quantized() && want.dtype().is_int() && got.dtype().bits() == want.dtype().bits();
}

}  // namespace

std::string index_of(const Tensor& t, int64_t i) {
  std::string s;
  for (int d = t.ndim() - 1; d >= 0; --d) {
    s = std::to_string(i % t.dim(d)) + (s.empty() ? "" : ",") + s;
    i /= t.dim(d);
  }
  return "[" + s + "]";
}

std::string compare(const Tensor& got, const Tensor& want, const Tolerance& tol) {
  if (!(got.shape() == want.shape()) && got.count() != want.count())
    return cat("shape ", got.shape(), ", expected ", want.shape());
  if (!(got.shape() == want.shape()) && !(got.ndim() <= 1 && want.ndim() <= 1))
    return cat("shape ", got.shape(), ", expected ", want.shape());
  if (!same_type(got, want)) return cat("type ", got.dtype().str(), ", expected ", want.dtype().str());
  if (tol.bits) {
    if (got.bytes() != want.bytes()) return cat("type ", got.dtype().str(), ", expected ", want.dtype().str());
    const size_t width = static_cast<size_t>(want.dtype().bits() / 8);
    for (int64_t i = 0; i < want.count(); ++i) {
      const auto at = static_cast<size_t>(i) * width;
      if (std::memcmp(got.data<char>() + at, want.data<char>() + at, width) != 0) {
        return cat("bits differ at ", index_of(want, i), ": got ", got.item(i), ", expected ", want.item(i));
      }
    }
    return "";
  }
  int64_t bad = 0, first = -1;
  double worst = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    double a = got.item(i), b = want.item(i);
    if (tol.up_to_sign) a = std::abs(a), b = std::abs(b);
    if ((std::isnan(a) && std::isnan(b)) || a == b) continue;
    const double diff = std::abs(a - b);
    if (diff <= tol.atol + tol.rtol * std::abs(b)) continue;
    if (first < 0) first = i;
    worst = std::max(worst, diff);
    ++bad;
  }
  if (first < 0) return "";
  return cat(bad, " of ", want.count(), " differ (at most ", worst, "), first at ", index_of(want, first), ": got ",
             got.item(first), ", expected ", want.item(first));
}

std::string compare_random(const Tensor& got, const Tensor& want) {
  if (!(got.shape() == want.shape())) return cat("shape ", got.shape(), ", expected ", want.shape());
  if (got.dtype().id != want.dtype().id) return cat("type ", got.dtype().str(), ", expected ", want.dtype().str());
  const Moments a = moments(got), b = moments(want);
  const double slack = (a.dev + b.dev) * 4 / std::sqrt(static_cast<double>(std::max<int64_t>(want.count(), 1))) + 1e-6;
  if (std::abs(a.mean - b.mean) > slack) return cat("mean ", a.mean, ", recorded ", b.mean);
  if (std::abs(a.dev - b.dev) > slack + 0.25 * b.dev) return cat("deviation ", a.dev, ", recorded ", b.dev);
  return "";
}

}  // namespace mgl
