// Cross: the vector product along an axis of length 3.
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

struct Axes {
  int a, b, c;
};

Axes axes(const param::Cross& p, int ndim) {
  const auto at = [ndim](int32_t axis) { return axis < 0 ? axis + ndim : axis; };
  return {at(p.axisa), at(p.axisb), at(p.axisc)};
}

void infer(InferContext& c) {
  const auto& p = c.param<param::Cross>();
  Shape a = c.shape(0), b = c.shape(1);
  c.require(c.dtype(0) == c.dtype(1) && !c.dtype(0).is_lowbit() && !c.dtype(0).is_quantized(), "inputs are ",
            c.dtype(0).str(), " and ", c.dtype(1).str());
  c.require(a.ndim() == b.ndim() && a.ndim() > 0, "inputs have shapes ", a, " and ", b);
  const int axis_a = c.axis(p.axisa, a.ndim()), axis_b = c.axis(p.axisb, b.ndim()), axis_c = c.axis(p.axisc, a.ndim());
  c.require(a[axis_a] == 3 && b[axis_b] == 3, "the vectors have ", a[axis_a], " and ", b[axis_b], " elements, not 3");
  a.erase(axis_a);
  b.erase(axis_b);
  c.require(a == b, "inputs have shapes ", c.shape(0), " and ", c.shape(1));
  a.insert(axis_c, 3);
  c.set(0, c.dtype(0), a);
}

void run(const KernelArgs& args) {
  const Axes at = axes(args.param<param::Cross>(), args.out[0].ndim());
  const auto split = [](const Tensor& t, int axis) {
    Shape s = t.stride();
    const int64_t step = s[axis];
    s.erase(axis);
    return std::pair{s, step};
  };
  const auto [sa, da] = split(args.in[0], at.a);
  const auto [sb, db] = split(args.in[1], at.b);
  const auto [sc, dc] = split(args.out[0], at.c);
  Shape outer = args.out[0].shape();
  outer.erase(at.c);
  dispatch_storage(args.out[0].dtype(), [&, da = da, db = db, dc = dc](auto tag) {
    using T = decltype(tag);
    using C = std::conditional_t<std::is_integral_v<T>, int64_t, float>;
    Odometer od(outer, {sa, sb, sc});
    for (int64_t i = 0, n = outer.count(); i < n; ++i, od.next()) {
      const T* a = args.in[0].data<T>() + od.offset(0);
      const T* b = args.in[1].data<T>() + od.offset(1);
      T* c = args.out[0].data<T>() + od.offset(2);
      for (int k = 0; k < 3; ++k) {
        const int p = (k + 1) % 3, q = (k + 2) % 3;
        const auto value = [](T v) { return static_cast<C>(v); };
        c[k * dc] = static_cast<T>(value(a[p * da]) * value(b[q * db]) - value(a[q * da]) * value(b[p * db]));
      }
    }
  });
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(linalg_cross) {
  r.add({.name = "Cross",
         .doc = "The vector product along an axis of length 3.",
         .mge = {"Cross", 2},
         .params = &param::Cross::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer,
         .kernels = {{.name = "reference", .run = run}}});
}
