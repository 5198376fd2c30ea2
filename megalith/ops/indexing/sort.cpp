// Argsort, TopK and CondTake: order and choice by value.
#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <numeric>
#include <type_traits>
#include <utility>

#include "megalith/kernels/simd.h"
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

// Quickselect with the steps of libstdc++'s nth_element, on which MegEngine's VALUE_IDX_NOSORT relies: the order of the
// first `k` is arbitrary but recorded outputs hold it. `less` is a strict order.
template <class T, class Less>
void select_first(std::vector<T>& v, size_t nth, Less less) {
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
    const T pivot = v[first];
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

// Small builds have one sort and one choice for all types, on a heap: its code is an eighth of std::sort's.
template <class Less>
using Order = std::conditional_t<kSmall, FunctionRef<bool(int32_t, int32_t)>, const Less&>;

template <class Less>
void sort_positions(std::vector<int32_t>& order, const Less& less) {
  if constexpr (kSmall) {
    std::make_heap(order.begin(), order.end(), less);
    std::sort_heap(order.begin(), order.end(), less);
  } else {
    std::sort(order.begin(), order.end(), less);
  }
}

// `take(i, order)` for each row i of a matrix: the positions of its values in order, or, when `nth` is not negative, in
// an order where those up to the nth come first.
void each_order(const Tensor& in, bool descending, int64_t nth, Exec& exec,
                FunctionRef<void(int64_t, const std::vector<int32_t>&)> take) {
  const int64_t m = in.dim(0), n = in.dim(1);
  const auto rows = [&](auto* keys) {
    exec.parallel_for(m, 1, [&](int64_t b, int64_t e) {
      std::vector<int32_t> order(static_cast<size_t>(n));
      for (int64_t i = b; i < e; ++i) {
        std::iota(order.begin(), order.end(), 0);
        const auto by_value = row_order(keys + i * n, descending);
        const Order<decltype(by_value)> less = by_value;
        if (nth >= 0)
          select_first(order, static_cast<size_t>(nth), less);
        else
          sort_positions(order, less);
        take(i, order);
      }
    });
  };
  // Values of all types but integers of 32 bits are numbers of Float32 too.
  dispatch_storage(in.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, int32_t>) {
      rows(in.data<int32_t>());
    } else if constexpr (std::is_same_v<T, float>) {
      rows(in.data<float>());
    } else {
      const Tensor keys = Tensor::empty(DTypeEnum::Float32, in.shape());
      std::transform(in.data<T>(), in.data<T>() + in.count(), keys.data<float>(),
                     [](T v) { return static_cast<float>(v); });
      rows(static_cast<const float*>(keys.data<float>()));
    }
  });
}

// out[i][k] = in[i][index[i][k]]
void take_values(const Tensor& in, const Tensor& index, const Tensor& out) {
  dispatch_width(in.dtype(), [&](auto t) {
    using T = decltype(t);
    const int64_t n = in.dim(1), take = index.dim(1);
    for (int64_t i = 0; i < index.count(); ++i)
      out.data<T>()[i] = in.data<T>()[i / take * n + index.data<int32_t>()[i]];
  });
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
  const int64_t n = a.in[0].dim(1);
  const bool descending = a.param<param::Argsort>().order == param::ArgsortOrder::DESCENDING;
  each_order(a.in[0], descending, -1, a.exec, [&](int64_t i, const std::vector<int32_t>& order) {
    std::copy(order.begin(), order.end(), a.out[1].data<int32_t>() + i * n);
  });
  take_values(a.in[0], a.out[1], a.out[0]);
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

// ---- The same orders as those of numbers: an element's key is its value, as a number whose order is that of
// row_order, and below that its position.

uint32_t ordered(float v) {
  if (v != v) return UINT32_MAX;
  const uint32_t bits = std::bit_cast<uint32_t>(v + 0.f);  // of one zero
  return bits ^ (bits >> 31 ? UINT32_MAX : 0x80000000u);
}
uint32_t ordered(int32_t v) { return static_cast<uint32_t>(v) ^ 0x80000000u; }

// The keys of n elements from `at` on.
void keys_of(const Tensor& t, int64_t at, int64_t n, bool descending, uint64_t* keys) {
  dispatch_storage(t.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* v = t.data<T>() + at;
    const uint32_t flip = descending ? UINT32_MAX : 0;
    for (int64_t i = 0; i < n; ++i) {
      using Key = std::conditional_t<std::is_integral_v<T>, int32_t, float>;
      const uint32_t key = ordered(static_cast<Key>(v[i])), index = static_cast<uint32_t>(i);
      const bool number = std::is_integral_v<T> || key != UINT32_MAX;
      keys[i] = number ? uint64_t{key ^ flip} << 32 | (index ^ flip) : uint64_t{UINT32_MAX} << 32 | index;
    }
  });
}

// Of floats that are no numbers: they come last, in the order of their positions.
bool is_nan_key(DType type, uint64_t key) { return type.is_float() && key >> 32 == UINT32_MAX; }

// By bytes from the last to the first: rows of keys whose lower halves count up or down already.
void sort_keys(DType type, std::vector<uint64_t>& keys, std::vector<uint64_t>& room, bool descending) {
  constexpr size_t kDigits = 4, kValues = 256;
  if (keys.size() < 512) return std::sort(keys.begin(), keys.end());
  if (descending) std::reverse(keys.begin(), keys.end());
  std::array<std::array<uint32_t, kValues>, kDigits> counts{};
  for (const uint64_t k : keys) {
    for (size_t d = 0; d < kDigits; ++d) ++counts[d][k >> (32 + 8 * d) & 255];
  }
  room.resize(keys.size());
  for (size_t d = 0; d < kDigits; ++d) {
    std::array<uint32_t, kValues>& place = counts[d];
    if (place[keys[0] >> (32 + 8 * d) & 255] == keys.size()) continue;  // all are the same
    uint32_t sum = 0;
    for (uint32_t& c : place) sum += std::exchange(c, sum);
    for (const uint64_t k : keys) room[place[k >> (32 + 8 * d) & 255]++] = k;
    keys.swap(room);
  }
  if (!descending) return;
  auto nan = keys.end();
  while (nan != keys.begin() && is_nan_key(type, nan[-1])) --nan;
  std::reverse(nan, keys.end());
}

// Values and positions of the first `take` keys; of the last of them alone where `only`.
void put_sorted(const Tensor& src, int64_t row, const std::vector<uint64_t>& keys, bool descending, int64_t take,
                bool only, const Tensor& values, int32_t* index) {
  dispatch_width(src.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* v = src.data<T>() + row * src.dim(1);
    for (int64_t j = only ? take - 1 : 0; j < take; ++j) {
      const uint64_t key = keys[static_cast<size_t>(j)];
      const uint32_t flip = descending && !is_nan_key(src.dtype(), key) ? UINT32_MAX : 0;
      const auto at = static_cast<int32_t>(static_cast<uint32_t>(key) ^ flip);
      values.data<T>()[only ? row : row * take + j] = v[at];
      if (index) index[row * take + j] = at;
    }
  });
}

void argsort_keys(const KernelArgs& a) {
  const int64_t m = a.in[0].dim(0), n = a.in[0].dim(1);
  const bool descending = a.param<param::Argsort>().order == param::ArgsortOrder::DESCENDING;
  a.exec.parallel_for(m, std::max<int64_t>(1, 256 / std::max<int64_t>(1, n)), [&](int64_t begin, int64_t end) {
    std::vector<uint64_t> keys(static_cast<size_t>(n)), room;
    for (int64_t i = begin; i < end; ++i) {
      keys_of(a.in[0], i * n, n, descending, keys.data());
      sort_keys(a.in[0].dtype(), keys, room, descending);
      put_sorted(a.in[0], i, keys, descending, n, false, a.out[0], a.out[1].data<int32_t>());
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
  const int64_t n = a.in[0].dim(1), k = static_cast<int64_t>(a.in[1].item());
  const int64_t take = std::min(std::abs(k), n);
  const bool only = a.out.size() == 1;
  const bool some = a.param<param::TopK>().mode == param::TopKMode::VALUE_IDX_NOSORT && take > 0;
  const Tensor index = only ? Tensor::empty(DTypeEnum::Int32, {a.in[0].dim(0), 1}) : a.out[1];
  each_order(a.in[0], k < 0, some ? take - 1 : -1, a.exec, [&](int64_t i, const std::vector<int32_t>& order) {
    int32_t* to = index.data<int32_t>();
    if (only)
      to[i] = order[static_cast<size_t>(take - 1)];
    else
      std::copy_n(order.begin(), take, to + i * take);
  });
  take_values(a.in[0], index, a.out[0]);
}

void topk_keys(const KernelArgs& a) {
  const int64_t m = a.in[0].dim(0), n = a.in[0].dim(1), k = static_cast<int64_t>(a.in[1].item());
  const int64_t take = std::min(std::abs(k), n);
  const bool only = a.out.size() == 1, descending = k < 0;
  const bool sorted = a.param<param::TopK>().mode != param::TopKMode::VALUE_IDX_NOSORT;
  if (take == 0) return;
  a.exec.parallel_for(m, std::max<int64_t>(1, 512 / std::max<int64_t>(1, n)), [&](int64_t begin, int64_t end) {
    std::vector<uint64_t> keys(static_cast<size_t>(n)), room;
    for (int64_t i = begin; i < end; ++i) {
      keys.resize(static_cast<size_t>(n));
      keys_of(a.in[0], i * n, n, descending, keys.data());
      if (!sorted) {
        select_first(keys, static_cast<size_t>(take - 1), std::less<>());
      } else if (only) {
        std::nth_element(keys.begin(), keys.begin() + (take - 1), keys.end());
      } else if (take < n / 4) {
        std::nth_element(keys.begin(), keys.begin() + (take - 1), keys.end());
        std::sort(keys.begin(), keys.begin() + take);
      } else {
        sort_keys(a.in[0].dtype(), keys, room, descending);
      }
      put_sorted(a.in[0], i, keys, descending, take, only, a.out[0], only ? nullptr : a.out[1].data<int32_t>());
    }
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

// Of Bool, Int32 and Float32 masks: positions are written one behind the other, and the next one over those that do not
// count.
template <class T, class Holds>
int64_t positions(const T* mask, int64_t n, int32_t* to, Holds holds) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    to[count] = static_cast<int32_t>(i);
    count += holds(mask[i]) ? 1 : 0;
  }
  return count;
}

bool fast_take_accepts(const KernelQuery& q) {
  const auto& p = q.attrs.param<param::CondTake>();
  const DTypeEnum m = q.in[1].dtype.id;
  if (m == DTypeEnum::Bool) return p.mode == param::CondTakeMode::EQ && p.val != 0;
  return m == DTypeEnum::Float32 && p.mode != param::CondTakeMode::EQ && p.mode != param::CondTakeMode::NEQ;
}

void fast_take(const KernelArgs& a) {
  const auto& p = a.param<param::CondTake>();
  const int64_t n = a.in[1].count();
  const Tensor room = Tensor::empty(DTypeEnum::Int32, {n + 1});
  int32_t* const at = room.data<int32_t>();
  int64_t count = 0;
  if (a.in[1].dtype().id == DTypeEnum::Bool) {
    count = positions(a.in[1].data<uint8_t>(), n, at, [](uint8_t v) { return v == 1; });
  } else {
    const float* mask = a.in[1].data<float>();
    const float val = p.val;
    switch (p.mode) {
      case param::CondTakeMode::LT: count = positions(mask, n, at, [val](float v) { return v < val; }); break;
      case param::CondTakeMode::LEQ: count = positions(mask, n, at, [val](float v) { return v <= val; }); break;
      case param::CondTakeMode::GT: count = positions(mask, n, at, [val](float v) { return v > val; }); break;
      default: count = positions(mask, n, at, [val](float v) { return v >= val; }); break;
    }
  }
  a.out[0] = Tensor::empty(a.in[0].dtype(), {count});
  a.out[1] = Tensor::of<int32_t>(DTypeEnum::Int32, {count}, {at, static_cast<size_t>(count)});
  dispatch_width(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    T* const to = a.out[0].data<T>();
    for (int64_t i = 0; i < count; ++i) to[i] = a.in[0].data<T>()[at[i]];
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
         .kernels = {{.name = "keys", .run = argsort_keys}, {.name = "reference", .run = argsort_reference}},
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
         .kernels = {{.name = "keys", .run = topk_keys}, {.name = "reference", .run = topk_reference}},
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
         .kernels = {{.name = "positions", .run = fast_take, .accepts = fast_take_accepts},
                     {.name = "reference", .run = cond_take_reference}},
         .grad = grad_cond_take,
         .grad_reads = reads_positions,
         .dynamic = true,
         .exact = true});
}
