#include "megalith/ops/elemwise/fused.h"

#include "megalith/kernels/rows.h"
#include "megalith/ops/elemwise/rows.h"
#include "megalith/ops/elemwise/walk.h"

namespace megalith {
namespace elemwise {

static constexpr Field kFusedElemwiseFields[] = {
    list_field("steps", FieldType::kInt32List, "mode and four arguments of every step"),
};
const ParamSchema FusedElemwise::kSchema = make_schema<FusedElemwise>("FusedElemwise", 0, kFusedElemwiseFields);

std::vector<Step> steps_of(const Params& p) {
  std::vector<Step> steps(p.list().size() / kStepInts);
  for (size_t i = 0; i < steps.size(); ++i) {
    const int32_t* v = p.list().data() + i * kStepInts;
    steps[i] = {static_cast<Mode>(v[0]), {v[1], v[2], v[3], v[4]}};
  }
  return steps;
}

Params fused_params(const std::vector<Step>& steps) {
  std::vector<int32_t> list;
  for (const Step& s : steps)
    list.insert(list.end(), {static_cast<int32_t>(s.mode), s.args[0], s.args[1], s.args[2], s.args[3]});
  return Params(FusedElemwise{}, std::move(list));
}

}  // namespace elemwise

namespace {

using elemwise::Mode;
using elemwise::Step;

// Shape and type of every step, by Elemwise's own rule.
std::vector<TensorSpec> infer_steps(const Attrs& attrs, std::span<const TensorSpec> in, std::string_view name) {
  static const OpDef& op = Registry::get().at("Elemwise");
  std::vector<TensorSpec> all(in.begin(), in.end());
  for (const Step& s : elemwise::steps_of(attrs.params)) {
    std::vector<TensorSpec> args, out(1);
    for (int i = 0; i < elemwise::arity(s.mode); ++i) args.push_back(all[static_cast<size_t>(s.args[i])]);
    Attrs one;
    one.params = Params(param::Elemwise{.mode = s.mode});
    InferContext c{op, one, args, out, name};
    op.infer(c);
    all.push_back({out[0].dtype, out[0].shape, {}});
  }
  return all;
}

void infer(InferContext& c) {
  const std::vector<int32_t>& list = c.attrs.params.list();
  const auto count = list.size() / elemwise::kStepInts;
  c.require(count > 0 && count <= elemwise::kMaxSteps && list.size() % elemwise::kStepInts == 0, "steps has ",
            list.size(), " values, but takes ", elemwise::kStepInts, " for each of 1 to ", elemwise::kMaxSteps,
            " steps");
  const std::span<const EnumValue> modes = enum_info<Mode>().values;
  for (size_t i = 0; i < count; ++i) {
    const int32_t* v = list.data() + i * elemwise::kStepInts;
    const bool known = std::any_of(modes.begin(), modes.end(),
                                   [&](const EnumValue& m) { return m.value == static_cast<uint32_t>(v[0]); });
    c.require(known, "step ", i, " has mode ", v[0], ", which there isn't");
    for (int k = 0; k < elemwise::arity(static_cast<Mode>(v[0])); ++k)
      c.require(v[k + 1] >= 0 && v[k + 1] < c.nin() + static_cast<int>(i), "step ", i, " reads value ", v[k + 1],
                " of ", c.nin() + static_cast<int>(i));
  }
  const TensorSpec last = infer_steps(c.attrs, c.in, c.node_name).back();
  c.set(0, last.dtype, last.shape);
}

const Kernel* unfused_kernel(const Step& s, std::span<const TensorSpec> in, const TensorSpec& out) {
  static const OpDef& op = Registry::get().at("Elemwise");
  Attrs one;
  one.params = Params(param::Elemwise{.mode = s.mode});
  const KernelQuery q{one, in, {&out, 1}};
  for (const Kernel& k : op.kernels) {
    if (!k.accepts || k.accepts(q)) return &k;
  }
  return nullptr;
}

bool accepts(const KernelQuery& q) {
  const std::vector<TensorSpec> all = infer_steps(q.attrs, q.in, "");
  size_t at = q.in.size();
  for (const Step& s : elemwise::steps_of(q.attrs.params)) {
    std::vector<TensorSpec> args;
    for (int i = 0; i < elemwise::arity(s.mode); ++i) args.push_back(all[static_cast<size_t>(s.args[i])]);
    if (!unfused_kernel(s, args, all[at++])) return false;
  }
  return true;
}

// Steps of the result's shape in Float32 run block by block; the others run on their own, once, into the workspace.
bool blockwise(const TensorSpec& step, const TensorSpec& result) {
  return step.dtype.id == DTypeEnum::Float32 && step.shape == result.shape;
}

size_t padded(const TensorSpec& s) { return (tensor_bytes(s.dtype, s.shape) + 63) / 64 * 64; }

size_t workspace(const KernelQuery& q) {
  const std::vector<TensorSpec> all = infer_steps(q.attrs, q.in, "");
  size_t bytes = 0;
  for (size_t i = q.in.size(); i + 1 < all.size(); ++i) {
    if (!blockwise(all[i], all.back())) bytes += padded(all[i]);
  }
  return bytes;
}

void run_unfused(const Step& s, std::span<const Tensor> values, Tensor& out, Exec& exec) {
  std::vector<Tensor> args;
  std::vector<TensorSpec> specs;
  for (int i = 0; i < elemwise::arity(s.mode); ++i) {
    args.push_back(values[static_cast<size_t>(s.args[i])]);
    specs.push_back({args.back().dtype(), args.back().shape(), {}});
  }
  Attrs one;
  one.params = Params(param::Elemwise{.mode = s.mode});
  unfused_kernel(s, specs, {out.dtype(), out.shape(), {}})->run({one, args, {&out, 1}, exec});
}

template <class F>
void run_block(F f, float* out, const float* const* p, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_invocable_v<F, float>)
      out[i] = f(p[0][i]);
    else if constexpr (std::is_invocable_v<F, float, float>)
      out[i] = f(p[0][i], p[1][i]);
    else if constexpr (std::is_invocable_v<F, float, float, float>)
      out[i] = f(p[0][i], p[1][i], p[2][i]);
    else
      out[i] = f(p[0][i], p[1][i], p[2][i], p[3][i]);
  }
}

void run(const KernelArgs& a) {
  const std::vector<Step> steps = elemwise::steps_of(a.attrs.params);
  const size_t nin = a.in.size();
  std::vector<TensorSpec> specs;
  for (const Tensor& t : a.in) specs.push_back({t.dtype(), t.shape(), {}});
  const std::vector<TensorSpec> all = infer_steps(a.attrs, specs, "");
  std::vector<Tensor> values(a.in.begin(), a.in.end());  // undefined: a blockwise step
  std::shared_ptr<Storage> scratch;
  size_t at = 0;
  for (size_t i = nin; i + 1 < all.size(); ++i) {
    values.emplace_back();
    if (blockwise(all[i], all.back())) continue;
    if (!scratch)
      scratch = Storage::wrap(a.exec.workspace(), workspace({a.attrs, specs, {&all.back(), 1}}), nullptr, true);
    values.back() = Tensor::from_storage(scratch, at, all[i].dtype, Layout(all[i].shape));
    at += padded(all[i]);
    // What it reads is smaller than the result, too, or has another type; so it stands before every blockwise step.
    run_unfused(steps[i - nin], values, values.back(), a.exec);
  }
  Tensor& out = a.out[0];
  if (!blockwise(all.back(), all.back())) return run_unfused(steps.back(), values, out, a.exec);
  if (out.count() == 0) return;
  std::vector<bool> read(values.size(), false);
  for (size_t s = 0; s < steps.size(); ++s) {
    for (int k = 0; k < elemwise::arity(steps[s].mode); ++k) read[static_cast<size_t>(steps[s].args[k])] = true;
  }
  std::vector<Layout> operands;
  std::vector<size_t> operand_of(values.size(), 0);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].defined() || !read[i]) continue;
    operand_of[i] = operands.size();
    operands.push_back(elemwise::broadcast_layout(values[i], out.shape()));
  }
  operands.push_back(out.layout());
  const elemwise::Rows rows = elemwise::merge_axes(out.shape(), operands);
  elemwise::for_pieces(rows, a.exec, [&](const std::vector<int64_t>& offset, int64_t n) {
    float buffers[elemwise::kMaxSteps + elemwise::kMaxFusedInputs][elemwise::kBlock];
    const float* p[elemwise::kMaxSteps + elemwise::kMaxFusedInputs] = {};
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i].defined() || !read[i]) continue;
      const size_t k = operand_of[i];
      p[i] = elemwise::load<float>(values[i], offset[k], rows.step[k], n, buffers[i]);
    }
    for (size_t s = 0; s < steps.size(); ++s) {
      if (nin + s < values.size() && values[nin + s].defined()) continue;  // ran on its own
      const float* args[4] = {};
      for (int k = 0; k < elemwise::arity(steps[s].mode); ++k) args[k] = p[steps[s].args[k]];
      float* to = s + 1 == steps.size() ? out.data<float>() + offset.back() : buffers[nin + s];
      elemwise::with_mode<float>(steps[s].mode, [&](auto f) { run_block(f, to, args, n); });
      p[nin + s] = to;
    }
  });
}

// ---- With vectors, for Float32 throughout.

bool vector_accepts(const KernelQuery& q) {
  return std::all_of(q.in.begin(), q.in.end(), [](const TensorSpec& t) { return t.dtype.id == DTypeEnum::Float32; }) &&
         accepts(q);
}

template <class F>
void scalar_row(const float* const* in, const int64_t* step, float* out, int64_t n) {
  const F f{};
  for (int64_t i = 0; i < n; ++i) {
    const auto at = [&](int k) { return in[k][i * step[k]]; };
    if constexpr (std::is_invocable_v<F, float>)
      out[i] = f(at(0));
    else if constexpr (std::is_invocable_v<F, float, float>)
      out[i] = f(at(0), at(1));
    else if constexpr (std::is_invocable_v<F, float, float, float>)
      out[i] = f(at(0), at(1), at(2));
    else
      out[i] = f(at(0), at(1), at(2), at(3));
  }
}

rows::Fn row_of(Mode m) {
  rows::Fn fn = rows::find(m);
  if (!kTrimmed && !fn) elemwise::with_mode<float>(m, [&](auto f) { fn = scalar_row<decltype(f)>; });
  return fn;
}

void broadcast_into(Shape& to, const Shape& s) {
  if (to == s) return;
  while (to.ndim() < s.ndim()) to.insert(0, 1);
  for (int i = 1; i <= s.ndim(); ++i) {
    int64_t& d = to[to.ndim() - i];
    if (d == 1) d = s[s.ndim() - i];
  }
}

void vector(const KernelArgs& a) {
  using namespace elemwise;
  constexpr size_t kMost = kMaxSteps + kMaxFusedInputs;
  const std::vector<int32_t>& list = a.attrs.params.list();
  const size_t nin = a.in.size(), nsteps = list.size() / kStepInts, last = nin + nsteps - 1;
  struct {
    rows::Fn fn;
    int arity;
    const int32_t* args;
  } steps[kMaxSteps];
  Layout layouts[kMost];
  Array values[kMost];  // without data: a step that runs block by block
  for (size_t i = 0; i < nin; ++i) values[i] = array_of(a.in[i]);
  for (size_t s = 0; s < nsteps; ++s) {
    const Mode m = static_cast<Mode>(list[s * kStepInts]);
    steps[s] = {row_of(m), arity(m), &list[s * kStepInts + 1]};
    Shape shape = values[steps[s].args[0]].layout->shape;
    for (int k = 1; k < steps[s].arity; ++k) broadcast_into(shape, values[steps[s].args[k]].layout->shape);
    layouts[nin + s] = Layout(shape);
    values[nin + s].layout = &layouts[nin + s];
  }
  // Steps of another shape run on their own, once. What they read is smaller than the result, too.
  std::byte* scratch = a.exec.workspace();
  for (size_t s = 0; s + 1 < nsteps; ++s) {
    Array& v = values[nin + s];
    if (v.layout->shape == a.out[0].shape()) continue;
    v.data = reinterpret_cast<float*>(scratch);
    scratch += padded({DTypeEnum::Float32, v.layout->shape, {}});
    Array args[4];
    for (int k = 0; k < steps[s].arity; ++k) args[k] = values[steps[s].args[k]];
    walk({args, static_cast<size_t>(steps[s].arity)}, v, INT64_MAX, a.exec,
         [&](const elemwise::Block& b) { steps[s].fn(b.in, b.step, b.out, b.n); });
  }
  // The values that are read from memory, and which of them an argument is; or, from kMost on, an earlier step.
  Array operands[kMaxOperands];
  int32_t place[kMost];
  size_t used = 0;
  for (size_t i = 0; i <= last; ++i) {
    place[i] = static_cast<int32_t>(values[i].data ? used : kMost + i - nin);
    if (!values[i].data) continue;
    bool read = false;
    for (size_t s = 0; s < nsteps && !read; ++s) {
      if (values[nin + s].data) continue;
      for (int k = 0; k < steps[s].arity; ++k) read = read || steps[s].args[k] == static_cast<int32_t>(i);
    }
    if (read) operands[used++] = values[i];
  }
  walk({operands, used}, array_of(a.out[0]), kWalkBlock, a.exec, [&](const elemwise::Block& b) {
    float buffers[kMaxSteps][kWalkBlock];
    for (size_t s = 0; s < nsteps; ++s) {
      if (values[nin + s].data) continue;
      const float* in[4];
      int64_t step[4];
      for (int k = 0; k < steps[s].arity; ++k) {
        const auto p = static_cast<size_t>(place[steps[s].args[k]]);
        in[k] = p >= kMost ? buffers[p - kMost] : b.in[p];
        step[k] = p >= kMost ? 1 : b.step[p];
      }
      steps[s].fn(in, step, s + 1 == nsteps ? b.out : buffers[s], b.n);
    }
  });
}

double flops(const KernelQuery& q) {
  const std::vector<TensorSpec> all = infer_steps(q.attrs, q.in, "");
  double n = 0;
  for (size_t i = q.in.size(); i < all.size(); ++i) n += static_cast<double>(all[i].shape.count());
  return n;
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(elemwise_fused) {
  r.add({.name = "FusedElemwise",
         .doc = "A chain of Elemwise ops in one pass over memory; made by the pass fuse_elemwise, never stored.",
         .params = &elemwise::FusedElemwise::kSchema,
         .max_inputs = elemwise::kMaxFusedInputs,
         .infer = infer,
         .kernels = {{.name = "vector",
                      .run = vector,
                      .accepts = vector_accepts,
                      .workspace = workspace,
                      .strided = true,
                      .inplace = true,
                      .order = Order::kLikeInput},
                     unless_trimmed(Kernel{.name = "blockwise",
                                           .run = run,
                                           .accepts = accepts,
                                           .workspace = workspace,
                                           .strided = true,
                                           .inplace = true,
                                           .order = Order::kLikeInput})},
         .flops = flops});
}
