// AddUpdate: w <- alpha * w + beta * g + bias, in place.
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

void infer_update(InferContext& c) {
  c.require(c.shape(0) == c.shape(1) || c.shape(1).count() == 1, "gradient has shape ", c.shape(1), " for ",
            c.shape(0));
  c.require(c.dtype(0) == c.dtype(1), "gradient has type ", c.dtype(1).name(), ", expected ", c.dtype(0).name());
  c.require(c.dtype(0).is_float() || c.dtype(0).is_int(), "can't update elements of type ", c.dtype(0).name());
  c.set(0, c.dtype(0), c.shape(0));
}

void run_update(const KernelArgs& a) {
  const auto& p = a.param<param::MGBAddUpdate>();
  const float alpha = static_cast<float>(p.alpha.value()), beta = static_cast<float>(p.beta.value());
  const float bias = static_cast<float>(p.bias.value());
  const int64_t n = a.in[0].count(), step = a.in[1].count() == 1 ? 0 : 1;
  dispatch_storage(a.in[0].dtype(), [&](auto e) {
    using T = decltype(e);
    const T *w = a.in[0].data<T>(), *g = a.in[1].data<T>();
    T* to = a.out[0].data<T>();
    for (int64_t i = 0; i < n; ++i)
      to[i] = T(static_cast<float>(w[i]) * alpha + static_cast<float>(g[i * step]) * beta + bias);
  });
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_add_update) {
  r.add({.name = "AddUpdate",
         .doc = "Writes alpha * w + beta * g + bias over its first input.",
         .mge = {"AddUpdate"},
         .params = &param::MGBAddUpdate::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_update,
         .kernels = {{.name = "reference", .run = run_update}},
         .updates = {{0, 0}},
         .effect = true});
}
