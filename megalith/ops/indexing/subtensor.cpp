// Subtensor, SetSubtensor, IncrSubtensor: slices and scalar indices.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/indexing/selection.h"

namespace megalith {
namespace {

void require_bytes(const InferContext& c) {
  c.require(!c.dtype(0).is_lowbit(), "types below a byte can't be indexed: ", c.dtype(0).str());
}

void infer_subtensor(InferContext& c) {
  c.set(0, c.dtype(0), read_selection(c, Layout(c.shape(0)), 1, false).sub.shape);
}

bool view_subtensor(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  if (c.dtype(0).is_lowbit()) return false;
  const Selection s = read_selection(c, in[0], 1, false);
  out[0] = {0, s.sub, s.offset};
  return true;
}

template <CopyFn kCopy>
void subtensor(const KernelArgs& a) {
  const KernelContext k(a, "Subtensor");
  const Selection s = read_selection(k.ctx, a.in[0].layout(), 1, false);
  if (s.sub.shape.count() > 0) kCopy(a.in[0].view(s.sub, s.offset), a.out[0], a.exec);
}

void infer_modify(InferContext& c) {
  require_bytes(c);
  c.require(c.dtype(1) == c.dtype(0), "the value has type ", c.dtype(1).str(), ", the data ", c.dtype(0).str());
  const Shape sub = read_selection(c, Layout(c.shape(0)), 2, false).sub.shape;
  c.require(broadcasts_to(c.shape(1), sub), "a value of shape ", c.shape(1), " does not fit the selected ", sub);
  c.set(0, c.dtype(0), c.shape(0));
}

template <bool kAdd, CopyFn kCopy>
void modify(const KernelArgs& a) {
  const KernelContext k(a, kAdd ? "IncrSubtensor" : "SetSubtensor");
  const Selection s = read_selection(k.ctx, Layout(a.in[0].shape()), 2, false);
  kCopy(a.in[0], a.out[0], a.exec);
  if (s.sub.shape.count() == 0) return;
  const Tensor dst = a.out[0].view(s.sub, s.offset), src = broadcast_value(a.in[1], s.sub.shape);
  if (kAdd)
    add_into(dst, src);
  else
    kCopy(src, dst, a.exec);
}

// Of the ops that read, write and add a part: `in` is the data, the value (except when reading), the indices.
std::vector<Var> grad_subtensor(const GradContext& c) {
  std::vector<Var> r(c.in.size());
  if (c.needs[0]) r[0] = grads::selection_get_gradient(c, "IncrSubtensor");
  return r;
}
std::vector<Var> grad_set(const GradContext& c) {
  return grads::selection_modify_gradient(c, "Subtensor", "SetSubtensor");
}
std::vector<Var> grad_incr(const GradContext& c) { return grads::selection_modify_gradient(c, "Subtensor", nullptr); }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(indexing_subtensor) {
  r.add({.name = "Subtensor",
         .doc = "Slices and scalar indices of input 0.",
         .mge = {"Subtensor"},
         .params = &param::IndexDescMaskDump::kSchema,
         .max_inputs = -1,
         .infer = infer_subtensor,
         .view = view_subtensor,
         .kernels = copy_kernels(any_width<subtensor<copy_strided>>, any_width<subtensor<copy_plain>>),
         .grad = unless_trimmed(grad_subtensor),
         .grad_reads = grads::reads_indices<1>,
         .exact = true});
  if (kTrimmed) return;
  auto part = [&](const char* name, Doc doc, std::vector<Kernel> kernels,
                  std::vector<Var> (*grad)(const GradContext&)) {
    r.add({.name = name,
           .doc = doc,
           .mge = {name},
           .params = &param::IndexDescMaskDump::kSchema,
           .min_inputs = 2,
           .max_inputs = -1,
           .infer = infer_modify,
           .kernels = std::move(kernels),
           .grad = grad,
           .grad_reads = grads::reads_indices<2>,
           .exact = true});
  };
  part("SetSubtensor", "Input 0 with input 1 written to the selected part.",
       copy_kernels(modify<false, copy_strided>, modify<false, copy_plain>), grad_set);
  part("IncrSubtensor", "Input 0 with input 1 added to the selected part.",
       copy_kernels(modify<true, copy_strided>, modify<true, copy_plain>), grad_incr);
}
