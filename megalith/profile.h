// Profile: what ran when, for how long, with which kernel; PlanInfo: what planning decided about a graph.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "megalith/tensor.h"

namespace megalith {

// One execution of one step of a node. `kern` is when its kernel began; -1 for a view, which runs none.
struct Span {
  int32_t node;
  int32_t iteration;
  double start, kern, end;  // seconds since the profile was made
  int threads;              // that its loops were split for; 1 when there was nothing to split
  bool copy;                // brought a strided input into row-major order before the node's own kernel
};

// A value as a step sees it.
struct ValueProfile {
  int32_t value = -1;
  DType dtype;
  Shape shape;
  std::vector<int64_t> stride;  // in elements; empty: row-major
  int64_t offset = -1;  // bytes from the start of the segment's arena; -1: a constant, a feed, or allocated later
};

// What is the same for every execution of a node.
struct NodeProfile {
  int32_t node = -1;
  int segment = 0, step = 0;  // where it stands in the plan
  std::string op, name, kernel, params;
  std::vector<ValueProfile> in, out;
  uint64_t bytes = 0;  // inputs + outputs
  uint64_t workspace = 0;
  double flops = -1;  // -1: no formula
  int copies = 0;     // strided inputs that are brought into row-major order first
};

// A block of an arena. Values that are views of each other, or that are written in place, share one.
struct PlannedBlock {
  int32_t owner = -1;  // the first value in it; -1: scratch memory or a row-major copy of an input
  int32_t node = -1;   // the node whose step made it
  size_t bytes = 0, offset = 0;
  int segment = 0, first = 0, last = 0;  // steps, both inclusive
};

struct MemoryStats {
  size_t arena = 0;      // bytes of the arenas
  size_t peak_live = 0;  // largest sum of arena values alive at once
  size_t constants = 0;  // constants and parameters
  size_t folded = 0;     // results of constant folding
};

struct PlanInfo {
  std::vector<NodeProfile> nodes;  // in the order of execution
  std::vector<PlannedBlock> blocks;
  std::vector<std::pair<int32_t, Tensor>> known;  // values that planning computed: folded ones and shapes
  MemoryStats memory;
  int segments = 0;
  int32_t stopped_at = -1;  // the first node that could not be planned because it depends on data; -1: all were

  double flops() const;  // of the nodes that have a formula
};

class Profile {
 public:
  Profile();
  double now() const;  // seconds since the profile was made
  void begin_iteration() { ++iteration_; }
  int iteration() const { return iteration_; }
  NodeProfile& node(int32_t id);  // made on first use
  void add(int32_t node, double start, double kern, double end, int threads, bool copy) {
    spans_.push_back({node, iteration_, start, kern, end, threads, copy});
  }
  const std::vector<Span>& spans() const { return spans_; }
  const std::vector<NodeProfile>& nodes() const { return nodes_; }  // in order of first execution
  int threads = 1;

 private:
  double epoch_;
  int iteration_ = -1;
  std::vector<Span> spans_;
  std::vector<NodeProfile> nodes_;
  std::vector<int32_t> index_;
};

}  // namespace megalith
