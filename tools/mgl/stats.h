// Statistics of measured times.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mgl {

struct Summary {
  size_t count = 0;
  double total = 0, mean = 0, deviation = 0, min = 0, max = 0, median = 0, p90 = 0, p99 = 0;
  // The 95 % confidence interval of the median, from the ranks of the samples; lasting from min to max below 6 samples.
  double median_low = 0, median_high = 0;
  std::vector<size_t> histogram;  // of equal bins from `min` to `max`
};

Summary summarize(std::vector<double> samples);
nlohmann::json to_json(const Summary& s);

// Lines of "from .. to  count  bar".
std::string histogram_text(const Summary& s);

}  // namespace mgl
