// The gradients of the gradients of normalizations, made of elementwise ops and sums.
#include "megalith/ops/grad_util.h"

namespace megalith::grads {
namespace {

Var reshape(const Var& v, const Var& shape, int unknown = kMaxDims) {
  return emit1("Reshape", param::OptionalAxisV1{unknown}, {v, shape});
}

}  // namespace

NormSecond norm_second(const NormBackward& n) {
  const auto mean = [&](const Var& v) { return div(sum_like(v, n.mean), count_ratio(n.x, n.mean)); };
  const Var xhat = mul(sub(n.x, n.mean), n.rstd);
  // dx = rstd * project(dy * weight), and so does a gradient pass from the normalized values to x.
  const auto project = [&](const Var& v) { return sub(sub(v, mean(v)), mul(xhat, mean(mul(v, xhat)))); };
  const Var g = n.weight.defined() ? mul(n.dy, n.weight) : n.dy;
  NormSecond r;
  Var to_xhat, to_x;
  if (n.to_dx.defined()) {
    const Var& a = n.to_dx;
    const Var to_g = mul(n.rstd, project(a));
    r.dy = n.weight.defined() ? mul(to_g, n.weight) : to_g;
    if (n.weight.defined()) r.weight = mul(to_g, n.dy);
    to_xhat = neg(mul(n.rstd, add(mul(a, mean(mul(g, xhat))), mul(g, mean(mul(a, xhat))))));
    // Through rstd, which multiplies all.
    to_x = neg(mul(mul(mul(n.rstd, n.rstd), xhat), mean(mul(a, project(g)))));
  }
  if (n.to_dweight.defined()) {
    r.dy = add_defined(r.dy, mul(n.to_dweight, xhat));
    to_xhat = add_defined(to_xhat, mul(n.to_dweight, n.dy));
  }
  if (n.to_dbias.defined()) r.dy = add_defined(r.dy, broadcast_like(n.to_dbias, n.x));
  r.x = to_x;
  if (to_xhat.defined()) r.x = add_defined(r.x, mul(n.rstd, project(to_xhat)));
  return r;
}

std::vector<Var> norm_backward_gradient(const GradContext& c, const Var& rstd, const Var& weight_shape) {
  const bool affine = c.in.size() == 5;
  if (c.dtype(1).id != DTypeEnum::Float32) unsupported(c, "has a gradient for Float32 only");
  const Var &dy = c.in[0], &x = c.in[1], &stat = c.in[c.in.size() - 2];
  // A row for each pair of statistics; weights, which lie otherwise, in full.
  const Var one = emit1("Concat", param::Axis{0}, {count_of(stat), constant(1, DTypeEnum::Int32)});
  const auto rows = [&](const Var& v) { return v.defined() ? reshape(v, one, 1) : v; };
  const auto full = [&](const Var& v) { return v.defined() ? rows(broadcast_like(reshape(v, weight_shape), x)) : v; };
  const auto output = [&](size_t i) { return i < c.dout.size() ? c.dout[i] : Var(); };
  NormBackward n;
  n.x = rows(x);
  n.dy = rows(dy);
  n.weight = affine ? full(c.in[2]) : Var();
  n.mean = rows(stat);
  n.rstd = rows(rstd);
  n.to_dx = rows(output(0));
  n.to_dweight = full(output(1));
  n.to_dbias = full(output(2));
  const NormSecond s = norm_second(n);
  const auto like_x = [&](const Var& v) { return v.defined() ? reshape(v, shape_of(x)) : v; };
  std::vector<Var> r(c.in.size());
  if (c.needs[0]) r[0] = like_x(s.dy);
  if (c.needs[1]) r[1] = like_x(s.x);
  if (affine && c.needs[2] && s.weight.defined())
    r[2] = reshape(sum_like(like_x(s.weight), reshape(c.in[2], weight_shape)), shape_of(c.in[2]));
  return r;  // the statistics follow from x: their part is in its gradient
}

}  // namespace megalith::grads
