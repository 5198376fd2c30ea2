// What the indexing ops have in common: the list of (axis, begin, end, step, index) items and the places it selects.
#pragma once

#include <functional>

#include "megalith/ops/op_util.h"
#include "megalith/sort_few.h"

namespace megalith {

// The data after slices and scalar indices, and the axes that are indexed by vectors.
struct Selection {
  Layout sub;
  int64_t offset = 0;
  std::vector<std::pair<int, int>> vectors;  // (axis, input), by axis
};

// Reads the items. Inputs from `first` on hold their values in order. With `vectors`, index items name vectors.
inline Selection read_selection(const InferContext& c, const Layout& data, int first, bool vectors) {
  const std::vector<int32_t>& list = c.attrs.params.list();
  c.require(list.size() % 5 == 0, "the index list is cut off");
  Selection s{data, 0, {}};
  bool used[kMaxDims] = {}, drop[kMaxDims] = {};
  int next = first;
  auto take = [&] {
    c.require(next < c.nin(), "the index list names more values than there are inputs (", c.nin(), ")");
    return next++;
  };
  auto number = [&] {
    const int i = take();
    const std::vector<int64_t> v = c.ints(i, 1);
    c.require(v.size() == 1, "input ", i, " must hold one index");
    return v[0];
  };
  for (size_t k = 0; k + 4 < list.size(); k += 5) {
    const int axis = c.axis(list[k], data.shape.ndim());
    c.require(!used[axis], "axis ", axis, " is indexed twice");
    used[axis] = true;
    const int64_t size = data.shape[axis];
    if (list[k + 4]) {
      if (vectors) {
        s.vectors.push_back({axis, take()});
        continue;
      }
      const int64_t at = number();
      c.require(at >= -size && at < size, "index ", at, " is out of range for axis ", axis, " of ", data.shape);
      s.offset += (at < 0 ? at + size : at) * data.stride[axis];
      s.sub.shape[axis] = 1;
      drop[axis] = true;
      continue;
    }
    const bool has_begin = list[k + 1] != 0, has_end = list[k + 2] != 0;
    int64_t begin = has_begin ? number() : 0, end = has_end ? number() : 0;
    const int64_t step = list[k + 3] ? number() : 1;
    c.require(step != 0 && step > INT32_MIN, "step ", step, " of axis ", axis, " makes no sense");
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    auto place = [&](bool given, int64_t v, int64_t otherwise) {
      return given ? std::clamp(v < 0 ? v + size : v, low, std::max(low, high)) : otherwise;
    };
    begin = place(has_begin, begin, step > 0 ? 0 : size - 1);
    end = place(has_end, end, step > 0 ? size : -1);
    const int64_t n = step > 0 ? (end - begin + step - 1) / step : (begin - end - step - 1) / -step;
    s.sub.shape[axis] = std::max<int64_t>(n, 0);
    if (n > 0) s.offset += begin * data.stride[axis];
    s.sub.stride[axis] = data.stride[axis] * step;
  }
  c.require(next == c.nin(), "the index list uses ", next, " of ", c.nin(), " inputs");
  for (int i = data.shape.ndim() - 1; i >= 0; --i) {
    if (drop[i] && s.sub.shape.ndim() > 1) {
      s.sub.shape.erase(i);
      s.sub.stride.erase(i);
    }
  }
  if (s.sub.shape.count() == 0) s.offset = 0;
  sort_few(s.vectors.begin(), s.vectors.end(), std::less<>());
  return s;
}

// A shape rule's view of a kernel's arguments, where every value is known.
struct KernelContext {
  KernelContext(const KernelArgs& a, const char* name) : ctx{Registry::get().at(name), a.attrs, {}, {}, {}} {
    for (const Tensor& t : a.in) in.push_back({t.dtype(), t.shape(), t});
    ctx.in = in;
  }
  KernelContext(const KernelContext&) = delete;
  std::vector<TensorSpec> in;
  InferContext ctx;
};

// `value` seen in a larger shape; missing and single dimensions repeat.
inline bool broadcasts_to(const Shape& value, const Shape& shape) {
  for (int i = 1; i <= value.ndim(); ++i) {
    const int64_t v = value[value.ndim() - i];
    if (v != 1 && (i > shape.ndim() || v != shape[shape.ndim() - i])) return false;
  }
  return true;
}

inline Tensor broadcast_value(const Tensor& value, const Shape& shape) {
  Layout l(shape);
  for (int i = 1; i <= shape.ndim(); ++i) {
    const int d = shape.ndim() - i, v = value.ndim() - i;
    l.stride[d] = v < 0 || value.dim(v) == 1 ? 0 : value.stride()[v];
  }
  return value.view(l);
}

// The sum of two elements; of Bool, whether either is set.
template <class T>
T sum(DType dtype, T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (dtype.id == DTypeEnum::Bool) return static_cast<T>(x || y);
    return static_cast<T>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y));
  } else {
    return static_cast<T>(x + y);
  }
}

// dst += src, element by element.
inline void add_into(const Tensor& dst, const Tensor& src) {
  dispatch_storage(dst.dtype(), [&](auto t) {
    using T = decltype(t);
    Odometer at(dst.shape(), {dst.stride(), src.stride()});
    for (int64_t n = dst.count(); n > 0; --n, at.next()) {
      T& d = dst.data<T>()[at.offset(0)];
      d = sum(dst.dtype(), d, src.data<T>()[at.offset(1)]);
    }
  });
}

}  // namespace megalith
