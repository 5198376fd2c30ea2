// Pooling: the maximum or the mean over a sliding window.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/pooling_geometry.h"

namespace megalith {
namespace pool {

using Mode = param::PoolingMode;

void check_dtype(const InferContext& c) {
  const DType d = c.dtype(0);
  c.require(d.is_float() || d.id == DTypeEnum::Int8 || (d.is_quantized() && !(d.bits() < 4)),
            "can't pool elements of type ", d.name());
}

void check_mode(const InferContext& c, Mode mode) {
  c.require(static_cast<uint32_t>(mode) <= 2, "mode ", static_cast<uint32_t>(mode), " is unknown");
}

namespace {

// `whole`: plain integers under AVERAGE are divided as integers; all other integers are rounded.
template <class T>
T finish_mean(double sum, int64_t n, bool whole) {
  if constexpr (std::is_integral_v<T>) {
    if (whole) return static_cast<T>(static_cast<int64_t>(sum) / n);
    const float v = n ? static_cast<float>(sum) / static_cast<float>(n) : 0.f;
    const float r = std::round(v);
    const float lo = static_cast<float>(std::numeric_limits<T>::lowest()),
                hi = static_cast<float>(std::numeric_limits<T>::max());
    return r <= lo ? std::numeric_limits<T>::lowest() : r >= hi ? std::numeric_limits<T>::max() : static_cast<T>(r);
  } else {
    return T(n ? static_cast<float>(sum) / static_cast<float>(n) : 0.f);
  }
}

template <class T>
void forward_typed(Exec& exec, const Tensor& src, const Tensor& dst, const Window& win,
                   param::ConvolutionFormat format) {
  const Grid in = make_grid(src.shape(), format), out = make_grid(dst.shape(), format);
  const T* x = src.data<T>();
  T* y = dst.data<T>();
  using Acc = std::conditional_t<std::is_integral_v<T>, int64_t, float>;
  const bool whole = win.mode == Mode::AVERAGE && !src.dtype().is_quantized();
  const Acc padding = src.dtype().is_asymmetric() ? Acc(src.dtype().zero_point) : Acc(0);
  exec.parallel_for(out.images() * out.h, 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t image = row / out.h, oh = row % out.h;
      const T* xi = x + in.base(image);
      T* yi = y + out.base(image) + oh * out.h_stride;
      const int64_t h0 = oh * win.stride_h - win.pad_h;
      const int64_t hb = std::max<int64_t>(h0, 0), he = std::min(h0 + win.h, in.h);
      for (int64_t ow = 0; ow < out.w; ++ow) {
        const int64_t w0 = ow * win.stride_w - win.pad_w;
        const int64_t wb = std::max<int64_t>(w0, 0), we = std::min(w0 + win.w, in.w);
        const int64_t taken = std::max<int64_t>(he - hb, 0) * std::max<int64_t>(we - wb, 0);
        for (int64_t i = 0; i < out.inner; ++i) {
          T* to = yi + ow * out.w_stride + i;
          if (win.mode == Mode::MAX) {
            Acc best =
                std::is_integral_v<T> ? Acc(std::numeric_limits<T>::lowest()) : std::numeric_limits<Acc>::lowest();
            for (int64_t h = hb; h < he; ++h)
              for (int64_t w = wb; w < we; ++w)
                best = std::max(best, static_cast<Acc>(xi[h * in.h_stride + w * in.w_stride + i]));
            *to = T(best);
          } else {
            Acc sum = 0;
            for (int64_t h = hb; h < he; ++h)
              for (int64_t w = wb; w < we; ++w) sum += static_cast<Acc>(xi[h * in.h_stride + w * in.w_stride + i]);
            int64_t n = taken;
            if (win.mode == Mode::AVERAGE) {
              n = win.h * win.w;
              sum += padding * static_cast<Acc>(n - taken);
            }
            *to = finish_mean<T>(static_cast<double>(sum), n, whole);
          }
        }
      }
    }
  });
}

Window window_of(const param::Pooling& p) {
  return {p.mode, p.window_h, p.window_w, p.pad_h, p.pad_w, p.stride_h, p.stride_w};
}

void infer_pooling(InferContext& c) {
  const auto& p = c.param<param::Pooling>();
  check_dtype(c);
  check_mode(c, p.mode);
  c.require(p.window_h > 0 && p.window_w > 0, "window is ", p.window_h, "x", p.window_w);
  c.require(p.stride_h > 0 && p.stride_w > 0, "stride is ", p.stride_h, "x", p.stride_w);
  const Spatial s = spatial_axes(c, p.format);
  Shape out = c.shape(0);
  out[s.h] = window_output(out[s.h], p.window_h, p.pad_h, p.stride_h);
  out[s.w] = window_output(out[s.w], p.window_w, p.pad_w, p.stride_w);
  c.require(out[s.h] > 0 && out[s.w] > 0, "window ", p.window_h, "x", p.window_w, " does not fit input ", c.shape(0),
            " with padding ", p.pad_h, "x", p.pad_w);
  c.set(0, c.dtype(0), out);
}

void run_pooling(const KernelArgs& a) {
  const auto& p = a.param<param::Pooling>();
  forward(a, window_of(p), p.format);
}

bool accepts_vector(const KernelQuery& q) { return vector_accepts(q, q.attrs.param<param::Pooling>().format); }
bool accepts_forward(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::Pooling>();
  return forward_accepts(q, window_of(p), p.format);
}

void run_vector(const KernelArgs& a) {
  const auto& p = a.param<param::Pooling>();
  forward_vector(a, window_of(p), p.format);
}

// A maximum or a mean of 16-bit floats is that of floats, rounded.
bool accepts_halves(const KernelQuery& q) { return accepts_as_floats(q, accepts_vector); }
void run_halves(const KernelArgs& a) { run_as_floats(a, run_vector); }

void infer_backward(InferContext& c) {
  infer_pooling(c);
  c.require(c.dtype(0).is_float() && c.dtype(1) == c.dtype(0) && c.dtype(2) == c.dtype(0),
            "inputs must have one float type");
  c.require(c.shape(2) == c.out[0].shape && c.shape(1) == c.out[0].shape, "result and gradient have shapes ",
            c.shape(1), " and ", c.shape(2), ", expected ", c.out[0].shape);
  c.set(0, c.dtype(0), c.shape(0));
}

void run_backward(const KernelArgs& a) {
  const auto& p = a.param<param::Pooling>();
  backward(a, a.in[0], a.in[2], window_of(p), p.format);
}

void run_backward_vector(const KernelArgs& a) {
  const auto& p = a.param<param::Pooling>();
  backward_vector(a, a.in[0], a.in[2], window_of(p), p.format);
}

std::vector<Var> grad_pooling(const GradContext& c) {
  return {emit1("PoolingBackward", c.attrs.params, {c.in[0], c.out[0], c.dout[0]})};
}

GradReads reads_pooling(const Attrs& attrs, const std::vector<bool>&) {
  const bool max = attrs.param<param::Pooling>().mode == param::PoolingMode::MAX;
  return {max ? 1u : 0u, max ? 1u : 0u};
}

// The gradient of pooling is linear in its gradient. That of an average is the op itself; of a maximum, the sum over
// what is as large as the result in its window.
std::vector<Var> grad_backward(const GradContext& c) {
  const auto& p = c.attrs.param<param::Pooling>();
  if (!c.needs[2]) return {{}, {}, {}};
  if (p.mode != param::PoolingMode::MAX) return {{}, {}, emit1("Pooling", c.attrs.params, {c.dout[0]})};
  if (p.format != param::ConvolutionFormat::NCHW) grads::unsupported(c, "no gradient for mode MAX but in NCHW");
  const Params windows = param::Images2Neibs{.pad_h = p.pad_h,
                                             .pad_w = p.pad_w,
                                             .stride_h = p.stride_h,
                                             .stride_w = p.stride_w,
                                             .window_h = p.window_h,
                                             .window_w = p.window_w};
  const Var x = emit1("Images2Neibs", windows, {c.in[0]}), d = emit1("Images2Neibs", windows, {c.dout[0]});
  const Var top = grads::add_axis(grads::add_axis(c.in[1], 4), 5);
  const Var largest = grads::call(grads::E::EQ, {x, top});
  const Var part = grads::sum_like(grads::mul(d, largest), top);
  return {{}, {}, grads::remove_axis(grads::remove_axis(part, 5), 4)};
}

GradReads reads_backward(const Attrs& attrs, const std::vector<bool>& needs) {
  const GradReads r = reads_pooling(attrs, needs);
  return {r.in ? 3u : 0u, 0};
}

double flops_pooling(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::Pooling>();
  return static_cast<double>(q.out[0].shape.count()) * p.window_h * p.window_w;
}

}  // namespace

void forward(const KernelArgs& a, const Window& win, param::ConvolutionFormat format) {
  const Tensor& src = a.in[0];
  if (src.dtype().is_lowbit()) {
    Tensor wide = unpack_lowbit(src);
    Tensor out = Tensor::empty(wide.dtype(), a.out[0].shape());
    dispatch_storage(wide.dtype(), [&](auto t) { forward_typed<decltype(t)>(a.exec, wide, out, win, format); });
    copy_strided(pack_lowbit(out, src.dtype()), a.out[0]);
    return;
  }
  dispatch_storage(src.dtype(), [&](auto t) { forward_typed<decltype(t)>(a.exec, src, a.out[0], win, format); });
}

void backward(const KernelArgs& a, const Tensor& src, const Tensor& diff, const Window& win,
              param::ConvolutionFormat format) {
  const Grid in = make_grid(src.shape(), format), out = make_grid(diff.shape(), format);
  dispatch_float(src.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = src.data<T>();
    const T* dy = diff.data<T>();
    T* dx = a.out[0].data<T>();
    std::fill(dx, dx + src.count(), T(0.f));
    a.exec.parallel_for(out.images(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t image = begin; image < end; ++image) {
        for (int64_t oh = 0; oh < out.h; ++oh) {
          const int64_t h0 = oh * win.stride_h - win.pad_h;
          const int64_t hb = std::max<int64_t>(h0, 0), he = std::min(h0 + win.h, in.h);
          for (int64_t ow = 0; ow < out.w; ++ow) {
            const int64_t w0 = ow * win.stride_w - win.pad_w;
            const int64_t wb = std::max<int64_t>(w0, 0), we = std::min(w0 + win.w, in.w);
            if (hb >= he || wb >= we) continue;
            const int64_t n = win.mode == Mode::AVERAGE ? win.h * win.w : (he - hb) * (we - wb);
            for (int64_t i = 0; i < out.inner; ++i) {
              const int64_t at = in.base(image) + i;
              const float d = dy[out.base(image) + oh * out.h_stride + ow * out.w_stride + i];
              if (win.mode == Mode::MAX) {
                // every element that equals the maximum takes the whole gradient, as in MegEngine
                float top = static_cast<float>(x[at + hb * in.h_stride + wb * in.w_stride]);
                for (int64_t h = hb; h < he; ++h)
                  for (int64_t w = wb; w < we; ++w)
                    top = std::max(top, static_cast<float>(x[at + h * in.h_stride + w * in.w_stride]));
                for (int64_t h = hb; h < he; ++h)
                  for (int64_t w = wb; w < we; ++w) {
                    const int64_t k = at + h * in.h_stride + w * in.w_stride;
                    if (static_cast<float>(x[k]) == top) dx[k] = T(static_cast<float>(dx[k]) + d);
                  }
              } else {
                for (int64_t h = hb; h < he; ++h)
                  for (int64_t w = wb; w < we; ++w) {
                    T& to = dx[at + h * in.h_stride + w * in.w_stride];
                    to = T(static_cast<float>(to) + d / static_cast<float>(n));
                  }
              }
            }
          }
        }
      }
    });
  });
}

}  // namespace pool
}  // namespace megalith

MEGALITH_OPS(nn_pooling) {
  using namespace pool;
  r.add({.name = "Pooling",
         .doc = "Maximum or mean over a sliding window.",
         .mge = {"PoolingV1"},
         .params = &param::Pooling::kSchema,
         .infer = infer_pooling,
         .kernels = {{.name = "vector",
                      .run = run_vector,
                      .accepts = accepts_forward,
                      .strided = true,
                      .order = Order::kLikeInput},
                     unless_trimmed(Kernel{.name = "vector_as_floats",
                                           .run = run_halves,
                                           .accepts = accepts_halves,
                                           .strided = true,
                                           .order = Order::kLikeInput}),
                     unless_trimmed(Kernel{.name = "reference", .run = run_pooling})},
         .grad = grad_pooling,
         .grad_reads = reads_pooling,
         .flops = flops_pooling});
  r.add({.name = "PoolingBackward",
         .doc = "Gradient of Pooling: inputs are its source, its result and the gradient of the result.",
         .mge = {"PoolingBackwardV1"},
         .params = &param::Pooling::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_backward,
         .kernels = {{.name = "vector",
                      .run = run_backward_vector,
                      .accepts = accepts_vector,
                      .strided = true,
                      .order = Order::kLikeInput},
                     unless_trimmed(Kernel{.name = "reference", .run = run_backward})},
         .grad = unless_trimmed(grad_backward),
         .grad_reads = reads_backward});
}
