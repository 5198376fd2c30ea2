// Ops whose work is done by another runtime or by plug-ins: they load and print, but nothing here can run them.
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

void infer_refuse(InferContext& c) { c.fail("can't run here: ", c.op.refuses); }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(data_foreign) {
  const auto foreign = [&](const char* name, int version, const char* needs, const char* doc) {
    r.add({.name = name,
           .doc = doc,
           .mge = {name, version},
           .min_inputs = 0,
           .max_inputs = -1,
           .infer = infer_refuse,
           .open_outputs = true,
           .refuses = needs});
  };
  foreign("AtlasRuntimeOpr", 1, "needs the Atlas runtime", "A model compiled for Huawei Atlas.");
  foreign("TensorRTRuntimeOpr", 1, "needs TensorRT", "A serialized TensorRT engine.");
  foreign("ExternCOprRunner", 1, "needs the plug-in that made it", "An op loaded through MegEngine's C interface.");
  foreign("CustomOpNode", 2, "needs the custom op's library", "An op defined by a MegEngine custom op library.");
  foreign("opr::Loop", 2, "loops are not part of the format", "A loop over a sub-graph that the file does not hold.");
  foreign("LoopGrad", 1, "loops are not part of the format", "The gradient of opr::Loop.");
  foreign("LoopGrad::AssignorGradOpr", 1, "loops are not part of the format", "Part of the gradient of opr::Loop.");
  foreign("LoopImpl::DepTensorUpdator", 1, "loops are not part of the format", "Part of opr::Loop.");
}
