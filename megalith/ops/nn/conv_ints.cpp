#include "megalith/ops/nn/conv_ints.h"

#include "megalith/kernels/gemm.h"
#include "megalith/kernels/idepthwise.h"
#include "megalith/kernels/igemm.h"
#include "megalith/kernels/scratch.h"
#include "megalith/ops/elemwise/real.h"
#include "megalith/ops/nn/conv_canonical.h"
#include "megalith/ops/nn/conv_walk.h"
#include "megalith/packed.h"
#include "megalith/plan.h"

namespace megalith::conv {
namespace {

using igemm::Finish;
using igemm::Form;

nhwc::ImageOf<std::byte> image_of(const Tensor& dense) {
  const Shape& s = dense.shape();
  const int64_t c = s[3] * s[4];
  return {dense.data<std::byte>(), s[0], s[1], s[2], c, s[1] * s[2] * c, s[2] * c, c, 1};
}

// Where results go: (N, H, W, C/b, b) of any strides, as images of blocks of channels that are evenly spaced.
template <class T>
class Target {
 public:
  Target(const Tensor& t, Store store) : data_(t.data<T>()), l_(inner_channels(t.layout(), store)) {
    if (l_.shape[3] == 1 || l_.shape[4] == 1 || l_.stride[3] == l_.shape[4] * l_.stride[4]) {
      const int64_t step = l_.shape[4] == 1 ? l_.stride[3] : l_.stride[4];
      l_.shape[4] *= l_.shape[3];
      l_.shape[3] = 1;
      l_.stride[4] = step;
    }
    dense_ = l_.contiguous();
  }
  bool dense() const { return dense_; }
  T* data() const { return data_; }
  int64_t channels() const { return l_.shape[3] * l_.shape[4]; }

  // Channels [first + j, first + j + n) of results [i, i + m).
  void put(const nhwc::Axis& h, const nhwc::Axis& w, int64_t first, int64_t i, int64_t m, int64_t j, int64_t n,
           const T* from, int64_t pitch) const {
    const int64_t block = l_.shape[4];
    for (int64_t c = first + j, end = c + n; c < end;) {
      const int64_t some = std::min(end - c, block - c % block);
      const nhwc::ImageOf<T> image{data_ + c / block * l_.stride[3],
                                   l_.shape[0],
                                   l_.shape[1],
                                   l_.shape[2],
                                   block,
                                   l_.stride[0],
                                   l_.stride[1],
                                   l_.stride[2],
                                   l_.stride[4]};
      nhwc::Results<T>(image, h, w, c % block).put(i, m, 0, some, from, pitch);
      from += some;
      c += some;
    }
  }

 private:
  T* data_;
  Layout l_;
  bool dense_ = false;
};

// Real values of n elements of a dense tensor, where they lie or in the buffer.
const float* reals(const Tensor& t, int64_t at, int64_t n, float* buffer) {
  return elemwise::load_block(t, at, n, buffer);
}

// A sum on its way into the result.
struct Epilogue {
  Finish finish;
  bool sigmoid = false;
  std::vector<float> bias;  // by channel
  Tensor add;               // dense as the result
};

// Takes sums of the channels [first, ...) of results.
template <class T>
class Finisher {
 public:
  Finisher(const Epilogue& e, const Target<T>& y, const nhwc::Axis& h, const nhwc::Axis& w)
      : e_(e),
        y_(y),
        h_(h),
        w_(w),
        direct_(y.dense() && h.to_step == 1 && w.to_step == 1 && h.to_first == 0 && w.to_first == 0) {}

  void operator()(int64_t first, int64_t i, int64_t m, int64_t j, int64_t n, const int32_t* sums, int64_t pitch) const {
    Finish f = e_.finish;
    const int64_t channels = y_.channels(), c = first + j;
    if (f.bias) f.bias += c;
    if (e_.add.defined()) {
      float* room = Scratch::get(Scratch::kImage, m * n);
      for (int64_t r = 0; r < m; ++r) {
        const float* p = reals(e_.add, (i + r) * channels + c, n, room + r * n);
        if (p != room + r * n) std::copy_n(p, n, room + r * n);
      }
      f.add = room;
      f.add_row = n;
    }
    T* to = direct_ ? y_.data() + i * channels + c : Scratch::get<T>(Scratch::kFilter, m * n);
    const int64_t to_row = direct_ ? channels : n;
    if (e_.sigmoid)
      sigmoid(f, m, n, sums, pitch, to, to_row);
    else
      igemm::finish(f, m, n, sums, pitch, reinterpret_cast<std::byte*>(to), to_row);
    if (!direct_) y_.put(h_, w_, first, i, m, j, n, to, to_row);
  }

 private:
  static void sigmoid(Finish f, int64_t m, int64_t n, const int32_t* sums, int64_t pitch, T* to, int64_t to_row) {
    const DType type = f.type;
    float* room = Scratch::get(Scratch::kGates, m * n);
    f.type = DTypeEnum::Float32;
    igemm::finish(f, m, n, sums, pitch, reinterpret_cast<std::byte*>(room), n);
    for (int64_t k = 0; k < m * n; ++k) room[k] = 1.f / (1.f + std::exp(-room[k]));
    for (int64_t r = 0; r < m; ++r) {
      if (type.id == DTypeEnum::Float32)
        std::memcpy(to + r * to_row, room + r * n, static_cast<size_t>(n) * sizeof(float));
      else
        convert::to_stored(type, room + r * n, to + r * to_row, n);
    }
  }

  const Epilogue& e_;
  const Target<T>& y_;
  const nhwc::Axis &h_, &w_;
  bool direct_;
};

// A filter in memory: (G, result channels, image channels, FH, FW).
struct Filter {
  Tensor values;
  int64_t groups, outs, ins;

  bool depthwise() const { return outs == 1 && ins == 1 && groups > 1; }
  Form form(DType image) const { return igemm::form_of(image, values.dtype()); }
  int64_t words(DType image, int64_t taps) const {
    return depthwise() ? igemm::depth_words(groups, taps) : groups * igemm::packed_words(form(image), taps * ins, outs);
  }
  // The taps of two walks in their order.
  void pack(DType image, const Walk& h, const Walk& w, int32_t* to, Exec& exec) const {
    const auto fh = static_cast<int64_t>(h.stored.size()), fw = static_cast<int64_t>(w.stored.size());
    const Tensor ordered = Tensor::empty(values.dtype(), {groups * outs, fh, fw, ins});
    const Shape& d = values.stride();
    for (int64_t a = 0; a < fh; ++a) {
      for (int64_t b = 0; b < fw; ++b) {
        const int64_t at = h.stored[static_cast<size_t>(a)] * d[3] + w.stored[static_cast<size_t>(b)] * d[4];
        copy_strided(
            values.view(Layout({groups, outs, ins}, {d[0], d[1], d[2]}), at),
            ordered.view(Layout({groups, outs, ins}, {outs * fh * fw * ins, fh * fw * ins, 1}), (a * fw + b) * ins));
      }
    }
    const int64_t k = fh * fw * ins;
    const auto* from = ordered.data<std::byte>();
    if (depthwise()) return igemm::pack_depthwise(values.dtype(), from, groups, k, to);
    const Form f = form(image);
    for (int64_t g = 0; g < groups; ++g)
      igemm::pack_b(f, values.dtype(), from + g * outs * k, k, k, outs, to + g * igemm::packed_words(f, k, outs), exec);
  }
};

template <class T>
void convolve_dense(const Tensor& x, const Filter& f, const nhwc::Axis& h, const nhwc::Axis& w, const int32_t* weights,
                    const Finisher<T>& finisher, Exec& exec) {
  const DType type = x.dtype();
  const Form form = f.form(type);
  const auto image = image_of(x);
  const auto outside = static_cast<std::byte>(type.is_asymmetric() ? type.zero_point : 0);
  for (int64_t g = 0; g < f.groups; ++g) {
    const nhwc::Patches<std::byte> patches(image, h, w, g, f.ins, outside);
    const int64_t k = patches.depth();
    const auto gather = [&](int64_t i, int64_t m, int32_t* to, int64_t pitch) {
      igemm::to_words(form, type, m, to, pitch,
                      [&](std::byte* raw, int64_t raw_pitch) { patches.gather(i, m, 0, k, raw, raw_pitch); });
    };
    const auto sink = [&](int64_t i, int64_t m, int64_t j, int64_t n, const int32_t* sums, int64_t pitch) {
      finisher(g * f.outs, i, m, j, n, sums, pitch);
    };
    igemm::Product p{.form = form, .m = patches.rows(), .n = f.outs, .k = k};
    p.packed_b = weights + g * igemm::packed_words(form, k, f.outs);
    igemm::product(p, gather, sink, exec);
  }
}

template <class T>
void convolve_depthwise(const Tensor& x, const nhwc::Axis& h, const nhwc::Axis& w, const int32_t* weights,
                        const Finisher<T>& finisher, Exec& exec) {
  using igemm::DepthTap;
  const auto image = image_of(x);
  const int64_t all = igemm::depth_channels(image.c), count = (h.taps() * w.taps() + 1) / 2 * 2;
  const std::vector<std::byte> outside(static_cast<size_t>(all),
                                       static_cast<std::byte>(x.dtype().is_asymmetric() ? x.dtype().zero_point : 0));
  const int64_t work = w.count * image.c * count;
  exec.parallel_for(image.n * h.count, std::max<int64_t>(1, 262144 / std::max<int64_t>(1, work)),
                    [&](int64_t begin, int64_t end) {
                      std::vector<DepthTap> taps(static_cast<size_t>(2 * count));
                      std::vector<std::byte> copies(static_cast<size_t>(count * all));
                      int32_t* sums = Scratch::get<int32_t>(Scratch::kSums, w.count * all);
                      for (int64_t i = begin; i < end; ++i) {
                        const std::byte* from = image.data + i / h.count * image.image;
                        const int64_t oh = i % h.count;
                        for (int64_t t = 0; t < count; ++t) {
                          DepthTap& tap = taps[static_cast<size_t>(t)];
                          tap = {outside.data(), 0, 0, w.count};
                          const int64_t a = t / w.taps(), b = t % w.taps();
                          if (a >= h.taps()) continue;
                          const int64_t ih = oh * h.step + h.offset[static_cast<size_t>(a)];
                          if (ih < 0 || ih >= image.h) continue;
                          tap.step = w.step * image.c;
                          tap.x = from + ih * image.row + w.offset[static_cast<size_t>(b)] * image.c;
                          nhwc::inside(w, b, image.w, tap.begin, tap.end);
                        }
                        igemm::depthwise({.type = x.dtype(),
                                          .taps = taps.data(),
                                          .room = taps.data() + count,
                                          .count = count,
                                          .weights = weights,
                                          .pixels = w.count,
                                          .channels = image.c,
                                          .all = all,
                                          .copies = copies.data(),
                                          .outside = outside.data(),
                                          .end = image.data + image.n * image.image,
                                          .sums = sums});
                        finisher(0, i * w.count, w.count, 0, image.c, sums, all);
                      }
                    });
}

// All walks of a convolution: one of the whole image, or of its gradient one for each phase of the strides.
struct Walks {
  std::vector<Walk> rows, cols;

  // fn(row walk, column walk, first word of their weights); returns the words of all.
  template <class Fn>
  int64_t each(const Filter& f, DType image, Fn&& fn) const {
    int64_t at = 0;
    for (const Walk& h : rows) {
      for (const Walk& w : cols) {
        fn(h, w, at);
        at += f.words(image, h.axis.taps() * w.axis.taps());
      }
    }
    return at;
  }
};

// x and y in the formats, `stored` the filter's tensor, of which `f` holds the values.
template <class T>
void convolve(const Tensor& x, const Tensor& stored, const Filter& f, const Walks& walks, uint64_t key,
              const Epilogue& e, const Tensor& y, Store out, Exec& exec) {
  const DType image = x.dtype(), weight = stored.dtype();
  for (const uint64_t part : {static_cast<uint64_t>(f.form(image)), static_cast<uint64_t>(weight.id),
                              static_cast<uint64_t>(weight.zero_point), static_cast<uint64_t>(f.groups)})
    key = mix_bits(key, part);
  const int64_t words = walks.each(f, image, [](const Walk&, const Walk&, int64_t) {});
  const std::shared_ptr<Storage> weights =
      packed(stored, key, static_cast<size_t>(words) * sizeof(int32_t), [&](std::byte* to) {
        walks.each(f, image, [&](const Walk& h, const Walk& w, int64_t at) {
          f.pack(image, h, w, reinterpret_cast<int32_t*>(to) + at, exec);
        });
      });
  const Target<T> target(y, out);
  walks.each(f, image, [&](const Walk& h, const Walk& w, int64_t at) {
    const auto* from = reinterpret_cast<const int32_t*>(weights->data()) + at;
    const Finisher<T> finisher(e, target, h.axis, w.axis);
    if (f.depthwise())
      convolve_depthwise(x, h.axis, w.axis, from, finisher, exec);
    else
      convolve_dense(x, f, h.axis, w.axis, from, finisher, exec);
  });
}

void convolve_into(const Tensor& x, const Tensor& stored, const Filter& f, const Walks& walks, uint64_t key,
                   const Epilogue& e, const Tensor& y, Store out, Exec& exec) {
  if (y.dtype().bits() == 8) return convolve<uint8_t>(x, stored, f, walks, key, e, y, out, exec);
  convolve<uint32_t>(x, stored, f, walks, key, e, y, out, exec);
}

bool given(const KernelArgs& a, size_t i) { return a.in.size() > i && a.in[i].count() > 0; }

// In NCHW it is left out, see conv.cpp.
bool looks_at_z(const param::ConvBias& p) { return p.format != Format::NCHW; }

// The scale of the sums, as the reference has it.
Finish finish_of(DType x, DType f, DType y) {
  Finish r;
  r.type = y;
  if (x.is_quantized()) r.scale = x.scale * f.scale;
  return r;
}

template <class P>
bool is_group(const P& p) {
  return p.sparse == param::ConvolutionSparse::GROUP;
}

template <class P>
uint64_t key_of(const P& p, uint64_t kind) {
  return mix_bits(mix_bits(kind, static_cast<uint64_t>(p.format)), static_cast<uint64_t>(p.mode));
}

template <class P>
void forward(const KernelArgs& a, Epilogue& e) {
  const P& p = a.param<P>();
  const Tensor &stored = a.in[1], &y = a.out[0];
  const Shape ys = image_to_canonical(y.shape(), store_of(p.format, true));
  const Tensor x = dense_image(a.in[0], store_of(p.format, false), a.exec);
  Filter f{filter_to_canonical(stored, p.format, is_group(p)), 0, 0, 0};
  const Shape& s = f.values.shape();
  f.groups = s[0], f.outs = s[1], f.ins = s[2];
  const bool flip = p.mode == param::ConvolutionMode::CONVOLUTION;
  Walks walks;
  walks.rows = {forward_walk({x.dim(1), ys[2], s[3], p.pad_h, p.stride_h, p.dilate_h, flip})};
  walks.cols = {forward_walk({x.dim(2), ys[3], s[4], p.pad_w, p.stride_w, p.dilate_w, flip})};
  e.finish.bias = e.bias.empty() ? nullptr : e.bias.data();
  convolve_into(x, stored, f, walks, key_of(p, 11), e, y, store_of(p.format, true), a.exec);
}

void run_convolution(const KernelArgs& a) {
  Epilogue e;
  e.finish = finish_of(a.in[0].dtype(), a.in[1].dtype(), a.out[0].dtype());
  forward<param::Convolution>(a, e);
}

void run_conv_bias(const KernelArgs& a) {
  const auto& p = a.param<param::ConvBias>();
  Epilogue e;
  e.finish = finish_of(a.in[0].dtype(), a.in[1].dtype(), a.out[0].dtype());
  const bool z = looks_at_z(p) && given(a, 3);
  if (given(a, 2)) {
    if (a.in[2].shape() == a.out[0].shape() && !z) {
      e.add = dense_image(a.in[2], store_of(p.format, true), a.exec);
    } else {
      const Tensor bias = dense_image(a.in[2], store_of(p.format, true), a.exec);
      e.bias.resize(static_cast<size_t>(bias.count()));
      const float* real = reals(bias, 0, bias.count(), e.bias.data());
      if (real != e.bias.data()) std::copy_n(real, bias.count(), e.bias.data());
    }
  }
  if (z) e.add = dense_image(a.in[3], store_of(p.format, true), a.exec);
  switch (p.nonlineMode) {
    case param::NonlineMode::RELU: e.finish.act = Finish::Act::kRelu; break;
    case param::NonlineMode::H_SWISH: e.finish.act = Finish::Act::kHSwish; break;
    case param::NonlineMode::SIGMOID: e.sigmoid = true; break;
    default: break;
  }
  forward<param::ConvBias>(a, e);
}

void run_backward_data(const KernelArgs& a) {
  const auto& p = a.param<param::Convolution>();
  const Tensor &stored = a.in[0], &dx = a.out[0];
  const Store store = store_of(p.format, false);
  const Shape xs = image_to_canonical(dx.shape(), store);
  const Tensor dy = dense_image(a.in[1], store, a.exec);
  const Tensor values = filter_to_canonical(stored, p.format, is_group(p));
  const Shape &s = values.shape(), &d = values.stride();
  const Filter f{values.view(Layout({s[0], s[2], s[1], s[3], s[4]}, {d[0], d[2], d[1], d[3], d[4]})), s[0], s[2], s[1]};
  const bool flip = p.mode == param::ConvolutionMode::CONVOLUTION;
  const Window vh{xs[2], dy.dim(1), s[3], p.pad_h, p.stride_h, p.dilate_h, flip};
  const Window vw{xs[3], dy.dim(2), s[4], p.pad_w, p.stride_w, p.dilate_w, flip};
  Walks walks;
  for (int64_t i = 0; i < std::min(vh.stride, vh.in); ++i) walks.rows.push_back(backward_walk(vh, i));
  for (int64_t i = 0; i < std::min(vw.stride, vw.in); ++i) walks.cols.push_back(backward_walk(vw, i));
  Epilogue e;
  e.finish = finish_of(a.in[1].dtype(), stored.dtype(), dx.dtype());
  uint64_t key = key_of(p, 12);
  for (const Window& v : {vh, vw}) {
    for (const int64_t part : {v.in, v.pad, v.stride, v.dilate}) key = mix_bits(key, static_cast<uint64_t>(part));
  }
  convolve_into(dy, stored, f, walks, key, e, dx, store, a.exec);
}

// Filters whose packed form takes much more memory than they do, and those with very many taps, are left to the
// reference.
template <class P>
bool packs(const P& p, const Shape& filter, bool from_results) {
  const Shape f = filter_to_canonical(nullptr, filter, p.format, is_group(p));
  const int64_t taps = f[3] * f[4], ins = from_results ? f[1] : f[2], outs = from_results ? f[2] : f[1];
  return taps <= 65536 && ((ins == 1 && outs == 1) || gemm::packs_tightly(f[0], taps * ins, outs));
}

bool all_small(const KernelQuery& q) {
  return igemm::is_small(q.in[0].dtype) && igemm::is_small(q.in[1].dtype) && igemm::finishes(q.out[0].dtype);
}

// Whether results may lie channels-last (op.h) instead of row-major.
bool ordered(Format f) { return store_of(f, true) == Store::kByRank; }

template <class P, bool kOrdered>
bool accepts(const KernelQuery& q) {
  const P& p = q.attrs.param<P>();
  return all_small(q) && ordered(p.format) == kOrdered && packs(p, q.in[1].shape, false);
}

template <bool kOrdered>
bool accepts_backward_data(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::Convolution>();
  return all_small(q) && ordered(p.format) == kOrdered && packs(p, q.in[0].shape, true) &&
         int64_t{p.stride_h} * p.stride_w <= 64;  // a phase each
}

template <bool kOrdered>
bool accepts_bias(const KernelQuery& q) {
  using Mode = param::NonlineMode;
  if (!accepts<param::ConvBias, kOrdered>(q)) return false;
  const auto& p = q.attrs.param<param::ConvBias>();
  const auto there = [&](size_t i) { return q.in.size() > i && q.in[i].shape.count() > 0; };
  const auto real = [&](size_t i) { return !there(i) || elemwise::is_real(q.in[i].dtype); };
  const bool z = looks_at_z(p) && there(3);
  if (p.nonlineMode > Mode::H_SWISH || !real(2) || (z && !real(3))) return false;
  // Sums themselves are the result only where nothing happens to them.
  const DType y = q.out[0].dtype;
  const bool plain = !there(2) && !z && p.nonlineMode == Mode::IDENTITY;
  if (!plain && y.bits() == 32 && !y.is_float()) return false;
  if (!there(2)) return true;
  const Shape bias = image_to_canonical(q.in[2].shape, store_of(p.format, true));
  const Shape ys = image_to_canonical(q.out[0].shape, store_of(p.format, true));
  return (bias.count() == ys[1] && bias[1] == ys[1]) || (bias == ys && !z);
}

std::vector<Kernel> kernels(void (*run)(const KernelArgs&), bool (*last)(const KernelQuery&),
                            bool (*other)(const KernelQuery&)) {
  return {{.name = "int8_tiles", .run = run, .accepts = last, .strided = true, .order = Order::kChannelsLast},
          {.name = "int8_tiles", .run = run, .accepts = other, .strided = true}};
}

}  // namespace

std::vector<Kernel> int_convolution() {
  using P = param::Convolution;
  return kernels(run_convolution, accepts<P, true>, accepts<P, false>);
}
std::vector<Kernel> int_conv_bias() { return kernels(run_conv_bias, accepts_bias<true>, accepts_bias<false>); }
std::vector<Kernel> int_backward_data() {
  return kernels(run_backward_data, accepts_backward_data<true>, accepts_backward_data<false>);
}

}  // namespace megalith::conv
