// One step: the same for eager, planned and folded execution.
#include <algorithm>
#include <cstring>

#include "megalith/plan.h"

namespace megalith {

uint64_t mix_bits(uint64_t a, uint64_t b) {
  uint64_t x = a + 0x9e3779b97f4a7c15u * (b + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t random_key(const Attrs& attrs, uint64_t draw) {
  uint64_t seed = 0;
  if (attrs.params.schema()) {
    for (const Field& f : attrs.params.schema()->fields) {
      if (f.type == FieldType::kUint64 && std::string_view(f.name) == "seed") {
        std::memcpy(&seed, attrs.params.field(f), sizeof seed);
      }
    }
  }
  return mix_bits(seed, draw);
}

void run_step(Step& step, Exec& exec, uint64_t random_key) {
  if (!step.kernel) return;
  exec.set_workspace(step.workspace_ptr);
  exec.set_random_key(random_key);
  step.kernel->run(KernelArgs{*step.attrs, step.in, step.out, exec});
}

namespace {

// Of outputs without elements there is nothing to compute, however large their other dimensions are.
const Kernel kNothing{.name = "nothing", .run = [](const KernelArgs&) {}, .strided = true};

bool computes_nothing(const OpDef& op, std::span<const TensorSpec> out) {
  if (op.dynamic || op.effect || !op.updates.empty() || out.empty()) return false;
  return std::all_of(out.begin(), out.end(), [](const TensorSpec& o) { return o.shape.count() == 0; });
}

}  // namespace

const Kernel& select_kernel(const OpDef& op, const KernelQuery& q, bool reference, std::string_view node_name,
                            size_t workspace_limit) {
  const std::string label = node_name.empty() ? op.name : cat(op.name, " '", node_name, "'");
  if (op.refuses) throw UnsupportedError(cat(label, ": ", op.refuses));
  for (size_t i = reference && !op.kernels.empty() ? op.kernels.size() - 1 : 0; i < op.kernels.size(); ++i) {
    const Kernel& k = op.kernels[i];
    if (k.accepts && !k.accepts(q)) continue;
    const bool last = i + 1 == op.kernels.size();
    if (!last && k.workspace && workspace_limit != SIZE_MAX && k.workspace(q) > workspace_limit) continue;
    return computes_nothing(op, q.out) ? kNothing : k;
  }
  std::string what;
  for (const TensorSpec& s : q.in) what += (what.empty() ? "" : ", ") + s.dtype.str() + s.shape.str();
  throw UnsupportedError(cat(label, ": no kernel for inputs ", what, " and parameters {", q.attrs.params.str(), "}"));
}

std::vector<Tensor> run_op(const OpDef& op, const Attrs& attrs, const std::vector<Tensor>& inputs, Exec& exec,
                           bool reference) {
  const int nin = static_cast<int>(inputs.size());
  std::vector<TensorSpec> in, out(static_cast<size_t>(num_outputs(op, attrs, nin)));
  std::vector<Layout> layouts;
  for (const Tensor& t : inputs) {
    in.push_back({t.dtype(), t.shape(), t});
    layouts.push_back(t.layout());
  }
  InferContext ctx{op, attrs, in, out, {}};
  op.infer(ctx);
  Step step{.op = &op, .attrs = &attrs, .in = inputs, .views = std::vector<View>(out.size())};
  bool known = true;
  for (const TensorSpec& o : out) known = known && o.value.defined();
  if (known) {
    for (const TensorSpec& o : out) step.out.push_back(o.value);
    return step.out;
  }
  if (op.view && !op.refuses && op.view(ctx, layouts, step.views)) {
    for (size_t i = 0; i < out.size(); ++i) {
      const View& v = step.views[i];
      step.out.push_back(inputs[static_cast<size_t>(v.input)].view(v.layout, v.offset).with_dtype(out[i].dtype));
    }
    return step.out;
  }
  const KernelQuery q{attrs, in, out};
  step.kernel = &select_kernel(op, q, reference, {});
  if (!step.kernel->strided) {
    for (Tensor& t : step.in) t = t.to_contiguous();
  }
  for (const TensorSpec& o : out) step.out.push_back(op.dynamic ? Tensor{} : Tensor::empty(o.dtype, o.shape));
  std::shared_ptr<Storage> workspace;
  if (step.kernel->workspace) {
    workspace = Storage::allocate(step.kernel->workspace(q));
    step.workspace_ptr = workspace->data();
  }
  run_step(step, exec, exec.random_key());
  return step.out;
}

}  // namespace megalith
