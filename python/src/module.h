// The Python bindings: shared declarations. One file per subject under python/src.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "megalith/plan.h"
#include "megalith/var.h"

namespace megalith::python {

namespace nb = nanobind;

// What a Python Tensor holds. Scalars are stored with shape {1}, as in `.mge` files; the flag makes their shape ().
struct PyVar {
  Var var;
  bool scalar = false;
};

// An op with its parameters, ready to be called.
struct PyOp {
  const OpDef* def = nullptr;
  Attrs attrs;
};

// A Python object of the class given by set_classes() around a result.
nb::object wrap(Var var, bool scalar = false);
nb::object wrap_like(Var var, bool scalar, nb::handle like);  // and of the same class as `like`, for graph variables
PyVar& unwrap(nb::handle h);                                  // throws TypeError for anything but a Tensor
bool is_tensor(nb::handle h);
PyVar to_var(nb::handle h);  // also numbers and whatever NumPy takes, through set_classes' converter

// emit() without the GIL.
std::vector<Var> call(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs);
Var call1(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs);

Var scalar_var(double value, DType dtype);
Var convert_dtype(const Var& v, DType dtype);
DType dtype_of(const Var& v);  // of graph variables too

DType parse_dtype(nb::handle h);  // (id, scale, zero_point), an id, or a name
nb::object dtype_tuple(DType d);

void bind_tensor(nb::module_& m);
void bind_ops(nb::module_& m);
void bind_elemwise(nb::module_& m);
void bind_autograd(nb::module_& m);
void bind_graph(nb::module_& m);

}  // namespace megalith::python
