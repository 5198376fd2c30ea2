// What a pass may know about a graph before it is planned: who reads what, which values can't change, and when nodes
// run. Shapes and types are known of constants and parameters only.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "megalith/graph.h"

namespace megalith::pass {

// Nodes that an output or an effect needs, and graph inputs: they are the model's interface.
std::vector<bool> needed_nodes(const Graph& g);

class Facts {
 public:
  explicit Facts(const Graph& g);
  int reads(ValueId v) const { return reads_[static_cast<size_t>(v)]; }  // by needed nodes and the graph's outputs
  // The node runs behind an in-place update, or is one: the order of what it reads must not change.
  bool late(NodeId n) const { return late_[static_cast<size_t>(n)]; }
  // The tensor behind a value that is the same in every run, or null.
  const Tensor* constant(ValueId v) const;
  // The same, and parameters that change between runs or at the end of one: of their tensor there is no more to know
  // than shape and type. Node `reader`, which is not behind any update, sees the value as the run began.
  const Tensor* parameter(ValueId v, NodeId reader) const;
  // The node that makes `v`, when a reader of `v` may do its work instead: nobody else reads `v`, and both run before
  // any update.
  const Node* absorbable(ValueId v) const;
  // As absorbable, where other readers than `reader` may want the shape of `v` and stand behind it: these. They may ask
  // a result of the same shape. Looks at the graph as it is by now.
  std::optional<std::vector<NodeId>> wants_shape(ValueId v, NodeId reader) const;
  // A Float32 constant that broadcasts over axis `axis` (negative) of a result with `ndim` axes and `channels` elements
  // along it, one value per channel; nothing when it varies along other axes or would change the result's shape.
  std::optional<std::vector<float>> per_channel(ValueId v, int64_t channels, int axis, int ndim) const;

 private:
  const Graph& g_;
  std::vector<int> reads_;
  std::vector<bool> live_, late_, updated_;
  NodeId first_update_;
};

// Adds a constant to a graph whose nodes are being rewritten: it stands behind its readers until move_up() is called.
class NewConstants {
 public:
  explicit NewConstants(Graph& g) : g_(g), first_(g.nodes.size()) {}
  ValueId add(const Tensor& t) { return g_.add_constant(t); }
  void move_up();

 private:
  Graph& g_;
  size_t first_;
};

void restore_layout(Graph& g);
void restore_z(Graph& g);
void fold_constants(Graph& g);
void merge_equal(Graph& g);
void remove_dead(Graph& g);
void fold_batch_norm(Graph& g);
void fuse_conv_bias(Graph& g);
void mask_pooled(Graph& g);
void fuse_elemwise(Graph& g);

}  // namespace megalith::pass
