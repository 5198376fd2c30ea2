#include "megalith/op.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "megalith/ops/op_util.h"
#include "megalith/plan.h"

namespace megalith {
namespace ops {
void register_all(Registry& r);  // generated: megalith/CMakeLists.txt
}

const Tensor& InferContext::value(int i) const {
  const Tensor& v = in[static_cast<size_t>(i)].value;
  if (!v.defined()) throw NeedValue{i};
  return v;
}

std::vector<int64_t> InferContext::ints(int i, int64_t limit) const {
  const DType t = dtype(i);
  // Traced graphs compute sizes in floating point too; MegEngine truncates them.
  require(t.is_int() || t.is_float() || t.id == DTypeEnum::Bool, "input ", i, " must hold numbers, but is ", t.str());
  require(shape(i).count() <= limit, "input ", i, " has shape ", shape(i), "; at most ", limit, " values make sense");
  const Tensor& v = value(i);
  std::vector<int64_t> r(static_cast<size_t>(v.count()));
  for (size_t k = 0; k < r.size(); ++k) {
    const double x = v.item(static_cast<int64_t>(k));
    require(x > -9e15 && x < 9e15, "input ", i, " holds ", x, ", which is no size or index");
    r[k] = static_cast<int64_t>(x);
  }
  return r;
}

int InferContext::axis(int64_t axis, int ndim) const {
  require(axis >= -ndim && axis < ndim, "axis ", axis, " is out of range for ", ndim, " dimensions");
  return static_cast<int>(axis < 0 ? axis + ndim : axis);
}

void InferContext::fail_with(const std::string& what) const {
  throw OpError(node_name.empty() ? cat(op.name, ": ", what) : cat(op.name, " '", node_name, "': ", what));
}

std::span<const std::pair<int, int>> updates_of(const OpDef& op, const Attrs& attrs, int n_inputs) {
  if (op.updates_when && !op.updates_when(attrs, n_inputs)) return {};
  return op.updates;
}

int num_outputs(const OpDef& op, const Attrs& attrs, int n_inputs) {
  return op.outputs ? op.outputs(attrs, n_inputs) : 1;
}

bool takes_inputs(const OpDef& op, int n) { return n >= op.min_inputs && (op.max_inputs < 0 || n <= op.max_inputs); }

std::string inputs_text(const OpDef& op, int n) {
  const std::string most = op.max_inputs == op.min_inputs ? ""
                           : op.max_inputs < 0            ? " or more"
                                                          : cat(" to ", op.max_inputs);
  return cat("takes ", op.min_inputs, most, " inputs, but has ", n);
}

Registry::Registry() {
  ops::register_all(*this);
  for (auto& [name, def] : ops_) sorted_.push_back(def.get());
}

const Registry& Registry::get() {
  static const Registry registry;
  return registry;
}

void Registry::add(OpDef def) {
  const char* name = def.name;
  if (kTrimmed) std::erase_if(def.kernels, [](const Kernel& k) { return !k.run; });
  if (!ops_.emplace(name, std::make_unique<OpDef>(std::move(def))).second) {
    throw Error(cat("two descriptions of the op ", name));
  }
}

const OpDef* Registry::find(std::string_view name) const {
  const auto it = ops_.find(name);
  return it == ops_.end() ? nullptr : it->second.get();
}

const OpDef& Registry::at(std::string_view name) const {
  if (const OpDef* op = find(name)) return *op;
  throw UnsupportedError(cat("unknown operator ", name, kLeftOut));
}

Odometer::Odometer(const Shape& shape, std::vector<Shape> strides)
    : shape_(shape), index_(shape), strides_(std::move(strides)), offset_(strides_.size(), 0) {
  for (int i = 0; i < index_.ndim(); ++i) index_[i] = 0;
}

void Odometer::next() {
  for (int d = shape_.ndim() - 1; d >= 0; --d) {
    if (++index_[d] < shape_[d]) {
      for (size_t k = 0; k < strides_.size(); ++k) offset_[k] += strides_[k][d];
      return;
    }
    for (size_t k = 0; k < strides_.size(); ++k) offset_[k] -= (shape_[d] - 1) * strides_[k][d];
    index_[d] = 0;
  }
}

void infer_same_as_input(InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); }

DType promoted_dtype(const InferContext& c) {
  DType out = c.dtype(0);
  const auto is_unsigned = [](DType d) { return d.id == DTypeEnum::Uint8 || d.id == DTypeEnum::Uint16; };
  const auto plain = [](DType d) { return d.is_float() || d.is_int() || d.id == DTypeEnum::Bool; };
  for (int i = 1; i < c.nin(); ++i) {
    const DType d = c.dtype(i);
    if (d == out) continue;
    const bool ints = d.is_int() && out.is_int();
    c.require(plain(d) && plain(out) && (!ints || is_unsigned(d) == is_unsigned(out)), "inputs of types ", out.str(),
              " and ", d.str(), " have no common type");
    if (!ints)
      out = DTypeEnum::Float32;
    else if (d.bits() > out.bits())
      out = d;
  }
  return out;
}

void copy_plain(const Tensor& src, const Tensor& dst, Exec&) {
  if (src.dtype().is_lowbit()) {  // never a part of a tensor, nor in another order
    std::memcpy(dst.data<std::byte>(), src.data<std::byte>(), src.bytes());
    return;
  }
  dispatch_width(src.dtype(), [&](auto tag) {
    using T = decltype(tag);
    Odometer at(src.shape(), {src.stride(), dst.stride()});
    for (int64_t n = src.count(); n > 0; --n, at.next()) dst.data<T>()[at.offset(1)] = src.data<T>()[at.offset(0)];
  });
}

Tensor converted(const Tensor& t, DType dtype, Exec& exec) {
  if (t.dtype() == dtype) return t;
  Tensor out = is_channels_last(t.layout()) ? Tensor::empty(dtype, t.layout()) : Tensor::empty(dtype, t.shape());
  const Attrs attrs{.params = param::TypeCvt{.dtype = dtype}};
  const TensorSpec from{t.dtype(), t.shape(), {}}, to{dtype, t.shape(), {}};
  static const OpDef& op = Registry::get().at("TypeCvt");
  select_kernel(op, {attrs, {&from, 1}, {&to, 1}}, false, {}).run({attrs, {&t, 1}, {&out, 1}, exec});
  return out;
}

bool accepts_as_floats(const KernelQuery& q, bool (*accepts)(const KernelQuery&)) {
  std::vector<TensorSpec> in(q.in.begin(), q.in.end()), out(q.out.begin(), q.out.end());
  bool any = false;
  for (std::vector<TensorSpec>* specs : {&in, &out}) {
    for (TensorSpec& s : *specs) {
      if (!s.dtype.is_float16()) continue;
      any = true;
      s.dtype = DTypeEnum::Float32;
      if (specs == &in) s.value = {};
    }
  }
  return any && accepts({q.attrs, in, out});
}

void run_as_floats(const KernelArgs& a, void (*run)(const KernelArgs&)) {
  std::vector<Tensor> in, out;
  for (const Tensor& t : a.in) in.push_back(t.dtype().is_float16() ? converted(t, DTypeEnum::Float32, a.exec) : t);
  for (const Tensor& t : a.out)
    out.push_back(t.dtype().is_float16() ? Tensor::empty(DTypeEnum::Float32, t.layout()) : t);
  run({a.attrs, in, out, a.exec});
  static const OpDef& op = Registry::get().at("TypeCvt");
  for (size_t i = 0; i < out.size(); ++i) {
    if (!a.out[i].dtype().is_float16()) continue;
    const Attrs attrs{.params = param::TypeCvt{.dtype = a.out[i].dtype()}};
    const TensorSpec from{out[i].dtype(), out[i].shape(), {}}, to{a.out[i].dtype(), out[i].shape(), {}};
    select_kernel(op, {attrs, {&from, 1}, {&to, 1}}, false, {}).run({attrs, {&out[i], 1}, {&a.out[i], 1}, a.exec});
  }
}

Shape broadcast_shapes(const InferContext& c, const char* what) {
  Shape out;
  for (const TensorSpec& s : c.in) {
    while (out.ndim() < s.shape.ndim()) out.insert(0, 1);
    for (int i = 0; i < s.shape.ndim(); ++i) {
      int64_t& d = out[out.ndim() - 1 - i];
      const int64_t v = s.shape[s.shape.ndim() - 1 - i];
      if (d == 1) {
        d = v;
      } else if (v != 1 && v != d) {
        std::string shapes = what ? cat(what, ": shapes") : "shapes";
        shapes += " can't be broadcast together:";
        for (const TensorSpec& t : c.in) shapes += " " + t.shape.str();
        c.fail(shapes);
      }
    }
  }
  return out;
}

}  // namespace megalith
