// Pooling of regions of interest over whole pixels.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/vision/image.h"

namespace megalith {
namespace {

using P = param::ROIPooling;
bool is_max(const P& p) { return p.mode == param::ROIPoolingMode::MAX; }

void check_rois(const InferContext& c, int src, int rois) {
  c.require(c.dtype(src).is_float() && c.dtype(src) == c.dtype(rois),
            "image and rois must have one floating type, got ", c.dtype(src).name(), " and ", c.dtype(rois).name());
  c.require(c.shape(src).ndim() == 4, "the image must have 4 dimensions, got ", c.shape(src));
  c.require(c.shape(rois).ndim() == 2 && c.shape(rois)[1] == 5, "rois must have the shape (n, 5), got ", c.shape(rois));
}

// inputs: image, regions, pooled height and width
void infer_roi_pooling(InferContext& c) {
  check_rois(c, 0, 1);
  const std::vector<int64_t> size = vision::target_sizes(c, 2, 2);
  const Shape out = {c.shape(1)[0], c.shape(0)[1], size[0], size[1]};
  c.set(0, c.dtype(0), out);
  c.set(1, DTypeEnum::Int32, out);
}

// inputs: gradient, image, regions, index
void infer_roi_pooling_backward(InferContext& c) {
  check_rois(c, 1, 2);
  const Shape& d = c.shape(0);
  c.require(c.dtype(0) == c.dtype(1) && d.ndim() == 4 && d[0] == c.shape(2)[0] && d[1] == c.shape(1)[1], "gradient ", d,
            " does not fit image ", c.shape(1), " and rois ", c.shape(2));
  c.require(c.dtype(3).id == DTypeEnum::Int32 && c.shape(3) == d, "the index must be Int32 ", d, ", got ",
            c.dtype(3).name(), " ", c.shape(3));
  c.set(0, c.dtype(1), c.shape(1));
}

// A region in whole pixels, and its bins.
struct Region {
  int64_t batch, start_w, start_h, end_w, end_h;
  float bin_h, bin_w;
};

template <class T>
Region region(const T* roi, float scale, int64_t batches, int64_t oh, int64_t ow) {
  const auto at = [&](int i) { return vision::to_index(std::round(roi[i] * scale)); };
  Region g = {vision::to_index(roi[0]), at(1), at(2), at(3), at(4), 0, 0};
  if (g.batch < 0 || g.batch >= batches)
    throw OpError(cat("ROIPooling: a region names image ", static_cast<float>(roi[0]), " of ", batches));
  g.bin_h = static_cast<float>(std::max<int64_t>(g.end_h - g.start_h + 1, 1)) / static_cast<float>(oh);
  g.bin_w = static_cast<float>(std::max<int64_t>(g.end_w - g.start_w + 1, 1)) / static_cast<float>(ow);
  return g;
}

struct Range {
  int64_t begin, end;
};
Range bin(int64_t i, float size, int64_t start, int64_t limit) {
  const int64_t from = vision::to_index(std::floor(static_cast<float>(i) * size));
  const int64_t to = vision::to_index(std::ceil(static_cast<float>(i + 1) * size));
  return {std::clamp<int64_t>(from + start, 0, limit), std::clamp<int64_t>(to + start, 0, limit)};
}

template <class T>
void roi_pooling(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Tensor &src = a.in[0], &dst = a.out[0];
  const int64_t channels = src.dim(1), height = src.dim(2), width = src.dim(3), oh = dst.dim(2), ow = dst.dim(3);
  a.exec.parallel_for(dst.dim(0) * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t nc = begin; nc < end; ++nc) {
      const Region g = region(a.in[1].data<const T>() + nc / channels * 5, p.scale, src.dim(0), oh, ow);
      const T* map = src.data<const T>() + (g.batch * channels + nc % channels) * height * width;
      for (int64_t o = 0; o < oh * ow; ++o) {
        const Range rh = bin(o / ow, g.bin_h, g.start_h, height), rw = bin(o % ow, g.bin_w, g.start_w, width);
        T sum(0.f), best(0.f);
        int64_t best_at = -1, count = 0;
        for (int64_t h = rh.begin; h < rh.end; ++h) {
          for (int64_t w = rw.begin; w < rw.end; ++w, ++count) {
            const T v = map[h * width + w];
            sum = T(sum + v);
            if (best_at < 0 || v > best) best = v, best_at = h * width + w;
          }
        }
        const int64_t to = nc * oh * ow + o;
        dst.data<T>()[to] = is_max(p) ? best : count > 0 ? T(sum / T(static_cast<float>(count))) : T(0.f);
        a.out[1].data<int32_t>()[to] = is_max(p) ? static_cast<int32_t>(best_at) : 0;
      }
    }
  });
}

template <class T>
void roi_pooling_backward(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Tensor &diff = a.in[0], &grad = a.out[0];
  const int64_t channels = grad.dim(1), height = grad.dim(2), width = grad.dim(3), oh = diff.dim(2), ow = diff.dim(3);
  std::fill_n(grad.data<T>(), grad.count(), T(0.f));
  a.exec.parallel_for(channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = 0; n < diff.dim(0); ++n) {
      const Region g = region(a.in[2].data<const T>() + n * 5, p.scale, grad.dim(0), oh, ow);
      const auto inside = [&](int64_t h, int64_t w) {
        return w >= g.start_w && w <= g.end_w && h >= g.start_h && h <= g.end_h;
      };
      for (int64_t c = begin; c < end; ++c) {
        T* map = grad.data<T>() + (g.batch * channels + c) * height * width;
        for (int64_t o = 0; o < oh * ow; ++o) {
          const int64_t from = (n * channels + c) * oh * ow + o;
          const T d = diff.data<const T>()[from];
          if (is_max(p)) {
            const int64_t at = a.in[3].data<const int32_t>()[from];
            if (at >= 0 && at < height * width && inside(at / width, at % width)) map[at] = T(map[at] + d);
            continue;
          }
          const Range rh = bin(o / ow, g.bin_h, g.start_h, height), rw = bin(o % ow, g.bin_w, g.start_w, width);
          const T share(d / T(static_cast<float>((rh.end - rh.begin) * (rw.end - rw.begin))));
          for (int64_t h = rh.begin; h < rh.end; ++h)
            for (int64_t w = rw.begin; w < rw.end; ++w)
              if (inside(h, w)) map[h * width + w] = T(map[h * width + w] + share);
        }
      }
    }
  });
}

void roi_pooling_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) { roi_pooling<decltype(tag)>(a); });
}
void roi_pooling_backward_reference(const KernelArgs& a) {
  dispatch_float(a.in[0].dtype(), [&](auto tag) { roi_pooling_backward<decltype(tag)>(a); });
}

std::vector<Var> grad_roi_pooling(const GradContext& c) {
  grads::only_outputs(c, {0}, "the pooled values");
  return {emit1("ROIPoolingBackward", c.attrs.params, {c.dout[0], c.in[0], c.in[1], c.out[1]}), {}, {}};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_roi_pooling) {
  r.add({.name = "ROIPooling",
         .doc = "Pools the pixels of regions (image, x0, y0, x1, y1) into a grid; output 1 tells which pixel was the "
                "largest.",
         .mge = {"ROIPooling"},
         .params = &param::ROIPooling::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .outputs = [](const Attrs&, int) { return 2; },
         .infer = infer_roi_pooling,
         .kernels = {{.name = "reference", .run = roi_pooling_reference}},
         .grad = grad_roi_pooling,
         .exact = true});
  r.add({.name = "ROIPoolingBackward",
         .doc = "Gradient of ROIPooling with respect to the image; inputs: gradient, image, regions, index.",
         .mge = {"ROIPoolingBackward"},
         .params = &param::ROIPooling::kSchema,
         .min_inputs = 4,
         .max_inputs = 4,
         .infer = infer_roi_pooling_backward,
         .kernels = {{.name = "reference", .run = roi_pooling_backward_reference}},
         .exact = true});
}
