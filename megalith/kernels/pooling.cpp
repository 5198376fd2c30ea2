#include "megalith/kernels/pooling.h"

#include <algorithm>
#include <limits>

#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/pooling.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::pool::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::LoadFirst;
using megalith::HWY_NAMESPACE::StoreFirst;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
constexpr float kLowest = std::numeric_limits<float>::lowest();

using Mode = param::PoolingMode;

HWY_INLINE V Larger(V best, V v) {
#if HWY_TARGET == HWY_WASM
  return hn::Max(v, best);  // one instruction, pmax, that does just this
#else
  return hn::IfThenElse(best < v, v, best);
#endif
}

// One column, as the reference does it.
float Column(const Job& j, const float* x, const Range& rows, int64_t ow) {
  const Range columns = columns_of(j, ow);
  float v = j.mode == Mode::MAX ? kLowest : 0;
  for (int64_t h = rows.begin; h < rows.end; ++h) {
    for (int64_t w = columns.begin; w < columns.end; ++w) {
      const float e = x[h * j.in.h_step + w];
      v = j.mode == Mode::MAX ? std::max(v, e) : v + e;
    }
  }
  if (j.mode == Mode::MAX) return v;
  const float n = divisor_of(j, rows, columns);
  return n > 0 ? v / n : 0;
}

// Every second of 2 * kLanes elements, of which `count` lanes are wanted and nothing behind them is touched.
HWY_INLINE V LoadEven(const float* p, int64_t count) {
  const D d;
#if HWY_TARGET == HWY_SCALAR
  return hn::LoadU(d, p);
#else
  const int64_t need = 2 * count - 1;
  const V low = LoadFirst(d, p, std::min(need, kLanes));
  const V high = need > kLanes ? LoadFirst(d, p + kLanes, need - kLanes) : hn::Zero(d);
  return hn::ConcatEven(d, high, low);
#endif
}

// `count` elements, `stride` apart.
HWY_INLINE V LoadApart(const float* p, int64_t stride, int64_t count) {
  const D d;
  if (stride == 1) return count == kLanes ? hn::LoadU(d, p) : LoadFirst(d, p, count);
  if (stride == 2) return LoadEven(p, count);
  HWY_ALIGN float lanes[kLanes];
  for (int64_t i = 0; i < count; ++i) lanes[i] = p[i * stride];
  for (int64_t i = count; i < kLanes; ++i) lanes[i] = 0;
  return hn::Load(d, lanes);
}

// The columns whose windows lie on the image from left to right: [first, second).
std::pair<int64_t, int64_t> Inside(const Job& j) {
  const int64_t first = (j.pad_w + j.stride_w - 1) / j.stride_w;
  const int64_t room = j.in.w + j.pad_w - j.window_w;
  const int64_t second = room < 0 ? 0 : room / j.stride_w + 1;
  return {std::min(first, j.out.w), std::clamp(second, std::min(first, j.out.w), j.out.w)};
}

// Calls at(ow) for windows two columns wide and two apart, `inside` the image: vectors of kLanes windows, of which the
// last may take some again. Both columns come with the same loads, which go no further than the windows.
bool InPairs(const Job& j, std::pair<int64_t, int64_t> inside) {
  return HWY_TARGET != HWY_SCALAR && j.window_w == 2 && j.stride_w == 2 && inside.second - inside.first >= kLanes;
}
template <class At>
HWY_INLINE void EachOfPairs(std::pair<int64_t, int64_t> inside, At at) {
  for (int64_t ow = inside.first; ow < inside.second; ow += kLanes) at(std::min(ow, inside.second - kLanes));
}
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void LoadPairs(const float* p, V& even, V& odd) { even = odd = hn::LoadU(D(), p); }  // not called
HWY_INLINE void StorePairs(V even, V odd, float* p) {}
#else
HWY_INLINE void LoadPairs(const float* p, V& even, V& odd) { hn::LoadInterleaved2(D(), p, even, odd); }
HWY_INLINE void StorePairs(V even, V odd, float* p) { hn::StoreInterleaved2(even, odd, D(), p); }
#endif

// kStride 1 or 2, or 0 for any other.
template <int kStride, bool kMax>
void RowAlongColumns(const Job& j, const float* x, float* y, int64_t oh, std::pair<int64_t, int64_t> inside) {
  const D d;
  const Range rows = rows_of(j, oh);
  for (int64_t ow = 0; ow < inside.first; ++ow) y[ow] = Column(j, x, rows, ow);
  for (int64_t ow = inside.second; ow < j.out.w; ++ow) y[ow] = Column(j, x, rows, ow);
  const float divisor = inside.first < inside.second ? divisor_of(j, rows, columns_of(j, inside.first)) : 0;
  const int64_t stride = kStride ? kStride : j.stride_w, height = rows.count(), step = j.in.h_step, width = j.window_w;
  const auto finished = [&](V v) HWY_ATTR { return kMax ? v : divisor > 0 ? v / hn::Set(d, divisor) : hn::Zero(d); };
  if (kStride == 2 && InPairs(j, inside)) {
    return EachOfPairs(inside, [&](int64_t ow) HWY_ATTR {
      const float* p = x + ow * 2 - j.pad_w + rows.begin * step;
      V v = hn::Set(d, kMax ? kLowest : 0), even, odd;
      for (int64_t h = 0; h < height; ++h, p += step) {
        LoadPairs(p, even, odd);
        v = kMax ? Larger(Larger(v, even), odd) : v + even + odd;
      }
      hn::StoreU(finished(v), d, y + ow);
    });
  }
  for (int64_t ow = inside.first; ow < inside.second; ow += kLanes) {
    const int64_t count = std::min(kLanes, inside.second - ow), at = ow * stride - j.pad_w;
    const float* p = x + at + rows.begin * step;
    const auto gather = [&](auto load) HWY_ATTR {
      V v = hn::Set(d, kMax ? kLowest : 0);
      for (int64_t h = 0; h < height; ++h) {
        for (int64_t w = 0; w < width; ++w) v = kMax ? Larger(v, load(p + h * step + w)) : v + load(p + h * step + w);
      }
      return v;
    };
    V v;
    // Vectors that may be read as a whole, up to the end of the row.
    if (kStride == 1 && count == kLanes) v = gather([](const float* q) HWY_ATTR { return hn::LoadU(D(), q); });
#if HWY_TARGET != HWY_SCALAR
    else if (kStride == 2 && count == kLanes && at + width - 1 + 2 * kLanes <= j.in.w)
      v = gather([](const float* q)
                     HWY_ATTR { return hn::ConcatEven(D(), hn::LoadU(D(), q + kLanes), hn::LoadU(D(), q)); });
#endif
    else
      v = gather([&](const float* q) HWY_ATTR { return LoadApart(q, stride, count); });
    v = finished(v);
    if (count == kLanes)
      hn::StoreU(v, d, y + ow);
    else
      StoreFirst(v, d, y + ow, count);
  }
}

// Of two by two elements, the commonest windows: a vector of channels of each, in the reference's order.
struct Square {
  const float* at;
  size_t h_step, w_step;
  static bool takes(const Job& j, const Range& rows, const Range& columns) {
    return j.mode == Mode::MAX && rows.count() == 2 && columns.count() == 2;
  }
  HWY_INLINE void Load(size_t c, V (&v)[4]) const {
    const D d;
    const float* p = at + c;
    v[0] = hn::LoadU(d, p);
    v[1] = hn::LoadU(d, p + w_step);
    v[2] = hn::LoadU(d, p + h_step);
    v[3] = hn::LoadU(d, p + h_step + w_step);
  }
};
HWY_INLINE V LargestOf(V best, const V (&v)[4]) { return Larger(Larger(Larger(Larger(best, v[0]), v[1]), v[2]), v[3]); }

// Up to kVectors vectors of channels of one window.
template <int kVectors>
HWY_INLINE void WindowOfChannels(const Job& j, const float* x, float* y, const Range& rows, const Range& columns,
                                 int64_t count) {
  const D d;
  const bool max = j.mode == Mode::MAX;
  V v[kVectors];
  const auto left = [&](int i) { return std::min(kLanes, count - i * kLanes); };
  for (int i = 0; i < kVectors; ++i) v[i] = hn::Set(d, max ? kLowest : 0);
  for (int64_t h = rows.begin; h < rows.end; ++h) {
    for (int64_t w = columns.begin; w < columns.end; ++w) {
      const float* p = x + h * j.in.h_step + w * j.in.w_step;
      for (int i = 0; i < kVectors; ++i) {
        const V e = kVectors > 1 || left(i) == kLanes ? hn::LoadU(d, p + i * kLanes) : LoadFirst(d, p, left(i));
        v[i] = max ? Larger(v[i], e) : v[i] + e;
      }
    }
  }
  const float divisor = divisor_of(j, rows, columns);
  for (int i = 0; i < kVectors; ++i) {
    if (!max) v[i] = divisor > 0 ? v[i] / hn::Set(d, divisor) : hn::Zero(d);
    if (kVectors > 1 || left(i) == kLanes)
      hn::StoreU(v[i], d, y + i * kLanes);
    else
      StoreFirst(v[i], d, y, left(i));
  }
}

// One window for each of kPlanes planes: their sums don't wait for each other.
constexpr int64_t kPlanes = 8;
void WindowOfPlanes(const Job& j, const float* x, float* y) {
  const Range rows = rows_of(j, 0), columns = columns_of(j, 0);
  const bool max = j.mode == Mode::MAX;
  float v[kPlanes];
  std::fill_n(v, kPlanes, max ? kLowest : 0.f);
  for (int64_t h = rows.begin; h < rows.end; ++h) {
    for (int64_t w = columns.begin; w < columns.end; ++w) {
      for (int64_t k = 0; k < kPlanes; ++k) {
        const float e = x[k * j.in.c_step + h * j.in.h_step + w];
        v[k] = max ? std::max(v[k], e) : v[k] + e;
      }
    }
  }
  const float divisor = divisor_of(j, rows, columns);
  for (int64_t k = 0; k < kPlanes; ++k) y[k * j.out.c_step] = max ? v[k] : divisor > 0 ? v[k] / divisor : 0;
}

void ForwardRows(const Job& j, const float* x, float* y, int64_t begin, int64_t end) {
  const auto inside = Inside(j);
  const bool max = j.mode == Mode::MAX;
  const auto row_along_columns = j.stride_w == 1   ? (max ? RowAlongColumns<1, true> : RowAlongColumns<1, false>)
                                 : j.stride_w == 2 ? (max ? RowAlongColumns<2, true> : RowAlongColumns<2, false>)
                                                   : (max ? RowAlongColumns<0, true> : RowAlongColumns<0, false>);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t oh = row % j.out.h, image = row / j.out.h;
    if (!j.channels) {
      const int64_t n = image / j.out.c, c = image % j.out.c;
      if (j.out.w * j.out.h == 1 && c + kPlanes <= j.out.c && row + kPlanes <= end) {
        WindowOfPlanes(j, x + n * j.in.n_step + c * j.in.c_step, y + n * j.out.n_step + c * j.out.c_step);
        row += kPlanes - 1;
        continue;
      }
      row_along_columns(j, x + n * j.in.n_step + c * j.in.c_step,
                        y + n * j.out.n_step + c * j.out.c_step + oh * j.out.h_step, oh, inside);
      continue;
    }
    const float* from = x + image * j.in.n_step;
    const Range rows = rows_of(j, oh);
    for (int64_t ow = 0; ow < j.out.w; ++ow) {
      const Range columns = columns_of(j, ow);
      float* to = y + image * j.out.n_step + oh * j.out.h_step + ow * j.out.w_step;
      int64_t c = 0;
      if (Square::takes(j, rows, columns)) {
        const Square s{from + rows.begin * j.in.h_step + columns.begin * j.in.w_step, static_cast<size_t>(j.in.h_step),
                       static_cast<size_t>(j.in.w_step)};
        for (V v[4]; c + kLanes <= j.in.c; c += kLanes) {
          s.Load(static_cast<size_t>(c), v);
          hn::StoreU(LargestOf(hn::Set(D(), kLowest), v), D(), to + c);
        }
      }
      for (; c + 4 * kLanes <= j.in.c; c += 4 * kLanes)
        WindowOfChannels<4>(j, from + c, to + c, rows, columns, 4 * kLanes);
      for (; c < j.in.c; c += kLanes)
        WindowOfChannels<1>(j, from + c, to + c, rows, columns, std::min(kLanes, j.in.c - c));
    }
  }
}

// p[i * stride] += v[i], for i < count; with `hits`, only where they are set. `room`: elements that may be touched.
HWY_INLINE void AddApart(float* p, int64_t stride, int64_t count, int64_t room, V v, hn::Mask<D> hits) {
  const D d;
  if (stride == 1 && count == kLanes) {
    const V old = hn::LoadU(d, p);
    hn::StoreU(hn::IfThenElse(hits, old + v, old), d, p);
    return;
  }
#if HWY_TARGET != HWY_SCALAR
  if (stride == 2 && count == kLanes && room >= 2 * kLanes) {
    V even, odd;
    hn::LoadInterleaved2(d, p, even, odd);
    hn::StoreInterleaved2(hn::IfThenElse(hits, even + v, even), odd, d, p);
    return;
  }
#endif
  HWY_ALIGN float lanes[kLanes], add[kLanes];
  const V old = LoadApart(p, stride, count);
  hn::Store(v, d, add);
  hn::Store(hn::IfThenElse(hits, old + v, old), d, lanes);
  for (int64_t i = 0; i < count; ++i) p[i * stride] = lanes[i];
}

// The gradient of one column, as the reference has it.
void ColumnBack(const Job& j, const float* x, float d, float* dx, int64_t dx_step, const Range& rows, int64_t ow) {
  const Range columns = columns_of(j, ow);
  if (rows.count() == 0 || columns.count() == 0) return;
  const bool max = j.mode == Mode::MAX;
  float top = max ? x[rows.begin * j.in.h_step + columns.begin] : 0;
  if (max) {
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) top = std::max(top, x[h * j.in.h_step + w]);
  } else {
    d /= divisor_of(j, rows, columns);
  }
  for (int64_t h = rows.begin; h < rows.end; ++h)
    for (int64_t w = columns.begin; w < columns.end; ++w)
      if (!max || x[h * j.in.h_step + w] == top) dx[h * dx_step + w] += d;
}

// Windows in pairs of columns which share no element: each element has the gradient of one window, added to 0.
void PairsBack(const Job& j, const float* x, const float* diff, float* dx, int64_t dx_step, const Range& rows,
               std::pair<int64_t, int64_t> inside) {
  const D d;
  const bool max = j.mode == Mode::MAX;
  EachOfPairs(inside, [&](int64_t ow) HWY_ATTR {
    const int64_t at = ow * 2 - j.pad_w;
    V v = hn::LoadU(d, diff + ow), top = hn::Zero(d), even, odd;
    if (max) {
      top = LoadEven(x + rows.begin * j.in.h_step + at, kLanes);
      for (int64_t h = rows.begin; h < rows.end; ++h) {
        LoadPairs(x + h * j.in.h_step + at, even, odd);
        top = Larger(Larger(top, even), odd);
      }
    } else {
      v = v / hn::Set(d, divisor_of(j, rows, columns_of(j, ow)));
    }
    v = hn::Zero(d) + v;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      if (max) {
        LoadPairs(x + h * j.in.h_step + at, even, odd);
        even = hn::IfThenElseZero(even == top, v);
        odd = hn::IfThenElseZero(odd == top, v);
      } else {
        even = odd = v;
      }
      StorePairs(even, odd, dx + h * dx_step + at);
    }
  });
}

void PlaneAlongColumns(const Job& j, const float* x, const float* dy, float* dx, int64_t dx_step,
                       std::pair<int64_t, int64_t> inside) {
  const D d;
  const bool pairs = j.stride_h >= j.window_h && InPairs(j, inside);
  for (int64_t h = 0; h < j.in.h; ++h) std::fill_n(dx + h * dx_step, j.in.w, 0.f);
  for (int64_t oh = 0; oh < j.out.h; ++oh) {
    const Range rows = rows_of(j, oh);
    if (rows.count() == 0) continue;
    const float* diff = dy + oh * j.out.h_step;
    // Every element gets its windows from left to right, as in the reference: with vectors, from the last tap to the
    // first; so no vector takes windows that share elements with columns which are still to come.
    for (int64_t ow = 0; ow < inside.first; ++ow) ColumnBack(j, x, diff[ow], dx, dx_step, rows, ow);
    if (pairs) PairsBack(j, x, diff, dx, dx_step, rows, inside);
    for (int64_t ow = pairs ? inside.second : inside.first; ow < inside.second; ow += kLanes) {
      const int64_t count = std::min(kLanes, inside.second - ow), at = ow * j.stride_w - j.pad_w;
      const V top_diff = LoadApart(diff + ow, 1, count);
      const auto add = [&](V v, V top) HWY_ATTR {
        for (int64_t w = j.window_w; w-- > 0;) {
          for (int64_t h = rows.begin; h < rows.end; ++h) {
            const V e = LoadApart(x + h * j.in.h_step + at + w, j.stride_w, count);
            const hn::Mask<D> hits = j.mode == Mode::MAX ? e == top : hn::FirstN(d, kLanes);
            AddApart(dx + h * dx_step + at + w, j.stride_w, count, j.in.w - at - w, v, hits);
          }
        }
      };
      if (j.mode != Mode::MAX) {
        add(top_diff / hn::Set(d, divisor_of(j, rows, columns_of(j, ow))), hn::Zero(d));
        continue;
      }
      V top = LoadApart(x + rows.begin * j.in.h_step + at, j.stride_w, count);
      for (int64_t h = rows.begin; h < rows.end; ++h)
        for (int64_t w = 0; w < j.window_w; ++w)
          top = Larger(top, LoadApart(x + h * j.in.h_step + at + w, j.stride_w, count));
      add(top_diff, top);
    }
    for (int64_t ow = inside.second; ow < j.out.w; ++ow) ColumnBack(j, x, diff[ow], dx, dx_step, rows, ow);
  }
}

// One vector of channels of a window, or its first `count` lanes. kApart: no element lies in two windows, so each gets
// the gradient of one, added to 0.
template <bool kApart>
HWY_INLINE void WindowBack(const Job& j, const float* x, const float* dy, float* dx, const Images& grad,
                           const Range& rows, const Range& columns, int64_t count) {
  const D d;
  const auto load = [&](const float* p) HWY_ATTR { return count >= kLanes ? hn::LoadU(d, p) : LoadFirst(d, p, count); };
  const bool max = j.mode == Mode::MAX;
  V v = load(dy), top = hn::Zero(d);
  if (max) {
    top = load(x);
    for (int64_t h = 0; h < rows.count(); ++h)
      for (int64_t w = 0; w < columns.count(); ++w) top = Larger(top, load(x + h * j.in.h_step + w * j.in.w_step));
  } else {
    v = v / hn::Set(d, divisor_of(j, rows, columns));
  }
  if (kApart) v = hn::Zero(d) + v;
  for (int64_t h = 0; h < rows.count(); ++h) {
    for (int64_t w = 0; w < columns.count(); ++w) {
      float* p = dx + h * grad.h_step + w * grad.w_step;
      const V old = kApart ? hn::Zero(d) : load(p), sum = kApart ? v : old + v;
      const V to = max ? hn::IfThenElse(load(x + h * j.in.h_step + w * j.in.w_step) == top, sum, old) : sum;
      if (count >= kLanes)
        hn::StoreU(to, d, p);
      else
        StoreFirst(to, d, p, count);
    }
  }
}

// `count` channels of one image.
void ImageOfChannels(const Job& j, const float* x, const float* dy, float* dx, const Images& grad, int64_t count) {
  const bool apart = j.stride_h >= j.window_h && j.stride_w >= j.window_w;
  const auto window = apart ? WindowBack<true> : WindowBack<false>;
  // What windows side by side write is not set to 0 before.
  const bool tiles = j.stride_h == j.window_h && j.stride_w == j.window_w && j.pad_h == 0 && j.pad_w == 0;
  const int64_t last_h = tiles ? j.out.h * j.stride_h : 0, last_w = tiles ? j.out.w * j.stride_w : 0;
  for (int64_t h = 0; h < grad.h; ++h)
    for (int64_t w = h < last_h ? last_w : 0; w < grad.w; ++w)
      std::fill_n(dx + h * grad.h_step + w * grad.w_step, count, 0.f);
  for (int64_t oh = 0; oh < j.out.h; ++oh) {
    const Range rows = rows_of(j, oh);
    for (int64_t ow = 0; ow < j.out.w; ++ow) {
      const Range columns = columns_of(j, ow);
      if (rows.count() == 0 || columns.count() == 0) continue;
      const float* from = x + rows.begin * j.in.h_step + columns.begin * j.in.w_step;
      const float* diff = dy + oh * j.out.h_step + ow * j.out.w_step;
      float* to = dx + rows.begin * grad.h_step + columns.begin * grad.w_step;
      int64_t c = 0;
      if (apart && Square::takes(j, rows, columns)) {
        const Square s{from, static_cast<size_t>(j.in.h_step), static_cast<size_t>(j.in.w_step)};
        const size_t h_step = static_cast<size_t>(grad.h_step), w_step = static_cast<size_t>(grad.w_step);
        for (V v[4]; c + kLanes <= count; c += kLanes) {
          s.Load(static_cast<size_t>(c), v);
          const V top = LargestOf(v[0], v), g = hn::Zero(D()) + hn::LoadU(D(), diff + c);
          float* p = to + c;
          hn::StoreU(hn::IfThenElseZero(v[0] == top, g), D(), p);
          hn::StoreU(hn::IfThenElseZero(v[1] == top, g), D(), p + w_step);
          hn::StoreU(hn::IfThenElseZero(v[2] == top, g), D(), p + h_step);
          hn::StoreU(hn::IfThenElseZero(v[3] == top, g), D(), p + h_step + w_step);
        }
      }
      for (; c < count; c += kLanes) window(j, from + c, diff + c, to + c, grad, rows, columns, count - c);
    }
  }
}

void BackwardPlanes(const Job& j, const float* x, const float* dy, float* dx, const Images& grad, int64_t begin,
                    int64_t end) {
  const auto inside = Inside(j);
  for (int64_t i = begin; i < end; ++i) {
    if (!j.channels) {
      const int64_t n = i / j.in.c, c = i % j.in.c;
      PlaneAlongColumns(j, x + n * j.in.n_step + c * j.in.c_step, dy + n * j.out.n_step + c * j.out.c_step,
                        dx + n * grad.n_step + c * grad.c_step, grad.h_step, inside);
      continue;
    }
    const int64_t chunks = channel_chunks(j.in.c), n = i / chunks, first = i % chunks * kChunk;
    const int64_t last = std::min(first + kChunk, j.in.c);
    ImageOfChannels(j, x + n * j.in.n_step + first, dy + n * j.out.n_step + first, dx + n * grad.n_step + first, grad,
                    last - first);
  }
}

}  // namespace megalith::pool::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::pool {

void forward_rows(const Job& job, const float* x, float* y, int64_t begin, int64_t end) {
  MEGALITH_DISPATCH(ForwardRows)(job, x, y, begin, end);
}
void backward_planes(const Job& job, const float* x, const float* dy, float* dx, const Images& grad, int64_t begin,
                     int64_t end) {
  MEGALITH_DISPATCH(BackwardPlanes)(job, x, dy, dx, grad, begin, end);
}

}  // namespace megalith::pool
#endif
