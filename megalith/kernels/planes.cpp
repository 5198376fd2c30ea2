#include "megalith/kernels/planes.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/planes.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/epilogue-inl.h"
#include "megalith/kernels/partial-inl.h"

#ifndef MEGALITH_PLANES_BAND
#define MEGALITH_PLANES_BAND
namespace megalith::planes {

// Rows of results of one image, and the part of the image that they see: padded, and its columns sorted by their phase
// in the stride, so that result column `o` meets tap t at x[row * x_row + offset[t] + o].
struct Band {
  const float* x;
  int64_t x_row;
  const int64_t* offset;  // by (tap row, tap column, channel)
  int64_t taps;
  const float* weights;  // packed
  float* y;
  int64_t y_row, y_channel;
  int64_t rows, columns, outs;
  const gemm::Epilogue* epilogue;
};

// A band as the gradient for the filter sees it: for each tap and result channel a vector of sums over its pixels.
struct Products {
  const float* x;
  int64_t x_row;
  const int64_t* offset;
  int64_t taps;
  const float* dy;
  int64_t dy_row, dy_channel;
  int64_t rows, columns, outs;
  float* sums;  // (result channel, tap, kSumRoom)
};
inline constexpr int64_t kSumRoom = 16;  // floats for a vector of any target

// Result channels from `o` on that are made at once: blocks of about equal size.
inline int64_t block_outs(int64_t all, int64_t o, int64_t most) {
  const int64_t blocks = (all - o + most - 1) / most;
  return (all - o + blocks - 1) / blocks;
}

}  // namespace megalith::planes
#endif

HWY_BEFORE_NAMESPACE();
namespace megalith::planes::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using ::megalith::HWY_NAMESPACE::Activate;
using ::megalith::HWY_NAMESPACE::LoadFirst;
using ::megalith::HWY_NAMESPACE::StoreFirst;
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// Vectors of pixels and channels of results at once: their sums, the pixels and one weight fit into the registers.
#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kVectors = 4;
constexpr int kMostOuts = 6;
#elif HWY_ARCH_WASM
constexpr int kVectors = 2;
constexpr int kMostOuts = 4;
#else
constexpr int kVectors = 2;
constexpr int kMostOuts = 6;
#endif

// kVectors places in the results, of which each begins at pixel x[v] of the image and y[v] of the results.
struct Places {
  const float* x[kVectors];
  float* y[kVectors];
  int64_t count;  // of lanes that are wanted
};

template <int kOuts>
void Micro(const Band& b, const Places& at, const float* weights, const float* bias) {
  const D d;
  V sum[kOuts][kVectors];
  MEGALITH_UNROLL for (int o = 0; o < kOuts; ++o) {
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) sum[o][v] = hn::Zero(d);
  }
  for (int64_t t = 0; t < b.taps; ++t) {
    const int64_t offset = b.offset[t];
    V x[kVectors];
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) x[v] = hn::LoadU(d, at.x[v] + offset);
    MEGALITH_UNROLL for (int o = 0; o < kOuts; ++o) {
      const V w = hn::Set(d, weights[o]);
      MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) sum[o][v] = hn::MulAdd(x[v], w, sum[o][v]);
    }
    weights += kOuts;
  }
  MEGALITH_UNROLL for (int o = 0; o < kOuts; ++o) {
    MEGALITH_UNROLL for (int v = 0; v < kVectors; ++v) {
      V s = sum[o][v];
      if (bias) s = hn::Add(s, hn::Set(d, bias[o]));
      s = Activate(d, *b.epilogue, s);
      float* y = at.y[v] + o * b.y_channel;
      if (at.count == kLanes)
        hn::StoreU(s, d, y);
      else
        StoreFirst(s, d, y, at.count);
    }
  }
}

int64_t MostOuts() { return kMostOuts; }

// Taps and result channels of a tile of sums.
constexpr int kTaps = 5;
#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kDiffs = 4;
#else
constexpr int kDiffs = 2;
#endif

template <int kOuts>
void AddTile(const Products& p, int64_t o, int64_t tap) {
  const D d;
  int64_t offset[kTaps];
  float* to[kTaps];
  for (int t = 0; t < kTaps; ++t) {  // behind the last tap the last one again
    const int64_t at = std::min<int64_t>(tap + t, p.taps - 1);
    offset[t] = p.offset[at];
    to[t] = p.sums + (o * p.taps + at) * kSumRoom;
  }
  const int64_t room = p.taps * kSumRoom;
  V sum[kOuts][kTaps];
  MEGALITH_UNROLL for (int i = 0; i < kOuts; ++i) {
    MEGALITH_UNROLL for (int t = 0; t < kTaps; ++t) sum[i][t] = hn::LoadU(d, to[t] + i * room);
  }
  const int64_t whole = p.columns / kLanes * kLanes, rest = p.columns - whole;
  const auto wanted = hn::FirstN(d, static_cast<size_t>(rest));
  for (int64_t row = 0; row < p.rows; ++row) {
    const float* x = p.x + row * p.x_row;
    const float* dy = p.dy + row * p.dy_row + o * p.dy_channel;
    for (int64_t c = 0; c < whole; c += kLanes) {
      V diff[kOuts];
      MEGALITH_UNROLL for (int i = 0; i < kOuts; ++i) diff[i] = hn::LoadU(d, dy + i * p.dy_channel + c);
      MEGALITH_UNROLL for (int t = 0; t < kTaps; ++t) {
        const V v = hn::LoadU(d, x + offset[t] + c);
        MEGALITH_UNROLL for (int i = 0; i < kOuts; ++i) sum[i][t] = hn::MulAdd(v, diff[i], sum[i][t]);
      }
    }
    if (rest == 0) continue;
    V diff[kOuts];
    MEGALITH_UNROLL for (int i = 0; i < kOuts; ++i) diff[i] = LoadFirst(d, dy + i * p.dy_channel + whole, rest);
    MEGALITH_UNROLL for (int t = 0; t < kTaps; ++t) {
      const V v = hn::IfThenElseZero(wanted, hn::LoadU(d, x + offset[t] + whole));
      MEGALITH_UNROLL for (int i = 0; i < kOuts; ++i) sum[i][t] = hn::MulAdd(v, diff[i], sum[i][t]);
    }
  }
  MEGALITH_UNROLL for (int i = 0; i < kOuts; ++i) {
    MEGALITH_UNROLL for (int t = 0; t < kTaps; ++t) hn::StoreU(sum[i][t], d, to[t] + i * room);
  }
}

void AddProducts(const Products& p) {
  for (int64_t o = 0; o < p.outs;) {
    const int64_t outs = block_outs(p.outs, o, kDiffs);
    for (int64_t t = 0; t < p.taps; t += kTaps) {
      switch (outs) {
        case 1: AddTile<1>(p, o, t); break;
        case 2: AddTile<2>(p, o, t); break;
        case 3: AddTile<std::min(3, kDiffs)>(p, o, t); break;
        default: AddTile<std::min(4, kDiffs)>(p, o, t); break;
      }
    }
    o += outs;
  }
}

// The lanes of `count` sums.
void SumLanes(const float* sums, int64_t count, float* to) {
  const D d;
  for (int64_t i = 0; i < count; ++i) to[i] = hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, sums + i * kSumRoom)));
}

void Convolve(const Band& b) {
  using Fn = void (*)(const Band&, const Places&, const float*, const float*);
  static constexpr auto kTable = []<size_t... I>(std::index_sequence<I...>) {
    return std::array<Fn, kMostOuts>{Micro<static_cast<int>(I) + 1>...};
  }(std::make_index_sequence<kMostOuts>());
  Places at;
  at.count = std::min(kLanes, b.columns);
  int filled = 0;
  const auto flush = [&] {
    for (; filled < kVectors; ++filled) {  // the last one again
      at.x[filled] = at.x[filled - 1];
      at.y[filled] = at.y[filled - 1];
    }
    filled = 0;
    for (int64_t o = 0; o < b.outs;) {
      const int64_t outs = block_outs(b.outs, o, kMostOuts);
      Places here = at;
      for (float*& y : here.y) y += o * b.y_channel;
      kTable[static_cast<size_t>(outs - 1)](b, here, b.weights + o * b.taps,
                                            b.epilogue->bias ? b.epilogue->bias + o : nullptr);
      o += outs;
    }
  };
  for (int64_t row = 0; row < b.rows; ++row) {
    for (int64_t o = 0; o < b.columns; o += kLanes) {
      // The last vector of a row covers some columns again.
      const int64_t first = std::max<int64_t>(0, std::min(o, b.columns - kLanes));
      at.x[filled] = b.x + row * b.x_row + first;
      at.y[filled] = b.y + row * b.y_row + first;
      if (++filled == kVectors) flush();
    }
  }
  if (filled > 0) flush();
}

}  // namespace megalith::planes::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::planes {
namespace {

constexpr int64_t kRoom = 16;  // floats that vectors may read behind the last column

// The padded part of an image that a band of result rows sees.
class Padded {
 public:
  Padded(const Image& x, const Axis& h, const Axis& w) : x_(x), h_(h), w_(w) {
    const auto range = [](const Axis& a) { return std::minmax_element(a.offset.begin(), a.offset.end()); };
    const auto rows = range(h), cols = range(w);
    top_ = *rows.first;
    left_ = *cols.first;
    height_ = *rows.second - top_ + 1;
    width_ = (w.count - 1) * w.step + *cols.second - left_ + 1;
    pitch_ = (width_ + w.step - 1) / w.step + kRoom;
    row_ = pitch_ * w.step;
  }

  int64_t row() const { return row_; }
  int64_t floats(int64_t rows) const { return plane(rows) * x_.c; }

  // Where the taps are found, by (tap row, tap column, channel), for bands of `rows` rows.
  void offsets(int64_t rows, int64_t* to) const {
    for (int64_t i : h_.offset) {
      for (int64_t j : w_.offset) {
        const int64_t column = j - left_;
        for (int64_t c = 0; c < x_.c; ++c)
          *to++ = c * plane(rows) + (i - top_) * row_ + column % w_.step * pitch_ + column / w_.step;
      }
    }
  }

  // What result rows [oh, oh + rows) of image n see, in planes for bands of `room` rows.
  void fill(int64_t n, int64_t oh, int64_t rows, int64_t room, float* to) const {
    const int64_t count = (rows - 1) * h_.step + height_;
    for (int64_t c = 0; c < x_.c; ++c) {
      const float* image = x_.data + n * x_.image + c * x_.channel;
      float* out = to + c * plane(room);
      for (int64_t r = 0; r < count; ++r, out += row_) {
        const int64_t ih = oh * h_.step + top_ + r;
        if (ih < 0 || ih >= x_.h)
          std::fill_n(out, row_, 0.f);
        else
          fill_row(image + ih * x_.row, out);
      }
    }
  }

 private:
  int64_t plane(int64_t rows) const { return ((rows - 1) * h_.step + height_) * row_; }

  void fill_row(const float* from, float* to) const {
    const int64_t begin = std::clamp<int64_t>(-left_, 0, width_), end = std::clamp(x_.w - left_, begin, width_);
    if (w_.step == 1 && x_.pixel == 1) {
      std::fill_n(to, begin, 0.f);
      std::memcpy(to + begin, from + left_ + begin, static_cast<size_t>(end - begin) * sizeof(float));
      std::fill(to + end, to + row_, 0.f);
      return;
    }
    std::fill_n(to, row_, 0.f);
    for (int64_t i = begin; i < end; ++i) to[i % w_.step * pitch_ + i / w_.step] = from[(left_ + i) * x_.pixel];
  }

  const Image& x_;
  const Axis &h_, &w_;
  int64_t top_, left_, height_, width_, pitch_, row_;
};

}  // namespace

bool suits(int64_t ins, int64_t outs, int64_t taps, int64_t out_columns, int64_t step) {
  return outs <= 8 && ins <= 16 && taps > 1 && ins * taps <= 768 && out_columns >= 8 && step <= 4;
}

void pack(const Filter& f, Taps h, Taps w, float* to) {
  const int64_t most = MEGALITH_DISPATCH(MostOuts)();
  for (int64_t o = 0; o < f.outs;) {
    const int64_t outs = block_outs(f.outs, o, most);
    for (int64_t i : h) {
      for (int64_t j : w) {
        for (int64_t c = 0; c < f.ins; ++c) {
          for (int64_t k = 0; k < outs; ++k) *to++ = f.data[(o + k) * f.out + c * f.in + i * f.row + j * f.col];
        }
      }
    }
    o += outs;
  }
}

void convolve(const Image& x, const Axis& h, const Axis& w, const Filter& shape, const float* packed, const Image& y,
              const gemm::Epilogue& epilogue, Exec& exec) {
  if (x.n <= 0 || h.count <= 0 || w.count <= 0) return;
  const Padded padded(x, h, w);
  const int64_t taps = h.taps() * w.taps() * x.c, row_work = std::max<int64_t>(1, taps * w.count * shape.outs);
  const int64_t rows = std::clamp<int64_t>((1 << 18) / row_work, 1, h.count), bands = (h.count + rows - 1) / rows;
  std::vector<int64_t> offset(static_cast<size_t>(taps));
  padded.offsets(rows, offset.data());
  const bool direct = y.pixel == 1 && w.to_step == 1;
  exec.parallel_for(x.n * bands, std::max<int64_t>(1, (1 << 17) / (row_work * rows)), [&](int64_t begin, int64_t end) {
    float* const buffer = Scratch::get(Scratch::kImage, padded.floats(rows));
    float* const sums = direct ? nullptr : Scratch::get(Scratch::kSums, shape.outs * rows * w.count);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / bands, oh = i % bands * rows, some = std::min(rows, h.count - oh);
      padded.fill(n, oh, some, rows, buffer);
      float* const to = y.data + n * y.image + (h.to_first + oh * h.to_step) * y.row + w.to_first * y.pixel;
      const int64_t to_row = h.to_step * y.row, to_pixel = w.to_step * y.pixel;
      Band b{buffer,        h.step * padded.row(),
             offset.data(), taps,
             packed,        to,
             to_row,        y.channel,
             some,          w.count,
             shape.outs,    &epilogue};
      if (!direct) b.y = sums, b.y_row = w.count, b.y_channel = some * w.count;
      MEGALITH_DISPATCH(Convolve)(b);
      if (direct) continue;
      for (int64_t o = 0; o < shape.outs; ++o) {
        for (int64_t r = 0; r < some; ++r) {
          const float* from = sums + o * b.y_channel + r * b.y_row;
          for (int64_t c = 0; c < w.count; ++c) to[o * y.channel + r * to_row + c * to_pixel] = from[c];
        }
      }
    }
    Scratch::release(Scratch::kImage);
  });
}

void filter_gradient(const Image& x, const Image& dy, const Axis& h, const Axis& w, Taps rows, Taps cols,
                     const Filter& f, Exec& exec) {
  constexpr int64_t kParts = 16;  // of the images: sums of their own, added at the end
  const int64_t taps = h.taps() * w.taps() * x.c, sums = f.outs * taps;
  std::vector<float> partial(static_cast<size_t>(kParts * sums));
  if (x.n > 0 && h.count > 0 && w.count > 0) {
    const Padded padded(x, h, w);
    const int64_t row_work = taps * w.count * f.outs, band = std::clamp<int64_t>((1 << 18) / row_work, 1, h.count);
    std::vector<int64_t> offset(static_cast<size_t>(taps));
    padded.offsets(band, offset.data());
    const int64_t part_work = std::max<int64_t>(1, x.n * h.count * row_work / kParts);
    exec.parallel_for(kParts, std::max<int64_t>(1, (1 << 17) / part_work), [&](int64_t begin, int64_t end) {
      float* const buffer = Scratch::get(Scratch::kImage, padded.floats(band));
      float* const vectors = Scratch::get(Scratch::kSums, sums * kSumRoom);
      for (int64_t part = begin; part < end; ++part) {
        std::fill_n(vectors, sums * kSumRoom, 0.f);
        for (int64_t n = x.n * part / kParts; n < x.n * (part + 1) / kParts; ++n) {
          for (int64_t oh = 0; oh < h.count; oh += band) {
            const int64_t some = std::min(band, h.count - oh);
            padded.fill(n, oh, some, band, buffer);
            MEGALITH_DISPATCH(AddProducts)
            ({buffer, h.step * padded.row(), offset.data(), taps, dy.data + n * dy.image + oh * dy.row, dy.row,
              dy.channel, some, w.count, f.outs, vectors});
          }
        }
        MEGALITH_DISPATCH(SumLanes)(vectors, sums, partial.data() + part * sums);
      }
      Scratch::release(Scratch::kImage);
    });
  }
  const float* from = partial.data();
  for (int64_t o = 0; o < f.outs; ++o) {
    for (int64_t i : rows) {
      for (int64_t j : cols) {
        for (int64_t c = 0; c < f.ins; ++c, ++from) {
          float sum = 0;
          for (int64_t part = 0; part < kParts; ++part) sum += from[part * sums];
          f.data[o * f.out + c * f.in + i * f.row + j * f.col] = sum;
        }
      }
    }
  }
}

}  // namespace megalith::planes
#endif
