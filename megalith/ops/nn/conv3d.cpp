// Convolution3D and its gradients. Computed on canonical tensors: images (N, C, D, H, W), filters (G, OC/G, IC/G, FD,
// FH, FW).
#include "megalith/ops/elemwise/rows.h"
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/conv_canonical.h"
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

using P3 = param::Convolution3D;

bool is_group(const P3& p) { return p.sparse == param::ConvolutionSparse::GROUP; }
bool channels_last(const P3& p) { return p.format == param::Convolution3DFormat::NDHWC; }

Layout canonical_image(const Layout& l, const P3& p) {
  const Shape &s = l.shape, &d = l.stride;
  if (!channels_last(p)) return l;
  return Layout({s[0], s[4], s[1], s[2], s[3]}, {d[0], d[4], d[1], d[2], d[3]});
}

Layout canonical_filter(const Layout& l, const P3& p) {
  const Shape &s = l.shape, &d = l.stride;
  const int g = is_group(p) ? 1 : 0;
  const int64_t gs = g ? s[0] : 1, gd = g ? d[0] : 0;
  const int ic = channels_last(p) ? g + 4 : g + 1, w = channels_last(p) ? g + 1 : g + 2;
  return Layout({gs, s[g], s[ic], s[w], s[w + 1], s[w + 2]}, {gd, d[g], d[ic], d[w], d[w + 1], d[w + 2]});
}

struct Geometry3 {
  int64_t n, g, ocpg, icpg;
  int64_t in[3], out[3], window[3], pad[3], stride[3], dilate[3];
  bool flip;

  // The outputs whose tap `k` of axis `x` lies inside of the image.
  std::pair<int64_t, int64_t> range(int x, int64_t k) const {
    const int64_t off = k * dilate[x] - pad[x];
    const int64_t begin = std::min(off >= 0 ? 0 : (-off + stride[x] - 1) / stride[x], out[x]);
    const int64_t end = in[x] - 1 - off < 0 ? 0 : std::min(out[x], (in[x] - 1 - off) / stride[x] + 1);
    return {begin, std::max(begin, end)};
  }
  int64_t image() const { return in[0] * in[1] * in[2]; }
  int64_t result() const { return out[0] * out[1] * out[2]; }
  int64_t taps() const { return window[0] * window[1] * window[2]; }

  // Calls fn(tap, image offset, output offset, length) for every row of outputs that a tap of the window reaches; along
  // the row the image advances by stride[2].
  template <class F>
  void rows(int64_t tap, F&& fn) const {
    const int64_t at = flip ? taps() - 1 - tap : tap;
    const int64_t kd = at / (window[1] * window[2]), kh = at / window[2] % window[1], kw = at % window[2];
    const auto [d0, d1] = range(0, kd);
    const auto [h0, h1] = range(1, kh);
    const auto [w0, w1] = range(2, kw);
    for (int64_t d = d0; d < d1 && w0 < w1; ++d) {
      const int64_t id = d * stride[0] + kd * dilate[0] - pad[0];
      for (int64_t h = h0; h < h1; ++h) {
        const int64_t ih = h * stride[1] + kh * dilate[1] - pad[1], iw = w0 * stride[2] + kw * dilate[2] - pad[2];
        fn((id * in[1] + ih) * in[2] + iw, (d * out[1] + h) * out[2] + w0, w1 - w0);
      }
    }
  }
};

Geometry3 geometry(const P3& p, const Shape& x, const Shape& f, const Shape& y) {
  return {x[0],
          f[0],
          f[1],
          f[2],
          {x[2], x[3], x[4]},
          {y[2], y[3], y[4]},
          {f[3], f[4], f[5]},
          {p.pad_d, p.pad_h, p.pad_w},
          {p.stride_d, p.stride_h, p.stride_w},
          {p.dilate_d, p.dilate_h, p.dilate_w},
          p.mode == param::ConvolutionMode::CONVOLUTION};
}

// Checks parameters, ranks and types of an image, a filter and, where given, a gradient or output image.
void check(const InferContext& c, int image, int filter) {
  const auto& p = c.param<P3>();
  for (uint32_t v : {p.stride_d, p.stride_h, p.stride_w, p.dilate_d, p.dilate_h, p.dilate_w})
    c.require(v > 0 && v < 65536, "strides and dilations must be positive and below 65536, got ", v);
  for (uint32_t v : {p.pad_d, p.pad_h, p.pad_w}) c.require(v < 65536, "padding ", v, " is too large");
  c.require(p.format <= param::Convolution3DFormat::NDHWC && p.sparse <= param::ConvolutionSparse::GROUP &&
                p.mode <= param::ConvolutionMode::CONVOLUTION,
            "unknown format, sparse or mode (format=", static_cast<uint32_t>(p.format),
            ", sparse=", static_cast<uint32_t>(p.sparse), ", mode=", static_cast<uint32_t>(p.mode), ")");
  const int rank = is_group(p) ? 6 : 5;
  c.require(c.shape(image).ndim() == 5, "the image must have 5 dimensions, got ", c.shape(image));
  c.require(c.shape(filter).ndim() == rank, "the filter must have ", rank, " dimensions, got ", c.shape(filter));
  for (int64_t d : c.shape(filter))
    c.require(d > 0 && d < (int64_t{1} << 31), "bad dimension in filter ", c.shape(filter));
  for (int64_t d : c.shape(image))
    c.require(d >= 0 && d < (int64_t{1} << 31), "bad dimension in image ", c.shape(image));
  for (int i = 0; i < 2; ++i)
    c.require(c.dtype(i).is_float() && c.dtype(i) == c.dtype(0), "takes floating point tensors of one type, got ",
              c.dtype(0).str(), " and ", c.dtype(i).str());
}

int64_t axis_output(const P3& p, int axis, int64_t in, int64_t window) {
  const uint32_t pad[] = {p.pad_d, p.pad_h, p.pad_w}, stride[] = {p.stride_d, p.stride_h, p.stride_w},
                 dilate[] = {p.dilate_d, p.dilate_h, p.dilate_w};
  return window_output(in, window, pad[axis], stride[axis], dilate[axis]);
}

Shape stored_image(const P3& p, const Shape& s) { return channels_last(p) ? Shape{s[0], s[2], s[3], s[4], s[1]} : s; }

void infer_forward(InferContext& c) {
  check(c, 0, 1);
  const auto& p = c.param<P3>();
  const Shape x = canonical_image(Layout(c.shape(0)), p).shape, f = canonical_filter(Layout(c.shape(1)), p).shape;
  c.require(x[1] == f[0] * f[2], "the image ", c.shape(0), " has ", x[1], " channels, the filter ", c.shape(1),
            " takes ", f[0] * f[2]);
  Shape y{x[0], f[0] * f[1], 0, 0, 0};
  for (int i = 0; i < 3; ++i) {
    y[i + 2] = axis_output(p, i, x[i + 2], f[i + 3]);
    c.require(y[i + 2] > 0, "the filter ", c.shape(1), " does not fit into the image ", c.shape(0));
  }
  c.set(0, c.dtype(0), stored_image(p, y));
}

bool belong_together(const P3& p, const Shape& x, const Shape& f, const Shape& y) {
  bool ok = x[0] == y[0] && x[1] == f[0] * f[2] && y[1] == f[0] * f[1];
  for (int i = 0; i < 3; ++i) ok = ok && axis_output(p, i, x[i + 2], f[i + 3]) == y[i + 2];
  return ok;
}

void infer_backward_data(InferContext& c) {
  check(c, 1, 0);
  const auto& p = c.param<P3>();
  const Shape f = canonical_filter(Layout(c.shape(0)), p).shape, y = canonical_image(Layout(c.shape(1)), p).shape;
  c.require(y[1] == f[0] * f[1], "the gradient ", c.shape(1), " has ", y[1], " channels, the filter ", c.shape(0),
            " gives ", f[0] * f[1]);
  if (c.nin() == 3) {
    c.require(c.shape(2).ndim() == 5 && belong_together(p, canonical_image(Layout(c.shape(2)), p).shape, f, y),
              "image ", c.shape(2), ", filter ", c.shape(0), " and gradient ", c.shape(1), " don't belong together");
    return c.set(0, c.dtype(1), c.shape(2));
  }
  const int64_t pad[] = {p.pad_d, p.pad_h, p.pad_w}, stride[] = {p.stride_d, p.stride_h, p.stride_w},
                dilate[] = {p.dilate_d, p.dilate_h, p.dilate_w};
  Shape x{y[0], f[0] * f[2], 0, 0, 0};
  for (int i = 0; i < 3; ++i) {
    x[i + 2] = (y[i + 2] - 1) * stride[i] + (f[i + 3] - 1) * dilate[i] + 1 - 2 * pad[i];
    c.require(y[i + 2] > 0 && x[i + 2] > 0, "gradient ", c.shape(1), " leaves no image behind padding ", pad[i]);
  }
  c.set(0, c.dtype(1), stored_image(p, x));
}

void infer_backward_filter(InferContext& c) {
  check(c, 0, 2);
  const auto& p = c.param<P3>();
  c.require(c.shape(1).ndim() == 5 && belong_together(p, canonical_image(Layout(c.shape(0)), p).shape,
                                                      canonical_filter(Layout(c.shape(2)), p).shape,
                                                      canonical_image(Layout(c.shape(1)), p).shape),
            "image ", c.shape(0), ", gradient ", c.shape(1), " and filter ", c.shape(2), " don't belong together");
  c.set(0, c.dtype(0), c.shape(2));
}

// A float32 copy in the order of `layout`.
Tensor floats(const Tensor& t, const Layout& layout) {
  const Tensor v = t.view(layout).to_contiguous();
  if (v.dtype().id == DTypeEnum::Float32) return v;
  Tensor r = Tensor::empty(DTypeEnum::Float32, v.shape());
  dispatch_float(v.dtype(), [&](auto tag) {
    for (int64_t i = 0; i < v.count(); ++i) r.data<float>()[i] = static_cast<float>(v.data<decltype(tag)>()[i]);
  });
  return r;
}

void store(const Tensor& from, const Tensor& out, const Layout& layout) {
  Tensor typed = Tensor::empty(out.dtype(), from.shape());
  dispatch_float(out.dtype(), [&](auto tag) {
    using T = decltype(tag);
    for (int64_t i = 0; i < from.count(); ++i) typed.data<T>()[i] = T(from.data<float>()[i]);
  });
  copy_strided(typed, out.view(layout));
}

// Calls fn with one step of the sums: MegEngine adds Float16 products in Float16.
template <class F>
void with_step(const Tensor& x, F&& fn) {
  if (x.dtype().id == DTypeEnum::Float16)
    fn(conv::RoundedToHalf{});
  else
    fn(conv::Plain<float>{});
}

// The taps are the outer loop and the channels the inner one, as in MegEngine's naive kernel: where every step rounds,
// the order shows.
template <class Step>
void forward(const Geometry3& g, const float* x, const float* f, float* y, Exec& exec) {
  exec.parallel_for(g.n * g.g * g.ocpg, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / (g.g * g.ocpg), goc = plane % (g.g * g.ocpg);
      for (int64_t tap = 0; tap < g.taps(); ++tap) {
        for (int64_t ic = 0; ic < g.icpg; ++ic) {
          const float* image = x + ((n * g.g + goc / g.ocpg) * g.icpg + ic) * g.image();
          const float w = f[(goc * g.icpg + ic) * g.taps() + tap];
          g.rows(tap, [&](int64_t from, int64_t at, int64_t count) {
            float* row = y + plane * g.result() + at;
            for (int64_t k = 0; k < count; ++k) row[k] = Step::add(row[k], image[from + k * g.stride[2]], w);
          });
        }
      }
    }
  });
}

// The window is walked from its end, so that every element adds up in the order of the outputs.
template <class Step>
void backward_data(const Geometry3& g, const float* f, const float* dy, float* dx, Exec& exec) {
  exec.parallel_for(g.n * g.g * g.icpg, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t ic = plane % g.icpg, ng = plane / g.icpg, group = ng % g.g;
      float* image = dx + plane * g.image();
      for (int64_t oc = 0; oc < g.ocpg; ++oc) {
        const float* from = dy + (ng * g.ocpg + oc) * g.result();
        for (int64_t i = g.taps() - 1; i >= 0; --i) {
          const int64_t tap = g.flip ? g.taps() - 1 - i : i;
          const float w = f[((group * g.ocpg + oc) * g.icpg + ic) * g.taps() + tap];
          g.rows(tap, [&](int64_t to, int64_t at, int64_t count) {
            for (int64_t k = 0; k < count; ++k) {
              float& sum = image[to + k * g.stride[2]];
              sum = Step::add(sum, from[at + k], w);
            }
          });
        }
      }
    }
  });
}

template <class Step>
void backward_filter(const Geometry3& g, const float* x, const float* dy, float* df, Exec& exec) {
  exec.parallel_for(g.g * g.ocpg * g.icpg, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t ic = i % g.icpg, goc = i / g.icpg;
      for (int64_t tap = 0; tap < g.taps(); ++tap) {
        float sum = 0;
        for (int64_t n = 0; n < g.n; ++n) {
          const float* image = x + ((n * g.g + goc / g.ocpg) * g.icpg + ic) * g.image();
          const float* d = dy + (n * g.g * g.ocpg + goc) * g.result();
          g.rows(tap, [&](int64_t from, int64_t at, int64_t count) {
            for (int64_t k = 0; k < count; ++k) sum = Step::add(sum, image[from + k * g.stride[2]], d[at + k]);
          });
        }
        df[i * g.taps() + tap] = sum;
      }
    }
  });
}

void run_forward(const KernelArgs& a) {
  const auto& p = a.param<P3>();
  const Layout to = canonical_image(a.out[0].layout(), p);
  const Tensor x = floats(a.in[0], canonical_image(a.in[0].layout(), p)),
               f = floats(a.in[1], canonical_filter(a.in[1].layout(), p));
  const Tensor y = Tensor::zeros(DTypeEnum::Float32, to.shape);
  with_step(a.in[0], [&](auto step) {
    forward<decltype(step)>(geometry(p, x.shape(), f.shape(), to.shape), x.data<float>(), f.data<float>(),
                            y.data<float>(), a.exec);
  });
  store(y, a.out[0], to);
}

void run_backward_data(const KernelArgs& a) {
  const auto& p = a.param<P3>();
  const Layout to = canonical_image(a.out[0].layout(), p);
  const Tensor f = floats(a.in[0], canonical_filter(a.in[0].layout(), p)),
               dy = floats(a.in[1], canonical_image(a.in[1].layout(), p));
  const Tensor dx = Tensor::zeros(DTypeEnum::Float32, to.shape);
  with_step(a.in[0], [&](auto step) {
    backward_data<decltype(step)>(geometry(p, to.shape, f.shape(), dy.shape()), f.data<float>(), dy.data<float>(),
                                  dx.data<float>(), a.exec);
  });
  store(dx, a.out[0], to);
}

void run_backward_filter(const KernelArgs& a) {
  const auto& p = a.param<P3>();
  const Layout to = canonical_filter(a.out[0].layout(), p);
  const Tensor x = floats(a.in[0], canonical_image(a.in[0].layout(), p)),
               dy = floats(a.in[1], canonical_image(a.in[1].layout(), p));
  const Tensor df = Tensor::empty(DTypeEnum::Float32, to.shape);
  with_step(a.in[0], [&](auto step) {
    backward_filter<decltype(step)>(geometry(p, x.shape(), to.shape, dy.shape()), x.data<float>(), dy.data<float>(),
                                    df.data<float>(), a.exec);
  });
  store(df, a.out[0], to);
}

constexpr grads::ConvOps kOps = {"Convolution3D", "Convolution3DBackwardData", "Convolution3DBackwardFilter"};
std::vector<Var> grad_forward(const GradContext& c) { return grads::conv_forward_gradient(c, kOps); }
std::vector<Var> grad_backward_data(const GradContext& c) { return grads::conv_data_gradient(c, kOps); }
std::vector<Var> grad_backward_filter(const GradContext& c) { return grads::conv_filter_gradient(c, kOps); }

// Every output (of the forward direction) takes IC/G x window products; `filter` is the input that holds or shapes the
// filter.
double count_flops(const KernelQuery& q, const Shape& y, const Shape& filter) {
  const Shape f = canonical_filter(Layout(filter), q.attrs.param<P3>()).shape;
  return 2.0 * static_cast<double>(y.count()) * static_cast<double>(f.count(2, 6));
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_conv3d) {
  r.add({.name = "Convolution3D",
         .doc = "3-d convolution.",
         .mge = {"Convolution3D", 2},
         .params = &param::Convolution3D::kSchema,
         .policy = true,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_forward,
         .kernels = {{.name = "reference", .run = run_forward}},
         .grad = grad_forward,
         .grad_reads = grads::reads_other_factor,
         .flops = [](const KernelQuery& q) { return count_flops(q, q.out[0].shape, q.in[1].shape); }});
  r.add({.name = "Convolution3DBackwardData",
         .doc = "The gradient of Convolution3D for its image; also deconvolution.",
         .mge = {"Convolution3DBackwardData", 2},
         .params = &param::Convolution3D::kSchema,
         .policy = true,
         .min_inputs = 2,
         .max_inputs = 3,
         .infer = infer_backward_data,
         .kernels = {{.name = "reference", .run = run_backward_data}},
         .grad = grad_backward_data,
         .grad_reads = grads::reads_other_factor,
         .flops = [](const KernelQuery& q) { return count_flops(q, q.in[1].shape, q.in[0].shape); }});
  r.add({.name = "Convolution3DBackwardFilter",
         .doc = "The gradient of Convolution3D for its filter.",
         .mge = {"Convolution3DBackwardFilter", 2},
         .params = &param::Convolution3D::kSchema,
         .policy = true,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_backward_filter,
         .kernels = {{.name = "reference", .run = run_backward_filter}},
         .grad = grad_backward_filter,
         .grad_reads = grads::reads_other_factor,
         .flops = [](const KernelQuery& q) { return count_flops(q, q.in[1].shape, q.in[2].shape); }});
}
