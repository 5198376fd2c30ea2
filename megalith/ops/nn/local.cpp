// Convolutions whose filters are not shared over the whole image: Local, GroupLocal, LocalShare and their gradients.
//
// One description covers the three. A filter row belongs to a spatial group: for Local and GroupLocal every output
// position is a group of its own, for LocalShare a rectangle of (OH / SGH) x (OW / SGW) positions is.
// All results are promised to the bit: from +0, taps inside the image only, in the order fh, fw, input channel; every
// step multiplies and rounds, then adds and rounds. Gradients add in the order n, oc, oh, ow, fh, fw, ic.
#include "megalith/kernels/local.h"
#include "megalith/ops/grad_util.h"
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

enum class Kind { kLocal, kGroupLocal, kLocalShare };

using local::Geometry;

template <class P>
Geometry make_geometry(Kind kind, const P& p, const Shape& src, const Shape& filter, const Shape& dst) {
  const int at = filter.ndim() - 6;
  Geometry g{};
  g.n = src[0];
  g.group = at == 1 ? filter[0] : 1;
  g.sgh = filter[at];
  g.sgw = filter[at + 1];
  g.icpg = filter[at + 2];
  g.fh = filter[at + 3];
  g.fw = filter[at + 4];
  g.ocpg = filter[at + 5];
  g.ih = src[2];
  g.iw = src[3];
  g.oh = dst[2];
  g.ow = dst[3];
  g.rows = g.sgh ? g.oh / g.sgh : 1;
  g.cols = g.sgw ? g.ow / g.sgw : 1;
  g.stride_h = p.stride_h;
  g.stride_w = p.stride_w;
  g.pad_h = p.pad_h;
  g.pad_w = p.pad_w;
  g.flip = kind == Kind::kLocal && p.mode == param::ConvolutionMode::CONVOLUTION;
  return g;
}

template <Kind K>
struct ParamOf {
  using type = param::Convolution;
};
template <>
struct ParamOf<Kind::kLocalShare> {
  using type = param::LocalShare;
};

// --- shape rules

template <Kind K>
void check_params(const InferContext& c) {
  const auto& p = c.param<typename ParamOf<K>::type>();
  c.require(p.dilate_h == 1 && p.dilate_w == 1, "dilation is not supported (dilate_h=", p.dilate_h,
            ", dilate_w=", p.dilate_w, ")");
  c.require(p.stride_h > 0 && p.stride_w > 0, "strides must be positive (stride_h=", p.stride_h,
            ", stride_w=", p.stride_w, ")");
  c.require(p.format == param::ConvolutionFormat::NCHW || K != Kind::kLocalShare, "only format NCHW is supported");
  if constexpr (K != Kind::kLocalShare)
    c.require(p.sparse == param::ConvolutionSparse::DENSE, "only sparse=DENSE is supported");
  else
    c.require(p.computeMode == param::ComputeMode::DEFAULT, "only computeMode=DEFAULT is supported");
  if constexpr (K == Kind::kGroupLocal)
    c.require(p.mode == param::ConvolutionMode::CROSS_CORRELATION, "only mode=CROSS_CORRELATION is supported");
}

// Position of the spatial groups in the filter's shape.
template <Kind K>
int check_filter(const InferContext& c, const Shape& filter) {
  bool group = K == Kind::kGroupLocal;
  if constexpr (K == Kind::kLocalShare) group = c.param<param::LocalShare>().sparse == param::ConvolutionSparse::GROUP;
  c.require(filter.ndim() == (group ? 7 : 6), "filter must have ", group ? 7 : 6, " dimensions, got ", filter);
  for (int64_t d : filter) c.require(d > 0, "filter has an empty dimension: ", filter);
  if constexpr (K == Kind::kLocalShare) {
    const auto& p = c.param<param::LocalShare>();
    c.require(filter[group] == p.spatial_groups_h && filter[group + 1] == p.spatial_groups_w, "filter ", filter,
              " is for ", filter[group], "x", filter[group + 1],
              " spatial groups, but spatial_groups_h=", p.spatial_groups_h, ", spatial_groups_w=", p.spatial_groups_w);
  }
  return group ? 1 : 0;
}

// The output of the forward pass, given its input and filter.
template <Kind K>
Shape forward_shape(const InferContext& c, const Shape& src, const Shape& filter) {
  check_params<K>(c);
  const auto& p = c.param<typename ParamOf<K>::type>();
  c.require(src.ndim() == 4, "input must have 4 dimensions, got ", src);
  const int at = check_filter<K>(c, filter);
  const int64_t group = at ? filter[0] : 1;
  c.require(src[1] % group == 0 && src[1] / group == filter[at + 2], "input ", src, " has ", src[1],
            " channels, but filter ", filter, " takes ", group, " x ", filter[at + 2]);
  const int64_t oh = window_output(src[2], filter[at + 3], p.pad_h, p.stride_h);
  const int64_t ow = window_output(src[3], filter[at + 4], p.pad_w, p.stride_w);
  c.require(oh > 0 && ow > 0, "a ", filter[at + 3], "x", filter[at + 4], " window does not fit input ", src,
            " (pad_h=", p.pad_h, ", pad_w=", p.pad_w, ")");
  if constexpr (K == Kind::kLocalShare)
    c.require(oh % filter[at] == 0 && ow % filter[at + 1] == 0, "a ", oh, "x", ow, " output cannot be divided into ",
              filter[at], "x", filter[at + 1], " spatial groups");
  else
    c.require(oh == filter[at] && ow == filter[at + 1], "filter is for a ", filter[at], "x", filter[at + 1],
              " output, but the input gives ", oh, "x", ow, " (pad_h=", p.pad_h, ", stride_h=", p.stride_h, ")");
  return {src[0], group * filter[at + 5], oh, ow};
}

void check_dtypes(const InferContext& c, bool half_too) {
  const DType t = c.dtype(0);
  c.require(t.id == DTypeEnum::Float32 || (half_too && t.id == DTypeEnum::Float16), "unsupported element type ",
            t.name());
  for (int i = 1; i < c.nin(); ++i)
    c.require(c.dtype(i) == t, "inputs must have one element type, got ", t.name(), " and ", c.dtype(i).name());
}

template <Kind K>
void infer_forward(InferContext& c) {
  check_dtypes(c, K != Kind::kLocalShare);
  c.set(0, c.dtype(0), forward_shape<K>(c, c.shape(0), c.shape(1)));
}

// inputs: filter, diff, src (LocalShare may leave src out: then the smallest input that gives this output)
template <Kind K>
void infer_backward_data(InferContext& c) {
  check_dtypes(c, false);
  const Shape& filter = c.shape(0);
  const Shape& diff = c.shape(1);
  Shape src;
  if (c.nin() == 3) {
    src = c.shape(2);
  } else {
    check_params<K>(c);
    const auto& p = c.param<typename ParamOf<K>::type>();
    const int at = check_filter<K>(c, filter);
    c.require(diff.ndim() == 4, "diff must have 4 dimensions, got ", diff);
    src = {diff[0], filter[at + 2] * (at ? filter[0] : 1),
           (diff[2] - 1) * p.stride_h + filter[at + 3] - 2 * int64_t{p.pad_h},
           (diff[3] - 1) * p.stride_w + filter[at + 4] - 2 * int64_t{p.pad_w}};
    c.require(src[2] > 0 && src[3] > 0, "diff ", diff, " is too small for pad_h=", p.pad_h, ", pad_w=", p.pad_w);
  }
  const Shape expected = forward_shape<K>(c, src, filter);
  c.require(diff == expected, "diff must be ", expected, " for input ", src, " and filter ", filter, ", got ", diff);
  c.set(0, c.dtype(0), src);
}

// inputs: src, diff, filter
template <Kind K>
void infer_backward_filter(InferContext& c) {
  check_dtypes(c, false);
  const Shape expected = forward_shape<K>(c, c.shape(0), c.shape(2));
  c.require(c.shape(1) == expected, "diff must be ", expected, " for input ", c.shape(0), " and filter ", c.shape(2),
            ", got ", c.shape(1));
  c.set(0, c.dtype(0), c.shape(2));
}

// --- reference kernels

// Outputs of one position lie ocpg apart in the filter only, so the innermost loop runs over them with one accumulator
// each: the order of additions of every output is that of the naive loops. Acc is half where MegEngine rounds after
// every tap.
template <class T, class Acc>
void forward_loops(const KernelArgs& a, const Geometry& g) {
  const T* src = a.in[0].data<T>();
  const T* filter = a.in[1].data<T>();
  T* dst = a.out[0].data<T>();
  a.exec.parallel_for(g.n * g.group * g.oh, 1, [&](int64_t begin, int64_t end) {
    std::vector<Acc> acc(static_cast<size_t>(g.ocpg));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / g.oh, oh = i % g.oh;  // image: (n, group)
      const T* x = src + image * g.icpg * g.ih * g.iw;
      for (int64_t ow = 0; ow < g.ow; ++ow) {
        std::fill(acc.begin(), acc.end(), Acc(0.f));
        const T* weights = filter + g.filter_at(image % g.group, oh, ow);
        for (int64_t kh = 0; kh < g.fh; ++kh) {
          const int64_t ih = g.input_row(oh, kh);
          if (ih < 0 || ih >= g.ih) continue;
          for (int64_t kw = 0; kw < g.fw; ++kw) {
            const int64_t iw = g.input_col(ow, kw);
            if (iw < 0 || iw >= g.iw) continue;
            for (int64_t ic = 0; ic < g.icpg; ++ic) {
              const float s = static_cast<float>(x[(ic * g.ih + ih) * g.iw + iw]);
              const T* w = weights + ((ic * g.fh + kh) * g.fw + kw) * g.ocpg;
              for (int64_t oc = 0; oc < g.ocpg; ++oc) {
                Acc& sum = acc[static_cast<size_t>(oc)];
                sum = Acc(static_cast<float>(sum) + s * static_cast<float>(w[oc]));
              }
            }
          }
        }
        for (int64_t oc = 0; oc < g.ocpg; ++oc)
          dst[((image * g.ocpg + oc) * g.oh + oh) * g.ow + ow] = T(static_cast<float>(acc[static_cast<size_t>(oc)]));
      }
    }
  });
}

template <Kind K>
void run_forward(const KernelArgs& a) {
  const auto g =
      make_geometry(K, a.param<typename ParamOf<K>::type>(), a.in[0].shape(), a.in[1].shape(), a.out[0].shape());
  if (a.in[0].dtype().id == DTypeEnum::Float32) {
    forward_loops<float, float>(a, g);
  } else if constexpr (K == Kind::kLocal) {
    forward_loops<half, half>(a, g);
  } else {
    forward_loops<half, float>(a, g);
  }
}

// Threads split by row of the input. A pixel collects what it gave to the outputs around it: their weights lie ocpg
// apart, so the loop over oc outside that over the outputs still reads them one after another.
template <Kind K>
void run_backward_data(const KernelArgs& a) {
  const auto g =
      make_geometry(K, a.param<typename ParamOf<K>::type>(), a.out[0].shape(), a.in[0].shape(), a.in[1].shape());
  const float* filter = a.in[0].data<float>();
  const float* diff = a.in[1].data<float>();
  float* grad = a.out[0].data<float>();
  struct Tap {
    const float *weight, *diff;  // of oc 0
  };
  a.exec.parallel_for(g.n * g.group * g.icpg * g.ih, 1, [&](int64_t begin, int64_t end) {
    std::vector<Tap> taps;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t ih = i % g.ih, ic = i / g.ih % g.icpg, image = i / g.ih / g.icpg;
      const float* d = diff + image * g.ocpg * g.oh * g.ow;
      for (int64_t iw = 0; iw < g.iw; ++iw) {
        taps.clear();
        for (int64_t oh = Geometry::first_output(ih, g.fh, g.pad_h, g.stride_h);
             oh < g.oh && oh * g.stride_h <= ih + g.pad_h; ++oh) {
          const int64_t row = ih + g.pad_h - oh * g.stride_h, kh = g.flip ? g.fh - 1 - row : row;
          for (int64_t ow = Geometry::first_output(iw, g.fw, g.pad_w, g.stride_w);
               ow < g.ow && ow * g.stride_w <= iw + g.pad_w; ++ow) {
            const int64_t col = iw + g.pad_w - ow * g.stride_w, kw = g.flip ? g.fw - 1 - col : col;
            const int64_t at = g.filter_at(image % g.group, oh, ow) + ((ic * g.fh + kh) * g.fw + kw) * g.ocpg;
            taps.push_back({filter + at, d + oh * g.ow + ow});
          }
        }
        float sum = 0;
        for (int64_t oc = 0; oc < g.ocpg; ++oc)
          for (const Tap& t : taps) sum += t.weight[oc] * t.diff[oc * g.oh * g.ow];
        grad[i * g.iw + iw] = sum;
      }
    }
  });
}

// Threads split by row of ocpg weights; each walks n, then the positions of the row's spatial group.
template <Kind K>
void run_backward_filter(const KernelArgs& a) {
  const auto g =
      make_geometry(K, a.param<typename ParamOf<K>::type>(), a.in[0].shape(), a.out[0].shape(), a.in[1].shape());
  const float* src = a.in[0].data<float>();
  const float* diff = a.in[1].data<float>();
  float* grad = a.out[0].data<float>();
  a.exec.parallel_for(g.group * g.sgh * g.sgw * g.icpg * g.fh * g.fw, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t rest = i;
      const int64_t kw = rest % g.fw;
      rest /= g.fw;
      const int64_t kh = rest % g.fh;
      rest /= g.fh;
      const int64_t ic = rest % g.icpg;
      rest /= g.icpg;
      const int64_t sw = rest % g.sgw;
      rest /= g.sgw;
      const int64_t sh = rest % g.sgh, group = rest / g.sgh;
      float* dw = grad + i * g.ocpg;
      std::fill(dw, dw + g.ocpg, 0.f);
      for (int64_t n = 0; n < g.n; ++n) {
        const float* x = src + ((n * g.group + group) * g.icpg + ic) * g.ih * g.iw;
        const float* d = diff + (n * g.group + group) * g.ocpg * g.oh * g.ow;
        for (int64_t oh = sh * g.rows; oh < (sh + 1) * g.rows; ++oh) {
          const int64_t ih = g.input_row(oh, kh);
          if (ih < 0 || ih >= g.ih) continue;
          for (int64_t ow = sw * g.cols; ow < (sw + 1) * g.cols; ++ow) {
            const int64_t iw = g.input_col(ow, kw);
            if (iw < 0 || iw >= g.iw) continue;
            const float s = x[ih * g.iw + iw];
            for (int64_t oc = 0; oc < g.ocpg; ++oc) dw[oc] += s * d[(oc * g.oh + oh) * g.ow + ow];
          }
        }
      }
    }
  });
}

// --- kernels that keep many sums at once

template <Kind K>
void vector_forward(const KernelArgs& a) {
  const auto g =
      make_geometry(K, a.param<typename ParamOf<K>::type>(), a.in[0].shape(), a.in[1].shape(), a.out[0].shape());
  if (a.in[0].dtype().id == DTypeEnum::Float32)
    local::forward(g, a.in[0].data<float>(), a.in[1], a.out[0].data<float>(), a.exec);
  else
    local::forward(g, a.in[0].data<half>(), a.in[1].data<half>(), a.out[0].data<half>(), K == Kind::kLocal, a.exec);
}

template <Kind K>
void vector_backward_data(const KernelArgs& a) {
  const auto g =
      make_geometry(K, a.param<typename ParamOf<K>::type>(), a.out[0].shape(), a.in[0].shape(), a.in[1].shape());
  local::backward_data(g, a.in[0].data<float>(), a.in[1].data<float>(), a.out[0].data<float>(), a.exec);
}

template <Kind K>
void vector_backward_filter(const KernelArgs& a) {
  const auto g =
      make_geometry(K, a.param<typename ParamOf<K>::type>(), a.in[0].shape(), a.out[0].shape(), a.in[1].shape());
  local::backward_filter(g, a.in[0].data<float>(), a.in[1].data<float>(), a.out[0].data<float>(), a.exec);
}

// --- gradients, cost

constexpr grads::ConvOps kOps[] = {
    {"Local", "LocalBackwardData", "LocalBackwardFilter"},
    {"GroupLocal", "GroupLocalBackwardData", "GroupLocalBackwardFilter"},
    {"LocalShareForward", "LocalShareBackwardData", "LocalShareBackwardFilter"},
};
template <Kind K>
std::vector<Var> grad_forward(const GradContext& c) {
  return grads::conv_forward_gradient(c, kOps[static_cast<int>(K)]);
}
template <Kind K>
std::vector<Var> grad_backward_data(const GradContext& c) {
  return grads::conv_data_gradient(c, kOps[static_cast<int>(K)]);
}
template <Kind K>
std::vector<Var> grad_backward_filter(const GradContext& c) {
  return grads::conv_filter_gradient(c, kOps[static_cast<int>(K)]);
}

// A multiplication and an addition for every tap, padding included.
double count_flops(const Shape& filter, const Shape& dst) {
  const int at = filter.ndim() - 6;
  return 2.0 * static_cast<double>(dst.count()) * static_cast<double>(filter.count(at + 2, at + 5));
}
double flops_forward(const KernelQuery& q) { return count_flops(q.in[1].shape, q.out[0].shape); }
double flops_backward_data(const KernelQuery& q) { return count_flops(q.in[0].shape, q.in[1].shape); }
double flops_backward_filter(const KernelQuery& q) { return count_flops(q.out[0].shape, q.in[1].shape); }

template <Kind K>
void add_ops(Registry& r, const char* const (&names)[3], const MgeName (&mge)[3], const char* const (&docs)[3]) {
  constexpr bool share = K == Kind::kLocalShare;
  const ParamSchema* schema = &ParamOf<K>::type::kSchema;
  r.add({.name = names[0],
         .doc = docs[0],
         .mge = mge[0],
         .params = schema,
         .policy = share,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_forward<K>,
         .kernels = {{.name = "vector", .run = vector_forward<K>}, {.name = "reference", .run = run_forward<K>}},
         .grad = grad_forward<K>,
         .grad_reads = grads::reads_other_factor,
         .flops = flops_forward,
         .exact = true});
  r.add({.name = names[1],
         .doc = docs[1],
         .mge = mge[1],
         .params = schema,
         .policy = share,
         .min_inputs = share ? 2 : 3,
         .max_inputs = 3,
         .infer = infer_backward_data<K>,
         .kernels = {{.name = "vector", .run = vector_backward_data<K>},
                     {.name = "reference", .run = run_backward_data<K>}},
         .grad = grad_backward_data<K>,
         .grad_reads = grads::reads_other_factor,
         .flops = flops_backward_data,
         .exact = true});
  r.add({.name = names[2],
         .doc = docs[2],
         .mge = mge[2],
         .params = schema,
         .policy = share,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_backward_filter<K>,
         .kernels = {{.name = "vector", .run = vector_backward_filter<K>},
                     {.name = "reference", .run = run_backward_filter<K>}},
         .grad = grad_backward_filter<K>,
         .grad_reads = grads::reads_other_factor,
         .flops = flops_backward_filter,
         .exact = true});
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_local) {
  add_ops<Kind::kLocal>(
      r, {"Local", "LocalBackwardData", "LocalBackwardFilter"},
      {{"LocalV2"}, {"LocalBackwardDataV2"}, {"LocalBackwardFilterV2"}},
      {"Convolution with a filter of its own for every output position.",
       "Gradient of Local with respect to its input.", "Gradient of Local with respect to its filter."});
  add_ops<Kind::kGroupLocal>(r, {"GroupLocal", "GroupLocalBackwardData", "GroupLocalBackwardFilter"},
                             {{"GroupLocalV2"}, {"GroupLocalBackwardDataV2"}, {"GroupLocalBackwardFilterV2"}},
                             {"Local on groups of channels.", "Gradient of GroupLocal with respect to its input.",
                              "Gradient of GroupLocal with respect to its filter."});
  add_ops<Kind::kLocalShare>(
      r, {"LocalShareForward", "LocalShareBackwardData", "LocalShareBackwardFilter"},
      {{"LocalShareForwardV1", 2}, {"LocalShareBackwardDataV1", 2}, {"LocalShareBackwardFilterV1", 2}},
      {"Convolution with a filter of its own for every block of output positions.",
       "Gradient of LocalShare with respect to its input.", "Gradient of LocalShare with respect to its filter."});
}
