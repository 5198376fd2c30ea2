#include "megalith/model.h"

#include <algorithm>

#include "megalith/io/mge/reader.h"
#include "megalith/passes.h"
#include "megalith/platform/limits.h"
#include "megalith/platform/thread_pool.h"
#include "megalith/var.h"

namespace megalith {

struct Model::Impl {
  ModelOptions options;
  Graph original, graph;
  size_t file_bytes = 0;
  std::unique_ptr<ThreadPool> own_pool;
  ThreadPool* pool = nullptr;
  std::unique_ptr<Executor> executor;
  std::map<std::string, size_t> input_index;
  std::vector<NodeId> input_nodes;
  size_t limit = 0;
  Executor::Observer observer;

  Impl(Graph g, size_t bytes, const ModelOptions& o) : options(o), original(std::move(g)), file_bytes(bytes) {
    original.check();
    graph = original;
    expand_virtual_grads(graph);
    if (o.optimize)
      optimize_graph(graph, o.disabled_passes);
    else
      repair_graph(graph, o.disabled_passes);
    if (!o.eager_threads) own_pool = std::make_unique<ThreadPool>(o.threads > 0 ? o.threads : default_threads());
    pool = o.eager_threads ? &eager_pool() : own_pool.get();
    input_nodes = graph.inputs();
    for (size_t i = 0; i < input_nodes.size(); ++i) {
      if (!input_index.emplace(graph.input_name(input_nodes[i]), i).second) {
        throw ModelError(cat("two inputs have the name '", graph.input_name(input_nodes[i]), "'"));
      }
    }
  }

  const NamedTensor& declared(size_t i) const { return graph.node(input_nodes[i]).attrs.tensors[0]; }

  std::string input_names() const {
    std::string s;
    for (size_t i = 0; i < input_nodes.size(); ++i) s += (i ? ", '" : "'") + declared(i).name + "'";
    return s.empty() ? "none" : s;
  }

  size_t index_of(const std::string& name) const {
    const auto it = input_index.find(name);
    if (it != input_index.end()) return it->second;
    throw InputError(cat("the model has no input '", name, "'; its inputs are ", input_names()));
  }

  void make_executor(size_t feed_bytes) {
    std::string unknown;
    for (const Node& n : graph.nodes) {
      if (n.unknown) unknown += (unknown.empty() ? "" : ", ") + n.unknown->name + ": " + n.unknown->why;
    }
    if (!unknown.empty()) throw UnsupportedError(cat("the model can't run: ", unknown, kLeftOut));
    const uint64_t usual = (uint64_t{512} << 20) + 256 * (uint64_t{file_bytes} + feed_bytes);
    const size_t want = options.memory_limit ? options.memory_limit : std::min<uint64_t>(usual, PTRDIFF_MAX);
    if (executor && want <= limit) return;
    limit = want;
    const auto& off = options.disabled_passes;
    const bool fold = options.optimize && std::find(off.begin(), off.end(), "fold_constants") == off.end();
    executor = std::make_unique<Executor>(graph, PlanOptions{.reference = options.reference,
                                                             .fold = fold,
                                                             .memory_limit = limit,
                                                             .workspace_limit = options.workspace_limit,
                                                             .reuse_memory = options.reuse_memory});
    executor->set_seed(options.seed);
    executor->set_observer(observer);
  }
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model Model::load(const std::string& path, const ModelOptions& options) {
  MgeFile file = read_mge(path);
  return Model(std::make_unique<Impl>(std::move(file.graph), file.bytes, options));
}

Model Model::load(std::span<const std::byte> bytes, const ModelOptions& options) {
  MgeFile file = read_mge(bytes, nullptr);
  return Model(std::make_unique<Impl>(std::move(file.graph), file.bytes, options));
}

Model Model::from_graph(Graph graph, const ModelOptions& options) {
  size_t bytes = 0;
  for (const Node& n : graph.nodes) {
    for (const NamedTensor& t : n.attrs.tensors) bytes += t.value.defined() ? t.value.bytes() : 0;
  }
  return Model(std::make_unique<Impl>(std::move(graph), bytes, options));
}

std::vector<InputInfo> Model::inputs() const {
  std::vector<InputInfo> r;
  for (size_t i = 0; i < impl_->input_nodes.size(); ++i) {
    const NamedTensor& t = impl_->declared(i);
    r.push_back({t.name, t.dtype, t.shape, t.value.defined()});
  }
  return r;
}

std::vector<OutputInfo> Model::outputs() const {
  std::vector<OutputInfo> r;
  for (const GraphOutput& o : impl_->graph.outputs) r.push_back({o.name});
  return r;
}

std::vector<Tensor> Model::run(const std::map<std::string, Tensor>& feeds, Profile* profile) {
  Impl& m = *impl_;
  std::vector<Tensor> tensors(m.input_nodes.size());
  size_t bytes = 0;
  for (const auto& [name, t] : feeds) {
    const size_t index = m.index_of(name);
    const DType want = m.declared(index).dtype;
    Tensor feed = t;
    if (!(t.dtype() == want)) {
      // A quantized input takes the plain integers of its width.
      const bool same_bits =
          want.is_quantized() && !t.dtype().is_quantized() && t.dtype().bits() == want.bits() && t.dtype().is_int();
      if (!same_bits)
        throw InputError(cat("input '", name, "' is ", want.str(), ", but ", t.dtype().str(), " was fed"));
      feed = t.with_dtype(want);
    }
    if (feed.ndim() == 0) feed = feed.reshaped({1});
    bytes += feed.bytes();
    tensors[index] = feed;
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].defined()) continue;
    if (!m.declared(i).value.defined()) {
      throw InputError(
          cat("input '", m.declared(i).name, "' ", m.declared(i).dtype.str(), m.declared(i).shape, " was not fed"));
    }
    tensors[i] = m.declared(i).value;
  }
  m.make_executor(bytes);
  Exec exec(m.pool);
  if (profile) profile->threads = m.pool->threads();
  return m.executor->run(tensors, exec, profile);
}

PlanInfo Model::plan(const std::map<std::string, Shape>& shapes) {
  Impl& m = *impl_;
  std::vector<TensorSpec> specs;
  size_t bytes = 0;
  for (const auto& [name, shape] : shapes) m.index_of(name);
  for (size_t i = 0; i < m.input_nodes.size(); ++i) {
    const NamedTensor& t = m.declared(i);
    const auto given = shapes.find(t.name);
    TensorSpec spec{t.dtype, given == shapes.end() ? t.shape : given->second, {}};
    if (spec.shape.ndim() == 0) spec.shape = {1};
    bytes += tensor_bytes(spec.dtype, spec.shape);
    specs.push_back(spec);
  }
  m.make_executor(bytes);
  Exec exec(m.pool);
  return m.executor->plan(specs, exec);
}
PlanInfo Model::last_plan() const { return impl_->executor ? impl_->executor->last_plan() : PlanInfo{}; }

void Model::set_observer(Executor::Observer fn) {
  impl_->observer = std::move(fn);
  if (impl_->executor) impl_->executor->set_observer(impl_->observer);
}
MemoryStats Model::memory() const { return impl_->executor ? impl_->executor->memory() : MemoryStats{}; }
int Model::threads() const { return impl_->pool->threads(); }
const Graph& Model::graph() const { return impl_->graph; }
const Graph& Model::original() const { return impl_->original; }

}  // namespace megalith
