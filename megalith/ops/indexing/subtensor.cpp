// Subtensor: x[a:b:c, i]; SetSubtensor and IncrSubtensor write to such a part of a copy.
#include "megalith/ops/indexing/subtensor.h"
#include "megalith/var.h"

namespace megalith {
namespace {

void infer_subtensor(InferContext& c) {
  Layout part;
  int64_t offset;
  indexing::select(c, Layout(c.shape(0)), 1, part, offset);
  c.set(0, c.dtype(0), part.shape);
}

bool view_subtensor(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  Layout part;
  int64_t offset;
  indexing::select(c, in[0], 1, part, offset);
  out[0] = {0, part, offset};
  return true;
}

void copy(const KernelArgs& a) { copy_strided(a.in[0], a.out[0]); }

void infer_write(InferContext& c) {
  Layout part;
  int64_t offset;
  indexing::select(c, Layout(c.shape(0)), 2, part, offset);
  c.require(c.dtype(1) == c.dtype(0), "writes ", c.dtype(1).str(), " into ", c.dtype(0).str());
  const Shape &v = c.shape(1), &t = part.shape;
  bool ok = true;
  for (int i = 0; i < v.ndim(); ++i) {
    const int64_t d = v[v.ndim() - 1 - i];
    ok = ok && (d == 1 || (i < t.ndim() && d == t[t.ndim() - 1 - i]));
  }
  c.require(ok, "the value has shape ", v, ", the part has shape ", t);
  c.set(0, c.dtype(0), c.shape(0));
}

template <bool Add>
void write(const KernelArgs& a) {
  copy_strided(a.in[0], a.out[0]);
  // The shape rule accepted these inputs; it is asked again for where the part lies.
  std::vector<TensorSpec> specs, outs(1);
  for (const Tensor& t : a.in) specs.push_back({t.dtype(), t.shape(), t});
  const InferContext c{*Registry::get().find(Add ? "IncrSubtensor" : "SetSubtensor"), a.attrs, specs, outs, {}};
  Layout part;
  int64_t offset;
  indexing::select(c, a.out[0].layout(), 2, part, offset);
  const Tensor to = a.out[0].view(part, offset), &v = a.in[1];
  Layout from(part.shape, part.shape);
  for (int i = 0; i < part.shape.ndim(); ++i) {
    const int k = v.ndim() - part.shape.ndim() + i;
    from.stride[i] = k < 0 || v.dim(k) == 1 ? 0 : v.stride()[k];
  }
  if (!Add) return copy_strided(v.view(from), to);
  if (part.shape.count() == 0) return;
  dispatch_storage(to.dtype(), [&](auto tag) {
    using T = decltype(tag);
    Odometer at(part.shape, {from.stride, part.stride});
    for (int64_t i = 0; i < part.shape.count(); ++i, at.next()) {
      T& x = to.data<T>()[at.offset(1)];
      x = static_cast<T>(x + v.data<T>()[at.offset(0)]);
    }
  });
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(indexing_subtensor) {
  const auto* params = &param::IndexDescMaskDump::kSchema;
  r.add({.name = "Subtensor", .doc = "x[begin:end:step, index, ...].", .mge = {"Subtensor"}, .params = params, .max_inputs = -1,
         .infer = infer_subtensor, .view = view_subtensor, .kernels = {{.name = "reference", .run = copy, .strided = true}},
         .grad = [](const GradContext& c) -> std::vector<Var> {
           Tensor zero = Tensor::zeros(DTypeEnum::Float32, {1});
           std::vector<Var> in = {emit1("Broadcast", {zero, emit1("GetVarShape", {c.in[0]})}), c.dout[0]};
           in.insert(in.end(), c.in.begin() + 1, c.in.end());
           std::vector<Var> out(c.in.size());
           out[0] = emit1("IncrSubtensor", c.attrs.params, in);
           return out;
         },
         .exact = true});
  r.add({.name = "SetSubtensor", .doc = "A copy of input 0 with a part replaced by input 1.", .mge = {"SetSubtensor"}, .params = params,
         .min_inputs = 2, .max_inputs = -1, .infer = infer_write, .kernels = {{.name = "reference", .run = write<false>, .strided = true}}, .exact = true});
  r.add({.name = "IncrSubtensor", .doc = "A copy of input 0 with input 1 added to a part.", .mge = {"IncrSubtensor"}, .params = params,
         .min_inputs = 2, .max_inputs = -1, .infer = infer_write, .kernels = {{.name = "reference", .run = write<true>, .strided = true}}, .exact = true});
}
