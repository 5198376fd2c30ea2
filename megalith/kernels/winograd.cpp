#include "megalith/kernels/winograd.h"

#include <algorithm>

#include "hwy/highway.h"
#include "megalith/kernels/epilogue-inl.h"
#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"

namespace megalith::winograd {
namespace {

constexpr int kPoints = 6, kTile = 4, kTaps = 3;

// `size` rows and columns of an image from (top, left) on: pixels beside it are 0, rows above and below are in `zeros`.
struct Seen {
  Seen(const nhwc::Image& x, int64_t n, int64_t top, int64_t left, int64_t size, const float* zeros)
      : begin(std::max<int64_t>(0, -left)), end(std::min(size, x.w - left)) {
    const float* first = x.data + n * x.image + left * x.c;
    for (int64_t i = 0; i < size; ++i) rows[i] = top + i < 0 || top + i >= x.h ? zeros : first + (top + i) * x.row;
  }
  const float* rows[kPoints];
  int64_t begin, end;
};

}  // namespace
}  // namespace megalith::winograd

// One target: the baseline.
HWY_BEFORE_NAMESPACE();
namespace megalith::winograd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 4>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

constexpr float kP = 0.625f, kQ = 1.5f, kPP = kP * kP, kQQ = kQ * kQ;

HWY_INLINE V Times(float f, V v) { return hn::Mul(hn::Set(D(), f), v); }

// Coefficients of x with the points' polynomials: v[i] = sum over j of x[j] c, where (..., c, ...) are the coefficients
// of the product of (z - p) over all finite points p other than point i.
HWY_INLINE void FromPixels(const V* x, V* v) {
  const V even_p = hn::Sub(x[4], Times(kQQ, x[2])), odd_p = Times(kP, hn::Sub(x[3], Times(kQQ, x[1])));
  const V even_q = hn::Sub(x[4], Times(kPP, x[2])), odd_q = Times(kQ, hn::Sub(x[3], Times(kPP, x[1])));
  v[0] = hn::Add(hn::Sub(Times(kPP * kQQ, x[0]), Times(kPP + kQQ, x[2])), x[4]);
  v[1] = hn::Add(even_p, odd_p);
  v[2] = hn::Sub(even_p, odd_p);
  v[3] = hn::Add(even_q, odd_q);
  v[4] = hn::Sub(even_q, odd_q);
  v[5] = hn::Add(hn::Sub(Times(kPP * kQQ, x[1]), Times(kPP + kQQ, x[3])), x[5]);
}

// Sums over the points' powers: y[j] = sum over i of m[i] p(i)^j.
HWY_INLINE void ToResults(const V* m, V* y) {
  const V even_p = hn::Add(m[1], m[2]), odd_p = Times(kP, hn::Sub(m[1], m[2]));
  const V even_q = hn::Add(m[3], m[4]), odd_q = Times(kQ, hn::Sub(m[3], m[4]));
  y[0] = hn::Add(hn::Add(m[0], even_p), even_q);
  y[1] = hn::Add(odd_p, odd_q);
  y[2] = hn::Add(Times(kPP, even_p), Times(kQQ, even_q));
  y[3] = hn::Add(hn::Add(Times(kPP, odd_p), Times(kQQ, odd_q)), m[5]);
}

// Values at the points: v[i] = sum over j of y[j] p(i)^j; the other way round.
HWY_INLINE void FromResults(const V* y, V* v) {
  const V even_p = hn::Add(y[0], Times(kPP, y[2])), odd_p = Times(kP, hn::Add(y[1], Times(kPP, y[3])));
  const V even_q = hn::Add(y[0], Times(kQQ, y[2])), odd_q = Times(kQ, hn::Add(y[1], Times(kQQ, y[3])));
  v[0] = y[0];
  v[1] = hn::Add(even_p, odd_p);
  v[2] = hn::Sub(even_p, odd_p);
  v[3] = hn::Add(even_q, odd_q);
  v[4] = hn::Sub(even_q, odd_q);
  v[5] = y[3];
}

// A filter's values at the points, over the points' distances from all the others, which pixels have no part of.
constexpr float kAt0 = 1 / (kPP * kQQ), kAtP = 1 / (2 * kPP * (kPP - kQQ)), kAtQ = 1 / (2 * kQQ * (kQQ - kPP));
HWY_INLINE void FromTaps(const V* x, V* v) {
  const V even_p = hn::Add(Times(kAtP, x[0]), Times(kAtP * kPP, x[2])), odd_p = Times(kAtP * kP, x[1]);
  const V even_q = hn::Add(Times(kAtQ, x[0]), Times(kAtQ * kQQ, x[2])), odd_q = Times(kAtQ * kQ, x[1]);
  v[0] = Times(kAt0, x[0]);
  v[1] = hn::Add(even_p, odd_p);
  v[2] = hn::Sub(even_p, odd_p);
  v[3] = hn::Add(even_q, odd_q);
  v[4] = hn::Sub(even_q, odd_q);
  v[5] = x[2];
}
// And the sums of such values over the points' powers.
HWY_INLINE void ToTaps(const V* m, V* y) {
  const V even_p = Times(kAtP, hn::Add(m[1], m[2])), odd_p = Times(kAtP * kP, hn::Sub(m[1], m[2]));
  const V even_q = Times(kAtQ, hn::Add(m[3], m[4])), odd_q = Times(kAtQ * kQ, hn::Sub(m[3], m[4]));
  y[0] = hn::Add(hn::Add(Times(kAt0, m[0]), even_p), even_q);
  y[1] = hn::Add(odd_p, odd_q);
  y[2] = hn::Add(hn::Add(Times(kPP, even_p), Times(kQQ, even_q)), m[5]);
}

// A tile of kIn x kIn values through `kFn` along columns and along rows; the kOut x kOut values that come out go to
// to(i, j, value), row by row. Value (i, j) is at rows[i] + j * pixel + c; columns before `begin` and from `end` on are
// 0. Four channels.
template <int kIn, int kOut, void (*kFn)(const V*, V*), class To>
HWY_INLINE void BothWays(const float* const* rows, int64_t begin, int64_t end, int64_t pixel, int64_t c, To&& to) {
  const D d;
  V half[kOut][kIn];
  for (int j = 0; j < kIn; ++j) {
    V x[kIn], v[kOut];
    const ptrdiff_t at = static_cast<ptrdiff_t>(j * pixel + c);
    if (j >= begin && j < end) {
      MEGALITH_UNROLL for (int i = 0; i < kIn; ++i) x[i] = hn::LoadU(d, rows[i] + at);
    } else {
      MEGALITH_UNROLL for (int i = 0; i < kIn; ++i) x[i] = hn::Zero(d);
    }
    kFn(x, v);
    MEGALITH_UNROLL for (int i = 0; i < kOut; ++i) half[i][j] = v[i];
  }
  for (int i = 0; i < kOut; ++i) {
    V v[kOut];
    kFn(half[i], v);
    MEGALITH_UNROLL for (int j = 0; j < kOut; ++j) to(i, j, v[j]);
  }
}

// From tiles to values at the points, `step` floats apart.
template <int kIn, void (*kFn)(const V*, V*)>
HWY_INLINE void Spread(const Seen& s, int64_t channels, float* to, int64_t step) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    float* p = to + c;
    BothWays<kIn, kPoints, kFn>(s.rows, s.begin, s.end, channels, c, [&](int, int, V v) HWY_ATTR {
      hn::StoreU(v, D(), p);
      p += static_cast<ptrdiff_t>(step);
    });
  }
}
void SpreadPixels(const Seen& s, int64_t channels, float* to, int64_t step) {
  Spread<kPoints, FromPixels>(s, channels, to, step);
}
void SpreadResults(const Seen& s, int64_t channels, float* to, int64_t step) {
  Spread<kTile, FromResults>(s, channels, to, step);
}
// And back: the first rows and columns of a tile.
void Collect(const float* from, int64_t step, int64_t channels, float* y, int64_t row, int64_t pixel, int64_t rows,
             int64_t columns, const gemm::Epilogue& e) {
  const D d;
  const float* values[kPoints];
  for (int i = 0; i < kPoints; ++i) values[i] = from + i * kPoints * step;
  for (int64_t c = 0; c < channels; c += kLanes) {
    const V bias = e.bias ? hn::LoadU(d, e.bias + c) : hn::Zero(d);
    BothWays<kPoints, kTile, ToResults>(values, 0, kPoints, step, c, [&](int i, int j, V v) HWY_ATTR {
      if (i >= rows || j >= columns) return;
      float* to = y + static_cast<ptrdiff_t>(i * row + c);
      hn::StoreU(megalith::HWY_NAMESPACE::Activate(d, e, hn::Add(v, bias)), d, to + j * static_cast<ptrdiff_t>(pixel));
    });
  }
}

// Vectors of taps, (row, column, lane), to values at the points and back.
void SpreadTaps(const float* taps, float* to, int64_t step) {
  const float* const rows[] = {taps, taps + kTaps * kLanes, taps + 2 * kTaps * kLanes};
  BothWays<kTaps, kPoints, FromTaps>(rows, 0, kTaps, kLanes, 0, [&](int i, int j, V v) HWY_ATTR {
    hn::StoreU(v, D(), to + (i * kPoints + j) * step);
  });
}
void CollectTaps(const float* from, int64_t step, float* taps) {
  const float* values[kPoints];
  for (int i = 0; i < kPoints; ++i) values[i] = from + i * kPoints * step;
  BothWays<kPoints, kTaps, ToTaps>(values, 0, kPoints, step, 0, [&](int i, int j, V v) HWY_ATTR {
    hn::StoreU(v, D(), taps + (i * kTaps + j) * kLanes);
  });
}

}  // namespace megalith::winograd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

namespace megalith::winograd {
namespace {

using HWY_NAMESPACE::kLanes;
using nhwc::Axis;
using nhwc::Filter;
using nhwc::Image;
using nhwc::Taps;

constexpr int64_t kValues = kPoints * kPoints;
constexpr int64_t kGap = 16;  // floats between the values of tiles, which else might crowd the first cache

// Tiles of an image that lie in rows and columns, four results apart.
class Tiles {
 public:
  Tiles(int64_t images, int64_t height, int64_t width)
      : images_(images), rows_((height + kTile - 1) / kTile), cols_((width + kTile - 1) / kTile) {}
  int64_t count() const { return images_ * rows_ * cols_; }
  int64_t image(int64_t t) const { return t / cols_ / rows_; }
  int64_t row(int64_t t) const { return t / cols_ % rows_ * kTile; }
  int64_t col(int64_t t) const { return t % cols_ * kTile; }

 private:
  int64_t images_, rows_, cols_;
};

// Tiles of one task: what they take stays in the second cache.
int64_t tiles_at_once(int64_t channels, int64_t tiles, int threads, int64_t floats) {
  int64_t some = std::clamp<int64_t>(floats / (kValues * channels), 8, tiles + 8);
  if (threads > 1) some = std::min(some, std::max<int64_t>(8, tiles / (4 * threads)));
  return some / 4 * 4;
}

}  // namespace

bool suits(int64_t ins, int64_t outs, int64_t height, int64_t width) {
  constexpr int64_t kLeast = 5;  // results of a tile for which 36 products and the rest take less time than 9 for each
  const auto up = [](int64_t v) { return (v + kTile - 1) / kTile; };
  return gemm::panel_width() == 2 * kLanes && ins % kLanes == 0 && outs % kLanes == 0 && ins >= 8 && outs >= 8 &&
         ins * outs <= 65536 && kLeast * up(height) * up(width) <= height * width;
}

int64_t packed_floats(const Filter& f) { return kValues * gemm::packed_floats(f.ins, f.outs); }

void pack(const Filter& f, Taps h, Taps w, float* to, Exec& exec) {
  const int64_t panel = gemm::panel_width(), columns = gemm::panels(f.outs) * panel;
  exec.parallel_for(f.ins, std::max<int64_t>(1, 1024 / f.outs), [&](int64_t begin, int64_t end) {
    for (int64_t in = begin; in < end; ++in) {
      for (int64_t o = 0; o < columns; o += kLanes) {
        float taps[kTaps * kTaps * kLanes] = {};
        for (size_t t = 0; t < kTaps * kTaps && o < f.outs; ++t) {
          const float* from = f.data + in * f.in + o * f.out + h[t / kTaps] * f.row + w[t % kTaps] * f.col;
          for (int64_t l = 0; l < kLanes; ++l) taps[static_cast<int64_t>(t) * kLanes + l] = from[l * f.out];
        }
        HWY_STATIC_DISPATCH(SpreadTaps)
        (taps, to + (o / panel * f.ins + in) * panel + o % panel, columns * f.ins);
      }
    }
  });
}

void convolve(const Image& x, const Axis& h, const Axis& w, const Filter& f, const float* packed, const Image& y,
              const gemm::Epilogue& epilogue, Exec& exec) {
  const Tiles tiles(x.n, h.count, w.count);
  const int64_t some = tiles_at_once(f.ins + f.outs, tiles.count(), exec.threads(), 65536);
  const int64_t seen = some * f.ins + kGap, made = some * f.outs + kGap;
  exec.parallel_for((tiles.count() + some - 1) / some, 1, [&](int64_t begin, int64_t end) {
    float* const values = Scratch::get(Scratch::kImage, kValues * seen + kPoints * f.ins);
    float* const sums = Scratch::get(Scratch::kSums, kValues * made + kTile * kTile * f.outs);
    float *const zeros = values + kValues * seen, *const whole = sums + kValues * made;
    std::fill_n(zeros, kPoints * f.ins, 0.f);
    for (int64_t at = begin * some; at < std::min(end * some, tiles.count()); at += some) {
      const int64_t count = std::min(some, tiles.count() - at);
      for (int64_t t = 0; t < count; ++t) {
        const Seen s(x, tiles.image(at + t), tiles.row(at + t) + h.offset[0], tiles.col(at + t) + w.offset[0], kPoints,
                     zeros);
        HWY_STATIC_DISPATCH(SpreadPixels)(s, f.ins, values + t * f.ins, seen);
      }
      const gemm::Run run{0, 0, f.ins};
      gemm::Block g{.m = count, .n = f.outs, .a_row = f.ins, .b_step = gemm::panel_width(), .runs = &run};
      g.b_panel = f.ins * g.b_step;
      g.run_count = 1;
      g.c_row = f.outs;
      for (int64_t v = 0; v < kValues; ++v) {
        g.a = values + v * seen;
        g.b = packed + v * gemm::packed_floats(f.ins, f.outs);
        g.c = sums + v * made;
        gemm::multiply(g);
      }
      for (int64_t t = 0; t < count; ++t) {
        const int64_t row = tiles.row(at + t), col = tiles.col(at + t);
        const int64_t rows = std::min<int64_t>(kTile, h.count - row), cols = std::min<int64_t>(kTile, w.count - col);
        float* to = y.data + tiles.image(at + t) * y.image + row * y.row + col * y.pixel;
        const bool direct = y.channel == 1;
        HWY_STATIC_DISPATCH(Collect)
        (sums + t * f.outs, made, f.outs, direct ? to : whole, direct ? y.row : kTile * f.outs,
         direct ? y.pixel : f.outs, rows, cols, epilogue);
        for (int64_t i = 0; i < (direct ? 0 : rows * cols); ++i) {
          const float* from = whole + (i / cols * kTile + i % cols) * f.outs;
          float* pixel = to + i / cols * y.row + i % cols * y.pixel;
          for (int64_t c = 0; c < f.outs; ++c) pixel[c * y.channel] = from[c];
        }
      }
    }
    Scratch::release(Scratch::kImage);
  });
}

void filter_gradient(const Image& x, const Image& dy, const Axis& h, const Axis& w, Taps rows, Taps cols,
                     const Filter& f, Exec& exec) {
  const Tiles tiles(x.n, h.count, w.count);
  const int64_t some = tiles_at_once(f.ins + f.outs, tiles.count(), 1, 131072), sums_step = f.ins * f.outs;
  const int64_t seen = some * f.ins + kGap, made = some * f.outs + kGap;
  const int64_t row = kPoints * std::max(f.ins, f.outs);
  float* const values = Scratch::get(Scratch::kImage, kValues * seen + row);
  float* const zeros = values + kValues * seen;
  float* const others = Scratch::get(Scratch::kImage2, kValues * made);
  float* const sums = Scratch::get(Scratch::kFilter, kValues * sums_step);
  std::fill_n(zeros, row, 0.f);
  std::fill_n(sums, kValues * sums_step, 0.f);
  for (int64_t at = 0; at < tiles.count(); at += some) {
    const int64_t count = std::min(some, tiles.count() - at);
    exec.parallel_for(count, 4, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t n = tiles.image(at + t), top = tiles.row(at + t), left = tiles.col(at + t);
        const Seen s(x, n, top + h.offset[0], left + w.offset[0], kPoints, zeros), r(dy, n, top, left, kTile, zeros);
        HWY_STATIC_DISPATCH(SpreadPixels)(s, f.ins, values + t * f.ins, seen);
        HWY_STATIC_DISPATCH(SpreadResults)(r, f.outs, others + t * f.outs, made);
      }
    });
    exec.parallel_for(kValues, 1, [&](int64_t begin, int64_t end) {
      const gemm::Run run{0, 0, count};
      gemm::Block g{.m = f.ins, .n = f.outs, .a_row = 1, .a_step = f.ins, .b_step = f.outs, .runs = &run};
      g.b_panel = gemm::panel_width();
      g.run_count = 1;
      g.c_row = f.outs;
      g.accumulate = true;
      for (int64_t v = begin; v < end; ++v) {
        g.a = values + v * seen;
        g.b = others + v * made;
        g.c = sums + v * sums_step;
        gemm::multiply(g);
      }
    });
  }
  exec.parallel_for(f.ins, std::max<int64_t>(1, 1024 / f.outs), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * f.outs; i < end * f.outs; i += kLanes) {
      float taps[kTaps * kTaps * kLanes];
      HWY_STATIC_DISPATCH(CollectTaps)(sums + i, sums_step, taps);
      for (size_t t = 0; t < kTaps * kTaps; ++t) {
        float* to = f.data + i / f.outs * f.in + i % f.outs * f.out + rows[t / kTaps] * f.row + cols[t % kTaps] * f.col;
        for (int64_t l = 0; l < kLanes; ++l) to[l * f.out] = taps[static_cast<int64_t>(t) * kLanes + l];
      }
    }
  });
  for (const auto slot : {Scratch::kImage, Scratch::kImage2, Scratch::kFilter}) Scratch::release(slot);
}

}  // namespace megalith::winograd
