#include "megalith/kernels/copy.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <cstring>

#include "megalith/exec.h"
#include "megalith/kernels/simd.h"
#include "megalith/sort_few.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/copy.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::copying::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
constexpr int64_t kTile = 1;
#elif HWY_MAX_BYTES >= 32
constexpr int64_t kTile = 8;
#else
constexpr int64_t kTile = 4;
#endif

// kTile rows of kTile elements of 4 bytes become columns.
HWY_INLINE void Tile(const float* from, int64_t from_row, float* to, int64_t to_row) {
#if HWY_TARGET == HWY_SCALAR
  *to = *from;
#else
  const hn::CappedTag<float, kTile> d;
  const hn::RepartitionToWide<decltype(d)> pairs;
  using V = hn::Vec<decltype(d)>;
  V r[kTile], t[kTile];
#define MEGALITH_EACH(i, n) _Pragma("GCC unroll 8") for (int64_t i = 0; i < (n); ++i)
  MEGALITH_EACH(i, kTile) r[i] = hn::LoadU(d, from + i * from_row);
  // Within groups of four: pairs of elements, then pairs of pairs.
  MEGALITH_EACH(i, kTile / 2) {
    t[2 * i] = hn::InterleaveLower(d, r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = hn::InterleaveUpper(d, r[2 * i], r[2 * i + 1]);
  }
  MEGALITH_EACH(i, kTile / 4) {
    MEGALITH_EACH(k, 2) {
      const auto a = hn::BitCast(pairs, t[4 * i + k]), b = hn::BitCast(pairs, t[4 * i + 2 + k]);
      r[4 * i + 2 * k] = hn::BitCast(d, hn::InterleaveLower(pairs, a, b));
      r[4 * i + 2 * k + 1] = hn::BitCast(d, hn::InterleaveUpper(pairs, a, b));
    }
  }
  if constexpr (kTile == 4) {
    MEGALITH_EACH(i, kTile) hn::StoreU(r[i], d, to + i * to_row);
  } else {
    MEGALITH_EACH(i, 4) {
      hn::StoreU(hn::ConcatLowerLower(d, r[4 + i], r[i]), d, to + i * to_row);
      hn::StoreU(hn::ConcatUpperUpper(d, r[4 + i], r[i]), d, to + (4 + i) * to_row);
    }
  }
#undef MEGALITH_EACH
#endif
}

#if HWY_TARGET == HWY_AVX3
// Eight rows of sixteen: stores of whole vectors.
HWY_INLINE void WideTile(const float* from, int64_t from_row, float* to, int64_t to_row) {
  __m512 r[8], t[8];
#define MEGALITH_EACH(i, n) _Pragma("GCC unroll 8") for (int64_t i = 0; i < (n); ++i)
  // Rows 0 to 3 and 8 to 11 of the source below, those four behind them above.
  MEGALITH_EACH(i, 8) {
    const float* low = from + (i < 4 ? i : i + 4) * from_row;
    r[i] = _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(low)), _mm256_loadu_ps(low + 4 * from_row), 1);
  }
  MEGALITH_EACH(i, 4) {
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  MEGALITH_EACH(i, 2) {
    MEGALITH_EACH(k, 2) {
      const __m512d a = _mm512_castps_pd(t[4 * i + k]), b = _mm512_castps_pd(t[4 * i + 2 + k]);
      r[4 * i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      r[4 * i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  }
  MEGALITH_EACH(i, 4) {
    _mm512_storeu_ps(to + i * to_row, _mm512_shuffle_f32x4(r[i], r[4 + i], 0x88));
    _mm512_storeu_ps(to + (4 + i) * to_row, _mm512_shuffle_f32x4(r[i], r[4 + i], 0xdd));
  }
#undef MEGALITH_EACH
}
#endif

// fn(row, column) for tiles that cover everything; the last ones begin earlier rather than being smaller, and do some
// of it again. False: there is less than a tile.
template <class Fn>
HWY_INLINE bool InTiles(int64_t rows, int64_t tile_rows, int64_t columns, int64_t tile_columns, Fn&& fn) {
  if (rows < tile_rows || columns < tile_columns) return false;
  for (int64_t j = 0; j < columns; j += tile_columns)
    for (int64_t i = 0; i < rows; i += tile_rows)
      fn(std::min(i, rows - tile_rows), std::min(j, columns - tile_columns));
  return true;
}

void TransposeFloats(const float* from, int64_t from_row, float* to, int64_t to_row, int64_t rows, int64_t columns) {
#if HWY_TARGET == HWY_AVX3
  if (InTiles(rows, 8, columns, 16, [&](int64_t i, int64_t j) HWY_ATTR {
        WideTile(from + j * from_row + i, from_row, to + i * to_row + j, to_row);
      }))
    return;
#endif
  if (InTiles(rows, kTile, columns, kTile, [&](int64_t i, int64_t j) HWY_ATTR {
        Tile(from + j * from_row + i, from_row, to + i * to_row + j, to_row);
      }))
    return;
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = 0; i < rows; ++i) to[i * to_row + j] = from[j * from_row + i];
}

// kCount rows of 16 bytes become 16 columns of kCount bytes: 2, 4 or 8.
template <int kCount>
HWY_INLINE void ByteTile(const uint8_t* from, int64_t from_row, uint8_t* to, int64_t to_row) {
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<uint8_t, 16> d;
  using V = hn::Vec<decltype(d)>;
  V v[kCount], t[kCount];
#define MEGALITH_EACH(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < (n); ++i)
  MEGALITH_EACH(i, kCount) v[i] = hn::LoadU(d, from + i * from_row);
  // Rows and those half of their number away are shuffled like cards, until each column is in one place.
  MEGALITH_EACH(stage, kCount == 8 ? 3 : kCount == 4 ? 2 : 1) {
    MEGALITH_EACH(i, kCount / 2) {
      t[2 * i] = hn::InterleaveLower(d, v[i], v[i + kCount / 2]);
      t[2 * i + 1] = hn::InterleaveUpper(d, v[i], v[i + kCount / 2]);
    }
    MEGALITH_EACH(i, kCount) v[i] = t[i];
  }
  if (to_row == kCount) {
    MEGALITH_EACH(i, kCount) hn::StoreU(v[i], d, to + 16 * i);
    return;
  }
  uint8_t all[16 * kCount];
  MEGALITH_EACH(i, kCount) hn::StoreU(v[i], d, all + 16 * i);
  for (int i = 0; i < 16; ++i) std::memcpy(to + i * to_row, all + i * kCount, kCount);
#undef MEGALITH_EACH
#endif
}

void TransposeBytes(const uint8_t* from, int64_t from_row, uint8_t* to, int64_t to_row, int64_t rows, int64_t columns) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; i + 16 <= rows; i += 16) {
    const uint8_t* x = from + i;
    uint8_t* y = to + i * to_row;
    if (columns == 3 && to_row == 3) {
      const hn::FixedTag<uint8_t, 16> d;
      hn::StoreInterleaved3(hn::LoadU(d, x), hn::LoadU(d, x + from_row), hn::LoadU(d, x + 2 * from_row), d, y);
      continue;
    }
    int64_t j = 0;
    for (; j + 8 <= columns; j += 8) ByteTile<8>(x + j * from_row, from_row, y + j, to_row);
    if (j + 4 <= columns) ByteTile<4>(x + j * from_row, from_row, y + j, to_row), j += 4;
    if (j + 2 <= columns) ByteTile<2>(x + j * from_row, from_row, y + j, to_row), j += 2;
    for (int64_t k = 0; j < columns && k < 16; ++k) y[k * to_row + j] = x[j * from_row + k];
  }
  if (rows == 4 && from_row == 4) {
    const hn::FixedTag<uint8_t, 16> d;
    int64_t j = 0;
    for (; j + 16 <= columns; j += 16) {
      hn::Vec<decltype(d)> v[4];
      hn::LoadInterleaved4(d, from + j * 4, v[0], v[1], v[2], v[3]);
      for (int64_t k = 0; k < 4; ++k) hn::StoreU(v[k], d, to + k * to_row + j);
    }
    from += j * 4, to += j, columns -= j;
  }
#endif
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[i * to_row + j] = from[j * from_row + i];
}

}  // namespace megalith::copying::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith {
namespace copying {
namespace {

template <class T>
void transpose_plain(const T* from, int64_t from_row, T* to, int64_t to_row, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[i * to_row + j] = from[j * from_row + i];
}

// The axes of a copy by their distance in the destination, neighbours merged where both sides allow it.
struct Axes {
  int n = 0;
  std::array<int64_t, kMaxDims> size{}, from{}, to{};
};

Axes axes_of(const Layout& from, const Layout& to) {
  std::array<int, kMaxDims> order{};
  int n = 0;
  for (int d = 0; d < to.shape.ndim(); ++d) {
    if (to.shape[d] != 1) order[static_cast<size_t>(n++)] = d;
  }
  sort_few(order.begin(), order.begin() + n,
           [&](int a, int b) { return std::abs(to.stride[a]) > std::abs(to.stride[b]); });
  Axes a;
  for (int i = 0; i < n; ++i) {
    const int d = order[static_cast<size_t>(i)];
    const auto last = static_cast<size_t>(a.n - 1);
    const bool merge =
        a.n > 0 && a.to[last] == to.stride[d] * to.shape[d] && a.from[last] == from.stride[d] * to.shape[d];
    const size_t at = merge ? last : static_cast<size_t>(a.n++);
    a.size[at] = merge ? a.size[at] * to.shape[d] : to.shape[d];
    a.from[at] = from.stride[d];
    a.to[at] = to.stride[d];
  }
  return a;
}

template <class T>
void copy_row(const T* from, int64_t from_step, T* to, int64_t to_step, int64_t n) {
  if (from_step == 1 && to_step == 1) {
    if (n * static_cast<int64_t>(sizeof(T)) >= 64) {
      std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
    } else {
      for (int64_t i = 0; i < n; ++i) to[i] = from[i];
    }
  } else if (from_step == 0 && to_step == 1) {
    std::fill_n(to, n, *from);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
  }
}

constexpr int64_t kTransposed = 64;  // rows and columns that are taken together

template <class T>
void copy_axes(const Axes& a, const std::byte* from_bytes, std::byte* to_bytes, Exec& exec) {
  const T* from = reinterpret_cast<const T*>(from_bytes);
  T* to = reinterpret_cast<T*>(to_bytes);
  if (a.n == 0) {
    *to = *from;
    return;
  }
  const auto last = static_cast<size_t>(a.n - 1);
  size_t across = last;  // the axis along which the source is a run of memory while the destination isn't
  if (a.from[last] != 1 && a.from[last] != 0 && a.to[last] == 1) {
    for (size_t d = 0; d < last; ++d) {
      if (a.from[d] == 1) across = d;
    }
  }
  // One unit is a row; or a tile of the last axis and the one that is across, of which there are `tiles`.
  int64_t units = 1, tiles_i = 1, tiles_j = 1;
  for (size_t d = 0; d < last; ++d) units *= d == across ? 1 : a.size[d];
  if (across != last) {
    tiles_i = (a.size[across] + kTransposed - 1) / kTransposed;
    tiles_j = (a.size[last] + kTransposed - 1) / kTransposed;
    units *= tiles_i * tiles_j;
  }
  const int64_t elements = across == last ? a.size[last] : std::min(a.size[across], kTransposed) * kTransposed;
  exec.parallel_for(units, std::max<int64_t>(1, 32768 / elements), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      int64_t rest = u, i = 0, j = 0, f = 0, t = 0;
      if (across != last) {
        j = rest % tiles_j * kTransposed;
        rest /= tiles_j;
        i = rest % tiles_i * kTransposed;
        rest /= tiles_i;
        f = i + j * a.from[last];
        t = i * a.to[across] + j;
      }
      for (size_t d = last; d-- > 0;) {
        if (d == across) continue;
        f += rest % a.size[d] * a.from[d];
        t += rest % a.size[d] * a.to[d];
        rest /= a.size[d];
      }
      if (across == last) {
        copy_row(from + f, a.from[last], to + t, a.to[last], a.size[last]);
      } else {
        transpose(reinterpret_cast<const std::byte*>(from + f), a.from[last], reinterpret_cast<std::byte*>(to + t),
                  a.to[across], std::min(kTransposed, a.size[across] - i), std::min(kTransposed, a.size[last] - j),
                  sizeof(T));
      }
    }
  });
}

}  // namespace

void transpose(const float* from, int64_t from_row, float* to, int64_t to_row, int64_t rows, int64_t columns) {
  // What is left in the end is not less than a tile.
  constexpr int64_t kLeast = 16;
  for (int64_t next_row = 0; next_row < rows; next_row += kTransposed) {
    const int64_t i = std::max<int64_t>(0, std::min(next_row, rows - kLeast));
    for (int64_t next_column = 0; next_column < columns; next_column += kTransposed) {
      const int64_t j = std::max<int64_t>(0, std::min(next_column, columns - kLeast));
      MEGALITH_DISPATCH(TransposeFloats)(from + j * from_row + i, from_row, to + i * to_row + j, to_row,
                                         std::min(kTransposed, rows - i), std::min(kTransposed, columns - j));
    }
  }
}

void transpose(const std::byte* from, int64_t from_row, std::byte* to, int64_t to_row, int64_t rows, int64_t columns,
               int width) {
  [[maybe_unused]] const auto plain = [&](auto tag) {
    using T = decltype(tag);
    transpose_plain(reinterpret_cast<const T*>(from), from_row, reinterpret_cast<T*>(to), to_row, rows, columns);
  };
  switch (width) {
    case 1:
      if (kTrimmed) return plain(uint8_t{});
      return MEGALITH_DISPATCH(TransposeBytes)(reinterpret_cast<const uint8_t*>(from), from_row,
                                               reinterpret_cast<uint8_t*>(to), to_row, rows, columns);
#ifndef MEGALITH_TRIMMED
    case 2: return plain(uint16_t{});
    case 8: return plain(uint64_t{});
#endif
    default:
      return MEGALITH_DISPATCH(TransposeFloats)(reinterpret_cast<const float*>(from), from_row,
                                                reinterpret_cast<float*>(to), to_row, rows, columns);
  }
}

}  // namespace copying

void copy_strided(const Tensor& src, const Tensor& dst, Exec& exec) {
  assert(src.shape() == dst.shape() && src.dtype().bits() == dst.dtype().bits());
  if (src.count() == 0) return;
  if (src.contiguous() && dst.contiguous()) {
    const auto bytes = static_cast<int64_t>(src.bytes());
    if (exec.threads() == 1 || bytes < 1 << 18) {
      std::memmove(dst.data(), src.data(), src.bytes());
      return;
    }
    exec.parallel_for(bytes, 1 << 17, [&](int64_t begin, int64_t end) {
      std::memmove(dst.data<std::byte>() + begin, src.data<std::byte>() + begin, static_cast<size_t>(end - begin));
    });
    return;
  }
  const copying::Axes axes = copying::axes_of(src.layout(), dst.layout());
  const std::byte* from = src.data<std::byte>();
  std::byte* to = dst.data<std::byte>();
  switch (src.dtype().bits()) {
    case 8: return copying::copy_axes<uint8_t>(axes, from, to, exec);
    case 32: return copying::copy_axes<uint32_t>(axes, from, to, exec);
#ifndef MEGALITH_TRIMMED
    case 16: return copying::copy_axes<uint16_t>(axes, from, to, exec);
    case 64: return copying::copy_axes<uint64_t>(axes, from, to, exec);
#endif
    default: throw UnsupportedError(cat("strided copy of ", src.dtype().name(), ", which is packed below a byte"));
  }
}

void copy_strided(const Tensor& src, const Tensor& dst) {
  Exec alone;
  copy_strided(src, dst, alone);
}

}  // namespace megalith
#endif
