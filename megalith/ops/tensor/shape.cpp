// Ops that look at or change shapes: nearly all of them are views.
#include "megalith/ops/op_util.h"
#include "megalith/var.h"

namespace megalith {
namespace {

void copy_same_shape(const KernelArgs& a) {
  copy_strided(a.in[0].contiguous() ? a.in[0].view(Layout(a.out[0].shape())) : a.in[0].to_contiguous().view(Layout(a.out[0].shape())), a.out[0]);
}

// ---- GetVarShape
void infer_get_var_shape(InferContext& c) {
  Shape shape = broadcast_shapes(c);
  const int32_t axis = c.param<param::OptionalAxisV1>().axis;
  std::vector<int32_t> dims(shape.begin(), shape.end());
  if (axis != 7) {
    const int i = c.axis(axis, shape.ndim());
    dims = {static_cast<int32_t>(shape[i])};
  }
  if (dims.empty()) dims.push_back(1);
  const Tensor t = Tensor::of<int32_t>(DTypeEnum::Int32, {static_cast<int64_t>(dims.size())}, dims);
  c.out[0] = {t.dtype(), t.shape(), t};
}

// ---- Reshape
Shape target_shape(const InferContext& c, int input) {
  c.require(c.shape(input).count() <= kMaxDims, "the target shape has ", c.shape(input).count(), " dimensions; at most ", kMaxDims);
  const std::vector<int64_t> dims = c.ints(input);
  for (int64_t d : dims) c.require(d >= -1 && d <= (int64_t{1} << 40), "the target shape holds ", d);
  return Shape(dims);
}

void infer_reshape(InferContext& c) {
  Shape t = target_shape(c, 1);
  const int64_t n = c.shape(0).count();
  const int32_t axis = c.param<param::OptionalAxisV1>().axis;
  int free = -1;
  if (axis != 7) {
    free = c.axis(axis, t.ndim());
  } else {
    for (int i = 0; i < t.ndim(); ++i) {
      if (t[i] != -1) continue;
      c.require(free < 0, "the target shape ", t, " has more than one -1");
      free = i;
    }
  }
  if (free >= 0) {
    t[free] = 1;
    const int64_t rest = t.count();
    c.require(rest > 0 ? n % rest == 0 : n == 0, "can't reshape ", c.shape(0), " to ", t, " with axis ", free, " free");
    t[free] = rest > 0 ? n / rest : 0;
  }
  for (int64_t d : t) c.require(d >= 0, "the target shape ", t, " has a negative dimension");
  c.require(t.count() == n, "can't reshape ", c.shape(0), " (", n, " elements) to ", t, " (", t.count(), ")");
  c.set(0, c.dtype(0), t);
}

bool view_contiguous(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  if (!in[0].contiguous()) return false;
  out[0] = {0, Layout(c.out[0].shape), 0};
  return true;
}

std::vector<Var> grad_reshape(const GradContext& c) {
  return {emit1("Reshape", {c.dout[0], emit1("GetVarShape", {c.in[0]})}), Var()};
}

// ---- Broadcast
void infer_broadcast(InferContext& c) {
  const Shape t = target_shape(c, 1), &s = c.shape(0);
  bool ok = t.ndim() >= s.ndim();
  for (int i = 0; ok && i < s.ndim(); ++i) ok = s[s.ndim() - 1 - i] == 1 || s[s.ndim() - 1 - i] == t[t.ndim() - 1 - i];
  for (int64_t d : t) ok = ok && d >= 0;
  c.require(ok, "can't broadcast ", s, " to ", t);
  c.set(0, c.dtype(0), t);
}

bool view_broadcast(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  const Shape& t = c.out[0].shape;
  Layout l(t, t);
  const int lead = t.ndim() - in[0].shape.ndim();
  for (int i = 0; i < t.ndim(); ++i) {
    l.stride[i] = i < lead || in[0].shape[i - lead] != t[i] ? 0 : in[0].stride[i - lead];
  }
  out[0] = {0, l, 0};
  return true;
}

std::vector<Var> grad_broadcast(const GradContext& c) {
  return {emit1("Reduce", param::Reduce{}, {c.dout[0], emit1("GetVarShape", {c.in[0]})}), Var()};
}

// ---- Dimshuffle
void infer_dimshuffle(InferContext& c) {
  const std::vector<int32_t>& pattern = c.attrs.params.list();
  const uint32_t ndim = c.param<param::Dimshuffle>().ndim;
  c.require(ndim == 0 || static_cast<int>(ndim) == c.shape(0).ndim(), "is for ", ndim, " dimensions, the input has shape ", c.shape(0));
  c.require(!pattern.empty() && pattern.size() <= static_cast<size_t>(kMaxDims), "pattern has ", pattern.size(), " entries");
  Shape t;
  std::vector<bool> used(static_cast<size_t>(c.shape(0).ndim()), false);
  for (int32_t p : pattern) {
    if (p == -1) {
      t.push_back(1);
      continue;
    }
    c.require(p >= 0 && p < c.shape(0).ndim() && !used[static_cast<size_t>(p)], "pattern names axis ", p, " of shape ", c.shape(0));
    used[static_cast<size_t>(p)] = true;
    t.push_back(c.shape(0)[p]);
  }
  for (int i = 0; i < c.shape(0).ndim(); ++i) {
    c.require(used[static_cast<size_t>(i)] || c.shape(0)[i] == 1, "pattern drops axis ", i, " of shape ", c.shape(0));
  }
  c.set(0, c.dtype(0), t);
}

bool view_dimshuffle(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  const std::vector<int32_t>& pattern = c.attrs.params.list();
  Layout l(c.out[0].shape);
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] >= 0) l.stride[static_cast<int>(i)] = in[0].stride[pattern[i]];
  }
  out[0] = {0, l, 0};
  return true;
}

std::vector<Var> grad_dimshuffle(const GradContext& c) {
  const std::vector<int32_t>& p = c.attrs.params.list();
  int32_t ndim = 0;
  for (int32_t v : p) ndim = std::max(ndim, v + 1);
  std::vector<int32_t> back(static_cast<size_t>(ndim), -1);
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] >= 0) back[static_cast<size_t>(p[i])] = static_cast<int32_t>(i);
  }
  return {emit1("Dimshuffle", Params(param::Dimshuffle{.ndim = static_cast<uint32_t>(p.size())}, back), {c.dout[0]})};
}

// ---- AxisAddRemove
bool axis_add_remove(const InferContext& c, Layout& l) {
  const std::vector<int32_t>& desc = c.attrs.params.list();
  for (size_t i = 0; i + 1 < desc.size(); i += 2) {
    if (desc[i] == 0) {
      c.require(l.shape.ndim() < kMaxDims, "more than ", kMaxDims, " dimensions");
      const int at = c.axis(desc[i + 1], l.shape.ndim() + 1);
      l.shape.insert(at, 1);
      l.stride.insert(at, 1);
    } else {
      const int at = c.axis(desc[i + 1], l.shape.ndim());
      c.require(l.shape[at] == 1, "can't remove axis ", at, " of shape ", l.shape);
      if (l.shape.ndim() == 1) continue;  // a scalar keeps one axis
      l.shape.erase(at);
      l.stride.erase(at);
    }
  }
  return true;
}

void infer_axis_add_remove(InferContext& c) {
  Layout l(c.shape(0));
  axis_add_remove(c, l);
  c.set(0, c.dtype(0), l.shape);
}

bool view_axis_add_remove(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  Layout l = in[0];
  axis_add_remove(c, l);
  out[0] = {0, l, 0};
  return true;
}

// ---- Concat
void infer_concat(InferContext& c) {
  const int axis = c.axis(c.param<param::Axis>().axis, c.shape(0).ndim());
  Shape t = c.shape(0);
  for (int i = 1; i < c.nin(); ++i) {
    const Shape& s = c.shape(i);
    bool ok = s.ndim() == t.ndim() && c.dtype(i) == c.dtype(0);
    for (int d = 0; ok && d < t.ndim(); ++d) ok = d == axis || s[d] == t[d];
    c.require(ok, "input ", i, " is ", c.dtype(i).str(), s, ", input 0 is ", c.dtype(0).str(), c.shape(0), "; axis=", axis);
    t[axis] += s[axis];
  }
  c.set(0, c.dtype(0), t);
}

void concat(const KernelArgs& a) {
  const Tensor& out = a.out[0];
  const int32_t given = a.param<param::Axis>().axis;
  const int axis = given < 0 ? given + out.ndim() : given;
  int64_t at = 0;
  for (const Tensor& t : a.in) {
    copy_strided(t, out.view(Layout(t.shape(), out.stride()), at * out.stride()[axis]));
    at += t.dim(axis);
  }
}

std::vector<Var> grad_concat(const GradContext& c) {
  std::vector<Var> in = {c.dout[0]};
  const param::Axis p = c.attrs.param<param::Axis>();
  for (const Var& v : c.in) in.push_back(emit1("GetVarShape", param::OptionalAxisV1{.axis = p.axis}, {v}));
  Attrs attrs;
  attrs.params = Params(p);
  return emit(Registry::get().at("Split"), attrs, in);
}

// ---- Split
int outputs_split(const Attrs&, int inputs) { return inputs - 1; }

void infer_split(InferContext& c) {
  const int axis = c.axis(c.param<param::Axis>().axis, c.shape(0).ndim());
  int64_t total = 0;
  for (int i = 1; i < c.nin(); ++i) {
    const std::vector<int64_t> n = c.ints(i);
    c.require(n.size() == 1 && n[0] >= 0 && n[0] <= c.shape(0)[axis], "part ", i - 1, " has a size that is no number in [0, ", c.shape(0)[axis], "]");
    Shape s = c.shape(0);
    s[axis] = n[0];
    total += n[0];
    c.set(i - 1, c.dtype(0), s);
  }
  c.require(total == c.shape(0)[axis], "the parts have ", total, " elements along axis ", axis, ", the input has shape ", c.shape(0));
}

bool view_split(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  const int axis = c.axis(c.param<param::Axis>().axis, c.shape(0).ndim());
  int64_t at = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = {0, Layout(c.out[i].shape, in[0].stride), at * in[0].stride[axis]};
    at += c.out[i].shape[axis];
  }
  return true;
}

std::vector<Var> grad_split(const GradContext& c) {
  for (const Var& d : c.dout) {
    if (!d.defined()) throw UnsupportedError("Split: a gradient needs every part");
  }
  std::vector<Var> r(c.in.size());
  r[0] = emit1("Concat", Params(c.attrs.param<param::Axis>()), c.dout);
  return r;
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_shape) {
  const Kernel copy{.name = "reference", .run = copy_same_shape, .strided = true};
  r.add({.name = "GetVarShape", .doc = "The shape that the inputs broadcast to, or one dimension of it.", .mge = {"GetVarShapeV1"},
         .params = &param::OptionalAxisV1::kSchema, .max_inputs = -1, .infer = infer_get_var_shape, .exact = true});
  r.add({.name = "Reshape", .doc = "The same elements in another shape.", .mge = {"ReshapeV1"}, .params = &param::OptionalAxisV1::kSchema,
         .min_inputs = 2, .max_inputs = 2, .infer = infer_reshape, .view = view_contiguous, .kernels = {copy}, .grad = grad_reshape, .exact = true});
  r.add({.name = "Broadcast", .doc = "The input repeated to a larger shape.", .mge = {"Broadcast"}, .params = &param::Empty::kSchema,
         .min_inputs = 2, .max_inputs = 2, .infer = infer_broadcast, .view = view_broadcast, .kernels = {copy}, .grad = grad_broadcast, .exact = true});
  r.add({.name = "Dimshuffle", .doc = "Axes permuted, dropped and added.", .mge = {"Dimshuffle"}, .params = &param::Dimshuffle::kSchema,
         .infer = infer_dimshuffle, .view = view_dimshuffle, .kernels = {copy}, .grad = grad_dimshuffle, .exact = true});
  r.add({.name = "AxisAddRemove", .doc = "Axes of size 1 added and removed.", .mge = {"AxisAddRemove"}, .params = &param::AxisAddRemove::kSchema,
         .infer = infer_axis_add_remove, .view = view_axis_add_remove, .kernels = {copy},
         .grad = [](const GradContext& c) -> std::vector<Var> { return {emit1("Reshape", {c.dout[0], emit1("GetVarShape", {c.in[0]})})}; },
         .exact = true});
  r.add({.name = "Concat", .doc = "Inputs joined along an axis.", .mge = {"Concat"}, .params = &param::Axis::kSchema, .max_inputs = -1,
         .infer = infer_concat, .kernels = {{.name = "reference", .run = concat, .strided = true}}, .grad = grad_concat, .exact = true});
  r.add({.name = "Split", .doc = "Input 0 cut along an axis into parts of the sizes in the other inputs.", .mge = {"Split"},
         .params = &param::Axis::kSchema, .min_inputs = 2, .max_inputs = -1, .outputs = outputs_split, .infer = infer_split, .view = view_split,
         .kernels = {copy}, .grad = grad_split, .exact = true});
}
