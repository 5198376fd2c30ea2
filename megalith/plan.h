// Plan: a graph for concrete input shapes: kernels chosen, values placed in one arena, ready to run again and again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "megalith/graph.h"
#include "megalith/profile.h"

namespace megalith {

class ThreadPool;

struct PlanOptions {
  bool reference = false;             // reference kernels only
  bool fold = true;                   // compute what depends on constants only while planning
  size_t memory_limit = 0;            // bytes for all values together; 0: no limit
  size_t workspace_limit = SIZE_MAX;  // kernels that need more scratch memory are passed over; not the reference
  bool reuse_memory = true;           // values that are not alive at once share memory
};

// One op on concrete tensors. The same for eager, planned and folded execution.
struct Step {
  const OpDef* op = nullptr;
  const Attrs* attrs = nullptr;
  const Kernel* kernel = nullptr;  // null: every output is a view
  NodeId node = -1;
  std::vector<Tensor> in, out;
  std::vector<View> views;  // when kernel is null
  size_t workspace = 0;
  std::byte* workspace_ptr = nullptr;
  double flops = -1;  // -1: no formula
};
void run_step(Step& step, Exec& exec, uint64_t random_key);
// The part of it that eager calls share: a chosen kernel on given tensors.
void run_kernel(const Kernel& kernel, const KernelArgs& args, std::byte* workspace, uint64_t random_key);

// A 64-bit hash of two numbers.
uint64_t mix_bits(uint64_t a, uint64_t b);
// The `seed` parameter of a random op; 0 when it has none.
uint64_t seed_of(const Attrs& attrs);

// Picks the first kernel that accepts the call; throws UnsupportedError when none does.
const Kernel& select_kernel(const OpDef& op, const KernelQuery& q, bool reference, std::string_view node_name,
                            size_t workspace_limit = SIZE_MAX);

// Runs one op now. `in` may be replaced by row-major copies; `out` has num_outputs() elements.
void run_op(const OpDef& op, const Attrs& attrs, std::span<Tensor> in, std::span<Tensor> out, Exec& exec,
            bool reference = false);
std::vector<Tensor> run_op(const OpDef& op, const Attrs& attrs, const std::vector<Tensor>& inputs, Exec& exec,
                           bool reference = false);

// The executor of one graph: keeps the plans that were made, by input shapes. Not for two threads at once.
class Executor {
 public:
  Executor(const Graph& graph, PlanOptions options);
  ~Executor();

  // `feeds` by graph input, in the order of Graph::inputs(); returns the graph's outputs. The result does not alias the
  // arena: it stays valid after the next run.
  std::vector<Tensor> run(const std::vector<Tensor>& feeds, Exec& exec, Profile* profile = nullptr);
  // The values of `which` of the next run are handed to `fn` as they are made (dumps).
  using Observer = std::function<void(const Step&)>;
  void set_observer(Observer fn);
  MemoryStats memory() const;
  // Plans for inputs of these types and shapes without running: as far as no shape depends on data. A later run with
  // such inputs uses the plan.
  PlanInfo plan(const std::vector<TensorSpec>& inputs, Exec& exec);
  PlanInfo last_plan() const;  // of the last run: all of it
  void set_seed(uint64_t seed);
  int plans() const;  // number of plans made so far

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace megalith
