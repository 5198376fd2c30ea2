// Ops of the format that this build loads and prints but can't run: conditional execution, attention and placeholders.
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

void infer_refuse(InferContext& c) { c.fail("can't run here: ", c.op.refuses); }

// One proposition per branch key; input n - 1 is the predicate.
int outputs_pred(const Attrs& a, int n) {
  const bool more = a.param<param::CondExecPred>().mode != param::CondExecPredMode::CASE;
  return std::max(n - 1, 0) + (more ? 1 : 0);
}
int outputs_mark(const Attrs&, int n) { return std::max(n - 1, 1); }  // all but the proposition
int outputs_merge(const Attrs& a, int) {
  return static_cast<int>(std::min<uint32_t>(a.param<param::CondExecMerge>().nr_output, 1 << 16));
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_unsupported) {
  using namespace megalith::param;
  const auto refuse = [&](const char* name, const ParamSchema* params, int min, int max,
                          int (*outputs)(const Attrs&, int), const char* why, const char* doc) {
    r.add({.name = name,
           .doc = doc,
           .mge = {name},
           .params = params,
           .min_inputs = min,
           .max_inputs = max,
           .outputs = outputs,
           .infer = infer_refuse,
           .refuses = why});
  };
  const char* cond = "conditional execution is not implemented";
  refuse("CondExecPred", &CondExecPred::kSchema, 1, -1, outputs_pred, cond, "Which branches a predicate selects.");
  refuse("CondExecPredLogical", &CondExecPredLogical::kSchema, 1, -1, nullptr, cond,
         "Propositions joined by a logical function.");
  refuse("CondExecMark", &CondExecMark::kSchema, 2, -1, outputs_mark, cond,
         "Inputs that exist only where the last one, a proposition, holds.");
  refuse("CondExecMarkIfNeed", &CondExecMark::kSchema, 1, -1, nullptr, cond,
         "CondExecMark where the input is not yet conditional.");
  refuse("CondExecMerge", &CondExecMerge::kSchema, 1, -1, outputs_merge, cond, "The outputs of the branches that ran.");
  refuse("AffineInt", &Empty::kSchema, 3, 3, nullptr, "this op is not implemented", "An affine function on integers.");
  refuse("VirtualGrad", &Empty::kSchema, 2, 2, nullptr,
         "a gradient placeholder must be expanded before the model is saved",
         "Stands for the gradient of input 0 with respect to input 1.");
}
