// Training a loaded graph: its weights become parameters, and a second graph does one whole step on them: outputs,
// loss, gradients, and the update in place.
#pragma once

#include <string>
#include <vector>

#include "megalith/graph.h"

namespace megalith {

enum class LossKind : uint8_t {
  kCrossEntropy,      // of class scores (N, C, ...) and integer labels (N, ...); the mean
  kMeanSquaredError,  // of an output and a target of its shape
  kOutput,            // the output is the loss: one number
};

// MegEngine's rules, and RMSProp, which it lacks: v = decay * v + (1 - decay) * g * g; w -= lr * g / sqrt(v + eps).
struct OptimizerOptions {
  enum Kind : uint8_t { kSgd, kAdam, kRmsProp } kind = kSgd;
  float momentum = 0;                  // SGD: v = momentum * v + g; w -= lr * v
  float beta1 = 0.9F, beta2 = 0.999F;  // Adam
  float decay = 0.9F;                  // RMSProp
  float eps = 1e-8F;
  float weight_decay = 0;  // times the weight, is added to its gradient
};

// What training changes. Copies of a graph share its memory.
struct TrainedValue {
  std::string name;
  Tensor value;
};

// Turns the weights of `graph`, which a file stores as constants, into parameters that the application may change
// between runs (VolatileSharedDeviceTensor). Weights are Float32 constants and parameters of more than one element, and
// those of one element that are an operand of something else than elementwise arithmetic, or are added to what has such
// an operand (the bias of a linear regression). The statistics of BatchNorm are none. `names` picks others, by the name
// of the constant or its value; throws Error for a name that is none.
std::vector<TrainedValue> make_trainable(Graph& graph, const std::vector<std::string>& names = {});

struct TrainingStep {
  Graph graph;                           // its outputs: the loss, then the model's
  std::string target;                    // the input that says what is right; "" for LossKind::kOutput
  std::string learning_rate;             // an input of one Float32
  std::string correction1, correction2;  // Adam's inputs: 1 / (1 - beta^t) in step t; "" otherwise
  std::vector<TrainedValue> state;       // of the optimizer
};

// A step for a graph that went through make_trainable. `output` is an index into graph.outputs. Of probabilities that a
// Softmax gives, the cross entropy is taken from its input.
TrainingStep training_step(const Graph& graph, size_t output, LossKind loss, const OptimizerOptions& options);

// A copy in which what is trained is constant again, as it is now: what is written to a file.
Graph with_constant_weights(const Graph& graph);

}  // namespace megalith
