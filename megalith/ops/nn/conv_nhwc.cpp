#include "megalith/ops/nn/conv_nhwc.h"

#include <optional>

#include "megalith/kernels/nhwc.h"
#include "megalith/kernels/planes.h"
#include "megalith/kernels/rows.h"
#include "megalith/kernels/winograd.h"
#include "megalith/ops/nn/conv_canonical.h"
#include "megalith/ops/nn/conv_walk.h"
#include "megalith/packed.h"
#include "megalith/plan.h"

namespace megalith::conv {
namespace {

using nhwc::Filter;
using nhwc::Image;

template <class P>
bool is_nhwc(const P& p) {
  return p.format == Format::NHWC;
}

// (N, C, H, W) of a layout in either format.
Layout nchw(const Layout& l, bool nhwc) {
  const Shape &s = l.shape, &d = l.stride;
  return nhwc ? Layout({s[0], s[3], s[1], s[2]}, {d[0], d[3], d[1], d[2]}) : l;
}

Image image_of(const Tensor& t, bool nhwc) {
  const Layout l = nchw(t.layout(), nhwc);
  const Shape &s = l.shape, &d = l.stride;
  Image i{t.data<float>(), s[0], s[2], s[3], s[1], d[0], d[2], d[3], d[1]};
  // Axes of one element may have any stride.
  if (is_channels_last(l) || (l.contiguous() && (s[1] == 1 || s[2] * s[3] == 1)) || (nhwc && t.contiguous())) {
    const Shape dense = channels_last(s).stride;
    i.image = dense[0], i.channel = dense[1], i.row = dense[2], i.pixel = dense[3];
  }
  return i;
}

// The image with its channels innermost, copied where it lies otherwise and `also` does not take it as it is.
class Dense {
 public:
  Dense(
      const Tensor& t, bool nhwc, Exec& exec, FunctionRef<bool(const Image&)> also = [](const Image&) { return false; })
      : tensor_(t), image_(image_of(t, nhwc)) {
    if (image_.dense() || also(image_)) return;
    tensor_ = Tensor::empty(t.dtype(), nhwc ? Layout(t.shape()) : channels_last(t.shape()));
    copy_strided(t, tensor_, exec);
    image_ = image_of(tensor_, nhwc);
  }
  const Image& image() const { return image_; }

 private:
  Tensor tensor_;  // keeps the memory alive
  Image image_;
};

// Which axes of a filter hold what.
template <class P>
struct FilterAxes {
  explicit FilterAxes(const P& p)
      : group(!kTrimmed && p.sparse == param::ConvolutionSparse::GROUP ? 1 : 0),
        in(is_nhwc(p) ? group + 3 : group + 1),
        row(is_nhwc(p) ? group + 1 : group + 2) {}
  int group;  // 1: axis 0 counts groups
  int in, row, out = group, col = row + 1;
};

template <class P>
Filter filter_of(const P& p, const Tensor& t) {
  const FilterAxes<P> x(p);
  const Shape& d = t.stride();
  return {t.data<float>(),
          x.group ? t.dim(0) : 1,
          t.dim(x.in),
          t.dim(x.out),
          x.group ? d[0] : 0,
          d[x.in],
          d[x.out],
          d[x.row],
          d[x.col]};
}

template <class P>
void windows(const P& p, const Tensor& filter, const Layout& x, const Layout& y, Window& h, Window& w) {
  const int row = FilterAxes<P>(p).row;
  const bool flip = p.mode == param::ConvolutionMode::CONVOLUTION;
  h = {x.shape[2], y.shape[2], filter.dim(row), p.pad_h, p.stride_h, p.dilate_h, flip};
  w = {x.shape[3], y.shape[3], filter.dim(row + 1), p.pad_w, p.stride_w, p.dilate_w, flip};
}

const float* floats(const std::shared_ptr<Storage>& s) { return reinterpret_cast<const float*>(s->data()); }

uint64_t key_of(uint64_t kind, std::initializer_list<Window> windows) {
  for (const Window& v : windows) {
    for (int64_t x : {v.in, v.pad, v.stride, v.dilate, int64_t{v.flip}})
      kind = mix_bits(kind, static_cast<uint64_t>(x));
  }
  return kind;
}

enum class Way : uint8_t { kTiles, kPlanes, kWinograd };

// y = epilogue(x * filter) in planes.
void in_planes(const Tensor& x, const Walk& h, const Walk& w, const Tensor& filter, const Filter& f, uint64_t key,
               const Tensor& y, const gemm::Epilogue& epilogue, Exec& exec) {
  const int64_t size = planes::packed_floats(f, h.axis.taps(), w.axis.taps());
  const std::shared_ptr<Storage> weights =
      packed(filter, key, static_cast<size_t>(size) * sizeof(float),
             [&](std::byte* to) { planes::pack(f, h.stored, w.stored, reinterpret_cast<float*>(to)); });
  planes::convolve(image_of(x, false), h.axis, w.axis, f, floats(weights), image_of(y, false), epilogue, exec);
}

// The same by Winograd's way.
void in_points(const Tensor& x, const Walk& h, const Walk& w, const Tensor& filter, const Filter& f, uint64_t key,
               const Tensor& y, const gemm::Epilogue& epilogue, Exec& exec) {
  const std::shared_ptr<Storage> weights =
      packed(filter, key, static_cast<size_t>(winograd::packed_floats(f)) * sizeof(float),
             [&](std::byte* to) { winograd::pack(f, h.stored, w.stored, reinterpret_cast<float*>(to), exec); });
  const Dense from(x, false, exec);
  winograd::convolve(from.image(), h.axis, w.axis, f, floats(weights), image_of(y, false), epilogue, exec);
}

template <class P, Way kWay>
void forward(const KernelArgs& a, const gemm::Epilogue& epilogue) {
  const P& p = a.param<P>();
  const bool nhwc = is_nhwc(p);
  const Tensor& filter = a.in[1];
  const Filter f = filter_of(p, filter);
  Window vh, vw;
  windows(p, filter, nchw(a.in[0].layout(), nhwc), nchw(a.out[0].layout(), nhwc), vh, vw);
  const Walk h = forward_walk(vh), w = forward_walk(vw);
  if (kWay == Way::kPlanes) return in_planes(a.in[0], h, w, filter, f, vh.flip ? 5 : 4, a.out[0], epilogue, a.exec);
  if (kWay == Way::kWinograd) return in_points(a.in[0], h, w, filter, f, vh.flip ? 8 : 7, a.out[0], epilogue, a.exec);
  const int64_t size = nhwc::packed_floats(f, vh.taps, vw.taps);
  const std::shared_ptr<Storage> weights = packed(
      filter, mix_bits(vh.flip ? 2 : 1, static_cast<uint64_t>(f.groups)), static_cast<size_t>(size) * sizeof(float),
      [&](std::byte* to) { nhwc::pack(f, h.stored, w.stored, reinterpret_cast<float*>(to), a.exec); });
  const Dense x(a.in[0], nhwc, a.exec, [&](const Image& i) { return nhwc::reads_planes(i, h.axis, w.axis, f); });
  nhwc::convolve(x.image(), h.axis, w.axis, f, floats(weights), image_of(a.out[0], nhwc), epilogue, a.exec);
}

template <Way kWay>
void run_convolution(const KernelArgs& a) {
  forward<param::Convolution, kWay>(a, {});
}

// Of a bias: one value for each channel.
bool per_channel(const Shape& s, bool nhwc) { return s.count() == s[nhwc ? 3 : 1]; }

// The epilogue's activation behind a bias.
template <Way kWay>
void biased(const KernelArgs& a, gemm::Epilogue e) {
  Tensor bias;
  std::optional<Dense> added;
  if (a.in.size() > 2 && a.in[2].count() > 0) {
    if (a.in[2].shape() == a.out[0].shape() && !per_channel(a.in[2].shape(), is_nhwc(a.param<param::ConvBias>()))) {
      added.emplace(a.in[2], is_nhwc(a.param<param::ConvBias>()), a.exec);
      e.add = added->image().data;
      e.add_stride = added->image().c;
    } else {
      bias = a.in[2].to_contiguous();
      e.bias = bias.data<float>();
    }
  }
  forward<param::ConvBias, kWay>(a, e);
}

template <Way kWay>
void run_relu6(const KernelArgs& a) {
  biased<kWay>(a, {.act = gemm::Activation::kClamp, .low = 0, .high = 6});
}

template <Way kWay>
void run_conv_bias(const KernelArgs& a) {
  gemm::Epilogue e;
  switch (a.param<param::ConvBias>().nonlineMode) {
    case param::NonlineMode::RELU: e.act = gemm::Activation::kRelu; break;
    case param::NonlineMode::H_SWISH: e.act = gemm::Activation::kHSwish; break;
    default: break;
  }
  biased<kWay>(a, e);
  if (a.param<param::ConvBias>().nonlineMode != param::NonlineMode::SIGMOID) return;
  // The result is dense, in whatever order.
  const rows::Fn sigmoid = rows::find(param::ElemwiseMode::SIGMOID);
  float* const y = a.out[0].data<float>();
  a.exec.parallel_for(a.out[0].count(), 4096, [&](int64_t begin, int64_t end) {
    const float* in = y + begin;
    const int64_t step = 1;
    sigmoid(&in, &step, y + begin, end - begin);
  });
}

template <Way kWay>
void run_backward_data(const KernelArgs& a) {
  const auto& p = a.param<param::Convolution>();
  const bool nhwc = is_nhwc(p);
  const Tensor& filter = a.in[0];
  Filter f = filter_of(p, filter);
  std::swap(f.ins, f.outs);
  std::swap(f.in, f.out);
  Window vh, vw;
  windows(p, filter, nchw(a.out[0].layout(), nhwc), nchw(a.in[1].layout(), nhwc), vh, vw);
  if (kWay != Way::kTiles) {
    return (kWay == Way::kPlanes ? in_planes : in_points)(a.in[1], backward_walk(vh, 0), backward_walk(vw, 0), filter,
                                                          f, key_of(kWay == Way::kPlanes ? 6 : 9, {vh, vw}), a.out[0],
                                                          {}, a.exec);
  }
  std::vector<Walk> rows, cols;
  for (int64_t i = 0; i < std::min(vh.stride, vh.in); ++i) rows.push_back(backward_walk(vh, i));
  for (int64_t i = 0; i < std::min(vw.stride, vw.in); ++i) cols.push_back(backward_walk(vw, i));
  const auto each = [&](auto&& fn) {  // fn(row walk, column walk, first float of their weights); returns all floats
    int64_t at = 0;
    for (const Walk& h : rows) {
      for (const Walk& w : cols) {
        fn(h, w, at);
        at += nhwc::packed_floats(f, h.axis.taps(), w.axis.taps());
      }
    }
    return at;
  };
  const int64_t size = each([](const Walk&, const Walk&, int64_t) {});
  const std::shared_ptr<Storage> weights =
      packed(filter, mix_bits(key_of(3, {vh, vw}), static_cast<uint64_t>(f.groups)),
             static_cast<size_t>(size) * sizeof(float), [&](std::byte* to) {
               each([&](const Walk& h, const Walk& w, int64_t at) {
                 nhwc::pack(f, h.stored, w.stored, reinterpret_cast<float*>(to) + at, a.exec);
               });
             });
  const Dense dy(a.in[1], nhwc, a.exec);
  const Image dx = image_of(a.out[0], nhwc);
  each([&](const Walk& h, const Walk& w, int64_t at) {
    nhwc::convolve(dy.image(), h.axis, w.axis, f, floats(weights) + at, dx, {}, a.exec);
  });
}

template <Way kWay>
void run_backward_filter(const KernelArgs& a) {
  const auto& p = a.param<param::Convolution>();
  const bool nhwc = is_nhwc(p);
  const Filter f = filter_of(p, a.out[0]);
  Window vh, vw;
  windows(p, a.out[0], nchw(a.in[0].layout(), nhwc), nchw(a.in[1].layout(), nhwc), vh, vw);
  const Walk h = forward_walk(vh), w = forward_walk(vw);
  if (kWay == Way::kPlanes) {
    Tensor diff = a.in[1];
    if (diff.stride()[3] != 1 && diff.dim(3) > 1) {
      diff = Tensor::empty(diff.dtype(), diff.shape());
      copy_strided(a.in[1], diff, a.exec);
    }
    return planes::filter_gradient(image_of(a.in[0], false), image_of(diff, false), h.axis, w.axis, h.stored, w.stored,
                                   f, a.exec);
  }
  const Dense x(a.in[0], nhwc, a.exec), dy(a.in[1], nhwc, a.exec);
  if (kWay == Way::kWinograd) {
    return winograd::filter_gradient(x.image(), dy.image(), h.axis, w.axis, h.stored, w.stored, f, a.exec);
  }
  nhwc::filter_gradient(x.image(), dy.image(), h.axis, w.axis, h.stored, w.stored, f, a.exec);
}

bool all_floats(const KernelQuery& q) {
  const auto is = [](const TensorSpec& s) { return s.dtype.id == DTypeEnum::Float32; };
  return std::all_of(q.in.begin(), q.in.end(), is) && is(q.out[0]);
}

// Filters whose packed form takes much more memory than they do, and those with very many taps, are left to the
// reference.
template <class P>
bool packs(const P& p, const Shape& filter, bool from_results) {
  const FilterAxes<P> x(p);
  const int64_t taps = filter[x.row] * filter[x.col], groups = x.group ? filter[0] : 1;
  const int64_t ins = filter[from_results ? x.out : x.in], outs = filter[from_results ? x.in : x.out];
  return taps <= 65536 && ((ins == 1 && outs == 1) || gemm::packs_tightly(groups, taps * ins, outs));
}

template <class P, bool kNhwc>
bool accepts(const KernelQuery& q) {
  const P& p = q.attrs.param<P>();
  return all_floats(q) && p.format == (kNhwc ? Format::NHWC : Format::NCHW) && packs(p, q.in[1].shape, false);
}
template <bool kNhwc>
bool accepts_backward_data(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::Convolution>();
  return all_floats(q) && p.format == (kNhwc ? Format::NHWC : Format::NCHW) && packs(p, q.in[0].shape, true) &&
         int64_t{p.stride_h} * p.stride_w <= 64;  // a phase each
}
template <bool kNhwc>
bool accepts_backward_filter(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::Convolution>();
  return all_floats(q) && p.format == (kNhwc ? Format::NHWC : Format::NCHW) && packs(p, q.out[0].shape, false);
}

// Few channels of ordinary windows (kernels/planes.h); what they see of an image is copied.
template <class P>
bool suits_planes(const KernelQuery& q, const Shape& filter, const Shape& from, const Shape& to, bool backward) {
  const P& p = q.attrs.param<P>();
  if (!all_floats(q) || p.format != Format::NCHW || p.sparse != param::ConvolutionSparse::DENSE) return false;
  const int64_t rows = (filter[2] - 1) * p.dilate_h + 1, columns = (filter[3] - 1) * p.dilate_w + 1;
  const int64_t step = backward ? 1 : p.stride_w, height = p.stride_h + rows, width = to[3] * step + columns;
  return planes::suits(filter[backward ? 0 : 1], filter[backward ? 1 : 0], filter[2] * filter[3], to[3], step) &&
         height <= 64 && width <= 65536 && height * width * from[1] <= 1 << 22;
}
template <class P>
bool accepts_planes(const KernelQuery& q) {
  return suits_planes<P>(q, q.in[1].shape, q.in[0].shape, q.out[0].shape, false);
}
bool accepts_filter_planes(const KernelQuery& q) {
  return suits_planes<param::Convolution>(q, q.out[0].shape, q.in[0].shape, q.in[1].shape, false);
}
bool accepts_backward_planes(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::Convolution>();
  return p.stride_h == 1 && p.stride_w == 1 &&
         suits_planes<param::Convolution>(q, q.in[0].shape, q.in[1].shape, q.out[0].shape, true);
}

// Windows of 3 x 3 for which kernels/winograd.h pays.
template <class P>
bool suits_winograd(const KernelQuery& q, const Shape& filter, const Shape& to, bool backward) {
  const P& p = q.attrs.param<P>();
  return all_floats(q) && p.format == Format::NCHW && p.sparse == param::ConvolutionSparse::DENSE && filter[2] == 3 &&
         filter[3] == 3 && p.stride_h == 1 && p.stride_w == 1 && p.dilate_h == 1 && p.dilate_w == 1 &&
         winograd::suits(filter[backward ? 0 : 1], filter[backward ? 1 : 0], to[2], to[3]);
}
template <class P>
bool accepts_winograd(const KernelQuery& q) {
  constexpr int64_t kMost = 16;  // channels: longer sums of large values would miss what other engines get by 1e-5
  return q.in[1].shape[1] <= kMost && suits_winograd<P>(q, q.in[1].shape, q.out[0].shape, false);
}
bool accepts_backward_winograd(const KernelQuery& q) {
  return suits_winograd<param::Convolution>(q, q.in[0].shape, q.out[0].shape, true);
}
bool accepts_filter_winograd(const KernelQuery& q) {
  return suits_winograd<param::Convolution>(q, q.out[0].shape, q.in[1].shape, false);
}

template <bool kNhwc>
bool accepts_bias(const KernelQuery& q) {
  using Mode = param::NonlineMode;
  if (!accepts<param::ConvBias, kNhwc>(q)) return false;
  const Mode mode = q.attrs.param<param::ConvBias>().nonlineMode;
  if (mode != Mode::IDENTITY && mode != Mode::RELU && mode != Mode::H_SWISH && mode != Mode::SIGMOID) return false;
  if (q.in.size() > 3 && q.in[3].shape.count() > 0 && kNhwc) return false;  // in NCHW it is left out, see conv.cpp
  if (q.in.size() < 3 || q.in[2].shape.count() == 0) return true;
  const Shape &bias = q.in[2].shape, &y = q.out[0].shape;
  const bool dense = q.attrs.param<param::ConvBias>().sparse == param::ConvolutionSparse::DENSE;
  return (per_channel(bias, kNhwc) && bias[kNhwc ? 3 : 1] == y[kNhwc ? 3 : 1]) || (bias == y && dense);
}

template <bool (*kAccepts)(const KernelQuery&)>
bool accepts_bias_of_channels(const KernelQuery& q) {
  if (!kAccepts(q) || !accepts_bias<false>(q)) return false;
  return q.in.size() < 3 || q.in[2].shape.count() == 0 || per_channel(q.in[2].shape, false);
}

// Floats of 16 bits that are summed as floats; those whose z counts (conv.cpp) are left to the reference.
template <class P, bool (*kAccepts)(const KernelQuery&)>
bool accepts_wide(const KernelQuery& q) {
  const bool steps =
      q.in[0].dtype.id == DTypeEnum::Float16 && q.attrs.param<P>().compute_mode == param::ComputeMode::DEFAULT;
  return !steps && !(q.in.size() > 3 && q.in[3].shape.count() > 0) && accepts_as_floats(q, kAccepts);
}
template <void (*kRun)(const KernelArgs&)>
void run_wide(const KernelArgs& a) {
  run_as_floats(a, kRun);
}

std::vector<Kernel> with_wide(std::vector<Kernel> k, void (*run)(const KernelArgs&), bool (*nchw)(const KernelQuery&),
                              bool (*nhwc)(const KernelQuery&)) {
  if (kTrimmed) return k;
  k.push_back({.name = "nhwc_as_floats", .run = run, .accepts = nchw, .strided = true, .order = Order::kChannelsLast});
  k.push_back({.name = "nhwc_as_floats", .run = run, .accepts = nhwc, .strided = true});
  return k;
}

// One kernel for each format: only NCHW tensors have another order to lie in.
std::vector<Kernel> kernels(void (*run)(const KernelArgs&), bool (*nchw)(const KernelQuery&),
                            bool (*nhwc)(const KernelQuery&), Order order) {
  return {{.name = "nhwc_tiles", .run = run, .accepts = nchw, .strided = true, .order = order},
          {.name = "nhwc_tiles", .run = run, .accepts = nhwc, .strided = true}};
}

// In front of `others`.
std::vector<Kernel> with_planes(void (*planes)(const KernelArgs&), bool (*accepts_planes)(const KernelQuery&),
                                void (*winograd)(const KernelArgs&), bool (*accepts_winograd)(const KernelQuery&),
                                std::vector<Kernel> others) {
  const Order order = others.front().order;
  others.insert(
      others.begin(),
      {{.name = "planes", .run = planes, .accepts = accepts_planes, .strided = true},
       unless_trimmed(
           Kernel{.name = "winograd", .run = winograd, .accepts = accepts_winograd, .strided = true, .order = order})});
  return others;
}

}  // namespace

std::vector<Kernel> nhwc_convolution() {
  using P = param::Convolution;
  constexpr auto run = run_convolution<Way::kTiles>;
  return with_planes(run_convolution<Way::kPlanes>, accepts_planes<P>, run_convolution<Way::kWinograd>,
                     accepts_winograd<P>,
                     with_wide(kernels(run, accepts<P, false>, accepts<P, true>, Order::kChannelsLast), run_wide<run>,
                               accepts_wide<P, accepts<P, false>>, accepts_wide<P, accepts<P, true>>));
}
std::vector<Kernel> nhwc_conv_bias() {
  using P = param::ConvBias;
  constexpr auto run = run_conv_bias<Way::kTiles>;
  return with_planes(
      run_conv_bias<Way::kPlanes>, accepts_bias_of_channels<accepts_planes<P>>, run_conv_bias<Way::kWinograd>,
      accepts_bias_of_channels<accepts_winograd<P>>,
      with_wide(kernels(run, accepts_bias<false>, accepts_bias<true>, Order::kChannelsLast), run_wide<run>,
                accepts_wide<P, accepts_bias<false>>, accepts_wide<P, accepts_bias<true>>));
}
std::vector<Kernel> nhwc_conv_bias_relu6() {
  using P = param::ConvBias;
  return with_planes(run_relu6<Way::kPlanes>, accepts_bias_of_channels<accepts_planes<P>>, run_relu6<Way::kWinograd>,
                     accepts_bias_of_channels<accepts_winograd<P>>,
                     kernels(run_relu6<Way::kTiles>, accepts_bias<false>, accepts_bias<true>, Order::kChannelsLast));
}
std::vector<Kernel> nhwc_backward_data() {
  return with_planes(run_backward_data<Way::kPlanes>, accepts_backward_planes, run_backward_data<Way::kWinograd>,
                     accepts_backward_winograd,
                     kernels(run_backward_data<Way::kTiles>, accepts_backward_data<false>, accepts_backward_data<true>,
                             Order::kChannelsLast));
}
std::vector<Kernel> nhwc_backward_filter() {
  return with_planes(run_backward_filter<Way::kPlanes>, accepts_filter_planes, run_backward_filter<Way::kWinograd>,
                     accepts_filter_winograd,
                     kernels(run_backward_filter<Way::kTiles>, accepts_backward_filter<false>,
                             accepts_backward_filter<true>, Order::kRowMajor));
}

}  // namespace megalith::conv
