#include "megalith/kernels/vision.h"

#include <algorithm>
#include <limits>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/vision.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::vision::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::LoadFirst;
using megalith::HWY_NAMESPACE::StoreFirst;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// The samples of one bin, for the channels at `map`.
template <bool kWhole>
void Bin(const float* map, int64_t left, const Sample* samples, int64_t count, bool maximum, float* value,
         int32_t* which) {
  const D d;
  const auto load = [&](int64_t at) HWY_ATTR {
    if (at < 0) return hn::Zero(d);
    return kWhole ? hn::LoadU(d, map + at) : LoadFirst(d, map + at, left);
  };
  V sum = hn::Zero(d), best = hn::Set(d, std::numeric_limits<float>::lowest()), best_at = hn::Set(d, -1.f);
  for (int64_t k = 0; k < count; ++k) {
    const Sample& s = samples[k];
    const V w = hn::Set(d, s.w), h = hn::Set(d, s.h);
    const V tl = load(s.at[0]), tr = load(s.at[1]), bl = load(s.at[2]), br = load(s.at[3]);
    const V top = tl + (tr - tl) * w, bottom = bl + (br - bl) * w;
    const V v = top + (bottom - top) * h;
    if (maximum) {
      const auto more = v > best;
      best = hn::IfThenElse(more, v, best);
      best_at = hn::IfThenElse(more, hn::Set(d, static_cast<float>(k)), best_at);
    } else {
      sum = sum + v;
    }
  }
  const V result = maximum ? best : sum / hn::Set(d, static_cast<float>(count));
  if (kWhole)
    hn::StoreU(result, d, value);
  else
    StoreFirst(result, d, value, left);
  if (!maximum) return;
  HWY_ALIGN float at[kLanes];
  hn::Store(best_at, d, at);
  for (int64_t i = 0; i < left; ++i) which[i] = static_cast<int32_t>(at[i]);
}

void PoolSamples(const float* map, int64_t channels, const Sample* samples, int64_t bins, int64_t count, bool maximum,
                 float* values, int32_t* which) {
  for (int64_t b = 0; b < bins; ++b) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int64_t left = std::min(kLanes, channels - c), to = b * channels + c;
      (left == kLanes ? Bin<true> : Bin<false>)(map + c, left, samples + b * count, count, maximum, values + to,
                                                which + to);
    }
  }
}

HWY_INLINE V Smaller(V a, V b) { return hn::IfThenElse(b < a, b, a); }
HWY_INLINE V Larger(V a, V b) { return hn::IfThenElse(a < b, b, a); }

bool OverlapsAny(const Boxes& boxes, const float* box, float threshold) {
  const D d;
  const V x0 = hn::Set(d, box[0]), y0 = hn::Set(d, box[1]), x1 = hn::Set(d, box[2]), y1 = hn::Set(d, box[3]);
  const V area = (x1 - x0) * (y1 - y0), limit = hn::Set(d, threshold), zero = hn::Zero(d);
  for (int64_t i = 0; i < boxes.count; i += kLanes) {
    const int64_t left = std::min(kLanes, boxes.count - i);
    const auto load = [&](int k) HWY_ATTR {
      return left == kLanes ? hn::LoadU(d, boxes.of[k] + i) : LoadFirst(d, boxes.of[k] + i, left);
    };
    const V width = Larger(Smaller(x1, load(2)) - Larger(x0, load(0)), zero);
    const V height = Larger(Smaller(y1, load(3)) - Larger(y0, load(1)), zero);
    const V both = width * height;
    const auto covers = hn::And(both > (area + load(4) - both) * limit, hn::FirstN(d, static_cast<size_t>(left)));
    if (!hn::AllFalse(d, covers)) return true;
  }
  return false;
}

}  // namespace megalith::vision::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::vision {

void pool_samples(const float* map, int64_t channels, const Sample* samples, int64_t bins, int64_t count, bool maximum,
                  float* values, int32_t* which) {
  MEGALITH_DISPATCH(PoolSamples)(map, channels, samples, bins, count, maximum, values, which);
}
bool overlaps_any(const Boxes& boxes, const float* box, float threshold) {
  return MEGALITH_DISPATCH(OverlapsAny)(boxes, box, threshold);
}

}  // namespace megalith::vision
#endif
