#include "megalith/ops/nn/norm_vector.h"

#include "megalith/kernels/rows.h"
#include "megalith/ops/elemwise/walk.h"
#include "megalith/ops/reduce/reduce_vector.h"

namespace megalith::norm {
namespace {

using elemwise::Array;
using elemwise::Block;
using reduce::Join;

// Row-major floats seen in the shape of x.
Tensor seen(const float* data, const Shape& shape, const Shape& x) {
  Layout l(x, Layout(shape).stride);
  for (int d = 0; d < x.ndim(); ++d) {
    if (shape[d] == 1 && x[d] != 1) l.stride[d] = 0;
  }
  auto storage = Storage::wrap(const_cast<float*>(data), 0, nullptr, false);  // nothing writes through it
  return Tensor::from_storage(std::move(storage), 0, DTypeEnum::Float32, l);
}

void walk(rows::Fn fn, std::initializer_list<Array> in, const Tensor& out, Exec& exec) {
  elemwise::walk({in.begin(), in.size()}, elemwise::array_of(out), INT64_MAX, exec,
                 [fn](const Block& b) { fn(b.in, b.step, b.out, b.n); });
}

Array array(const float* p, const Layout& l) { return {const_cast<float*>(p), &l}; }  // to read from

// One number for all elements.
Array single(const float& v) {
  static const Layout layout(Shape{1});
  return array(&v, layout);
}
constexpr float kOne = 1, kZero = 0;

float deviation(float variance, float eps) { return 1.f / std::sqrt(variance + eps); }

// The number of axes that tell groups apart, if these come first and x is row-major: groups are runs of memory then.
int leading(const Job& job) {
  if (!job.x.contiguous()) return -1;
  int d = job.x.ndim();
  while (d > 0 && (job.statistics[d - 1] == 1)) --d;
  for (int i = 0; i < d; ++i)
    if (job.statistics[i] != job.x.dim(i)) return -1;
  return d;
}

// Whether weights differ for every element of a group and are the same in all groups.
bool along_group(const Job& job, int lead) {
  for (int d = 0; d < job.x.ndim(); ++d)
    if (job.weights[d] != (d < lead ? 1 : job.x.dim(d))) return false;
  return true;
}

}  // namespace

void moments(const Job& job, float* mean, float* variance, Exec& exec) {
  const int64_t groups = job.statistics.count();
  const auto n = static_cast<float>(job.x.count() / groups);
  reduce::along(Join::kSum, job.x, job.statistics, mean, exec);
  for (int64_t i = 0; i < groups; ++i) mean[i] /= n;
  reduce::along(Join::kDeviations, job.x, job.statistics, variance, exec,
                {.other = {}, .center = seen(mean, job.statistics, job.x.shape())});
  for (int64_t i = 0; i < groups; ++i) variance[i] /= n;
}

void forward(const Job& job, float eps, const float* weight, const float* bias, const Tensor& y, float* mean,
             float* variance, Exec& exec) {
  const int lead = leading(job);
  const int64_t groups = job.statistics.count(), n = job.x.count() / groups;
  if (lead >= 0 && y.contiguous() && (!weight || along_group(job, lead))) {  // group by group, while it is in the cache
    exec.parallel_for(groups, std::max<int64_t>(1, 8192 / n), [&](int64_t begin, int64_t end) {
      const rows::Fn fn = rows::normalize_rows();
      float one[rows::kRepeat], zero[rows::kRepeat] = {}, m[rows::kRepeat], inv[rows::kRepeat];
      std::fill_n(one, rows::kRepeat, 1.f);
      const int64_t step[5] = {1, 0, 0, weight ? 1 : 0, weight ? 1 : 0};
      for (int64_t i = begin; i < end; ++i) {
        const float* x = job.x.data<float>() + i * n;
        mean[i] = reduce::line(Join::kSum, x, n) / static_cast<float>(n);
        variance[i] = reduce::line(Join::kDeviations, x, n, nullptr, mean[i]) / static_cast<float>(n);
        std::fill_n(m, rows::kRepeat, mean[i]);
        std::fill_n(inv, rows::kRepeat, deviation(variance[i], eps));
        const float* in[5] = {x, m, inv, weight ? weight : one, weight ? bias : zero};
        fn(in, step, y.data<float>() + i * n, n);
      }
    });
    return;
  }
  moments(job, mean, variance, exec);
  std::vector<float> inv(static_cast<size_t>(groups));
  for (size_t i = 0; i < inv.size(); ++i) inv[i] = deviation(variance[i], eps);
  const Layout statistics(job.statistics), weights(job.weights);
  walk(rows::normalize_rows(),
       {elemwise::array_of(job.x), array(mean, statistics), array(inv.data(), statistics),
        weight ? array(weight, weights) : single(kOne), weight ? array(bias, weights) : single(kZero)},
       y, exec);
}

void backward(const Job& job, const Tensor& dy, const float* mean, const float* inv, const float* weight,
              const Tensor& dx, float* dweight, float* dbias, Exec& exec) {
  const Shape& shape = job.x.shape();
  const int64_t groups = job.statistics.count();
  const auto n = static_cast<float>(job.x.count() / groups);
  const Layout statistics(job.statistics), weights(job.weights);
  Tensor g = dy;
  if (weight) {
    g = Tensor::empty(DTypeEnum::Float32, shape);
    walk(rows::find(param::ElemwiseMode::MUL), {elemwise::array_of(dy), array(weight, weights)}, g, exec);
  }
  std::vector<float> sum(static_cast<size_t>(groups)), dot(sum.size());
  reduce::along(Join::kSum, g, job.statistics, sum.data(), exec);
  reduce::along(Join::kCentered, job.x, job.statistics, dot.data(), exec,
                {.other = g, .center = seen(mean, job.statistics, shape)});
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] /= n;
    dot[i] = dot[i] * inv[i] / n;
  }
  const Array inverse = array(inv, statistics);
  walk(rows::normalize_back(),
       {elemwise::array_of(job.x), elemwise::array_of(g), array(mean, statistics), inverse, inverse,
        array(sum.data(), statistics), array(dot.data(), statistics)},
       dx, exec);
  if (!dweight) return;
  reduce::along(Join::kSum, dy, job.weights, dbias, exec);
  // (x - mean) * inv * dy takes the place of dy * weight.
  walk(rows::normalize_rows(),
       {elemwise::array_of(job.x), array(mean, statistics), inverse, elemwise::array_of(dy), single(kZero)}, g, exec);
  reduce::along(Join::kSum, g, job.weights, dweight, exec);
}

}  // namespace megalith::norm
