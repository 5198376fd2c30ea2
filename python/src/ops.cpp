// Op: any op of the registry with its parameters as keywords, and apply(), which calls it.
#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>

#include "megalith/call_log.h"
#include "megalith/random.h"
#include "module.h"

namespace megalith::python {
namespace {

[[noreturn]] void bad_value(const OpDef& op, const Field& f, nb::handle v, const char* wanted) {
  std::string text = is_tensor(v) ? "a Tensor" : nb::cast<std::string>(nb::str(v));
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  throw ArgumentTypeError(cat(op.name, ": ", f.name, " is ", wanted, ", not ", text));
}

uint32_t enum_value(const OpDef& op, const Field& f, nb::handle v) {
  const EnumInfo& info = f.enums();
  if (nb::isinstance<nb::str>(v)) {
    const auto name = nb::cast<std::string>(v);
    uint32_t bits = 0;
    size_t at = 0;
    while (at <= name.size()) {  // flags may be joined by '|'
      const size_t end = std::min(name.find('|', at), name.size());
      const std::string one = name.substr(at, end - at);
      bool found = false;
      for (const EnumValue& e : info.values) {
        if (one != e.name) continue;
        bits |= e.value;
        found = true;
      }
      if (!found) throw ArgumentError(cat(op.name, ": ", f.name, " has no value '", one, "'"));
      at = end + 1;
    }
    return bits;
  }
  uint32_t value = 0;
  if (!nb::try_cast(v, value)) bad_value(op, f, v, "the name of an enumerator");
  if (!info.flags && !info.name_of(value)) throw ArgumentError(cat(op.name, ": ", f.name, " has no value ", value));
  return value;
}

template <class T>
void store_number(const OpDef& op, std::byte* at, const Field& f, nb::handle v, const char* wanted) {
  T value{};
  if (!nb::try_cast(v, value)) bad_value(op, f, v, wanted);
  std::memcpy(at, &value, sizeof value);
}

std::vector<int32_t> flatten_list(const OpDef& op, const Field& f, nb::handle v) {
  std::vector<int32_t> r;
  for (nb::handle item : nb::iter(v)) {
    if (f.type == FieldType::kInt32List) {
      int32_t i = 0;
      if (!nb::try_cast(item, i)) bad_value(op, f, v, "a list of integers");
      r.push_back(i);
      continue;
    }
    const size_t before = r.size();
    for (nb::handle part : nb::iter(item)) {
      int32_t i = 0;
      if (!nb::try_cast(part, i)) bad_value(op, f, v, "a list of tuples of integers");
      r.push_back(i);
    }
    if (r.size() - before != (f.type == FieldType::kAxisDescList ? 2u : 5u)) {
      bad_value(
          op, f, v,
          f.type == FieldType::kAxisDescList ? "a list of (method, axis)" : "a list of (axis, begin, end, step, idx)");
    }
  }
  return r;
}

void set_field(const OpDef& op, Params& p, const Field& f, nb::handle v) {
  std::byte* at = p.field(f);
  switch (f.type) {
    case FieldType::kBool: {
      const int truth = PyObject_IsTrue(v.ptr());
      if (truth < 0) throw nb::python_error();
      const bool b = truth == 1;
      std::memcpy(at, &b, 1);
      return;
    }
    case FieldType::kInt32: return store_number<int32_t>(op, at, f, v, "an integer");
    case FieldType::kUint32: return store_number<uint32_t>(op, at, f, v, "a non-negative integer");
    case FieldType::kUint64: return store_number<uint64_t>(op, at, f, v, "a non-negative integer");
    case FieldType::kFloat32: return store_number<float>(op, at, f, v, "a number");
    case FieldType::kFloat64: return store_number<double>(op, at, f, v, "a number");
    case FieldType::kEnum: {
      const uint32_t e = enum_value(op, f, v);
      std::memcpy(at, &e, sizeof e);
      return;
    }
    case FieldType::kDTypeEnum: {
      const DTypeEnum d = parse_dtype(v).id;
      std::memcpy(at, &d, sizeof d);
      return;
    }
    case FieldType::kDType: {
      const DType d = parse_dtype(v);
      std::memcpy(at, &d, sizeof d);
      return;
    }
    case FieldType::kScalar: {
      float value = 0;
      if (!nb::try_cast(v, value)) bad_value(op, f, v, "a number");
      const Scalar s = Scalar::of(value);
      std::memcpy(at, &s, sizeof s);
      return;
    }
    default: p.list() = flatten_list(op, f, v);
  }
}

nb::object get_field(const Params& p, const Field& f) {
  const std::byte* at = p.field(f);
  const auto read = [&](auto value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  switch (f.type) {
    case FieldType::kBool: return nb::cast(read(bool{}));
    case FieldType::kInt32: return nb::cast(read(int32_t{}));
    case FieldType::kUint32: return nb::cast(read(uint32_t{}));
    case FieldType::kUint64: return nb::cast(read(uint64_t{}));
    case FieldType::kFloat32: return nb::cast(read(float{}));
    case FieldType::kFloat64: return nb::cast(read(double{}));
    case FieldType::kEnum: {
      const uint32_t v = read(uint32_t{});
      const char* name = f.enums().name_of(v);
      return name ? nb::cast(name) : nb::cast(v);
    }
    case FieldType::kDTypeEnum: return dtype_tuple(read(DTypeEnum{}));
    case FieldType::kDType: return dtype_tuple(read(DType{}));
    case FieldType::kScalar: return nb::cast(read(Scalar{}).value());
    default: {
      const size_t width = f.type == FieldType::kInt32List ? 1 : f.type == FieldType::kAxisDescList ? 2 : 5;
      nb::list r;
      for (size_t i = 0; i + width <= p.list().size(); i += width) {
        if (width == 1) {
          r.append(p.list()[i]);
          continue;
        }
        nb::list item;
        for (size_t k = 0; k < width; ++k) item.append(p.list()[i + k]);
        r.append(nb::tuple(item));
      }
      return r;
    }
  }
}

void init_op(PyOp* self, const std::string& name, const nb::kwargs& kwargs) {
  const OpDef& def = Registry::get().at(name);
  new (self) PyOp{&def, {}};
  if (def.params) self->attrs.params = Params(*def.params);
  for (const auto& [key, value] : kwargs) {
    const auto k = nb::cast<std::string>(key);
    if (k == "output_dtype") {
      self->attrs.output_dtype = parse_dtype(value);
      continue;
    }
    const Field* field = nullptr;
    if (def.params) {
      for (const Field& f : def.params->fields) {
        if (k == f.name) field = &f;
      }
    }
    if (!field) throw ArgumentTypeError(cat(def.name, " has no parameter '", k, "'"));
    set_field(def, self->attrs.params, *field, value);
  }
}

// The memory format of the results: the first input's, for ops that keep it.
uint8_t format_of(const PyOp& op, const nb::args& args) {
  static const std::set<std::string_view> keep{
      "Convolution", "ConvolutionBackwardData", "Pooling", "AdaptivePooling", "BatchNorm", "Resize", "Copy", "Identity",
      "Dropout",     "ConvBiasForward"};
  const uint8_t format = args.size() ? unwrap(args[0]).format : 0;
  return format && keep.count(op.def->name) ? format : 0;
}

nb::list apply(const PyOp& op, const nb::args& args) {
  std::vector<Var> in;
  in.reserve(args.size());
  for (nb::handle a : args) in.push_back(unwrap(a).var);
  const uint8_t format = format_of(op, args);
  nb::list r;
  for (Var& v : call(*op.def, op.attrs, in)) r.append(with_format(wrap(std::move(v)), format));
  return r;
}

nb::object apply1(const PyOp& op, const nb::args& args) {
  std::vector<Var> in;
  in.reserve(args.size());
  for (nb::handle a : args) in.push_back(unwrap(a).var);
  const uint8_t format = format_of(op, args);
  return with_format(wrap(call1(*op.def, op.attrs, in)), format);
}

}  // namespace

std::vector<Var> call(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs) {
  nb::gil_scoped_release unlocked;
  return emit(op, attrs, inputs);
}

Var call1(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs) {
  std::vector<Var> out = call(op, attrs, inputs);
  if (out.empty()) throw Error(cat(op.name, ": has no output"));
  return std::move(out[0]);
}

Var convert_dtype(const Var& v, DType dtype) {
  static const OpDef& def = Registry::get().at("TypeCvt");
  if (known_dtype(v) && dtype_of(v) == dtype) return v;
  Attrs attrs;
  attrs.params = param::TypeCvt{.dtype = dtype};
  if (!v.is_graph() && v.tensor().count() <= kQuick) return std::move(emit(def, attrs, {v})[0]);
  return call1(def, attrs, {v});
}

void bind_ops(nb::module_& m) {
  nb::class_<PyOp>(m, "Op", "An op of the registry with its parameters.")
      .def("__init__",
           [](PyOp* self, const std::string& name, const nb::kwargs& kwargs) { init_op(self, name, kwargs); })
      .def_prop_ro("name", [](const PyOp& self) { return self.def->name; })
      .def_prop_ro("params",
                   [](const PyOp& self) {
                     nb::dict d;
                     if (self.def->params) {
                       for (const Field& f : self.def->params->fields) d[f.name] = get_field(self.attrs.params, f);
                     }
                     return d;
                   })
      .def_prop_ro("output_dtype",
                   [](const PyOp& self) -> nb::object {
                     return self.attrs.output_dtype ? dtype_tuple(*self.attrs.output_dtype) : nb::none();
                   })
      .def("__repr__", [](const PyOp& self) { return cat(self.def->name, "(", self.attrs.params.str(), ")"); })
      .def("__call__", apply, "Calls the op; a list of Tensors.");
  m.def("start_call_log", &CallLog::start, "Begins to write down when eager calls run.");
  m.def(
      "stop_call_log",
      [] {
        nb::list r;
        for (const CallTime& c : CallLog::stop()) {
          r.append(nb::make_tuple(c.name, c.shapes, c.begin, c.end, c.thread, c.bytes));
        }
        return r;
      },
      "The calls since: (name, shapes of the inputs, begin and end in seconds, number of the thread, bytes of the "
      "results).");
  m.def("call_log_time", &CallLog::now, "Seconds since the log was started.");
  m.def("check_inputs", &check_inputs, nb::arg("on"),
        "Whether calls look at their inputs before and after; calls count.");
  m.def("seed", &seed_eager, "Restarts the stream of random ops that have no seed of their own.");
  m.def("apply", apply, "Calls an op on Tensors; a list of Tensors.");
  m.def("apply1", apply1, "Calls an op on Tensors; its first result.");
  m.def(
      "registry",
      [] {
        nb::list r;
        for (const OpDef* op : Registry::get().ops()) {
          nb::dict d;
          d["name"] = op->name;
          d["doc"] = op->doc;
          d["min_inputs"] = op->min_inputs;
          d["max_inputs"] = op->max_inputs;
          nb::list fields;
          const Params defaults = op->params ? Params(*op->params) : Params();
          if (op->params) {
            for (const Field& f : op->params->fields) {
              nb::list values;
              if (f.enums) {
                for (const EnumValue& e : f.enums().values) values.append(e.name);
              }
              fields.append(nb::make_tuple(f.name, get_field(defaults, f), f.doc, values));
            }
          }
          d["fields"] = fields;
          r.append(d);
        }
        return r;
      },
      "The op registry: names, documentation, inputs, and fields as (name, default, doc, enumerators).");
}

}  // namespace megalith::python
