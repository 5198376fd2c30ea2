#include "megalith/ops/elemwise/real.h"

#include "megalith/ops/elemwise/rows.h"

namespace megalith::elemwise {
namespace {

constexpr DTypeEnum id_of(float) { return DTypeEnum::Float32; }
constexpr DTypeEnum id_of(int32_t) { return DTypeEnum::Int32; }

void convert_to(DType type, const void* from, float* to, int64_t n) { convert::from_stored(type, from, to, n); }
void convert_to(DType type, const void* from, int32_t* to, int64_t n) { convert::from_whole(type, from, to, n); }
void convert_from(DType type, const float* from, void* to, int64_t n) { convert::to_stored(type, from, to, n); }
void convert_from(DType type, const int32_t* from, void* to, int64_t n) { convert::to_whole(type, from, to, n); }

// n elements as C: where they lie, or in the buffer.
template <class C>
const C* load_any(const Tensor& t, int64_t at, int64_t step, int64_t n, C* buffer) {
  const DType type = t.dtype();
  const int64_t width = type.bits() / 8;
  const std::byte* from = t.data<std::byte>() + at * width;
  const bool same = type.id == id_of(C());
  if (step == 1) {
    if (same) return reinterpret_cast<const C*>(from);
    convert_to(type, from, buffer, n);
    return buffer;
  }
  if (step == 0) {
    if (same)
      std::memcpy(buffer, from, sizeof(C));
    else
      convert_to(type, from, buffer, 1);
    std::fill(buffer + 1, buffer + n, buffer[0]);
    return buffer;
  }
  // Brought together first: behind the place where their values go, which are no smaller.
  dispatch_width(type, [&]<class T>(T) {
    if constexpr (sizeof(T) <= sizeof(C)) {
      alignas(64) T together[kBlock];
      for (int64_t i = 0; i < n; ++i) together[i] = reinterpret_cast<const T*>(from)[i * step];
      if (same)
        std::memcpy(buffer, together, static_cast<size_t>(n) * sizeof(T));
      else
        convert_to(type, together, buffer, n);
    }
  });
  return buffer;
}

}  // namespace

template <class C>
void apply_blocks(std::span<const Tensor> in, const Tensor& out, Exec& exec,
                  void (*fn)(const C* const* in, const int64_t* step, C* out, int64_t n)) {
  const DType type = out.dtype();
  for_operands(in, out, exec, [&](const int64_t* at, const int64_t* step, int64_t n) {
    static constexpr int64_t kSteps[4] = {1, 1, 1, 1};
    alignas(64) C buffers[4][kBlock], result[kBlock];
    const C* p[4] = {};
    for (size_t k = 0; k < in.size(); ++k) p[k] = load_any(in[k], at[k], step[k], n, buffers[k]);
    std::byte* const to = out.data<std::byte>() + at[in.size()] * (type.bits() / 8);
    if (type.id == id_of(C())) return fn(p, kSteps, reinterpret_cast<C*>(to), n);
    fn(p, kSteps, result, n);
    convert_from(type, result, to, n);
  });
}

template void apply_blocks(std::span<const Tensor>, const Tensor&, Exec&,
                           void (*)(const float* const*, const int64_t*, float*, int64_t));
template void apply_blocks(std::span<const Tensor>, const Tensor&, Exec&,
                           void (*)(const int32_t* const*, const int64_t*, int32_t*, int64_t));

}  // namespace megalith::elemwise
