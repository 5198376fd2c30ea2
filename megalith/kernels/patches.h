// How convolutions with innermost channels walk over images (kernels/nhwc.h): the patches that result pixels see, as
// rows of a matrix, and where finished results go.
//
// Result pixel `o` of an axis meets image pixel o * step + offset[k] at tap k.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "megalith/kernels/copy.h"

namespace megalith::nhwc {

// A batch of images: element (n, h, w, c) is data[n * image + h * row + w * pixel + c * channel].
template <class T>
struct ImageOf {
  T* data;
  int64_t n, h, w, c;
  int64_t image, row, pixel, channel;
  bool dense() const { return channel == 1 && pixel == c && row == w * c && image == h * row; }
};

// How one axis of the result walks over the image, and where its pixels go: pixel `o` to to_first + o * to_step.
struct Axis {
  int64_t count = 0, step = 1;
  std::vector<int64_t> offset;  // by tap
  int64_t to_first = 0, to_step = 1;

  int64_t taps() const { return static_cast<int64_t>(offset.size()); }
};

inline bool adjacent(const Axis& a) {
  for (size_t i = 1; i < a.offset.size(); ++i) {
    if (a.offset[i] != a.offset[i - 1] + 1) return false;
  }
  return true;
}

// The result pixels of an axis that tap `k` brings inside of an image of `size` pixels.
inline void inside(const Axis& a, int64_t k, int64_t size, int64_t& begin, int64_t& end) {
  const int64_t off = a.offset[static_cast<size_t>(k)];
  begin = off >= 0 ? 0 : (-off + a.step - 1) / a.step;
  end = size - 1 - off < 0 ? 0 : (size - 1 - off) / a.step + 1;
  begin = std::min(begin, a.count);
  end = std::clamp(end, begin, a.count);
}

// The rows of the matrix: patch `i` is that of result pixel i in (image, row, column) order.
template <class T>
class Patches {
 public:
  Patches(const ImageOf<T>& x, const Axis& h, const Axis& w, int64_t group, int64_t channels, T outside = 0)
      : x_(x),
        h_(h),
        w_(w),
        first_(group * channels),
        channels_(channels),
        tap_row_(w.taps() * channels),
        whole_(channels == x.c && adjacent(w)),
        outside_(outside),
        end_(x.data + x.n * x.image) {}

  int64_t rows() const { return x_.n * h_.count * w_.count; }
  int64_t depth() const { return h_.taps() * tap_row_; }
  // Every patch is one pixel, and the next patch is the next pixel.
  bool plain() const {
    return h_.taps() == 1 && w_.taps() == 1 && h_.step == 1 && w_.step == 1 && h_.offset[0] == 0 && w_.offset[0] == 0 &&
           h_.count == x_.h && w_.count == x_.w;
  }
  const T* start() const { return x_.data + first_; }

  // Elements [l, l + k) of patches [i, i + m): patches of one row of the result together, stretch by stretch of what
  // lies in one piece in the image.
  void gather(int64_t i, int64_t m, int64_t l, int64_t k, T* to, int64_t pitch) const {
    while (m > 0) {
      const int64_t ow = i % w_.count, oh = i / w_.count % h_.count, n = i / w_.count / h_.count;
      const int64_t some = std::min(m, w_.count - ow);
      const T* image = x_.data + n * x_.image + first_;
      for (int64_t at = l; at < l + k;) {
        const int64_t a = at / tap_row_, in_row = at - a * tap_row_;
        const int64_t b = whole_ ? 0 : in_row / channels_, c = in_row - b * channels_;
        const int64_t length = std::min(l + k - at, (whole_ ? tap_row_ : channels_) - c);
        const int64_t ih = oh * h_.step + h_.offset[static_cast<size_t>(a)];
        const T* row = ih < 0 || ih >= x_.h ? nullptr : image + ih * x_.row;
        stretches(row, ow, some, w_.offset[static_cast<size_t>(b)] * x_.c + c, length, to + (at - l), pitch);
        at += length;
      }
      to += some * pitch;
      i += some;
      m -= some;
    }
  }

 private:
  static int64_t up(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

  // `length` floats for each of `some` patches from `ow` on, `shift` floats from the patch's first pixel in this row of
  // the image; `outside` for those that lie beside it. No row: all are.
  void stretches(const T* row, int64_t ow, int64_t some, int64_t shift, int64_t length, T* to, int64_t pitch) const {
    if (!row) {
      for (int64_t p = 0; p < some; ++p) std::fill_n(to + p * pitch, length, outside_);
      return;
    }
    const int64_t step = w_.step * x_.c;
    // The elements of one image row that a group's channels can reach end before the row does.
    const int64_t size = x_.row - first_;
    shift += ow * step;
    const int64_t begin = std::min(some, up(-shift, step));
    const int64_t end = size - length - shift < 0 ? begin : std::clamp((size - length - shift) / step + 1, begin, some);
    const auto edge = [&](int64_t p) {
      const int64_t at = p * step + shift, before = std::clamp<int64_t>(-at, 0, length);
      const int64_t inside = std::clamp<int64_t>(size - at - before, 0, length - before);
      T* out = to + p * pitch;
      std::fill_n(out, before, outside_);
      if (inside > 0) std::memcpy(out + before, row + at + before, static_cast<size_t>(inside) * sizeof(T));
      std::fill(out + before + inside, out + length, outside_);
    };
    for (int64_t p = 0; p < begin; ++p) edge(p);
    const T* from = row + shift;
    // Short ones in whole blocks where more can be read: what is written too much is overwritten next.
    constexpr int64_t kBlock = 64 / sizeof(T);
    const bool more = from + (end - 1) * step + length + kBlock <= end_;
    if (length <= kBlock / 2 && more) {
      for (int64_t p = begin; p < end; ++p) std::memcpy(to + p * pitch, from + p * step, 32);
    } else if (length < 4 * kBlock && more) {
      for (int64_t p = begin; p < end; ++p) {
        for (int64_t at = 0; at < length; at += kBlock) std::memcpy(to + p * pitch + at, from + p * step + at, 64);
      }
    } else {
      for (int64_t p = begin; p < end; ++p)
        std::memcpy(to + p * pitch, from + p * step, static_cast<size_t>(length) * sizeof(T));
    }
    for (int64_t p = end; p < some; ++p) edge(p);
  }

  const ImageOf<T>& x_;
  const Axis &h_, &w_;
  int64_t first_, channels_, tap_row_;
  bool whole_;  // a row of taps is one stretch of memory
  T outside_;
  const T* end_;
};

// Where finished rows of results go.
template <class T>
class Results {
 public:
  Results(const ImageOf<T>& y, const Axis& h, const Axis& w, int64_t first) : y_(y), h_(h), w_(w), first_(first) {}

  bool in_place() const {
    return y_.dense() && h_.to_step == 1 && w_.to_step == 1 && h_.to_first == 0 && w_.to_first == 0;
  }
  T* start() const { return y_.data + first_; }

  void put(int64_t i, int64_t m, int64_t j, int64_t n, const T* from, int64_t pitch) const {
    while (m > 0) {
      const int64_t ow = i % w_.count, oh = i / w_.count % h_.count, image = i / w_.count / h_.count;
      const int64_t some = std::min(m, w_.count - ow);
      T* to = y_.data + image * y_.image + (h_.to_first + oh * h_.to_step) * y_.row +
              (w_.to_first + ow * w_.to_step) * y_.pixel + (first_ + j) * y_.channel;
      const int64_t step = w_.to_step * y_.pixel;
      if (y_.channel == 1) {
        for (int64_t p = 0; p < some; ++p)
          std::memcpy(to + p * step, from + p * pitch, static_cast<size_t>(n) * sizeof(T));
      } else if (step == 1 && std::is_same_v<T, float>) {
        if constexpr (std::is_same_v<T, float>) copying::transpose(from, pitch, to, y_.channel, n, some);
      } else {
        for (int64_t c = 0; c < n; ++c) {
          for (int64_t p = 0; p < some; ++p) to[p * step + c * y_.channel] = from[p * pitch + c];
        }
      }
      from += some * pitch;
      i += some;
      m -= some;
    }
  }

 private:
  const ImageOf<T>& y_;
  const Axis &h_, &w_;
  int64_t first_;
};

}  // namespace megalith::nhwc
