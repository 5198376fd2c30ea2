// Tapes, and functions with a gradient written in Python.
#include "megalith/autograd.h"

#include "module.h"

namespace megalith::python {
namespace {

std::vector<Var> vars_of(nb::handle list) {
  std::vector<Var> r;
  for (nb::handle h : nb::iter(list)) r.push_back(h.is_none() ? Var() : unwrap(h).var);
  return r;
}

// A Python callable that may be dropped by any thread.
std::shared_ptr<nb::object> hold(nb::object o) {
  return {new nb::object(std::move(o)), [](nb::object* p) {
            nb::gil_scoped_acquire gil;
            delete p;
          }};
}

// Links `outputs`, computed from `inputs` by Python code, to `backward(*grads) -> one gradient or None per input`.
void remember_custom(nb::handle inputs, nb::handle outputs, nb::object backward) {
  const std::vector<Var> in = vars_of(inputs);
  std::vector<Var> out = vars_of(outputs);
  for (Var& v : out) v.mutable_link() = nullptr;
  static const OpDef& identity = Registry::get().at("Identity");
  remember(&identity, {}, in, out, [call = hold(std::move(backward))](const std::vector<Var>& dout) {
    nb::gil_scoped_acquire gil;
    nb::list grads;
    for (const Var& d : dout) grads.append(d.defined() ? wrap(d) : nb::none());
    return vars_of((*call)(*grads));
  });
  size_t i = 0;
  for (nb::handle h : nb::iter(outputs)) unwrap(h).var = out[i++];
}

}  // namespace

void bind_autograd(nb::module_& m) {
  nb::class_<Tape>(m, "Tape", "Remembers eager calls that depend on watched tensors.")
      .def(nb::init<>())
      .def("watch", [](Tape& self, nb::handle t) { self.watch(unwrap(t).var); })
      .def(
          "gradients",
          [](Tape& self, nb::handle ys, nb::handle dys, nb::handle wrt) {
            const std::vector<Var> y = vars_of(ys), dy = vars_of(dys), x = vars_of(wrt);
            std::vector<Var> g;
            {
              nb::gil_scoped_release unlocked;
              g = self.gradients(y, dy, x);
            }
            nb::list r;
            size_t i = 0;
            for (nb::handle t : nb::iter(wrt)) {
              r.append(g[i].defined() ? wrap(g[i], unwrap(t).scalar) : nb::none());
              ++i;
            }
            return r;
          },
          nb::arg("ys"), nb::arg("dys"), nb::arg("wrt"), "Gradients of sum(ys * dys); None where nothing depends.")
      .def("release", &Tape::release)
      .def_prop_ro("open", &Tape::open);
  nb::class_<NoTape>(m, "NoTape", "While it lives, no call is remembered.").def(nb::init<>());
  m.def(
      "tracked", [](nb::handle t) { return tracked(unwrap(t).var); },
      "Whether a call of this tensor would be remembered.");
  m.def("remember_custom", remember_custom, nb::arg("inputs"), nb::arg("outputs"), nb::arg("backward"));
}

}  // namespace megalith::python
