// x[index] and x[index] = value: every form of index becomes Subtensor, IndexingMultiAxisVec or CondTake, or the op
// that writes instead of reading.
#include <algorithm>

#include "megalith/recorder.h"
#include "module.h"

namespace megalith::python {
namespace {

const OpDef& op_named(const char* name) { return Registry::get().at(name); }

struct Slice {
  bool has_begin = false, has_end = false, has_step = false;
  std::vector<Var> values;  // those that it has
};

// Constants are kept for small numbers: most indices are.
Var number_var(int64_t v) {
  static const std::vector<Var>* small = [] {
    auto* r = new std::vector<Var>;
    for (int64_t i = -16; i <= 256; ++i) r->push_back(literal(int_vector({i})));
    return r;
  }();
  if (v >= -16 && v <= 256) return (*small)[static_cast<size_t>(v + 16)];
  return literal(int_vector({v}));
}

bool is_int_dtype(DType d) { return d.is_int() && !d.is_quantized() && d.bits() >= 8; }

[[noreturn]] void no_index(nb::handle h) {
  throw IndexingError(cat("an index is a number, a slice, None, ..., or a tensor of integers or bools, not ",
                          nb::type_name(h.type()).c_str()));
}

// A number, a Tensor that holds one, or NumPy's: for slices and plain indices.
bool scalar_index(nb::handle h, Var& out) {
  if (PyLong_Check(h.ptr()) && !PyBool_Check(h.ptr())) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(h.ptr(), &overflow);
    if (overflow || v > INT32_MAX || v < INT32_MIN) {
      out = number_var(overflow < 0 || v < 0 ? INT32_MIN + 1 : INT32_MAX);  // slices clamp, numbers are out of range
    } else {
      out = number_var(v);
    }
    return true;
  }
  if (is_tensor(h)) {
    const PyVar& v = unwrap(h);
    if (!v.scalar) return false;
    if (!is_int_dtype(dtype_of(v.var))) throw IndexingError(cat("a tensor of ", dtype_of(v.var).str(), " is no index"));
    out = convert_dtype(v.var, DTypeEnum::Int32);
    return true;
  }
  if (!PyIndex_Check(h.ptr()) || PyBool_Check(h.ptr())) return false;
  nb::object i = nb::steal(PyNumber_Index(h.ptr()));
  if (!i.is_valid()) {  // an array with more than one element
    PyErr_Clear();
    return false;
  }
  return scalar_index(i, out);
}

Var slice_bound(nb::handle h) {
  Var v;
  if (scalar_index(h, v)) return v;
  if (is_tensor(h)) {
    const PyVar& t = unwrap(h);
    if (!t.var.is_graph() && t.var.tensor().count() == 1 && is_int_dtype(t.var.tensor().dtype())) {
      return convert_dtype(t.var, DTypeEnum::Int32);
    }
  }
  throw IndexingError(cat("a slice is made of integers, not ", nb::type_name(h.type()).c_str()));
}

bool part(nb::handle slice, PyObject* name, std::vector<Var>& values) {
  nb::object v = nb::steal(PyObject_GetAttr(slice.ptr(), name));
  if (!v.is_valid()) throw nb::python_error();
  if (v.is_none()) return false;
  values.push_back(slice_bound(v));
  return true;
}

Slice slice_item(nb::handle h) {
  static PyObject* const start = PyUnicode_InternFromString("start");
  static PyObject* const stop = PyUnicode_InternFromString("stop");
  static PyObject* const step = PyUnicode_InternFromString("step");
  Slice r;
  r.has_begin = part(h, start, r.values);
  r.has_end = part(h, stop, r.values);
  r.has_step = part(h, step, r.values);
  return r;
}

// Lists, arrays and Tensors: a vector of integers or a mask.
PyVar vector_of(nb::handle h) {
  if (is_tensor(h)) return unwrap(h);
  if (PyUnicode_Check(h.ptr()) || PyFloat_Check(h.ptr()) || PyDict_Check(h.ptr())) no_index(h);
  PyVar v;
  try {
    v = to_var(h);
  } catch (nb::python_error&) {
    no_index(h);
  }
  const bool empty = !v.var.is_graph() && v.var.tensor().count() == 0 && v.var.tensor().ndim() == 1;
  if (empty) v.var = convert_dtype(v.var, DTypeEnum::Int32);  // [] is an array of floats to NumPy
  return v;
}

// Where a mask is set, as positions in its row-major order.
Var positions(const Var& mask) {
  static const OpDef& op = op_named("CondTake");
  Attrs attrs;
  attrs.params = param::CondTake{.mode = param::CondTakeMode::EQ, .val = 1};
  return call(op, attrs, {mask, mask})[1];
}

Var flat(const Var& v) {
  static const OpDef& op = op_named("Reshape");
  Attrs attrs;
  attrs.params = param::OptionalAxisV1{0};
  return call1(op, attrs, {v, int_vector({1})});
}

// A list that is no vector but, as in MegEngine, a tuple: one that holds lists, slices, None or `...`.
bool means_tuple(nb::handle h) {
  if (!PyList_Check(h.ptr())) return false;
  for (nb::handle item : nb::iter(h)) {
    if (item.is_none() || PyList_Check(item.ptr()) || PyTuple_Check(item.ptr()) || PySlice_Check(item.ptr()) ||
        item.ptr() == Py_Ellipsis || (is_tensor(item) && !unwrap(item).scalar)) {
      return true;
    }
  }
  return false;
}

struct Parsed {
  nb::object object;
  PyVar vector;  // of lists, arrays and Tensors; its Var is the number of kNumber
  int axes = 1;  // of the data that it indexes
  enum Kind : uint8_t { kNumber, kSlice, kNone, kEllipsis, kVector, kMask } kind = kNumber;
};

Parsed parse_one(nb::handle h) {
  Parsed p;
  p.object = nb::borrow(h);
  if (scalar_index(h, p.vector.var)) return p;
  if (PySlice_Check(h.ptr())) {
    p.kind = Parsed::kSlice;
  } else if (h.is_none()) {
    p.kind = Parsed::kNone;
    p.axes = 0;
  } else if (h.ptr() == Py_Ellipsis) {
    p.kind = Parsed::kEllipsis;
    p.axes = 0;
  } else if (PyBool_Check(h.ptr())) {
    no_index(h);
  } else {
    p.vector = vector_of(h);
    const DType d = dtype_of(p.vector.var);
    if (d.id == DTypeEnum::Bool && !p.vector.scalar) {
      p.kind = Parsed::kMask;
      p.axes = ndim_of(p.vector);
    } else if (is_int_dtype(d)) {
      if (p.vector.scalar) {  // an array of no dimension
        p.vector.var = convert_dtype(p.vector.var, DTypeEnum::Int32);
        return p;
      }
      p.kind = Parsed::kVector;
      p.vector.var = convert_dtype(p.vector.var, DTypeEnum::Int32);
    } else {
      throw IndexingError(cat("indices are integers or bools, not ", d.str()));
    }
  }
  return p;
}

// The data as the index sees it, and the items for its axes.
struct Plan {
  Var data;
  std::vector<int32_t> items;  // five numbers each
  std::vector<Var> values;
  std::vector<int64_t> added;  // axes that None adds to the data
  Shape merged_shape;          // the data's shape before axes under a mask became one; {} if none did
  bool vectors = false, scalar = false, whole_mask = false;
  Var mask;
};

Var reshaped(const Var& v, const Shape& s) {
  static const OpDef& op = op_named("Reshape");
  Attrs attrs;
  attrs.params = param::OptionalAxisV1{};
  return call1(op, attrs, {v, int_vector(std::span<const int64_t>(s.begin(), static_cast<size_t>(s.ndim())))});
}

Plan make_plan(const PyVar& x, nb::handle index) {
  const int ndim = ndim_of(x);
  if (ndim > 0 && (PyLong_CheckExact(index.ptr()) || PySlice_Check(index.ptr()))) {  // most indices are this simple
    Plan plan;
    plan.data = x.var;
    if (PySlice_Check(index.ptr())) {
      Slice s = slice_item(index);
      if (!s.values.empty()) plan.items = {0, s.has_begin, s.has_end, s.has_step, 0};
      plan.values = std::move(s.values);
    } else {
      plan.items = {0, 0, 0, 0, 1};
      scalar_index(index, plan.values.emplace_back());
      plan.scalar = ndim == 1;
    }
    return plan;
  }
  std::vector<Parsed> list;
  if (PyTuple_Check(index.ptr()) || means_tuple(index)) {
    for (nb::handle item : nb::iter(index)) list.push_back(parse_one(item));
  } else {
    list.push_back(parse_one(index));
  }
  int axes = 0, ellipses = 0, nones = 0;
  for (const Parsed& p : list) {
    axes += p.axes;
    ellipses += p.kind == Parsed::kEllipsis;
    nones += p.kind == Parsed::kNone;
  }
  if (ellipses > 1) throw IndexingError("an index has at most one ellipsis (...)");
  if (axes > ndim) throw IndexingError(cat("indexing: ", axes, " indices for a tensor of shape ", shape_of(x)));
  Plan plan;
  plan.data = x.var;
  if (list.size() == 1 && list[0].kind == Parsed::kMask && list[0].axes == ndim) {
    if (!list[0].vector.var.is_graph() && !x.var.is_graph() && shape_of(list[0].vector) != shape_of(x)) {
      throw IndexingError(
          cat("indexing: a mask of shape ", shape_of(list[0].vector), " for a tensor of shape ", shape_of(x)));
    }
    plan.whole_mask = true;
    plan.mask = list[0].vector.var;
    return plan;
  }
  // Axes under a mask of several dimensions become one.
  int at = 0, lost = 0;
  for (Parsed& p : list) {
    if (p.kind == Parsed::kMask) {
      const Shape data = shape_of(x), mask = shape_of(p.vector);
      for (int k = 0; k < mask.ndim(); ++k) {
        if (mask[k] != data[at + k]) {
          throw IndexingError(cat("indexing: a mask of shape ", mask, " on axis ", at, " of a tensor of shape ", data));
        }
      }
      if (p.axes > 1) {
        const Shape now = lost || plan.merged_shape.ndim() ? spec_of(plan.data).shape : data;
        Shape s;
        for (int k = 0; k < at - lost; ++k) s.push_back(now[k]);
        s.push_back(mask.count());
        for (int k = at - lost + p.axes; k < now.ndim(); ++k) s.push_back(now[k]);
        plan.merged_shape = data;
        plan.data = reshaped(plan.data, s);
        lost += p.axes - 1;
      }
      p.vector.var = positions(p.axes > 1 ? flat(p.vector.var) : p.vector.var);
    }
    at += p.kind == Parsed::kEllipsis ? ndim - axes : p.axes;
  }
  plan.vectors = std::any_of(list.begin(), list.end(), [](const Parsed& p) { return p.kind >= Parsed::kVector; });
  int axis = 0, numbers = 0;
  for (Parsed& p : list) {
    switch (p.kind) {
      case Parsed::kNone: plan.added.push_back(axis++); break;
      case Parsed::kEllipsis: axis += ndim - axes; break;
      case Parsed::kSlice: {
        Slice s = slice_item(p.object);
        if (!s.values.empty()) {
          plan.items.insert(plan.items.end(), {axis, s.has_begin, s.has_end, s.has_step, 0});
          for (Var& v : s.values) plan.values.push_back(std::move(v));
        }
        ++axis;
        break;
      }
      default:
        plan.items.insert(plan.items.end(), {axis, 0, 0, 0, 1});
        plan.values.push_back(p.kind == Parsed::kNumber ? std::move(p.vector.var) : std::move(p.vector.var));
        numbers += p.kind == Parsed::kNumber;
        ++axis;
    }
  }
  plan.scalar = !plan.vectors && ndim - lost + nones == numbers;
  if (!plan.added.empty()) {
    std::vector<int32_t> add;
    for (size_t i = 0; i < plan.added.size(); ++i) {
      if (x.scalar && i == 0) continue;
      add.push_back(0);
      add.push_back(static_cast<int32_t>(plan.added[i]));
    }
    if (!add.empty()) {
      static const OpDef& op = op_named("AxisAddRemove");
      Attrs attrs;
      attrs.params = Params(param::AxisAddRemove{}, add);
      plan.data = call1(op, attrs, {plan.data});
    }
  }
  return plan;
}

// What an op finds wrong with an index is an IndexError; a value that does not fit stays a ValueError.
template <class F>
auto indexing(F&& f) {
  try {
    return f();
  } catch (const OpError& e) {
    if (std::string_view(e.what()).find("a value of shape") != std::string_view::npos) throw;
    throw IndexingError(e.what());
  }
}

nb::object getitem(nb::handle self, nb::handle index) {
  if (PyBool_Check(index.ptr())) {  // all of it or nothing, under a new axis
    nb::list rows;
    if (index.ptr() == Py_True) rows.append(0);
    return getitem(getitem(self, nb::none()), rows);
  }
  const PyVar& x = unwrap(self);
  Plan plan = make_plan(x, index);
  Attrs attrs;
  if (plan.whole_mask) {
    static const OpDef& op = op_named("CondTake");
    attrs.params = param::CondTake{.mode = param::CondTakeMode::EQ, .val = 1};
    return wrap(indexing([&] { return call1(op, attrs, {plan.data, plan.mask}); }));
  }
  if (plan.items.empty()) return wrap(plan.data, x.scalar && plan.added.empty());
  attrs.params = Params(param::IndexDescMaskDump{}, std::move(plan.items));
  std::vector<Var> in;
  in.reserve(plan.values.size() + 1);
  in.push_back(std::move(plan.data));
  for (Var& v : plan.values) in.push_back(std::move(v));
  static const OpDef& plain = op_named("Subtensor");
  static const OpDef& vectors = op_named("IndexingMultiAxisVec");
  return wrap(indexing([&] { return plan.vectors ? call1(vectors, attrs, in) : std::move(emit(plain, attrs, in)[0]); }),
              plan.scalar);
}

// A value in the shape of what it replaces: in files MegEngine takes no smaller one.
Var in_full(const Plan& plan, const Attrs& attrs, const Var& value) {
  static const OpDef& plain = op_named("Subtensor");
  static const OpDef& vectors = op_named("IndexingMultiAxisVec");
  std::vector<Var> in = {plan.data};
  in.insert(in.end(), plan.values.begin(), plan.values.end());
  const Var part = indexing([&] { return call1(plan.vectors ? vectors : plain, attrs, in); });
  if (known_dtype(value) && known_dtype(part) && spec_of(value).shape.ndim() > spec_of(part).shape.ndim()) return value;
  return emit1("Broadcast", {value, emit1("GetVarShape", {part})});
}

// Returns the Tensor that `self` becomes.
nb::object setitem(nb::handle self, nb::handle index, nb::handle value) {
  if (PyBool_Check(index.ptr()))
    return index.ptr() == Py_True ? setitem(self, nb::ellipsis(), value) : nb::borrow(self);
  const PyVar& x = unwrap(self);
  const DType dtype = dtype_of(x.var);
  Var v;
  if (PyFloat_CheckExact(value.ptr()) || PyLong_CheckExact(value.ptr()) || PyBool_Check(value.ptr())) {
    const double d = PyFloat_AsDouble(value.ptr());
    if (d == -1 && PyErr_Occurred()) throw nb::python_error();
    v = literal(scalar_var(d, dtype));
  } else {
    v = convert_dtype(to_var(value).var, dtype);
  }
  Plan plan = make_plan(x, index);
  Shape restore;  // of the data, where the index sees it in another shape
  if (plan.whole_mask || !plan.added.empty() || plan.merged_shape.ndim()) restore = spec_of(x.var).shape;
  if (plan.whole_mask) {
    plan.data = flat(plan.data);
    plan.values.push_back(positions(flat(plan.mask)));
    plan.items = {0, 0, 0, 0, 1};
    plan.vectors = true;
  }
  Attrs attrs;
  attrs.params = Params(param::IndexDescMaskDump{}, std::move(plan.items));
  static const OpDef& plain = op_named("SetSubtensor");
  static const OpDef& vectors = op_named("IndexingSetMultiAxisVec");
  if (v.is_graph() || plan.data.is_graph() || Recorder::active()) v = in_full(plan, attrs, v);
  std::vector<Var> in = {std::move(plan.data), std::move(v)};
  for (Var& i : plan.values) in.push_back(std::move(i));
  Var out = indexing([&] { return call1(plan.vectors ? vectors : plain, attrs, in); });
  if (restore.ndim()) out = reshaped(out, restore);
  return with_format(wrap(std::move(out), x.scalar), x.format);
}

}  // namespace

void bind_indexing(nb::module_& m) {
  auto base = nb::borrow<nb::class_<PyVar>>(nb::type<PyVar>());
  base.def("__getitem__", getitem, nb::arg("index").none());
  base.def(
      "__setitem__",
      [](nb::handle self, nb::handle index, nb::handle value) {
        const nb::object r = setitem(self, index, value);
        unwrap(self) = unwrap(r);
      },
      nb::arg("index").none(), nb::arg("value").none());
  m.def("getitem", getitem, nb::arg("x"), nb::arg("index").none(), "x[index].");
  m.def("setitem", setitem, nb::arg("x"), nb::arg("index").none(), nb::arg("value").none(),
        "x with x[index] = value done.");
}

}  // namespace megalith::python
