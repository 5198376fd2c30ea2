// The resampling of interleaved images (NHWC) by cubic, Lanczos and area filters: separable tables of weighted pixels.
#pragma once

#include "megalith/ops/vision/image.h"

namespace megalith::vision {

struct Tap {
  int64_t at;
  float weight;
};
using Taps = std::vector<Tap>;

struct Filter {
  std::vector<Taps> taps;  // per output row or column
};

inline void interpolate_lanczos4(float x, float k[8]) {
  static const double s45 = 0.70710678118654752440084436210485;
  static const double cs[8][2] = {{1, 0}, {-s45, -s45}, {0, 1}, {s45, -s45}, {-1, 0}, {s45, s45}, {0, -1}, {-s45, s45}};
  if (x < std::numeric_limits<float>::epsilon()) {
    for (int i = 0; i < 8; ++i) k[i] = i == 3 ? 1.f : 0.f;
    return;
  }
  const float pi = std::acos(-1.f);
  const double y0 = -(x + 3) * pi * 0.25, s0 = std::sin(y0), c0 = std::cos(y0);
  float sum = 0;
  for (int i = 0; i < 8; ++i) {
    const double y = -(x + 3 - static_cast<float>(i)) * pi * 0.25;
    k[i] = static_cast<float>((cs[i][0] * s0 + cs[i][1] * c0) / (y * y));
    sum += k[i];
  }
  sum = 1.f / sum;
  for (int i = 0; i < 8; ++i) k[i] *= sum;
}

// `shrink`: both axes get smaller, so that AREA averages; otherwise it interpolates linearly between whole pixels.
inline Filter make_filter(Interp mode, int64_t in, int64_t out, bool shrink) {
  Filter f;
  const double inverse = static_cast<double>(out) / static_cast<double>(in), scale = 1.0 / inverse;
  for (int64_t d = 0; d < out; ++d) {
    Taps taps;
    if (mode == Interp::AREA && shrink) {
      const double from = static_cast<double>(d) * scale, to = from + scale;
      const double cell = std::min(scale, static_cast<double>(in) - from);
      const int64_t last = std::min(static_cast<int64_t>(std::floor(to)), in - 1);
      const int64_t first = std::min(static_cast<int64_t>(std::ceil(from)), last);
      if (static_cast<double>(first) - from > 1e-3)
        taps.push_back({first - 1, static_cast<float>((static_cast<double>(first) - from) / cell)});
      for (int64_t s = first; s < last; ++s) taps.push_back({s, static_cast<float>(1.0 / cell)});
      const double rest = to - static_cast<double>(last);
      if (rest > 1e-3) taps.push_back({last, static_cast<float>(std::min(std::min(rest, 1.), cell) / cell)});
    } else {
      float k[8] = {}, x = 0;
      int64_t s = 0;
      int n = 2;
      if (mode == Interp::AREA) {
        s = static_cast<int64_t>(std::floor(static_cast<double>(d) * scale));
        x = static_cast<float>(static_cast<double>(d + 1) - static_cast<double>(s + 1) * inverse);
        x = x <= 0 ? 0.f : x - std::floor(x);
        k[0] = 1.f - x, k[1] = x;
      } else {
        x = static_cast<float>((static_cast<double>(d) + 0.5) * scale - 0.5);
        s = static_cast<int64_t>(std::floor(x));
        x -= static_cast<float>(s);
        if (mode == Interp::CUBIC)
          interpolate_cubic(x, k), n = 4;
        else
          interpolate_lanczos4(x, k), n = 8;
      }
      for (int i = 0; i < n; ++i) taps.push_back({std::clamp<int64_t>(s - n / 2 + 1 + i, 0, in - 1), k[i]});
    }
    f.taps.push_back(std::move(taps));
  }
  return f;
}

inline int fixed_weight(float w) { return static_cast<int>(std::nearbyint(w * 2048.f)); }

// One output value; `at(h, w)` reads the source.
template <class T, class At>
T filtered(const Taps& th, const Taps& tw, Interp mode, bool shrink, At&& at) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    if (!(mode == Interp::AREA && shrink)) {
      int64_t sum = 0;
      int shifted = 0;
      for (const Tap& y : th) {
        int64_t row = 0;
        for (const Tap& x : tw) row += int64_t{at(y.at, x.at)} * fixed_weight(x.weight);
        sum += row * fixed_weight(y.weight);
        shifted += static_cast<int>((fixed_weight(y.weight) * (row >> 4)) >> 16);
      }
      const int64_t v = mode == Interp::AREA ? (shifted + 2) >> 2 : (sum + (1 << 21)) >> 22;
      return static_cast<T>(std::clamp<int64_t>(v, 0, 255));
    }
    const auto n = static_cast<float>(th.size() * tw.size());
    bool even = true;
    for (const Taps* t : {&th, &tw})
      for (const Tap& k : *t) even = even && k.weight == t->front().weight;
    if (even) {  // whole pixels: their sum is exact
      int sum = 0;
      for (const Tap& y : th)
        for (const Tap& x : tw) sum += at(y.at, x.at);
      if (th.size() == 2 && tw.size() == 2) return static_cast<T>((sum + 2) >> 2);
      return static_cast<T>(static_cast<float>(sum) * (1.f / n));
    }
  }
  float sum = 0;
  for (const Tap& y : th) {
    float row = 0;
    for (const Tap& x : tw) row += static_cast<float>(at(y.at, x.at)) * x.weight;
    sum += row * y.weight;
  }
  return static_cast<T>(sum);
}

}  // namespace megalith::vision
