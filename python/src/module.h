// The Python bindings: shared declarations. One file per subject under python/src.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "megalith/plan.h"
#include "megalith/var.h"

namespace megalith::python {

namespace nb = nanobind;

// Python sees these both as what a caller of today expects and as what MegEngine raises, which is a RuntimeError for
// most and an AssertionError for many: IndexingError is an IndexError and a RuntimeError, ArgumentError a ValueError,
// ArgumentTypeError a TypeError and both also the other two, every other Error a ValueError and a RuntimeError.
struct IndexingError : Error {
  using Error::Error;
};
struct ArgumentError : Error {
  using Error::Error;
};
struct ArgumentTypeError : Error {
  using Error::Error;
};

// What a Python Tensor holds. Scalars are stored with shape {1}, as in `.mge` files; the flag makes their shape ().
struct PyVar {
  Var var;
  bool scalar = false;
  std::shared_ptr<Graph> owner;  // of a graph variable
  uint8_t format = 0;  // what Python calls the memory format of an image; 0: default. Kernels choose their own.
};

// An op with its parameters, ready to be called.
struct PyOp {
  const OpDef* def = nullptr;
  Attrs attrs;
};

// A Python object of the class given by set_classes() around a result.
nb::object wrap(Var var, bool scalar = false);
nb::object with_format(nb::object tensor, uint8_t format);
PyVar& unwrap(nb::handle h);  // throws TypeError for anything but a Tensor
bool is_tensor(nb::handle h);
PyVar to_var(nb::handle h);  // also numbers and whatever NumPy takes, through set_classes' converter

// Graphs that Python holds; a graph variable keeps its graph alive.
std::shared_ptr<Graph> new_graph(Graph graph = {});
std::shared_ptr<Graph> owner_of(const Var& v);

// Elements up to which an elementwise call keeps the GIL: handing it over and back takes longer.
constexpr int64_t kQuick = 4096;

// emit() without the GIL.
std::vector<Var> call(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs);
Var call1(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs);

Var scalar_var(double value, DType dtype);
// Marks a number that the program wrote: a traced function has to compute with the same ones each time.
inline Var literal(Var v) {
  v.trace.recorder = TraceRef::kLiteral;
  return v;
}
Var convert_dtype(const Var& v, DType dtype);
TensorSpec spec_of(const Var& v);  // throws for a graph variable of unknown shape and type
DType dtype_of(const Var& v);
Shape shape_of(const PyVar& v);  // {} of scalars
int ndim_of(const PyVar& v);
bool known_dtype(const Var& v);
DType promote(DType a, DType b);  // the element type of a call on both; throws ArgumentTypeError when there is none

int64_t as_integer(nb::handle h, const char* what);  // of 32 bits; numbers, NumPy's too, and Tensors that hold one
Var int_vector(std::span<const int64_t> values);     // Int32
Var int_vector(std::initializer_list<int64_t> values);
// Automatic mixed precision: while it is on, elementwise calls that need precision compute in `high`; Python converts
// the operands of convolutions and matrix products to `low`.
struct Autocast {
  bool on = false;
  DType high = DTypeEnum::Float32;
};
Autocast& autocast();

DType parse_dtype(nb::handle h);  // (id, scale, zero_point), an id, or a name
nb::object dtype_tuple(DType d);

void bind_tensor(nb::module_& m);
void bind_shape(nb::module_& m);
void bind_indexing(nb::module_& m);
void bind_ops(nb::module_& m);
void bind_elemwise(nb::module_& m);
void bind_autograd(nb::module_& m);
void bind_graph(nb::module_& m);
void bind_number_types(nb::module_& m);

}  // namespace megalith::python
