// AssertEqual: hands on the expected value after comparing it with the actual one.
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

// Inputs: expected, actual and, where the file stores it, the error that the graph computed from the two.
void infer_assert_equal(InferContext& c) {
  c.require(c.shape(0) == c.shape(1), "expected ", c.shape(0), " but the actual value has shape ", c.shape(1));
  c.require(!c.dtype(0).is_lowbit() && !c.dtype(1).is_lowbit(), "no AssertEqual of ", c.dtype(0).str(), " and ",
            c.dtype(1).str());
  c.require(c.nin() < 3 || c.shape(2).count() == 1, "the error must be a single number, but has shape ",
            c.nin() < 3 ? Shape{} : c.shape(2));
  c.set(0, c.dtype(0), c.shape(0));
}

double max_error(const Tensor& expected, const Tensor& actual) {
  double worst = 0;
  for (int64_t i = 0; i < expected.count(); ++i) {
    const double a = expected.item(i), b = actual.item(i);
    const double e = a == b ? 0 : std::fabs(a - b) / std::max(1.0, std::min(std::fabs(a), std::fabs(b)));
    if (!(e <= worst)) worst = e;
    if (std::isnan(e)) break;
  }
  return worst;
}

void assert_equal_reference(const KernelArgs& a) {
  const param::AssertEqual& p = a.param<param::AssertEqual>();
  const double error = a.in.size() > 2 ? a.in[2].item() : max_error(a.in[0], a.in[1]);
  if (!(error <= static_cast<double>(p.maxerr))) {
    throw OpError(cat("AssertEqual: the values differ by ", error, ", more than ", p.maxerr));
  }
  copy_strided(a.in[0], a.out[0]);
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_assert_equal) {
  r.add({.name = "AssertEqual",
         .doc = "Input 0; fails when input 1 differs from it by more than `maxerr`.",
         .mge = {"AssertEqual"},
         .params = &param::AssertEqual::kSchema,
         .min_inputs = 2,
         .max_inputs = 3,
         .infer = infer_assert_equal,
         .kernels = {{.name = "reference", .run = assert_equal_reference}},
         .effect = true,
         .exact = true});
}
