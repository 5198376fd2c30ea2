// Pooling of regions of interest from bilinear samples on a regular grid.
#include "megalith/kernels/copy.h"
#include "megalith/kernels/vision.h"
#include "megalith/ops/grad_util.h"
#include "megalith/ops/vision/image.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using P = param::ROIAlign;
constexpr bool is_max(const P& p) { return p.mode == param::ROIAlignMode::MAX; }

void check_rois(const InferContext& c, int src, int rois) {
  const P& p = c.param<P>();
  c.require(p.format == param::ConvolutionFormat::NCHW, "only format NCHW is supported");
  c.require(p.pooled_height > 0 && p.pooled_width > 0 && p.sample_height > 0 && p.sample_width > 0,
            "pooled and sample sizes must be positive, got ", p.pooled_height, "x", p.pooled_width, " and ",
            p.sample_height, "x", p.sample_width);
  c.require(p.sample_height <= 4096 && p.sample_width <= 4096, "too many samples: ", p.sample_height, "x",
            p.sample_width);
  c.require(c.dtype(src).is_float() && c.dtype(src) == c.dtype(rois),
            "image and rois must have one floating type, got ", c.dtype(src).name(), " and ", c.dtype(rois).name());
  c.require(c.shape(src).ndim() == 4, "the image must have 4 dimensions, got ", c.shape(src));
  c.require(c.shape(rois).ndim() == 2 && c.shape(rois)[1] == 5, "rois must have the shape (n, 5), got ", c.shape(rois));
}

Shape pooled_shape(const InferContext& c, int src, int rois) {
  const P& p = c.param<P>();
  return {c.shape(rois)[0], c.shape(src)[1], p.pooled_height, p.pooled_width};
}

void infer_roi_align(InferContext& c) {
  check_rois(c, 0, 1);
  const Shape out = pooled_shape(c, 0, 1);
  c.set(0, c.dtype(0), out);
  c.set(1, DTypeEnum::Int32, out);
}

// inputs: diff, src, rois, index
void infer_roi_align_backward(InferContext& c) {
  check_rois(c, 1, 2);
  const Shape out = pooled_shape(c, 1, 2);
  c.require(c.dtype(0) == c.dtype(1) && c.shape(0) == out, "the gradient must be like ", out, ", got ", c.shape(0));
  c.require(c.dtype(3).id == DTypeEnum::Int32 && c.shape(3) == out, "the index must be Int32 ", out, ", got ",
            c.dtype(3).name(), " ", c.shape(3));
  c.set(0, c.dtype(1), c.shape(1));
}

// One region on its feature map.
struct Region {
  int64_t batch;
  float start_h, start_w, bin_h, bin_w, rate_h, rate_w;

  float center_h(int64_t ph, int64_t i) const {
    return start_h + bin_h * (static_cast<float>(ph) + rate_h * (static_cast<float>(i) + 0.5f));
  }
  float center_w(int64_t pw, int64_t i) const {
    return start_w + bin_w * (static_cast<float>(pw) + rate_w * (static_cast<float>(i) + 0.5f));
  }
};

template <class T>
Region region(const T* roi, const P& p, int64_t batches) {
  const float start_w = roi[1] * p.spatial_scale - p.offset, start_h = roi[2] * p.spatial_scale - p.offset;
  const float end_w = roi[3] * p.spatial_scale - p.offset, end_h = roi[4] * p.spatial_scale - p.offset;
  const int64_t batch = vision::to_index(roi[0]);
  if (batch < 0 || batch >= batches)
    throw OpError(cat("ROIAlign: a region names image ", static_cast<float>(roi[0]), " of ", batches));
  return {batch,
          start_h,
          start_w,
          std::max(end_h - start_h, 0.f) / static_cast<float>(p.pooled_height),
          std::max(end_w - start_w, 0.f) / static_cast<float>(p.pooled_width),
          1.0f / static_cast<float>(p.sample_height),
          1.0f / static_cast<float>(p.sample_width)};
}

template <class T>
T sample(const T* map, float h, float w, int64_t height, int64_t width) {
  const float fh = std::floor(h), fw = std::floor(w);
  const int64_t h0 = vision::to_index(fh), w0 = vision::to_index(fw);
  auto at = [&](int64_t y, int64_t x) {
    return y >= 0 && y < height && x >= 0 && x < width ? map[y * width + x] : T(0.f);
  };
  const T aw(w - fw), ah(h - fh);
  const T tl = at(h0, w0), tr = at(h0, w0 + 1), bl = at(h0 + 1, w0), br = at(h0 + 1, w0 + 1);
  const T top(tl + (tr - tl) * aw), bottom(bl + (br - bl) * aw);
  return T(top + (bottom - top) * ah);
}

template <class T>
void roi_align(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Tensor& src = a.in[0];
  const int64_t channels = src.dim(1), height = src.dim(2), width = src.dim(3);
  const int64_t oh = p.pooled_height, ow = p.pooled_width;
  const int64_t count = int64_t{p.sample_height} * p.sample_width;
  a.exec.parallel_for(a.in[1].dim(0) * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t nc = begin; nc < end; ++nc) {
      const Region g = region(a.in[1].data<const T>() + nc / channels * 5, p, src.dim(0));
      const T* map = src.data<const T>() + (g.batch * channels + nc % channels) * height * width;
      for (int64_t o = 0; o < oh * ow; ++o) {
        T sum(0.f), best(std::is_same_v<T, half> ? -65504.f : std::numeric_limits<float>::lowest());
        int32_t best_at = -1, at = 0;
        for (int64_t i = 0; i < p.sample_height; ++i) {
          for (int64_t j = 0; j < p.sample_width; ++j, ++at) {
            const T v = sample(map, g.center_h(o / ow, i), g.center_w(o % ow, j), height, width);
            sum = T(sum + v);
            if (v > best) best = v, best_at = at;
          }
        }
        const int64_t to = nc * oh * ow + o;
        a.out[0].data<T>()[to] = is_max(p) ? best : T(sum / T(static_cast<float>(count)));
        a.out[1].data<int32_t>()[to] = is_max(p) ? best_at : 0;
      }
    }
  });
}

// Of Float32 with channels side by side: where samples lie is found once for all of them.
vision::Sample sample_at(float h, float w, const Tensor& map) {
  const float fh = std::floor(h), fw = std::floor(w);
  const int64_t h0 = vision::to_index(fh), w0 = vision::to_index(fw);
  vision::Sample s{{}, h - fh, w - fw};
  for (int i = 0; i < 4; ++i) {
    const int64_t y = h0 + i / 2, x = w0 + i % 2;
    s.at[i] = y >= 0 && y < map.dim(2) && x >= 0 && x < map.dim(3) ? y * map.stride()[2] + x * map.stride()[3] : -1;
  }
  return s;
}

void roi_align_tables(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Tensor rois = a.in[1].to_contiguous();
  Tensor src = a.in[0];
  const int64_t channels = src.dim(1);
  if (src.stride()[1] != 1 && channels > 1 && rois.count() > 0) {
    const int64_t h = src.dim(2), w = src.dim(3);
    src = Tensor::empty(DTypeEnum::Float32, {src.dim(0), h, w, channels})
              .view(Layout(src.shape(), {h * w * channels, 1, w * channels, channels}));
    copy_strided(a.in[0], src, a.exec);
  }
  const int64_t bins = int64_t{p.pooled_height} * p.pooled_width, count = int64_t{p.sample_height} * p.sample_width;
  constexpr int64_t kChannels = 64;
  const int64_t chunks = (channels + kChannels - 1) / kChannels;
  a.exec.parallel_for(rois.dim(0) * chunks, 1, [&](int64_t begin, int64_t end) {
    std::vector<vision::Sample> samples(static_cast<size_t>(bins * count));
    std::vector<float> values(static_cast<size_t>(bins * kChannels));
    std::vector<int32_t> which(values.size(), 0);
    int64_t region_of_samples = -1;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / chunks, first = task % chunks * kChannels, some = std::min(kChannels, channels - first);
      const Region g = region(rois.data<const float>() + n * 5, p, src.dim(0));
      if (n != region_of_samples) {
        vision::Sample* to = samples.data();
        for (int64_t o = 0; o < bins; ++o) {
          for (int64_t i = 0; i < p.sample_height; ++i)
            for (int64_t j = 0; j < p.sample_width; ++j)
              *to++ = sample_at(g.center_h(o / p.pooled_width, i), g.center_w(o % p.pooled_width, j), src);
        }
        region_of_samples = n;
      }
      vision::pool_samples(src.data<float>() + g.batch * src.stride()[0] + first, some, samples.data(), bins, count,
                           is_max(p), values.data(), which.data());
      const auto put = [&](const void* from, const Tensor& to) {
        copying::transpose(static_cast<const std::byte*>(from), some,
                           to.data<std::byte>() + (n * channels + first) * bins * 4, bins, some, bins, 4);
      };
      put(values.data(), a.out[0]);
      put(which.data(), a.out[1]);
    }
  });
}

bool roi_align_tables_accept(const KernelQuery& q) {
  const P& p = q.attrs.param<P>();
  return q.in[0].dtype.id == DTypeEnum::Float32 &&
         int64_t{p.pooled_height} * p.pooled_width * p.sample_height * p.sample_width < 1 << 16;
}

template <class T>
void distribute(T* map, T diff, float h, float w, int64_t height, int64_t width) {
  const float fh = std::floor(h), fw = std::floor(w);
  const int64_t h0 = vision::to_index(fh), w0 = vision::to_index(fw);
  for (int64_t y = h0; y <= h0 + 1; ++y) {
    for (int64_t x = w0; x <= w0 + 1; ++x) {
      if (y < 0 || y >= height || x < 0 || x >= width) continue;
      const T weight((y == h0 ? static_cast<float>(h0 + 1) - h : h - fh) *
                     (x == w0 ? static_cast<float>(w0 + 1) - w : w - fw));
      map[y * width + x] = T(map[y * width + x] + T(diff * weight));
    }
  }
}

template <class T>
void roi_align_backward(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Tensor& grad = a.out[0];
  const int64_t channels = grad.dim(1), height = grad.dim(2), width = grad.dim(3);
  const int64_t oh = p.pooled_height, ow = p.pooled_width;
  const int64_t count = int64_t{p.sample_height} * p.sample_width;
  std::fill_n(grad.data<T>(), grad.count(), T(0.f));
  // Regions overlap, channels do not.
  a.exec.parallel_for(channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = 0; n < a.in[2].dim(0); ++n) {
      const Region g = region(a.in[2].data<const T>() + n * 5, p, grad.dim(0));
      for (int64_t c = begin; c < end; ++c) {
        T* map = grad.data<T>() + (g.batch * channels + c) * height * width;
        for (int64_t o = 0; o < oh * ow; ++o) {
          const int64_t from = (n * channels + c) * oh * ow + o;
          const T diff = a.in[0].data<const T>()[from];
          const int64_t index = a.in[3].data<const int32_t>()[from];
          if (is_max(p) && (index < 0 || index >= count)) continue;
          for (int64_t s = is_max(p) ? index : 0; s < (is_max(p) ? index + 1 : count); ++s)
            distribute(map, is_max(p) ? diff : T(diff / T(static_cast<float>(count))),
                       g.center_h(o / ow, s / p.sample_width), g.center_w(o % ow, s % p.sample_width), height, width);
        }
      }
    }
  });
}

void roi_align_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) { roi_align<decltype(tag)>(a); });
}
void roi_align_backward_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) { roi_align_backward<decltype(tag)>(a); });
}

std::vector<Var> grad_roi_align(const GradContext& c) {
  if (!c.dout[0].defined()) return {{}, {}};
  return {emit1("ROIAlignBackward", c.attrs.params, {c.dout[0], c.in[0], c.in[1], c.out[1]}), {}};
}

// Linear in the gradient: the samples that were taken, of what flows back. Which were the largest is input 3's to say,
// for the maximum.
std::vector<Var> grad_backward(const GradContext& c) {
  if (c.attrs.param<param::ROIAlign>().mode == param::ROIAlignMode::MAX)
    grads::unsupported(c, "no gradient for mode MAX");
  if (!c.needs[0]) return {{}, {}, {}, {}};
  Attrs attrs;
  attrs.params = c.attrs.params;
  return {emit(Registry::get().at("ROIAlign"), attrs, {c.dout[0], c.in[2]})[0], {}, {}, {}};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_roi_align) {
  r.add(
      {.name = "ROIAlign",
       .doc = "Pools bilinear samples of regions (image, x0, y0, x1, y1); output 1 tells which sample was the largest.",
       .mge = {"ROIAlignV1"},
       .params = &param::ROIAlign::kSchema,
       .min_inputs = 2,
       .max_inputs = 2,
       .outputs = [](const Attrs&, int) { return 2; },
       .infer = infer_roi_align,
       .kernels = {{.name = "tables", .run = roi_align_tables, .accepts = roi_align_tables_accept, .strided = true},
                   {.name = "reference", .run = roi_align_reference}},
       .grad = grad_roi_align,
       .exact = true});
  r.add({.name = "ROIAlignBackward",
         .doc = "Gradient of ROIAlign with respect to the image; inputs: gradient, image, regions, index.",
         .mge = {"ROIAlignBackwardV1"},
         .params = &param::ROIAlign::kSchema,
         .min_inputs = 4,
         .max_inputs = 4,
         .infer = infer_roi_align_backward,
         .kernels = {{.name = "reference", .run = roi_align_backward_reference}},
         .grad = grad_backward,
         .exact = true});
}
