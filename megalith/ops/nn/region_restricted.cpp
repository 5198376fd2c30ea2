// Convolution inside regions: a tap counts where the region of its input position is that of the output position.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/conv_geometry.h"

namespace megalith {
namespace {

// Inputs 0 and 1 hold values, 2 and 3 the regions of the forward input and output.
conv::Geometry check_regions(const InferContext& c, const Shape& src, const Shape& filter) {
  const auto& p = c.param<param::Convolution>();
  const DType t = c.dtype(0), region = c.dtype(2);
  c.require(t.is_float(), "unsupported element type ", t.name());
  c.require(c.dtype(1) == t, "tensors must have one element type, got ", t.name(), " and ", c.dtype(1).name());
  c.require(c.dtype(3) == region && (region.id == DTypeEnum::Int32 || region.id == DTypeEnum::Uint8),
            "regions must be both Int32 or both Uint8, got ", region.name(), " and ", c.dtype(3).name());
  c.require(p.compute_mode == param::ComputeMode::DEFAULT || t.id == DTypeEnum::Float16,
            "compute_mode=FLOAT32 is only for Float16, got ", t.name());
  const conv::Geometry g = conv::check_plain(c, src, filter);
  const Shape rin{g.n, g.ih, g.iw}, rout{g.n, g.oh, g.ow};
  c.require(c.shape(2) == rin, "input regions must be ", rin, ", got ", c.shape(2));
  c.require(c.shape(3) == rout, "output regions must be ", rout, ", got ", c.shape(3));
  return g;
}

// inputs: src, filter, rin, rout
void infer_forward(InferContext& c) {
  const auto& p = c.param<param::Convolution>();
  c.require(p.stride_h == 1 && p.stride_w == 1, "strides must be 1 (stride_h=", p.stride_h, ", stride_w=", p.stride_w,
            ")");
  c.set(0, c.dtype(0), check_regions(c, c.shape(0), c.shape(1)).output());
}

// inputs: filter, diff, rin, rout and maybe src; without it, the smallest input that gives this output
void infer_backward_data(InferContext& c) {
  const auto& p = c.param<param::Convolution>();
  const Shape& filter = c.shape(0);
  const Shape& diff = c.shape(1);
  Shape src;
  if (c.nin() == 5) {
    src = c.shape(4);
  } else {
    const bool group = p.sparse == param::ConvolutionSparse::GROUP;
    c.require(filter.ndim() == (group ? 5 : 4) && diff.ndim() == 4, "bad shapes of filter ", filter, " and diff ",
              diff);
    const conv::Geometry g = [&] {
      param::Convolution unit = p;
      unit.stride_h = unit.stride_w = 1;
      return conv::plain_geometry(unit, diff, filter);
    }();
    src = {diff[0], g.g * g.icpg, (diff[2] - 1) * p.stride_h + (g.fh - 1) * g.dh + 1 - 2 * g.ph,
           (diff[3] - 1) * p.stride_w + (g.fw - 1) * g.dw + 1 - 2 * g.pw};
    c.require(src[2] > 0 && src[3] > 0, "diff ", diff, " is too small for pad_h=", p.pad_h, ", pad_w=", p.pad_w);
  }
  const conv::Geometry g = check_regions(c, src, filter);
  c.require(diff == g.output(), "diff must be ", g.output(), ", got ", diff);
  c.set(0, c.dtype(0), src);
}

// inputs: src, diff, rin, rout, filter
void infer_backward_filter(InferContext& c) {
  const conv::Geometry g = check_regions(c, c.shape(0), c.shape(4));
  c.require(c.shape(1) == g.output(), "diff must be ", g.output(), ", got ", c.shape(1));
  c.set(0, c.dtype(0), c.shape(4));
}

// Calls fn(T{}, Acc{}, R{}): element type, type that sums are rounded to after every step, type of the regions.
template <class F>
void dispatch(const KernelArgs& a, F&& fn) {
  const bool wide = a.param<param::Convolution>().compute_mode == param::ComputeMode::FLOAT32;
  auto with_region = [&](auto t, auto acc) {
    if (a.in[2].dtype().id == DTypeEnum::Int32)
      fn(t, acc, int32_t{});
    else
      fn(t, acc, uint8_t{});
  };
  dispatch_float(a.in[0].dtype(), [&](auto t) {
    if (wide)
      with_region(t, float{});
    else
      with_region(t, t);
  });
}

// Calls tap(ih, iw, kh, kw) for the window positions of (oh, ow) that lie in the image and in its region.
template <class R, class F>
void for_taps(const conv::Geometry& g, const R* rin, const R* rout, int64_t n, int64_t oh, int64_t ow, F&& tap) {
  const R region = rout[(n * g.oh + oh) * g.ow + ow];
  for (int64_t kh = 0; kh < g.fh; ++kh) {
    const int64_t ih = g.input_row(oh, kh);
    if (ih < 0 || ih >= g.ih) continue;
    for (int64_t kw = 0; kw < g.fw; ++kw) {
      const int64_t iw = g.input_col(ow, kw);
      if (iw < 0 || iw >= g.iw || rin[(n * g.ih + ih) * g.iw + iw] != region) continue;
      tap(ih, iw, kh, kw);
    }
  }
}

template <class T, class Acc>
void add_product(Acc& sum, T a, T b) {
  sum = Acc(static_cast<float>(sum) + static_cast<float>(a) * static_cast<float>(b));
}

void run_forward(const KernelArgs& a) {
  const conv::Geometry g = conv::plain_geometry(a.param<param::Convolution>(), a.in[0].shape(), a.in[1].shape());
  dispatch(a, [&]<class T, class Acc, class R>(T, Acc, R) {
    const T* src = a.in[0].data<T>();
    const T* filter = a.in[1].data<T>();
    const R* rin = a.in[2].data<R>();
    const R* rout = a.in[3].data<R>();
    T* dst = a.out[0].data<T>();
    a.exec.parallel_for(g.n * g.g * g.ocpg, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {  // (n, group, oc)
        const T* x = src + i / g.ocpg * g.icpg * g.ih * g.iw;
        const T* w = filter + i % (g.g * g.ocpg) * g.icpg * g.fh * g.fw;
        for (int64_t oh = 0; oh < g.oh; ++oh)
          for (int64_t ow = 0; ow < g.ow; ++ow) {
            Acc sum(0.f);
            for_taps(g, rin, rout, i / (g.g * g.ocpg), oh, ow, [&](int64_t ih, int64_t iw, int64_t kh, int64_t kw) {
              for (int64_t ic = 0; ic < g.icpg; ++ic)
                add_product(sum, x[(ic * g.ih + ih) * g.iw + iw], w[(ic * g.fh + kh) * g.fw + kw]);
            });
            dst[(i * g.oh + oh) * g.ow + ow] = T(static_cast<float>(sum));
          }
      }
    });
  });
}

// Threads split by (n, group, ic); each walks oc, oh, ow and the window.
void run_backward_data(const KernelArgs& a) {
  const conv::Geometry g = conv::plain_geometry(a.param<param::Convolution>(), a.out[0].shape(), a.in[0].shape());
  dispatch(a, [&]<class T, class Acc, class R>(T, Acc, R) {
    const T* filter = a.in[0].data<T>();
    const T* diff = a.in[1].data<T>();
    const R* rin = a.in[2].data<R>();
    const R* rout = a.in[3].data<R>();
    T* grad = a.out[0].data<T>();
    a.exec.parallel_for(g.n * g.g * g.icpg, 1, [&](int64_t begin, int64_t end) {
      std::vector<Acc> dx(static_cast<size_t>(g.ih * g.iw));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t image = i / g.icpg, ic = i % g.icpg, group = image % g.g;
        std::fill(dx.begin(), dx.end(), Acc(0.f));
        for (int64_t oc = 0; oc < g.ocpg; ++oc) {
          const T* w = filter + ((group * g.ocpg + oc) * g.icpg + ic) * g.fh * g.fw;
          for (int64_t oh = 0; oh < g.oh; ++oh)
            for (int64_t ow = 0; ow < g.ow; ++ow) {
              const T d = diff[((image * g.ocpg + oc) * g.oh + oh) * g.ow + ow];
              for_taps(g, rin, rout, image / g.g, oh, ow, [&](int64_t ih, int64_t iw, int64_t kh, int64_t kw) {
                add_product(dx[static_cast<size_t>(ih * g.iw + iw)], w[kh * g.fw + kw], d);
              });
            }
        }
        for (size_t k = 0; k < dx.size(); ++k)
          grad[static_cast<size_t>(i) * dx.size() + k] = T(static_cast<float>(dx[k]));
      }
    });
  });
}

// Threads split by (group, oc, ic); each walks n, oh, ow and the window.
void run_backward_filter(const KernelArgs& a) {
  const conv::Geometry g = conv::plain_geometry(a.param<param::Convolution>(), a.in[0].shape(), a.out[0].shape());
  dispatch(a, [&]<class T, class Acc, class R>(T, Acc, R) {
    const T* src = a.in[0].data<T>();
    const T* diff = a.in[1].data<T>();
    const R* rin = a.in[2].data<R>();
    const R* rout = a.in[3].data<R>();
    T* grad = a.out[0].data<T>();
    a.exec.parallel_for(g.g * g.ocpg * g.icpg, 1, [&](int64_t begin, int64_t end) {
      std::vector<Acc> dw(static_cast<size_t>(g.fh * g.fw));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t channel = i / g.icpg;  // (group, oc)
        std::fill(dw.begin(), dw.end(), Acc(0.f));
        for (int64_t n = 0; n < g.n; ++n) {
          const T* x = src + ((n * g.g + channel / g.ocpg) * g.icpg + i % g.icpg) * g.ih * g.iw;
          const T* d = diff + (n * g.g * g.ocpg + channel) * g.oh * g.ow;
          for (int64_t oh = 0; oh < g.oh; ++oh)
            for (int64_t ow = 0; ow < g.ow; ++ow)
              for_taps(g, rin, rout, n, oh, ow, [&](int64_t ih, int64_t iw, int64_t kh, int64_t kw) {
                add_product(dw[static_cast<size_t>(kh * g.fw + kw)], x[ih * g.iw + iw], d[oh * g.ow + ow]);
              });
        }
        for (size_t k = 0; k < dw.size(); ++k)
          grad[static_cast<size_t>(i) * dw.size() + k] = T(static_cast<float>(dw[k]));
      }
    });
  });
}

constexpr grads::ConvOps kOps = {"RegionRestrictedConvolution", "RegionRestrictedConvolutionBackwardData",
                                 "RegionRestrictedConvolutionBackwardFilter"};
std::vector<Var> grad_forward(const GradContext& c) { return grads::conv_forward_gradient(c, kOps); }
std::vector<Var> grad_backward_data(const GradContext& c) { return grads::conv_data_gradient(c, kOps, 2); }
std::vector<Var> grad_backward_filter(const GradContext& c) { return grads::conv_filter_gradient(c, kOps, 2); }

double flops_forward(const KernelQuery& q) { return conv::plain_flops(q.in[1].shape, q.out[0].shape); }
double flops_backward_data(const KernelQuery& q) { return conv::plain_flops(q.in[0].shape, q.in[1].shape); }
double flops_backward_filter(const KernelQuery& q) { return conv::plain_flops(q.out[0].shape, q.in[1].shape); }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_region_restricted) {
  r.add({.name = "RegionRestrictedConvolution",
         .doc = "Convolution whose taps count only inside the region of the output position.",
         .mge = {"RegionRestrictedConvolution"},
         .params = &param::Convolution::kSchema,
         .min_inputs = 4,
         .max_inputs = 4,
         .infer = infer_forward,
         .kernels = {{.name = "reference", .run = run_forward}},
         .grad = grad_forward,
         .grad_reads = grads::reads_other_factor,
         .flops = flops_forward});
  r.add({.name = "RegionRestrictedConvolutionBackwardData",
         .doc = "Gradient of RegionRestrictedConvolution with respect to its input.",
         .mge = {"RegionRestrictedConvolutionBackwardData"},
         .params = &param::Convolution::kSchema,
         .min_inputs = 4,
         .max_inputs = 5,
         .infer = infer_backward_data,
         .kernels = {{.name = "reference", .run = run_backward_data}},
         .grad = grad_backward_data,
         .grad_reads = grads::reads_other_factor,
         .flops = flops_backward_data});
  r.add({.name = "RegionRestrictedConvolutionBackwardFilter",
         .doc = "Gradient of RegionRestrictedConvolution with respect to its filter.",
         .mge = {"RegionRestrictedConvolutionBackwardFilter"},
         .params = &param::Convolution::kSchema,
         .min_inputs = 5,
         .max_inputs = 5,
         .infer = infer_backward_filter,
         .kernels = {{.name = "reference", .run = run_backward_filter}},
         .grad = grad_backward_filter,
         .grad_reads = grads::reads_other_factor,
         .flops = flops_backward_filter});
}
