// The planner: lays out a stretch of a graph for concrete shapes. Executor (plan.h) keeps and runs what it makes.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "megalith/plan.h"

namespace megalith {

// Brings a strided input into row-major order before a step whose kernel needs that.
extern const Kernel kCopyKernel;

// Tensors of a step that have to be looked up at every run.
struct Binding {
  size_t step, input;
  ValueId root;
  Layout layout;
  int64_t offset;
  DType dtype;
};

// A stretch of the run order whose shapes are all known once those before it have run.
struct Segment {
  std::vector<Step> steps;
  std::vector<uint64_t> seeds;  // per step, of random ops
  std::vector<Binding> bindings;
  std::shared_ptr<Storage> arena;
  std::vector<std::pair<ValueId, Tensor>> results;            // values that later segments or the caller read
  std::vector<std::pair<ValueId, Binding>> external_results;  // the same, as views of values bound at run time
  std::vector<std::pair<ValueId, size_t>> dynamic_results;    // outputs of the last step
  std::vector<ValueId> needed;                                // whose contents decide how the rest is planned
  size_t end = 0;                                             // position in the run order
  // Of all values, at the end of this segment.
  std::vector<TensorSpec> specs;
  MemoryStats memory;
  std::vector<PlannedBlock> blocks;
  std::map<std::string, std::unique_ptr<Segment>> next;
};

// What all plans of one graph share.
struct PlanBase {
  const Graph& graph;
  PlanOptions options;
  std::vector<NodeId> order;    // what runs, in this order
  std::vector<int> uses;        // reads of every value in the run order; outputs count once more
  std::vector<Tensor> holders;  // constants and parameters, by value
  std::vector<bool> updated;    // parameters that some node, or the application, writes

  PlanBase(const Graph& graph, const PlanOptions& options);

 private:
  void refuse() const;
  void make_order();
  void hold();
};

// Plans from position `begin` of the run order until it ends, or until a shape depends on a value that is not there
// yet. `specs` has what is known of every value; `bound` are values that an earlier segment or the caller provides.
std::unique_ptr<Segment> plan_segment(const PlanBase& base, std::vector<TensorSpec> specs,
                                      const std::vector<std::pair<ValueId, Layout>>& bound, size_t begin, Exec& exec);

std::span<const std::pair<int, int>> updates_of(const Node& node);

}  // namespace megalith
