// Ops that hold tensors: graph inputs, constants and parameters. They have no kernels; the executor binds their values.
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

int outputs_as_tensors(const Attrs& a, int) { return static_cast<int>(a.tensors.size()); }

void infer_tensors(InferContext& c) {
  const bool known = std::string_view(c.op.name) != "VolatileSharedDeviceTensor";
  for (size_t i = 0; i < c.out.size(); ++i) {
    const NamedTensor& t = c.attrs.tensors[i];
    c.out[i] = {t.dtype, t.shape, known ? t.value : Tensor{}};
  }
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(data_data) {
  const auto holder = [&](const char* name, int version, OpKind kind, const ParamSchema* params, Doc doc) {
    r.add({.name = name,
           .doc = doc,
           .mge = {name, version},
           .kind = kind,
           .params = params,
           .min_inputs = 0,
           .max_inputs = 0,
           .outputs = outputs_as_tensors,
           .infer = infer_tensors,
           .exact = true});
  };
  holder("Host2DeviceCopy", 2, OpKind::kInput, &param::Host2DeviceCopy::kSchema, "A graph input, fed by name.");
  holder("ImmutableTensor", 2, OpKind::kConstant, nullptr, "A constant.");
  holder("SharedDeviceTensor", 1, OpKind::kParameter, nullptr, "A parameter.");
  holder("VolatileSharedDeviceTensor", 1, OpKind::kParameter, nullptr,
         "A parameter that may be replaced between runs.");
  holder("SharedDeviceTensorWithFormat", 2, OpKind::kParameter, nullptr, "A parameter with a memory format.");
  holder("MultipleDeviceTensorHolder", 2, OpKind::kParameter, nullptr, "Several parameters, one output each.");
  holder("MultipleDeviceTensorWithFormatHolder", 2, OpKind::kParameter, nullptr,
         "Several parameters with memory formats, one output each.");
}
