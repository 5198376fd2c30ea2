// Graph: nodes and values, as read from a file, recorded from calls, or built by hand.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "megalith/op.h"

namespace megalith {

using ValueId = int32_t;
using NodeId = int32_t;

// An operator of a file that the registry does not know: it prints and is written again, but does not run.
struct UnknownOp {
  std::string name;  // as stored; FBS stores none, then "operator <id>"
  std::string why;   // behind OpDef::refuses
  uint64_t type_id = 0;
  int opr_version = -1;  // FBS has none
  bool complete = true;  // everything that the file says about it is in Attrs
  OpDef def;
};

struct Node {
  const OpDef* op = nullptr;
  Attrs attrs;
  std::string name;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<std::string> comp_node;  // device locators as stored, "xpux:0"
  int32_t priority = 0;
  std::shared_ptr<const UnknownOp> unknown;  // owns `op`, when the registry does not
};

// Whether a node calls this op of the registry. An unknown operator may bear the name of a known one.
inline bool is(const Node& n, std::string_view op) { return !n.unknown && op == n.op->name; }

struct Value {
  std::string name;
  NodeId node = -1;
  int index = 0;                   // which output of the node
  std::optional<TensorSpec> spec;  // what is known before running (megalith/infer.h)
};

struct GraphOutput {
  std::string name;
  ValueId value = -1;
  uint32_t original_id = 0;  // informative, kept for writing
};

// What a file says about itself.
struct GraphMetadata {
  bool present = false;
  bool is_valid = false;
  bool graph_modified = false;
  uint64_t optimize_options = 0;
  std::string user_info;  // bytes: MegEngine stores a pickle
};

// Nodes stand in an order in which every value is made before it is used.
class Graph {
 public:
  std::vector<Node> nodes;
  std::vector<Value> values;
  std::vector<GraphOutput> outputs;
  GraphMetadata metadata;
  uint32_t mge_version = 101300;
  uint64_t hash = 0;

  // Appends a node with fresh output values; checks the number of inputs. `n_outputs` counts for ops with open_outputs.
  NodeId add(const OpDef& op, Attrs attrs, std::vector<ValueId> inputs, std::string name = {}, int n_outputs = 1);
  ValueId add_input(const std::string& name, DType dtype, const Shape& shape);
  ValueId add_constant(const Tensor& value, const std::string& name = {});
  ValueId add_parameter(const Tensor& value, const std::string& name = {});
  void add_output(ValueId v, const std::string& name = {});

  // Drops all nodes but these (by position). They and the outputs must not read what is dropped.
  void keep(const std::vector<bool>& kept);
  // A graph of what these values need, with them as its outputs (named like their values unless names are given).
  Graph extract(const std::vector<ValueId>& outputs, const std::vector<std::string>& names = {}) const;
  // Appends copies of the nodes between `replaced` and `dst` that read the replacements instead; the new `dst`.
  std::vector<ValueId> replace(const std::vector<ValueId>& dst, const std::map<ValueId, ValueId>& replaced);

  std::vector<NodeId> inputs() const;  // the nodes of kind kInput, in order
  const std::string& input_name(NodeId n) const { return nodes[static_cast<size_t>(n)].attrs.tensors[0].name; }
  Node& node(NodeId n) { return nodes[static_cast<size_t>(n)]; }
  const Node& node(NodeId n) const { return nodes[static_cast<size_t>(n)]; }
  const Value& value(ValueId v) const { return values[static_cast<size_t>(v)]; }
  // The node's name; where the file stores none, the name of its first output.
  const std::string& name(NodeId n) const {
    const Node& node = nodes[static_cast<size_t>(n)];
    return node.name.empty() && !node.outputs.empty() ? value(node.outputs[0]).name : node.name;
  }
  std::string label(NodeId n) const;  // "Convolution 'conv1'" for messages

  // Throws ModelError unless ids are in range, the order is topological and every value has one producer.
  void check() const;
};

}  // namespace megalith
