#include "megalith/ops/reduce/reduce_vector.h"

#include <algorithm>

#include "megalith/ops/op_util.h"

namespace megalith::reduce {
namespace {

constexpr int64_t kWidth = 512;  // columns of one task

// Axes that are stepped through as one; false when their distances don't allow it.
bool merged(const Layout& l, int begin, int end, int64_t& n, int64_t& step) {
  n = 1;
  step = 0;
  for (int d = end; d-- > begin;) {
    if (l.shape[d] == 1) continue;
    if (n > 1 && l.stride[d] != n * step) return false;
    if (n == 1) step = l.stride[d];
    n *= l.shape[d];
  }
  return true;
}

// Axes [begin, end) of x become one element each; `out` is row-major.
void run(Join join, const Tensor& any, int begin, int end, float* out, Exec& exec, const Beside& beside) {
  const auto fits = [&](const Tensor& t, int64_t& n, int64_t& step, int& inner) {
    inner = -1;
    if (!merged(t.layout(), begin, end, n, step)) return false;
    if (step == 1) return true;
    for (int d = 0; d < t.ndim(); ++d) {
      if ((d < begin || d >= end) && t.stride()[d] == 1 && t.dim(d) > 1) inner = d;
    }
    return inner >= 0 || n == 1;
  };
  Tensor x = any, other = beside.other;
  int64_t n = 0, step = 0;
  int inner = -1;
  if (!fits(x, n, step, inner) || (other.defined() && !(other.stride() == x.stride()))) {
    x = x.to_contiguous();  // which always fits
    if (other.defined()) other = other.to_contiguous();
    fits(x, n, step, inner);
  }
  const float* more = other.defined() ? other.data<float>() : nullptr;
  const float* center = beside.center.defined() ? beside.center.data<float>() : nullptr;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  // Results in row-major order, the blocks of one after another; columns are taken up to kWidth at a time.
  Layout kept(x.shape());
  for (int d = begin; d < end; ++d) kept.shape[d] = 1;
  kept = Layout(kept.shape);
  const int64_t results = kept.shape.count(), width = inner < 0 ? 1 : x.dim(inner);
  const int64_t chunks = (width + kWidth - 1) / kWidth, lines = results / width;
  const int64_t out_step = inner < 0 ? 1 : kept.stride[inner];
  Tensor parts;
  if (blocks > 1) parts = Tensor::empty(DTypeEnum::Float32, {blocks, results});
  float* to = blocks > 1 ? parts.data<float>() : out;
  const float* from = x.data<float>();
  const int64_t task = std::min(n, kBlock) * std::min(width, kWidth);
  const bool rows = inner < 0 && x.contiguous() && x.shape().count(end, x.ndim()) == 1;
  if (rows && blocks == 1 && (!center || beside.center.contiguous())) {
    exec.parallel_for(results, std::max<int64_t>(1, 16384 / task), [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i)
        out[i] = row(join, from + i * n, n, more ? more + i * n : nullptr, center ? center[i] : 0);
    });
    return;
  }
  exec.parallel_for(lines * chunks * blocks, std::max<int64_t>(1, 16384 / task), [&](int64_t first, int64_t last) {
    float columns_out[kWidth], centers[kWidth];
    for (int64_t i = first; i < last; ++i) {
      const int64_t block = i % blocks, chunk = i / blocks % chunks;
      int64_t line = i / blocks / chunks, at = block * kBlock * step + chunk * kWidth, place = 0, mid = 0;
      for (int d = x.ndim(); d-- > 0;) {
        if ((d >= begin && d < end) || d == inner) continue;
        at += line % x.dim(d) * x.stride()[d];
        place += line % x.dim(d) * kept.stride[d];
        if (center) mid += line % x.dim(d) * beside.center.stride()[d];
        line /= x.dim(d);
      }
      const int64_t length = std::min(kBlock, n - block * kBlock), w = std::min(kWidth, width - chunk * kWidth);
      float* result = to + block * results + place + chunk * kWidth * out_step;
      if (inner < 0) {
        *result = row(join, from + at, length, more ? more + at : nullptr, center ? center[mid] : 0);
        continue;
      }
      if (center) {
        const int64_t along = beside.center.stride()[inner];
        for (int64_t k = 0; k < w; ++k) centers[k] = center[mid + (chunk * kWidth + k) * along];
      }
      columns(join, from + at, step, length, w, out_step == 1 ? result : columns_out, more ? more + at : nullptr,
              centers);
      if (out_step != 1) {
        for (int64_t k = 0; k < w; ++k) result[k * out_step] = columns_out[k];
      }
    }
  });
  if (blocks > 1) run(rest_of(join), parts, 0, 1, out, exec, {});
}

}  // namespace

void along(Join join, const Tensor& x, const Shape& kept, float* out, Exec& exec, const Beside& beside) {
  Tensor t = x;
  bool done = false;
  for (int end = x.ndim(); end > 0;) {
    if (t.dim(end - 1) == kept[end - 1]) {
      --end;
      continue;
    }
    int begin = end;
    while (begin > 0 && t.dim(begin - 1) != kept[begin - 1]) --begin;
    Shape shape = t.shape();
    for (int d = begin; d < end; ++d) shape[d] = 1;
    const bool last = shape == kept;
    const Tensor next = last ? Tensor() : Tensor::empty(DTypeEnum::Float32, shape);
    run(join, t, begin, end, last ? out : next.data<float>(), exec, done ? Beside{} : beside);
    done = true;
    if (last) return;
    t = next;
    join = rest_of(join);
    end = begin;
  }
  if (!done) run(join, t, t.ndim(), t.ndim(), out, exec, beside);  // nothing to reduce; squares are taken all the same
}

}  // namespace megalith::reduce
