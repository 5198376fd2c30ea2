// Calls that see a Tensor in another shape, and reductions: their Python arguments (negative axes, -1, sizes that are
// Tensors, scalars) become ops here, so that small tensors cost little.
#include <algorithm>
#include <optional>

#include "megalith/recorder.h"
#include "module.h"

namespace megalith::python {
namespace {

const OpDef& op_named(const char* name) { return Registry::get().at(name); }

// The GIL is kept for what only looks at shapes, and for small tensors.
Var call_with(const OpDef& op, Params params, const std::vector<Var>& inputs) {
  Attrs attrs;
  attrs.params = std::move(params);
  int64_t elements = 0;
  for (const Var& v : inputs) elements += v.is_graph() ? 0 : v.tensor().count();
  const bool quick = op.view || elements <= kQuick;
  return quick ? std::move(emit(op, attrs, inputs)[0]) : call1(op, attrs, inputs);
}

// Whether shapes that calls derive from their operands are computed by recorded ops, so that a graph works for other
// sizes.
bool symbolic_shape = false;
bool records_shapes() { return symbolic_shape && Recorder::active(); }

// Dimensions `from` up to `to` of `v` as a recorded vector.
Var dims_of(const Var& v, int from, int to) {
  static const OpDef& shape = op_named("GetVarShape");
  static const OpDef& slice = op_named("Subtensor");
  return call_with(slice, Params(param::IndexDescMaskDump{}, {0, 1, 1, 0, 0}),
                   {call_with(shape, param::OptionalAxisV1{}, {v}), int_vector({from}), int_vector({to})});
}

Var joined(std::vector<Var> parts) {
  static const OpDef& concat = op_named("Concat");
  return parts.size() == 1 ? parts[0] : call_with(concat, param::Axis{0}, parts);
}

// A size given by the caller: a number, None, or a Tensor that holds a number.
struct Size {
  std::optional<int64_t> value;  // empty: None
  int tensor = -1;               // index in Sizes::tensors
};

// The sizes of a shape argument.
struct Sizes {
  std::vector<Size> list;
  std::vector<Var> tensors;  // sizes that were Tensors
  Var var;                   // a whole shape given as one Tensor
  bool unknown(const Size& s) const { return s.tensor >= 0 && tensors[static_cast<size_t>(s.tensor)].is_graph(); }
};

std::vector<int64_t> integers(const PyVar& v) {
  const Tensor& t = v.var.tensor();
  std::vector<int64_t> r;
  for (int64_t i = 0; i < t.count(); ++i) r.push_back(static_cast<int64_t>(t.item(i)));
  return r;
}

bool is_sequence(nb::handle h) {
  return PyTuple_Check(h.ptr()) || PyList_Check(h.ptr()) || (PySequence_Check(h.ptr()) && !PyUnicode_Check(h.ptr()));
}

void add_size(Sizes& r, nb::handle h, const char* what) {
  Size s;
  if (is_tensor(h)) {
    const PyVar& v = unwrap(h);
    s.tensor = static_cast<int>(r.tensors.size());
    r.tensors.push_back(convert_dtype(v.var, DTypeEnum::Int32));
    if (v.var.is_graph()) {
      s.value = 0;
    } else {
      if (v.var.tensor().count() != 1) throw ArgumentTypeError(cat(what, ": a size is one number"));
      s.value = integers(v)[0];
    }
  } else if (!h.is_none()) {
    s.value = as_integer(h, what);
  }
  r.list.push_back(s);
}

Sizes read_sizes(nb::handle h, const char* what) {
  Sizes r;
  if (is_tensor(h)) {
    const PyVar& v = unwrap(h);
    r.var = convert_dtype(v.var, DTypeEnum::Int32);
    if (!v.var.is_graph()) {
      if (v.var.tensor().ndim() != 1) {
        throw ArgumentError(cat(what, ": a shape is a vector, not ", v.var.tensor().shape()));
      }
      for (const int64_t i : integers(v)) r.list.push_back({i});
    }
  } else if (PyTuple_Check(h.ptr())) {
    const auto n = static_cast<size_t>(PyTuple_Size(h.ptr()));
    r.list.reserve(n);
    for (size_t i = 0; i < n; ++i) add_size(r, PyTuple_GetItem(h.ptr(), static_cast<Py_ssize_t>(i)), what);
  } else if (is_sequence(h)) {
    for (nb::handle item : nb::iter(h)) add_size(r, item, what);
  } else {
    add_size(r, h, what);
  }
  return r;
}

// `f(2, 3)` and `f((2, 3))` mean the same.
nb::object spread(const nb::args& args) {
  if (args.size() == 1) return nb::borrow(args[0]);
  return nb::borrow(args);
}

// The shape as an op's input; `sizes` are final.
Var shape_input(const Sizes& s) {
  if (s.var.defined()) return s.var;
  if (s.tensors.empty()) {
    Tensor t = Tensor::empty(DTypeEnum::Int32, {static_cast<int64_t>(s.list.size())});
    for (size_t i = 0; i < s.list.size(); ++i) t.data<int32_t>()[i] = static_cast<int32_t>(*s.list[i].value);
    return literal(t);
  }
  std::vector<Var> parts;
  for (const Size& i : s.list) {
    parts.push_back(i.tensor >= 0 ? s.tensors[static_cast<size_t>(i.tensor)] : literal(int_vector({*i.value})));
  }
  if (parts.size() == 1) return parts[0];
  static const OpDef& concat = op_named("Concat");
  return call_with(concat, param::Axis{0}, parts);
}

nb::object reshape(nb::handle self, const nb::args& args) {
  const PyVar& x = unwrap(self);
  Sizes s = read_sizes(spread(args), "reshape");
  if (s.list.size() > static_cast<size_t>(kMaxDims)) {
    throw OpError(cat("reshape: ", s.list.size(), " dimensions are more than ", kMaxDims));
  }
  int unknown = kMaxDims;
  for (size_t i = 0; i < s.list.size(); ++i) {
    if (!s.list[i].value) throw ArgumentTypeError("reshape: None is no size");
    int64_t& n = *s.list[i].value;
    if (s.unknown(s.list[i])) continue;
    if (n < -1) throw OpError(cat("reshape: a dimension can't be ", n));
    if (n != -1) continue;
    if (unknown != kMaxDims) throw OpError("reshape: only one dimension can be -1");
    unknown = static_cast<int>(i);
    if (s.list[i].tensor < 0) n = 1;
  }
  const bool scalar = s.list.empty() && !s.var.defined();
  if (scalar) s.list.push_back({1});
  static const OpDef& op = op_named("Reshape");
  const bool keeps = static_cast<int>(s.list.size()) == ndim_of(x);
  return with_format(wrap(call_with(op, param::OptionalAxisV1{unknown}, {x.var, shape_input(s)}), scalar),
                     keeps ? x.format : 0);
}

nb::object broadcast(nb::handle self, const nb::args& args) {
  const PyVar& x = unwrap(self);
  Sizes s = read_sizes(spread(args), "broadcast_to");
  if (s.list.empty() && !s.var.defined()) {
    if (!x.scalar) throw OpError(cat("can't broadcast ", shape_of(x), " to ()"));
    return wrap(x.var, true);
  }
  const int lead = static_cast<int>(s.list.size()) - std::max(ndim_of(x), 0);
  for (size_t i = 0; i < s.list.size(); ++i) {
    Size& d = s.list[i];
    const int at = static_cast<int>(i) - lead;
    if (!d.value) {
      if (at < 0) throw ArgumentError("broadcast_to: None stands for a dimension that the tensor does not have");
      d.value = shape_of(x)[at];
    }
    if (*d.value < 0) {
      throw ArgumentError(cat("broadcast_to: dimension ", i, " can't be ", *d.value));
    }
  }
  static const OpDef& op = op_named("Broadcast");
  return with_format(wrap(call_with(op, param::Empty{}, {x.var, shape_input(s)})), lead == 0 ? x.format : 0);
}

nb::object transpose(nb::handle self, const nb::args& args) {
  const PyVar& x = unwrap(self);
  nb::object pattern = spread(args);
  if (args.size() == 1 && pattern.is_none()) pattern = nb::tuple();
  std::vector<int32_t> list;
  if (is_sequence(pattern) || is_tensor(pattern)) {
    for (nb::handle item : nb::iter(pattern)) {
      const bool added = PyUnicode_Check(item.ptr());
      if (added && nb::cast<std::string>(item) != "x") throw ArgumentError("transpose: an axis is a number or 'x'");
      const int64_t a = added ? -1 : as_integer(item, "transpose");
      list.push_back(a < 0 ? -1 : static_cast<int32_t>(std::min<int64_t>(a, kMaxDims)));
    }
  } else {
    list.push_back(static_cast<int32_t>(as_integer(pattern, "transpose")));
  }
  if (x.scalar) {
    if (!list.empty()) throw IndexingError("transpose: a scalar has no axes");
    return wrap(x.var, true);
  }
  if (list.empty()) {
    for (int i = ndim_of(x); i-- > 0;) list.push_back(i);
  }
  static const OpDef& op = op_named("Dimshuffle");
  const auto ndim = static_cast<uint32_t>(*std::max_element(list.begin(), list.end()) + 1);
  return wrap(call_with(op, Params(param::Dimshuffle{ndim}, list), {x.var}));
}

std::vector<int64_t> axes_of(nb::handle h, const char* what) {
  std::vector<int64_t> r;
  if (is_sequence(h)) {
    for (nb::handle item : nb::iter(h)) r.push_back(as_integer(item, what));
  } else {
    r.push_back(as_integer(h, what));
  }
  return r;
}

nb::object expand_dims(nb::handle self, nb::handle axis) {
  const PyVar& x = unwrap(self);
  const bool one = is_tensor(axis) && unwrap(axis).scalar;
  std::vector<int64_t> axes = one ? std::vector{as_integer(axis, "expand_dims")} : axes_of(axis, "expand_dims");
  const int64_t n = ndim_of(x) + static_cast<int64_t>(axes.size());
  if (n > kMaxDims) throw OpError(cat("expand_dims: more than ", kMaxDims, " dimensions"));
  for (int64_t& a : axes) {
    if (a < -n || a >= n) throw OpError(cat("expand_dims: axis ", a, " is out of range for ", n, " dimensions"));
    if (a < 0) a += n;
  }
  std::sort(axes.begin(), axes.end());
  std::vector<int32_t> list;
  for (size_t i = x.scalar ? 1 : 0; i < axes.size(); ++i) {  // a scalar is stored with its first axis
    list.push_back(0);
    list.push_back(static_cast<int32_t>(axes[i]));
  }
  if (list.empty()) return wrap(x.var, x.scalar && axes.empty());
  static const OpDef& op = op_named("AxisAddRemove");
  return wrap(call_with(op, Params(param::AxisAddRemove{}, list), {x.var}));
}

// Removes sorted axes.
PyVar remove_axes(const Var& x, int ndim, const std::vector<int64_t>& axes) {
  std::vector<int32_t> list;
  for (size_t i = 0; i < axes.size(); ++i) {
    list.push_back(1);
    list.push_back(static_cast<int32_t>(axes[i] - static_cast<int64_t>(i)));
  }
  static const OpDef& op = op_named("AxisAddRemove");
  return {call_with(op, Params(param::AxisAddRemove{}, list), {x}), axes.size() == static_cast<size_t>(ndim)};
}

nb::object squeeze(nb::handle self, nb::handle axis) {
  const PyVar& x = unwrap(self);
  const int n = ndim_of(x);
  std::vector<int64_t> axes;
  if (axis.is_none()) {
    const Shape s = shape_of(x);
    for (int i = 0; i < n; ++i) {
      if (s[i] == 1) axes.push_back(i);
    }
  } else {
    axes = axes_of(axis, "squeeze");
    for (int64_t& a : axes) {
      if (a < -n || a >= n) throw OpError(cat("squeeze: axis ", a, " is out of range for shape ", shape_of(x)));
      if (a < 0) a += n;
    }
    std::sort(axes.begin(), axes.end());
    axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  }
  if (axes.empty()) return wrap(x.var, x.scalar);
  PyVar r = remove_axes(x.var, n, axes);
  return wrap(std::move(r.var), r.scalar);
}

nb::object reduce(const std::string& mode_name, nb::handle self, nb::handle axis, nb::handle keepdims_arg) {
  using Mode = param::ReduceMode;
  const Mode mode = mode_name == "sum"    ? Mode::SUM
                    : mode_name == "mean" ? Mode::MEAN
                    : mode_name == "prod" ? Mode::PRODUCT
                    : mode_name == "min"  ? Mode::MIN
                                          : Mode::MAX;
  const PyVar& x = unwrap(self);
  const int truth = PyObject_IsTrue(keepdims_arg.ptr());
  if (truth < 0) throw nb::python_error();
  const bool keepdims = truth == 1;
  if (axis.is_none() && keepdims) throw ArgumentError(cat(mode_name, ": keepdims needs an axis"));
  const int n = ndim_of(x);
  const bool several = is_sequence(axis);
  std::vector<int64_t> axes;
  if (!axis.is_none()) {
    axes = axes_of(axis, mode_name.c_str());
    for (int64_t& a : axes) {
      if (x.scalar && !several && (a == 0 || a == -1)) {
        a = 0;
        continue;
      }
      if (a < -n || a >= n) {
        const std::string text = cat(mode_name, ": axis ", a, " is out of range for ", n, " dimensions");
        if (several) throw ArgumentError(text);
        throw OpError(text);
      }
      if (a < 0) a += n;
    }
    std::sort(axes.begin(), axes.end());
    if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
      throw ArgumentError(cat(mode_name, ": an axis is given twice"));
    }
  }
  Var v = x.var;
  const DType dtype = dtype_of(v);
  const bool adds = mode == Mode::SUM || mode == Mode::PRODUCT;
  if (adds && dtype.id == DTypeEnum::Bool) v = convert_dtype(v, DTypeEnum::Int32);
  if (mode == Mode::MEAN && !dtype.is_quantized()) v = convert_dtype(v, DTypeEnum::Float32);
  static const OpDef& op = op_named("Reduce");
  // MegEngine's Reduce takes no bools.
  const bool bools = dtype_of(v).id == DTypeEnum::Bool && (v.is_graph() || Recorder::active());
  if (bools) v = convert_dtype(v, DTypeEnum::Int32);
  if (axis.is_none()) {
    static const Var one = int_vector({1});
    v = call_with(op, param::Reduce{.mode = mode}, {v, one});
    return wrap(bools ? convert_dtype(v, dtype) : std::move(v), true);
  }
  for (size_t i = axes.size(); i-- > 0;) {
    v = call_with(op, param::Reduce{.mode = mode, .axis = static_cast<int32_t>(axes[i])}, {v});
  }
  if (bools) v = convert_dtype(v, dtype);
  if (keepdims || axes.empty()) return wrap(std::move(v), x.scalar && !keepdims);
  if (x.scalar) return wrap(std::move(v), true);
  PyVar r = remove_axes(v, n, axes);
  return wrap(std::move(r.var), r.scalar);
}

Var reshaped(const Var& v, const std::vector<int64_t>& shape, int unknown = kMaxDims) {
  static const OpDef& op = op_named("Reshape");
  return call_with(op, param::OptionalAxisV1{unknown}, {v, int_vector(shape)});
}

param::ComputeMode compute_mode_of(nb::handle h) {
  const auto name = nb::isinstance<nb::str>(h) ? nb::cast<std::string>(h) : std::string();
  if (name == "float32" || name == "FLOAT32") return param::ComputeMode::FLOAT32;
  if (name == "default" || name == "DEFAULT") return param::ComputeMode::DEFAULT;
  throw ArgumentError(cat("matmul: there is no compute mode ", nb::str(h).c_str()));
}

// The operand as [batch, rows, columns], its batch axes broadcast to `batch`, whose sizes may be `recorded`.
Var as_batch(const Var& v, const std::vector<int64_t>& batch, int64_t count, const std::vector<Var>& recorded) {
  const Shape s = spec_of(v).shape;
  std::vector<int64_t> full = batch;
  full.insert(full.end(), {s[s.ndim() - 2], s[s.ndim() - 1]});
  Var r = v;
  const bool symbolic = !recorded.empty();
  if (s != Shape(std::span<const int64_t>(full))) {
    static const OpDef& op = op_named("Broadcast");
    Var target = int_vector(full);
    if (symbolic) {
      std::vector<Var> parts = recorded;
      parts.push_back(dims_of(v, s.ndim() - 2, s.ndim()));
      target = joined(std::move(parts));
    }
    r = call_with(op, param::Empty{}, {r, target});
  }
  if (batch.size() == 1) return r;
  if (!symbolic) return reshaped(r, {count, s[s.ndim() - 2], s[s.ndim() - 1]});
  static const OpDef& op = op_named("Reshape");
  return call_with(op, param::OptionalAxisV1{0}, {r, joined({int_vector({1}), dims_of(v, s.ndim() - 2, s.ndim())})});
}

nb::object matmul(nb::handle left, nb::handle right, bool transpose_a, bool transpose_b, nb::handle compute_mode) {
  PyVar x = unwrap(left), y = unwrap(right);
  if (known_dtype(x.var) && known_dtype(y.var) && dtype_of(x.var).id != dtype_of(y.var).id) {
    const DType d = promote(dtype_of(x.var), dtype_of(y.var));
    x.var = convert_dtype(x.var, d);
    y.var = convert_dtype(y.var, d);
  }
  const int nx = ndim_of(x), ny = ndim_of(y);
  if (nx == 0 || ny == 0) throw ArgumentError("matmul: takes no scalars");
  if (nx == 1 && ny == 1) {
    static const OpDef& dot = op_named("Dot");
    return wrap(call_with(dot, param::Empty{}, {x.var, y.var}), true);
  }
  static const OpDef& plain = op_named("MatrixMul");
  static const OpDef& batched = op_named("BatchedMatrixMul");
  const param::MatrixMul p{
      .transposeA = transpose_a, .transposeB = transpose_b, .compute_mode = compute_mode_of(compute_mode)};
  static const OpDef& axes = op_named("AxisAddRemove");
  Var a = nx > 1 ? x.var : call_with(axes, Params(param::AxisAddRemove{}, {0, 0}), {x.var});
  Var b = ny > 1 ? y.var : call_with(axes, Params(param::AxisAddRemove{}, {0, 1}), {y.var});
  Var out;
  if (nx <= 2 && ny <= 2) {
    out = call_with(plain, p, {a, b});
  } else if (ny <= 2 && !transpose_a) {  // the batch is more rows
    const Shape s = shape_of(x), t = spec_of(b).shape;
    const bool symbolic = records_shapes() && s.count() > 0;
    out = call_with(plain, p, {reshaped(a, {s.count(0, nx - 1), s[nx - 1]}, symbolic ? 0 : kMaxDims), b});
    if (symbolic) {
      static const OpDef& op = op_named("Reshape");
      const int columns = transpose_b ? 0 : 1;
      out = call_with(op, param::OptionalAxisV1{},
                      {out, joined({dims_of(a, 0, nx - 1), dims_of(b, columns, columns + 1)})});
    } else {
      std::vector<int64_t> full(s.begin(), s.end() - 1);
      full.push_back(transpose_b ? t[0] : t[1]);
      out = reshaped(out, full);
    }
  } else {
    const Shape s = spec_of(a).shape, t = spec_of(b).shape;
    std::vector<int64_t> batch;
    std::vector<Var> recorded;
    const bool symbolic = records_shapes() && s.count() > 0 && t.count() > 0;
    for (int i = std::max(nx, ny) - 3; i >= 0; --i) {
      const int back = static_cast<int>(std::max(nx, ny)) - i;
      const int64_t m = back <= s.ndim() ? s[s.ndim() - back] : 1, n = back <= t.ndim() ? t[t.ndim() - back] : 1;
      if (m != n && m != 1 && n != 1) throw OpError(cat("matmul: batches of shapes ", s, " and ", t, " don't fit"));
      batch.insert(batch.begin(), m == 1 ? n : m);
      if (!symbolic) continue;
      const bool left_has_it = back <= s.ndim() && (m != 1 || back > t.ndim());
      const int axis = (left_has_it ? s : t).ndim() - back;
      recorded.insert(recorded.begin(), dims_of(left_has_it ? a : b, axis, axis + 1));
    }
    int64_t count = 1;
    for (const int64_t n : batch) count *= n;
    out = call_with(batched, p, {as_batch(a, batch, count, recorded), as_batch(b, batch, count, recorded)});
    if (batch.size() > 1) {
      if (symbolic) {
        static const OpDef& op = op_named("Reshape");
        recorded.push_back(dims_of(out, 1, 3));
        out = call_with(op, param::OptionalAxisV1{}, {out, joined(std::move(recorded))});
      } else {
        const Shape r = spec_of(out).shape;
        batch.insert(batch.end(), {r[1], r[2]});
        out = reshaped(out, batch);
      }
    }
  }
  if (nx > 1 && ny > 1) return wrap(std::move(out));
  const int rank = spec_of(out).shape.ndim();
  return wrap(remove_axes(out, rank, {nx == 1 ? rank - 2 : rank - 1}).var);
}

// A value of one element, repeated. Recorded calls keep the Broadcast; others get memory of their own, which the
// kernels that come after like better than a view that repeats.
Var filled(const Var& value, const Var& shape) {
  static const OpDef& op = op_named("Broadcast");
  const Var r = call_with(op, param::Empty{}, {value, shape});
  return r.is_graph() || Recorder::active() ? r : Var(r.tensor().to_contiguous());
}

nb::object full(nb::handle shape, nb::handle value) {
  Sizes s = read_sizes(shape, "full");
  const bool number = PyFloat_CheckExact(value.ptr()) || PyLong_CheckExact(value.ptr());
  const Var fill = number ? scalar_var(nb::cast<double>(value), DTypeEnum::Float32) : unwrap(value).var;
  if (!fill.is_graph() && fill.tensor().count() != 1 && s.list.empty()) {
    throw ArgumentError(cat("full: a value of ", fill.tensor().count(), " elements for one"));
  }
  if (s.list.empty() && !s.var.defined()) return wrap(fill, true);
  for (size_t i = 0; i < s.list.size(); ++i) {
    if (!s.list[i].value) throw ArgumentTypeError("full: None is no size");
    if (*s.list[i].value < 0) {
      throw ArgumentError(cat("full: dimension ", i, " can't be ", *s.list[i].value));
    }
  }
  return wrap(filled(fill, shape_input(s)));
}

nb::object full_like(nb::handle self, nb::handle fill) {
  const PyVar& x = unwrap(self);
  double value = 0;
  if (!nb::try_cast<double>(fill, value)) {
    throw ArgumentTypeError(cat("full_like: a ", nb::cast<std::string>(fill.type().attr("__name__")), " is no number"));
  }
  static const OpDef& op = op_named("GetVarShape");
  return wrap(filled(scalar_var(value, dtype_of(x.var)), call_with(op, param::OptionalAxisV1{}, {x.var})));
}

// Tensors one after another, converted to one element type.
nb::object concat(const nb::list& list, nb::handle along) {
  const auto axis = static_cast<int32_t>(as_integer(along, "concat"));
  if (list.size() == 0) throw ArgumentTypeError("concat: needs at least one Tensor");
  std::vector<Var> in;
  in.reserve(list.size());
  bool have = false, differ = false;
  uint8_t format = 0;
  DType dtype;
  for (nb::handle h : list) {
    if (!is_tensor(h)) {
      throw ArgumentTypeError(cat("concat: expected Tensors, got ", nb::type_name(h.type()).c_str()));
    }
    in.push_back(unwrap(h).var);
    format = std::max(format, unwrap(h).format);
    if (!known_dtype(in.back())) continue;
    const DType d = dtype_of(in.back());
    if (have && d != dtype) {
      dtype = promote(dtype, d);
      differ = true;
    } else if (!have) {
      dtype = d;
      have = true;
    }
  }
  if (differ) {
    for (Var& v : in) {
      if (known_dtype(v)) v = convert_dtype(v, dtype);
    }
  }
  static const OpDef& op = op_named("Concat");
  return with_format(wrap(call_with(op, param::Axis{axis}, in)), format);
}

}  // namespace

int64_t as_integer(nb::handle h, const char* what) {
  if (PyLong_Check(h.ptr())) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(h.ptr(), &overflow);
    if (overflow || v > INT32_MAX || v < INT32_MIN) throw ArgumentError(cat(what, ": a number is too large"));
    return v;
  }
  if (PyFloat_Check(h.ptr())) {  // MegEngine's scripts write `x.reshape(n / 2)`
    const double d = PyFloat_AsDouble(h.ptr());
    if (d == static_cast<double>(static_cast<int32_t>(d)) && d > INT32_MIN && d < INT32_MAX) {
      return static_cast<int64_t>(d);
    }
  }
  nb::object i = nb::steal(PyNumber_Index(h.ptr()));
  if (!i.is_valid()) {
    PyErr_Clear();
    throw ArgumentTypeError(cat(what, ": expected an integer, got ", nb::type_name(h.type()).c_str()));
  }
  return as_integer(i, what);
}

Var int_vector(std::span<const int64_t> values) {
  Tensor t = Tensor::empty(DTypeEnum::Int32, {static_cast<int64_t>(values.size())});
  std::transform(values.begin(), values.end(), t.data<int32_t>(), [](int64_t v) { return static_cast<int32_t>(v); });
  return t;
}
Var int_vector(std::initializer_list<int64_t> values) {
  return int_vector(std::span<const int64_t>(values.begin(), values.size()));
}

void bind_shape(nb::module_& m) {
  m.def("reshape", reshape, nb::arg("x").none(), nb::arg("sizes"),
        "x, sizes: the elements in another shape; one size may be -1.");
  m.def("broadcast", broadcast, nb::arg("x").none(), nb::arg("sizes"),
        "x, sizes: repeated to a shape; None keeps a dimension.");
  m.def("transpose", transpose, nb::arg("x").none(), nb::arg("axes"), "x, axes: in another order; 'x' adds an axis.");
  // Methods of Tensor, without a Python function in between.
  auto base = nb::borrow<nb::class_<PyVar>>(nb::type<PyVar>());
  base.def("reshape", reshape, "The same elements in another shape; one size may be -1.");
  base.def("_broadcast", broadcast);
  base.def("transpose", transpose, "Axes in another order; reversed without arguments.");
  m.def("expand_dims", expand_dims, nb::arg("x").none(), nb::arg("axis").none());
  m.def("squeeze", squeeze, nb::arg("x").none(), nb::arg("axis").none());
  m.def("reduce", reduce, nb::arg("mode"), nb::arg("x").none(), nb::arg("axis").none(), nb::arg("keepdims").none());
  m.def("matmul", matmul);
  m.def("concat", concat, nb::arg("tensors"), nb::arg("axis").none(), "Tensors one after another along an axis.");
  m.def(
      "set_symbolic_shape", [](bool on) { symbolic_shape = on; }, nb::arg("on"),
      "Whether calls that derive a shape from their operands record how.");
  m.def("full", full, nb::arg("shape").none(), nb::arg("value"),
        "A shape filled with a number, as float32, or with the only element of a Tensor.");
  m.def("full_like", full_like, nb::arg("x").none(), nb::arg("value").none());
  m.def(
      "as_shape",
      [](nb::handle h) {
        Sizes s = read_sizes(h, "shape");
        return wrap(shape_input(s));
      },
      "Sizes, which may be Tensors, as an int32 vector.");
  m.def(
      "as_integer", [](nb::handle h) { return as_integer(h, "integer"); }, nb::arg("value").none(),
      "What an integer argument means: numbers, floats without a fraction, NumPy's numbers and Tensors of one.");
}

}  // namespace megalith::python
