// Random tensors. Element i of a run depends on the run's key and on i only.
#include "megalith/kernels/random.h"

#include <numeric>

#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

template <class P>
void infer_shape_rng(InferContext& c) {
  const std::vector<int64_t> v = c.ints(0, kMaxDims);
  c.require(!v.empty(), "the shape is empty");
  int64_t total = 1;
  for (const int64_t d : v)
    c.require(d >= 0 && !__builtin_mul_overflow(total, d, &total) && total < int64_t{1} << 40, "dimension ", d,
              " makes no sense");
  c.require(c.param<P>().dtype == DTypeEnum::Float32 || c.param<P>().dtype == DTypeEnum::Float16,
            "no random numbers of this type");
  c.set(0, c.param<P>().dtype, Shape(std::span<const int64_t>(v)));
}

void infer_permutation(InferContext& c) {
  const std::vector<int64_t> n = c.ints(0, 1);
  const DType t = c.param<param::PermutationRNG>().dtype;
  c.require(n.size() == 1 && n[0] >= 0 && n[0] <= INT32_MAX, "the length makes no sense");
  c.require(t.id == DTypeEnum::Int32 || t.id == DTypeEnum::Int16 || t.id == DTypeEnum::Float32, "no permutation of ",
            t.str());
  c.require(t.id != DTypeEnum::Int16 || n[0] <= INT16_MAX, n[0], " numbers don't fit Int16");
  c.set(0, t, {n[0]});
}

void infer_like(InferContext& c) {
  for (int i = 0; i < c.nin(); ++i) {
    c.require(c.dtype(i).is_float() && c.dtype(i) == c.dtype(0) && c.shape(i) == c.shape(0), "input ", i, " is ",
              c.dtype(i).str(), " ", c.shape(i), ", input 0 ", c.dtype(0).str(), " ", c.shape(0));
  }
  infer_same_as_input(c);
}

// Writes draw(i) to every element.
template <class F>
void fill(const KernelArgs& a, F&& draw) {
  dispatch_float(a.out[0].dtype(), [&](auto t) {
    using T = decltype(t);
    T* out = a.out[0].data<T>();
    a.exec.parallel_for(a.out[0].count(), 4096, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) out[i] = static_cast<T>(static_cast<float>(draw(i)));
    });
  });
}

void uniform_reference(const KernelArgs& a) {
  fill(a, [&](int64_t i) { return random_uniform(a.exec.random_key(), static_cast<uint64_t>(i)); });
}

void gaussian_reference(const KernelArgs& a) {
  const param::GaussianRNG& p = a.param<param::GaussianRNG>();
  fill(a, [&](int64_t i) { return random_normal(a.exec.random_key(), static_cast<uint64_t>(i)) * p.std + p.mean; });
}

// Marsaglia and Tsang's rejection. NaN for parameters that make no sense.
double gamma(RandomStream& r, double shape) {
  if (!(shape > 0) || !std::isfinite(shape)) return std::numeric_limits<double>::quiet_NaN();
  const double boost = shape < 1 ? std::pow(r.uniform(), 1 / shape) : 1;
  const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = r.normal(), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(r.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v * boost;
  }
}

// By products of uniform numbers, in pieces so that large means cost time but stay exact; a normal number beyond that.
double poisson(RandomStream& r, double mean) {
  if (!(mean >= 0) || !std::isfinite(mean)) return std::numeric_limits<double>::quiet_NaN();
  if (mean > 4096) return std::max(0.0, std::floor(mean + std::sqrt(mean) * r.normal() + 0.5));
  double n = 0;
  for (; mean > 0; mean -= 16) {
    const double limit = std::exp(-std::min(mean, 16.0));
    for (double p = r.uniform(); p > limit; p *= r.uniform()) ++n;
  }
  return n;
}

// Calls draw(stream, a, b) with the elements of the inputs.
template <class F>
void fill_from_inputs(const KernelArgs& a, F&& draw) {
  dispatch_float(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = a.in[0].data<T>();
    const T* y = a.in.back().data<T>();
    fill(a, [&](int64_t i) {
      RandomStream r(a.exec.random_key(), static_cast<uint64_t>(i));
      return draw(r, static_cast<double>(static_cast<float>(x[i])), static_cast<double>(static_cast<float>(y[i])));
    });
  });
}

void gamma_reference(const KernelArgs& a) {
  fill_from_inputs(a, [](RandomStream& r, double shape, double scale) { return gamma(r, shape) * scale; });
}
void beta_reference(const KernelArgs& a) {
  fill_from_inputs(a, [](RandomStream& r, double alpha, double beta) {
    const double x = gamma(r, alpha), y = gamma(r, beta);
    return x + y > 0 ? x / (x + y) : 0.5;
  });
}
void poisson_reference(const KernelArgs& a) {
  fill_from_inputs(a, [](RandomStream& r, double mean, double) { return poisson(r, mean); });
}

std::vector<int32_t> permutation(uint64_t key, int64_t n) {
  std::vector<int32_t> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), 0);
  for (size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[(uint64_t{philox(key, i)[0]} * i) >> 32]);
  return v;
}

void permutation_reference(const KernelArgs& a) {
  const std::vector<int32_t> v = permutation(a.exec.random_key(), a.out[0].count());
  dispatch_storage(a.out[0].dtype(), [&](auto t) {
    using T = decltype(t);
    for (size_t i = 0; i < v.size(); ++i) a.out[0].data<T>()[i] = static_cast<T>(static_cast<float>(v[i]));
    if constexpr (std::is_same_v<T, int32_t>) std::copy(v.begin(), v.end(), a.out[0].data<T>());
  });
}

// Outputs: the data with the entries of axis 0 in random order, and where each came from.
void infer_shuffle(InferContext& c) {
  const Shape& s = c.shape(0);
  c.require(s.ndim() >= 1 && s[0] <= INT32_MAX, "can't shuffle shape ", s);
  c.require(!c.dtype(0).is_lowbit(), "no shuffling of ", c.dtype(0).str());
  c.set(0, c.dtype(0), s);
  c.set(1, DTypeEnum::Int32, {s[0]});
}

void shuffle_reference(const KernelArgs& a) {
  const std::vector<int32_t> v = permutation(a.exec.random_key(), a.out[1].count());
  std::copy(v.begin(), v.end(), a.out[1].data<int32_t>());
  const size_t row = v.empty() ? 0 : a.out[0].bytes() / v.size();
  if (row == 0) return;
  for (size_t i = 0; i < v.size(); ++i)
    std::memcpy(a.out[0].data<char>() + i * row, a.in[0].data<char>() + static_cast<size_t>(v[i]) * row, row);
}

// Inputs: the gradient of the shuffled data, the indices, the data.
void infer_shuffle_backward(InferContext& c) {
  const Shape &dy = c.shape(0), &index = c.shape(1), &x = c.shape(2);
  c.require(x.ndim() >= 1 && dy == x && index == Shape{x[0]}, "gradient ", dy, " and indices ", index,
            " do not fit data ", x);
  c.require(c.dtype(1).id == DTypeEnum::Int32, "the indices must be Int32, but are ", c.dtype(1).str());
  c.require(!c.dtype(0).is_lowbit(), "no shuffling of ", c.dtype(0).str());
  c.set(0, c.dtype(0), x);
}

void shuffle_backward_reference(const KernelArgs& a) {
  const int64_t n = a.in[1].count();
  std::memset(a.out[0].data<char>(), 0, a.out[0].bytes());
  const size_t row = n == 0 ? 0 : a.out[0].bytes() / static_cast<size_t>(n);
  if (row == 0) return;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t to = a.in[1].data<int32_t>()[i];
    if (to < 0 || to >= n) throw OpError(cat("ShuffleRNGBackward: index ", to, " lies outside ", n, " entries"));
    std::memcpy(a.out[0].data<char>() + static_cast<size_t>(to) * row,
                a.in[0].data<char>() + static_cast<size_t>(i) * row, row);
  }
}

void exponential_reference(const KernelArgs& a) {
  fill_from_inputs(a, [](RandomStream& r, double rate, double) { return -std::log(r.uniform()) / rate; });
}

// Rows of weights, which need not sum to 1; indices of categories.
void infer_multinomial(InferContext& c) {
  const auto& p = c.param<param::MultinomialRNG>();
  const Shape& s = c.shape(0);
  c.require(c.dtype(0).is_float() && (s.ndim() == 1 || s.ndim() == 2), "weights are ", c.dtype(0).str(), s);
  const int64_t categories = s[s.ndim() - 1];
  c.require(p.num_samples <= INT32_MAX && categories > 0, p.num_samples, " draws from ", categories, " categories");
  c.require(p.replacement || p.num_samples <= static_cast<uint64_t>(categories), p.num_samples, " draws from ",
            categories, " categories without replacement");
  Shape out;
  if (s.ndim() == 2) out.push_back(s[0]);
  out.push_back(static_cast<int64_t>(p.num_samples));
  c.set(0, DTypeEnum::Int32, out);
}

void multinomial_reference(const KernelArgs& a) {
  const auto& p = a.param<param::MultinomialRNG>();
  const int64_t n = a.in[0].dim(a.in[0].ndim() - 1), draws = static_cast<int64_t>(p.num_samples);
  dispatch_float(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    a.exec.parallel_for(a.in[0].count() / n, 1, [&](int64_t begin, int64_t end) {
      std::vector<double> w(static_cast<size_t>(n));
      for (int64_t row = begin; row < end; ++row) {
        RandomStream r(a.exec.random_key(), static_cast<uint64_t>(row));
        double sum = 0;
        for (int64_t i = 0; i < n; ++i) {
          const double v = static_cast<float>(a.in[0].data<T>()[row * n + i]);
          sum += w[static_cast<size_t>(i)] = v > 0 ? v : 0;
        }
        for (int64_t d = 0; d < draws; ++d) {
          double at = r.uniform() * sum;
          size_t k = 0;
          while (k + 1 < w.size() && (at -= w[k]) > 0) ++k;
          while (w[k] == 0 && k > 0) --k;  // rounding ran past the last category that has weight
          a.out[0].data<int32_t>()[row * draws + d] = static_cast<int32_t>(k);
          if (p.replacement) continue;
          sum -= w[k];
          w[k] = 0;
        }
      }
    });
  });
}

int two(const Attrs&, int) { return 2; }

std::vector<Var> grad_shuffle(const GradContext& c) {
  grads::only_outputs(c, {0}, "the shuffled data");
  return {emit1("ShuffleRNGBackward", c.attrs.params, {c.dout[0], c.out[1], c.in[0]})};
}
GradReads reads_shuffle(const Attrs&, const std::vector<bool>&) { return {0, 2}; }
std::vector<Var> grad_shuffle_backward(const GradContext& c) {
  const Params axis0(param::IndexDescMaskDump{}, {0, 0, 0, 0, 1});
  return {emit1("IndexingMultiAxisVec", axis0, {c.dout[0], c.in[1]}), {}, {}};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(random_random) {
  auto add = [&](const char* name, const char* stored, const char* doc, const ParamSchema* params, int inputs,
                 void (*infer)(InferContext&), void (*run)(const KernelArgs&)) {
    r.add({.name = name,
           .doc = doc,
           .mge = {stored},
           .params = params,
           .min_inputs = inputs,
           .max_inputs = inputs,
           .infer = infer,
           .kernels = {{.name = "reference", .run = run}},
           .random = true});
  };
  using namespace megalith::param;
  add("UniformRNG", "UniformRNGV1", "Uniform random numbers in (0, 1].", &UniformRNG::kSchema, 1,
      infer_shape_rng<UniformRNG>, uniform_reference);
  add("GaussianRNG", "GaussianRNGV1", "Normal random numbers.", &GaussianRNG::kSchema, 1, infer_shape_rng<GaussianRNG>,
      gaussian_reference);
  add("GammaRNG", "GammaRNG", "Gamma random numbers with the shapes and scales of the inputs.", &GammaRNG::kSchema, 2,
      infer_like, gamma_reference);
  add("BetaRNG", "BetaRNG", "Beta random numbers with the parameters of the inputs.", &BetaRNG::kSchema, 2, infer_like,
      beta_reference);
  add("PoissonRNG", "PoissonRNG", "Poisson random numbers with the means of the input.", &PoissonRNG::kSchema, 1,
      infer_like, poisson_reference);
  add("ExponentialRNG", "ExponentialRNG", "Exponential random numbers with the rates of the input.",
      &ExponentialRNG::kSchema, 1, infer_like, exponential_reference);
  add("MultinomialRNG", "MultinomialRNG", "Indices of categories, drawn by the weights in each row.",
      &MultinomialRNG::kSchema, 1, infer_multinomial, multinomial_reference);
  add("PermutationRNG", "PermutationRNG", "The numbers below the input's value in random order.",
      &PermutationRNG::kSchema, 1, infer_permutation, permutation_reference);
  r.add({.name = "ShuffleRNG",
         .doc = "The entries of axis 0 in random order, and their old indices.",
         .mge = {"ShuffleRNG"},
         .params = &ShuffleRNG::kSchema,
         .outputs = two,
         .infer = infer_shuffle,
         .kernels = {{.name = "reference", .run = shuffle_reference}},
         .grad = grad_shuffle,
         .grad_reads = reads_shuffle,
         .random = true});
  r.add({.name = "ShuffleRNGBackward",
         .doc = "The gradient of ShuffleRNG.",
         .mge = {"ShuffleRNGBackward"},
         .params = &ShuffleRNG::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_shuffle_backward,
         .kernels = {{.name = "reference", .run = shuffle_backward_reference}},
         .grad = grad_shuffle_backward,
         .exact = true});
}
