// Elementwise calls with MegEngine's promotion of element types, in one step for speed.
#include <array>

#include "module.h"

namespace megalith::python {
namespace {

using Mode = param::ElemwiseMode;

bool is_signed(DTypeEnum d) { return d == DTypeEnum::Int8 || d == DTypeEnum::Int16 || d == DTypeEnum::Int32; }
bool plain_int(DType d) { return d.is_int() && !d.is_quantized() && d.bits() >= 8; }

// Equal types stay; integers of one signedness widen; anything else is Float32.
DType promote(DType a, DType b) {
  if (a == b) return a;
  if (plain_int(a) && plain_int(b)) {
    if (is_signed(a.id) != is_signed(b.id)) {
      throw nb::type_error(
          cat("no promotion rule for integers of different signedness: ", a.str(), " and ", b.str()).c_str());
    }
    return a.bits() > b.bits() ? a : b;
  }
  return DTypeEnum::Float32;
}

// Modes that only make sense on real numbers: integers are converted.
bool wants_float(Mode m) {
  switch (m) {
    case Mode::ACOS:
    case Mode::ASIN:
    case Mode::ACOSH:
    case Mode::ASINH:
    case Mode::ATANH:
    case Mode::ATAN2:
    case Mode::COS:
    case Mode::COSH:
    case Mode::SIN:
    case Mode::SINH:
    case Mode::TAN:
    case Mode::TANH:
    case Mode::FAST_TANH:
    case Mode::ERF:
    case Mode::ERFC:
    case Mode::ERFINV:
    case Mode::ERFCINV:
    case Mode::EXP:
    case Mode::EXPM1:
    case Mode::LOG:
    case Mode::LOG1P:
    case Mode::LOG_SUM_EXP:
    case Mode::POW:
    case Mode::SQRT:
    case Mode::TRUE_DIV:
    case Mode::SIGMOID:
    case Mode::SILU:
    case Mode::GELU:
    case Mode::H_SWISH:
    case Mode::HSIGMOID:
    case Mode::LOGSIGMOID:
    case Mode::SOFTPLUS:
    case Mode::FUSE_ADD_SIGMOID:
    case Mode::FUSE_ADD_TANH:
    case Mode::FUSE_ADD_H_SWISH: return true;
    default: return false;
  }
}

bool compares(Mode m) {
  return m == Mode::LT || m == Mode::LEQ || m == Mode::EQ || m == Mode::NEQ || m == Mode::ISNAN || m == Mode::ISINF;
}

struct Number {
  double value = 0;
  int category = 0;  // 1: bool, 2: int, 3: float; 0: not a Python number
};

Number as_number(nb::handle h) {
  if (PyBool_Check(h.ptr())) return {h.ptr() == Py_True ? 1.0 : 0.0, 1};
  if (PyLong_CheckExact(h.ptr())) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(h.ptr(), &overflow);
    if (overflow) throw nb::value_error("an integer does not fit into 64 bits");
    return {static_cast<double>(v), 2};
  }
  if (PyFloat_CheckExact(h.ptr())) return {PyFloat_AsDouble(h.ptr()), 3};
  return {};
}

int category(DType d) { return d.id == DTypeEnum::Bool ? 1 : plain_int(d) ? 2 : 3; }

const OpDef& elemwise_op() {
  static const OpDef& def = Registry::get().at("Elemwise");
  return def;
}

nb::object elemwise(int mode_id, const nb::args& args) {
  const auto mode = static_cast<Mode>(mode_id);
  std::vector<PyVar> vars(args.size());
  std::array<Number, 8> numbers{};
  if (args.size() > numbers.size() || args.size() == 0)
    throw nb::type_error("an elementwise call takes 1 to 8 operands");
  bool have = false, graph = false;
  int number_category = 0, tensor_category = 0;
  DType dtype;
  for (size_t i = 0; i < args.size(); ++i) {
    numbers[i] = as_number(args[i]);
    if (numbers[i].category) {
      number_category = std::max(number_category, numbers[i].category);
      continue;
    }
    vars[i] = to_var(args[i]);
    if (!known_dtype(vars[i].var)) {
      graph = true;
      continue;
    }
    const DType d = dtype_of(vars[i].var);
    dtype = have ? promote(dtype, d) : d;
    tensor_category = std::max(tensor_category, category(d));
    have = true;
  }
  if (number_category > tensor_category || !have) {
    const DType n = number_category == 3   ? DTypeEnum::Float32
                    : number_category == 2 ? DTypeEnum::Int32
                                           : DTypeEnum::Bool;
    dtype = have ? promote(dtype, n) : graph ? DType(DTypeEnum::Float32) : n;
  }
  if (wants_float(mode) && !dtype.is_float() && !dtype.is_quantized()) dtype = DTypeEnum::Float32;
  std::vector<Var> in;
  bool scalar = true;
  for (size_t i = 0; i < args.size(); ++i) {
    if (numbers[i].category) {
      in.push_back(scalar_var(numbers[i].value, dtype));
      continue;
    }
    scalar = scalar && vars[i].scalar;
    in.push_back(known_dtype(vars[i].var) ? convert_dtype(vars[i].var, dtype) : vars[i].var);
  }
  Attrs attrs;
  attrs.params = param::Elemwise{.mode = mode};
  Var out = call1(elemwise_op(), attrs, in);
  if (compares(mode)) out = convert_dtype(out, DTypeEnum::Bool);
  return wrap(std::move(out), scalar);
}

nb::object astype(const PyVar& v, nb::handle dtype) { return wrap(convert_dtype(v.var, parse_dtype(dtype)), v.scalar); }

// One element type for all operands, as elementwise calls promote them; Python numbers become tensors.
nb::list convert_inputs(const nb::args& args) {
  bool have = false;
  DType dtype;
  std::vector<PyVar> vars;
  for (nb::handle a : args) {
    if (!as_number(a).category) {
      vars.push_back(to_var(a));
      if (!known_dtype(vars.back().var)) continue;
      const DType d = dtype_of(vars.back().var);
      dtype = have ? promote(dtype, d) : d;
      have = true;
    } else {
      vars.emplace_back();
    }
  }
  nb::list r;
  for (size_t i = 0; i < args.size(); ++i) {
    const Number n = as_number(args[i]);
    if (n.category) {
      const DType d = have ? dtype : n.category == 3 ? DType(DTypeEnum::Float32) : DType(DTypeEnum::Int32);
      r.append(wrap(scalar_var(n.value, d), true));
    } else {
      const PyVar& v = vars[i];
      r.append(wrap(!known_dtype(v.var) || !have ? v.var : convert_dtype(v.var, dtype), v.scalar));
    }
  }
  return r;
}

}  // namespace

void bind_elemwise(nb::module_& m) {
  nb::dict modes;
  for (const EnumValue& e : enum_info<Mode>().values) modes[e.name] = e.value;
  m.attr("elemwise_modes") = modes;
  m.def("elemwise", elemwise,
        "Elementwise call: mode number, then Tensors, numbers or arrays; promotes element types.");
  m.def("astype", astype, nb::arg("x"), nb::arg("dtype"));
  m.def("convert_inputs", convert_inputs, "The operands as Tensors of one element type.");
}

}  // namespace megalith::python
