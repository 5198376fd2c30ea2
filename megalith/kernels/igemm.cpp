#include "megalith/kernels/igemm.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "megalith/kernels/scratch.h"
#include "megalith/kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "megalith/kernels/igemm.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "megalith/kernels/partial-inl.h"
#include "megalith/kernels/round-inl.h"

HWY_BEFORE_NAMESPACE();
namespace megalith::igemm::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using megalith::HWY_NAMESPACE::LoadFirst;
using megalith::HWY_NAMESPACE::RoundWithin;
using megalith::HWY_NAMESPACE::StoreFirst;

using D = hn::CappedTag<int32_t, 16>;

// Pairs of 16 bits. Some targets need two vectors for the sums.
struct Pairs {
  using V = hn::Vec<D>;
  static constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
  static constexpr int kPanelVectors = 2;
#if HWY_TARGET == HWY_AVX3
  static constexpr int kAccumulators = 28;
#elif HWY_ARCH_WASM  // engines have fewer than 16 registers to give, and products need one
  static constexpr int kAccumulators = 8;
#else
  static constexpr int kAccumulators = 12;
#endif

  static HWY_INLINE V load(const int32_t* p) { return hn::LoadU(D(), p); }
  static HWY_INLINE V repeat(int32_t word) { return hn::Set(D(), word); }
  static HWY_INLINE void store(V v, int32_t* p) { hn::StoreU(v, D(), p); }
#if HWY_TARGET == HWY_SCALAR
  static constexpr bool kTwoSums = false;
  static HWY_INLINE V add(V sum, V a, V b) {
    const auto low = [](V v) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(v)); };
    const V high = hn::Mul(hn::ShiftRight<16>(a), hn::ShiftRight<16>(b));
    return hn::Add(sum, hn::Add(hn::Mul(low(a), low(b)), high));
  }
#else
  using D16 = hn::RepartitionToNarrow<D>;
#if (HWY_ARCH_X86 || HWY_ARCH_WASM) && HWY_TARGET != HWY_EMU128  // whose sums are in two vectors
  static constexpr bool kTwoSums = false;
  static HWY_INLINE V add(V sum, V a, V b) {
    V unused = hn::Zero(D());
    return hn::ReorderWidenMulAccumulate(D(), hn::BitCast(D16(), a), hn::BitCast(D16(), b), sum, unused);
  }
#else
  static constexpr bool kTwoSums = true;
  static HWY_INLINE V add(V sum, V a, V b, V& more) {
    return hn::ReorderWidenMulAccumulate(D(), hn::BitCast(D16(), a), hn::BitCast(D16(), b), sum, more);
  }
  static HWY_INLINE V total(V sum, V more, V start) { return hn::Add(hn::RearrangeToOddPlusEven(sum, more), start); }
#endif
#endif
};
using V = Pairs::V;
constexpr int64_t kLanes = Pairs::kLanes;

#undef MEGALITH_TILE
#define MEGALITH_TILE
#include "megalith/kernels/igemm-tiles.h"

void MultiplyPairs(const Block& g) { Tiles<Pairs>(g); }

// Values of type T less `zero`, as pairs. `from` and `to` have room for a whole vector more.
template <class T>
void ToPairs(const T* from, int zero, int64_t n, int16_t* to) {
  const hn::CappedTag<int16_t, 32> d;
  const auto z = hn::Set(d, static_cast<int16_t>(zero));
  for (int64_t i = 0; i < n; i += static_cast<int64_t>(hn::MaxLanes(d)))
    hn::StoreU(hn::Sub(hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, decltype(d)>(), from + i)), z), d, to + i);
}

void ToPairsOf(DType type, const std::byte* from, int64_t n, int16_t* to) {
  if (type.id == DTypeEnum::Int8 || type.id == DTypeEnum::QuantizedS8)
    return ToPairs(reinterpret_cast<const int8_t*>(from), 0, n, to);
  ToPairs(reinterpret_cast<const uint8_t*>(from), type.is_asymmetric() ? type.zero_point : 0, n, to);
}

// Signed bytes become unsigned ones that are 128 larger. There is room for a whole vector more.
void ToQuads(uint8_t* bytes, int64_t n) {
  const hn::CappedTag<uint8_t, 64> d;
  const auto sign = hn::Set(d, uint8_t{128});
  for (int64_t i = 0; i < n; i += static_cast<int64_t>(hn::MaxLanes(d)))
    hn::StoreU(hn::Xor(hn::LoadU(d, bytes + i), sign), d, bytes + i);
}

// ---- from sums to results

using DF = hn::RebindToFloat<D>;
using VF = hn::Vec<DF>;

// float(double(sum) * scale). Sums that a float holds give the same without the way through double: their product has
// 48 digits at most.
HWY_INLINE VF Scaled(const int32_t* sums, const VF scale, bool in_double, float factor) {
  const DF d;
  const VF v = hn::ConvertTo(d, hn::LoadU(D(), sums));
  const auto small = hn::Lt(hn::Abs(v), hn::Set(d, 16777216.f));
  if (!in_double || HWY_LIKELY(hn::AllTrue(d, small))) return hn::Mul(v, scale);
  alignas(64) float lanes[kLanes];
  for (int64_t i = 0; i < kLanes; ++i)
    lanes[i] = static_cast<float>(static_cast<double>(sums[i]) * static_cast<double>(factor));
  return hn::Load(d, lanes);
}

HWY_INLINE VF Activate(Finish::Act act, VF v) {
  const DF d;
  switch (act) {
    case Finish::Act::kNone: break;
    case Finish::Act::kRelu: return hn::IfThenElseZero(hn::Gt(v, hn::Zero(d)), v);
    case Finish::Act::kHSwish: {
      const VF gate = hn::Min(hn::Max(hn::Add(v, hn::Set(d, 3.f)), hn::Zero(d)), hn::Set(d, 6.f));
      return hn::Div(hn::Mul(v, gate), hn::Set(d, 6.f));
    }
  }
  return v;
}

// Of a result of type T, float or a byte.
template <class T>
struct FinishVector {
  explicit FinishVector(const Finish& f)
      : f(f), scale(hn::Set(DF(), f.scale)), step(hn::Set(DF(), f.type.scale)), zero(hn::Zero(D())) {
    if constexpr (std::is_integral_v<T>) {
      const int z = f.type.is_asymmetric() ? f.type.zero_point : 0;
      zero = hn::Set(D(), z);
      low = hn::Set(DF(), static_cast<float>(std::numeric_limits<T>::lowest() - z));
      high = hn::Set(DF(), static_cast<float>(std::numeric_limits<T>::max() - z));
    }
  }

  // Elements [j, j + n) of a row; whole vectors of them where n is that.
  template <bool kWhole>
  HWY_INLINE void Do(const int32_t* sums, const float* add, T* to, int64_t j, int64_t n) const {
    const DF d;
    const auto load = [&](const float* p) HWY_ATTR {
      if constexpr (kWhole)
        return hn::LoadU(d, p);
      else
        return LoadFirst(d, p, n);
    };
    VF v = Scaled(sums + j, scale, f.in_double, f.scale);
    if (f.bias) v = hn::Add(v, load(f.bias + j));
    if (add) v = hn::Add(v, load(add + j));
    v = Activate(f.act, v);
    if constexpr (std::is_integral_v<T>) {
      const hn::Rebind<T, D> bytes;
      const auto q = hn::DemoteTo(bytes, hn::Add(RoundWithin(d, hn::Div(v, step), low, high), zero));
      if constexpr (kWhole) {
        hn::StoreU(q, bytes, to + j);
      } else {
        T last[kLanes];
        hn::StoreU(q, bytes, last);
        std::copy_n(last, n, to + j);
      }
    } else if constexpr (kWhole) {
      hn::StoreU(v, d, to + j);
    } else {
      StoreFirst(v, d, to + j, n);
    }
  }

  const Finish& f;
  VF scale, step, low, high;
  V zero;
};

template <class T>
void FinishRows(const Finish& f, int64_t m, int64_t n, const int32_t* sums, int64_t pitch, T* to, int64_t to_row) {
  const FinishVector<T> vector(f);
  for (int64_t i = 0; i < m; ++i) {
    const float* const add = f.add ? f.add + i * f.add_row : nullptr;
    int64_t j = 0;
    for (; j + kLanes <= n; j += kLanes) vector.template Do<true>(sums + i * pitch, add, to + i * to_row, j, kLanes);
    if (j < n) vector.template Do<false>(sums + i * pitch, add, to + i * to_row, j, n - j);
  }
}

void FinishBytes(const Finish& f, int64_t m, int64_t n, const int32_t* sums, int64_t pitch, std::byte* to,
                 int64_t to_row) {
  if (f.type.id == DTypeEnum::Float32) return FinishRows(f, m, n, sums, pitch, reinterpret_cast<float*>(to), to_row);
  if (f.type.is_asymmetric()) return FinishRows(f, m, n, sums, pitch, reinterpret_cast<uint8_t*>(to), to_row);
  FinishRows(f, m, n, sums, pitch, reinterpret_cast<int8_t*>(to), to_row);
}

int64_t PanelWidth() { return Pairs::kPanelVectors * kLanes; }
int64_t TileRows() { return Pairs::kAccumulators / Pairs::kPanelVectors; }

}  // namespace megalith::igemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megalith::igemm {
namespace {

bool is_signed(DType d) { return d.id == DTypeEnum::Int8 || d.id == DTypeEnum::QuantizedS8; }
bool is_raw(DType d) { return d.id == DTypeEnum::Int32 || d.id == DTypeEnum::QuantizedS32; }

int64_t rows_of_tile(Form f) { return f == Form::kQuads ? kQuadRows : MEGALITH_DISPATCH(TileRows)(); }

void multiply(Form form, const Block& b) {
#if MEGALITH_QUADS
  if (form == Form::kQuads) return multiply_quads(b);
#endif
  static_cast<void>(form);
  MEGALITH_DISPATCH(MultiplyPairs)(b);
}

constexpr int64_t kBytesOfA = int64_t{192} << 10;  // rows of A in one pass, in the second cache
constexpr int64_t kPanelsAtOnce = 4;

int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

}  // namespace

bool is_small(DType d) { return is_signed(d) || d.id == DTypeEnum::Uint8 || d.id == DTypeEnum::Quantized8Asymm; }

Form form_of(DType a, DType b) {
#if MEGALITH_QUADS
  if (isa() == Isa::kAvx512Vnni && is_signed(a) && is_signed(b)) return Form::kQuads;
#endif
  static_cast<void>(a), static_cast<void>(b);
  return Form::kPairs;
}

int64_t panel_width() {
  static const int64_t width = MEGALITH_DISPATCH(PanelWidth)();
  return width;
}

void to_words(Form f, DType type, int64_t rows, int32_t* to, int64_t pitch,
              FunctionRef<void(std::byte* raw, int64_t raw_pitch)> fill) {
  if (f == Form::kQuads) {
    fill(reinterpret_cast<std::byte*>(to), pitch * 4);
    return MEGALITH_DISPATCH(ToQuads)(reinterpret_cast<uint8_t*>(to), rows * pitch * 4);
  }
  auto* raw = Scratch::get<std::byte>(Scratch::kImage2, rows * pitch * 2 + kRoom);
  fill(raw, pitch * 2);
  MEGALITH_DISPATCH(ToPairsOf)(type, raw, rows * pitch * 2, reinterpret_cast<int16_t*>(to));
}

void pack_b(Form f, DType type, const std::byte* b, int64_t col, int64_t k, int64_t n, int32_t* to, Exec& exec) {
  const int64_t panel = panel_width(), depth = words(f, k), count = panels(n);
  const int zero = type.is_asymmetric() ? type.zero_point : 0;
  exec.parallel_for(count, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, panel * k)),
                    [&](int64_t begin, int64_t end) {
                      for (int64_t j = begin * panel; j < end * panel; ++j) {
                        int32_t* words = to + count * panel + j / panel * panel * depth + j % panel;
                        uint32_t sum = 0;
                        if (j >= n) {
                          for (int64_t l = 0; l < depth; ++l) words[l * panel] = 0;
                        } else if (f == Form::kQuads) {
                          for (int64_t l = 0; l < k; l += 4) {
                            int8_t quad[4] = {};
                            std::memcpy(quad, b + j * col + l, static_cast<size_t>(std::min<int64_t>(4, k - l)));
                            std::memcpy(words + l / 4 * panel, quad, 4);
                            sum += static_cast<uint32_t>(quad[0] + quad[1] + quad[2] + quad[3]);
                          }
                        } else {
                          const std::byte* from = b + j * col;
                          const auto at = [&](int64_t l) {
                            if (l == k) return uint16_t{0};
                            return static_cast<uint16_t>(is_signed(type) ? static_cast<int8_t>(from[l])
                                                                         : static_cast<uint8_t>(from[l]) - zero);
                          };
                          for (int64_t l = 0; l < k; l += 2)
                            words[l / 2 * panel] = static_cast<int32_t>(at(l) | static_cast<uint32_t>(at(l + 1)) << 16);
                        }
                        to[j] = static_cast<int32_t>(-128 * sum);  // 0 for pairs
                      }
                    });
}

void product(const Product& p, Gather a, Sink c, Exec& exec) {
  if (p.m <= 0 || p.n <= 0) return;
  const int64_t panel = panel_width(), tile = rows_of_tile(p.form), depth = words(p.form, p.k);
  const int64_t pitch = depth + words(p.form, kRoom);
  int64_t rows = std::clamp(kBytesOfA / (pitch * 4) / tile * tile, tile, 4 * tile), cols = round_up(p.n, panel);
  const auto tasks = [&] { return ((p.m + rows - 1) / rows) * ((p.n + cols - 1) / cols); };
  if (exec.threads() > 1 && p.m * p.n * p.k > 64 * 64 * 64) {
    while (tasks() < exec.threads() * 4 && rows > 2 * tile) rows = round_up((rows + 1) / 2, tile);
    while (tasks() < exec.threads() * 2 && cols > kPanelsAtOnce * panel)
      cols = round_up((cols + 1) / 2, kPanelsAtOnce * panel);
  }
  rows = std::min(rows, p.m);
  const int64_t col_tasks = (p.n + cols - 1) / cols, group = kPanelsAtOnce * panel;
  const int32_t *starts = p.packed_b, *b = p.packed_b + panels(p.n) * panel;
  exec.parallel_for(tasks(), 1, [&](int64_t begin, int64_t end) {
    int32_t* piece = Scratch::get<int32_t>(Scratch::kTilesOfA, rows * pitch + kRoom);
    int32_t* sums = Scratch::get<int32_t>(Scratch::kSums, rows * group);
    int64_t have = -1;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / col_tasks * rows, m = std::min(rows, p.m - i), first = task % col_tasks * cols;
      if (have != i) a(i, m, piece, pitch);
      have = i;
      for (int64_t j = first; j < std::min(p.n, first + cols); j += group) {
        const int64_t n = std::min({group, p.n - j, first + cols - j});
        multiply(p.form, {.m = m,
                          .n = n,
                          .a = piece,
                          .a_row = pitch,
                          .depth = depth,
                          .b = b + j * depth,
                          .start = starts + j,
                          .c = sums,
                          .c_row = group});
        c(i, m, j, n, sums, group);
      }
    }
  });
}

bool finishes(DType d) {
  return d.id == DTypeEnum::Float32 || d.id == DTypeEnum::QuantizedS8 || d.id == DTypeEnum::Quantized8Asymm ||
         is_raw(d);
}

void finish(const Finish& f, int64_t m, int64_t n, const int32_t* sums, int64_t pitch, std::byte* to, int64_t to_row) {
  if (!is_raw(f.type)) return MEGALITH_DISPATCH(FinishBytes)(f, m, n, sums, pitch, to, to_row);
  for (int64_t i = 0; i < m; ++i)
    std::memcpy(to + i * to_row * 4, sums + i * pitch, static_cast<size_t>(n) * sizeof(int32_t));
}

}  // namespace megalith::igemm
#endif
