// Dropout: sets elements to zero at random and scales the others up.
#include "megalith/kernels/random.h"
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

int outputs_dropout(const Attrs&, int) { return 2; }

void check(InferContext& c) {
  const float p = c.param<param::Dropout>().drop_prob;
  c.require(p >= 0 && p < 1, "drop_prob is ", p, ", expected a value in [0, 1)");
  c.require(c.dtype(0).is_float(), "input has type ", c.dtype(0).name());
  c.set(0, c.dtype(0), c.shape(0));
}

void infer_dropout(InferContext& c) {
  check(c);
  c.set(1, DType(DTypeEnum::Byte), Shape{c.shape(0).count()});
}

// One byte of the mask per element, 1 where it is kept.
void run_dropout(const KernelArgs& a) {
  const float p = a.param<param::Dropout>().drop_prob, scale = 1.f / (1.f - p);
  const uint64_t key = a.exec.random_key();
  uint8_t* mask = a.out[1].data<uint8_t>();
  dispatch_float(a.in[0].dtype(), [&](auto e) {
    using T = decltype(e);
    const T* x = a.in[0].data<T>();
    T* y = a.out[0].data<T>();
    a.exec.parallel_for(a.in[0].count(), 4096, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        mask[i] = random_uniform(key, static_cast<uint64_t>(i)) > p;
        y[i] = T(mask[i] ? static_cast<float>(x[i]) * scale : 0.f);
      }
    });
  });
}

void infer_backward(InferContext& c) {
  check(c);
  c.require(c.dtype(1).bits() == 8 && c.shape(1).count() == c.shape(0).count(), "mask has shape ", c.shape(1),
            " for a gradient of shape ", c.shape(0));
}

void run_backward(const KernelArgs& a) {
  const float scale = 1.f / (1.f - a.param<param::Dropout>().drop_prob);
  const uint8_t* mask = a.in[1].data<uint8_t>();
  dispatch_float(a.in[0].dtype(), [&](auto e) {
    using T = decltype(e);
    const T* dy = a.in[0].data<T>();
    for (int64_t i = 0; i < a.in[0].count(); ++i)
      a.out[0].data<T>()[i] = T(mask[i] ? static_cast<float>(dy[i]) * scale : 0.f);
  });
}

std::vector<Var> grad_dropout(const GradContext& c) {
  grads::only_outputs(c, {0}, "the result");
  return {emit1("DropoutBackward", c.attrs.params, {c.dout[0], c.out[1]})};
}

std::vector<Var> grad_backward(const GradContext& c) {
  return {emit1("DropoutBackward", c.attrs.params, {c.dout[0], c.in[1]}), {}};
}

GradReads reads_mask(const Attrs&, const std::vector<bool>&) { return {0, 2}; }
GradReads reads_mask_input(const Attrs&, const std::vector<bool>&) { return {2, 0}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_dropout) {
  r.add({.name = "Dropout",
         .doc = "Zeroes elements with probability drop_prob and scales the rest; output 1 is the mask.",
         .mge = {"Dropout"},
         .params = &param::Dropout::kSchema,
         .outputs = outputs_dropout,
         .infer = infer_dropout,
         .kernels = {{.name = "reference", .run = run_dropout}},
         .grad = grad_dropout,
         .grad_reads = reads_mask,
         .random = true});
  r.add({.name = "DropoutBackward",
         .doc = "Gradient of Dropout: inputs are the upstream gradient and the mask.",
         .mge = {"DropoutBackward"},
         .params = &param::Dropout::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_backward,
         .kernels = {{.name = "reference", .run = run_backward}},
         .grad = grad_backward,
         .grad_reads = reads_mask_input});
}
