// Which part of a batch of images the vector kernels of pooling are given.
#include "megalith/kernels/pooling.h"

#include "megalith/ops/nn/conv_canonical.h"
#include "megalith/ops/nn/pooling_geometry.h"

namespace megalith::pool {
namespace {

using Format = param::ConvolutionFormat;

// The images of a tensor whose format is NCHW or NHWC, with any strides; of the others, row-major, as images of
// adjacent channels.
Images images_of(const Tensor& t, Format format) {
  const Shape &s = t.shape(), &d = t.stride();
  switch (kTrimmed ? Format::NCHW : format) {
    case Format::NCHW: return {s[0], s[1], s[2], s[3], d[0], d[1], d[2], d[3]};
    case Format::NHWC: return {s[0], s[3], s[1], s[2], d[0], d[3], d[1], d[2]};
    default: {
      const Grid g = make_grid(s, format);
      return {g.images(), g.inner, g.h, g.w, g.outer_stride, 1, g.h_stride, g.w_stride};
    }
  }
}

bool by_channels(const Images& i) { return i.c_step == 1 && i.c > 1; }
bool by_columns(const Images& i) { return i.w_step == 1 || i.w == 1; }

// The tensors as they lie if vectors can run along them, and whether over channels; else row-major copies.
template <class... Ts>
bool arrange(Format format, Ts&... tensors) {
  if (format != Format::NCHW && format != Format::NHWC) ((tensors = tensors.to_contiguous()), ...);
  const auto all = [&](auto&& fn) { return (fn(images_of(tensors, format)) && ...); };
  if (all(by_channels)) return true;
  if (all(by_columns)) return false;
  ((tensors = tensors.to_contiguous()), ...);
  return all(by_channels);
}

Job job_of(const Window& w, bool channels, const Tensor& in, const Tensor& out, Format format) {
  return {w.mode,
          w.h,
          w.w,
          w.pad_h,
          w.pad_w,
          w.stride_h,
          w.stride_w,
          channels,
          images_of(in, format),
          images_of(out, format)};
}

int64_t grain(int64_t elements) { return std::max<int64_t>(1, 8192 / std::max<int64_t>(1, elements)); }

}  // namespace

bool vector_accepts(const KernelQuery& q, Format format) {
  return q.in[0].dtype.id == DTypeEnum::Float32 && format != Format::NHWCD4;
}

bool forward_accepts(const KernelQuery& q, const Window& win, Format format) {
  const DTypeEnum d = q.in[0].dtype.id;
  const bool bytes =
      !kTrimmed && (d == DTypeEnum::Int8 || d == DTypeEnum::QuantizedS8 || d == DTypeEnum::Quantized8Asymm);
  return vector_accepts(q, format) || (bytes && format != Format::NHWCD4 && win.h * win.w < kMostBytes);
}

namespace {

// Over channels, which are brought together where they lie apart.
void forward_channels(const KernelArgs& a, const Window& win, Format format) {
  const conv::Store store = conv::store_of(format, false);
  const Tensor x = conv::dense_image(a.in[0], store, a.exec);
  const Layout out = conv::inner_channels(a.out[0].layout(), store);
  const Tensor y = out.contiguous() ? a.out[0].view(out) : Tensor::empty(a.out[0].dtype(), out.shape);
  const auto images = [](const Tensor& t) {
    const Shape& s = t.shape();
    return Images{s[0], s[3] * s[4], s[1], s[2], s[1] * s[2] * s[3] * s[4], 1, s[2] * s[3] * s[4], s[3] * s[4]};
  };
  const Job job{win.mode, win.h, win.w, win.pad_h, win.pad_w, win.stride_h, win.stride_w, true, images(x), images(y)};
  const int64_t taps = win.h * win.w * job.out.w * job.out.c;
  a.exec.parallel_for(job.out.n * job.out.h, grain(taps / 4), [&](int64_t begin, int64_t end) {
    forward_bytes(job, x.dtype(), x.data<std::byte>(), y.data<std::byte>(), begin, end);
  });
  if (!out.contiguous()) copy_strided(y, a.out[0].view(out), a.exec);
}

}  // namespace

void forward_vector(const KernelArgs& a, const Window& win, Format format) {
  if (!kTrimmed && a.in[0].dtype().bits() == 8) return forward_channels(a, win, format);
  Tensor x = a.in[0], y = a.out[0];
  const bool channels = arrange(format, x, y);
  const Job job = job_of(win, channels, x, y, format);
  const int64_t rows = job.out.n * job.out.h * (channels ? 1 : job.out.c);
  const int64_t taps = win.h * win.w * job.out.w * (channels ? job.out.c : 1);
  a.exec.parallel_for(rows, std::max<int64_t>(8, grain(taps)), [&](int64_t begin, int64_t end) {
    forward_rows(job, x.data<float>(), y.data<float>(), begin, end);
  });
  if (y.data() != a.out[0].data()) copy_strided(y, a.out[0]);
}

void backward_vector(const KernelArgs& a, const Tensor& src, const Tensor& diff, const Window& win, Format format) {
  // Of the input of a mean there is nothing but its shape.
  Tensor x = win.mode == param::PoolingMode::MAX ? src : a.out[0], dy = diff, dx = a.out[0];
  const bool channels = arrange(format, x, dy, dx);
  const Job job = job_of(win, channels, x, dy, format);
  const int64_t planes = job.in.n * (channels ? channel_chunks(job.in.c) : job.in.c);
  a.exec.parallel_for(planes, grain(job.in.h * job.in.w * (channels ? kChunk : 1)), [&](int64_t begin, int64_t end) {
    backward_planes(job, x.data<float>(), dy.data<float>(), dx.data<float>(), images_of(dx, format), begin, end);
  });
  if (dx.data() != a.out[0].data()) copy_strided(dx, a.out[0]);
}

}  // namespace megalith::pool
