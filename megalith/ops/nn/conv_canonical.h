// Convolutions in every memory format are computed on canonical tensors: images (N, C, H, W), filters (G, OC/G, IC/G,
// FH, FW), values widened to the accumulator type with zero points taken off.
#pragma once

#include "megalith/ops/elemwise/rows.h"
#include "megalith/ops/nn/conv_geometry.h"

namespace megalith::conv {

using Format = param::ConvolutionFormat;

inline bool known_format(Format f) {
  switch (f) {
    case Format::NCHW:
    case Format::NHWC:
    case Format::NCHW4:
    case Format::NCHW8:
    case Format::NCHW32:
    case Format::NCHW44:
    case Format::NCHW88:
    case Format::NCHW44_DOT:
    case Format::NCHW64:
    case Format::NCHW4_NCHW:
    case Format::NCHW4_NCHW32:
    case Format::NCHW32_NCHW4:
    case Format::NCHW4_NHWC:
    case Format::CHWN4: return true;
    default: return false;
  }
}

// How an image is stored. Blocked images (N, C/b, H, W, b) tell by their rank.
enum class Store : uint8_t { kByRank, kNHWC, kCHWN4 };

inline Store store_of(Format f, bool output) {
  if (kTrimmed) return Store::kByRank;
  if (f == Format::NHWC || (f == Format::NCHW4_NHWC && output)) return Store::kNHWC;
  return f == Format::CHWN4 ? Store::kCHWN4 : Store::kByRank;
}

// Seen with axes (N, C/b, b, H, W); b is 1 where channels are not blocked.
inline Layout split_image(const Layout& l, Store store) {
  const Shape &s = l.shape, &d = l.stride;
  if (store == Store::kCHWN4 && s.ndim() == 5)
    return Layout({s[3], s[0], s[4], s[1], s[2]}, {d[3], d[0], d[4], d[1], d[2]});
  if (s.ndim() == 5) return Layout({s[0], s[1], s[4], s[2], s[3]}, {d[0], d[1], d[4], d[2], d[3]});
  if (store == Store::kNHWC) return Layout({s[0], s[3], 1, s[1], s[2]}, {d[0], d[3], 0, d[1], d[2]});
  return Layout({s[0], s[1], 1, s[2], s[3]}, {d[0], d[1], 0, d[2], d[3]});
}

inline Shape image_to_canonical(const Shape& s, Store store) {
  const Shape v = split_image(Layout(s), store).shape;
  return {v[0], v[1] * v[2], v[3], v[4]};
}

inline Tensor image_to_canonical(const Tensor& t, Store store) {
  const Shape out = image_to_canonical(t.shape(), store);
  return t.view(split_image(t.layout(), store)).to_contiguous().reshaped(out);
}

// An image in any format, seen as (N, H, W, C/b, b): memory order of one whose channels are innermost.
inline Layout inner_channels(const Layout& l, Store store) {
  const Layout v = split_image(l, store);
  const Shape &s = v.shape, &d = v.stride;
  return Layout({s[0], s[3], s[4], s[1], s[2]}, {d[0], d[3], d[4], d[1], d[2]});
}

// The same values with channels innermost: themselves where they lie so.
inline Tensor dense_image(const Tensor& t, Store store, Exec& exec) {
  const Layout l = inner_channels(t.layout(), store);
  if (l.contiguous()) return t.view(Layout(l.shape));
  Tensor d = Tensor::empty(t.dtype(), l.shape);
  copy_strided(t.view(l), d, exec);
  return d;
}

// Copies a canonical image into an output that is stored so.
inline void image_from_canonical(const Tensor& from, const Tensor& to, Store store) {
  const Layout split = split_image(to.layout(), store);
  copy_strided(from.view(Layout(split.shape)), to.view(split));
}

// A filter's layout, seen with axes (G, OC/G, IC/G, FH, FW) after splitting blocked channels: `split` axes are
// (G, O, o, I, i, FH, FW). Fails through `c` when the rank makes no sense.
inline Layout split_filter(const InferContext* c, const Layout& f, Format format, bool group) {
  const Shape &s = f.shape, &d = f.stride;
  const auto bad = [&]() -> Layout {
    if (c)
      c->fail("filter shape ", s, " does not fit format ", enum_info<Format>().name_of(static_cast<uint32_t>(format)),
              group ? " with groups" : "");
    throw OpError("bad filter shape");
  };
  const int g = group ? 1 : 0, n = s.ndim() - g;
  const int64_t gs = group ? s[0] : 1, gd = group ? d[0] : 0;
  if (format == Format::CHWN4) {  // (IC/4, FH, FW, OC, 4)
    if (n != 5) return bad();
    return Layout({gs, s[g + 3], 1, s[g], s[g + 4], s[g + 1], s[g + 2]},
                  {gd, d[g + 3], 0, d[g], d[g + 4], d[g + 1], d[g + 2]});
  }
  const bool blocked_both = format == Format::NCHW44 || format == Format::NCHW88 || format == Format::NCHW44_DOT;
  if (format == Format::NHWC) {
    if (n != 4) return bad();
    return Layout({gs, s[g], 1, s[g + 3], 1, s[g + 1], s[g + 2]}, {gd, d[g], 0, d[g + 3], 0, d[g + 1], d[g + 2]});
  }
  if (blocked_both && n == 6) {
    const int oi = format == Format::NCHW44_DOT ? 4 : 5, ii = format == Format::NCHW44_DOT ? 5 : 4;
    return Layout({gs, s[g], s[g + oi], s[g + 1], s[g + ii], s[g + 2], s[g + 3]},
                  {gd, d[g], d[g + oi], d[g + 1], d[g + ii], d[g + 2], d[g + 3]});
  }
  if (blocked_both && !group && n == 5) {  // the first layer: NCHW in, blocked out; (OC/b, FH, FW, IC, b)
    return Layout({1, s[0], s[4], s[3], 1, s[1], s[2]}, {0, d[0], d[4], d[3], 0, d[1], d[2]});
  }
  if (n == 5 && !blocked_both && format != Format::NCHW) {  // (OC, IC/b, FH, FW, b)
    return Layout({gs, s[g], 1, s[g + 1], s[g + 4], s[g + 2], s[g + 3]},
                  {gd, d[g], 0, d[g + 1], d[g + 4], d[g + 2], d[g + 3]});
  }
  if (n != 4) return bad();
  return Layout({gs, s[g], 1, s[g + 1], 1, s[g + 2], s[g + 3]}, {gd, d[g], 0, d[g + 1], 0, d[g + 2], d[g + 3]});
}

// Depthwise filters of the doubly blocked formats: (G/b, 1, 1, FH, FW, b).
inline bool blocked_depthwise(const Shape& s, Format format, bool group) {
  return group && s.ndim() == 6 &&
         (format == Format::NCHW44 || format == Format::NCHW88 || format == Format::NCHW44_DOT);
}

inline Shape filter_to_canonical(const InferContext* c, const Shape& s, Format format, bool group) {
  if (blocked_depthwise(s, format, group)) return {s[0] * s[5], 1, 1, s[3], s[4]};
  const Shape v = split_filter(c, Layout(s), format, group).shape;
  return {v[0], v[1] * v[2], v[3] * v[4], v[5], v[6]};
}

inline Tensor filter_to_canonical(const Tensor& t, Format format, bool group) {
  const Shape out = filter_to_canonical(nullptr, t.shape(), format, group);
  if (blocked_depthwise(t.shape(), format, group)) {
    const Shape &s = t.shape(), &d = t.stride();
    return t.view(Layout({s[0], s[5], s[3], s[4]}, {d[0], d[5], d[3], d[4]})).to_contiguous().reshaped(out);
  }
  return t.view(split_filter(nullptr, t.layout(), format, group)).to_contiguous().reshaped(out);
}

// The values of a canonical tensor in the accumulator type; float tensors are used as they are.
template <class Acc>
Tensor widen(const Tensor& packed) {
  constexpr DTypeEnum id = std::is_same_v<Acc, float> ? DTypeEnum::Float32 : DTypeEnum::Int32;
  if (packed.dtype().id == id) return packed;
  const Tensor t = packed.dtype().is_lowbit() ? unpack_lowbit(packed) : packed;
  const Acc zero = packed.dtype().is_asymmetric() ? packed.dtype().zero_point : 0;
  Tensor r = Tensor::empty(id, t.shape());
  std::vector<Acc> buffer(elemwise::kBlock);
  for (int64_t i = 0; i < t.count(); i += elemwise::kBlock) {
    const int64_t n = std::min(elemwise::kBlock, t.count() - i);
    const Acc* p = elemwise::load<Acc>(t, i, 1, n, buffer.data());
    for (int64_t k = 0; k < n; ++k) r.data<Acc>()[i + k] = p[k] - zero;
  }
  return r;
}

// Checks what the window arithmetic and the formats need; ranks and channels are left to the shape rules.
template <class P>
void check_window(const InferContext& c, const P& p) {
  check_steps(c, p);
  c.require(known_format(p.format), "format ", enum_info<Format>().name_of(static_cast<uint32_t>(p.format)),
            " is not supported on this device");
}

// One step of a sum of products. Float16 convolutions of compute_mode DEFAULT round to Float16 after every step; their
// values are kept widened.
template <class Acc>
struct Plain {
  static Acc add(Acc sum, Acc a, Acc b) {
    if constexpr (std::is_integral_v<Acc>)  // wraps around, as MegEngine's sums do
      return static_cast<Acc>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
    else
      return sum + a * b;
  }
};
struct RoundedToHalf {
  static float add(float sum, float a, float b) { return round_to_half(sum + a * b); }
};

// y[n, g, oc] += x * f. One plane of outputs at a time; rows of the image are the inner loop, so memory is read in
// order.
template <class Acc, class Step = Plain<Acc>>
void forward(const Geometry& g, const Acc* x, const Acc* f, Acc* y, Exec& exec) {
  // Where every step rounds the order shows: MegEngine walks the window inside of each channel, but the channels inside
  // of each tap where the window is dilated.
  const bool window_first = std::is_same_v<Step, RoundedToHalf> && (g.dh != 1 || g.dw != 1);
  exec.parallel_for(g.n * g.g * g.ocpg, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / (g.g * g.ocpg), goc = plane % (g.g * g.ocpg), group = goc / g.ocpg;
      Acc* out = y + plane * g.oh * g.ow;
      std::fill_n(out, g.oh * g.ow, Acc{0});
      const int64_t taps = g.fh * g.fw;
      for (int64_t i = 0; i < g.icpg * taps; ++i) {
        const int64_t ic = window_first ? i % g.icpg : i / taps, k = window_first ? i / g.icpg : i % taps;
        const Acc* image = x + ((n * g.g + group) * g.icpg + ic) * g.ih * g.iw;
        // Tap k lies at (a, b) of the window.
        const int64_t a = window_first && g.flip ? g.fh - 1 - k / g.fw : k / g.fw;
        const int64_t b = window_first && g.flip ? g.fw - 1 - k % g.fw : k % g.fw;
        const Acc w = f[(goc * g.icpg + ic) * taps + (g.flip ? (g.fh - 1 - a) * g.fw + g.fw - 1 - b : a * g.fw + b)];
        int64_t first, last;
        g.columns(b, first, last);
        for (int64_t oh = 0; oh < g.oh; ++oh) {
          const int64_t ih = oh * g.sh + a * g.dh - g.ph;
          if (ih < 0 || ih >= g.ih) continue;
          const Acc* row = image + ih * g.iw + b * g.dw - g.pw;
          Acc* to = out + oh * g.ow;
          if (g.sw == 1) {
            for (int64_t ow = first; ow < last; ++ow) to[ow] = Step::add(to[ow], row[ow], w);
          } else {
            for (int64_t ow = first; ow < last; ++ow) to[ow] = Step::add(to[ow], row[ow * g.sw], w);
          }
        }
      }
    }
  });
}

// dx = the transpose of forward: every input plane gathers from the output planes of its group. The window is walked
// from its end, so that every element adds up in the order of the outputs.
template <class Acc, class Step = Plain<Acc>>
void backward_data(const Geometry& g, const Acc* f, const Acc* dy, Acc* dx, Exec& exec) {
  exec.parallel_for(g.n * g.g * g.icpg, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t ic = plane % g.icpg, ng = plane / g.icpg, group = ng % g.g;
      Acc* to = dx + plane * g.ih * g.iw;
      std::fill_n(to, g.ih * g.iw, Acc{0});
      for (int64_t oc = 0; oc < g.ocpg; ++oc) {
        const Acc* from = dy + (ng * g.ocpg + oc) * g.oh * g.ow;
        const Acc* taps = f + ((group * g.ocpg + oc) * g.icpg + ic) * g.fh * g.fw;
        for (int64_t a = g.fh - 1; a >= 0; --a) {
          for (int64_t b = g.fw - 1; b >= 0; --b) {
            const Acc w = g.flip ? taps[(g.fh - 1 - a) * g.fw + g.fw - 1 - b] : taps[a * g.fw + b];
            int64_t first, last;
            g.columns(b, first, last);
            for (int64_t oh = 0; oh < g.oh; ++oh) {
              const int64_t ih = oh * g.sh + a * g.dh - g.ph;
              if (ih < 0 || ih >= g.ih) continue;
              Acc* row = to + ih * g.iw + b * g.dw - g.pw;
              const Acc* d = from + oh * g.ow;
              for (int64_t ow = first; ow < last; ++ow) row[ow * g.sw] = Step::add(row[ow * g.sw], d[ow], w);
            }
          }
        }
      }
    }
  });
}

template <class Acc, class Step = Plain<Acc>>
void backward_filter(const Geometry& g, const Acc* x, const Acc* dy, Acc* df, Exec& exec) {
  exec.parallel_for(g.g * g.ocpg * g.icpg, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t ic = i % g.icpg, goc = i / g.icpg, group = goc / g.ocpg;
      for (int64_t a = 0; a < g.fh; ++a) {
        for (int64_t b = 0; b < g.fw; ++b) {
          int64_t first, last;
          g.columns(b, first, last);
          Acc sum = 0;
          for (int64_t n = 0; n < g.n; ++n) {
            const Acc* image = x + ((n * g.g + group) * g.icpg + ic) * g.ih * g.iw;
            const Acc* d = dy + (n * g.g * g.ocpg + goc) * g.oh * g.ow;
            for (int64_t oh = 0; oh < g.oh; ++oh) {
              const int64_t ih = oh * g.sh + a * g.dh - g.ph;
              if (ih < 0 || ih >= g.ih) continue;
              const Acc* row = image + ih * g.iw + b * g.dw - g.pw;
              for (int64_t ow = first; ow < last; ++ow) sum = Step::add(sum, row[ow * g.sw], d[oh * g.ow + ow]);
            }
          }
          df[(i * g.fh + (g.flip ? g.fh - 1 - a : a)) * g.fw + (g.flip ? g.fw - 1 - b : b)] = sum;
        }
      }
    }
  });
}

}  // namespace megalith::conv
