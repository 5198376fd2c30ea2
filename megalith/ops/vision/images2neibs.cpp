// The windows of an image side by side, as im2col makes them.
#include "megalith/ops/vision/images2neibs.h"

#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

using P = param::Images2Neibs;

void infer_forward(InferContext& c) { c.set(0, c.dtype(0), check_windows(c, c.param<P>(), c.shape(0))); }

// inputs: diff, src
void infer_backward(InferContext& c) {
  const Shape windows = check_windows(c, c.param<P>(), c.shape(1));
  c.require(c.dtype(0) == c.dtype(1), "diff and src must have one element type, got ", c.dtype(0).name(), " and ",
            c.dtype(1).name());
  c.require(c.shape(0) == windows, "diff must be ", windows, ", got ", c.shape(0));
  c.set(0, c.dtype(0), c.shape(1));
}

std::vector<Var> grad_forward(const GradContext& c) {
  return {emit1("Images2NeibsBackward", c.attrs.params, {c.dout[0], c.in[0]})};
}

std::vector<Var> grad_backward(const GradContext& c) {
  return {emit1("Images2Neibs", c.attrs.params, {c.dout[0]}), {}};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_images2neibs) {
  r.add({.name = "Images2Neibs",
         .doc = "The windows of an image side by side: (N, C, H, W) to (N, C, OH, OW, window_h, window_w).",
         .mge = {"Images2Neibs"},
         .params = &P::kSchema,
         .infer = infer_forward,
         .kernels = {{.name = "reference", .run = gather_windows<P>}},
         .grad = grad_forward,
         .grad_reads = grads::reads_nothing,
         .exact = true});
  r.add({.name = "Images2NeibsBackward",
         .doc = "Gradient of Images2Neibs: every pixel gets the sum over the windows that hold it.",
         .mge = {"Images2NeibsBackward"},
         .params = &P::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_backward,
         .kernels = {{.name = "reference", .run = scatter_windows<P>}},
         .grad = grad_backward,
         .grad_reads = grads::reads_nothing});
}
