// One step: the same for eager, planned and folded execution.
#include <algorithm>
#include <cstring>

#include "megalith/inline_vector.h"
#include "megalith/plan.h"

namespace megalith {

uint64_t mix_bits(uint64_t a, uint64_t b) {
  uint64_t x = a + 0x9e3779b97f4a7c15u * (b + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t seed_of(const Attrs& attrs) {
  uint64_t seed = 0;
  if (attrs.params.schema()) {
    for (const Field& f : attrs.params.schema()->fields) {
      if (f.type == FieldType::kUint64 && std::string_view(f.name) == "seed") {
        std::memcpy(&seed, attrs.params.field(f), sizeof seed);
      }
    }
  }
  return seed;
}

void run_step(Step& step, Exec& exec, uint64_t random_key) {
  if (!step.kernel) return;
  run_kernel(*step.kernel, KernelArgs{*step.attrs, step.in, step.out, exec}, step.workspace_ptr, random_key);
}

void run_kernel(const Kernel& kernel, const KernelArgs& args, std::byte* workspace, uint64_t random_key) {
  args.exec.set_workspace(workspace);
  args.exec.set_random_key(random_key);
  kernel.run(args);
}

namespace {

// Of outputs without elements there is nothing to compute, however large their other dimensions are.
const Kernel kNothing{.name = "nothing", .run = [](const KernelArgs&) {}, .strided = true};

bool computes_nothing(const OpDef& op, std::span<const TensorSpec> out) {
  if (op.dynamic || op.effect || !op.updates.empty() || out.empty()) return false;
  return std::all_of(out.begin(), out.end(), [](const TensorSpec& o) { return o.shape.count() == 0; });
}

}  // namespace

Layout output_layout(const Kernel& kernel, DType dtype, const Shape& shape, std::span<const Layout> in) {
  if (kernel.order == Order::kRowMajor || (shape.ndim() != 4 && shape.ndim() != 5) || dtype.is_lowbit())
    return Layout(shape);
  const bool last = kernel.order == Order::kChannelsLast || std::any_of(in.begin(), in.end(), is_channels_last);
  return last ? channels_last(shape) : Layout(shape);
}

const Kernel& select_kernel(const OpDef& op, const KernelQuery& q, bool reference, std::string_view node_name,
                            size_t workspace_limit) {
  const auto label = [&] { return node_name.empty() ? std::string(op.name) : cat(op.name, " '", node_name, "'"); };
  if (op.refuses) throw UnsupportedError(cat(label(), ": ", op.refuses));
  for (const TensorSpec& s : q.in) require_built(s.dtype);
  for (const TensorSpec& s : q.out) require_built(s.dtype);
  for (size_t i = reference && !op.kernels.empty() ? op.kernels.size() - 1 : 0; i < op.kernels.size(); ++i) {
    const Kernel& k = op.kernels[i];
    if (k.accepts && !k.accepts(q)) continue;
    const bool last = i + 1 == op.kernels.size();
    if (!last && k.workspace && workspace_limit != SIZE_MAX && k.workspace(q) > workspace_limit) continue;
    return computes_nothing(op, q.out) ? kNothing : k;
  }
  std::string what;
  for (const TensorSpec& s : q.in) what += (what.empty() ? "" : ", ") + s.dtype.str() + s.shape.str();
  throw UnsupportedError(
      cat(label(), ": no kernel for inputs ", what, " and parameters {", q.attrs.params.str(), "}", kLeftOut));
}

void run_op(const OpDef& op, const Attrs& attrs, std::span<Tensor> in, std::span<Tensor> out, Exec& exec,
            bool reference) {
  InlineVector<TensorSpec, 4> in_specs(in.size());
  InlineVector<TensorSpec, 2> out_specs(out.size());
  for (size_t i = 0; i < in.size(); ++i) in_specs[i] = {in[i].dtype(), in[i].shape(), in[i]};
  InferContext ctx{op, attrs, in_specs, out_specs, {}};
  op.infer(ctx);
  bool known = true;
  for (const TensorSpec& o : out_specs) {
    if (o.absent > 0) ctx.fail("gives nothing: its proposition does not hold");
    known = known && o.value.defined();
  }
  if (known) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = std::move(out_specs[i].value);
    return;
  }
  if (op.view && !op.refuses) {
    InlineVector<Layout, 4> layouts(in.size());
    InlineVector<View, 2> views(out.size());
    for (size_t i = 0; i < in.size(); ++i) layouts[i] = in[i].layout();
    if (op.view(ctx, layouts, views)) {
      for (size_t i = 0; i < out.size(); ++i) {
        const View& v = views[i];
        out[i] = in[static_cast<size_t>(v.input)].view(v.layout, v.offset).with_dtype(out_specs[i].dtype);
      }
      return;
    }
  }
  const KernelQuery q{attrs, in_specs, out_specs};
  const Kernel& kernel = select_kernel(op, q, reference, {});
  if (!kernel.strided) {
    for (Tensor& t : in) {
      if (!t.contiguous()) t = t.to_contiguous();
    }
  }
  if (!op.dynamic) {
    InlineVector<Layout, 4> layouts(kernel.order == Order::kRowMajor ? 0 : in.size());
    for (size_t i = 0; i < layouts.size(); ++i) layouts[i] = in[i].layout();
    for (size_t i = 0; i < out.size(); ++i) {
      const TensorSpec& o = out_specs[i];
      out[i] = Tensor::empty(o.dtype, output_layout(kernel, o.dtype, o.shape, layouts));
    }
  }
  std::shared_ptr<Storage> workspace;
  if (kernel.workspace) workspace = Storage::allocate(kernel.workspace(q));
  run_kernel(kernel, KernelArgs{attrs, in, out, exec}, workspace ? workspace->data() : nullptr, exec.random_key());
}

std::vector<Tensor> run_op(const OpDef& op, const Attrs& attrs, const std::vector<Tensor>& inputs, Exec& exec,
                           bool reference) {
  std::vector<Tensor> in = inputs, out(static_cast<size_t>(num_outputs(op, attrs, static_cast<int>(in.size()))));
  run_op(op, attrs, in, out, exec, reference);
  return out;
}

}  // namespace megalith
