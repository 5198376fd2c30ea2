#include "tests/unit/kernel_check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "megalith/ops/op_util.h"
#include "megalith/plan.h"
#include "megalith/platform/thread_pool.h"

namespace megalith {

Shape Dice::shape(int rank, int64_t most) {
  if (rank < 0) rank = static_cast<int>(pick(1, 5));
  Shape s;
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) {
    int64_t d = of<int64_t>({1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257, 600, 3000});
    if (one_in(60)) d = 0;
    if (count * d > most) d = of<int64_t>({1, 2, 3});
    count = std::max<int64_t>(1, count * d);
    s.push_back(d);
  }
  return s;
}

Tensor Dice::floats(const Shape& shape, bool special) {
  Tensor t = Tensor::empty(DTypeEnum::Float32, shape);
  std::uniform_real_distribution<float> real(-4.f, 4.f);
  const bool odd = special && one_in(2);
  for (float& v : t.span<float>()) {
    v = real(rng_);
    if (odd && one_in(12)) v = of<float>({NAN, INFINITY, -INFINITY, 0.f, -0.f, 1e-41f, 3e38f, -3e38f, 1.f, -3.f, 6.f});
    if (odd && one_in(8)) v = std::round(v * 2) / 2;
  }
  return t;
}

Tensor Dice::values(DType dtype, const Shape& shape) {
  if (dtype.id == DTypeEnum::Float32) return floats(shape, false);
  Tensor t = Tensor::empty(dtype, shape);
  dispatch_storage(dtype, [&](auto tag) {
    using T = decltype(tag);
    std::uniform_real_distribution<float> real(-4.f, 4.f);
    for (T& v : t.span<T>()) {
      if constexpr (std::is_integral_v<T>)
        v = static_cast<T>(dtype.id == DTypeEnum::Bool ? pick(0, 1) : pick(-200, 200));
      else
        v = T(real(rng_));
    }
  });
  return t;
}

Tensor Dice::permuted(DType dtype, const Shape& shape) {
  std::vector<int> order(static_cast<size_t>(shape.ndim()));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), rng_);
  Layout l(shape, shape);
  int64_t step = 1;
  for (const int d : order) {
    l.stride[d] = step;
    step *= std::max<int64_t>(1, shape[d]);
  }
  return Tensor::empty(dtype, shape).view(l);
}

Tensor Dice::strided(const Tensor& t) {
  if (t.count() == 0 || one_in(3)) return t;
  if (one_in(2)) {
    Tensor p = permuted(t.dtype(), t.shape());
    copy_strided(t, p);
    return p;
  }
  Shape big = t.shape();
  Layout l(big, big);
  int64_t offset = 0;
  std::vector<int64_t> step(static_cast<size_t>(big.ndim()));
  for (int d = 0; d < big.ndim(); ++d) {
    step[static_cast<size_t>(d)] = of<int64_t>({1, 1, 1, 2, -1});
    big[d] = big[d] * std::abs(step[static_cast<size_t>(d)]) + pick(0, 1);
  }
  Tensor whole = Tensor::zeros(t.dtype(), big);
  for (int d = 0; d < big.ndim(); ++d) {
    l.stride[d] = whole.stride()[d] * step[static_cast<size_t>(d)];
    if (l.stride[d] < 0) offset += (t.dim(d) - 1) * whole.stride()[d];
  }
  Tensor v = whole.view(l, offset);
  copy_strided(t, v);
  return v;
}

namespace {

bool close(double got, double want, Allowed a) {
  if (std::isnan(want)) return std::isnan(got);
  if (got == want) return true;
  return std::abs(got - want) <= a.absolute + a.relative * std::abs(want);
}

bool same(const Tensor& got_any, const Tensor& want, Allowed a, std::string& where) {
  const Tensor got = got_any.to_contiguous();
  if (std::memcmp(got.data(), want.data(), want.bytes()) == 0) return true;
  for (int64_t i = 0; i < want.count(); ++i) {
    const double g = got.item(i), w = want.item(i);
    const bool exact = a.relative == 0 && a.absolute == 0;
    if (exact && !std::isnan(w) && std::signbit(g) != std::signbit(w)) {
      where = cat("element ", i, " is ", g, ", expected ", w);
      return false;
    }
    if (!close(g, w, a)) {
      where = cat("element ", i, " is ", g, ", expected ", w);
      return false;
    }
  }
  return true;
}

}  // namespace

int check_kernels(const char* name, const Params& params, const std::vector<Tensor>& inputs, Allowed allowed,
                  Dice* dice, bool permuted, std::optional<DType> output_dtype) {
  const OpDef& op = Registry::get().at(name);
  Attrs attrs;
  attrs.params = params;
  attrs.output_dtype = output_dtype;
  static ThreadPool pool(2), many(5);
  Exec one, two(&pool), five(&many);
  std::vector<TensorSpec> in, out(static_cast<size_t>(num_outputs(op, attrs, static_cast<int>(inputs.size()))));
  for (const Tensor& t : inputs) in.push_back({t.dtype(), t.shape(), t});
  InferContext infer{op, attrs, in, out, {}};
  op.infer(infer);
  const KernelQuery q{attrs, in, out};
  const auto run = [&](const Kernel& k, std::vector<Tensor> from, std::vector<Tensor> to, Exec& exec) {
    std::shared_ptr<Storage> workspace;
    if (k.workspace) workspace = Storage::allocate(k.workspace(q));
    run_kernel(k, KernelArgs{attrs, from, to, exec}, workspace ? workspace->data() : nullptr, 1);
    return to;
  };
  const auto fresh = [&](bool any_order) {
    std::vector<Tensor> r;
    for (const TensorSpec& o : out) {
      Tensor t = any_order ? dice->permuted(o.dtype, o.shape) : Tensor::empty(o.dtype, o.shape);
      std::memset(t.data(), 0x5a, t.bytes());
      r.push_back(t);
    }
    return r;
  };
  const std::vector<Tensor> want = run(op.kernels.back(), inputs, fresh(false), one);
  int ran = 0;
  for (size_t i = 0; i + 1 < op.kernels.size(); ++i) {
    const Kernel& k = op.kernels[i];
    if (k.accepts && !k.accepts(q)) continue;
    ++ran;
    std::vector<Tensor> scattered = inputs;
    if (dice && k.strided) {
      for (Tensor& t : scattered) t = dice->strided(t);
    }
    const std::vector<Tensor> got = run(k, inputs, fresh(false), one);
    for (Exec* exec : {&one, &two, &five}) {
      const std::vector<Tensor> again = run(k, scattered, fresh(permuted && k.strided), *exec);
      for (size_t o = 0; o < got.size(); ++o) {
        std::string where;
        std::string shapes;
        for (const Tensor& t : inputs) shapes += t.shape().str() + " ";
        const bool right = same(got[o], want[o], allowed, where);
        CHECK_MESSAGE(right, std::string(name), " ", params.str(), " kernel ", std::string(k.name), " inputs ", shapes,
                      "output ", o, ": ", where);
        const bool equal = same(again[o], got[o], {}, where);
        CHECK_MESSAGE(equal, std::string(name), " ", params.str(), " kernel ", std::string(k.name), " inputs ", shapes,
                      "output ", o, ": other bits with ", exec->threads(), " threads: ", where);
        if (!right || !equal) return ran;
      }
    }
  }
  return ran;
}

}  // namespace megalith
