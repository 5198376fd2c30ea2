// Graphs: recording eager calls, reading and writing `.mge`, running.
#include "megalith/graph.h"

#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"
#include "megalith/model.h"
#include "megalith/recorder.h"
#include "module.h"

namespace megalith::python {

void bind_graph(nb::module_& m) {
  nb::class_<Recorder>(m, "Recorder", "Writes down eager calls as a graph, while they run.")
      .def(nb::init<>())
      .def("start", &Recorder::start)
      .def("stop", &Recorder::stop)
      .def("add_input",
           [](Recorder& self, nb::handle t, const std::string& name) { self.add_input(unwrap(t).var, name); })
      .def("add_parameter",
           [](Recorder& self, nb::handle t, const std::string& name) { self.add_parameter(unwrap(t).var, name); })
      .def("add_output",
           [](Recorder& self, nb::handle t, const std::string& name) { self.add_output(unwrap(t).var, name); })
      .def("name_value",
           [](Recorder& self, nb::handle t, const std::string& name) { self.name_value(unwrap(t).var, name); })
      .def("dump", [](Recorder& self, const std::string& format) {
        const std::string bytes = write_mge(self.graph(), format == "FBS" ? MgeFormat::kFbs : MgeFormat::kFbsV2);
        return nb::bytes(bytes.data(), bytes.size());
      });
  nb::class_<Model>(m, "Model", "A loaded `.mge` model.")
      .def_static("load", [](const std::string& path) { return Model::load(path); })
      .def_static("loads",
                  [](nb::bytes b) { return Model::load(std::span(static_cast<const std::byte*>(b.data()), b.size())); })
      .def("inputs",
           [](const Model& self) {
             nb::list r;
             for (const InputInfo& i : self.inputs()) {
               std::vector<int64_t> shape(i.shape.begin(), i.shape.end());
               r.append(nb::make_tuple(i.name, dtype_tuple(i.dtype), nb::tuple(nb::cast(shape)), i.has_default));
             }
             return r;
           })
      .def("outputs",
           [](const Model& self) {
             nb::list r;
             for (const OutputInfo& o : self.outputs()) r.append(o.name);
             return r;
           })
      .def("run", [](Model& self, nb::dict feeds) {
        std::map<std::string, Tensor> in;
        for (const auto& [name, value] : feeds) in[nb::cast<std::string>(name)] = to_var(value).var.tensor();
        std::vector<Tensor> out;
        {
          nb::gil_scoped_release unlocked;
          out = self.run(in);
        }
        nb::list r;
        for (const Tensor& t : out) r.append(wrap(Var(t)));
        return r;
      });
}

}  // namespace megalith::python
