#include "megalith/kernels/reduce.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/reduce.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/math-inl.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::reduce::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::LoadFirst;
using megalith::HWY_NAMESPACE::StoreFirst;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
constexpr int64_t kVectors = kSums / kLanes;

template <Join kJoin>
HWY_INLINE V Joined(V x, V y) {
  if constexpr (kJoin == Join::kProduct)
    return x * y;
  else if constexpr (kJoin == Join::kMin)
    return hn::IfThenElse(hn::Or(x < y, hn::IsNaN(x)), x, y);
  else if constexpr (kJoin == Join::kMax)
    return hn::IfThenElse(hn::Or(x > y, hn::IsNaN(x)), x, y);
  else
    return x + y;
}

template <Join kJoin>
HWY_INLINE float JoinedFloat(float x, float y) {
  if constexpr (kJoin == Join::kProduct)
    return x * y;
  else if constexpr (kJoin == Join::kMin)
    return x < y || x != x ? x : y;
  else if constexpr (kJoin == Join::kMax)
    return x > y || x != x ? x : y;
  else
    return x + y;
}

template <Join kJoin, class T>
HWY_INLINE T Leaf(T x, T y, T c) {
  if constexpr (kJoin == Join::kSquares)
    return x * x;
  else if constexpr (kJoin == Join::kDots)
    return x * y;
  else if constexpr (kJoin == Join::kDeviations)
    return (x - c) * (x - c);
  else if constexpr (kJoin == Join::kCentered)
    return y * (x - c);
  else
    return x;
}

constexpr bool ReadsOther(Join j) { return j == Join::kDots || j == Join::kCentered; }
constexpr bool ReadsCenter(Join j) { return j == Join::kDeviations || j == Join::kCentered; }

// What joins to any x as x itself.
template <Join kJoin>
constexpr float Neutral() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return kJoin == Join::kProduct ? 1.f : kJoin == Join::kMin ? kInfinity : kJoin == Join::kMax ? -kInfinity : -0.f;
}

// The sums of a block, in vectors, as one.
template <Join kJoin>
HWY_INLINE float Tree(V (&v)[kVectors]) {
  const D d;
  for (int64_t half = kVectors / 2; half > 0; half /= 2) {
    MEGALITH_UNROLL for (int64_t k = 0; k < half; ++k) v[k] = Joined<kJoin>(v[k], v[k + half]);
  }
  HWY_ALIGN float sums[kLanes];
  hn::Store(v[0], d, sums);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t k = 0; k < half; ++k) sums[k] = JoinedFloat<kJoin>(sums[k], sums[k + half]);
  }
  return sums[0];
}

constexpr int64_t kFew = 8;

// Few elements: the same tree without vectors.
template <Join kJoin>
HWY_INLINE float FewInRow(const float* p, int64_t n, const float* other, float center) {
  float v[kFew];
  for (int64_t i = 0; i < n; ++i) v[i] = Leaf<kJoin>(p[i], ReadsOther(kJoin) ? other[i] : center, center);
  for (int64_t half = kFew / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i + half < n; ++i) v[i] = JoinedFloat<kJoin>(v[i], v[i + half]);
    n = std::min(n, half);
  }
  return v[0];
}

template <Join kJoin>
float Row(const float* p, int64_t n, const float* other, float center) {
  if (n <= kFew) return FewInRow<kJoin>(p, n, other, center);
  const D d;
  const V c = hn::Set(d, center);
  const auto leaf = [&](int64_t at) HWY_ATTR {
    return Leaf<kJoin>(hn::LoadU(d, p + at), ReadsOther(kJoin) ? hn::LoadU(d, other + at) : c, c);
  };
  // Of the last elements, beginning at `at`; other lanes are `rest`.
  const auto part = [&](int64_t at, V rest) HWY_ATTR {
    const int64_t left = std::clamp<int64_t>(n - at, 0, kLanes);
    if (left == 0) return rest;
    const V y = ReadsOther(kJoin) ? LoadFirst(d, other + at, left) : c;
    return hn::IfThenElse(hn::FirstN(d, static_cast<size_t>(left)), Leaf<kJoin>(LoadFirst(d, p + at, left), y, c),
                          rest);
  };
  V v[kVectors];
  const V neutral = hn::Set(d, Neutral<kJoin>());
  if (n < kSums) {
    MEGALITH_UNROLL for (int64_t k = 0; k < kVectors; ++k) v[k] = part(k * kLanes, neutral);
    return Tree<kJoin>(v);
  }
  MEGALITH_UNROLL for (int64_t k = 0; k < kVectors; ++k) v[k] = leaf(k * kLanes);
  int64_t i = kSums;
  for (; i + kSums <= n; i += kSums) {
    MEGALITH_UNROLL for (int64_t k = 0; k < kVectors; ++k) v[k] = Joined<kJoin>(v[k], leaf(i + k * kLanes));
  }
  if (i < n) {
    MEGALITH_UNROLL for (int64_t k = 0; k < kVectors; ++k) v[k] = Joined<kJoin>(v[k], part(i + k * kLanes, neutral));
  }
  return Tree<kJoin>(v);
}

// kWide vectors of columns; the last of one may be partial.
template <Join kJoin, int64_t kWide>
void Columns(const float* p, int64_t step, int64_t n, int64_t width, float* out, const float* other,
             const float* center) {
  const D d;
  HWY_ALIGN float sums[kSums][kWide * kLanes];
  const auto load = [&](const float* from, int64_t k) HWY_ATTR {
    return kWide > 1 || width == kLanes ? hn::LoadU(d, from + k * kLanes) : LoadFirst(d, from, width);
  };
  V c[kWide];
  for (int64_t k = 0; k < kWide; ++k) c[k] = ReadsCenter(kJoin) ? load(center, k) : hn::Zero(d);
  const auto leaf = [&](int64_t i, int64_t k) HWY_ATTR {
    return Leaf<kJoin>(load(p + i * step, k), ReadsOther(kJoin) ? load(other + i * step, k) : c[k], c[k]);
  };
  const auto store = [&](V v, int64_t k) HWY_ATTR {
    if (kWide == 1 && width < kLanes)
      StoreFirst(v, d, out, width);
    else
      hn::StoreU(v, d, out + k * kLanes);
  };
  if (n <= kFew) {  // in registers
    for (int64_t k = 0; k < kWide; ++k) {
      V v[kFew];
      int64_t left = n;
      for (int64_t i = 0; i < n; ++i) v[i] = leaf(i, k);
      for (int64_t half = kFew / 2; half > 0; half /= 2) {
        for (int64_t i = 0; i < half && i + half < left; ++i) v[i] = Joined<kJoin>(v[i], v[i + half]);
        left = std::min(left, half);
      }
      store(v[0], k);
    }
    return;
  }
  int64_t count = std::min(n, kSums);
  for (int64_t i = 0; i < count; ++i) {
    MEGALITH_UNROLL for (int64_t k = 0; k < kWide; ++k) hn::Store(leaf(i, k), d, sums[i] + k * kLanes);
  }
  for (int64_t i = count; i < n; ++i) {
    float* to = sums[i % kSums];
    MEGALITH_UNROLL for (int64_t k = 0; k < kWide; ++k)
        hn::Store(Joined<kJoin>(hn::Load(d, to + k * kLanes), leaf(i, k)), d, to + k * kLanes);
  }
  for (int64_t half = kSums / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half && i + half < count; ++i) {
      for (int64_t k = 0; k < kWide * kLanes; k += kLanes)
        hn::Store(Joined<kJoin>(hn::Load(d, sums[i] + k), hn::Load(d, sums[i + half] + k)), d, sums[i] + k);
    }
    count = std::min(count, half);
  }
  for (int64_t k = 0; k < kWide; ++k) store(hn::Load(d, sums[0] + k * kLanes), k);
}

void ShortSoftmax(const float* x, float* y, int64_t n) {
  const D d;
  const int64_t whole = n / kLanes, left = n % kLanes, all = whole + (left > 0 ? 1 : 0);
  const hn::Mask<D> last = hn::FirstN(d, static_cast<size_t>(left));
  V v[kShort / kLanes], joined[kVectors];
  // Of the vectors in `v`, those that are there.
  const auto join = [&](auto tag) HWY_ATTR {
    constexpr Join kJoin = decltype(tag)::value;
    const V neutral = hn::Set(d, Neutral<kJoin>());
    for (int64_t k = 0; k < kVectors; ++k) {
      joined[k] = k < all ? v[k] : neutral;
      if (k + kVectors < all) joined[k] = Joined<kJoin>(joined[k], v[k + kVectors]);
    }
    return hn::Set(d, Tree<kJoin>(joined));
  };
  for (int64_t k = 0; k < whole; ++k) v[k] = hn::LoadU(d, x + k * kLanes);
  if (left) v[whole] = hn::IfThenElse(last, LoadFirst(d, x + whole * kLanes, left), hn::Set(d, Neutral<Join::kMax>()));
  const V top = join(std::integral_constant<Join, Join::kMax>());
  for (int64_t k = 0; k < all; ++k) v[k] = megalith::HWY_NAMESPACE::Exp(d, v[k] - top);
  if (left) v[whole] = hn::IfThenElse(last, v[whole], hn::Set(d, Neutral<Join::kSum>()));
  const V sum = join(std::integral_constant<Join, Join::kSum>());
  for (int64_t k = 0; k < whole; ++k) hn::StoreU(v[k] / sum, d, y + k * kLanes);
  if (left) StoreFirst(v[whole] / sum, d, y + whole * kLanes, left);
}

// Calls fn with the join as a constant.
template <class Fn>
HWY_INLINE auto WithJoin(Join join, Fn&& fn) {
  switch (join) {
    case Join::kSum: break;
    case Join::kDots: return fn(std::integral_constant<Join, Join::kDots>());
    case Join::kMax: return fn(std::integral_constant<Join, Join::kMax>());
#ifdef MEGALITH_TRIMMED
    default: break;
#else
    case Join::kSquares: return fn(std::integral_constant<Join, Join::kSquares>());
    case Join::kDeviations: return fn(std::integral_constant<Join, Join::kDeviations>());
    case Join::kCentered: return fn(std::integral_constant<Join, Join::kCentered>());
    case Join::kProduct: return fn(std::integral_constant<Join, Join::kProduct>());
    case Join::kMin: return fn(std::integral_constant<Join, Join::kMin>());
#endif
  }
  return fn(std::integral_constant<Join, Join::kSum>());
}

float AnyRow(Join join, const float* p, int64_t n, const float* other, float center) {
  return WithJoin(join, [&](auto j) { return Row<decltype(j)::value>(p, n, other, center); });
}

void AnyColumns(Join join, const float* p, int64_t step, int64_t n, int64_t width, float* out, const float* other,
                const float* center) {
  constexpr int64_t kWide = std::min<int64_t>(4, kColumns / kLanes);
  WithJoin(join, [&](auto j) {
    const auto at = [](const float* q, int64_t i) { return q ? q + i : nullptr; };
    int64_t i = 0;
    for (; i + kWide * kLanes <= width; i += kWide * kLanes)
      Columns<decltype(j)::value, kWide>(p + i, step, n, kWide * kLanes, out + i, at(other, i), at(center, i));
    for (; i < width; i += kLanes)
      Columns<decltype(j)::value, 1>(p + i, step, n, std::min(kLanes, width - i), out + i, at(other, i), at(center, i));
  });
}

}  // namespace megalith::reduce::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::reduce {

float row(Join join, const float* p, int64_t n, const float* other, float center) {
  return MEGALITH_DISPATCH(AnyRow)(join, p, n, other, center);
}

void short_softmax(const float* x, float* y, int64_t n) { MEGALITH_DISPATCH(ShortSoftmax)(x, y, n); }

float line(Join join, const float* p, int64_t n, const float* other, float center) {
  if (n <= kBlock) return row(join, p, n, other, center);
  std::vector<float> parts;
  for (int64_t i = 0; i < n; i += kBlock)
    parts.push_back(row(join, p + i, std::min(kBlock, n - i), other ? other + i : nullptr, center));
  return line(rest_of(join), parts.data(), static_cast<int64_t>(parts.size()));
}

void columns(Join join, const float* p, int64_t step, int64_t n, int64_t width, float* out, const float* other,
             const float* center) {
  MEGALITH_DISPATCH(AnyColumns)(join, p, step, n, width, out, other, center);
}

}  // namespace megalith::reduce
#endif
