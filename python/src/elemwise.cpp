// Elementwise calls with MegEngine's promotion of element types, in one step for speed.
#include <cmath>
#include <memory>

#include "module.h"

namespace megalith::python {
namespace {

using Mode = param::ElemwiseMode;

bool is_signed(DTypeEnum d) { return d == DTypeEnum::Int8 || d == DTypeEnum::Int16 || d == DTypeEnum::Int32; }
bool plain_int(DType d) { return d.is_int() && !d.is_quantized() && d.bits() >= 8; }

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

// Modes that lose too much in 16 bits.
bool wants_precision(Mode m) {
  switch (m) {
    case Mode::TRUE_DIV:
    case Mode::EXP:
    case Mode::POW:
    case Mode::LOG:
    case Mode::EXPM1:
    case Mode::LOG1P:
    case Mode::ACOS:
    case Mode::ASIN:
    case Mode::ATAN2:
    case Mode::COS:
    case Mode::SIN:
    case Mode::LOG_SUM_EXP:
    case Mode::TAN:
    case Mode::ASINH:
    case Mode::ACOSH:
    case Mode::ATANH:
    case Mode::SINH:
    case Mode::COSH:
    case Mode::SOFTPLUS:
    case Mode::HSIGMOID:
    case Mode::LOGSIGMOID:
    case Mode::SQRT: return true;
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
    if (overflow) throw ArgumentError("an integer does not fit into 64 bits");
    return {static_cast<double>(v), 2};
  }
  if (PyFloat_CheckExact(h.ptr())) return {PyFloat_AsDouble(h.ptr()), 3};
  return {};
}

int category(DType d) { return d.id == DTypeEnum::Bool ? 1 : plain_int(d) ? 2 : 3; }

bool rounds(Mode m) { return m == Mode::FLOOR || m == Mode::CEIL || m == Mode::ROUND; }
bool is_logic(Mode m) { return m == Mode::AND || m == Mode::OR || m == Mode::XOR || m == Mode::NOT; }

// MegEngine refuses arithmetic of bools, logic of anything else, and shifts of real numbers.
void check_dtype(Mode m, DType d) {
  const bool is_bool = d.id == DTypeEnum::Bool;
  const char* wants = nullptr;
  if (is_logic(m) != is_bool && !(is_bool && compares(m))) wants = is_bool ? "numbers" : "bools";
  if ((m == Mode::SHL || m == Mode::SHR) && !plain_int(d)) wants = "integers";
  if (wants)
    throw ArgumentTypeError(
        cat(enum_info<Mode>().name_of(static_cast<uint32_t>(m)), " takes ", wants, ", not ", d.str()));
}

// What a list or an array adds to the element type of the Tensors it goes with, as MegEngine has it: its numbers count
// as Python's do, so a type of the same or a lower kind takes the Tensors' one; but an array's integers keep their
// range.
DType with_values(DType dtype, DType values, bool array) {
  if (category(values) > category(dtype)) return promote(dtype, values);
  if (!array || values.id == DTypeEnum::Bool || category(values) < category(dtype)) return dtype;
  if (plain_int(dtype) && is_signed(dtype.id) && !is_signed(values.id)) {
    if (values.id == DTypeEnum::Uint8) values = DTypeEnum::Int16;
    if (values.id == DTypeEnum::Uint16) values = DTypeEnum::Int32;
  }
  return promote(dtype, values);
}

constexpr size_t kMaxOperands = 8;

// One set of parameters per mode, made when the module is loaded.
const Attrs& attrs_of(Mode m) {
  static const std::vector<Attrs>* table = [] {
    auto* t = new std::vector<Attrs>;
    for (const EnumValue& e : enum_info<Mode>().values) {
      if (t->size() <= e.value) t->resize(e.value + 1);
      (*t)[e.value].params = param::Elemwise{.mode = static_cast<Mode>(e.value)};
    }
    return t;
  }();
  if (static_cast<size_t>(m) >= table->size()) throw Error(cat("there is no elementwise mode ", static_cast<int>(m)));
  return (*table)[static_cast<size_t>(m)];
}

// Comparisons give bools: a mode of the same name of an op of its own.
const OpDef& comparison_op() {
  static const OpDef& op = Registry::get().at("ElemwiseMultiType");
  return op;
}
const Attrs& comparison_attrs(Mode m) {
  using Multi = param::ElemwiseMultiTypeMode;
  static const std::vector<Attrs>* table = [] {
    auto* t = new std::vector<Attrs>(6);
    const Multi modes[6] = {Multi::LT, Multi::LEQ, Multi::EQ, Multi::NEQ, Multi::ISNAN, Multi::ISINF};
    for (size_t i = 0; i < 6; ++i) {
      (*t)[i].params = param::ElemwiseMultiType{.mode = modes[i]};
      (*t)[i].output_dtype = DTypeEnum::Bool;  // MegEngine loads no such op without it
    }
    return t;
  }();
  switch (m) {
    case Mode::LT: return (*table)[0];
    case Mode::LEQ: return (*table)[1];
    case Mode::EQ: return (*table)[2];
    case Mode::NEQ: return (*table)[3];
    case Mode::ISNAN: return (*table)[4];
    default: return (*table)[5];
  }
}

nb::object elemwise(Mode mode, const nb::handle* args, size_t count) {
  if (count > kMaxOperands || count == 0) throw ArgumentTypeError("an elementwise call takes 1 to 8 operands");
  const PyVar* operands[kMaxOperands];
  PyVar converted[2];  // operands that were no Tensors; more of them are rare
  std::vector<std::unique_ptr<PyVar>> more;
  size_t used = 0, values = 0;  // values: lists and arrays
  bool is_value[kMaxOperands] = {};
  Number numbers[kMaxOperands];
  bool have = false, graph = false;
  int number_category = 0, tensor_category = 0;
  DType dtype;
  for (size_t i = 0; i < count; ++i) {
    operands[i] = nullptr;
    if (is_tensor(args[i])) {
      operands[i] = &unwrap(args[i]);
    } else {
      numbers[i] = as_number(args[i]);
      if (numbers[i].category) {
        number_category = std::max(number_category, numbers[i].category);
        continue;
      }
      PyVar v = to_var(args[i]);
      if (used < 2) {
        operands[i] = &(converted[used++] = std::move(v));
      } else {
        operands[i] = more.emplace_back(std::make_unique<PyVar>(std::move(v))).get();
      }
      is_value[i] = true;
      ++values;
      continue;
    }
    const Var& v = operands[i]->var;
    if (v.is_graph() && !known_dtype(v)) {
      graph = true;
      continue;
    }
    const DType d = dtype_of(v);
    dtype = have ? promote(dtype, d) : d;
    tensor_category = std::max(tensor_category, category(d));
    have = true;
  }
  for (size_t i = 0; values && i < count; ++i) {
    if (!is_value[i]) continue;
    const DType d = dtype_of(operands[i]->var);
    const bool list = PyList_Check(args[i].ptr()) || PyTuple_Check(args[i].ptr());
    dtype = have ? with_values(dtype, d, !list) : d;
    tensor_category = std::max(tensor_category, category(d));
    have = true;
  }
  if (number_category > tensor_category || !have) {
    const DType n = number_category == 3   ? DTypeEnum::Float32
                    : number_category == 2 ? DTypeEnum::Int32
                                           : DTypeEnum::Bool;
    dtype = have ? promote(dtype, n) : graph ? DType(DTypeEnum::Float32) : n;
  }
  if (have) check_dtype(mode, dtype);
  if (wants_float(mode) && !dtype.is_float() && !dtype.is_quantized()) dtype = DTypeEnum::Float32;
  if (rounds(mode) && plain_int(dtype)) {
    return operands[0] ? wrap(operands[0]->var, operands[0]->scalar) : wrap(scalar_var(numbers[0].value, dtype), true);
  }
  if (autocast().on && dtype.is_float() && wants_precision(mode)) dtype = autocast().high;
  std::vector<Var> in;
  in.reserve(count);
  bool scalar = true;
  uint8_t format = 0;
  int64_t elements = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!operands[i]) {
      in.push_back(literal(scalar_var(numbers[i].value, dtype)));
      continue;
    }
    const Var& v = operands[i]->var;
    scalar = scalar && operands[i]->scalar;
    format = std::max(format, operands[i]->format);
    in.push_back(v.is_graph() && !known_dtype(v) ? v : convert_dtype(v, dtype));
    if (!v.is_graph()) elements += v.tensor().count();
  }
  if (compares(mode) && !dtype.is_quantized()) {  // of scalars as well MegEngine gives a vector
    return wrap(elements <= kQuick ? std::move(emit(comparison_op(), comparison_attrs(mode), in)[0])
                                   : call1(comparison_op(), comparison_attrs(mode), in));
  }
  static const OpDef& op = Registry::get().at("Elemwise");
  Var out = elements <= kQuick ? std::move(emit(op, attrs_of(mode), in)[0]) : call1(op, attrs_of(mode), in);
  if (!compares(mode)) return with_format(wrap(std::move(out), scalar), format);
  return wrap(convert_dtype(out, DTypeEnum::Bool));
}

nb::object elemwise_call(int mode, const nb::args& args) {
  nb::handle operands[kMaxOperands];
  for (size_t i = 0; i < std::min(args.size(), kMaxOperands); ++i) operands[i] = args[i];
  return elemwise(static_cast<Mode>(mode), operands, args.size());
}

template <Mode kMode>
nb::object unary(nb::handle x) {
  return elemwise(kMode, &x, 1);
}

template <Mode kMode, bool kReverse = false>
nb::object binary(nb::handle x, nb::handle y) {
  const nb::handle operands[2] = {kReverse ? y : x, kReverse ? x : y};
  return elemwise(kMode, operands, 2);
}

// x op= y gives x the result, whatever its type.
template <Mode kMode>
nb::object inplace(nb::handle x, nb::handle y) {
  nb::object r = binary<kMode>(x, y);
  unwrap(x) = unwrap(r);
  return nb::borrow(x);
}

template <Mode kMode>
void def_binary(nb::class_<PyVar>& c, const std::string& name) {
  c.def(("__" + name + "__").c_str(), binary<kMode>, nb::arg("value").none());
  c.def(("__r" + name + "__").c_str(), binary<kMode, true>, nb::arg("value").none());
  c.def(("__i" + name + "__").c_str(), inplace<kMode>, nb::arg("value").none());
}

nb::object astype(const PyVar& v, nb::handle dtype) {
  return with_format(wrap(convert_dtype(v.var, parse_dtype(dtype)), v.scalar), v.format);
}

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
      r.append(wrap(literal(scalar_var(n.value, d)), true));
    } else {
      const PyVar& v = vars[i];
      r.append(
          with_format(wrap(!known_dtype(v.var) || !have ? v.var : convert_dtype(v.var, dtype), v.scalar), v.format));
    }
  }
  return r;
}

}  // namespace

// Equal types stay; a quantized one wins over plain ones; integers of one signedness widen; anything else is Float32.
DType promote(DType a, DType b) {
  if (a == b) return a;
  if (a.is_quantized() && b.is_quantized()) {
    const bool close = a.id == b.id && a.zero_point == b.zero_point && std::fabs(a.scale - b.scale) < 1e-6f;
    if (!close) throw ArgumentTypeError(cat("no promotion rule for quantized types: ", a.str(), " and ", b.str()));
    return a;
  }
  if (a.is_quantized() || b.is_quantized()) return a.is_quantized() ? a : b;
  if (plain_int(a) && plain_int(b)) {
    if (is_signed(a.id) != is_signed(b.id)) {
      throw ArgumentTypeError(
          cat("no promotion rule for integers of different signedness: ", a.str(), " and ", b.str()));
    }
    return a.bits() > b.bits() ? a : b;
  }
  return DTypeEnum::Float32;
}

Autocast& autocast() {
  static Autocast state;
  return state;
}

void bind_elemwise(nb::module_& m) {
  nb::dict modes;
  for (const EnumValue& e : enum_info<Mode>().values) modes[e.name] = e.value;
  m.attr("elemwise_modes") = modes;
  m.def("elemwise", elemwise_call,
        "Elementwise call: mode number, then Tensors, numbers or arrays; promotes element types.");
  // The operators of Tensor stand on its base class: a Python function in between would cost as much as a small call.
  auto base = nb::borrow<nb::class_<PyVar>>(nb::type<PyVar>());
  def_binary<Mode::ADD>(base, "add");
  def_binary<Mode::SUB>(base, "sub");
  def_binary<Mode::MUL>(base, "mul");
  def_binary<Mode::TRUE_DIV>(base, "truediv");
  def_binary<Mode::FLOOR_DIV>(base, "floordiv");
  def_binary<Mode::MOD>(base, "mod");
  def_binary<Mode::POW>(base, "pow");
  def_binary<Mode::SHL>(base, "lshift");
  def_binary<Mode::SHR>(base, "rshift");
  def_binary<Mode::AND>(base, "and");
  def_binary<Mode::OR>(base, "or");
  def_binary<Mode::XOR>(base, "xor");
  base.def("__lt__", binary<Mode::LT>, nb::arg("value").none());
  base.def("__le__", binary<Mode::LEQ>, nb::arg("value").none());
  base.def("__gt__", binary<Mode::LT, true>, nb::arg("value").none());
  base.def("__ge__", binary<Mode::LEQ, true>, nb::arg("value").none());
  base.def("__eq__", binary<Mode::EQ>, nb::arg("value").none());
  base.def("__ne__", binary<Mode::NEQ>, nb::arg("value").none());
  base.def("__neg__", unary<Mode::NEGATE>);
  base.def("__abs__", unary<Mode::ABS>);
  base.def("__round__", unary<Mode::ROUND>);
  base.def("__floor__", unary<Mode::FLOOR>);
  base.def("__ceil__", unary<Mode::CEIL>);
  base.def("__invert__", unary<Mode::NOT>);
  m.def("astype", astype, nb::arg("x"), nb::arg("dtype"));
  m.def(
      "set_autocast", [](bool on, nb::handle high) { autocast() = {on, parse_dtype(high)}; }, nb::arg("on"),
      nb::arg("high"), "Mixed precision of elementwise calls.");
  m.def("convert_inputs", convert_inputs, "The operands as Tensors of one element type.");
}

}  // namespace megalith::python
