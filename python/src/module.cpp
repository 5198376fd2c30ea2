#include "module.h"

#include "megalith/error.h"

namespace nb = nanobind;
using namespace megalith;

namespace {

// A class with several bases, so that callers may catch any of them.
template <class... Bases>
PyObject* exception_class(nb::module_& m, const char* name, Bases*... base) {
  nb::object bases = nb::make_tuple(nb::borrow(base)...);
  const std::string full = std::string("megalith.") + name;
  PyObject* type = PyErr_NewException(full.c_str(), bases.ptr(), nullptr);
  m.attr(name) = nb::borrow(type);
  return type;
}

struct Exceptions {
  PyObject *op, *indexing, *argument, *argument_type;
};
Exceptions exceptions;  // owned by the module for ever

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "The native core of Megalith.";
  nb::set_leak_warnings(false);  // op tables and classes live until the interpreter ends
  exceptions = {exception_class(m, "OpError", PyExc_ValueError, PyExc_RuntimeError),
                exception_class(m, "IndexingError", PyExc_IndexError, PyExc_RuntimeError),
                exception_class(m, "ArgumentError", PyExc_ValueError, PyExc_AssertionError, PyExc_RuntimeError),
                exception_class(m, "ArgumentTypeError", PyExc_TypeError, PyExc_AssertionError, PyExc_RuntimeError)};
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const UnsupportedError& e) {
      PyErr_SetString(PyExc_NotImplementedError, e.what());
    } catch (const python::IndexingError& e) {
      PyErr_SetString(exceptions.indexing, e.what());
    } catch (const python::ArgumentError& e) {
      PyErr_SetString(exceptions.argument, e.what());
    } catch (const python::ArgumentTypeError& e) {
      PyErr_SetString(exceptions.argument_type, e.what());
    } catch (const Error& e) {
      PyErr_SetString(exceptions.op, e.what());
    }
  });
  python::bind_tensor(m);
  python::bind_ops(m);
  python::bind_elemwise(m);
  python::bind_shape(m);
  python::bind_indexing(m);
  python::bind_autograd(m);
  python::bind_graph(m);
  python::bind_number_types(m);
}
