// Ops that hand on their input: they differ only in what the graph optimizer of MegEngine may do around them.
#include <chrono>
#include <thread>

#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

bool view_same(const InferContext&, std::span<const Layout> in, std::span<View> out) {
  out[0] = {0, in[0], 0};
  return true;
}

template <CopyFn kCopy>
void copy(const KernelArgs& a) {
  kCopy(a.in[0], a.out[0], a.exec);
}

std::vector<Var> grad_identity(const GradContext& c) { return {c.dout[0]}; }

std::vector<Var> grad_virtual_dep(const GradContext& c) {
  std::vector<Var> r(c.in.size());
  r[0] = c.dout[0];
  return r;
}

void infer_virtual_dep(InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); }

void infer_sleep(InferContext& c) {
  const double s = c.param<param::MGBSleep>().seconds;
  c.require(s >= 0 && s < 1e6, "can't sleep for ", s, " seconds");
  infer_same_as_input(c);
}

void sleep_reference(const KernelArgs& a) {
  const param::MGBSleep& p = a.param<param::MGBSleep>();
  if (p.host || p.device) std::this_thread::sleep_for(std::chrono::duration<double>(p.seconds));
  copy_strided(a.in[0], a.out[0]);
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_identity) {
  const std::vector<Kernel> kernels = copy_kernels(copy<copy_strided>, copy<copy_plain>);
  auto pass = [&](const char* name, Doc doc) {
    r.add({.name = name,
           .doc = doc,
           .mge = {name},
           .params = &param::Empty::kSchema,
           .infer = infer_same_as_input,
           .view = view_same,
           .kernels = kernels,
           .grad = grad_identity,
           .grad_reads = grads::reads_nothing,
           .exact = true});
  };
  pass("Identity", "The input itself.");
  pass("MarkDynamicVar", "The input; MegEngine allocates it dynamically.");
  pass("MarkNoBroadcastElemwise", "The input; MegEngine does not broadcast it in elementwise ops.");
  r.add({.name = "Copy",
         .doc = "A copy of the input, possibly on another device.",
         .mge = {"Copy"},
         .params = &param::Empty::kSchema,
         .infer = infer_same_as_input,
         .kernels = kernels,
         .grad = grad_identity,
         .grad_reads = grads::reads_nothing,
         .exact = true});
  if (kTrimmed) return;
  r.add({.name = "VirtualDep",
         .doc = "Input 0, ordered behind the other inputs.",
         .mge = {"VirtualDep"},
         .max_inputs = -1,
         .infer = infer_virtual_dep,
         .view = view_same,
         .kernels = kernels,
         .grad = grad_virtual_dep,
         .grad_reads = grads::reads_nothing,
         .exact = true});
  r.add({.name = "PersistentOutputStorage",
         .doc = "The input; MegEngine keeps its memory between runs.",
         .mge = {"PersistentOutputStorage"},
         .params = &param::PersistentOutputStorage::kSchema,
         .infer = infer_same_as_input,
         .view = view_same,
         .kernels = kernels,
         .grad = grad_identity,
         .grad_reads = grads::reads_nothing,
         .exact = true});
  r.add({.name = "Sleep",
         .doc = "The input, after a pause.",
         .mge = {"Sleep"},
         .params = &param::MGBSleep::kSchema,
         .infer = infer_sleep,
         .kernels = {{.name = "reference", .run = sleep_reference, .strided = true}},
         .grad = grad_identity,
         .grad_reads = grads::reads_nothing,
         .effect = true,
         .exact = true});
}
