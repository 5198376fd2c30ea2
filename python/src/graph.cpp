// Graphs: building, loading, editing, running, writing; and recording eager calls.
#include "megalith/graph.h"

#include <mutex>
#include <unordered_map>

#include "megalith/infer.h"
#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"
#include "megalith/model.h"
#include "megalith/passes.h"
#include "megalith/recorder.h"
#include "module.h"

namespace megalith::python {
namespace {

std::unordered_map<const Graph*, std::weak_ptr<Graph>>& owners() {
  static auto* map = new std::unordered_map<const Graph*, std::weak_ptr<Graph>>;
  return *map;
}

using GraphPtr = std::shared_ptr<Graph>;

// A node of a graph that Python holds.
struct PyNode {
  GraphPtr graph;
  NodeId id = -1;
  Node& get() const { return graph->node(id); }
};

nb::object variable(const GraphPtr& g, ValueId v) { return wrap(Var(*g, v)); }

std::vector<ValueId> ids_of(const GraphPtr& g, nb::handle vars) {
  std::vector<ValueId> r;
  for (nb::handle h : nb::iter(vars)) {
    const PyVar& v = unwrap(h);
    if (v.var.graph() != g.get()) throw ArgumentError("a variable belongs to another graph");
    r.push_back(v.var.value());
  }
  return r;
}

nb::list variables(const GraphPtr& g, const std::vector<ValueId>& ids) {
  nb::list r;
  for (ValueId v : ids) r.append(variable(g, v));
  return r;
}

const PyVar& graph_var(const PyVar& v) {
  if (!v.var.is_graph()) throw ArgumentTypeError("expected a graph variable, got a Tensor");
  return v;
}

NamedTensor& holder(const PyNode& n) {
  Node& node = n.get();
  if (node.attrs.tensors.empty()) {
    throw ArgumentTypeError(cat(n.graph->label(n.id), " is no input, constant or parameter"));
  }
  return node.attrs.tensors[0];
}

Shape to_shape(const std::vector<int64_t>& dims) {
  for (int64_t d : dims) {
    if (d < 0) throw ArgumentError(cat("a dimension of ", d));
  }
  return Shape(dims.empty() ? std::span<const int64_t>() : std::span<const int64_t>(dims));
}

std::map<std::string, Tensor> feeds_of(nb::handle feeds) {
  std::map<std::string, Tensor> r;
  for (const auto& [name, value] : nb::cast<nb::dict>(feeds)) {
    r[nb::cast<std::string>(name)] = to_var(value).var.tensor();
  }
  return r;
}

nb::object loaded(MgeFile file) {
  infer_graph(file.graph);
  const GraphPtr g = new_graph(std::move(file.graph));
  nb::dict info;
  info["format"] = file.format;
  info["model_version"] = file.model_version;
  nb::list cases;
  for (const auto& one : file.cases) {
    nb::dict d;
    for (const auto& [name, t] : one) d[name.c_str()] = wrap(Var(t));
    cases.append(d);
  }
  info["cases"] = cases;
  return nb::make_tuple(g, info);
}

// `options` are MgeWriteOptions by name; the graph says the metadata.
nb::tuple dump(const GraphPtr& self, const std::string& format, const nb::kwargs& options) {
  MgeWriteOptions o;
  if (format != "FBS" && format != "FBS_V2") throw ArgumentError("there is no dump format '" + format + "'");
  o.format = format == "FBS" ? MgeFormat::kFbs : MgeFormat::kFbsV2;
  for (const auto& [key, value] : options) {
    const auto name = nb::cast<std::string>(key);
    if (name == "keep_var_name")
      o.keep_var_name = nb::cast<int>(value);
    else if (name == "keep_opr_name")
      o.keep_opr_name = nb::cast<bool>(value);
    else if (name == "keep_param_name")
      o.keep_param_name = nb::cast<bool>(value);
    else if (name == "keep_opr_priority")
      o.keep_opr_priority = nb::cast<bool>(value);
    else if (name == "model_version")
      o.model_version = nb::cast<int>(value);
    else if (name == "test_cases") {
      for (nb::handle one : nb::iter(value)) o.test_cases.push_back(feeds_of(one));
    } else
      throw ArgumentTypeError("dump has no option '" + name + "'");
  }
  MgeDumpInfo info;
  const std::string bytes = write_mge(*self, o, &info);
  nb::dict d;
  d["nr_opr"] = info.nr_opr;
  d["tot_bytes"] = info.tot_bytes;
  d["tensor_value_bytes"] = info.tensor_value_bytes;
  d["content_hash"] = info.content_hash;
  d["inputs"] = info.inputs;
  d["outputs"] = info.outputs;
  d["params"] = info.params;
  const auto sorted = [](const std::set<std::string>& names) { return std::vector(names.begin(), names.end()); };
  d["opr_types"] = sorted(info.opr_types);
  d["dtypes"] = sorted(info.dtypes);
  d["elemwise_modes"] = sorted(info.elemwise_modes);
  return nb::make_tuple(nb::bytes(bytes.data(), bytes.size()), d);
}

ValueId absorb(Graph& self, const Graph& other) {
  if (&self == &other) throw ArgumentError("a graph can't take itself in");
  const auto nodes = static_cast<NodeId>(self.nodes.size());
  const auto values = static_cast<ValueId>(self.values.size());
  for (Node n : other.nodes) {
    for (ValueId& v : n.inputs) v += values;
    for (ValueId& v : n.outputs) v += values;
    self.nodes.push_back(std::move(n));
  }
  for (Value v : other.values) {
    v.node += nodes;
    self.values.push_back(std::move(v));
  }
  return values;
}

void bind_graph_class(nb::module_& m) {
  nb::class_<Graph>(m, "Graph", nb::dynamic_attr(), nb::is_weak_referenceable(), "Nodes and values.")
      .def("__init__", [](nb::pointer_and_handle<Graph>) { throw ArgumentTypeError("use _core.new_graph()"); })
      .def_static("load", [](const std::string& path) { return loaded(read_mge(path)); })
      .def_static("loads",
                  [](nb::bytes b) {
                    return loaded(read_mge(std::span(static_cast<const std::byte*>(b.data()), b.size()), nullptr));
                  })
      .def("add_input",
           [](GraphPtr self, const std::string& name, nb::handle dtype, const std::vector<int64_t>& shape) {
             const ValueId v = self->add_input(name, parse_dtype(dtype), to_shape(shape));
             infer_node(*self, self->value(v).node);
             return variable(self, v);
           })
      .def("add_constant",
           [](GraphPtr self, const PyVar& t, const std::string& name) {
             const ValueId v = self->add_constant(t.var.tensor(), name);
             infer_node(*self, self->value(v).node);
             return variable(self, v);
           })
      .def("add_parameter",
           [](GraphPtr self, const PyVar& t, const std::string& name) {
             const ValueId v = self->add_parameter(t.var.tensor(), name);
             infer_node(*self, self->value(v).node);
             return variable(self, v);
           })
      .def("nodes",
           [](GraphPtr self) {
             std::vector<PyNode> r;
             for (size_t i = 0; i < self->nodes.size(); ++i) r.push_back({self, static_cast<NodeId>(i)});
             return r;
           })
      .def(
          "node",
          [](GraphPtr self, NodeId id) {
            if (id < 0 || static_cast<size_t>(id) >= self->nodes.size()) throw nb::index_error("there is no such node");
            return PyNode{self, id};
          },
          nb::arg("id"))
      .def(
          "value",
          [](GraphPtr self, ValueId id) {
            if (id < 0 || static_cast<size_t>(id) >= self->values.size())
              throw nb::index_error("there is no such value");
            return variable(self, id);
          },
          nb::arg("id"))
      .def("absorb", absorb, nb::arg("other"), "Appends all of another graph; how far the numbers of its values moved.")
      .def_prop_rw(
          "outputs",
          [](GraphPtr self) {
            nb::list r;
            for (const GraphOutput& o : self->outputs) r.append(nb::make_tuple(variable(self, o.value), o.name));
            return r;
          },
          [](GraphPtr self, const std::vector<std::pair<nb::object, std::string>>& outputs) {
            std::vector<GraphOutput> r;
            for (const auto& [var, name] : outputs) {
              const ValueId v = ids_of(self, nb::make_tuple(var))[0];
              r.push_back({name, v, static_cast<uint32_t>(v)});
            }
            self->outputs = std::move(r);
          })
      .def_prop_rw(
          "user_info",
          [](const Graph& self) { return nb::bytes(self.metadata.user_info.data(), self.metadata.user_info.size()); },
          [](Graph& self, nb::bytes b) { self.metadata.user_info.assign(b.c_str(), b.size()); })
      .def_prop_rw(
          "optimize_options", [](const Graph& self) { return self.metadata.optimize_options; },
          [](Graph& self, uint64_t v) { self.metadata.optimize_options = v; })
      .def_prop_rw(
          "has_metadata", [](const Graph& self) { return self.metadata.present; },
          [](Graph& self, bool v) { self.metadata.present = self.metadata.is_valid = v; })
      .def_prop_rw(
          "graph_modified", [](const Graph& self) { return self.metadata.graph_modified; },
          [](Graph& self, bool v) { self.metadata.graph_modified = v; })
      .def(
          "replace",
          [](GraphPtr self, nb::handle dst, nb::dict map) {
            std::map<ValueId, ValueId> replaced;
            for (const auto& [from, to] : map) {
              replaced[ids_of(self, nb::make_tuple(from))[0]] = ids_of(self, nb::make_tuple(to))[0];
            }
            const size_t first = self->nodes.size();
            const std::vector<ValueId> r = self->replace(ids_of(self, dst), replaced);
            for (size_t n = first; n < self->nodes.size(); ++n) infer_node(*self, static_cast<NodeId>(n));
            return variables(self, r);
          },
          nb::arg("dst"), nb::arg("map"), "Copies of what lies between, reading the replacements; the new variables.")
      .def(
          "infer", [](Graph& self) { infer_graph(self); }, "Shapes and types for the declared inputs, anew.")
      .def(
          "extract",
          [](GraphPtr self, nb::handle outputs, const std::vector<std::string>& names) {
            return new_graph(self->extract(ids_of(self, outputs), names));
          },
          nb::arg("outputs"), nb::arg("names") = std::vector<std::string>())
      .def(
          "compile",
          [](GraphPtr self, nb::handle outputs, bool optimize) {
            ModelOptions options;
            options.optimize = optimize;
            options.memory_limit = SIZE_MAX / 4;  // the user's own graph
            return Model::from_graph(self->extract(ids_of(self, outputs)), options);
          },
          nb::arg("outputs"), nb::arg("optimize") = false, "A Model of these outputs.")
      .def(
          "grad",
          [](GraphPtr self, nb::handle loss, nb::handle wrt) {
            nb::list r;
            for (ValueId v : grad(*self, ids_of(self, nb::make_tuple(loss))[0], ids_of(self, wrt))) {
              r.append(v < 0 ? nb::none() : variable(self, v));
            }
            return r;
          },
          nb::arg("loss"), nb::arg("wrt"))
      .def("dump", dump, "The bytes of a file, and what is in it.")
      .def(
          "run_pass", [](Graph& self, const std::string& name) { run_pass(self, name); }, nb::arg("name"),
          "Rewrites the graph; variables and nodes taken before are void, outputs stay.");
  m.def(
      "writable_passes",
      [] {
        std::vector<std::string> names;
        for (const Pass& p : passes()) {
          if (p.writable) names.push_back(p.name);
        }
        return names;
      },
      "Names of the passes that leave a graph which can be written to a file, in the order in which they run.");
  m.def("new_graph", [] { return new_graph(); });
}

void bind_node_class(nb::module_& m) {
  nb::class_<PyNode>(m, "Node", "One call in a graph.")
      .def_prop_ro("id", [](const PyNode& self) { return self.id; })
      .def_prop_ro("type", [](const PyNode& self) { return self.get().op->name; })
      .def_prop_ro("kind",
                   [](const PyNode& self) {
                     switch (self.get().op->kind) {
                       case OpKind::kInput: return "input";
                       case OpKind::kConstant: return "constant";
                       case OpKind::kParameter: return "parameter";
                       default: return "compute";
                     }
                   })
      .def_prop_rw(
          "name", [](const PyNode& self) { return self.get().name; },
          [](const PyNode& self, const std::string& name) { self.get().name = name; })
      .def_prop_rw(
          "priority", [](const PyNode& self) { return self.get().priority; },
          [](const PyNode& self, int32_t v) { self.get().priority = v; })
      .def_prop_ro("comp_node", [](const PyNode& self) { return self.get().comp_node; })
      .def_prop_ro("graph", [](const PyNode& self) { return self.graph; })
      .def_prop_ro("inputs", [](const PyNode& self) { return variables(self.graph, self.get().inputs); })
      .def_prop_ro("outputs", [](const PyNode& self) { return variables(self.graph, self.get().outputs); })
      .def_prop_ro("op", [](const PyNode& self) { return PyOp{self.get().op, self.get().attrs}; })
      .def_prop_rw(
          "holder_name", [](const PyNode& self) { return holder(self).name; },
          [](const PyNode& self, const std::string& name) { holder(self).name = name; },
          "The name of an input or parameter in files.")
      .def_prop_ro("value",
                   [](const PyNode& self) {
                     const NamedTensor& t = holder(self);
                     return t.value.defined() ? wrap(Var(t.value)) : nb::none();
                   })
      .def("set_value",
           [](const PyNode& self, const PyVar& v) {
             NamedTensor& t = holder(self);
             const Tensor& value = v.var.tensor();
             t.value = value;
             t.dtype = value.dtype();
             t.shape = value.shape();
           })
      .def(
          "declare",
          [](const PyNode& self, nb::handle dtype, const std::vector<int64_t>& shape) {
            NamedTensor& t = holder(self);
            t.dtype = parse_dtype(dtype);
            t.shape = to_shape(shape);
          },
          "Another type and shape of an input.")
      .def("__eq__",
           [](const PyNode& self, nb::handle other) {
             return nb::isinstance<PyNode>(other) && nb::cast<const PyNode&>(other).graph == self.graph &&
                    nb::cast<const PyNode&>(other).id == self.id;
           })
      .def("__hash__", [](const PyNode& self) {
        return std::hash<const void*>()(self.graph.get()) ^ std::hash<NodeId>()(self.id);
      });
}

void bind_model_class(nb::module_& m) {
  nb::class_<Model>(m, "Model", "A graph that is ready to run.")
      .def_static(
          "load",
          [](const std::string& path, bool reference) {
            ModelOptions options;
            options.reference = reference;
            return Model::load(path, options);
          },
          nb::arg("path"), nb::arg("reference") = false, "With ``reference``, on plain kernels only.")
      .def(
          "inputs",
          [](const Model& self) {
            nb::list r;
            for (const InputInfo& i : self.inputs()) {
              const std::vector<int64_t> shape(i.shape.begin(), i.shape.end());
              r.append(nb::make_tuple(i.name, dtype_tuple(i.dtype), nb::tuple(nb::cast(shape)), i.has_default));
            }
            return r;
          },
          "(name, dtype, declared shape, has a default) of every input.")
      .def("outputs",
           [](const Model& self) {
             nb::list r;
             for (const OutputInfo& o : self.outputs()) r.append(o.name);
             return r;
           })
      .def("run", [](Model& self, nb::dict feeds) {
        const std::map<std::string, Tensor> in = feeds_of(feeds);
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

void bind_recorder_class(nb::module_& m) {
  nb::class_<Recorder>(m, "Recorder", "Writes down eager calls as a graph, while they run.")
      .def(nb::init<>())
      .def("start", &Recorder::start)
      .def("stop", &Recorder::stop)
      .def("add_input", [](Recorder& self, PyVar& t, const std::string& name) { self.add_input(t.var, name); })
      .def("add_parameter", [](Recorder& self, PyVar& t, const std::string& name) { self.add_parameter(t.var, name); })
      .def("add_output", [](Recorder& self, PyVar& t, const std::string& name) { self.add_output(t.var, name); })
      .def("name_value", [](Recorder& self, PyVar& t, const std::string& name) { self.name_value(t.var, name); })
      .def("name_captured", [](Recorder& self, PyVar& t, const std::string& name) { self.name_captured(t.var, name); })
      .def("set_scope", &Recorder::set_scope)
      .def("value_of", [](Recorder& self, PyVar& t) { return self.value_of(t.var); })
      .def(
          "made", [](Recorder& self, PyVar& t) { return self.made(t.var); }, "Whether a recorded call made the value.")
      .def_prop_ro("literals", &Recorder::literals, "Constants that are numbers of the program.")
      .def_static("difference", &Recorder::difference, nb::arg("a"), nb::arg("b"), nb::arg("literals"),
                  "What differs between two recordings, shapes and values apart.")
      .def("take", [](Recorder& self) { return new_graph(std::move(self.graph())); }, "The graph; recording is over.");
}

}  // namespace

std::shared_ptr<Graph> new_graph(Graph graph) {
  GraphPtr g(new Graph(std::move(graph)), [](Graph* p) {
    owners().erase(p);
    delete p;
  });
  owners()[g.get()] = g;
  return g;
}

std::shared_ptr<Graph> owner_of(const Var& v) {
  const auto it = owners().find(v.graph());
  return it == owners().end() ? nullptr : it->second.lock();
}

void bind_graph(nb::module_& m) {
  bind_graph_class(m);
  bind_node_class(m);
  bind_model_class(m);
  bind_recorder_class(m);
  // Of TensorBase, when it is a graph variable.
  m.def("var_graph", [](const PyVar& v) { return graph_var(v).owner; });
  m.def("var_id", [](const PyVar& v) { return graph_var(v).var.value(); });
  m.def("var_node", [](const PyVar& v) { return PyNode{graph_var(v).owner, v.owner->value(v.var.value()).node}; });
  m.def("var_name", [](const PyVar& v) { return graph_var(v).owner->value(v.var.value()).name; });
  m.def("set_var_name", [](const PyVar& v, const std::string& name) {
    graph_var(v).owner->values[static_cast<size_t>(v.var.value())].name = name;
  });
  m.def(
      "rebind_var",
      [](PyVar& v, const PyVar& to) {
        graph_var(v), graph_var(to);
        v.var = to.var;
        v.owner = to.owner;
      },
      "Makes a variable stand for another one.");
  m.def("var_known", [](const PyVar& v) { return known_dtype(graph_var(v).var); }, "Whether shape and type are known.");
}

}  // namespace megalith::python
