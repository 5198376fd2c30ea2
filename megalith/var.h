// Var: a value in a computation that can be differentiated. Eager Vars hold a tensor; graph Vars name a value of a
// Graph.
//
// emit() is the one way to call an op: on tensors it runs now, on graph values it appends to their graph. Gradient
// functions are written with it once and work in both.
#pragma once

#include <memory>
#include <vector>

#include "megalith/graph.h"

namespace megalith {

struct GradLink;  // megalith/autograd.h

// Where an eager value stands in the graph that a Recorder is making (megalith/recorder.h).
struct TraceRef {
  static constexpr uint64_t kLiteral = ~uint64_t{0};
  uint64_t recorder = 0;  // 0: none; kLiteral: a number that the program wrote
  ValueId value = -1;
};

class Var {
 public:
  Var() = default;
  Var(Tensor t) : tensor_(std::move(t)) {}  // NOLINT
  Var(Graph& g, ValueId v) : graph_(&g), value_(v) {}
  bool defined() const { return graph_ != nullptr || tensor_.defined(); }
  bool is_graph() const { return graph_ != nullptr; }
  Graph* graph() const { return graph_; }
  ValueId value() const { return value_; }
  const Tensor& tensor() const { return tensor_; }
  const std::shared_ptr<GradLink>& link() const { return link_; }  // null: no gradient flows through this value
  std::shared_ptr<GradLink>& mutable_link() { return link_; }
  void set_tensor(Tensor t) { tensor_ = std::move(t); }  // links stay
  TraceRef trace;

 private:
  Tensor tensor_;
  std::shared_ptr<GradLink> link_;
  Graph* graph_ = nullptr;
  ValueId value_ = -1;
};

// Calls an op. Mixed arguments are graph calls: tensors become constants of the graph. Eager calls are remembered by
// open tapes and recorded by an active Recorder.
std::vector<Var> emit(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs);
// The same by name, first output only.
Var emit1(const char* op, const Params& params, const std::vector<Var>& inputs);
Var emit1(const char* op, const std::vector<Var>& inputs);

struct GradContext {
  const OpDef& op;
  const Attrs& attrs;
  const std::vector<Var>& in;
  const std::vector<Var>& out;
  const std::vector<Var>& dout;                  // undefined where nothing flows back
  const std::vector<bool>& needs;                // which inputs want a gradient
  const std::vector<DType>* in_types = nullptr;  // of graph inputs; eager ones know theirs

  DType dtype(size_t i) const { return in[i].is_graph() ? (*in_types)[i] : in[i].tensor().dtype(); }
};

// Appends to `graph` the gradients of `loss`, a single number, with respect to `wrt`; an undefined id (-1) where there
// is none. Throws UnsupportedError for an op without a gradient on the way.
std::vector<ValueId> grad(Graph& graph, ValueId loss, const std::vector<ValueId>& wrt);

// Replaces every VirtualGrad by the nodes that compute the gradient.
void expand_virtual_grads(Graph& graph);
// Replaces nodes that files have no place for by what OpDef::expand makes of them; throws UnsupportedError where shapes
// are not known or an output that can't be had is read.
void expand_for_files(Graph& graph);

}  // namespace megalith
