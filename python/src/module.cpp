#include "module.h"

#include "megalith/error.h"

namespace nb = nanobind;
using namespace megalith;

NB_MODULE(_core, m) {
  m.doc() = "The native core of Megalith.";
  nb::set_leak_warnings(false);  // op tables and classes live until the interpreter ends
  // Python sees ValueError for calls that make no sense and RuntimeError for what this build can't do.
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const UnsupportedError& e) {
      PyErr_SetString(PyExc_NotImplementedError, e.what());
    } catch (const Error& e) {
      PyErr_SetString(PyExc_ValueError, e.what());
    }
  });
  python::bind_tensor(m);
  python::bind_ops(m);
  python::bind_elemwise(m);
  python::bind_autograd(m);
  python::bind_graph(m);
}
