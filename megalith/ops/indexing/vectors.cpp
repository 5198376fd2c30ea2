// Indexing by vectors: IndexingMultiAxisVec (the vectors walk together), MeshIndexing (they span a grid),
// BatchedMeshIndexing (a grid per item of the batch); each reads, writes or adds. IndexingRemap.
#include "megalith/ops/grad_util.h"
#include "megalith/ops/indexing/selection.h"

namespace megalith {
namespace {

enum class Way { kTogether, kMesh, kBatchedMesh };
enum class Use { kGet, kSet, kIncr };

const char* name_of(Way w, Use u) {
  static const char* const names[3][3] = {
      {"IndexingMultiAxisVec", "IndexingSetMultiAxisVec", "IndexingIncrMultiAxisVec"},
      {"MeshIndexing", "SetMeshIndexing", "IncrMeshIndexing"},
      {"BatchedMeshIndexing", "BatchedSetMeshIndexing", "BatchedIncrMeshIndexing"}};
  return names[static_cast<int>(w)][static_cast<int>(u)];
}

// The shape of what the vectors select, and for IndexingMultiAxisVec the axis of it that they make.
struct Picked {
  Shape shape;
  Shape flat;    // the same with the vectors' dimensions as one
  Shape vector;  // the vectors' common shape
  int axis = 0;
};

Picked picked_shape(const InferContext& c, const Selection& s, Way way) {
  Picked p;
  for (const auto& [axis, input] : s.vectors) {
    c.require(c.dtype(input).id == DTypeEnum::Int32, "index input ", input, " must be Int32, but is ",
              c.dtype(input).str());
    c.require(way == Way::kTogether || c.shape(input).ndim() == (way == Way::kBatchedMesh ? 2 : 1), "index input ",
              input, " has shape ", c.shape(input));
  }
  if (way != Way::kTogether) {
    p.shape = s.sub.shape;
    for (const auto& [axis, input] : s.vectors) {
      const Shape& v = c.shape(input);
      if (way == Way::kBatchedMesh) {
        c.require(axis > 0 && (v[0] == s.sub.shape[0]), "index input ", input, " of shape ", v, " on axis ", axis,
                  " does not fit a batch of ", s.sub.shape[0]);
      }
      p.shape[axis] = v[v.ndim() - 1];
    }
    p.flat = p.shape;
    return p;
  }
  c.require(!s.vectors.empty(), "no axis is indexed by a vector");
  bool together = true;
  for (size_t i = 0; i < s.vectors.size(); ++i) {
    const Shape& v = c.shape(s.vectors[i].second);
    while (p.vector.ndim() < v.ndim()) p.vector.insert(0, 1);
    for (int k = 1; k <= v.ndim(); ++k) {
      int64_t& d = p.vector[p.vector.ndim() - k];
      const int64_t n = v[v.ndim() - k];
      c.require(d == n || d == 1 || n == 1, "index vectors of shapes ", p.vector, " and ", v, " don't fit together");
      if (d == 1) d = n;
    }
    if (i > 0) together = together && s.vectors[i].first == s.vectors[i - 1].first + 1;
  }
  p.axis = together ? s.vectors[0].first : 0;
  size_t next = 0;
  for (int i = 0; i < s.sub.shape.ndim(); ++i) {
    if (next < s.vectors.size() && s.vectors[next].first == i)
      ++next;
    else
      p.flat.push_back(s.sub.shape[i]);
  }
  c.require(p.flat.ndim() + p.vector.ndim() <= kMaxDims, "more than ", kMaxDims, " dimensions");
  p.shape = p.flat;
  for (int k = p.vector.ndim(); k-- > 0;) p.shape.insert(p.axis, p.vector[k]);
  p.flat.insert(p.axis, p.vector.count());
  return p;
}

template <Way kWay, Use kUse>
void infer_vectors(InferContext& c) {
  c.require(!c.dtype(0).is_lowbit(), "types below a byte can't be indexed: ", c.dtype(0).str());
  const Selection s = read_selection(c, Layout(c.shape(0)), kUse == Use::kGet ? 1 : 2, true);
  const Picked p = picked_shape(c, s, kWay);
  if (kUse == Use::kGet) {
    c.set(0, c.dtype(0), p.shape);
    return;
  }
  c.require(c.dtype(1) == c.dtype(0), "the value has type ", c.dtype(1).str(), ", the data ", c.dtype(0).str());
  c.require(broadcasts_to(c.shape(1), p.shape), "a value of shape ", c.shape(1), " does not fit the selected ",
            p.shape);
  c.set(0, c.dtype(0), c.shape(0));
}

// Where every selected element lies: the sum over its dimensions of a table entry.
struct Places {
  Shape shape;
  Shape value_shape;  // as many elements
  int64_t offset = 0;
  std::vector<std::vector<int64_t>> table;
  std::vector<bool> batched;  // the table has a row per index of dimension 0

  template <class F>
  void walk(int64_t begin, int64_t end, F&& fn) const {
    for (int64_t i = begin; i < end; ++i) {
      int64_t at = offset, rest = i;
      const int64_t batch = shape.ndim() > 0 ? i / shape.count(1, shape.ndim()) : 0;
      for (int d = shape.ndim() - 1; d >= 0; --d) {
        const int64_t k = rest % shape[d];
        rest /= shape[d];
        const size_t dd = static_cast<size_t>(d);
        at += table[dd][static_cast<size_t>(batched[dd] ? batch * shape[d] + k : k)];
      }
      fn(i, at);
    }
  }
};

// The same in runs: `run` selected elements lie together in the data as they do in the result.
struct Runs {
  int64_t run = 1, count = 0;
  int dims = 0;  // of Places that are left
};

Runs runs_of(const Places& p) {
  Runs r{1, 0, p.shape.ndim()};
  for (; r.dims > 0; --r.dims) {
    const auto d = static_cast<size_t>(r.dims - 1);
    if (p.batched[d]) break;
    const std::vector<int64_t>& t = p.table[d];
    bool adjacent = true;
    for (size_t k = 0; k < t.size() && adjacent; ++k) adjacent = t[k] == static_cast<int64_t>(k) * r.run;
    if (!adjacent) break;
    r.run *= p.shape[r.dims - 1];
  }
  r.count = r.run > 0 ? p.shape.count() / r.run : 0;
  return r;
}

Places find_places(const KernelArgs& a, const InferContext& c, Way way, Use use) {
  const Selection s = read_selection(c, Layout(c.shape(0)), use == Use::kGet ? 1 : 2, true);
  Picked p = picked_shape(c, s, way);
  const Shape full = p.shape;
  p.shape = p.flat;
  Places r{p.shape, full, s.offset, std::vector<std::vector<int64_t>>(static_cast<size_t>(p.shape.ndim())),
           std::vector<bool>(static_cast<size_t>(p.shape.ndim()))};
  auto fill = [](std::vector<int64_t>& t, int64_t n, int64_t stride) {
    for (int64_t k = 0; k < n; ++k) t.push_back(k * stride);
  };
  auto index = [&](int axis, const Tensor& from, int64_t k) {
    const int64_t v = from.data<int32_t>()[k], size = s.sub.shape[axis];
    if (v < -size || v >= size)
      throw OpError(cat(name_of(way, use), ": index ", v, " is out of range for axis ", axis, " of ", s.sub.shape));
    return (v < 0 ? v + size : v) * s.sub.stride[axis];
  };
  if (p.shape.count() == 0) return r;
  if (way == Way::kTogether) {
    std::vector<int64_t>& base = r.table[static_cast<size_t>(p.axis)];
    base.assign(static_cast<size_t>(p.shape[p.axis]), 0);
    for (const auto& [axis, input] : s.vectors) {
      const Tensor from = broadcast_value(a.in[static_cast<size_t>(input)], p.vector).to_contiguous();
      for (size_t k = 0; k < base.size(); ++k) base[k] += index(axis, from, static_cast<int64_t>(k));
    }
    size_t next = 0;
    int d = 0;
    for (int i = 0; i < s.sub.shape.ndim(); ++i) {
      if (next < s.vectors.size() && s.vectors[next].first == i) {
        ++next;
        continue;
      }
      if (d == p.axis) ++d;
      fill(r.table[static_cast<size_t>(d++)], s.sub.shape[i], s.sub.stride[i]);
    }
    return r;
  }
  for (const auto& [axis, input] : s.vectors) {
    std::vector<int64_t>& t = r.table[static_cast<size_t>(axis)];
    for (int64_t k = 0; k < c.shape(input).count(); ++k) t.push_back(index(axis, a.in[static_cast<size_t>(input)], k));
    r.batched[static_cast<size_t>(axis)] = way == Way::kBatchedMesh;
  }
  for (int i = 0; i < p.shape.ndim(); ++i) {
    std::vector<int64_t>& t = r.table[static_cast<size_t>(i)];
    if (t.empty()) fill(t, p.shape[i], s.sub.stride[i]);
  }
  return r;
}

template <Way kWay, Use kUse>
void vectors_reference(const KernelArgs& a) {
  const KernelContext k(a, name_of(kWay, kUse));
  const Places places = find_places(a, k.ctx, kWay, kUse);
  const int64_t n = places.shape.count();
  if (kUse == Use::kGet) {
    dispatch_width(a.in[0].dtype(), [&](auto t) {
      using T = decltype(t);
      const T* src = a.in[0].data<T>();
      T* dst = a.out[0].data<T>();
      a.exec.parallel_for(
          n, 4096, [&](int64_t b, int64_t e) { places.walk(b, e, [&](int64_t i, int64_t at) { dst[i] = src[at]; }); });
    });
    return;
  }
  copy_strided(a.in[0], a.out[0]);
  const Tensor value = broadcast_value(a.in[1], places.value_shape).to_contiguous();
  dispatch_storage(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    const T* src = value.data<T>();
    T* dst = a.out[0].data<T>();
    places.walk(0, n, [&](int64_t i, int64_t at) {
      if (kUse == Use::kIncr)
        dst[at] = sum(value.dtype(), dst[at], src[i]);
      else
        dst[at] = src[i];
    });
  });
}

template <Way kWay>
void gather(const KernelArgs& a) {
  const KernelContext context(a, name_of(kWay, Use::kGet));
  const Places p = find_places(a, context.ctx, kWay, Use::kGet);
  if (p.shape.count() == 0) return;
  const Runs r = runs_of(p);
  // The last dimension that is left is walked from a table; the others are found once for it.
  const int last = r.dims - 1;
  const int64_t inner = last < 0 ? 1 : p.shape[last], lines = r.count / inner;
  dispatch_width(a.in[0].dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* src = a.in[0].data<T>() + p.offset;
    T* dst = a.out[0].data<T>();
    a.exec.parallel_for(lines, std::max<int64_t>(1, 8192 / (inner * r.run)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t rest = i, base = 0, batch = i;
        for (int d = last; d-- > 1;) batch /= p.shape[d];
        for (int d = last; d-- > 0;) {
          const auto dd = static_cast<size_t>(d);
          const int64_t k = rest % p.shape[d];
          rest /= p.shape[d];
          base += p.table[dd][static_cast<size_t>(p.batched[dd] ? batch * p.shape[d] + k : k)];
        }
        T* to = dst + i * inner * r.run;
        static const int64_t kStart[1] = {0};
        const int64_t* table = kStart;
        if (last >= 0) {
          const auto l = static_cast<size_t>(last);
          table = p.table[l].data() + (p.batched[l] ? (last == 0 ? 0 : batch) * inner : 0);
        }
        if (r.run == 1) {
          for (int64_t k = 0; k < inner; ++k) to[k] = src[base + table[k]];
        } else {
          for (int64_t k = 0; k < inner; ++k)
            std::memcpy(to + k * r.run, src + base + table[k], static_cast<size_t>(r.run) * sizeof(T));
        }
      }
    });
  });
}

template <Way kWay, Use kUse>
std::vector<Var> grad_vectors(const GradContext& c) {
  if (kUse == Use::kGet) {
    std::vector<Var> r(c.in.size());
    if (c.needs[0]) r[0] = grads::selection_get_gradient(c, name_of(kWay, Use::kIncr));
    return r;
  }
  return grads::selection_modify_gradient(c, name_of(kWay, Use::kGet),
                                          kUse == Use::kSet ? name_of(kWay, Use::kSet) : nullptr);
}

// ---- IndexingRemap

void check_map(const InferContext& c, const Shape& data) {
  const Shape& map = c.shape(1);
  c.require(c.dtype(1).id == DTypeEnum::Int32, "the map must be Int32, but is ", c.dtype(1).str());
  c.require(map.ndim() >= 2 && map[map.ndim() - 1] == data.ndim(), "a map of shape ", map,
            " does not fit data of shape ", data);
  c.require(c.dtype(0).id == DTypeEnum::Float32 || c.dtype(0).id == DTypeEnum::Int32, "no IndexingRemap for ",
            c.dtype(0).str());
}

void infer_remap(InferContext& c) {
  check_map(c, c.shape(0));
  Shape s = c.shape(1);
  s.erase(s.ndim() - 1);
  c.set(0, c.dtype(0), s);
}

void infer_remap_backward(InferContext& c) {
  check_map(c, c.shape(2));
  Shape s = c.shape(1);
  s.erase(s.ndim() - 1);
  c.require(c.shape(0) == s, "the gradient has shape ", c.shape(0), " instead of ", s);
  c.set(0, c.dtype(0), c.shape(2));
}

template <bool kBackward>
void remap_reference(const KernelArgs& a) {
  const Shape& data = kBackward ? a.out[0].shape() : a.in[0].shape();
  const Layout layout(data);
  const int32_t* map = a.in[1].data<int32_t>();
  const int64_t n = kBackward ? a.in[0].count() : a.out[0].count();
  if (kBackward) std::memset(a.out[0].data<char>(), 0, a.out[0].bytes());
  dispatch_storage(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    const T* src = a.in[0].data<T>();
    T* dst = a.out[0].data<T>();
    for (int64_t i = 0; i < n; ++i) {
      int64_t at = 0;
      for (int d = 0; d < data.ndim(); ++d) {
        const int64_t v = *map++;
        if (v < 0 || v >= data[d])
          throw OpError(cat("IndexingRemap: index ", v, " is out of range for axis ", d, " of ", data));
        at += v * layout.stride[d];
      }
      if (kBackward)
        dst[at] = static_cast<T>(dst[at] + src[i]);
      else
        dst[i] = src[at];
    }
  });
}

std::vector<Var> grad_remap(const GradContext& c) {
  return {emit1("IndexingRemapBackward", c.attrs.params, {c.dout[0], c.in[1], c.in[0]}), {}};
}
std::vector<Var> grad_remap_backward(const GradContext& c) {
  return {emit1("IndexingRemap", c.attrs.params, {c.dout[0], c.in[1]}), {}, {}};
}

GradReads reads_second(const Attrs&, const std::vector<bool>&) { return {2, 0}; }

template <Way kWay, Use kUse>
OpDef vectors_op(const char* doc) {
  const char* name = name_of(kWay, kUse);
  std::vector<Kernel> kernels;
  if (kUse == Use::kGet) kernels.push_back({.name = "gather", .run = gather<kWay>});
  kernels.push_back({.name = "reference", .run = vectors_reference<kWay, kUse>});
  return {.name = name,
          .doc = doc,
          .mge = {name},
          .params = &param::IndexDescMaskDump::kSchema,
          .min_inputs = kUse == Use::kGet ? 1 : 2,
          .max_inputs = -1,
          .infer = infer_vectors<kWay, kUse>,
          .kernels = std::move(kernels),
          .grad = grad_vectors<kWay, kUse>,
          .grad_reads = grads::reads_indices < kUse == Use::kGet ? 1 : 2 >,
          .exact = true};
}

OpDef plain_op(const char* name, const char* doc, const ParamSchema* params, int inputs, void (*infer)(InferContext&),
               void (*run)(const KernelArgs&), std::vector<Var> (*grad)(const GradContext&)) {
  return {.name = name,
          .doc = doc,
          .mge = {name},
          .params = params,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .infer = infer,
          .kernels = {{.name = "reference", .run = run}},
          .grad = grad,
          .grad_reads = reads_second,
          .exact = true};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(indexing_vectors) {
  r.add(vectors_op<Way::kTogether, Use::kGet>("Elements of input 0 at index vectors that walk together."));
  r.add(vectors_op<Way::kTogether, Use::kSet>("Input 0 with input 1 written at index vectors that walk together."));
  r.add(vectors_op<Way::kTogether, Use::kIncr>("Input 0 with input 1 added at index vectors that walk together."));
  r.add(vectors_op<Way::kMesh, Use::kGet>("Elements of input 0 on the grid of the index vectors."));
  r.add(vectors_op<Way::kMesh, Use::kSet>("Input 0 with input 1 written on the grid of the index vectors."));
  r.add(vectors_op<Way::kMesh, Use::kIncr>("Input 0 with input 1 added on the grid of the index vectors."));
  r.add(vectors_op<Way::kBatchedMesh, Use::kGet>("Elements of input 0 on a grid for every item of the batch."));
  r.add(
      vectors_op<Way::kBatchedMesh, Use::kSet>("Input 0 with input 1 written on a grid for every item of the batch."));
  r.add(vectors_op<Way::kBatchedMesh, Use::kIncr>("Input 0 with input 1 added on a grid for every item of the batch."));
  r.add(plain_op("IndexingRemap", "Elements of input 0 at the coordinates that input 1 holds.",
                 &param::IndexingRemap::kSchema, 2, infer_remap, remap_reference<false>, grad_remap));
  r.add(plain_op("IndexingRemapBackward", "The gradient of IndexingRemap's data.", &param::IndexingRemap::kSchema, 3,
                 infer_remap_backward, remap_reference<true>, grad_remap_backward));
}
