// Moving tensors between plain layouts and those that pack channels in blocks.
//
// Every mode is a rule that says, for each axis of the packed tensor, which axis of the plain one it walks and how:
// whole, by blocks, or inside a block. Elements of the packed tensor that have no place in the plain one are padding.
#include <array>
#include <span>

#include "megalith/ops/elemwise/real.h"

namespace megalith {
namespace {

using Mode = param::RelayoutFormatMode;

enum class Part : uint8_t { kWhole, kPadded, kBlock, kInner };  // kPadded: whole, rounded up to a full block

struct Axis {
  uint8_t plain;
  Part part = Part::kWhole;
};
constexpr Axis block(uint8_t axis) { return {axis, Part::kBlock}; }
constexpr Axis inner(uint8_t axis) { return {axis, Part::kInner}; }
constexpr Axis padded(uint8_t axis) { return {axis, Part::kPadded}; }
constexpr Axis whole(uint8_t axis) { return {axis, Part::kWhole}; }

struct Rule {
  int plain_ndim = 0;
  int64_t pack = 1;
  std::vector<Axis> axes;       // of the packed tensor
  bool reverse = false;         // the input is the packed tensor
  std::vector<int> full;        // plain axes that must hold full blocks
  bool pad_zero_point = false;  // padding is the quantized zero, not the number 0
};

Rule find_rule(Mode mode, int src_ndim) {
  switch (mode) {
    case Mode::NHWC_NHWCD4: return {4, 4, {whole(0), whole(1), block(3), whole(2), inner(3)}, false, {3}};
    case Mode::NHWC_NHWCD4I: return {4, 4, {whole(0), whole(1), block(3), whole(2), inner(3)}};
    case Mode::NHWCD4_NHWC:
    case Mode::NHWCD4I_NHWC: return {4, 4, {whole(0), whole(1), block(3), whole(2), inner(3)}, true};
    case Mode::NCHW_NHWCD4:
    case Mode::NCHW_NHWCD4I: return {4, 4, {whole(0), whole(2), block(1), whole(3), inner(1)}};
    case Mode::NHWCD4_NCHW:
    case Mode::NHWCD4I_NCHW: return {4, 4, {whole(0), whole(2), block(1), whole(3), inner(1)}, true};
    case Mode::INTER_WEIGHT_DENSE:
    case Mode::INTER_WEIGHT_DENSEI: return {4, 4, {block(0), whole(2), whole(3), padded(1), inner(0)}, false, {0}};
    case Mode::INTER_WEIGHT_GROUP:
    case Mode::INTER_WEIGHT_GROUPI:
      return {5, 4, {whole(0), block(1), whole(3), whole(4), whole(2), inner(1)}, false, {1, 2}};
    case Mode::INTER_WEIGHT_CHAN:
    case Mode::INTER_WEIGHT_CHANI: return {5, 4, {block(0), whole(1), whole(3), whole(4), inner(0)}, false, {0}};
    case Mode::INTER_WEIGHT_DENSEI_DOT:
      return {4, 4, {block(0), whole(2), whole(3), block(1), inner(0), inner(1)}, false, {0}};
    case Mode::INTER_WEIGHT_GROUPI_DOT:
      return {5, 4, {whole(0), block(1), whole(3), whole(4), block(2), inner(1), inner(2)}, false, {1, 2}};
    case Mode::NCHW4_CHWN4: return {5, 1, {whole(1), whole(2), whole(3), whole(0), whole(4)}};
    case Mode::CHWN4_NCHW4: return {5, 1, {whole(3), whole(0), whole(1), whole(2), whole(4)}};
    case Mode::NCHW_NCHW88_CONV_DENSE_WEIGHT:
      return {4, 8, {block(0), block(1), whole(2), whole(3), inner(1), inner(0)}, false, {0}, true};
    case Mode::NCHW_NCHW88_CONV_CHAN_WEIGHT:
      return {5, 8, {block(0), whole(1), whole(2), whole(3), whole(4), inner(0)}, false, {}, true};
    case Mode::NCHW_NCHW88_CONV_GROUP_WEIGHT:
      return {5, 8, {whole(0), block(1), block(2), whole(3), whole(4), inner(2), inner(1)}, false, {1}, true};
    case Mode::NCHW_NCHW88: return {4, 8, {whole(0), block(1), whole(2), whole(3), inner(1)}, false, {}, true};
    case Mode::NCHW88_NCHW: return {4, 8, {whole(0), block(1), whole(2), whole(3), inner(1)}, true};
    case Mode::NCHW_NCHW4_IC_SMALL:
    case Mode::NCHW_NCHW4_IC_SMALL_CONV_DENSE_WEIGHT:
      return {4, 4, {whole(0), block(1), whole(2), whole(3), inner(1)}, false, {}, true};
    // the channels of the next four are seen as (group, channel)
    case Mode::NCHW_NCHW4: return {5, 4, {whole(0), whole(1), block(2), whole(3), whole(4), inner(2)}, false, {}, true};
    case Mode::NCHW4_NCHW: return {5, 4, {whole(0), whole(1), block(2), whole(3), whole(4), inner(2)}, true};
    case Mode::NCHW_NCHW64:
      return {5, 64, {whole(0), whole(1), block(2), whole(3), whole(4), inner(2)}, false, {}, true};
    case Mode::NCHW64_NCHW: return {5, 64, {whole(0), whole(1), block(2), whole(3), whole(4), inner(2)}, true};
    case Mode::NCHW_NCHW4_WEIGHT:
      if (src_ndim == 5) return {5, 4, {whole(0), padded(1), block(2), whole(3), whole(4), inner(2)}};
      return {4, 4, {padded(0), block(1), whole(2), whole(3), inner(1)}};
    case Mode::NCHW_NHWC: return {4, 1, {whole(0), whole(2), whole(3), whole(1)}};
    case Mode::NHWC_NCHW: return {4, 1, {whole(0), whole(3), whole(1), whole(2)}};
  }
  return {};
}

bool grouped(Mode mode) {
  return mode == Mode::NCHW_NCHW4 || mode == Mode::NCHW4_NCHW || mode == Mode::NCHW_NCHW64 || mode == Mode::NCHW64_NCHW;
}

// NCHW_NCHW64 ignores the parameter.
int64_t group_of(const param::RelayoutFormat& p) { return p.mode == Mode::NCHW_NCHW64 ? 1 : p.group; }

Shape split_channels(const Shape& s, int64_t group) {
  Shape r = s;
  r[1] = s[1] / group;
  r.insert(1, group);
  return r;
}
Shape join_channels(const Shape& s) {
  Shape r = s;
  r[1] = s[1] * s[2];
  r.erase(2);
  return r;
}

Shape packed_shape(const Rule& rule, const Shape& plain) {
  Shape r;
  for (Axis axis : rule.axes) {
    const int64_t d = plain[axis.plain], blocks = (d + rule.pack - 1) / rule.pack;
    switch (axis.part) {
      case Part::kWhole: r.push_back(d); break;
      case Part::kPadded: r.push_back(blocks * rule.pack); break;
      case Part::kBlock: r.push_back(blocks); break;
      case Part::kInner: r.push_back(rule.pack); break;
    }
  }
  return r;
}

Shape full_plain_shape(const Rule& rule, const Shape& packed) {
  Shape r;
  for (int i = 0; i < rule.plain_ndim; ++i) r.push_back(1);
  for (int i = 0; i < packed.ndim(); ++i) r[rule.axes[static_cast<size_t>(i)].plain] *= packed[i];
  return r;
}

bool converts(DType from, DType to) {
  if (from.id == DTypeEnum::Quantized8Asymm || from.id == DTypeEnum::Uint8) return to.id == DTypeEnum::QuantizedS8;
  return from.id == to.id && (from.id == DTypeEnum::QuantizedS8 || from.id == DTypeEnum::QuantizedS32 ||
                              from.id == DTypeEnum::QuantizedS4 || from.id == DTypeEnum::Quantized4Asymm);
}

void infer_relayout(InferContext& c) {
  const auto& p = c.param<param::RelayoutFormat>();
  const Mode mode = p.mode;
  const Rule rule = find_rule(mode, c.shape(0).ndim());
  c.require(!rule.axes.empty(), "unknown mode ", static_cast<uint32_t>(mode));
  const DType from = c.dtype(0), to = c.attrs.output_dtype.value_or(from);
  c.require(from == to || converts(from, to), "cannot convert ", from.str(), " to ", to.str());
  const int64_t group = group_of(p);
  const Shape& src = c.shape(0);
  const int ndim = (rule.reverse ? static_cast<int>(rule.axes.size()) : rule.plain_ndim) - grouped(mode);
  c.require(src.ndim() == ndim, "input must have ", ndim, " dimensions, got ", src);
  c.require(group > 0 && (!grouped(mode) || src[1] % group == 0), "the channels of ", src,
            " cannot be divided into group=", group);
  const Shape in = grouped(mode) ? split_channels(src, group) : src;
  Shape out;
  if (rule.reverse) {
    c.require(in[in.ndim() - 1] == rule.pack, "input must have blocks of ", rule.pack, " channels, got ", src);
    out = full_plain_shape(rule, in);
    if (grouped(mode)) {
      out = join_channels(out);
      if (p.oc != 0) {
        c.require(p.oc % group == 0 && p.oc <= out[1], "oc=", p.oc, " does not fit input ", src, " with group=", group);
        out[1] = p.oc;
      }
    }
  } else {
    for (int axis : rule.full)
      c.require(in[axis] % rule.pack == 0, "dimension ", axis, " of ", src, " must be a multiple of ", rule.pack);
    if (mode == Mode::NCHW4_CHWN4 || mode == Mode::CHWN4_NCHW4)
      c.require(src[4] == 4, "input must have blocks of 4 channels, got ", src);
    if (mode == Mode::NCHW_NCHW4_IC_SMALL || mode == Mode::NCHW_NCHW4_IC_SMALL_CONV_DENSE_WEIGHT)
      c.require(src[1] <= 4, "input must have at most 4 channels, got ", src);
    if (mode == Mode::INTER_WEIGHT_CHAN || mode == Mode::INTER_WEIGHT_CHANI)
      c.require(src[1] == 1 && src[2] == 1, "input must be a channel-wise filter, got ", src);
    out = packed_shape(rule, in);
    if (grouped(mode)) out = join_channels(out);
  }
  c.set(0, to, out);
}

// What stands where the plain tensor has nothing, in the input's type.
uint32_t padding(const Rule& rule, Mode mode, int64_t group, DType from, DType to) {
  if (!rule.pad_zero_point || (mode == Mode::NCHW_NCHW4 && group != 1)) return 0;
  if (from.id == DTypeEnum::Quantized8Asymm) return from.zero_point;
  if (from.id == DTypeEnum::Quantized4Asymm && mode == Mode::NCHW_NCHW64) return from.zero_point;
  return from.id == DTypeEnum::Uint8 && to.id == DTypeEnum::QuantizedS8 ? 128 : 0;
}

template <class T>
void move(const KernelArgs& a, const Rule& rule, const Shape& plain, const Shape& packed, const Tensor& src,
          const Tensor& dst, T pad) {
  const Shape plain_stride = Layout(plain).stride;
  const int last = packed.ndim() - 1;
  const T* s = src.data<T>();
  T* d = dst.data<T>();
  // the step that one unit of a packed axis takes along its plain axis
  std::array<int64_t, kMaxDims> step{};
  for (int i = 0; i <= last; ++i)
    step[static_cast<size_t>(i)] = rule.axes[static_cast<size_t>(i)].part == Part::kBlock ? rule.pack : 1;
  const int64_t row = packed[last];
  if (packed.count() == 0) return;
  a.exec.parallel_for(packed.count() / row, 256, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      std::array<int64_t, kMaxDims> at{};  // in the plain tensor
      int64_t rest = r;
      for (int i = last - 1; i >= 0; --i) {
        at[rule.axes[static_cast<size_t>(i)].plain] += rest % packed[i] * step[static_cast<size_t>(i)];
        rest /= packed[i];
      }
      const uint8_t moving = rule.axes[static_cast<size_t>(last)].plain;
      int64_t offset = 0;
      bool inside = true;
      for (int i = 0; i < plain.ndim(); ++i) {
        offset += at[static_cast<size_t>(i)] * plain_stride[i];
        inside &= at[static_cast<size_t>(i)] < plain[i];
      }
      for (int64_t k = 0; k < row; ++k) {
        const bool here = inside && at[moving] + k * step[static_cast<size_t>(last)] < plain[moving];
        const int64_t plain_at = offset + k * step[static_cast<size_t>(last)] * plain_stride[moving];
        if (!rule.reverse)
          d[r * row + k] = here ? s[plain_at] : pad;
        else if (here)
          d[plain_at] = s[r * row + k];
      }
    }
  });
}

// Quantized values once more, for another scale or zero point.
void requantize(const Tensor& src, DType from, const Tensor& dst, DType to, int64_t lowest, int64_t highest) {
  const float from_scale = from.is_quantized() ? from.scale : 1.f;
  const int from_zero = from.id == DTypeEnum::Uint8 ? 128 : from.zero_point;
  dispatch_storage(src.dtype(), [&]<class S>(S) {
    dispatch_storage(dst.dtype(), [&]<class D>(D) {
      if constexpr (std::is_integral_v<S> && std::is_integral_v<D>) {
        const S* s = src.data<S>();
        D* d = dst.data<D>();
        for (int64_t i = 0; i < src.count(); ++i) {
          const float real = static_cast<float>(static_cast<int64_t>(s[i]) - from_zero) * from_scale;
          const double q = std::round(real / to.scale) + static_cast<float>(to.zero_point);
          d[i] = static_cast<D>(
              std::clamp(std::isnan(q) ? 0. : q, static_cast<double>(lowest), static_cast<double>(highest)));
        }
      }
    });
  });
}

void run_relayout(const KernelArgs& a) {
  const auto& p = a.param<param::RelayoutFormat>();
  const DType from = a.in[0].dtype(), to = a.out[0].dtype();
  const Rule rule = find_rule(p.mode, a.in[0].ndim());
  const int64_t group = group_of(p);
  Shape in = a.in[0].shape(), out = a.out[0].shape();
  if (grouped(p.mode)) {
    in = split_channels(in, group);
    out = split_channels(out, group);
  }
  const Shape& plain = rule.reverse ? out : in;
  const Shape& packed = rule.reverse ? in : out;
  const bool same = from == to, lowbit = from.is_lowbit();
  const Tensor src = lowbit ? unpack_lowbit(a.in[0]) : a.in[0];
  const Tensor moved = same && !lowbit ? a.out[0] : Tensor::empty(src.dtype(), a.out[0].shape());
  const uint32_t pad = padding(rule, p.mode, group, from, to);
  dispatch_width(src.dtype(), [&]<class T>(T) { move<T>(a, rule, plain, packed, src, moved, static_cast<T>(pad)); });
  if (same && !lowbit) return;
  Tensor result = moved;
  if (!same) {
    if (!lowbit) result = a.out[0];
    const bool asymm = to.is_asymmetric();
    const int64_t half_range = to.bits() == 32 ? int64_t{1} << 31 : int64_t{1} << (to.bits() - 1);
    requantize(moved, from, result, to, asymm ? 0 : -half_range, asymm ? 2 * half_range - 1 : half_range - 1);
  }
  if (lowbit) copy_strided(pack_lowbit(result, to), a.out[0]);
}

// ---- the same as copies of whole blocks and of the rest of the last one

// The plain and the packed tensor with axes of their common elements: of a plain axis that lies in blocks, blocks and
// elements of a block. `rest` has a bit for each such axis: set for the part block at its end.
bool common_part(const Rule& rule, const Layout& plain, const Layout& packed, uint32_t rest, Layout& p, Layout& q,
                 int64_t& plain_at, int64_t& packed_at) {
  p = q = Layout();
  plain_at = packed_at = 0;
  for (int a = 0; a < plain.shape.ndim(); ++a) {
    int64_t block = 0, inner = 0, whole = 0;  // strides in the packed tensor
    bool in_blocks = false;
    for (int i = 0; i < packed.shape.ndim(); ++i) {
      const Axis axis = rule.axes[static_cast<size_t>(i)];
      if (axis.plain != a) continue;
      in_blocks = in_blocks || axis.part == Part::kInner;
      (axis.part == Part::kBlock ? block : axis.part == Part::kInner ? inner : whole) = packed.stride[i];
    }
    const int64_t size = plain.shape[a], stride = plain.stride[a];
    const auto add = [&](int64_t n, int64_t from, int64_t to) {
      p.shape.push_back(n), p.stride.push_back(from);
      q.shape.push_back(n), q.stride.push_back(to);
    };
    if (!in_blocks) {
      add(size, stride, whole);
      continue;
    }
    const int64_t blocks = size / rule.pack, left = size % rule.pack;
    if (rest >> a & 1) {
      add(left, stride, inner);
      plain_at += blocks * rule.pack * stride;
      packed_at += blocks * block;
      if (left == 0) return false;
    } else {
      add(blocks, rule.pack * stride, block);
      add(rule.pack, stride, inner);
      if (blocks == 0) return false;
    }
  }
  return true;
}

bool copies_accept(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::RelayoutFormat>();
  const DType from = q.in[0].dtype, to = q.out[0].dtype;
  if (from.is_lowbit() || to.is_lowbit() || find_rule(p.mode, q.in[0].shape.ndim()).plain_ndim > 5) return false;
  return from == to || (from.bits() == 8 && to.bits() == 8 && to.is_quantized() &&
                        (!from.is_quantized() || std::isfinite(from.scale)));
}

void copies(const KernelArgs& a) {
  const auto& p = a.param<param::RelayoutFormat>();
  const DType from = a.in[0].dtype(), to = a.out[0].dtype();
  const Rule rule = find_rule(p.mode, a.in[0].ndim());
  const int64_t group = group_of(p);
  const Tensor moved = from == to ? a.out[0] : Tensor::empty(from, a.out[0].layout());
  // Channels as (group, channel).
  const auto split = [&](const Tensor& t) {
    Layout l = t.layout();
    if (!grouped(p.mode)) return l;
    l.shape = split_channels(l.shape, group);
    l.stride.insert(1, l.shape[2] * l.stride[1]);
    return l;
  };
  const Tensor &plain = rule.reverse ? moved : a.in[0], &packed = rule.reverse ? a.in[0] : moved;
  const Layout plain_layout = split(plain), packed_layout = split(packed);
  if (!rule.reverse && plain_layout.shape.count() != packed_layout.shape.count()) {
    const uint32_t pad = padding(rule, p.mode, group, from, to);
    dispatch_width(from, [&]<class T>(T) { std::fill_n(moved.data<T>(), moved.count(), static_cast<T>(pad)); });
  }
  uint32_t blocked = 0;
  for (const Axis axis : rule.axes) blocked |= axis.part == Part::kInner ? 1u << axis.plain : 0;
  for (uint32_t rest = 0; rest < 1u << rule.plain_ndim; ++rest) {
    Layout in_plain, in_packed;
    int64_t plain_at, packed_at;
    if ((rest & ~blocked) != 0 ||
        !common_part(rule, plain_layout, packed_layout, rest, in_plain, in_packed, plain_at, packed_at))
      continue;
    const Tensor x = plain.view(in_plain, plain_at), y = packed.view(in_packed, packed_at);
    rule.reverse ? copy_strided(y, x, a.exec) : copy_strided(x, y, a.exec);
  }
  if (from == to) return;
  const DType real = from.id == DTypeEnum::Uint8 ? DType(DTypeEnum::Quantized8Asymm, 1.f, 128) : from;
  const Tensor values = moved.with_dtype(real);
  elemwise::for_blocks(a.out[0], a.exec, [&](int64_t at, int64_t n) {
    float buffer[elemwise::kRealBlock];
    elemwise::store_block(a.out[0], at, n, elemwise::load_block(values, at, n, buffer));
  });
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_relayout_format) {
  r.add({.name = "RelayoutFormat",
         .doc = "The same tensor in another memory format, padded to full channel blocks.",
         .mge = {"RelayoutFormatV1"},
         .params = &param::RelayoutFormat::kSchema,
         .infer = infer_relayout,
         .kernels = {{.name = "copies", .run = copies, .accepts = copies_accept, .strided = true},
                     {.name = "reference", .run = run_relayout}},
         .exact = true});
}
