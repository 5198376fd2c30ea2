// Ops of the format that stand for something else and can't run themselves.
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

void infer_refuse(InferContext& c) { c.fail("can't run here: ", c.op.refuses); }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_virtual_grad) {
  r.add({.name = "VirtualGrad",
         .doc = "The gradient of input 0, one number, with respect to input 1; models expand it when they are loaded.",
         .mge = {"VirtualGrad"},
         .params = &param::Empty::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_refuse,
         .refuses = "a gradient placeholder has to be expanded first"});
}
