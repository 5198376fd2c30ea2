// Average pooling of regions of interest, every bin moved by a learned offset.
//
// Inputs: data (N, C, H, W), rois (R, 5) as (image, left, top, right, bottom), trans (R, 2 * classes, parts, parts).
#include "megalith/ops/grad_util.h"
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

using P = param::DeformablePSROIPooling;

Shape check_inputs(const InferContext& c) {
  const P& p = c.param<P>();
  const Shape& data = c.shape(0);
  const Shape& rois = c.shape(1);
  const Shape& trans = c.shape(2);
  for (int i = 0; i < c.nin(); ++i)
    c.require(c.dtype(i).id == DTypeEnum::Float32, "only Float32 is supported, got ", c.dtype(i).name());
  c.require(data.ndim() == 4 && data.count() > 0, "data must have 4 dimensions, got ", data);
  c.require(rois.ndim() == 2 && rois[1] == 5, "rois must be (R,5), got ", rois);
  c.require(trans.ndim() == 4, "trans must have 4 dimensions, got ", trans);
  c.require(p.pooled_h > 0 && p.pooled_w > 0, "pooled_h=", p.pooled_h, " and pooled_w=", p.pooled_w,
            " must be positive");
  c.require(p.sample_per_part <= 1u << 15, "sample_per_part=", p.sample_per_part, " is too large");
  if (!p.no_trans) {
    c.require(trans[1] == 2 && trans[2] == p.pooled_h && trans[3] == p.pooled_w, "trans must be (", rois[0], ",2,",
              p.pooled_h, ",", p.pooled_w, "), got ", trans);
    c.require(p.part_size > 0 && p.part_size < 1u << 15 &&
                  rois[0] * trans[1] * int64_t{p.part_size} * p.part_size <= trans.count(),
              "trans ", trans, " is too small for ", rois[0], " regions and part_size=", p.part_size);
  }
  return {rois[0], data[1], p.pooled_h, p.pooled_w};
}

void infer_forward(InferContext& c) {
  const Shape out = check_inputs(c);
  c.set(0, c.dtype(0), out);
  c.set(1, c.dtype(0), out);
}

// inputs: data, rois, trans, out_diff, out_count
void infer_backward(InferContext& c) {
  const Shape out = check_inputs(c);
  c.require(c.shape(3) == out && c.shape(4) == out, "diff and count must be ", out, ", got ", c.shape(3), " and ",
            c.shape(4));
  c.set(0, c.dtype(0), c.shape(0));
  c.set(1, c.dtype(0), c.shape(2));
}

// One bin of one region: where its samples lie.
struct Bin {
  int64_t image;
  float top, left, height, width;    // of the bin's first sample; size of the whole region
  float step_h, step_w;              // between samples
  int64_t trans_x = 0, trans_y = 0;  // indices of its offsets
};

Bin make_bin(const P& p, const KernelArgs& a, int64_t n, int64_t ic, int64_t ph, int64_t pw) {
  const float* roi = a.in[1].data<float>() + n * 5;
  Bin b{};
  if (!(roi[0] >= 0 && roi[0] < static_cast<float>(a.in[0].dim(0))))
    throw OpError(cat("DeformablePSROIPooling: region ", n, " is in image ", roi[0], " of ", a.in[0].dim(0)));
  b.image = static_cast<int64_t>(roi[0]);
  const float left = std::round(roi[1]) * p.spatial_scale - 0.5f, top = std::round(roi[2]) * p.spatial_scale - 0.5f;
  const float right = (std::round(roi[3]) + 1.f) * p.spatial_scale - 0.5f;
  const float bottom = (std::round(roi[4]) + 1.f) * p.spatial_scale - 0.5f;
  b.width = std::max(right - left, 0.1f);
  b.height = std::max(bottom - top, 0.1f);
  const float bin_h = b.height / static_cast<float>(p.pooled_h), bin_w = b.width / static_cast<float>(p.pooled_w);
  b.step_h = bin_h / static_cast<float>(p.sample_per_part);
  b.step_w = bin_w / static_cast<float>(p.sample_per_part);
  b.left = static_cast<float>(pw) * bin_w + left;
  b.top = static_cast<float>(ph) * bin_h + top;
  if (!p.no_trans) {
    const int64_t part = p.part_size, classes = a.in[2].dim(1) / 2;
    const int64_t cls = ic / std::max<int64_t>(1, a.in[0].dim(1) / classes);
    auto part_of = [&](int64_t i, uint32_t pooled) {
      const float at = static_cast<float>(i) / static_cast<float>(pooled) * static_cast<float>(part);
      return std::min(part - 1, static_cast<int64_t>(std::floor(at)));
    };
    b.trans_x = (((n * classes + cls) * 2) * part + part_of(ph, p.pooled_h)) * part + part_of(pw, p.pooled_w);
    b.trans_y = b.trans_x + part * part;
    const float* trans = a.in[2].data<float>();
    b.left += trans[b.trans_x] * p.trans_std * b.width;
    b.top += trans[b.trans_y] * p.trans_std * b.height;
  }
  return b;
}

// Calls fn(y0, y1, x0, x1, dist_y, dist_x) for the samples that lie in the image: the pixels around and the distances.
template <class F>
void for_samples(const P& p, const Bin& b, int64_t height, int64_t width, F&& fn) {
  for (uint32_t i = 0; i < p.sample_per_part; ++i)
    for (uint32_t k = 0; k < p.sample_per_part; ++k) {
      float h = b.top + static_cast<float>(i) * b.step_h, w = b.left + static_cast<float>(k) * b.step_w;
      if (!(w >= -0.5f && w <= static_cast<float>(width) - 0.5f && h >= -0.5f &&
            h <= static_cast<float>(height) - 0.5f))
        continue;
      w = std::min(std::max(w, 0.f), static_cast<float>(width) - 1.f);
      h = std::min(std::max(h, 0.f), static_cast<float>(height) - 1.f);
      const auto y0 = static_cast<int64_t>(std::floor(h)), y1 = static_cast<int64_t>(std::ceil(h));
      const auto x0 = static_cast<int64_t>(std::floor(w)), x1 = static_cast<int64_t>(std::ceil(w));
      fn(y0, y1, x0, x1, h - static_cast<float>(y0), w - static_cast<float>(x0));
    }
}

void run_forward(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Shape& data = a.in[0].shape();
  float* out = a.out[0].data<float>();
  float* out_count = a.out[1].data<float>();
  int64_t at = 0;
  for (int64_t n = 0; n < a.in[1].dim(0); ++n)
    for (int64_t ic = 0; ic < data[1]; ++ic)
      for (int64_t ph = 0; ph < p.pooled_h; ++ph)
        for (int64_t pw = 0; pw < p.pooled_w; ++pw, ++at) {
          const Bin b = make_bin(p, a, n, ic, ph, pw);
          const float* im = a.in[0].data<float>() + (b.image * data[1] + ic) * data[2] * data[3];
          float sum = 0;
          int count = 0;
          for_samples(p, b, data[2], data[3], [&](int64_t y0, int64_t y1, int64_t x0, int64_t x1, float dy, float dx) {
            sum += (1 - dx) * (1 - dy) * im[y0 * data[3] + x0] + (1 - dx) * dy * im[y1 * data[3] + x0] +
                   dx * (1 - dy) * im[y0 * data[3] + x1] + dx * dy * im[y1 * data[3] + x1];
            ++count;
          });
          out[at] = count == 0 ? 0.f : sum / static_cast<float>(count);
          out_count[at] = static_cast<float>(count);
        }
}

void run_backward(const KernelArgs& a) {
  const P& p = a.param<P>();
  const Shape& data = a.in[0].shape();
  const float* diff = a.in[3].data<float>();
  const float* count = a.in[4].data<float>();
  float* trans_grad = a.out[1].data<float>();
  for (Tensor& t : a.out) std::memset(t.data(), 0, t.bytes());
  int64_t at = 0;
  for (int64_t n = 0; n < a.in[1].dim(0); ++n)
    for (int64_t ic = 0; ic < data[1]; ++ic)
      for (int64_t ph = 0; ph < p.pooled_h; ++ph)
        for (int64_t pw = 0; pw < p.pooled_w; ++pw, ++at) {
          if (!(count[at] > 0)) continue;
          const Bin b = make_bin(p, a, n, ic, ph, pw);
          const int64_t plane = (b.image * data[1] + ic) * data[2] * data[3];
          const float* im = a.in[0].data<float>() + plane;
          float* grad = a.out[0].data<float>() + plane;
          const float d = diff[at] / count[at];
          for_samples(p, b, data[2], data[3], [&](int64_t y0, int64_t y1, int64_t x0, int64_t x1, float dy, float dx) {
            const int64_t i00 = y0 * data[3] + x0, i01 = y1 * data[3] + x0;
            const int64_t i10 = y0 * data[3] + x1, i11 = y1 * data[3] + x1;
            grad[i00] += (1 - dx) * (1 - dy) * d;
            grad[i01] += (1 - dx) * dy * d;
            grad[i10] += dx * (1 - dy) * d;
            grad[i11] += dx * dy * d;
            if (p.no_trans) return;
            const float slope_x = im[i11] * dy + im[i10] * (1 - dy) - im[i01] * dy - im[i00] * (1 - dy);
            const float slope_y = im[i11] * dx + im[i01] * (1 - dx) - im[i10] * dx - im[i00] * (1 - dx);
            trans_grad[b.trans_x] += slope_x * p.trans_std * d * b.width;
            trans_grad[b.trans_y] += slope_y * p.trans_std * d * b.height;
          });
        }
}

std::vector<Var> grad_forward(const GradContext& c) {
  grads::only_outputs(c, {0}, "the pooled values");
  const auto d = emit(Registry::get().at("DeformablePSROIPoolingBackward"), c.attrs,
                      {c.in[0], c.in[1], c.in[2], c.dout[0], c.out[1]});
  return {d[0], Var(), d[1]};
}

int two_outputs(const Attrs&, int) { return 2; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_deformable_psroi) {
  r.add({.name = "DeformablePSROIPoolingForward",
         .doc = "Average pooling of regions whose bins are moved by offsets; also the number of samples in every bin.",
         .mge = {"DeformablePSROIPoolingForward"},
         .params = &P::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .outputs = two_outputs,
         .infer = infer_forward,
         .kernels = {{.name = "reference", .run = run_forward}},
         .grad = grad_forward});
  r.add({.name = "DeformablePSROIPoolingBackward",
         .doc = "Gradients of DeformablePSROIPooling with respect to data and offsets.",
         .mge = {"DeformablePSROIPoolingBackward"},
         .params = &P::kSchema,
         .min_inputs = 5,
         .max_inputs = 5,
         .outputs = two_outputs,
         .infer = infer_backward,
         .kernels = {{.name = "reference", .run = run_backward}}});
}
