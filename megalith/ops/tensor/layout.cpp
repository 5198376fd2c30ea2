// Ops that see their input through another layout: Reshape, Broadcast, Dimshuffle, AxisAddRemove, Split, and the
// two that belong to them: GetVarShape and Concat.
#include "megalith/ops/grad_util.h"
#include "megalith/sort_few.h"

namespace megalith {
namespace {

template <CopyFn kCopy>
void copy_same_count(const KernelArgs& a) {
  const Tensor& out = a.out[0];
  if (out.contiguous()) return kCopy(a.in[0], out.view(Layout(a.in[0].shape())), a.exec);
  copy_strided(a.in[0].to_contiguous().reshaped(out.shape()), out);
}

// Rows of packed elements begin at a byte: their parts and other orders are copies.
bool packed(const InferContext& c) { return c.dtype(0).is_lowbit(); }

Shape target_shape(const InferContext& c, int input) {
  const std::vector<int64_t> v = c.ints(input, kMaxDims);
  c.require(!v.empty(), "the target shape is empty");
  return Shape(std::span<const int64_t>(v));
}

// ---- GetVarShape

void infer_get_var_shape(InferContext& c) {
  const Shape s = c.nin() == 1 ? c.shape(0) : broadcast_shapes(c);
  std::vector<int32_t> v;
  const int32_t axis = c.param<param::OptionalAxisV1>().axis;
  if (axis == kMaxDims) {
    for (const int64_t d : s) v.push_back(static_cast<int32_t>(d));
  } else {
    v.push_back(static_cast<int32_t>(s[c.axis(axis, s.ndim())]));
  }
  const Shape shape{static_cast<int64_t>(v.size())};
  c.set(0, DTypeEnum::Int32, shape);
  c.out[0].value = Tensor::of<int32_t>(DTypeEnum::Int32, shape, v);
}

void get_var_shape_reference(const KernelArgs& a) {
  TensorSpec out;
  std::vector<TensorSpec> in;
  for (const Tensor& t : a.in) in.push_back({t.dtype(), t.shape(), {}});
  InferContext c{Registry::get().at("GetVarShape"), a.attrs, in, {&out, 1}, {}};
  infer_get_var_shape(c);
  copy_strided(out.value, a.out[0]);
}

// ---- Reshape

void infer_reshape(InferContext& c) {
  const Shape& in = c.shape(0);
  Shape out = target_shape(c, 1);
  const int32_t axis = c.param<param::OptionalAxisV1>().axis;
  const int unknown = axis == kMaxDims ? -1 : c.axis(axis, out.ndim());
  const int64_t total = in.count();
  int64_t rest = 1;
  for (int i = 0; i < out.ndim(); ++i) {
    if (i == unknown) continue;
    c.require(out[i] >= 0, "target shape ", out, " has a negative dimension");
    c.require(!__builtin_mul_overflow(rest, out[i], &rest), "target shape ", out, " is too large");
  }
  if (unknown >= 0) {
    c.require(rest > 0 && total % rest == 0, "can't reshape ", in, " to ", out, " with axis ", unknown, " inferred");
    out[unknown] = total / rest;
  } else {
    c.require(rest == total, "can't reshape ", in, " (", total, " elements) to ", out);
  }
  if (packed(c)) {
    c.require(in.ndim() > 0 && in[in.ndim() - 1] == out[out.ndim() - 1], "the last dimension of a ", c.dtype(0).str(),
              " tensor can't change: ", in, " to ", out);
  }
  c.set(0, c.dtype(0), out);
}

// The strides under which the memory of `in` has `shape`; false when there are none.
bool restride(const Layout& in, const Shape& shape, Layout& out) {
  out = Layout(shape);
  if (in.contiguous() || shape.count() == 0) return true;
  std::vector<std::pair<int64_t, int64_t>> from;  // dimensions other than 1, innermost last
  for (int i = 0; i < in.shape.ndim(); ++i) {
    if (in.shape[i] != 1) from.push_back({in.shape[i], in.stride[i]});
  }
  int d = shape.ndim() - 1;
  size_t f = from.size();
  while (f > 0) {
    int64_t extent = from[f - 1].first;
    const int64_t inner = from[f - 1].second;
    --f;
    int64_t got = 1;
    while (f > 0 && from[f - 1].second == extent * inner) extent *= from[--f].first;  // one run of memory
    while (got < extent) {
      if (d < 0) return false;
      out.stride[d] = inner * got;
      got *= shape[d--];
    }
    if (got != extent) return false;
  }
  return true;
}

bool view_reshape(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  Layout l;
  if (packed(c) && !in[0].contiguous()) return false;
  if (!restride(in[0], c.out[0].shape, l)) return false;
  out[0] = {0, l, 0};
  return true;
}

std::vector<Var> grad_reshape(const GradContext& c) {
  return {emit1("Reshape", param::OptionalAxisV1{}, {c.dout[0], grads::shape_of(c.in[0])}), {}};
}

// ---- Broadcast

void infer_broadcast(InferContext& c) {
  const Shape& in = c.shape(0);
  const Shape out = target_shape(c, 1);
  const int lead = out.ndim() - in.ndim();
  c.require(lead >= 0, "can't broadcast ", in, " to ", out);
  int64_t total = 1;
  for (int i = 0; i < out.ndim(); ++i) {
    c.require(out[i] >= 0, "target shape ", out, " has a negative dimension");
    c.require(!__builtin_mul_overflow(total, out[i], &total), "target shape ", out, " is too large");
    if (i >= lead) c.require(in[i - lead] == 1 || in[i - lead] == out[i], "can't broadcast ", in, " to ", out);
  }
  c.set(0, c.dtype(0), out);
}

Layout broadcast_layout(const Layout& in, const Shape& shape) {
  Layout l(shape);
  const int lead = shape.ndim() - in.shape.ndim();
  for (int i = 0; i < shape.ndim(); ++i) {
    const bool repeat = i < lead || (in.shape[i - lead] == 1 && shape[i] != 1);
    l.stride[i] = repeat ? 0 : in.stride[i - lead];
  }
  return l;
}

bool view_broadcast(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  if (packed(c)) return false;
  out[0] = {0, broadcast_layout(in[0], c.out[0].shape), 0};
  return true;
}

template <CopyFn kCopy>
void broadcast(const KernelArgs& a) {
  kCopy(a.in[0].view(broadcast_layout(a.in[0].layout(), a.out[0].shape())), a.out[0], a.exec);
}

// ---- Dimshuffle

void infer_dimshuffle(InferContext& c) {
  const Shape& in = c.shape(0);
  const std::vector<int32_t>& pattern = c.attrs.params.list();
  c.require(!pattern.empty() && pattern.size() <= kMaxDims, "the pattern has ", pattern.size(), " entries");
  bool used[kMaxDims] = {};
  Shape out;
  for (const int32_t p : pattern) {
    c.require(p >= -1 && p < in.ndim(), "pattern entry ", p, " is out of range for ", in);
    c.require(p < 0 || !used[p], "axis ", p, " stands twice in the pattern");
    if (p >= 0) used[p] = true;
    out.push_back(p < 0 ? 1 : in[p]);
  }
  for (int i = 0; i < in.ndim(); ++i) {
    c.require(used[i] || in[i] == 1, "axis ", i, " of ", in, " is dropped but not 1");
  }
  c.set(0, c.dtype(0), out);
}

Layout dimshuffle_layout(const Attrs& attrs, const Layout& in) {
  Layout l;
  for (const int32_t p : attrs.params.list()) {
    l.shape.push_back(p < 0 ? 1 : in.shape[p]);
    l.stride.push_back(p < 0 ? 1 : in.stride[p]);
  }
  return l;
}

bool view_dimshuffle(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  if (packed(c)) return false;
  out[0] = {0, dimshuffle_layout(c.attrs, in[0]), 0};
  return true;
}

template <CopyFn kCopy>
void dimshuffle(const KernelArgs& a) {
  kCopy(a.in[0].view(dimshuffle_layout(a.attrs, a.in[0].layout())), a.out[0], a.exec);
}

// The axes back in their old order; the shape of the input brings back axes of size 1 that were dropped.
std::vector<Var> grad_dimshuffle(const GradContext& c) {
  const std::vector<int32_t>& pattern = c.attrs.params.list();
  Params back = c.attrs.params;
  back.as<param::Dimshuffle>().ndim = static_cast<uint32_t>(pattern.size());
  std::vector<std::pair<int32_t, int32_t>> kept;  // (axis of the input, axis of the output)
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] >= 0) kept.push_back({pattern[i], static_cast<int32_t>(i)});
  }
  sort_few(kept.begin(), kept.end(), std::less<>());
  back.list().clear();
  for (const auto& [from, to] : kept) back.list().push_back(to);
  if (back.list().empty()) back.list().push_back(-1);
  const Var d = emit1("Dimshuffle", back, {c.dout[0]});
  if (kept.size() == c.attrs.param<param::Dimshuffle>().ndim) return {d};
  return {emit1("Reshape", {d, grads::shape_of(c.in[0])})};
}

// ---- AxisAddRemove

void infer_axis_add_remove(InferContext& c) {
  Shape s = c.shape(0);
  const std::vector<int32_t>& list = c.attrs.params.list();
  c.require(list.size() % 2 == 0, "the axis list is cut off");
  for (size_t i = 0; i + 1 < list.size(); i += 2) {
    if (list[i] == 0) {
      c.require(s.ndim() < kMaxDims, "more than ", kMaxDims, " dimensions after adding an axis to ", s);
      s.insert(c.axis(list[i + 1], s.ndim() + 1), 1);
    } else {
      c.require(list[i] == 1, "unknown method ", list[i]);
      const int axis = c.axis(list[i + 1], s.ndim());
      c.require(s[axis] == 1, "axis ", axis, " of ", s, " is removed but not 1");
      if (s.ndim() > 1) s.erase(axis);
    }
  }
  if (packed(c)) {
    const Shape& in = c.shape(0);
    c.require(in[in.ndim() - 1] == s[s.ndim() - 1], "the last dimension of a ", c.dtype(0).str(),
              " tensor can't change");
  }
  c.set(0, c.dtype(0), s);
}

std::vector<Var> grad_broadcast(const GradContext& c) { return {grads::sum_like(c.dout[0], c.in[0]), {}}; }

std::vector<Var> grad_axis_add_remove(const GradContext& c) {
  return {emit1("Reshape", param::OptionalAxisV1{}, {c.dout[0], grads::shape_of(c.in[0])})};
}

// ---- Concat and Split

void infer_concat(InferContext& c) {
  Shape out = c.shape(0);
  const int axis = c.axis(c.param<param::Axis>().axis, out.ndim());
  for (int i = 0; i < c.nin(); ++i) {
    const Shape& s = c.shape(i);
    c.require(s.ndim() == out.ndim(), "input ", i, " has shape ", s, ", input 0 ", c.shape(0));
    for (int d = 0; d < s.ndim(); ++d) {
      c.require(d == axis || s[d] == out[d], "input ", i, " has shape ", s, ", input 0 ", c.shape(0), "; axis ", axis);
    }
    if (i > 0) out[axis] += s[axis];
  }
  c.set(0, promoted_dtype(c), out);
}

template <CopyFn kCopy>
void concat(const KernelArgs& a) {
  const Tensor& out = a.out[0];
  const int32_t axis = a.param<param::Axis>().axis;
  const int d = axis < 0 ? axis + out.ndim() : axis;
  int64_t at = 0;
  for (const Tensor& t : a.in) {
    if (t.count() > 0)
      kCopy(converted(t, out.dtype(), a.exec), out.view(Layout(t.shape(), out.stride()), at * out.stride()[d]), a.exec);
    at += t.dim(d);
  }
}

std::vector<Var> grad_concat(const GradContext& c) {
  std::vector<Var> inputs = {c.dout[0]};
  const int32_t axis = c.attrs.param<param::Axis>().axis;
  // A negative axis counts from the end of the shape, which GetVarShape does as well.
  for (const Var& v : c.in) inputs.push_back(emit1("GetVarShape", param::OptionalAxisV1{axis}, {v}));
  Attrs attrs;
  attrs.params = param::Axis{axis};
  return emit(Registry::get().at("Split"), attrs, inputs);
}

void infer_split(InferContext& c) {
  const Shape& in = c.shape(0);
  const int axis = c.axis(c.param<param::Axis>().axis, in.ndim());
  int64_t left = in[axis];
  for (int i = 1; i < c.nin(); ++i) {
    const std::vector<int64_t> size = c.ints(i, 1);
    c.require(size.size() == 1 && size[0] >= 0 && size[0] <= left, "part ", i - 1, " does not fit axis ", axis, " of ",
              in);
    left -= size[0];
    Shape s = in;
    s[axis] = size[0];
    c.set(i - 1, c.dtype(0), s);
  }
  c.require(left == 0, "the parts leave ", left, " of axis ", axis, " of ", in);
}

int split_outputs(const Attrs&, int n_inputs) { return n_inputs - 1; }

bool view_split(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  if (packed(c)) return false;
  const int axis = c.axis(c.param<param::Axis>().axis, c.shape(0).ndim());
  int64_t at = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = {0, Layout(c.out[i].shape, in[0].stride), at * in[0].stride[axis]};
    at += c.out[i].shape[axis];
  }
  return true;
}

template <CopyFn kCopy>
void split(const KernelArgs& a) {
  const Tensor& in = a.in[0];
  const int32_t axis = a.param<param::Axis>().axis;
  const int d = axis < 0 ? axis + in.ndim() : axis;
  int64_t at = 0;
  for (const Tensor& t : a.out) {
    if (t.count() > 0) kCopy(in.view(Layout(t.shape(), in.stride()), at * in.stride()[d]), t, a.exec);
    at += t.dim(d);
  }
}

std::vector<Var> grad_split(const GradContext& c) {
  std::vector<Var> parts, r(c.in.size());
  if (!c.needs[0]) return r;
  for (size_t i = 0; i < c.dout.size(); ++i)
    parts.push_back(c.dout[i].defined() ? c.dout[i] : grads::zeros_like(c.out[i], c.dtype(0)));
  r[0] = emit1("Concat", c.attrs.params, parts);
  return r;
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_layout) {
  r.add({.name = "GetVarShape",
         .doc = "The broadcast shape of the inputs, or one dimension of it.",
         .mge = {"GetVarShapeV1"},
         .params = &param::OptionalAxisV1::kSchema,
         .max_inputs = -1,
         .infer = infer_get_var_shape,
         .kernels = {{.name = "reference", .run = get_var_shape_reference, .strided = true}},
         .exact = true});
  r.add({.name = "Reshape",
         .doc = "The elements of input 0 in the shape that input 1 holds; one axis may be inferred.",
         .mge = {"ReshapeV1"},
         .params = &param::OptionalAxisV1::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_reshape,
         .view = view_reshape,
         .kernels = copy_kernels(copy_same_count<copy_strided>, copy_same_count<copy_plain>),
         .grad = grad_reshape,
         .grad_reads = grads::reads_nothing,
         .exact = true});
  r.add({.name = "Broadcast",
         .doc = "Input 0 repeated to the shape that input 1 holds.",
         .mge = {"Broadcast"},
         .params = &param::Empty::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_broadcast,
         .view = view_broadcast,
         .kernels = copy_kernels(any_width<broadcast<copy_strided>>, any_width<broadcast<copy_plain>>),
         .grad = grad_broadcast,
         .grad_reads = grads::reads_nothing,
         .exact = true});
  r.add({.name = "Dimshuffle",
         .doc = "Permutes, adds and drops axes.",
         .mge = {"Dimshuffle"},
         .params = &param::Dimshuffle::kSchema,
         .infer = infer_dimshuffle,
         .view = view_dimshuffle,
         .kernels = copy_kernels(any_width<dimshuffle<copy_strided>>, any_width<dimshuffle<copy_plain>>),
         .grad = unless_trimmed(grad_dimshuffle),
         .grad_reads = grads::reads_nothing,
         .exact = true});
  r.add({.name = "AxisAddRemove",
         .doc = "Adds and removes axes of size 1.",
         .mge = {"AxisAddRemove"},
         .params = &param::AxisAddRemove::kSchema,
         .infer = infer_axis_add_remove,
         .view = view_reshape,
         .kernels = copy_kernels(copy_same_count<copy_strided>, copy_same_count<copy_plain>),
         .grad = unless_trimmed(grad_axis_add_remove),
         .grad_reads = grads::reads_nothing,
         .exact = true});
  r.add({.name = "Concat",
         .doc = "The inputs one after another along an axis.",
         .mge = {"Concat"},
         .params = &param::Axis::kSchema,
         .max_inputs = -1,
         .infer = infer_concat,
         .kernels = copy_kernels(any_width<concat<copy_strided>>, any_width<concat<copy_plain>>, Order::kLikeInput),
         .grad = unless_trimmed(grad_concat),
         .grad_reads = grads::reads_nothing,
         .exact = true});
  if (kTrimmed) return;
  r.add({.name = "Split",
         .doc = "Cuts input 0 along an axis into parts whose sizes the other inputs hold.",
         .mge = {"Split"},
         .params = &param::Axis::kSchema,
         .min_inputs = 2,
         .max_inputs = -1,
         .outputs = split_outputs,
         .infer = infer_split,
         .view = view_split,
         .kernels = copy_kernels(any_width<split<copy_strided>>, any_width<split<copy_plain>>),
         .grad = grad_split,
         .grad_reads = grads::reads_nothing,
         .exact = true});
}
