#include "megalith/kernels/idepthwise.h"

#include <algorithm>
#include <cstring>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/idepthwise.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#ifndef MEGALITH_IDEPTHWISE_ROWS
#define MEGALITH_IDEPTHWISE_ROWS
namespace megalith::igemm {

// Calls fn(taps, o, n) for results [o, o + n) that all meet the image, n of them `group` or 1; and for single ones with
// taps that lie outside replaced.
template <class Fn>
void EachPixel(const DepthRow& r, int64_t group, Fn&& fn) {
  int64_t begin = 0, end = r.pixels;
  for (int64_t t = 0; t < r.count; ++t) {
    begin = std::max(begin, r.taps[t].begin);
    end = std::min(end, r.taps[t].end);
  }
  const auto edge = [&](int64_t o) {
    for (int64_t t = 0; t < r.count; ++t) {
      const bool inside = o >= r.taps[t].begin && o < r.taps[t].end;
      r.room[t] = inside ? r.taps[t] : DepthTap{r.outside, 0, 0, r.pixels};
    }
    fn(r.room, o, int64_t{1});
  };
  int64_t o = 0;
  for (; o < std::min(begin, r.pixels); ++o) edge(o);
  for (; o + group <= end; o += group) fn(r.taps, o, group);
  for (; o < end; ++o) fn(r.taps, o, int64_t{1});
  for (; o < r.pixels; ++o) edge(o);
}

}  // namespace megalith::igemm
#endif

HWY_BEFORE_NAMESPACE();
namespace megalith::igemm::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
constexpr int64_t kHalf = 4;

template <class T>
void Row(const DepthRow& r) {
  const int zero = r.type.is_asymmetric() ? r.type.zero_point : 0;
  EachPixel(r, 1, [&](const DepthTap* taps, int64_t o, int64_t) {
    for (int64_t c = 0; c < r.channels; ++c) {
      uint32_t sum = 0;
      for (int64_t t = 0; t < r.count; ++t) {
        const int x = *reinterpret_cast<const T*>(taps[t].x + o * taps[t].step + c) - zero;
        const auto pair = static_cast<uint32_t>(r.weights[t / 2 * r.all + c]);
        sum += static_cast<uint32_t>(x * static_cast<int16_t>(pair >> (t % 2 * 16)));
      }
      r.sums[o * r.all + c] = static_cast<int32_t>(sum);
    }
  });
}
#else
// Channels of a vector of 16 bits are taken at once. Two taps are brought together word by word: in vectors of their
// lower and of their upper halves, block by block.
using D16 = hn::CappedTag<int16_t, 32>;
using D32 = hn::RepartitionToWide<D16>;
using V16 = hn::Vec<D16>;
using V32 = hn::Vec<D32>;
constexpr auto kHalf = static_cast<int64_t>(hn::MaxLanes(D32()));
constexpr int64_t kWidth = 2 * kHalf;
constexpr int kGroup = 4;  // pixels at once: sums stay in registers

// The words of both halves in the order of the channels.
HWY_INLINE void Store(V32 lower, V32 upper, int32_t* to) {
  const D32 d;
#if HWY_MAX_BYTES >= 32
  V32 a = hn::ConcatLowerLower(d, upper, lower), b = hn::ConcatUpperUpper(d, upper, lower);
#if HWY_MAX_BYTES >= 64  // blocks 0 2 1 3
  alignas(64) static constexpr int32_t kOrder[16] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};
  const auto order = hn::SetTableIndices(d, kOrder);
  a = hn::TableLookupLanes(a, order);
  b = hn::TableLookupLanes(b, order);
#endif
  hn::StoreU(a, d, to);
  hn::StoreU(b, d, to + kHalf);
#else
  hn::StoreU(lower, d, to);
  hn::StoreU(upper, d, to + kHalf);
#endif
}

// kPixels results of kWidth channels from pixel o and channel c on.
template <class T, int kPixels>
HWY_INLINE void Pixels(const DepthRow& r, const DepthTap* taps, int64_t o, int64_t c) {
  const D16 d;
  const D32 d32;
  const hn::Rebind<T, D16> bytes;
  const V16 zero = hn::Set(d, static_cast<int16_t>(r.type.is_asymmetric() ? r.type.zero_point : 0));
  const int64_t all = r.all;
  V32 lower[kPixels], upper[kPixels], more_lower[kPixels], more_upper[kPixels];
  const V32 none = hn::Xor(hn::LoadU(d32, r.weights), hn::LoadU(d32, r.weights));
  MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) {
    lower[p] = none;
    upper[p] = none;
    more_lower[p] = none;
    more_upper[p] = none;
  }
  for (int64_t t = 0; t < r.count; t += 2) {
    const int32_t* w = r.weights + t / 2 * all + c;
    const V16 wl = hn::BitCast(d, hn::LoadU(d32, w)), wu = hn::BitCast(d, hn::LoadU(d32, w + kHalf));
    const int64_t s0 = taps[t].step, s1 = taps[t + 1].step;
    const T* x0 = reinterpret_cast<const T*>(taps[t].x + o * s0 + c);
    const T* x1 = reinterpret_cast<const T*>(taps[t + 1].x + o * s1 + c);
    MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) {
      const V16 a = hn::Sub(hn::PromoteTo(d, hn::LoadU(bytes, x0 + p * s0)), zero);
      const V16 b = hn::Sub(hn::PromoteTo(d, hn::LoadU(bytes, x1 + p * s1)), zero);
      V32 ml = more_lower[p], mu = more_upper[p];
      lower[p] = hn::ReorderWidenMulAccumulate(d32, hn::InterleaveLower(d, a, b), wl, lower[p], ml);
      upper[p] = hn::ReorderWidenMulAccumulate(d32, hn::InterleaveUpper(d, a, b), wu, upper[p], mu);
      more_lower[p] = ml;
      more_upper[p] = mu;
    }
  }
  MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) {
    Store(hn::RearrangeToOddPlusEven(lower[p], more_lower[p]), hn::RearrangeToOddPlusEven(upper[p], more_upper[p]),
          r.sums + (o + p) * all + c);
  }
}

// Whether the last vector of all results ends where there is still an image.
bool Readable(const DepthRow& r, const DepthTap* taps, int64_t end) {
  if (r.channels == r.all) return true;
  return std::all_of(taps, taps + r.count, [&](const DepthTap& t) {
    return t.step == 0 || t.x + (std::min(end, t.end) - 1) * t.step + r.all <= r.end;
  });
}

template <class T>
void Row(const DepthRow& r) {
  const bool safe = Readable(r, r.taps, r.pixels);
  EachPixel(r, kGroup, [&](const DepthTap* taps, int64_t o, int64_t n) HWY_ATTR {
    if (safe || Readable(r, taps, o + n)) {
      for (int64_t c = 0; c < r.channels; c += kWidth) {
        if (n == kGroup)
          Pixels<T, kGroup>(r, taps, o, c);
        else
          Pixels<T, 1>(r, taps, o, c);
      }
      return;
    }
    for (int64_t p = o; p < o + n; ++p) {
      for (int64_t t = 0; t < r.count; ++t) {
        std::byte* const copy = r.copies + t * r.all;
        std::memcpy(copy, taps[t].x + p * taps[t].step, static_cast<size_t>(r.channels));
        r.room[t] = {copy, 0, 0, r.pixels};
      }
      for (int64_t c = 0; c < r.channels; c += kWidth) Pixels<T, 1>(r, r.room, p, c);
    }
  });
}
#endif

void AnyRow(const DepthRow& r) {
  if (r.type.id == DTypeEnum::Int8 || r.type.id == DTypeEnum::QuantizedS8) return Row<int8_t>(r);
  Row<uint8_t>(r);
}

int64_t Half() { return kHalf; }

}  // namespace megalith::igemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::igemm {
namespace {

int64_t half() {
  static const int64_t n = MEGALITH_DISPATCH(Half)();
  return n;
}

// Where the word of channel c is in a row of packed weights: blocks of four lower words and of four upper ones take
// turns in memory; in vectors each half has its own.
int64_t depth_place(int64_t c) {
  const int64_t n = half(), in = c % (2 * n), block = in / 8;
  return c - in + (in % 8 < 4 ? 0 : n) + block * 4 + in % 4;
}

}  // namespace

int64_t depth_channels(int64_t channels) { return (channels + 2 * half() - 1) / (2 * half()) * 2 * half(); }

void pack_depthwise(DType type, const std::byte* weights, int64_t channels, int64_t taps, int32_t* to) {
  const int64_t all = depth_channels(channels);
  const int zero = type.is_asymmetric() ? type.zero_point : 0;
  const bool is_signed = type.id == DTypeEnum::Int8 || type.id == DTypeEnum::QuantizedS8;
  const auto at = [&](int64_t c, int64_t t) {
    if (c >= channels || t >= taps) return uint16_t{0};
    const std::byte b = weights[c * taps + t];
    return static_cast<uint16_t>(is_signed ? static_cast<int8_t>(b) : static_cast<uint8_t>(b) - zero);
  };
  for (int64_t t = 0; t < taps; t += 2) {
    for (int64_t c = 0; c < all; ++c)
      to[t / 2 * all + depth_place(c)] = static_cast<int32_t>(at(c, t) | static_cast<uint32_t>(at(c, t + 1)) << 16);
  }
}

void depthwise(const DepthRow& row) { MEGALITH_DISPATCH(AnyRow)(row); }

}  // namespace megalith::igemm
#endif
