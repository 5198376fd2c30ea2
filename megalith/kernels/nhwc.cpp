#include "megalith/kernels/nhwc.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/nhwc.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/epilogue-inl.h"
#include "megalith/kernels/partial-inl.h"

#ifndef MEGALITH_NHWC_ROWS
#define MEGALITH_NHWC_ROWS
namespace megalith::nhwc {

// Results of a depthwise convolution that all meet the same taps: pixel (row, o) tap t at
// x[row * x_row + o * x_step + offset[t]].
struct DepthPart {
  const float* x;
  int64_t x_row, x_step;
  const int64_t* offset;
  const float* weights;   // (tap, channel)
  const int64_t* weight;  // where those of a tap begin
  int64_t taps, rows, columns, channels;
  float* y;
  int64_t y_row, y_pixel;
  const gemm::Epilogue* epilogue;
};

// Sums over the pixels of a row of x * dy, added to `sums`.
struct DepthSums {
  const float* x;
  int64_t x_step;
  const float* dy;
  int64_t dy_step, pixels, channels;
  float* sums;
};

}  // namespace megalith::nhwc
#endif

HWY_BEFORE_NAMESPACE();
namespace megalith::nhwc::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using ::megalith::HWY_NAMESPACE::Activate;
using ::megalith::HWY_NAMESPACE::LoadFirst;
using ::megalith::HWY_NAMESPACE::StoreFirst;
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
constexpr int kGroup = HWY_TARGET == HWY_AVX3 ? 14 : 8;  // pixels at once: sums stay in registers

HWY_INLINE V Finish(const gemm::Epilogue& e, int64_t at, int64_t n, V v) {
  const D d;
  if (e.bias) v = hn::Add(v, LoadFirst(d, e.bias + at, n));
  return Activate(d, e, v);
}

// kPixels results of kLanes (or, at the end, `n`) channels.
template <int kPixels, bool kTail>
HWY_INLINE void Pixels(const DepthPart& b, int64_t row, int64_t o, int64_t c, int64_t n) {
  const D d;
  const auto load = [&](const float* p) {
    if constexpr (kTail)
      return LoadFirst(d, p, n);
    else
      return hn::LoadU(d, p);
  };
  V sum[kPixels];
  MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) sum[p] = hn::Zero(d);
  const float* const x = b.x + row * b.x_row + o * b.x_step + c;
  for (int64_t t = 0; t < b.taps; ++t) {
    const V w = load(b.weights + b.weight[t] + c);
    const float* at = x + b.offset[t];
    MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) sum[p] = hn::MulAdd(load(at + p * b.x_step), w, sum[p]);
  }
  MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) {
    float* y = b.y + row * b.y_row + (o + p) * b.y_pixel + c;
    const V v = Finish(*b.epilogue, c, n, sum[p]);
    if constexpr (kTail)
      StoreFirst(v, d, y, n);
    else
      hn::StoreU(v, d, y);
  }
}

// Rows in groups of pixels, of which the last may cover some pixels again.
template <int kPixels>
HWY_INLINE void Groups(const DepthPart& b, int64_t c) {
  for (int64_t row = 0; row < b.rows; ++row) {
    for (int64_t o = 0; o < b.columns; o += kPixels)
      Pixels<kPixels, false>(b, row, std::min(o, b.columns - kPixels), c, kLanes);
  }
}

// Some rows by vectors of channels: what one of them sees of the image stays in the first cache from row to row.
HWY_INLINE void DepthRows(const DepthPart& b) {
  int64_t c = 0;
  for (; c + kLanes <= b.channels; c += kLanes) {
    if (b.columns >= kGroup)
      Groups<kGroup>(b, c);
    else if (b.columns >= 7)
      Groups<7>(b, c);
    else if (b.columns >= 3)
      Groups<3>(b, c);
    else
      Groups<1>(b, c);
  }
  if (c == b.channels) return;
  for (int64_t row = 0; row < b.rows; ++row) {
    int64_t o = 0;
    for (; o + 4 <= b.columns; o += 4) Pixels<4, true>(b, row, o, c, b.channels - c);
    for (; o < b.columns; ++o) Pixels<1, true>(b, row, o, c, b.channels - c);
  }
}

// Where a vector is half a line of the cache, channels innermost: lines are read whole and in order, which is what
// fetching ahead needs. A group's sums and weights fill the registers; pixels come from memory as they are multiplied.
constexpr bool kInOrder = HWY_TARGET == HWY_AVX2;

// All sums of a group: the activation is asked for once, and its constants are read once. It takes their address: not
// for loops that need every register, whose sums GCC would keep in memory then (kernels/gemm.cpp).
template <int kRows, int kVectors>
HWY_INLINE void ActivateAll(const gemm::Epilogue& e, V (&v)[kRows][kVectors]) {
  const D d;
  const auto each = [&](auto&& fn) HWY_ATTR {
    MEGALITH_UNROLL for (int i = 0; i < kRows; ++i) {
      MEGALITH_UNROLL for (int j = 0; j < kVectors; ++j) v[i][j] = fn(v[i][j]);
    }
  };
  switch (e.act) {
    case gemm::Activation::kNone: return;
    case gemm::Activation::kRelu: {
      const auto zero = hn::Zero(d);
      return each([&](V x) HWY_ATTR { return hn::Max(x, zero); });
    }
    case gemm::Activation::kClamp: {
      const auto low = hn::Set(d, e.low), high = hn::Set(d, e.high);
      return each(
          [&](V x) HWY_ATTR { return hn::IfThenElse(hn::Le(x, low), low, hn::IfThenElse(hn::Le(x, high), x, high)); });
    }
    case gemm::Activation::kHSwish: return each([&](V x) HWY_ATTR { return Activate(d, e, x); });
  }
}

template <int kPixels, int kVectors>
HWY_INLINE void Group(const DepthPart& b, int64_t row, int64_t o, int64_t begin, int64_t end) {
  const D d;
  const auto step = static_cast<ptrdiff_t>(b.x_step), y_pixel = static_cast<ptrdiff_t>(b.y_pixel), step3 = 3 * step;
  const float* const x = b.x + row * b.x_row + o * b.x_step;
  float* const y = b.y + row * b.y_row + o * b.y_pixel;
  const float* const ahead = x + b.offset[b.taps - 1] + kPixels * b.x_step;
  const bool apart = b.x_step > b.channels;  // pixels in between belong to other taps
  for (int64_t next = begin; next < end; next += kVectors * kLanes) {
    const int64_t c = std::min(next, end - kVectors * kLanes);  // the last may cover some channels again
    V sum[kPixels][kVectors];
    MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) {
      hwy::Prefetch(ahead + p * step + c);
      if (apart) hwy::Prefetch(ahead + p * step + c - b.channels);
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) sum[p][v] = hn::Zero(d);
    }
    for (int64_t t = 0; t < b.taps; ++t) {
      const float *w = b.weights + b.weight[t] + c, *at = x + b.offset[t] + c, *at5 = at + 5 * step;
      V wv[kVectors];
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) wv[v] = hn::LoadU(d, w + v * kLanes);
      MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) {
        const float* pixel = p < 5 ? at + (p == 3 ? step3 : p * step) : at5 + (p - 5) * step;
        MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) sum[p][v] =
            hn::MulAdd(hn::LoadU(d, pixel + v * kLanes), wv[v], sum[p][v]);
      }
    }
    if (b.epilogue->bias) {
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
        const V bias = hn::LoadU(d, b.epilogue->bias + c + v * kLanes);
        MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) sum[p][v] = hn::Add(sum[p][v], bias);
      }
    }
    ActivateAll(*b.epilogue, sum);
    MEGALITH_UNROLL for (int p = 0; p < kPixels; ++p) {
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[p][v], d, y + p * y_pixel + c + v * kLanes);
    }
  }
}

template <int kPixels, int kVectors>
void RowsInOrder(const DepthPart& b, int64_t begin, int64_t end) {
  for (int64_t row = 0; row < b.rows; ++row) {
    for (int64_t o = 0; o < b.columns; o += kPixels)
      Group<kPixels, kVectors>(b, row, std::min(o, b.columns - kPixels), begin, end);
  }
}

HWY_INLINE void DepthInOrder(const DepthPart& b) {
  constexpr int64_t kChannels = 128, kStep = 2 * kLanes;  // of a stretch: their weights stay in the first cache
  const int64_t stretches = (b.channels + kChannels - 1) / kChannels;
  const auto at = [&](int64_t i) { return i == stretches ? b.channels : b.channels * i / stretches / kStep * kStep; };
  const auto rows = b.columns >= 6   ? RowsInOrder<6, 2>
                    : b.columns == 5 ? RowsInOrder<5, 2>
                    : b.columns == 4 ? RowsInOrder<4, 2>
                    : b.columns == 3 ? RowsInOrder<3, 2>
                    : b.columns == 2 ? RowsInOrder<2, 2>
                                     : RowsInOrder<1, 2>;
  for (int64_t s = 0; s < stretches; ++s) rows(b, at(s), at(s + 1));
}

void Depthwise(const DepthPart& all) {
  if (kInOrder && all.taps > 0 && all.channels >= 2 * kLanes) return DepthInOrder(all);
  constexpr int64_t kLines = 448;  // of the first cache
  const int64_t most = std::max<int64_t>(1, kLines * all.channels / std::max<int64_t>(1, all.x_row));
  DepthPart b = all;
  for (int64_t row = 0; row < all.rows; row += most) {
    b.rows = std::min(most, all.rows - row);
    b.x = all.x + row * all.x_row;
    b.y = all.y + row * all.y_row;
    DepthRows(b);
  }
}

// to[i * channels + c] = from[c * channel + i].
void Interleave(const float* from, int64_t channel, int64_t channels, int64_t count, float* to) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  if (channels == 3) {  // what most images have
    const D d;
    for (; i + kLanes <= count; i += kLanes) {
      const float* p = from + i;
      hn::StoreInterleaved3(hn::LoadU(d, p), hn::LoadU(d, p + channel), hn::LoadU(d, p + 2 * channel), d, to + i * 3);
    }
  }
#endif
  if (i < count) copying::transpose(from + i, channel, to + i * channels, channels, count - i, channels);
}

void AddProducts(const DepthSums& s) {
  const D d;
  for (int64_t c = 0; c < s.channels; c += kLanes) {
    const int64_t n = std::min(kLanes, s.channels - c);
    V sum = LoadFirst(d, s.sums + c, n);
    const float *x = s.x + c, *dy = s.dy + c;
    for (int64_t p = 0; p < s.pixels; ++p)
      sum = hn::MulAdd(LoadFirst(d, x + p * s.x_step, n), LoadFirst(d, dy + p * s.dy_step, n), sum);
    StoreFirst(sum, d, s.sums + c, n);
  }
}

}  // namespace megalith::nhwc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::nhwc {
namespace {

bool depthwise(const Filter& f) { return !kTrimmed && f.ins == 1 && f.outs == 1 && f.groups > 1; }

}  // namespace

int64_t packed_floats(const Filter& f, int64_t h, int64_t w) {
  return depthwise(f) ? f.groups * h * w : f.groups * gemm::packed_floats(h * w * f.ins, f.outs);
}

void pack(const Filter& f, Taps h, Taps w, float* to, Exec& exec) {
  const auto tap = [&](int64_t t) {
    const auto cols = static_cast<int64_t>(w.size());
    return h[static_cast<size_t>(t / cols)] * f.row + w[static_cast<size_t>(t % cols)] * f.col;
  };
  const auto taps = static_cast<int64_t>(h.size() * w.size());
  if (depthwise(f)) {
    for (int64_t t = 0; t < taps; ++t) {
      for (int64_t g = 0; g < f.groups; ++g) *to++ = f.data[g * f.group + tap(t)];
    }
    return;
  }
  const int64_t panels = gemm::panels(f.outs), panel = taps * f.ins * gemm::panel_width();
  exec.parallel_for(f.groups * panels, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, panel)),
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) {
                        const int64_t g = i / panels, p = i % panels;
                        for (int64_t t = 0; t < taps; ++t) {
                          gemm::pack_b(f.data + g * f.group + tap(t), f.in, f.out, f.ins, f.outs,
                                       to + g * panels * panel + t * f.ins * gemm::panel_width(), panel, p, p + 1);
                        }
                      }
                    });
}

namespace {

// The patches of one group as rows of a matrix without being gathered: those of one line of the result lie side by side
// in the image, or in a copy of it with zeros around where the window reaches over its border.
class Lines {
 public:
  Lines(const Image& x, const Axis& h, const Axis& w, int64_t group, int64_t channels)
      : x_(x), h_(h), w_(w), first_(group * channels) {
    const auto range = [](const Axis& a) { return std::minmax_element(a.offset.begin(), a.offset.end()); };
    const auto rows = range(h), cols = range(w);
    top_ = *rows.first;
    height_ = *rows.second - top_ + 1;
    left_ = *cols.first;
    width_ = (w.count - 1) * w.step + *cols.second - left_ + 1;
    copied_ = x.channel != 1 || top_ < 0 || left_ < 0 || left_ + width_ > x.w ||
              top_ + (h.count - 1) * h.step + height_ > x.h;
    pixel_ = copied_ ? channels : x.c;
    row_ = copied_ ? width_ * pixel_ : x.row;
    // By row of taps, or by tap where its columns don't lie side by side.
    const bool whole = channels == pixel_ && adjacent(w);
    const int64_t stretch = whole ? w.taps() * channels : channels;
    for (int64_t i = 0, l = 0; i < h.taps(); ++i) {
      for (int64_t j = 0; j < (whole ? 1 : w.taps()); ++j, l += stretch) {
        const int64_t at = tap(i, j);
        stretches_.push_back({at, l, stretch});
        for (int64_t k = 0; k < stretch;) {  // cut where one pass ends
          const int64_t some = std::min(stretch - k, gemm::kDepth - (l + k) % gemm::kDepth);
          if ((l + k) % gemm::kDepth == 0) passes_.push_back(static_cast<int64_t>(runs_.size()));
          runs_.push_back({at + k, (l + k) * gemm::panel_width(), some});
          k += some;
        }
      }
    }
    passes_.push_back(static_cast<int64_t>(runs_.size()));
  }

  // Whether tiles of one line each are high enough, and their rows don't crowd the first cache.
  bool pay() const {
    const int64_t most = gemm::tile_rows(), tiles = (w_.count + most - 1) / most;
    return 10 * w_.count >= 7 * tiles * most && a_row() % 1024 != 0 && h_.taps() * w_.taps() <= 1024 && fit(1);
  }
  // Whether the copy for so many lines is of ordinary size, however wide padding and dilation are.
  bool fit(int64_t lines) const {
    constexpr int64_t kMost = 1 << 22;
    return !copied_ ||
           (height_ <= kMost && width_ <= kMost && lines <= kMost && row_ <= kMost && floats(lines) <= kMost);
  }
  // Elements [l, l + k) of a patch, which lie side by side from `at` on.
  struct Stretch {
    int64_t at, l, k;
  };
  const std::vector<Stretch>& stretches() const { return stretches_; }
  int64_t tap(int64_t i, int64_t j) const {
    return (h_.offset[static_cast<size_t>(i)] - top_) * row_ + (w_.offset[static_cast<size_t>(j)] - left_) * pixel_;
  }
  int64_t a_row() const { return w_.step * pixel_; }
  int64_t a_line() const { return h_.step * row_; }
  // What `lines` lines of the result see.
  int64_t floats(int64_t lines) const { return ((lines - 1) * h_.step + height_) * row_; }
  bool copied() const { return copied_; }
  int64_t passes() const { return static_cast<int64_t>(passes_.size()) - 1; }
  std::span<const gemm::Run> runs(int64_t pass) const {
    const auto p = static_cast<size_t>(pass);
    return std::span(runs_).subspan(static_cast<size_t>(passes_[p]), static_cast<size_t>(passes_[p + 1] - passes_[p]));
  }

  // What lines [oh, oh + lines) of image n see; copied to `room` if it has to be.
  const float* at(int64_t n, int64_t oh, int64_t lines, float* room) const {
    const float* image = x_.data + n * x_.image;
    const int64_t above = oh * h_.step + top_;
    if (!copied_) return image + above * x_.row + left_ * x_.c + first_;
    const int64_t begin = std::clamp<int64_t>(-left_, 0, width_), end = std::clamp(x_.w - left_, begin, width_);
    float* to = room;
    for (int64_t r = above; r < above + (lines - 1) * h_.step + height_; ++r, to += row_) {
      if (r < 0 || r >= x_.h) {
        std::fill_n(to, row_, 0.f);
        continue;
      }
      std::fill_n(to, begin * pixel_, 0.f);
      copy_pixels(image + r * x_.row + (left_ + begin) * x_.pixel + first_ * x_.channel, end - begin,
                  to + begin * pixel_);
      std::fill(to + end * pixel_, to + row_, 0.f);
    }
    return room;
  }

 private:
  void copy_pixels(const float* from, int64_t count, float* to) const {
    if (x_.channel != 1) return MEGALITH_DISPATCH(Interleave)(from, x_.channel, pixel_, count, to);
    if (pixel_ == x_.c) {
      std::memcpy(to, from, static_cast<size_t>(count * pixel_) * sizeof(float));
      return;
    }
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(to + i * pixel_, from + i * x_.c, static_cast<size_t>(pixel_) * sizeof(float));
  }

  const Image& x_;
  const Axis &h_, &w_;
  int64_t first_, top_, left_, height_, width_, pixel_, row_;
  bool copied_;
  std::vector<Stretch> stretches_;
  std::vector<gemm::Run> runs_;  // of A and B
  std::vector<int64_t> passes_;  // where each begins in runs_, and their end
};

// Result pixels [begin, end) of an axis, which meet taps [first, last) of it.
struct Stripe {
  int64_t begin, end, first, last;
};
std::vector<Stripe> stripes(const Axis& a, int64_t begin, int64_t end, int64_t size) {
  std::vector<Stripe> all;
  for (int64_t o = begin; o < end; ++o) {
    Stripe s{o, o + 1, 0, a.taps()};
    const auto meets = [&](int64_t tap) {
      const int64_t at = o * a.step + a.offset[static_cast<size_t>(tap)];
      return at >= 0 && at < size;
    };
    while (s.first < s.last && !meets(s.first)) ++s.first;
    while (s.first < s.last && !meets(s.last - 1)) --s.last;
    if (!all.empty() && all.back().first == s.first && all.back().last == s.last)
      ++all.back().end;
    else
      all.push_back(s);
  }
  return all;
}

void convolve_depthwise(const Image& x, const Axis& h, const Axis& w, const float* weights, const Image& y,
                        const gemm::Epilogue& epilogue, Exec& exec) {
  constexpr int64_t kSeen = 131072, kSums = 65536;  // floats of the image and of results, where they are moved
  const int64_t width = w.taps(), taps = h.taps() * width, row_sums = w.count * x.c;
  if (x.n * h.count * row_sums == 0) return;
  const Results<float> results(y, h, w, 0);
  const bool direct = y.channel == 1;
  std::optional<Lines> lines;  // of an image in planes
  if (x.channel != 1 && taps > 0) lines.emplace(x, h, w, 0, x.c);
  std::vector<int64_t> offset;
  for (int64_t i = 0; i < h.taps(); ++i) {
    for (int64_t j = 0; j < width; ++j)
      offset.push_back(lines ? lines->tap(i, j)
                             : h.offset[static_cast<size_t>(i)] * x.row + w.offset[static_cast<size_t>(j)] * x.c);
  }
  const std::vector<Stripe> columns = lines ? std::vector<Stripe>{{0, w.count, 0, width}} : stripes(w, 0, w.count, x.w);
  int64_t rows = h.count;
  while (rows > 1 && ((lines && lines->floats(rows) > kSeen) || (!direct && rows * row_sums > kSums) ||
                      (exec.threads() > 1 && x.n * ((h.count + rows - 1) / rows) < 4 * exec.threads() && rows > 4)))
    rows = (rows + 1) / 2;
  const int64_t bands = (h.count + rows - 1) / rows;
  exec.parallel_for(
      x.n * bands, std::max<int64_t>(1, 65536 / (rows * row_sums * (taps + 1))), [&](int64_t begin, int64_t end) {
        float* const room = lines ? Scratch::get(Scratch::kImage, lines->floats(rows)) : nullptr;
        float* const sums = direct ? nullptr : Scratch::get(Scratch::kSums, rows * row_sums);
        std::vector<int64_t> met(static_cast<size_t>(2 * taps));
        for (int64_t task = begin; task < end; ++task) {
          const int64_t n = task / bands, oh = task % bands * rows, some = std::min(rows, h.count - oh);
          DepthPart p{.offset = met.data(), .weights = weights, .weight = met.data() + taps, .channels = x.c};
          p.epilogue = &epilogue;
          const float* const seen = lines ? lines->at(n, oh, some, room) : x.data + n * x.image + oh * h.step * x.row;
          p.x_row = lines ? lines->a_line() : h.step * x.row;
          p.x_step = w.step * x.c;
          float* const to =
              direct ? y.data + n * y.image + (h.to_first + oh * h.to_step) * y.row + w.to_first * y.pixel : sums;
          p.y_row = direct ? h.to_step * y.row : row_sums;
          p.y_pixel = direct ? w.to_step * y.pixel : x.c;
          for (const Stripe& r :
               lines ? std::vector<Stripe>{{oh, oh + some, 0, h.taps()}} : stripes(h, oh, oh + some, x.h)) {
            for (const Stripe& c : columns) {
              p.taps = 0;
              for (int64_t i = r.first; i < r.last; ++i) {
                for (int64_t j = c.first; j < c.last; ++j, ++p.taps) {
                  met[static_cast<size_t>(p.taps)] = offset[static_cast<size_t>(i * width + j)];
                  met[static_cast<size_t>(taps + p.taps)] = (i * width + j) * x.c;
                }
              }
              p.rows = r.end - r.begin;
              p.columns = c.end - c.begin;
              p.x = seen + (r.begin - oh) * p.x_row + c.begin * p.x_step;
              p.y = to + (r.begin - oh) * p.y_row + c.begin * p.y_pixel;
              MEGALITH_DISPATCH(Depthwise)(p);
            }
          }
          if (!direct) results.put((n * h.count + oh) * w.count, some * w.count, 0, x.c, sums, x.c);
        }
        Scratch::release(Scratch::kImage);
      });
}

// How many lines and columns of the result a task makes.
struct LineCut {
  int64_t lines, cols;
};
LineCut cut_lines(const Lines& a, const Axis& h, int64_t pixels, int64_t images, int64_t n, bool sums, int threads) {
  constexpr int64_t kSeen = 98304, kSums = 32768, kLeast = 56;  // floats of the image, floats of sums, rows of A
  LineCut c{h.count, n};
  while (c.lines > 1 && (a.floats(c.lines) > kSeen || (sums && c.lines * pixels * n > kSums)))
    c.lines = (c.lines + 1) / 2;
  if (threads == 1) return c;
  const auto tasks = [&] { return images * ((h.count + c.lines - 1) / c.lines) * ((n + c.cols - 1) / c.cols); };
  while (tasks() < threads * 4 && c.lines > 1 && (c.lines + 1) / 2 * pixels >= kLeast) c.lines = (c.lines + 1) / 2;
  const int64_t group = 4 * gemm::panel_width();
  while (tasks() < threads * 4 && c.cols > group) c.cols = ((c.cols + 1) / 2 + group - 1) / group * group;
  return c;
}

void convolve_lines(const Lines& a, const Axis& h, const Axis& w, int64_t images, int64_t k, int64_t n,
                    const float* packed, const Results<float>& results, int64_t y_row, const gemm::Epilogue& epilogue,
                    Exec& exec) {
  const bool direct = results.in_place();
  const LineCut cut = cut_lines(a, h, w.count, images, n, !direct, exec.threads());
  const int64_t bands = (h.count + cut.lines - 1) / cut.lines, parts = (n + cut.cols - 1) / cut.cols;
  const int64_t work = cut.lines * w.count * cut.cols * k;
  exec.parallel_for(
      images * bands * parts, std::max<int64_t>(1, (1 << 17) / std::max<int64_t>(1, work)),
      [&](int64_t begin, int64_t end) {
        float* const room = a.copied() ? Scratch::get(Scratch::kImage, a.floats(cut.lines)) : nullptr;
        float* const sums = direct ? nullptr : Scratch::get(Scratch::kSums, cut.lines * w.count * cut.cols);
        int64_t copied = -1;
        const float* seen = nullptr;
        for (int64_t task = begin; task < end; ++task) {
          const int64_t band = task / parts, j = task % parts * cut.cols, cols = std::min(cut.cols, n - j);
          const int64_t image = band / bands, oh = band % bands * cut.lines, lines = std::min(cut.lines, h.count - oh);
          const int64_t row = (image * h.count + oh) * w.count;
          if (copied != band) seen = a.at(image, oh, lines, room);
          copied = band;
          gemm::Block g{.m = w.count, .n = cols, .a = seen, .a_row = a.a_row()};
          g.b = packed + j * k;
          g.b_step = gemm::panel_width();
          g.b_panel = k * g.b_step;
          g.c = direct ? results.start() + row * y_row + j : sums;
          g.c_row = direct ? y_row : cols;
          g.lines = lines;
          g.a_line = a.a_line();
          g.c_line = w.count * g.c_row;
          gemm::Epilogue e = epilogue;
          if (e.bias) e.bias += j;
          if (e.add) e.add += row * e.add_stride + j;
          for (int64_t pass = 0; pass < a.passes(); ++pass) {
            const auto runs = a.runs(pass);
            g.runs = runs.data();
            g.run_count = static_cast<int64_t>(runs.size());
            g.accumulate = pass > 0;
            g.epilogue = pass + 1 == a.passes() ? &e : nullptr;
            gemm::multiply(g);
          }
          if (sums) results.put(row, lines * w.count, j, cols, sums, cols);
        }
        Scratch::release(Scratch::kImage);
      });
}

// Of images in planes every pixel by itself: one product for each image, which brings its columns into rows.
void convolve_pixels(const Image& x, int64_t group, int64_t channels, gemm::Product p, const Results<float>& results,
                     int64_t y_row, const gemm::Epilogue& epilogue, Exec& exec) {
  p.m = x.h * x.w;
  gemm::Epilogue e = epilogue;
  p.epilogue = &e;
  for (int64_t n = 0; n < x.n; ++n) {
    const int64_t row = n * p.m;
    p.a = {x.data + n * x.image + group * channels * x.channel, 1, x.channel};
    p.c = results.start() + row * y_row;
    p.c_row = y_row;
    const auto put = [&](int64_t i, auto... v) { results.put(row + i, v...); };
    const gemm::Sink to = put;
    if (!results.in_place()) p.sink = &to;
    if (epilogue.add) e.add = epilogue.add + row * e.add_stride;
    gemm::product(p, exec);
  }
}

}  // namespace

bool reads_planes(const Image& x, const Axis& h, const Axis& w, const Filter& f) {
  if (x.channel == 1 || x.pixel != 1 || h.taps() * w.taps() == 0) return false;
  if (depthwise(f)) return Lines(x, h, w, 0, x.c).fit(1);
  if (Patches<float>(x, h, w, 0, f.ins).plain()) return x.row == x.w && x.h * x.w >= 64;
  return f.groups == 1 && x.n * h.count * w.count > 0 && Lines(x, h, w, 0, f.ins).pay();
}

void convolve(const Image& x, const Axis& h, const Axis& w, const Filter& shape, const float* packed, const Image& y,
              const gemm::Epilogue& epilogue, Exec& exec) {
  if (depthwise(shape)) return convolve_depthwise(x, h, w, packed, y, epilogue, exec);
  for (int64_t g = 0; g < shape.groups; ++g) {
    const Patches<float> patches(x, h, w, g, shape.ins);
    const Results<float> results(y, h, w, g * shape.outs);
    gemm::Epilogue e = epilogue;
    if (e.bias) e.bias += g * shape.outs;
    if (e.add) e.add += g * shape.outs;
    gemm::Product p{.m = patches.rows(), .n = shape.outs, .k = patches.depth()};
    p.packed_b = packed + g * gemm::packed_floats(p.k, p.n);
    if (p.m <= 0 || p.n <= 0) continue;
    if (p.k > 0 && !patches.plain()) {
      const Lines lines(x, h, w, g, shape.ins);
      if (lines.pay()) {
        convolve_lines(lines, h, w, x.n, p.k, p.n, p.packed_b, results, y.c, e, exec);
        continue;
      }
    }
    if (x.channel != 1) {
      convolve_pixels(x, g, shape.ins, p, results, y.c, e, exec);
      continue;
    }
    const auto gather = [&](auto... v) { patches.gather(v...); };
    const auto put = [&](auto... v) { results.put(v...); };
    const gemm::Gather from = gather;
    const gemm::Sink to = put;
    p.epilogue = &e;
    if (patches.plain())
      p.a = {patches.start(), x.c, 1};
    else
      p.gather = &from;
    p.c = results.start();
    p.c_row = y.c;
    if (!results.in_place()) p.sink = &to;
    gemm::product(p, exec);
  }
}

namespace {

void filter_gradient_depthwise(const Image& x, const Image& dy, const Axis& h, const Axis& w, Taps rows, Taps cols,
                               const Filter& f, Exec& exec) {
  constexpr int64_t kChannels = 64;  // of one task: their sums stay in the first cache
  const int64_t taps = h.taps() * w.taps(), tasks = (x.c + kChannels - 1) / kChannels;
  exec.parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(static_cast<size_t>(taps * kChannels));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t c = task * kChannels, channels = std::min(kChannels, x.c - c);
      std::fill(sums.begin(), sums.end(), 0.f);
      for (int64_t i = 0; i < x.n * h.count; ++i) {
        const int64_t n = i / h.count, oh = i % h.count;
        for (int64_t t = 0; t < taps; ++t) {
          const int64_t b = t % w.taps(), ih = oh * h.step + h.offset[static_cast<size_t>(t / w.taps())];
          if (ih < 0 || ih >= x.h) continue;
          int64_t first, last;
          inside(w, b, x.w, first, last);
          const float* px =
              x.data + n * x.image + ih * x.row + (first * w.step + w.offset[static_cast<size_t>(b)]) * x.c + c;
          const float* pdy = dy.data + n * dy.image + oh * dy.row + first * dy.c + c;
          MEGALITH_DISPATCH(AddProducts)(
              {px, w.step * x.c, pdy, dy.c, last - first, channels, sums.data() + t * kChannels});
        }
      }
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t at =
            rows[static_cast<size_t>(t / w.taps())] * f.row + cols[static_cast<size_t>(t % w.taps())] * f.col;
        for (int64_t k = 0; k < channels; ++k)
          f.data[(c + k) * f.group + at] = sums[static_cast<size_t>(t * kChannels + k)];
      }
    }
  });
}

// The gradient of one group, (tap, image channel, result channel), to where the filter lies: a few result channels at a
// time, each of them a stream in memory.
void store_filter(const float* sums, const Filter& f, int64_t group, Taps rows, Taps cols, Exec& exec) {
  constexpr int64_t kStreams = 16;
  const auto width = static_cast<int64_t>(cols.size()), taps = static_cast<int64_t>(rows.size()) * width;
  const int64_t work = taps * f.ins * kStreams;
  exec.parallel_for((f.outs + kStreams - 1) / kStreams, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work)),
                    [&](int64_t begin, int64_t end) {
                      for (int64_t o = begin * kStreams; o < std::min(f.outs, end * kStreams); o += kStreams) {
                        const int64_t streams = std::min(kStreams, f.outs - o);
                        for (int64_t in = 0; in < f.ins; ++in) {
                          for (int64_t t = 0; t < taps; ++t) {
                            const float* from = sums + (t * f.ins + in) * f.outs + o;
                            float* to = f.data + group * f.group + o * f.out + in * f.in +
                                        rows[static_cast<size_t>(t / width)] * f.row +
                                        cols[static_cast<size_t>(t % width)] * f.col;
                            for (int64_t c = 0; c < streams; ++c) to[c * f.out] = from[c];
                          }
                        }
                      }
                    });
}

// Sums of one group without gathering patches: a few images at a time, whose lines are the runs of the products.
bool filter_sums_of_lines(const Image& x, const Image& dy, const Axis& h, const Axis& w, int64_t group, const Filter& f,
                          float* sums, Exec& exec) {
  constexpr int64_t kSeen = 98304, kLeastPixels = 512, kMostOuts = 128, kRows = 56;
  const int64_t lanes = gemm::panel_width() / 2, pixels = h.count * w.count;
  if (pixels == 0 || x.n == 0 || h.taps() * w.taps() == 0 || f.outs > kMostOuts) return false;
  if (f.outs % lanes != 0 && lanes < 8) return false;  // there masks are slow
  const Lines a(x, h, w, group, f.ins);
  if (!a.fit(h.count)) return false;
  const int64_t seen = std::max<int64_t>(1, a.floats(h.count)), some = std::clamp<int64_t>(kSeen / seen, 1, x.n);
  if (w.count < 6 || some * pixels < std::min(kLeastPixels, x.n * pixels)) return false;
  // Pieces of the patches, a task each.
  std::vector<Lines::Stretch> pieces;
  for (const Lines::Stretch& s : a.stretches()) {
    for (int64_t k = 0; k < s.k; k += kRows) pieces.push_back({s.at + k, s.l + k, std::min(kRows, s.k - k)});
  }
  float* const room = a.copied() ? Scratch::get(Scratch::kImage, some * seen) : nullptr;
  std::vector<gemm::Run> runs;
  for (int64_t n = 0; n < x.n; n += some) {
    const int64_t images = std::min(some, x.n - n);
    if (room) {
      exec.parallel_for(images, std::max<int64_t>(1, 16384 / seen), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) a.at(n + i, 0, h.count, room + i * seen);
      });
    }
    const float* const first = room ? room : a.at(n, 0, h.count, nullptr);
    runs.clear();
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t oh = 0; oh < h.count; ++oh)
        runs.push_back({i * (room ? seen : x.image) + oh * a.a_line(), (i * h.count + oh) * dy.row, w.count});
    }
    exec.parallel_for(static_cast<int64_t>(pieces.size()),
                      std::max<int64_t>(1, (1 << 17) / (images * pixels * std::min(kRows, pieces[0].k) * f.outs)),
                      [&](int64_t begin, int64_t end) {
                        for (int64_t i = begin; i < end; ++i) {
                          const Lines::Stretch& s = pieces[static_cast<size_t>(i)];
                          gemm::Block g{.m = s.k, .n = f.outs, .a = first + s.at, .a_row = 1, .a_step = a.a_row()};
                          g.b = dy.data + n * dy.image + group * f.outs;
                          g.b_step = dy.c;
                          g.b_panel = gemm::panel_width();
                          g.runs = runs.data();
                          g.run_count = static_cast<int64_t>(runs.size());
                          g.c = sums + s.l * f.outs;
                          g.c_row = f.outs;
                          g.accumulate = n > 0;
                          gemm::multiply(g);
                        }
                      });
  }
  Scratch::release(Scratch::kImage);
  return true;
}

}  // namespace

void filter_gradient(const Image& x, const Image& dy, const Axis& h, const Axis& w, Taps rows, Taps cols,
                     const Filter& f, Exec& exec) {
  if (depthwise(f)) return filter_gradient_depthwise(x, dy, h, w, rows, cols, f, exec);
  float* sums = Scratch::get(Scratch::kFilter, h.taps() * w.taps() * f.ins * f.outs);
  for (int64_t g = 0; g < f.groups; ++g) {
    const Patches<float> patches(x, h, w, g, f.ins);
    if (!patches.plain() && filter_sums_of_lines(x, dy, h, w, g, f, sums, exec)) {
      store_filter(sums, f, g, rows, cols, exec);
      continue;
    }
    const auto gather = [&](auto... v) { patches.gather(v...); };
    const gemm::Gather from = gather;
    gemm::Product p{.m = patches.depth(), .n = f.outs, .k = patches.rows()};
    p.b = {dy.data + g * f.outs, dy.c, 1};
    if (patches.plain())
      p.a = {patches.start(), 1, x.c};
    else
      p.gather_t = &from;
    p.c = sums;
    p.c_row = f.outs;
    gemm::product(p, exec);
    store_filter(sums, f, g, rows, cols, exec);
  }
  Scratch::release(Scratch::kFilter);
}

}  // namespace megalith::nhwc
#endif
