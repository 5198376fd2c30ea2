// IndexingOneHot and IndexingSetOneHot: one element along an axis.
#include "megalith/ops/grad_util.h"

namespace megalith {
namespace {

int one_hot_axis(const InferContext& c) {
  const Shape& data = c.shape(0);
  const int axis = c.axis(c.param<param::Axis>().axis, data.ndim());
  Shape index = data;
  index.erase(axis);
  if (index.ndim() == 0) index.push_back(1);
  c.require(c.dtype(1).id == DTypeEnum::Int32, "the index must be Int32, but is ", c.dtype(1).str());
  c.require(c.shape(1) == index, "the index has shape ", c.shape(1), " instead of ", index);
  c.require(!c.dtype(0).is_lowbit(), "types below a byte can't be indexed: ", c.dtype(0).str());
  return axis;
}

void infer_one_hot(InferContext& c) {
  Shape s = c.shape(0);
  s[one_hot_axis(c)] = 1;
  c.set(0, c.dtype(0), s);
}

void infer_set_one_hot(InferContext& c) {
  Shape s = c.shape(0);
  s[one_hot_axis(c)] = 1;
  c.require(c.shape(2) == s && c.dtype(2) == c.dtype(0), "the value is ", c.dtype(2).str(), " ", c.shape(2),
            " instead of ", c.dtype(0).str(), " ", s);
  c.set(0, c.dtype(0), c.shape(0));
}

// Calls fn(position in the index, position in the data).
template <class F>
void walk_one_hot(const KernelArgs& a, F&& fn) {
  const Shape& s = a.in[0].shape();
  const int32_t given = a.param<param::Axis>().axis;
  const int axis = given < 0 ? given + s.ndim() : given;
  const int64_t outer = s.count(0, axis), n = s[axis], inner = s.count(axis + 1, s.ndim());
  const int32_t* index = a.in[1].data<int32_t>();
  for (int64_t i = 0; i < outer * inner; ++i) {
    const int64_t v = index[i];
    if (v < 0 || v >= n) throw OpError(cat("IndexingOneHot: index ", v, " is out of range for axis ", axis, " of ", s));
    fn(i, (i / inner * n + v) * inner + i % inner);
  }
}

void one_hot_reference(const KernelArgs& a) {
  dispatch_width(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    walk_one_hot(a, [&](int64_t i, int64_t at) { a.out[0].data<T>()[i] = a.in[0].data<T>()[at]; });
  });
}

void set_one_hot_reference(const KernelArgs& a) {
  copy_strided(a.in[0], a.out[0]);
  dispatch_width(a.in[0].dtype(), [&](auto t) {
    using T = decltype(t);
    walk_one_hot(a, [&](int64_t i, int64_t at) { a.out[0].data<T>()[at] = a.in[2].data<T>()[i]; });
  });
}

// ---- The same without a division for each element.

// Calls fn(position in the index, position in the data) row by row of the axes behind the indexed one.
template <class F>
void rows_one_hot(const KernelArgs& a, F&& fn) {
  const Shape& s = a.in[0].shape();
  const int32_t given = a.param<param::Axis>().axis;
  const int axis = given < 0 ? given + s.ndim() : given;
  const int64_t outer = s.count(0, axis), n = s[axis], inner = s.count(axis + 1, s.ndim());
  const int32_t* index = a.in[1].data<int32_t>();
  for (int64_t o = 0, i = 0; o < outer; ++o) {
    for (int64_t k = 0; k < inner; ++k, ++i) {
      const int64_t v = index[i];
      if (v < 0 || v >= n)
        throw OpError(cat("IndexingOneHot: index ", v, " is out of range for axis ", axis, " of ", s));
      fn(i, (o * n + v) * inner + k);
    }
  }
}

void one_hot_rows(const KernelArgs& a) {
  dispatch_width(a.in[0].dtype(), [&]<class T>(T) {
    const T* const from = a.in[0].data<T>();
    T* const to = a.out[0].data<T>();
    rows_one_hot(a, [&](int64_t i, int64_t at) { to[i] = from[at]; });
  });
}

void set_one_hot_rows(const KernelArgs& a) {
  copy_strided(a.in[0], a.out[0], a.exec);
  dispatch_width(a.in[0].dtype(), [&]<class T>(T) {
    const T* const from = a.in[2].data<T>();
    T* const to = a.out[0].data<T>();
    rows_one_hot(a, [&](int64_t i, int64_t at) { to[at] = from[i]; });
  });
}

std::vector<Var> grad_one_hot(const GradContext& c) {
  const Var zeros = grads::zeros_like(c.in[0], c.dtype(0));
  return {emit1("IndexingSetOneHot", c.attrs.params, {zeros, c.in[1], c.dout[0]}), {}};
}

std::vector<Var> grad_set_one_hot(const GradContext& c) {
  std::vector<Var> r(3);
  if (c.needs[0]) {
    const Var zeros = grads::zeros_like(c.in[2], c.dtype(0));
    r[0] = emit1("IndexingSetOneHot", c.attrs.params, {c.dout[0], c.in[1], zeros});
  }
  if (c.needs[2]) r[2] = emit1("IndexingOneHot", c.attrs.params, {c.dout[0], c.in[1]});
  return r;
}

GradReads reads_index(const Attrs&, const std::vector<bool>&) { return {2, 0}; }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(indexing_one_hot) {
  const auto add = [&](const char* name, Doc doc, int inputs, void (*infer)(InferContext&),
                       void (*rows)(const KernelArgs&), void (*run)(const KernelArgs&),
                       std::vector<Var> (*grad)(const GradContext&)) {
    r.add({.name = name,
           .doc = doc,
           .mge = {name},
           .params = &param::Axis::kSchema,
           .min_inputs = inputs,
           .max_inputs = inputs,
           .infer = infer,
           .kernels = {{.name = "rows", .run = rows}, unless_trimmed(Kernel{.name = "reference", .run = run})},
           .grad = grad,
           .grad_reads = reads_index,
           .exact = true});
  };
  add("IndexingOneHot", "One element along an axis, chosen by an index.", 2, infer_one_hot, one_hot_rows,
      one_hot_reference, grad_one_hot);
  add("IndexingSetOneHot", "Input 0 with one element along an axis replaced.", 3, infer_set_one_hot, set_one_hot_rows,
      set_one_hot_reference, unless_trimmed(grad_set_one_hot));
}
