#include "tools/mgl/stats.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace mgl {

Summary summarize(std::vector<double> v) {
  Summary s;
  s.count = v.size();
  if (v.empty()) return s;
  std::sort(v.begin(), v.end());
  const auto n = static_cast<double>(v.size());
  const auto rank = [&](double r) { return v[static_cast<size_t>(std::clamp(r, 1.0, n)) - 1]; };
  s.total = std::accumulate(v.begin(), v.end(), 0.0);
  s.mean = s.total / n;
  for (double x : v) s.deviation += (x - s.mean) * (x - s.mean);
  s.deviation = v.size() > 1 ? std::sqrt(s.deviation / (n - 1)) : NAN;  // load_and_run divides by n-1
  s.min = v.front();
  s.max = v.back();
  s.median = rank(std::ceil(0.5 * n));
  s.p90 = rank(std::ceil(0.9 * n));
  s.p99 = rank(std::ceil(0.99 * n));
  const double half = 0.98 * std::sqrt(n);
  s.median_low = v.size() < 6 ? s.min : rank(std::floor(n / 2 - half));
  s.median_high = v.size() < 6 ? s.max : rank(std::ceil(n / 2 + 1 + half));
  const size_t bins = std::clamp<size_t>(static_cast<size_t>(std::sqrt(n)), 1, 20);
  s.histogram.assign(bins, 0);
  for (double x : v) {
    const double at = s.max > s.min ? (x - s.min) / (s.max - s.min) * static_cast<double>(bins) : 0;
    ++s.histogram[std::min(static_cast<size_t>(at), bins - 1)];
  }
  return s;
}

nlohmann::json to_json(const Summary& s) {
  return {{"count", s.count},
          {"median_ms", s.median},
          {"p90_ms", s.p90},
          {"p99_ms", s.p99},
          {"min_ms", s.min},
          {"max_ms", s.max},
          {"mean_ms", s.mean},
          {"standard_deviation_ms", std::isnan(s.deviation) ? nlohmann::json(nullptr) : nlohmann::json(s.deviation)},
          {"median_interval_ms", {s.median_low, s.median_high}},
          {"histogram", {{"from_ms", s.min}, {"to_ms", s.max}, {"counts", s.histogram}}}};
}

std::string histogram_text(const Summary& s) {
  std::string text;
  const double width = (s.max - s.min) / static_cast<double>(std::max<size_t>(s.histogram.size(), 1));
  const size_t most = s.histogram.empty() ? 1 : *std::max_element(s.histogram.begin(), s.histogram.end());
  for (size_t i = 0; i < s.histogram.size(); ++i) {
    char line[80];
    std::snprintf(line, sizeof line, "  %10.3f .. %10.3f ms %6zu  ", s.min + width * static_cast<double>(i),
                  s.min + width * static_cast<double>(i + 1), s.histogram[i]);
    text += line + std::string(s.histogram[i] * 40 / most, '#') + "\n";
  }
  return text;
}

}  // namespace mgl
