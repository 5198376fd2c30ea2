// NumPy dtypes for element types that NumPy lacks: bfloat16, and intb1, intb2 and intb4, which hold the odd numbers
// from
// -(2^bits - 1) to 2^bits - 1. MegEngine's names, casts and errors.
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#include "module.h"
// Behind Python's own header.
#include <numpy/arrayobject.h>

#include <cmath>
#include <cstddef>

namespace megalith::python {
namespace {

struct BFloat16 {
  using Stored = bfloat16;
  static constexpr const char* kName = "megalith._core.pybfloat16";
  static constexpr const char* kDoc = "An element of the dtype bfloat16.";
  static PyObject* to_python(Stored v) { return PyFloat_FromDouble(static_cast<double>(static_cast<float>(v))); }
  static bool from_python(PyObject* o, Stored& v) {
    if (!PyFloat_Check(o) && !PyIndex_Check(o)) {
      PyErr_SetString(PyExc_ValueError, "input type must be int/float/bfloat16");
      return false;
    }
    const double d = PyFloat_AsDouble(o);
    if (d == -1 && PyErr_Occurred()) return false;
    v = Stored(static_cast<float>(d));
    return true;
  }
  static bool from_number(double d, Stored& v) {
    v = Stored(static_cast<float>(d));
    return true;
  }
  static double number(Stored v) { return static_cast<float>(v); }
};

template <int kBits>
struct IntB {
  using Stored = int8_t;
  static constexpr int kMax = (1 << kBits) - 1;
  static constexpr const char* kName = kBits == 1   ? "megalith._core.pyintb1"
                                       : kBits == 2 ? "megalith._core.pyintb2"
                                                    : "megalith._core.pyintb4";
  static constexpr const char* kDoc = "An element of a dtype of few bits: an odd number.";
  static PyObject* to_python(Stored v) { return PyLong_FromLong(v); }
  static bool from_number(double d, Stored& v) {
    const double whole = std::trunc(d);
    if (std::fabs(whole) <= kMax && std::fmod(whole, 2) != 0) {
      v = static_cast<Stored>(whole);
      return true;
    }
    const std::string text = cat("low bit dtype number error: value=", whole,
                                 "; allowed values are odd numbers between [-", kMax, ",", kMax, "]");
    PyErr_SetString(PyExc_ValueError, text.c_str());
    return false;
  }
  static bool from_python(PyObject* o, Stored& v) {
    if (!PyIndex_Check(o) || PyFloat_Check(o)) {
      PyErr_SetString(PyExc_ValueError, "input type must be int");
      return false;
    }
    const nb::object i = nb::steal(PyNumber_Index(o));
    if (!i.is_valid()) return false;
    const double d = PyLong_AsDouble(i.ptr());
    return !(d == -1 && PyErr_Occurred()) && from_number(d, v);
  }
  static double number(Stored v) { return v; }
};

// A scalar: NumPy puts its value behind the head.
template <class T>
struct Scalar {
  PyObject head;
  typename T::Stored value;
};

template <class T>
struct Registered {
  static inline PyTypeObject* type = nullptr;
  static inline PyArray_ArrFuncs funcs;
  static inline PyArray_DescrProto proto;
};

template <class T>
PyObject* getitem(void* data, void*) {
  typename T::Stored v;
  std::memcpy(&v, data, sizeof v);
  return T::to_python(v);
}

template <class T>
int setitem(PyObject* item, void* data, void*) {
  typename T::Stored v;
  if (Py_TYPE(item) == Registered<T>::type) {
    v = reinterpret_cast<Scalar<T>*>(item)->value;
  } else if (!T::from_python(item, v)) {
    return -1;
  }
  std::memcpy(data, &v, sizeof v);
  return 0;
}

template <class T>
void copyswapn(void* dst, npy_intp dst_step, void* src, npy_intp src_step, npy_intp n, int swap, void*) {
  constexpr size_t kSize = sizeof(typename T::Stored);
  for (npy_intp i = 0; i < n; ++i) {
    char* d = static_cast<char*>(dst) + i * dst_step;
    if (src) std::memcpy(d, static_cast<char*>(src) + i * src_step, kSize);
    if (swap && kSize == 2) std::swap(d[0], d[kSize - 1]);
  }
}

template <class T>
void copyswap(void* dst, void* src, int swap, void*) {
  copyswapn<T>(dst, 0, src, 0, 1, swap, nullptr);
}

template <class T>
npy_bool nonzero(void* data, void*) {
  typename T::Stored v;
  std::memcpy(&v, data, sizeof v);
  return T::number(v) != 0;
}

template <class T, class Other>
void cast_to(void* from, void* to, npy_intp n, void*, void*) {
  const auto* in = static_cast<const typename T::Stored*>(from);
  for (npy_intp i = 0; i < n; ++i) static_cast<Other*>(to)[i] = static_cast<Other>(T::number(in[i]));
}

template <class T, class Other>
void cast_from(void* from, void* to, npy_intp n, void*, void*) {
  auto* out = static_cast<typename T::Stored*>(to);
  const PyGILState_STATE gil = PyGILState_Ensure();
  for (npy_intp i = 0; i < n; ++i) {
    if (!T::from_number(static_cast<double>(static_cast<const Other*>(from)[i]), out[i])) break;
  }
  PyGILState_Release(gil);
}

template <class T, class Other>
void register_casts(PyArray_Descr* descr, int other) {
  PyArray_Descr* from = PyArray_DescrFromType(other);
  const bool ok = PyArray_RegisterCastFunc(descr, other, cast_to<T, Other>) == 0 &&
                  PyArray_RegisterCastFunc(from, descr->type_num, cast_from<T, Other>) == 0;
  Py_DECREF(reinterpret_cast<PyObject*>(from));
  if (!ok) throw nb::python_error();
}

template <class T>
void add_type(nb::dict dtypes, const char* name, char letter) {
  using R = Registered<T>;
  PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(T::kDoc)}, {0, nullptr}};
  PyType_Spec spec = {T::kName, sizeof(Scalar<T>), 0, Py_TPFLAGS_DEFAULT, slots};
  nb::object type =
      nb::steal(PyType_FromSpecWithBases(&spec, nb::make_tuple(nb::handle((PyObject*)&PyGenericArrType_Type)).ptr()));
  if (!type.is_valid()) throw nb::python_error();
  R::type = reinterpret_cast<PyTypeObject*>(type.release().ptr());  // lives as long as the interpreter
  PyArray_InitArrFuncs(&R::funcs);
  R::funcs.getitem = getitem<T>;
  R::funcs.setitem = setitem<T>;
  R::funcs.copyswap = copyswap<T>;
  R::funcs.copyswapn = copyswapn<T>;
  R::funcs.nonzero = nonzero<T>;
  R::proto = {};
  R::proto.ob_base.ob_refcnt = 1;
  R::proto.typeobj = R::type;
  R::proto.kind = 'V';
  R::proto.type = letter;
  R::proto.byteorder = '=';
  R::proto.flags = NPY_USE_GETITEM | NPY_USE_SETITEM | NPY_NEEDS_PYAPI;
  R::proto.elsize = sizeof(typename T::Stored);
  R::proto.alignment = alignof(typename T::Stored);
  R::proto.f = &R::funcs;
  R::proto.hash = -1;
  Py_SET_TYPE(reinterpret_cast<PyObject*>(&R::proto), &PyArrayDescr_Type);
  const int number = PyArray_RegisterDataType(&R::proto);
  if (number < 0) throw nb::python_error();
  nb::object dtype = nb::steal(reinterpret_cast<PyObject*>(PyArray_DescrFromType(number)));
  auto* descr = reinterpret_cast<PyArray_Descr*>(dtype.ptr());
  register_casts<T, npy_byte>(descr, NPY_BYTE);
  register_casts<T, npy_ubyte>(descr, NPY_UBYTE);
  register_casts<T, npy_short>(descr, NPY_SHORT);
  register_casts<T, npy_ushort>(descr, NPY_USHORT);
  register_casts<T, npy_int>(descr, NPY_INT);
  register_casts<T, npy_uint>(descr, NPY_UINT);
  register_casts<T, npy_long>(descr, NPY_LONG);
  register_casts<T, npy_ulong>(descr, NPY_ULONG);
  register_casts<T, npy_longlong>(descr, NPY_LONGLONG);
  register_casts<T, npy_ulonglong>(descr, NPY_ULONGLONG);
  register_casts<T, npy_float>(descr, NPY_FLOAT);
  register_casts<T, npy_double>(descr, NPY_DOUBLE);
  if (PyArray_RegisterCanCast(descr, NPY_DOUBLE, NPY_NOSCALAR) < 0) throw nb::python_error();
  dtypes[name] = dtype;
}

}  // namespace

void bind_number_types(nb::module_& m) {
  m.def(
      "number_types",
      [module = nb::handle(m)] {
        static nb::dict* dtypes = [&] {
          if (PyArray_ImportNumPyAPI() < 0) throw nb::python_error();
          auto* d = new nb::dict;
          add_type<BFloat16>(*d, "bfloat16", 'f');
          add_type<IntB<1>>(*d, "intb1", 'r');
          add_type<IntB<2>>(*d, "intb2", 'r');
          add_type<IntB<4>>(*d, "intb4", 'r');
          for (const auto& [name, dtype] : *d) {  // pickles of arrays find the types there
            const nb::object type = dtype.attr("type");
            nb::setattr(module, type.attr("__name__"), type);
          }
          return d;
        }();
        return *dtypes;
      },
      "NumPy dtypes for bfloat16, intb1, intb2 and intb4, by name.");
}

}  // namespace megalith::python
