// TensorBase: what Python's Tensor is made of; conversion from and to NumPy and DLPack.
#include <nanobind/ndarray.h>

#include <cstring>

#include "module.h"

namespace megalith::python {
namespace {

struct Classes {
  nb::object tensor, variable, converter;
};
Classes& classes() {
  static Classes* c = new Classes;  // never destroyed: outlives the interpreter
  return *c;
}

nb::dlpack::dtype dlpack_type(DType d) {
  using nb::dlpack::dtype_code;
  const auto bits = static_cast<uint8_t>(d.bits());
  switch (d.id) {
    case DTypeEnum::Float32:
    case DTypeEnum::Float16: return {static_cast<uint8_t>(dtype_code::Float), bits, 1};
    case DTypeEnum::BFloat16: return {static_cast<uint8_t>(dtype_code::Bfloat), bits, 1};
    case DTypeEnum::Bool: return {static_cast<uint8_t>(dtype_code::Bool), 8, 1};
    case DTypeEnum::Uint8:
    case DTypeEnum::Byte:
    case DTypeEnum::Quantized8Asymm:
    case DTypeEnum::Quantized4Asymm:
    case DTypeEnum::UintB4: return {static_cast<uint8_t>(dtype_code::UInt), 8, 1};
    case DTypeEnum::Uint16: return {static_cast<uint8_t>(dtype_code::UInt), 16, 1};
    default: return {static_cast<uint8_t>(dtype_code::Int), static_cast<uint8_t>(bits < 8 ? 8 : bits), 1};
  }
}

const Tensor& eager(const PyVar& v) {
  if (v.var.is_graph()) {
    const Value& value = v.var.graph()->value(v.var.value());
    if (value.spec && value.spec->value.defined()) return value.spec->value;
    throw ArgumentError(cat("variable '", value.name, "' has no value before its graph runs"));
  }
  if (!v.var.tensor().defined()) throw ArgumentError("the tensor has no value");
  return v.var.tensor();
}

// An ndarray over `t`, which it keeps alive.
template <class Framework>
nb::object array_over(const Tensor& t, bool scalar, nb::dlpack::dtype type) {
  auto* owner = new Tensor(t);
  nb::capsule capsule(owner, [](void* p) noexcept { delete static_cast<Tensor*>(p); });
  std::vector<size_t> shape;
  std::vector<int64_t> stride;
  for (int i = 0; i < t.ndim() && !scalar; ++i) {
    shape.push_back(static_cast<size_t>(t.dim(i)));
    stride.push_back(t.stride()[i]);
  }
  nb::ndarray<Framework> a(owner->data(), shape.size(), shape.data(), capsule, stride.data(), type);
  return nb::cast(a, nb::rv_policy::reference);
}

nb::object numpy(const PyVar& v) {
  Tensor t = eager(v);
  t = t.dtype().is_lowbit() ? unpack_lowbit(t) : t.clone();
  if (t.dtype().id == DTypeEnum::BFloat16) {  // NumPy has none: its values as float32
    t = convert_dtype(t, DTypeEnum::Float32).tensor();
  }
  return array_over<nb::numpy>(t, v.scalar, dlpack_type(t.dtype()));
}

PyVar from_array(const nb::ndarray<nb::ro, nb::device::cpu, nb::c_contig>& a, DType dtype) {
  if (a.ndim() > static_cast<size_t>(kMaxDims)) {
    throw ArgumentError(cat("tensors have at most ", kMaxDims, " dimensions, the array has ", a.ndim()));
  }
  Shape shape;
  for (size_t i = 0; i < a.ndim(); ++i) shape.push_back(static_cast<int64_t>(a.shape(i)));
  const bool scalar = a.ndim() == 0;
  if (scalar) shape = {1};
  const size_t bytes = a.size() * a.itemsize();
  if (dtype.is_lowbit()) {
    const bool is_unsigned = dtype.is_asymmetric() || dtype.id == DTypeEnum::UintB4;
    Tensor wide = Tensor::empty(is_unsigned ? DTypeEnum::Uint8 : DTypeEnum::Int8, shape);
    if (bytes != wide.bytes()) throw ArgumentTypeError("values below a byte are given as int8 or uint8");
    std::memcpy(wide.data(), a.data(), bytes);
    return {pack_lowbit(wide, dtype), scalar};
  }
  Tensor t = Tensor::empty(dtype, shape);
  if (bytes != t.bytes()) {
    throw ArgumentTypeError(cat("an array of ", a.itemsize(), "-byte elements can't be stored as ", dtype.str()));
  }
  if (bytes) std::memcpy(t.data(), a.data(), bytes);
  return {t, scalar};
}

// Shares the memory of whoever exports it.
PyVar from_dlpack(nb::object exporter) {
  auto a = nb::cast<nb::ndarray<nb::device::cpu>>(exporter);
  using nb::dlpack::dtype_code;
  const auto type = a.dtype();
  DTypeEnum id;
  const auto is = [&](dtype_code c, int bits) { return type.code == static_cast<uint8_t>(c) && type.bits == bits; };
  if (is(dtype_code::Float, 32))
    id = DTypeEnum::Float32;
  else if (is(dtype_code::Float, 16))
    id = DTypeEnum::Float16;
  else if (is(dtype_code::Bfloat, 16))
    id = DTypeEnum::BFloat16;
  else if (is(dtype_code::Int, 32))
    id = DTypeEnum::Int32;
  else if (is(dtype_code::Int, 16))
    id = DTypeEnum::Int16;
  else if (is(dtype_code::Int, 8))
    id = DTypeEnum::Int8;
  else if (is(dtype_code::UInt, 8))
    id = DTypeEnum::Uint8;
  else if (is(dtype_code::UInt, 16))
    id = DTypeEnum::Uint16;
  else if (is(dtype_code::Bool, 8))
    id = DTypeEnum::Bool;
  else
    throw ArgumentTypeError(cat("no element type for DLPack code ", int{type.code}, " with ", int{type.bits}, " bits"));
  Shape shape, stride;
  int64_t low = 0;
  for (size_t i = 0; i < a.ndim(); ++i) {
    shape.push_back(static_cast<int64_t>(a.shape(i)));
    stride.push_back(a.stride(i));
    if (a.stride(i) < 0) low += (shape[static_cast<int>(i)] - 1) * a.stride(i);
  }
  if (low < 0) throw ArgumentError("DLPack tensors with negative strides are not taken");
  const bool scalar = a.ndim() == 0;
  if (scalar) shape = {1}, stride = {1};
  int64_t extent = shape.count() ? 1 : 0;
  for (int i = 0; i < shape.ndim(); ++i) extent += shape.count() ? (shape[i] - 1) * stride[i] : 0;
  auto* keep = new nb::object(exporter);
  std::shared_ptr<void> owner(keep, [](void* p) {
    nb::gil_scoped_acquire gil;
    delete static_cast<nb::object*>(p);
  });
  const size_t bytes = static_cast<size_t>(extent) * static_cast<size_t>(DType(id).bits() / 8);
  auto storage = Storage::wrap(a.data(), bytes, std::move(owner), true);
  storage->share();
  return {Tensor::from_storage(std::move(storage), 0, id, Layout(shape, stride)), scalar};
}

nb::tuple shape_tuple(const Shape& s) {
  nb::object t = nb::steal(PyTuple_New(s.ndim()));
  for (int i = 0; i < s.ndim(); ++i) PyTuple_SetItem(t.ptr(), i, PyLong_FromLongLong(s[i]));
  return nb::borrow<nb::tuple>(t);
}

}  // namespace

TensorSpec spec_of(const Var& v) {
  if (!v.is_graph()) return {v.tensor().dtype(), v.tensor().shape(), v.tensor()};
  const Value& value = v.graph()->value(v.value());
  if (value.spec) return *value.spec;
  throw ArgumentError(cat("variable '", value.name, "' has no known shape and type before its graph runs"));
}

nb::object wrap(Var var, bool scalar) {
  const nb::object& type = var.is_graph() ? classes().variable : classes().tensor;
  if (!type.is_valid()) throw ArgumentTypeError("set_classes() was not called");
  nb::object o = nb::inst_alloc(type);
  std::shared_ptr<Graph> owner = var.is_graph() ? owner_of(var) : nullptr;
  new (nb::inst_ptr<PyVar>(o)) PyVar{std::move(var), scalar, std::move(owner)};
  nb::inst_mark_ready(o);
  return o;
}

nb::object with_format(nb::object tensor, uint8_t format) {
  nb::inst_ptr<PyVar>(tensor)->format = format;
  return tensor;
}

bool is_tensor(nb::handle h) {
  const auto type = reinterpret_cast<PyObject*>(Py_TYPE(h.ptr()));
  return type == classes().tensor.ptr() || nb::isinstance<PyVar>(h);
}

PyVar& unwrap(nb::handle h) {
  if (!is_tensor(h)) {
    throw ArgumentTypeError(cat("expected a Tensor, got ", nb::type_name(h.type()).c_str()));
  }
  PyVar* v = nb::inst_ptr<PyVar>(h);
  if (!nb::inst_ready(h) || !v->var.defined()) throw ArgumentError("the Tensor has no value: it was not initialized");
  return *v;
}

PyVar to_var(nb::handle h) {
  if (is_tensor(h)) return unwrap(h);
  PyVar v = unwrap(classes().converter(h));
  if (!v.var.is_graph()) v.var = literal(std::move(v.var));
  return v;
}

bool known_dtype(const Var& v) { return !v.is_graph() || v.graph()->value(v.value()).spec.has_value(); }

DType dtype_of(const Var& v) { return v.is_graph() ? spec_of(v).dtype : v.tensor().dtype(); }
Shape shape_of(const PyVar& v) {
  if (v.scalar) return {};
  return v.var.is_graph() ? spec_of(v.var).shape : v.var.tensor().shape();
}
int ndim_of(const PyVar& v) {
  if (v.scalar) return 0;
  return v.var.is_graph() ? spec_of(v.var).shape.ndim() : v.var.tensor().ndim();
}

Var scalar_var(double value, DType dtype) {
  Tensor t = Tensor::empty(dtype, {1});
  switch (dtype.id) {
    case DTypeEnum::Float32: *t.data<float>() = static_cast<float>(value); break;
    case DTypeEnum::Float16: *t.data<half>() = half(static_cast<float>(value)); break;
    case DTypeEnum::BFloat16: *t.data<bfloat16>() = bfloat16(static_cast<float>(value)); break;
    case DTypeEnum::Int32: *t.data<int32_t>() = static_cast<int32_t>(static_cast<int64_t>(value)); break;
    case DTypeEnum::Int16: *t.data<int16_t>() = static_cast<int16_t>(static_cast<int64_t>(value)); break;
    case DTypeEnum::Uint16: *t.data<uint16_t>() = static_cast<uint16_t>(static_cast<int64_t>(value)); break;
    case DTypeEnum::Int8: *t.data<int8_t>() = static_cast<int8_t>(static_cast<int64_t>(value)); break;
    case DTypeEnum::Uint8: *t.data<uint8_t>() = static_cast<uint8_t>(static_cast<int64_t>(value)); break;
    case DTypeEnum::Bool: *t.data<uint8_t>() = value != 0; break;
    default: return convert_dtype(scalar_var(value, DTypeEnum::Float32), dtype);
  }
  return t;
}

DType parse_dtype(nb::handle h) {
  if (nb::isinstance<nb::tuple>(h)) {
    const auto t = nb::cast<nb::tuple>(h);
    DType d = parse_dtype(t[0]);
    if (t.size() > 1) d.scale = nb::cast<float>(t[1]);
    if (t.size() > 2) d.zero_point = nb::cast<uint8_t>(t[2]);
    return d;
  }
  if (nb::isinstance<nb::str>(h)) {
    const auto name = nb::cast<std::string>(h);
    for (int i = 0; i < 32; ++i) {
      if (!valid_dtype(i)) continue;
      const DType d{static_cast<DTypeEnum>(i)};
      std::string lower(d.name());
      for (char& c : lower) c = static_cast<char>(std::tolower(c));
      if (name == d.name() || name == lower) return d;
    }
    throw ArgumentError("there is no element type '" + name + "'");
  }
  const int id = nb::cast<int>(h);
  if (!valid_dtype(id)) throw ArgumentError(cat("there is no element type ", id));
  return static_cast<DTypeEnum>(id);
}

nb::object dtype_tuple(DType d) {
  return nb::make_tuple(static_cast<int>(d.id), d.scale, static_cast<int>(d.zero_point));
}

void bind_tensor(nb::module_& m) {
  m.def(
      "set_classes",
      [](nb::object tensor, nb::object variable, nb::object converter) {
        classes() = {std::move(tensor), std::move(variable), std::move(converter)};
      },
      "Classes for results: Tensor and VarNode, both derived from TensorBase; and what makes a Tensor of other "
      "objects.");
  nb::class_<PyVar>(m, "TensorBase", "An eager value or a graph variable.", nb::is_weak_referenceable())
      .def(nb::init<>())
      .def(
          "_reset", [](PyVar& self, const PyVar& other) { self = other; }, "Takes over the value of another tensor.")
      .def_prop_ro("_is_graph", [](const PyVar& self) { return self.var.is_graph(); })
      .def_prop_rw(
          "_scalar", [](const PyVar& self) { return self.scalar; }, [](PyVar& self, bool v) { self.scalar = v; })
      .def_prop_rw(
          "_place", [](const PyVar& self) { return self.var.is_graph() ? 0 : self.var.tensor().place(); },
          [](PyVar& self, uint16_t v) {
            if (self.var.is_graph() || !self.var.defined()) return;
            Tensor t = self.var.tensor();
            t.set_place(v);
            self.var.set_tensor(std::move(t));
          })
      .def_prop_ro("_dtype", [](const PyVar& self) { return dtype_tuple(dtype_of(self.var)); })
      .def_prop_ro("_dtype_id", [](const PyVar& self) { return static_cast<int>(dtype_of(self.var).id); })
      .def_prop_ro("_tuple_shape",
                   [](const PyVar& self) { return shape_tuple(self.scalar ? Shape{} : spec_of(self.var).shape); })
      .def_prop_ro("ndim", [](const PyVar& self) { return self.scalar ? 0 : spec_of(self.var).shape.ndim(); })
      .def_prop_ro("size", [](const PyVar& self) { return spec_of(self.var).shape.count(); })
      .def("_numpy", numpy, "A copy as an ndarray; quantized values as their stored integers.")
      .def("_item", [](const PyVar& self, int64_t i) { return eager(self).item(i); })
      .def("_detach",
           [](const PyVar& self) {
             Var v = self.var;  // a trace goes on through it, a gradient does not
             if (!v.is_graph()) v.mutable_link() = nullptr;
             return with_format(wrap(std::move(v), self.scalar), self.format);
           })
      .def_prop_rw(
          "_memory_format", [](const PyVar& self) { return self.format; },
          [](PyVar& self, uint8_t format) { self.format = format; })
      .def(
          "_with_scalar",
          [](const PyVar& self, bool scalar) { return with_format(wrap(self.var, scalar), self.format); },
          "The same value, seen as a scalar or as a vector of one element.")
      .def_prop_ro("_storage",
                   [](const PyVar& self) {
                     return nb::make_tuple(reinterpret_cast<uintptr_t>(eager(self).data()), eager(self).bytes());
                   })
      .def("__dlpack__",
           [](const PyVar& self, nb::kwargs) {
             const Tensor t = eager(self);
             t.storage()->share();  // whoever takes it may write
             auto* owner = new Tensor(t);
             nb::capsule capsule(owner, [](void* p) noexcept { delete static_cast<Tensor*>(p); });
             std::vector<size_t> shape;
             std::vector<int64_t> stride;
             for (int i = 0; i < t.ndim() && !self.scalar; ++i) {
               shape.push_back(static_cast<size_t>(t.dim(i)));
               stride.push_back(t.stride()[i]);
             }
             nb::ndarray<> a(owner->data(), shape.size(), shape.data(), capsule, stride.data(), dlpack_type(t.dtype()));
             return nb::cast(a);
           })
      .def("__dlpack_device__", [](const PyVar&) { return nb::make_tuple(1, 0); });
  m.def(
      "from_array",
      [](const nb::ndarray<nb::ro, nb::device::cpu, nb::c_contig>& a, nb::handle dtype) {
        const PyVar v = from_array(a, parse_dtype(dtype));
        return wrap(v.var, v.scalar);
      },
      nb::arg("array"), nb::arg("dtype"), "A Tensor with a copy of a contiguous array of the dtype's storage type.");
  m.def("_from_dlpack", [](nb::object exporter) {
    const PyVar v = from_dlpack(std::move(exporter));
    return wrap(v.var, v.scalar);
  });
}

}  // namespace megalith::python
