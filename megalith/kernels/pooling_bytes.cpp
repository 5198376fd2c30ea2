#include <algorithm>
#include <limits>
#include <type_traits>

#include "megalith/kernels/pooling.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/pooling_bytes.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/round-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::pool::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::RoundWithin;

// Calls fn(channel, vector width) for whole vectors of the channels, the last one again for what is left: results are
// written anew. False where there are fewer channels than a vector has.
template <class Fn>
HWY_INLINE bool EachVector(int64_t channels, int64_t lanes, Fn&& fn) {
  if (channels < lanes) return false;
  for (int64_t c = 0; c < channels; c += lanes) fn(std::min(c, channels - lanes));
  return true;
}

template <class T>
struct Window {
  const Job& j;
  const Range &rows, &columns;
  const T* x;
  T* y;
  int64_t channels;
  int zero;    // what the padding holds
  bool whole;  // the mean is an integer division

  const T* at(int64_t h, int64_t w) const { return x + h * j.in.h_step + w * j.in.w_step; }
};

template <class T, int64_t kMost>
HWY_INLINE bool Largest(const Window<T>& win) {
  const hn::CappedTag<T, kMost> d;
  return EachVector(win.channels, static_cast<int64_t>(hn::MaxLanes(d)), [&](int64_t c) HWY_ATTR {
    auto best = hn::Set(d, std::numeric_limits<T>::lowest());
    for (int64_t h = win.rows.begin; h < win.rows.end; ++h) {
      for (int64_t w = win.columns.begin; w < win.columns.end; ++w)
        best = hn::Max(best, hn::LoadU(d, win.at(h, w) + c));
    }
    hn::StoreU(best, d, win.y + c);
  });
}

template <class T, int64_t kMost>
HWY_INLINE bool Mean(const Window<T>& win) {
  const hn::CappedTag<float, kMost> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<T, decltype(d)> bytes;
  const float n = divisor_of(win.j, win.rows, win.columns);
  const int64_t taken = win.rows.count() * win.columns.count();
  const auto padding = win.j.mode == param::PoolingMode::AVERAGE ? static_cast<int64_t>(n) - taken : 0;
  const auto low = hn::Set(d, static_cast<float>(std::numeric_limits<T>::lowest()));
  const auto high = hn::Set(d, static_cast<float>(std::numeric_limits<T>::max()));
  return EachVector(win.channels, static_cast<int64_t>(hn::MaxLanes(d)), [&](int64_t c) HWY_ATTR {
    auto sum = hn::Set(di, static_cast<int32_t>(padding * win.zero));
    for (int64_t h = win.rows.begin; h < win.rows.end; ++h) {
      for (int64_t w = win.columns.begin; w < win.columns.end; ++w)
        sum = hn::Add(sum, hn::PromoteTo(di, hn::LoadU(bytes, win.at(h, w) + c)));
    }
    const auto mean = n > 0 ? hn::Div(hn::ConvertTo(d, sum), hn::Set(d, n)) : hn::Zero(d);
    // Sums are small: a quotient that is less than a whole number is rounded to less than that.
    const auto q = win.whole ? hn::ConvertTo(di, mean) : RoundWithin(d, mean, low, high);
    hn::StoreU(hn::DemoteTo(bytes, q), bytes, win.y + c);
  });
}

template <class T>
void Rows(const Job& j, DType type, const T* x, T* y, int64_t begin, int64_t end) {
  const bool whole = j.mode == param::PoolingMode::AVERAGE && !type.is_quantized();
  for (int64_t row = begin; row < end; ++row) {
    const int64_t oh = row % j.out.h, image = row / j.out.h;
    const Range rows = rows_of(j, oh);
    for (int64_t ow = 0; ow < j.out.w; ++ow) {
      const Range columns = columns_of(j, ow);
      const Window<T> win{j,
                          rows,
                          columns,
                          x + image * j.in.n_step,
                          y + image * j.out.n_step + oh * j.out.h_step + ow * j.out.w_step,
                          j.in.c,
                          type.is_asymmetric() ? type.zero_point : 0,
                          whole};
      if (j.mode == param::PoolingMode::MAX)
        Largest<T, 64>(win) || Largest<T, 16>(win) || Largest<T, 4>(win) || Largest<T, 1>(win);
      else
        Mean<T, 16>(win) || Mean<T, 4>(win) || Mean<T, 1>(win);
    }
  }
}

void ForwardBytes(const Job& job, DType type, const std::byte* x, std::byte* y, int64_t begin, int64_t end) {
  if (type.id == DTypeEnum::Int8 || type.id == DTypeEnum::QuantizedS8)
    return Rows(job, type, reinterpret_cast<const int8_t*>(x), reinterpret_cast<int8_t*>(y), begin, end);
  Rows(job, type, reinterpret_cast<const uint8_t*>(x), reinterpret_cast<uint8_t*>(y), begin, end);
}

}  // namespace megalith::pool::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::pool {

void forward_bytes(const Job& job, DType type, const std::byte* x, std::byte* y, int64_t begin, int64_t end) {
  MEGALITH_DISPATCH(ForwardBytes)(job, type, x, y, begin, end);
}

}  // namespace megalith::pool
#endif
