#include "megalith/ops/grad_util.h"

#include "megalith/recorder.h"

namespace megalith::grads {

Var constant(double v, DType dtype) {
  if (dtype.id == DTypeEnum::Int32) {
    const auto whole = static_cast<int32_t>(v);
    return Tensor::of<int32_t>(dtype, {1}, {&whole, 1});
  }
  const auto value = static_cast<float>(v);
  Tensor t = Tensor::empty(dtype, {1});
  dispatch_float(dtype, [&](auto tag) {
    using T = decltype(tag);
    *t.data<T>() = T(value);
  });
  return t;
}

Var add_defined(const Var& a, const Var& b) {
  if (!a.defined()) return b;
  return b.defined() ? add(a, b) : a;
}

namespace {
// Eager values know their shapes; recorded calls may run again with others.
bool shapes_known(std::initializer_list<Var> values) {
  return !Recorder::active() && std::none_of(values.begin(), values.end(), [](const Var& v) { return v.is_graph(); });
}

Var whole_numbers(std::span<const int32_t> v) {
  return Tensor::of<int32_t>(DTypeEnum::Int32, {static_cast<int64_t>(v.size())}, v);
}
}  // namespace

Var shape_of(const Var& v) {
  if (!shapes_known({v}) || v.tensor().ndim() == 0) return emit1("GetVarShape", {v});
  const Shape& shape = v.tensor().shape();
  int32_t sizes[kMaxDims];
  std::copy(shape.begin(), shape.end(), sizes);
  return whole_numbers({sizes, static_cast<size_t>(shape.ndim())});
}
Var count_of(const Var& v) {
  if (shapes_known({v})) {
    const auto count = static_cast<int32_t>(v.tensor().count());
    return whole_numbers({&count, 1});
  }
  const Var one = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{1});
  return emit1("Reduce", param::Reduce{.mode = param::ReduceMode::PRODUCT}, {shape_of(v), one});
}
Var size_of(const Var& v, int axis) { return emit1("GetVarShape", param::OptionalAxisV1{axis}, {v}); }

Var count_ratio(const Var& x, const Var& y) {
  if (shapes_known({x, y}))
    return constant(static_cast<double>(x.tensor().count()) / static_cast<double>(y.tensor().count()),
                    DTypeEnum::Float32);
  const auto elements = [](const Var& v) {
    return emit1("TypeCvt", param::TypeCvt{.dtype = DTypeEnum::Float32}, {count_of(v)});
  };
  return div(elements(x), elements(y));
}

bool same_shapes(const Var& a, const Var& b) {
  return shapes_known({a, b}) && a.tensor().shape() == b.tensor().shape();
}

Var sum_like(const Var& d, const Var& like) {
  if (same_shapes(d, like)) return d;
  return emit1("Reduce", param::Reduce{.mode = param::ReduceMode::SUM}, {d, shape_of(like)});
}

Var sum_to_count(const Var& d, const Var& like) {
  if (shapes_known({d, like}) && d.tensor().count() == like.tensor().count())
    return emit1("Reshape", {d, shape_of(like)});
  const Var flat = emit1("Reduce", param::Reduce{.mode = param::ReduceMode::SUM}, {d, count_of(like)});
  if (shapes_known({like}) && like.tensor().ndim() == 1) return flat;
  return emit1("Reshape", {flat, shape_of(like)});
}

Var broadcast_like(const Var& v, const Var& like) { return emit1("Broadcast", {v, shape_of(like)}); }
Var zeros_like(const Var& like, DType dtype) { return broadcast_like(constant(0, dtype), like); }
Var ones_like(const Var& like, DType dtype) { return broadcast_like(constant(1, dtype), like); }

Var add_axis(const Var& v, int axis) { return emit1("AxisAddRemove", Params(param::AxisAddRemove{}, {0, axis}), {v}); }
Var remove_axis(const Var& v, int axis) {
  return emit1("AxisAddRemove", Params(param::AxisAddRemove{}, {1, axis}), {v});
}

void unsupported(const GradContext& c, const std::string& what) { throw UnsupportedError(cat(c.op.name, ": ", what)); }

void only_outputs(const GradContext& c, std::initializer_list<size_t> allowed, const char* names) {
  for (size_t i = 0; i < c.dout.size(); ++i) {
    if (c.dout[i].defined() && std::find(allowed.begin(), allowed.end(), i) == allowed.end())
      unsupported(c, cat("no gradient flows through output ", i, ", only through ", names));
  }
}

std::vector<Var> emit_same(const GradContext& c, const char* op, const std::vector<Var>& in) {
  Attrs attrs;
  attrs.params = c.attrs.params;
  attrs.policy = c.attrs.policy;
  return emit(Registry::get().at(op), attrs, in);
}

std::vector<Var> norm_gradient(const GradContext& c) {
  only_outputs(c, {0}, "the result");
  const bool affine = c.in.size() == 3;
  std::vector<Var> in = {c.dout[0], c.in[0]}, r(c.in.size());
  if (affine) in.push_back(c.in[1]);
  in.push_back(c.out[1]);
  in.push_back(c.out[2]);
  const std::vector<Var> g = emit_same(c, (std::string(c.op.name) + "Backward").c_str(), in);
  for (size_t i = 0; i < r.size(); ++i) r[i] = g[i];
  return r;
}

GradReads reads_norm(const Attrs&, const std::vector<bool>&) { return {3, 6}; }

namespace {
std::vector<Var> with_extra(const GradContext& c, std::vector<Var> in, size_t extra) {
  for (size_t i = 0; i < extra; ++i) in.push_back(c.in[2 + i]);
  return in;
}
}  // namespace

std::vector<Var> conv_forward_gradient(const GradContext& c, const ConvOps& ops) {
  std::vector<Var> r(c.in.size());
  const auto call = [&](const char* op, const Var& factor, const Var& shape) {
    std::vector<Var> in = with_extra(c, {factor, c.dout[0]}, c.in.size() - 2);
    in.push_back(shape);
    return emit_same(c, op, in)[0];
  };
  if (c.needs[0]) r[0] = call(ops.data, c.in[1], c.in[0]);
  if (c.needs[1]) r[1] = call(ops.filter, c.in[0], c.in[1]);
  return r;
}

std::vector<Var> conv_data_gradient(const GradContext& c, const ConvOps& ops, size_t extra) {
  std::vector<Var> r(c.in.size());
  if (c.needs[0]) {
    std::vector<Var> in = with_extra(c, {c.dout[0], c.in[1]}, extra);
    in.push_back(c.in[0]);
    r[0] = emit_same(c, ops.filter, in)[0];
  }
  if (c.needs[1]) r[1] = emit_same(c, ops.forward, with_extra(c, {c.dout[0], c.in[0]}, extra))[0];
  return r;
}

std::vector<Var> conv_filter_gradient(const GradContext& c, const ConvOps& ops, size_t extra) {
  std::vector<Var> r(c.in.size());
  if (c.needs[0]) {
    std::vector<Var> in = with_extra(c, {c.dout[0], c.in[1]}, extra);
    in.push_back(c.in[0]);
    r[0] = emit_same(c, ops.data, in)[0];
  }
  if (c.needs[1]) r[1] = emit_same(c, ops.forward, with_extra(c, {c.in[0], c.dout[0]}, extra))[0];
  return r;
}

Var selection_get_gradient(const GradContext& c, const char* incr) {
  std::vector<Var> in = c.in;
  in[0] = zeros_like(c.in[0], c.dtype(0));
  in.insert(in.begin() + 1, c.dout[0]);
  return emit1(incr, c.attrs.params, in);
}

std::vector<Var> selection_modify_gradient(const GradContext& c, const char* get, const char* set) {
  std::vector<Var> r(c.in.size());
  if (c.needs[0]) {
    std::vector<Var> in = c.in;
    in[0] = c.dout[0];
    in[1] = constant(0, c.dtype(0));
    r[0] = set ? emit1(set, c.attrs.params, in) : c.dout[0];
  }
  if (c.needs[1]) {
    std::vector<Var> in = c.in;
    in.erase(in.begin() + 1);
    in[0] = c.dout[0];
    r[1] = sum_like(emit1(get, c.attrs.params, in), c.in[1]);
  }
  return r;
}

GradReads reads_nothing(const Attrs&, const std::vector<bool>&) { return {0, 0}; }
GradReads reads_other_factor(const Attrs&, const std::vector<bool>& needs) {
  return {~3u | (needs[0] ? 2u : 0u) | (needs[1] ? 1u : 0u), 0};
}

}  // namespace megalith::grads
