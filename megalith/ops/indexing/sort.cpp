// Argsort, TopK and CondTake: order and choice by value.
#include <numeric>

#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

// By value with NaN last, then by position, which descends with the values: a strict order for any data.
template <class T>
auto row_order(const T* v, bool descending) {
  return [v, descending](int32_t a, int32_t b) {
    const T x = v[a], y = v[b];
    if (!(x == x) || !(y == y)) return !(x == x) && !(y == y) ? a < b : x == x;
    if (descending) return x != y ? x > y : a > b;
    return x != y ? x < y : a < b;
  };
}

template <class T>
void sort_row(const T* v, std::vector<int32_t>& order, bool descending) {
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), row_order(v, descending));
}

// Quickselect with the steps of libstdc++'s nth_element, on which MegEngine's VALUE_IDX_NOSORT relies: the order of the
// first `k` is arbitrary but recorded outputs hold it. `less` is a strict order.
template <class Less>
void select_first(std::vector<int32_t>& v, size_t nth, Less less) {
  size_t first = 0, last = v.size();
  while (last - first > 3) {
    // The median of the second, the middle and the last element becomes the pivot.
    const size_t a = first + 1, b = first + (last - first) / 2, c = last - 1;
    const size_t median = less(v[a], v[b]) ? (less(v[b], v[c])   ? b
                                              : less(v[a], v[c]) ? c
                                                                 : a)
                                           : (less(v[a], v[c])   ? a
                                              : less(v[b], v[c]) ? c
                                                                 : b);
    std::swap(v[first], v[median]);
    const int32_t pivot = v[first];
    size_t i = first + 1, j = last;
    while (true) {
      while (less(v[i], pivot)) ++i;
      --j;
      while (less(pivot, v[j])) --j;
      if (i >= j) break;
      std::swap(v[i], v[j]);
      ++i;
    }
    (i <= nth ? first : last) = i;
  }
  for (size_t i = first + 1; i < last; ++i) {
    for (size_t j = i; j > first && less(v[j], v[j - 1]); --j) std::swap(v[j], v[j - 1]);
  }
}

void require_number(const InferContext& c, int i) {
  c.require(c.dtype(i).is_float() || c.dtype(i).is_int() || c.dtype(i).id == DTypeEnum::Bool,
            "can't compare values of type ", c.dtype(i).str());
}

void infer_argsort(InferContext& c) {
  require_number(c, 0);
  c.require(c.shape(0).ndim() == 2, "the data must have 2 dimensions, but has shape ", c.shape(0));
  c.require(c.shape(0)[1] <= INT32_MAX, "rows of ", c.shape(0), " are too long");
  c.set(0, c.dtype(0), c.shape(0));
  c.set(1, DTypeEnum::Int32, c.shape(0));
}

void argsort_reference(const KernelArgs& a) {
  const int64_t m = a.in[0].dim(0), n = a.in[0].dim(1);
  const bool descending = a.param<param::Argsort>().order == param::ArgsortOrder::DESCENDING;
  dispatch_storage(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    const T* src = a.in[0].data<T>();
    T* dst = a.out[0].data<T>();
    int32_t* index = a.out[1].data<int32_t>();
    a.exec.parallel_for(m, 1, [&](int64_t b, int64_t e) {
      std::vector<int32_t> order(static_cast<size_t>(n));
      for (int64_t i = b; i < e; ++i) {
        sort_row(src + i * n, order, descending);
        for (int64_t k = 0; k < n; ++k) {
          index[i * n + k] = order[static_cast<size_t>(k)];
          dst[i * n + k] = src[i * n + index[i * n + k]];
        }
      }
    });
  });
}

void infer_argsort_backward(InferContext& c) {
  const Shape& d = c.shape(0);
  const Shape& out = c.shape(c.nin() - 1);
  c.require(d.ndim() == 2 && c.shape(1) == d && out.ndim() == 2 && out[0] == d[0] && out[1] >= d[1], "shapes ", d, ", ",
            c.shape(1), " and ", out, " don't fit");
  c.require(c.dtype(1).id == DTypeEnum::Int32 && !c.dtype(0).is_lowbit(), "the indices must be Int32, but are ",
            c.dtype(1).str());
  c.set(0, c.dtype(0), out);
}

void argsort_backward_reference(const KernelArgs& a) {
  const int64_t m = a.in[0].dim(0), n = a.in[0].dim(1), width = a.out[0].dim(1);
  std::memset(a.out[0].data<char>(), 0, a.out[0].bytes());
  dispatch_width(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    for (int64_t i = 0; i < m * n; ++i) {
      const int64_t k = a.in[1].data<int32_t>()[i];
      if (k < 0 || k >= width)
        throw OpError(cat("ArgsortBackward: index ", k, " is out of range for ", a.out[0].shape()));
      a.out[0].data<T>()[i / n * width + k] = a.in[0].data<T>()[i];
    }
  });
}

int argsort_outputs(const Attrs&, int) { return 2; }
int topk_outputs(const Attrs& attrs, int) {
  return attrs.param<param::TopK>().mode == param::TopKMode::KTH_ONLY ? 1 : 2;
}

void infer_topk(InferContext& c) {
  require_number(c, 0);
  const Shape& s = c.shape(0);
  c.require(s.ndim() == 2 && s[1] <= INT32_MAX, "the data must have 2 dimensions, but has shape ", s);
  const std::vector<int64_t> k = c.ints(1, 1);
  c.require(k.size() == 1 && k[0] != 0, "k must be one number other than 0");
  // A k beyond the row means the whole row.
  const int64_t n = std::min(std::abs(k[0]), s[1]);
  if (c.out.size() == 1) {
    c.require(n > 0, "rows of ", s, " have no k-th value");
    c.set(0, c.dtype(0), {s[0]});
    return;
  }
  c.set(0, c.dtype(0), {s[0], n});
  c.set(1, DTypeEnum::Int32, {s[0], n});
}

void topk_reference(const KernelArgs& a) {
  const int64_t m = a.in[0].dim(0), n = a.in[0].dim(1), k = static_cast<int64_t>(a.in[1].item());
  const int64_t take = std::min(std::abs(k), n);
  const bool only = a.out.size() == 1;
  dispatch_storage(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    const T* src = a.in[0].data<T>();
    T* dst = a.out[0].data<T>();
    a.exec.parallel_for(m, 1, [&](int64_t b, int64_t e) {
      std::vector<int32_t> order(static_cast<size_t>(n));
      for (int64_t i = b; i < e; ++i) {
        if (a.param<param::TopK>().mode == param::TopKMode::VALUE_IDX_NOSORT && take > 0) {
          std::iota(order.begin(), order.end(), 0);
          select_first(order, static_cast<size_t>(take - 1), row_order(src + i * n, k < 0));
        } else {
          sort_row(src + i * n, order, k < 0);
        }
        if (only) {
          dst[i] = src[i * n + order[static_cast<size_t>(take - 1)]];
          continue;
        }
        for (int64_t j = 0; j < take; ++j) {
          a.out[1].data<int32_t>()[i * take + j] = order[static_cast<size_t>(j)];
          dst[i * take + j] = src[i * n + order[static_cast<size_t>(j)]];
        }
      }
    });
  });
}

void infer_cond_take(InferContext& c) {
  require_number(c, 1);
  c.require(!c.dtype(0).is_lowbit(), "types below a byte can't be taken: ", c.dtype(0).str());
  c.require(c.shape(0) == c.shape(1), "data ", c.shape(0), " and mask ", c.shape(1), " differ");
  c.require(c.shape(0).count() <= INT32_MAX, "data ", c.shape(0), " is too large");
  c.set(0, c.dtype(0), {c.shape(0).count()});
  c.set(1, DTypeEnum::Int32, {c.shape(0).count()});
}

// MegEngine converts the parameters to the type of the mask first.
template <class T>
bool chosen(const param::CondTake& p, bool is_bool, T value) {
  const auto as_element = [](float x) {
    if constexpr (std::is_integral_v<T>)  // NaN as x86 converts it
      return static_cast<float>(
          static_cast<T>(std::isnan(x) ? INT32_MIN : static_cast<int32_t>(std::clamp(x, -2147483648.f, 2147483520.f))));
    else
      return static_cast<float>(T(x));
  };
  const float v = static_cast<float>(value), val = is_bool ? (p.val != 0 ? 1.f : 0.f) : as_element(p.val);
  const bool equal = std::is_integral_v<T> ? v == val : std::fabs(val - v) < as_element(p.eps);
  switch (p.mode) {
    case param::CondTakeMode::EQ: return equal;
    case param::CondTakeMode::NEQ: return !equal;
    case param::CondTakeMode::LT: return v < val;
    case param::CondTakeMode::LEQ: return v <= val;
    case param::CondTakeMode::GT: return v > val;
    case param::CondTakeMode::GEQ: return v >= val;
  }
  throw OpError(cat("CondTake: unknown mode ", static_cast<uint32_t>(p.mode)));
}

void cond_take_reference(const KernelArgs& a) {
  std::vector<int32_t> at;
  dispatch_storage(a.in[1].dtype(), [&](auto t) {
    using T = decltype(t);
    const T* mask = a.in[1].data<T>();
    const bool is_bool = a.in[1].dtype().id == DTypeEnum::Bool;
    for (int64_t i = 0; i < a.in[1].count(); ++i) {
      if (chosen(a.param<param::CondTake>(), is_bool, mask[i])) at.push_back(static_cast<int32_t>(i));
    }
  });
  const Shape shape{static_cast<int64_t>(at.size())};
  a.out[0] = Tensor::empty(a.in[0].dtype(), shape);
  a.out[1] = Tensor::of<int32_t>(DTypeEnum::Int32, shape, at);
  dispatch_width(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    for (size_t i = 0; i < at.size(); ++i) a.out[0].data<T>()[i] = a.in[0].data<T>()[at[i]];
  });
}

std::vector<Var> grad_argsort(const GradContext& c) {
  grads::only_outputs(c, {0}, "the values");
  return {emit1("ArgsortBackward", {c.dout[0], c.out[1], c.in[0]})};
}

// The elements of the gradient at the same positions: rows count up, columns are the indices.
std::vector<Var> grad_argsort_backward(const GradContext& c) {
  std::vector<Var> r(c.in.size());
  if (!c.needs[0]) return r;
  Attrs attrs;
  attrs.params = param::Linspace{.endpoint = false};
  const Var rows = grads::size_of(c.in[1], 0), zero = Tensor::zeros(DTypeEnum::Int32, {1});
  const Var counted = emit(Registry::get().at("Linspace"), attrs, {zero, rows, rows})[0];  // Float32
  const Var row = grads::add_axis(emit1("TypeCvt", param::TypeCvt{.dtype = DTypeEnum::Int32}, {counted}), 1);
  const Params pairs(param::IndexDescMaskDump{}, {0, 0, 0, 0, 1, 1, 0, 0, 0, 1});
  r[0] = emit1("IndexingMultiAxisVec", pairs, {c.dout[0], row, c.in[1]});
  return r;
}
GradReads reads_indices(const Attrs&, const std::vector<bool>&) { return {2, 0}; }

// The k-th value alone: the elements that equal it share its gradient.
std::vector<Var> grad_topk(const GradContext& c) {
  using namespace grads;
  only_outputs(c, {0}, "the values");
  std::vector<Var> r(2);
  if (!c.needs[0]) return r;
  if (c.attrs.param<param::TopK>().mode != param::TopKMode::KTH_ONLY) {
    r[0] = emit1("ArgsortBackward", {c.dout[0], c.out[1], c.in[0]});
    return r;
  }
  const Var mask = call(E::EQ, {add_axis(c.out[0], 1), c.in[0]});
  const Var equal = emit1("Reduce", param::Reduce{.mode = param::ReduceMode::SUM, .axis = 1}, {mask});
  r[0] = mul(div(add_axis(c.dout[0], 1), equal), mask);
  return r;
}

// Values were taken by position; their gradients go back there.
std::vector<Var> grad_cond_take(const GradContext& c) {
  using namespace grads;
  only_outputs(c, {0}, "the values");
  std::vector<Var> r(2);
  if (!c.needs[0]) return r;
  const Var zeros = emit1("Broadcast", {constant(0, c.dtype(0)), count_of(c.in[0])});
  const Params axis0(param::IndexDescMaskDump{}, {0, 0, 0, 0, 1});
  const Var flat = emit1("IndexingIncrMultiAxisVec", axis0, {zeros, c.dout[0], c.out[1]});
  r[0] = emit1("Reshape", {flat, shape_of(c.in[0])});
  return r;
}

GradReads reads_positions(const Attrs& attrs, const std::vector<bool>&) {
  if (attrs.params.schema() != &param::TopK::kSchema || attrs.param<param::TopK>().mode != param::TopKMode::KTH_ONLY)
    return {0, 2};
  return {1, 1};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(indexing_sort) {
  r.add({.name = "Argsort",
         .doc = "The rows of a matrix sorted, and the positions that the values had.",
         .mge = {"Argsort"},
         .params = &param::Argsort::kSchema,
         .outputs = argsort_outputs,
         .infer = infer_argsort,
         .kernels = {{.name = "reference", .run = argsort_reference}},
         .grad = grad_argsort,
         .grad_reads = reads_positions,
         .exact = true});
  r.add({.name = "ArgsortBackward",
         .doc = "Values put back to the positions that they had before sorting.",
         .mge = {"ArgsortBackward"},
         .params = &param::Empty::kSchema,
         .min_inputs = 2,
         .max_inputs = 3,
         .infer = infer_argsort_backward,
         .kernels = {{.name = "reference", .run = argsort_backward_reference}},
         .grad = grad_argsort_backward,
         .grad_reads = reads_indices,
         .exact = true});
  r.add({.name = "TopK",
         .doc = "The k smallest values of every row (the largest for negative k), or the k-th only.",
         .mge = {"TopK"},
         .params = &param::TopK::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .outputs = topk_outputs,
         .infer = infer_topk,
         .kernels = {{.name = "reference", .run = topk_reference}},
         .grad = grad_topk,
         .grad_reads = reads_positions,
         .exact = true});
  r.add({.name = "CondTake",
         .doc = "The values of input 0 where input 1 satisfies a condition, and their positions.",
         .mge = {"CondTake"},
         .params = &param::CondTake::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .outputs = argsort_outputs,
         .infer = infer_cond_take,
         .kernels = {{.name = "reference", .run = cond_take_reference}},
         .grad = grad_cond_take,
         .grad_reads = reads_positions,
         .dynamic = true,
         .exact = true});
}
