#include "megalith/ops/elemwise/walk.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "megalith/kernels/rows.h"
#include "megalith/sort_few.h"

namespace megalith::elemwise {
namespace {

constexpr int64_t kShortRow = 192;  // rows below this length share blocks
constexpr int64_t kGrain = 16384;   // elements that are worth a thread's attention

// The axes of the result by their distance in memory, neighbours merged where all operands allow it.
struct Axes {
  int n = 0;
  std::array<int64_t, kMaxDims> size{}, out{};
  std::array<std::array<int64_t, kMaxDims>, kMaxOperands> in{};  // steps of the operands
};

Axes axes_of(std::span<const Array> in, const Layout& out) {
  std::array<int, kMaxDims> order{};
  int n = 0;
  for (int d = 0; d < out.shape.ndim(); ++d) {
    if (out.shape[d] != 1) order[static_cast<size_t>(n++)] = d;
  }
  sort_few(order.begin(), order.begin() + n,
           [&](int a, int b) { return std::abs(out.stride[a]) > std::abs(out.stride[b]); });
  const auto step = [&](size_t k, int d) -> int64_t {
    const Layout& l = *in[k].layout;
    const int at = d - (out.shape.ndim() - l.shape.ndim());
    return at < 0 || l.shape[at] == 1 ? 0 : l.stride[at];
  };
  Axes a;
  for (int i = 0; i < n; ++i) {
    const int d = order[static_cast<size_t>(i)];
    const int64_t size = out.shape[d];
    const auto last = static_cast<size_t>(a.n - 1);
    bool merge = a.n > 0 && a.out[last] == out.stride[d] * size;
    for (size_t k = 0; merge && k < in.size(); ++k) merge = a.in[k][last] == step(k, d) * size;
    const size_t to = merge ? last : static_cast<size_t>(a.n++);
    a.size[to] = merge ? a.size[to] * size : size;
    a.out[to] = out.stride[d];
    for (size_t k = 0; k < in.size(); ++k) a.in[k][to] = step(k, d);
  }
  if (a.n == 0) {
    a.n = 1;
    a.size[0] = 1;
  }
  return a;
}

// How an operand is read along a block.
enum class Reading : uint8_t {
  kDirect,   // as it lies
  kRepeat,   // one value
  kPattern,  // a short run of memory again and again: a copy of several of them
  kGather,   // anything else: element by element into a buffer
};

class Walk {
 public:
  Walk(std::span<const Array> in, const Array& out, int64_t most) : in_(in), out_(out), a_(axes_of(in, *out.layout)) {
    last_ = static_cast<size_t>(a_.n - 1);
    row_ = a_.size[last_];
    count_ = 1;
    bool dense = true;
    for (size_t d = last_ + 1; d-- > 0;) {
      dense = dense && (a_.size[d] == 1 || a_.out[d] == count_);
      count_ *= a_.size[d];
    }
    across_ = dense && row_ < kShortRow && a_.n > 1;
    out_step_ = a_.out[last_];
    block_ = std::min(most, out_step_ == 1 || row_ == 1 ? kGrain : kWalkBlock);
    for (size_t k = 0; k < in_.size(); ++k) {
      reading_[k] = across_ ? reading_across(k) : reading_along(k);
      if (reading_[k] == Reading::kPattern || reading_[k] == Reading::kGather) block_ = std::min(block_, kWalkBlock);
    }
    pieces_ = across_ ? (count_ + block_ - 1) / block_ : count_ / row_ * ((row_ + block_ - 1) / block_);
  }

  void run(Exec& exec, FunctionRef<void(const Block&)> fn) const {
    const int64_t piece = std::min(block_, across_ ? count_ : row_);
    exec.parallel_for(pieces_, std::max<int64_t>(1, kGrain / piece),
                      [&](int64_t begin, int64_t end) { range(begin, end, fn); });
  }

 private:
  // Where an operand is dense, then repeated, from the inside: the length of what is repeated.
  Reading reading_across(size_t k) {
    int64_t dense = 1;
    size_t d = last_ + 1;
    while (d > 0 && a_.in[k][d - 1] == dense) dense *= a_.size[--d];
    if (d == 0) return Reading::kDirect;
    const size_t rest = d;
    while (d > 0 && a_.in[k][d - 1] == 0) --d;
    if (d > 0) return Reading::kGather;
    if (rest == last_ + 1) return Reading::kRepeat;
    period_[k] = dense;
    return dense <= kWalkBlock ? Reading::kPattern : Reading::kGather;
  }
  Reading reading_along(size_t k) const {
    const int64_t step = a_.in[k][last_];
    return row_ == 1 || step == 0 ? Reading::kRepeat : step == 1 ? Reading::kDirect : Reading::kGather;
  }

  // Offsets of the element at `index` of the whole result.
  int64_t offset(const std::array<int64_t, kMaxDims>& steps, int64_t index) const {
    int64_t at = 0;
    for (size_t d = last_ + 1; d-- > 0;) {
      at += index % a_.size[d] * steps[d];
      index /= a_.size[d];
    }
    return at;
  }

  // n elements from `index` on, which may be in several rows.
  void gather(size_t k, int64_t index, int64_t n, float* to) const {
    const int64_t step = a_.in[k][last_];
    while (n > 0) {
      const int64_t m = std::min(n, row_ - index % row_);
      const float* from = in_[k].data + offset(a_.in[k], index);
      if (step == 0) {
        std::fill_n(to, m, *from);
      } else {
        for (int64_t i = 0; i < m; ++i) to[i] = from[i * step];
      }
      to += m;
      index += m;
      n -= m;
    }
  }

  void range(int64_t begin, int64_t end, FunctionRef<void(const Block&)> fn) const {
    float repeated[kMaxOperands][rows::kRepeat];
    float buffers[kMaxOperands][2 * kWalkBlock];  // only those of operands that need one are touched
    float result[kWalkBlock];
    Block b{};
    for (size_t k = 0; k < in_.size(); ++k) {
      b.step[k] = reading_[k] == Reading::kRepeat ? 0 : 1;
      if (reading_[k] == Reading::kRepeat) b.in[k] = repeated[k];
      if (reading_[k] == Reading::kGather) b.in[k] = buffers[k];
      if (across_ && reading_[k] == Reading::kRepeat) std::fill_n(repeated[k], rows::kRepeat, *in_[k].data);
      if (reading_[k] != Reading::kPattern) continue;
      for (int64_t i = 0; i < std::min(count_, kWalkBlock + period_[k]); i += period_[k])
        std::copy_n(in_[k].data, std::min(period_[k], 2 * kWalkBlock - i), buffers[k] + i);
    }
    const int64_t per_row = (row_ + block_ - 1) / block_;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t index = across_ ? i * block_ : i / per_row * row_ + i % per_row * block_;
      b.n = std::min(block_, across_ ? count_ - index : row_ - i % per_row * block_);
      for (size_t k = 0; k < in_.size(); ++k) {
        if (reading_[k] == Reading::kPattern) {
          b.in[k] = buffers[k] + index % period_[k];
        } else if (reading_[k] == Reading::kGather) {
          gather(k, index, b.n, buffers[k]);
        } else if (across_) {
          if (reading_[k] == Reading::kDirect) b.in[k] = in_[k].data + index;
        } else {
          const float* from = in_[k].data + offset(a_.in[k], index);
          if (reading_[k] == Reading::kRepeat)
            std::fill_n(repeated[k], rows::kRepeat, *from);
          else
            b.in[k] = from;
        }
      }
      float* to = out_.data + (across_ ? index : offset(a_.out, index));
      const bool scattered = out_step_ != 1 && row_ != 1;
      b.out = scattered ? result : to;
      fn(b);
      if (!scattered) continue;
      for (int64_t j = 0; j < b.n; ++j) to[j * out_step_] = result[j];
    }
  }

  std::span<const Array> in_;
  Array out_;
  Axes a_;
  size_t last_;
  int64_t row_, count_, block_, pieces_, out_step_;
  bool across_;  // blocks run across the ends of rows
  std::array<Reading, kMaxOperands> reading_{};
  std::array<int64_t, kMaxOperands> period_{};
};

// The axis along which `out` is a run of memory, and x is not, although it is along another.
bool runs_across(const Layout& x, const Layout& out) {
  int64_t extent = 1, along = 0;
  bool run = false;
  for (int d = 0; d < out.shape.ndim(); ++d) {
    if (out.shape[d] == 1) continue;
    if (out.stride[d] <= 0) return false;
    extent += (out.shape[d] - 1) * out.stride[d];
    if (out.stride[d] == 1) along = std::abs(x.stride[d]);
    run = run || x.stride[d] == 1;
  }
  return run && along > 1 && extent == out.shape.count();
}

}  // namespace

void walk(std::span<const Array> in, const Array& out, int64_t most, Exec& exec, FunctionRef<void(const Block&)> fn) {
  const int64_t count = out.layout->shape.count();
  if (count == 0) return;
  // Small and all in one order, or one value: nothing to plan.
  const auto flat = [&](const Array& x) { return x.layout->shape == out.layout->shape && x.layout->contiguous(); };
  const auto single = [](const Array& x) { return x.layout->shape.count() == 1; };
  if (count <= std::min(most, kGrain) && out.layout->contiguous() &&
      std::all_of(in.begin(), in.end(), [&](const Array& x) { return flat(x) || single(x); })) {
    float repeated[kMaxOperands][rows::kRepeat];
    Block b{};
    for (size_t k = 0; k < in.size(); ++k) {
      b.step[k] = flat(in[k]) ? 1 : 0;
      b.in[k] = in[k].data;
      if (b.step[k]) continue;
      std::fill_n(repeated[k], rows::kRepeat, *in[k].data);
      b.in[k] = repeated[k];
    }
    b.out = out.data;
    b.n = count;
    return fn(b);
  }
  // Where an operand runs across the result, tiles of it are brought into order first: single elements of it are far
  // apart.
  Array ordered[kMaxOperands];
  Tensor copies[kMaxOperands];
  for (size_t k = 0; k < in.size(); ++k) {
    ordered[k] = in[k];
    if (count < 4096 || !(in[k].layout->shape == out.layout->shape) || !runs_across(*in[k].layout, *out.layout))
      continue;
    copies[k] = Tensor::empty(DTypeEnum::Float32, out.layout->shape).view(*out.layout);
    copy_strided(
        Tensor::from_storage(Storage::wrap(in[k].data, 0, nullptr, false), 0, DTypeEnum::Float32, *in[k].layout),
        copies[k], exec);
    ordered[k] = array_of(copies[k]);
  }
  Walk({ordered, in.size()}, out, most).run(exec, fn);
}

}  // namespace megalith::elemwise
