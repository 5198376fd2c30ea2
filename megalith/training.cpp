#include "megalith/training.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "megalith/infer.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using E = param::ElemwiseMode;

constexpr const char* kTrained = "VolatileSharedDeviceTensor";

Var call(E mode, const std::vector<Var>& in) { return emit1("Elemwise", param::Elemwise{.mode = mode}, in); }
Var reduce(param::ReduceMode mode, const Var& x, int axis) {
  return emit1("Reduce", param::Reduce{.mode = mode, .axis = axis}, {x});
}
Tensor number(float v) { return Tensor::of<float>(DTypeEnum::Float32, {1}, std::vector<float>{v}); }

bool is_float_holder(const Node& n) {
  const bool holds = n.op->kind == OpKind::kConstant || n.op->kind == OpKind::kParameter;
  return holds && n.outputs.size() == 1 && n.attrs.tensors[0].dtype.id == DTypeEnum::Float32 &&
         n.attrs.tensors[0].value.defined();
}

bool is_statistic(const Node& reader, size_t operand) { return is(reader, "BatchNorm") && operand >= 3; }

// Whether an operand of this node that is one number can be a weight.
bool weighs(const Graph& g, const Node& reader, size_t operand) {
  if (!is(reader, "Elemwise")) return reader.op->grad != nullptr && reader.inputs.size() > 1;
  if (reader.attrs.params.as<param::Elemwise>().mode != E::ADD) return false;
  const Node& other = g.node(g.value(reader.inputs[1 - operand]).node);
  return !is(other, "Elemwise") && other.op->grad &&
         std::any_of(other.inputs.begin(), other.inputs.end(),
                     [&](ValueId v) { return is_float_holder(g.node(g.value(v).node)); });
}

bool is_weight(const Graph& g, NodeId id) {
  const Node& n = g.node(id);
  if (!is_float_holder(n)) return false;
  const bool many = n.attrs.tensors[0].value.count() > 1;
  for (const Node& reader : g.nodes) {
    for (size_t k = 0; k < reader.inputs.size(); ++k) {
      if (reader.inputs[k] != n.outputs[0] || is_statistic(reader, k)) continue;
      if (many ? reader.op->grad != nullptr : weighs(g, reader, k)) return true;
    }
  }
  return false;
}

const std::string& name_of(const Graph& g, const Node& n) {
  const std::string& own = n.attrs.tensors[0].name;
  return own.empty() ? g.value(n.outputs[0]).name : own;
}

// The node's output, which graphs share with the application from now on.
TrainedValue train(Graph& g, NodeId id, std::set<std::string>& taken) {
  Node& n = g.node(id);
  NamedTensor& t = n.attrs.tensors[0];
  std::string name = name_of(g, n);
  for (int i = 2; !taken.insert(name).second; ++i) name = cat(name_of(g, n), "_", i);
  t.name = name;
  t.value = t.value.clone();
  t.value.storage()->share();
  n.op = &Registry::get().at(kTrained);
  n.attrs.params = {};
  g.values[static_cast<size_t>(n.outputs[0])].spec.reset();
  return {name, t.value};
}

Var input(Graph& g, const std::string& name, DType dtype, const Shape& shape) {
  const ValueId v = g.add_input(name, dtype, shape);
  infer_node(g, g.value(v).node);
  return {g, v};
}

std::string fresh_name(const Graph& g, std::string name) {
  for (const NodeId n : g.inputs()) {
    if (g.input_name(n) == name) return fresh_name(g, name + "_");
  }
  return name;
}

// -log of the probability that softmax gives the right class: log(sum(exp(x - max))) - (x[label] - max).
Var cross_entropy(Graph& g, const Var& output, const std::string& name) {
  const Node& last = g.node(g.value(output.value()).node);
  const Var x = is(last, "Softmax") ? Var(g, last.inputs[0]) : output;
  const std::optional<TensorSpec> spec = g.value(x.value()).spec;
  if (!spec || spec->shape.ndim() < 2) {
    throw Error(cat("cross entropy needs class scores of shape (N, C, ...), but the output has shape ",
                    spec ? spec->shape.str() : "unknown before it runs"));
  }
  Shape shape = spec->shape;
  shape.erase(1);
  const Var label = input(g, name, DTypeEnum::Int32, shape);
  const Var shifted = call(E::SUB, {x, reduce(param::ReduceMode::MAX, x, 1)});
  const Var log_sum = call(E::LOG, {reduce(param::ReduceMode::SUM, call(E::EXP, {shifted}), 1)});
  const Var right = emit1("IndexingOneHot", param::Axis{.axis = 1}, {shifted, label});
  return call(E::SUB, {log_sum, right});
}

Var loss_of(Graph& g, const Var& output, LossKind kind, const std::string& name) {
  Var each = output;
  if (kind == LossKind::kCrossEntropy) {
    each = cross_entropy(g, output, name);
  } else if (kind == LossKind::kMeanSquaredError) {
    const std::optional<TensorSpec> spec = g.value(output.value()).spec;
    if (!spec) throw Error("the mean squared error needs an output whose shape is known before it runs");
    const Var difference = call(E::SUB, {output, input(g, name, DTypeEnum::Float32, spec->shape)});
    each = call(E::MUL, {difference, difference});
  } else {
    return output;
  }
  const Var flat = emit1("Reshape", param::OptionalAxisV1{.axis = 0},
                         {each, Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::vector<int32_t>{-1})});
  return flat;
}

// Emits the updates of one parameter for its gradient.
class Updates {
 public:
  Updates(Graph& g, const OptimizerOptions& o, TrainingStep& step) : g_(g), o_(o), step_(step) {
    step.learning_rate = fresh_name(g, "learning_rate");
    rate_ = input(g, step.learning_rate, DTypeEnum::Float32, {1});
    if (o.kind != OptimizerOptions::kAdam) return;
    step.correction1 = fresh_name(g, "correction1");
    step.correction2 = fresh_name(g, "correction2");
    correction1_ = input(g, step.correction1, DTypeEnum::Float32, {1});
    correction2_ = input(g, step.correction2, DTypeEnum::Float32, {1});
  }

  void update(const TrainedValue& of, const Var& w, Var g) {
    if (o_.weight_decay != 0) g = call(E::ADD, {g, call(E::MUL, {w, number(o_.weight_decay)})});
    if (o_.kind == OptimizerOptions::kAdam) {
      const Var m = average(of, ".m", g, o_.beta1), v = average(of, ".v", call(E::MUL, {g, g}), o_.beta2);
      const Var root = emit1("PowC", param::PowC{.exp = 0.5F}, {call(E::MUL, {v, correction2_})});
      g = call(E::TRUE_DIV, {call(E::MUL, {m, correction1_}), call(E::ADD, {root, number(o_.eps)})});
    } else if (o_.kind == OptimizerOptions::kRmsProp) {
      const Var v = average(of, ".v", call(E::MUL, {g, g}), o_.decay);
      g = call(E::TRUE_DIV, {g, emit1("PowC", param::PowC{.exp = 0.5F}, {call(E::ADD, {v, number(o_.eps)})})});
    } else if (o_.momentum != 0) {
      g = write(state(of, ".v"), g, o_.momentum, 1);
    }
    write(w, call(E::MUL, {g, rate_}), 1, -1);
  }

 private:
  // target <- alpha * target + beta * g
  static Var write(const Var& target, const Var& g, float alpha, float beta) {
    return emit1("AddUpdate", param::MGBAddUpdate{.alpha = Scalar::of(alpha), .beta = Scalar::of(beta)}, {target, g});
  }
  Var average(const TrainedValue& of, const char* suffix, const Var& g, float keep) {
    return write(state(of, suffix), g, keep, 1 - keep);
  }
  Var state(const TrainedValue& of, const char* suffix) {
    TrainedValue s{of.name + suffix, Tensor::zeros(DTypeEnum::Float32, of.value.shape())};
    s.value.storage()->share();
    const ValueId v = g_.add_parameter(s.value, s.name);
    const NodeId node = g_.value(v).node;
    g_.node(node).op = &Registry::get().at(kTrained);
    infer_node(g_, node);
    step_.state.push_back(std::move(s));
    return {g_, v};
  }

  Graph& g_;
  const OptimizerOptions& o_;
  TrainingStep& step_;
  Var rate_, correction1_, correction2_;
};

}  // namespace

std::vector<TrainedValue> make_trainable(Graph& g, const std::vector<std::string>& names) {
  std::vector<TrainedValue> r;
  std::set<std::string> taken, wanted(names.begin(), names.end());
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    const bool pick = names.empty()
                          ? is_weight(g, id)
                          : is_float_holder(g.nodes[i]) && (wanted.erase(name_of(g, g.nodes[i])) > 0 ||
                                                            wanted.erase(g.value(g.nodes[i].outputs[0]).name) > 0);
    if (pick) r.push_back(train(g, id, taken));
  }
  if (!wanted.empty())
    throw Error(cat("the model has no Float32 constant or parameter '", *wanted.begin(), "' to train"));
  if (r.empty()) throw Error("the model has no weights that could be trained");
  infer_graph(g);
  return r;
}

TrainingStep training_step(const Graph& model, size_t output, LossKind kind, const OptimizerOptions& options) {
  if (output >= model.outputs.size())
    throw Error(cat("there is no output ", output, " to train; the model has ", model.outputs.size()));
  TrainingStep step;
  step.graph = model;
  Graph& g = step.graph;
  if (kind != LossKind::kOutput) step.target = fresh_name(g, kind == LossKind::kCrossEntropy ? "label" : "target");
  const Var each = loss_of(g, {g, model.outputs[output].value}, kind, step.target);
  const Var loss = kind == LossKind::kOutput ? each : reduce(param::ReduceMode::MEAN, each, 0);
  std::vector<TrainedValue> trained;
  std::vector<ValueId> values;
  for (const Node& n : model.nodes) {
    if (!is(n, kTrained)) continue;
    trained.push_back({n.attrs.tensors[0].name, n.attrs.tensors[0].value});
    values.push_back(n.outputs[0]);
  }
  const std::vector<ValueId> gradients = grad(g, loss.value(), values);
  Updates updates(g, options, step);
  size_t reached = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (gradients[i] < 0) continue;  // the loss does not depend on it
    ++reached;
    updates.update(trained[i], {g, values[i]}, {g, gradients[i]});
  }
  if (reached == 0) throw Error("the loss depends on none of the model's weights");
  std::vector<GraphOutput> outputs = std::move(g.outputs);
  g.outputs.clear();
  g.add_output(loss.value(), "loss");
  g.outputs.insert(g.outputs.end(), outputs.begin(), outputs.end());
  g.check();
  return step;
}

Graph with_constant_weights(const Graph& graph) {
  Graph g = graph;
  for (Node& n : g.nodes) {
    if (!is(n, kTrained)) continue;
    n.op = &Registry::get().at("ImmutableTensor");
    n.attrs.tensors[0].value = n.attrs.tensors[0].value.clone();
  }
  infer_graph(g);
  return g;
}

}  // namespace megalith
