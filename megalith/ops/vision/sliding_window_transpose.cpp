// An image put together from its windows, as col2im does: the transpose of Images2Neibs.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/vision/images2neibs.h"

namespace megalith {
namespace {

using P = param::SlidingWindowTranspose;

Shape check_transpose(const InferContext& c, const Shape& windows) {
  const P& p = c.param<P>();
  c.require(windows.ndim() == 6, "the windows must have 6 dimensions, got ", windows);
  const Shape image{windows[0], windows[1], p.out_h, p.out_w};
  const Shape expected = check_windows(c, p, image);
  c.require(windows == expected, "an image ", image, " has windows ", expected, ", got ", windows);
  return image;
}

void infer_forward(InferContext& c) { c.set(0, c.dtype(0), check_transpose(c, c.shape(0))); }

// inputs: diff, src
void infer_backward(InferContext& c) {
  const Shape image = check_transpose(c, c.shape(1));
  c.require(c.dtype(0) == c.dtype(1), "diff and src must have one element type, got ", c.dtype(0).name(), " and ",
            c.dtype(1).name());
  c.require(c.shape(0) == image, "diff must be ", image, ", got ", c.shape(0));
  c.set(0, c.dtype(0), c.shape(1));
}

std::vector<Var> grad_forward(const GradContext& c) {
  return {emit1("SlidingWindowTransposeBackward", c.attrs.params, {c.dout[0], c.in[0]})};
}

std::vector<Var> grad_backward(const GradContext& c) {
  return {emit1("SlidingWindowTranspose", c.attrs.params, {c.dout[0]}), {}};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_sliding_window_transpose) {
  r.add({.name = "SlidingWindowTranspose",
         .doc = "The image whose windows these are; where they overlap, their sum.",
         .mge = {"SlidingWindowTranspose"},
         .params = &P::kSchema,
         .infer = infer_forward,
         .kernels = {{.name = "reference", .run = scatter_windows<P>}},
         .grad = grad_forward,
         .grad_reads = grads::reads_nothing});
  r.add({.name = "SlidingWindowTransposeBackward",
         .doc = "Gradient of SlidingWindowTranspose: the windows of diff.",
         .mge = {"SlidingWindowTransposeBackward"},
         .params = &P::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_backward,
         .kernels = {{.name = "reference", .run = gather_windows<P>}},
         .grad = grad_backward,
         .grad_reads = grads::reads_nothing,
         .exact = true});
}
