// FusedElemwise: a chain of Elemwise nodes in one pass over memory. Made by a graph pass, never stored.
#pragma once

#include "megalith/ops/elemwise/modes.h"

namespace megalith::elemwise {

constexpr int kMaxSteps = 8, kMaxFusedInputs = 8;  // a block of each stands on the stack

// The program: one Step after another, in the parameter's list.
struct Step {
  Mode mode;
  int32_t args[4];  // an input of the node; or, from the number of inputs on, the result of an earlier step
};
inline constexpr size_t kStepInts = 5;

struct FusedElemwise {
  static const ParamSchema kSchema;
};

std::vector<Step> steps_of(const Params& p);
Params fused_params(const std::vector<Step>& steps);

}  // namespace megalith::elemwise
