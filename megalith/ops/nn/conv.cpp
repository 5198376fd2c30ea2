// Convolution, ConvBiasForward, BatchConvBiasForward, and the gradients of Convolution (ConvolutionBackwardData is also
// deconvolution).
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/conv_canonical.h"
#include "megalith/ops/nn/conv_halves.h"
#include "megalith/ops/nn/conv_ints.h"
#include "megalith/ops/nn/conv_nhwc.h"

namespace megalith {
namespace {

using conv::Format;

bool is_group(param::ConvolutionSparse s) { return !kTrimmed && s == param::ConvolutionSparse::GROUP; }
bool integral(DType d) { return !d.is_float(); }

// Both are floats or both are integers, of one width.
void check_alike(const InferContext& c, const char* one, int i, const char* other, int j) {
  c.require(c.dtype(i).is_float() == c.dtype(j).is_float() && c.dtype(i).bits() == c.dtype(j).bits(), one, " is ",
            c.dtype(i).str(), ", ", other, " is ", c.dtype(j).str());
}

// The output type of a convolution of two types; `configured` wins where it fits.
DType output_dtype(const InferContext& c, DType x, DType f) {
  if (c.attrs.output_dtype && c.attrs.output_dtype->id != DTypeEnum::Byte) return *c.attrs.output_dtype;
  if (x.is_quantized()) return {DTypeEnum::QuantizedS32, x.scale * f.scale};
  if (x.id == DTypeEnum::Int8 || x.id == DTypeEnum::Uint8) return DTypeEnum::Int32;
  return x;
}

int64_t image_block(Format f, bool output) {
  if (kTrimmed) return 1;
  switch (f) {
    case Format::NCHW4: return 4;
    case Format::NCHW4_NCHW: return output ? 1 : 4;
    case Format::NCHW4_NHWC: return output ? 0 : 4;
    case Format::NCHW4_NCHW32: return output ? 32 : 4;
    case Format::NCHW32_NCHW4: return output ? 4 : 32;
    case Format::NCHW8:
    case Format::NCHW88: return 8;
    case Format::NCHW32: return 32;
    case Format::NCHW44:
    case Format::NCHW44_DOT: return 4;
    case Format::NCHW64: return 64;
    case Format::CHWN4: return 4;
    case Format::NHWC: return 0;
    default: return 1;
  }
}

Shape output_image(Format f, int64_t n, int64_t c, int64_t h, int64_t w) {
  const int64_t b = image_block(f, true);
  if (b == 0) return {n, h, w, c};
  if (b == 1) return {n, c, h, w};
  if (f == Format::CHWN4) return {c / b, h, w, n, b};
  return {n, c / b, h, w, b};
}
conv::Store in_store(Format f) { return conv::store_of(f, false); }
conv::Store out_store(Format f) { return conv::store_of(f, true); }

// BatchConvBias has a filter for every image: the batch axis of the filter joins its groups, and all images become one
// image with the channels of all.
template <class P>
constexpr bool kBatchFilter = std::is_same_v<P, param::BatchConvBias>;

// (N, G, ...) as (N * G, ...); filters of other convolutions, and those without groups, stay.
template <class P>
Shape join_batch(const P& p, const Shape& f) {
  if (!kBatchFilter<P> || !is_group(p.sparse)) return f;
  Shape r = f;
  r.erase(0);
  r[0] = f[0] * f[1];
  return r;
}
template <class P>
bool grouped(const P& p) {
  return kBatchFilter<P> || is_group(p.sparse);
}

// An image, bias or gradient must have the axes of its format. The first layer of the formats that block both channels
// takes a plain image with a filter (OC/b, FH, FW, IC, b).
void check_stored(const InferContext& c, const char* what, const Shape& s, Format f, bool output, int filter_rank = 0) {
  const int64_t b = image_block(f, output);
  const bool first_layer = filter_rank == 5 && (f == Format::NCHW44 || f == Format::NCHW88 || f == Format::NCHW44_DOT);
  const bool ok = b > 1 && !(first_layer && s.ndim() == 4) ? s.ndim() == 5 && s[4] == b : s.ndim() == 4;
  c.require(ok, what, " has shape ", s, ", which is not of format ",
            enum_info<Format>().name_of(static_cast<uint32_t>(f)));
}

template <class P>
void check_params(const InferContext& c, const P& p) {
  conv::check_window(c, p);
  c.require(!kTrimmed || (p.format == Format::NCHW && p.sparse == param::ConvolutionSparse::DENSE),
            "dense filters in NCHW only", kLeftOut);
}

template <class P>
void infer_forward(InferContext& c) {
  const P& p = c.param<P>();
  check_params(c, p);
  if constexpr (kBatchFilter<P>) {
    c.require(c.shape(0).ndim() >= 4 && c.shape(1).ndim() >= 5 && c.shape(0)[0] == c.shape(1)[0] && c.shape(0)[0] > 0,
              "the image ", c.shape(0), " and the filter ", c.shape(1), " must have the same batch");
    if (is_group(p.sparse))
      c.require(c.shape(1).ndim() >= 6 && c.shape(1)[1] > 0, "the filter ", c.shape(1), " has no groups");
  }
  check_stored(c, "the image", c.shape(0), p.format, false, is_group(p.sparse) ? 0 : c.shape(1).ndim());
  const Shape x = conv::image_to_canonical(c.shape(0), in_store(p.format));
  Shape f = conv::filter_to_canonical(&c, join_batch(p, c.shape(1)), p.format, grouped(p));
  if (kBatchFilter<P>) f[0] /= x[0];
  c.require(x[1] == f[0] * f[2], "the image ", c.shape(0), " has ", x[1], " channels, the filter ", c.shape(1),
            " takes ", f[0] * f[2]);
  check_alike(c, "image", 0, "filter", 1);
  const int64_t oh = window_output(x[2], f[3], p.pad_h, p.stride_h, p.dilate_h),
                ow = window_output(x[3], f[4], p.pad_w, p.stride_w, p.dilate_w);
  c.require(f[3] > 0 && f[4] > 0 && (oh > 0 || x[0] == 0) && (ow > 0 || x[0] == 0), "the filter ", c.shape(1),
            " does not fit into the image ", c.shape(0), " (pad_h=", p.pad_h, ", pad_w=", p.pad_w, ")");
  const int64_t oc = f[0] * f[1], b = image_block(p.format, true);
  c.require(b <= 1 || oc % b == 0, oc, " output channels are no multiple of ", b);
  c.set(0, output_dtype(c, c.dtype(0), c.dtype(1)), output_image(p.format, x[0], oc, oh, ow));
}

template <class P>
void infer_conv_bias(InferContext& c) {
  infer_forward<P>(c);
  if (c.nin() < 3 || c.shape(2).count() == 0) return;
  const Shape y = conv::image_to_canonical(c.out[0].shape, out_store(c.param<P>().format));
  check_stored(c, "the bias", c.shape(2), c.param<P>().format, true);
  const Shape b = conv::image_to_canonical(c.shape(2), out_store(c.param<P>().format));
  for (int i = 0; i < 4; ++i)
    c.require(b[i] == y[i] || b[i] == 1, "bias ", c.shape(2), " does not fit the output ", c.out[0].shape);
  if (c.nin() > 3 && c.shape(3).count() > 0)
    c.require(c.shape(3) == c.out[0].shape, "z is ", c.shape(3), ", the output ", c.out[0].shape);
}

// Adds a canonical image (broadcast) of real values.
void add_real(float* y, const Shape& s, const Tensor& bias) {
  std::vector<float> real(static_cast<size_t>(bias.count()));
  for (int64_t i = 0; i < bias.count(); i += elemwise::kBlock) {
    const int64_t n = std::min(elemwise::kBlock, bias.count() - i);
    const float* p = elemwise::load_real(bias, i, 1, n, real.data() + i);
    if (p != real.data() + i) std::copy_n(p, n, real.data() + i);
  }
  const Shape d = elemwise::broadcast_layout(bias, s).stride;
  for (int64_t row = 0; row < s[0] * s[1] * s[2]; ++row, y += s[3]) {
    const float* b = real.data() + row / s[2] / s[1] * d[0] + row / s[2] % s[1] * d[1] + row % s[2] * d[2];
    for (int64_t w = 0; w < s[3]; ++w) y[w] += b[w * d[3]];
  }
}

void activate(float* y, int64_t n, param::NonlineMode mode) {
  const auto each = [&](auto f) {
    for (int64_t i = 0; i < n; ++i) y[i] = f(y[i]);
  };
  switch (mode) {
    case param::NonlineMode::RELU: each([](float v) { return v > 0 ? v : 0.f; }); break;
    case param::NonlineMode::SIGMOID: each([](float v) { return 1.f / (1.f + std::exp(-v)); }); break;
    case param::NonlineMode::H_SWISH:
      each([](float v) { return v * std::fmin(std::fmax(v + 3.f, 0.f), 6.f) / 6.f; });
      break;
    default: break;
  }
}

// Real values (or raw sums of an unscaled output) to the output's type and format.
void finish(const Tensor& real, const Tensor& out, conv::Store store) {
  if (real.dtype() == out.dtype()) return conv::image_from_canonical(real, out, store);
  const DType d = out.dtype();
  Tensor typed = Tensor::empty(
      d.is_lowbit() ? DType(d.id == DTypeEnum::QuantizedS4 ? DTypeEnum::QuantizedS8 : DTypeEnum::Quantized8Asymm,
                            d.scale, d.zero_point)
                    : d,
      real.shape());
  for (int64_t i = 0; i < real.count(); i += elemwise::kBlock) {
    const int64_t n = std::min(elemwise::kBlock, real.count() - i);
    if (d.is_quantized())
      elemwise::store_quantized(typed, i, n, real.data<float>() + i);
    else
      elemwise::store<float>(typed, i, n, real.data<float>() + i);
  }
  if (!d.is_lowbit()) return conv::image_from_canonical(typed, out, store);
  const int lo = d.id == DTypeEnum::QuantizedS4 ? -8 : 0, hi = d.id == DTypeEnum::QuantizedS4 ? 7 : 15;
  for (int64_t i = 0; i < typed.count(); ++i) {
    const int v = d.id == DTypeEnum::QuantizedS4 ? typed.data<int8_t>()[i] : typed.data<uint8_t>()[i];
    typed.data<uint8_t>()[i] = static_cast<uint8_t>(std::clamp(v, lo, hi));
  }
  Tensor wide = Tensor::empty(typed.dtype(), out.shape());
  conv::image_from_canonical(typed, wide, store);
  const Tensor packed = pack_lowbit(wide, d);
  std::memcpy(out.data(), packed.data(), packed.bytes());
}

Tensor real_of_sums(const Tensor& sums, double scale) {
  Tensor r = Tensor::empty(DTypeEnum::Float32, sums.shape());
  for (int64_t i = 0; i < r.count(); ++i) r.data<float>()[i] = static_cast<float>(sums.data<int32_t>()[i] * scale);
  return r;
}

Tensor lowbit_image(const Tensor& t) {
  if (!t.dtype().is_lowbit()) return t;
  return unpack_lowbit(t).with_dtype(
      {t.dtype().id == DTypeEnum::QuantizedS4 ? DTypeEnum::QuantizedS8 : DTypeEnum::Quantized8Asymm, t.dtype().scale,
       t.dtype().zero_point});
}

// MegEngine's optimized CPU kernels do not look at z; types and formats without such a kernel take the naive way, which
// does. A file means what MegEngine computes for it.
bool leaves_out_z(DType x, Format f, const conv::Geometry& g) {
  if (f == Format::NCHW) return !x.is_lowbit() && x.id != DTypeEnum::BFloat16;
  if (x.id != DTypeEnum::Float32) return false;
  if (f == Format::NCHW44 && g.ocpg == 1 && g.icpg == 1)  // its depthwise kernels are few
    return !g.flip && g.fh == g.fw && (g.fh == 2 || g.fh == 3 || g.fh == 5) && g.sh == g.sw && g.sh <= 2;
  return f == Format::NCHW44 || f == Format::NCHW88;
}

// MegEngine sums Float16 products in Float16 unless compute_mode says otherwise.
template <class P>
bool half_steps(const Tensor& x, const P& p) {
  return x.dtype().id == DTypeEnum::Float16 && p.compute_mode == param::ComputeMode::DEFAULT;
}

// The kernel that MegEngine takes on x86 for Float16 in NCHW knows the sums alone: no bias, no z, no nonlinearity.
// Dilated windows and 1x1 ones that make more than one pixel have others.
template <class P>
bool sums_alone(const Tensor& x, const P& p, const conv::Geometry& g) {
  const bool one_by_one = g.fh == 1 && g.fw == 1 && g.sh == 1 && g.sw == 1 && g.oh * g.ow > 1;
  return !kBatchFilter<P> && half_steps(x, p) && p.format == Format::NCHW && g.dh == 1 && g.dw == 1 && !one_by_one;
}

// y = nonlinearity(conv(x, f) + bias + z), all optional behind the convolution.
template <class P, bool kFast = false>
void run_forward(const KernelArgs& a, param::NonlineMode nonline) {
  const P& p = a.param<P>();
  const Tensor& out = a.out[0];
  if (out.count() == 0) return;
  const Tensor x = conv::image_to_canonical(lowbit_image(a.in[0]), in_store(p.format)),
               f = conv::filter_to_canonical(
                   lowbit_image(kBatchFilter<P> ? a.in[1].reshaped(join_batch(p, a.in[1].shape())) : a.in[1]), p.format,
                   grouped(p));
  const Shape ys = conv::image_to_canonical(out.shape(), out_store(p.format));
  conv::Geometry g = conv::geometry(p, x.shape(), f.shape(), ys);
  if (kBatchFilter<P>) g.n = 1;
  const bool alone = sums_alone(x, p, g);
  if (alone) nonline = param::NonlineMode::IDENTITY;
  const bool has_bias = !alone && a.in.size() > 2 && a.in[2].count() > 0;
  const bool has_z = !alone && a.in.size() > 3 && a.in[3].count() > 0 &&
                     (kBatchFilter<P> || !leaves_out_z(a.in[0].dtype(), p.format, g));
  Tensor y;
  if (integral(x.dtype())) {
    Tensor sums = Tensor::empty(DTypeEnum::Int32, ys);
    conv::forward<int32_t>(g, conv::widen<int32_t>(x).data<int32_t>(), conv::widen<int32_t>(f).data<int32_t>(),
                           sums.data<int32_t>(), a.exec);
    const bool plain = !has_bias && !has_z && nonline == param::NonlineMode::IDENTITY;
    if (plain && out.dtype().bits() == 32 && !out.dtype().is_float())
      return conv::image_from_canonical(sums.with_dtype(out.dtype()), out, out_store(p.format));
    if (plain && out.dtype().id == DTypeEnum::Int16) {
      Tensor narrow = Tensor::empty(DTypeEnum::Int16, ys);
      for (int64_t i = 0; i < narrow.count(); ++i)
        narrow.data<int16_t>()[i] = static_cast<int16_t>(sums.data<int32_t>()[i]);
      return conv::image_from_canonical(narrow, out, out_store(p.format));
    }
    y = real_of_sums(sums, x.dtype().is_quantized() ? static_cast<double>(x.dtype().scale * f.dtype().scale) : 1.0);
  } else {
    y = Tensor::empty(DTypeEnum::Float32, ys);
    if (!has_bias && !has_z && out.dtype().id == DTypeEnum::Float32 && image_block(p.format, true) == 1) y = out;
    const auto forward = kFast              ? conv::forward_halves
                         : half_steps(x, p) ? conv::forward<float, conv::RoundedToHalf>
                                            : conv::forward<float>;
    forward(g, conv::widen<float>(x).data<float>(), conv::widen<float>(f).data<float>(), y.data<float>(), a.exec);
  }
  if (has_bias) add_real(y.data<float>(), ys, conv::image_to_canonical(a.in[2], out_store(p.format)));
  if (has_z) add_real(y.data<float>(), ys, conv::image_to_canonical(lowbit_image(a.in[3]), out_store(p.format)));
  activate(y.data<float>(), y.count(), nonline);
  if (y.data() != out.data()) finish(y, out, out_store(p.format));
}

// Float16 in steps of Float16, with vectors.
template <class P>
bool halves_accept(const KernelQuery& q) {
  return q.in[0].dtype.id == DTypeEnum::Float16 && q.in[1].dtype.id == DTypeEnum::Float16 &&
         q.attrs.param<P>().compute_mode == param::ComputeMode::DEFAULT;
}
void run_convolution_halves(const KernelArgs& a) {
  run_forward<param::Convolution, true>(a, param::NonlineMode::IDENTITY);
}
void run_conv_bias_halves(const KernelArgs& a) {
  run_forward<param::ConvBias, true>(a, a.param<param::ConvBias>().nonlineMode);
}

void run_convolution(const KernelArgs& a) { run_forward<param::Convolution>(a, param::NonlineMode::IDENTITY); }
template <class P>
void run_conv_bias(const KernelArgs& a) {
  run_forward<P>(a, a.param<P>().nonlineMode);
}

// ---- with RELU6, of Float32 alone
void infer_relu6(InferContext& c) {
  infer_conv_bias<param::ConvBias>(c);
  c.require(c.param<param::ConvBias>().nonlineMode == param::NonlineMode::IDENTITY, "has RELU6 for nonlineMode");
  c.require(c.dtype(0).id == DTypeEnum::Float32 && c.out[0].dtype.id == DTypeEnum::Float32, "takes Float32, not ",
            c.dtype(0).str());
}
void run_relu6(const KernelArgs& a) {
  run_forward<param::ConvBias>(a, param::NonlineMode::IDENTITY);
  float* const y = a.out[0].data<float>();
  for (int64_t i = 0; i < a.out[0].count(); ++i) y[i] = y[i] <= 0 ? 0.f : y[i] <= 6 ? y[i] : 6.f;
}

std::vector<Var> expand_relu6(const Attrs& attrs, const std::vector<Var>& in, std::span<const TensorSpec>) {
  return {emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::RELU6},
                {emit1("ConvBiasForward", attrs.params, in)})};
}

// ---- backward data: (filter, diff[, image for its shape])
void infer_backward_data(InferContext& c) {
  const auto& p = c.param<param::Convolution>();
  check_params(c, p);
  c.require(image_block(p.format, false) == image_block(p.format, true), "the format has no gradient");
  check_stored(c, "the gradient", c.shape(1), p.format, true);
  if (c.nin() == 3) check_stored(c, "the image", c.shape(2), p.format, false);
  const Shape f = conv::filter_to_canonical(&c, c.shape(0), p.format, is_group(p.sparse)),
              dy = conv::image_to_canonical(c.shape(1), in_store(p.format));
  c.require(dy[1] == f[0] * f[1], "the gradient ", c.shape(1), " has ", dy[1], " channels, the filter ", c.shape(0),
            " gives ", f[0] * f[1]);
  check_alike(c, "filter", 0, "gradient", 1);
  const DType type = output_dtype(c, c.dtype(1), c.dtype(0));
  if (c.nin() == 3) {
    const Shape x = conv::image_to_canonical(c.shape(2), in_store(p.format));
    c.require(x[0] == dy[0] && x[1] == f[0] * f[2] &&
                  window_output(x[2], f[3], p.pad_h, p.stride_h, p.dilate_h) == dy[2] &&
                  window_output(x[3], f[4], p.pad_w, p.stride_w, p.dilate_w) == dy[3],
              "image ", c.shape(2), ", filter ", c.shape(0), " and gradient ", c.shape(1), " don't belong together");
    return c.set(0, type, c.shape(2));
  }
  const int64_t h = (dy[2] - 1) * p.stride_h + (f[3] - 1) * p.dilate_h + 1 - 2 * int64_t{p.pad_h};
  const int64_t w = (dy[3] - 1) * p.stride_w + (f[4] - 1) * p.dilate_w + 1 - 2 * int64_t{p.pad_w};
  c.require(h > 0 && w > 0, "gradient ", c.shape(1), " with pad_h=", p.pad_h, ", pad_w=", p.pad_w,
            " leaves an image of ", h, "x", w);
  const int64_t b = std::max<int64_t>(image_block(p.format, false), 1);
  c.require(f[0] * f[2] % b == 0, f[0] * f[2], " image channels are no multiple of ", b);
  c.set(0, type, output_image(p.format, dy[0], f[0] * f[2], h, w));
}

void run_backward_data(const KernelArgs& a) {
  const auto& p = a.param<param::Convolution>();
  const conv::Store store = in_store(p.format);
  const Tensor f = conv::filter_to_canonical(a.in[0], p.format, is_group(p.sparse)),
               dy = conv::image_to_canonical(a.in[1], store);
  const Shape xs = conv::image_to_canonical(a.out[0].shape(), store);
  const conv::Geometry g = conv::geometry(p, xs, f.shape(), dy.shape());
  if (integral(dy.dtype())) {
    Tensor sums = Tensor::empty(DTypeEnum::Int32, xs);
    conv::backward_data<int32_t>(g, conv::widen<int32_t>(f).data<int32_t>(), conv::widen<int32_t>(dy).data<int32_t>(),
                                 sums.data<int32_t>(), a.exec);
    if (a.out[0].dtype().bits() == 32 && integral(a.out[0].dtype()))
      return conv::image_from_canonical(sums.with_dtype(a.out[0].dtype()), a.out[0], store);
    return finish(
        real_of_sums(sums, dy.dtype().is_quantized() ? static_cast<double>(dy.dtype().scale * f.dtype().scale) : 1.0),
        a.out[0], store);
  }
  Tensor dx = Tensor::empty(DTypeEnum::Float32, xs);
  const auto backward =
      half_steps(dy, p) ? conv::backward_data<float, conv::RoundedToHalf> : conv::backward_data<float>;
  backward(g, conv::widen<float>(f).data<float>(), conv::widen<float>(dy).data<float>(), dx.data<float>(), a.exec);
  finish(dx, a.out[0], store);
}

// ---- backward filter: (image, diff, filter for its shape)
void infer_backward_filter(InferContext& c) {
  const auto& p = c.param<param::Convolution>();
  check_params(c, p);
  c.require(p.format == Format::NCHW || p.format == Format::NHWC, "takes NCHW and NHWC only");
  check_stored(c, "the image", c.shape(0), p.format, false);
  check_stored(c, "the gradient", c.shape(1), p.format, true);
  const Shape x = conv::image_to_canonical(c.shape(0), in_store(p.format)),
              dy = conv::image_to_canonical(c.shape(1), in_store(p.format));
  const Shape f = conv::filter_to_canonical(&c, c.shape(2), p.format, is_group(p.sparse));
  c.require(x[0] == dy[0] && x[1] == f[0] * f[2] && dy[1] == f[0] * f[1] &&
                window_output(x[2], f[3], p.pad_h, p.stride_h, p.dilate_h) == dy[2] &&
                window_output(x[3], f[4], p.pad_w, p.stride_w, p.dilate_w) == dy[3],
            "image ", c.shape(0), ", gradient ", c.shape(1), " and filter ", c.shape(2), " don't belong together");
  c.require(c.dtype(0).is_float() && c.dtype(1).is_float(), "takes floating point tensors, not ", c.dtype(0).str());
  c.set(0, c.dtype(0), c.shape(2));
}

void run_backward_filter(const KernelArgs& a) {
  const auto& p = a.param<param::Convolution>();
  const conv::Store store = in_store(p.format);
  const Tensor x = conv::image_to_canonical(a.in[0], store), dy = conv::image_to_canonical(a.in[1], store);
  const Tensor& out = a.out[0];
  const Shape fs = conv::filter_to_canonical(nullptr, out.shape(), p.format, is_group(p.sparse));
  Tensor df = Tensor::empty(DTypeEnum::Float32, fs);
  const auto backward =
      half_steps(x, p) ? conv::backward_filter<float, conv::RoundedToHalf> : conv::backward_filter<float>;
  backward(conv::geometry(p, x.shape(), fs, dy.shape()), conv::widen<float>(x).data<float>(),
           conv::widen<float>(dy).data<float>(), df.data<float>(), a.exec);
  Tensor typed = Tensor::empty(out.dtype(), fs);
  for (int64_t i = 0; i < df.count(); i += elemwise::kBlock)
    elemwise::store<float>(typed, i, std::min(elemwise::kBlock, df.count() - i), df.data<float>() + i);
  const Layout split = conv::split_filter(nullptr, out.layout(), p.format, is_group(p.sparse));
  copy_strided(typed.view(Layout(split.shape)), out.view(split));
}

constexpr grads::ConvOps kOps = {"Convolution", "ConvolutionBackwardData", "ConvolutionBackwardFilter"};
std::vector<Var> grad_convolution(const GradContext& c) { return grads::conv_forward_gradient(c, kOps); }
std::vector<Var> grad_backward_data(const GradContext& c) { return grads::conv_data_gradient(c, kOps); }
std::vector<Var> grad_backward_filter(const GradContext& c) { return grads::conv_filter_gradient(c, kOps); }

// Every output of the forward direction takes IC/G x window products.
template <class P>
double count_flops(const KernelQuery& q, const Shape& y, const Shape& filter) {
  const P& p = q.attrs.param<P>();
  const Shape s = conv::filter_to_canonical(nullptr, join_batch(p, filter), p.format, grouped(p));
  return 2.0 * static_cast<double>(y.count()) * static_cast<double>(s[2] * s[3] * s[4]);
}
template <class P>
double flops_forward(const KernelQuery& q) {
  return count_flops<P>(q, q.out[0].shape, q.in[1].shape);
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_conv) {
  const auto reference = [](void (*run)(const KernelArgs&), std::vector<Kernel> faster = {},
                            const std::vector<Kernel>& integers = {}, const Kernel& halves = {}) {
    faster.insert(faster.end(), integers.begin(), integers.end());
    if (halves.run) faster.push_back(halves);
    faster.push_back(unless_trimmed(Kernel{.name = "reference", .run = run}));
    return faster;
  };
  const auto integers = [](std::vector<Kernel> (*kernels)()) { return kTrimmed ? std::vector<Kernel>() : kernels(); };
  r.add({.name = "Convolution",
         .doc = "2-d convolution.",
         .mge = {"ConvolutionV2", 2},
         .params = &param::Convolution::kSchema,
         .policy = true,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_forward<param::Convolution>,
         .kernels = reference(
             run_convolution, conv::nhwc_convolution(), integers(conv::int_convolution),
             unless_trimmed(Kernel{
                 .name = "half_steps", .run = run_convolution_halves, .accepts = halves_accept<param::Convolution>})),
         .grad = grad_convolution,
         .grad_reads = grads::reads_other_factor,
         .flops = flops_forward<param::Convolution>});
  r.add(
      {.name = "ConvolutionBackwardData",
       .doc = "The gradient of Convolution for its image; also deconvolution.",
       .mge = {"ConvolutionBackwardDataV2", 2},
       .params = &param::Convolution::kSchema,
       .policy = true,
       .min_inputs = 2,
       .max_inputs = 3,
       .infer = infer_backward_data,
       .kernels = reference(run_backward_data, conv::nhwc_backward_data(), integers(conv::int_backward_data)),
       .grad = unless_trimmed(grad_backward_data),
       .grad_reads = grads::reads_other_factor,
       .flops = [](const KernelQuery& q) { return count_flops<param::Convolution>(q, q.in[1].shape, q.in[0].shape); }});
  r.add(
      {.name = "ConvolutionBackwardFilter",
       .doc = "The gradient of Convolution for its filter.",
       .mge = {"ConvolutionBackwardFilterV2", 2},
       .params = &param::Convolution::kSchema,
       .policy = true,
       .min_inputs = 3,
       .max_inputs = 3,
       .infer = infer_backward_filter,
       .kernels = reference(run_backward_filter, conv::nhwc_backward_filter()),
       .grad = unless_trimmed(grad_backward_filter),
       .grad_reads = grads::reads_other_factor,
       .flops = [](const KernelQuery& q) { return count_flops<param::Convolution>(q, q.in[1].shape, q.in[2].shape); }});
  if (kTrimmed) return;
  r.add({.name = "ConvBiasForward",
         .doc = "nonlinearity(convolution + bias + z).",
         .mge = {"ConvBiasForwardV4", 2},
         .params = &param::ConvBias::kSchema,
         .policy = true,
         .min_inputs = 2,
         .max_inputs = 4,
         .infer = infer_conv_bias<param::ConvBias>,
         .kernels = reference(
             run_conv_bias<param::ConvBias>, conv::nhwc_conv_bias(), integers(conv::int_conv_bias),
             unless_trimmed(
                 Kernel{.name = "half_steps", .run = run_conv_bias_halves, .accepts = halves_accept<param::ConvBias>})),
         .flops = flops_forward<param::ConvBias>});
  r.add({.name = "ConvBiasRelu6",
         .doc = "RELU6 of convolution + bias; made by the pass fuse_conv_bias; files hold the two.",
         .params = &param::ConvBias::kSchema,
         .min_inputs = 2,
         .max_inputs = 3,
         .infer = infer_relu6,
         .kernels = reference(run_relu6, conv::nhwc_conv_bias_relu6()),
         .expand = expand_relu6,
         .flops = flops_forward<param::ConvBias>});
  r.add({.name = "BatchConvBiasForward",
         .doc = "ConvBiasForward with a filter for every image.",
         .mge = {"BatchConvBiasForwardV1", 2},
         .params = &param::BatchConvBias::kSchema,
         .policy = true,
         .min_inputs = 2,
         .max_inputs = 4,
         .infer = infer_conv_bias<param::BatchConvBias>,
         .kernels = reference(run_conv_bias<param::BatchConvBias>),
         .flops = flops_forward<param::BatchConvBias>});
}
