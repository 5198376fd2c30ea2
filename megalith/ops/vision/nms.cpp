// Non-maximum suppression of boxes that are sorted by score.
#include "megalith/kernels/vision.h"
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

using P = param::NMSKeep;

void infer_nms(InferContext& c) {
  const Shape& s = c.shape(0);
  c.require(c.dtype(0).id == DTypeEnum::Float32, "boxes must be Float32, got ", c.dtype(0).name());
  c.require(s.ndim() == 3 && s[2] == 4, "boxes must have the shape (batch, boxes, 4), got ", s);
  c.set(0, DTypeEnum::Int32, {s[0], c.param<P>().max_output});
  c.set(1, DTypeEnum::Int32, {s[0]});
}

struct Box {
  float x0, y0, x1, y1;
};

bool overlap(const Box& a, const Box& b, float thresh) {
  const float width = std::max(std::min(a.x1, b.x1) - std::max(a.x0, b.x0), 0.f);
  const float height = std::max(std::min(a.y1, b.y1) - std::max(a.y0, b.y0), 0.f);
  const float both = width * height;
  const float area_a = (a.x1 - a.x0) * (a.y1 - a.y0), area_b = (b.x1 - b.x0) * (b.y1 - b.y0);
  return both > (area_a + area_b - both) * thresh;
}

void nms_reference(const KernelArgs& a) {
  const P& p = a.param<P>();
  const int64_t boxes = a.in[0].dim(1), limit = p.max_output;
  auto* out = a.out[0].data<int32_t>();
  a.exec.parallel_for(a.in[0].dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const auto* box = a.in[0].data<const Box>() + n * boxes;
      int32_t* keep = out + n * limit;
      int64_t kept = 0;
      for (int64_t i = 0; i < boxes && kept < limit; ++i) {
        bool suppressed = false;
        for (int64_t k = 0; k < kept && !suppressed; ++k) suppressed = overlap(box[i], box[keep[k]], p.iou_thresh);
        if (!suppressed) keep[kept++] = static_cast<int32_t>(i);
      }
      a.out[1].data<int32_t>()[n] = static_cast<int32_t>(kept);
      for (int64_t k = kept; k < limit; ++k) keep[k] = kept > 0 ? keep[kept - 1] : 0;
    }
  });
}

// The boxes that are kept, coordinate by coordinate.
void nms_vector(const KernelArgs& a) {
  const P& p = a.param<P>();
  const int64_t boxes = a.in[0].dim(1), limit = p.max_output;
  auto* out = a.out[0].data<int32_t>();
  a.exec.parallel_for(a.in[0].dim(0), 1, [&](int64_t begin, int64_t end) {
    const auto most = static_cast<size_t>(std::min(boxes, limit));
    std::vector<float> columns[5];
    for (std::vector<float>& c : columns) c.resize(most);
    for (int64_t n = begin; n < end; ++n) {
      vision::Boxes kept{
          {columns[0].data(), columns[1].data(), columns[2].data(), columns[3].data(), columns[4].data()}, 0};
      int32_t* keep = out + n * limit;
      for (int64_t i = 0; i < boxes && kept.count < limit; ++i) {
        const float* box = a.in[0].data<float>() + (n * boxes + i) * 4;
        if (vision::overlaps_any(kept, box, p.iou_thresh)) continue;
        const auto at = static_cast<size_t>(kept.count);
        for (size_t k = 0; k < 4; ++k) columns[k][at] = box[k];
        columns[4][at] = (box[2] - box[0]) * (box[3] - box[1]);
        keep[kept.count++] = static_cast<int32_t>(i);
      }
      a.out[1].data<int32_t>()[n] = static_cast<int32_t>(kept.count);
      for (int64_t k = kept.count; k < limit; ++k) keep[k] = kept.count > 0 ? keep[kept.count - 1] : 0;
    }
  });
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_nms) {
  r.add({.name = "NMSKeepMGB",
         .doc = "Indices of the boxes (x0, y0, x1, y1), sorted by score, that no better box overlaps; and how many.",
         .mge = {"NMSKeepMGB"},
         .params = &param::NMSKeep::kSchema,
         .outputs = [](const Attrs&, int) { return 2; },
         .infer = infer_nms,
         .kernels = {{.name = "vector", .run = nms_vector}, {.name = "reference", .run = nms_reference}},
         .exact = true});
}
