// Profile: what ran when, for how long, with which kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "megalith/tensor.h"

namespace megalith {

// One execution of one node.
struct Span {
  int32_t node;
  int32_t iteration;
  double start, end;  // seconds since the profile was made
};

// What is the same for every execution of a node.
struct NodeProfile {
  int32_t node = -1;
  std::string op, name, kernel, params;
  std::vector<Shape> in_shapes, out_shapes;
  std::vector<DType> in_dtypes, out_dtypes;
  std::vector<std::vector<int64_t>> in_strides;  // empty: row-major
  uint64_t bytes = 0;                            // inputs + outputs
  double flops = -1;                             // -1: no formula
  // Where output i lies: offset in the arena, or -1.
  std::vector<int64_t> out_offsets;
};

class Profile {
 public:
  Profile();
  double now() const;  // seconds since the profile was made
  void begin_iteration() { ++iteration_; }
  int iteration() const { return iteration_; }
  NodeProfile& node(int32_t id);  // made on first use
  void add(int32_t node, double start, double end) { spans_.push_back({node, iteration_, start, end}); }
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
