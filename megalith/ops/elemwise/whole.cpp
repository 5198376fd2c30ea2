#include "megalith/ops/elemwise/whole.h"

#include "megalith/kernels/rows.h"

namespace megalith::elemwise {
namespace {

// Sums and products wrap around.
int32_t add(int32_t x, int32_t y) { return static_cast<int32_t>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y)); }
int32_t sub(int32_t x, int32_t y) { return static_cast<int32_t>(static_cast<uint32_t>(x) - static_cast<uint32_t>(y)); }
int32_t mul(int32_t x, int32_t y) { return static_cast<int32_t>(static_cast<uint32_t>(x) * static_cast<uint32_t>(y)); }
int32_t relu(int32_t x) { return x <= 0 ? 0 : x; }

}  // namespace

WholeFn find_whole(param::ElemwiseMode mode) {
  using Mode = param::ElemwiseMode;
#define MEGALITH_WHOLE(M, e)                                                                  \
  case Mode::M:                                                                               \
    if constexpr (rows::left_out(Mode::M)) return nullptr;                                    \
    return [](const int32_t* const* in, const int64_t*, int32_t* out, int64_t n) {            \
      [[maybe_unused]] const int32_t *const xs = in[0], *const ys = in[1], *const zs = in[2]; \
      for (int64_t i = 0; i < n; ++i) out[i] = e;                                             \
    };
#define x xs[i]
#define y ys[i]
#define z zs[i]
  switch (mode) {
    MEGALITH_WHOLE(RELU, relu(x))
    MEGALITH_WHOLE(ABS, x > 0 ? x : sub(0, x))
    MEGALITH_WHOLE(NEGATE, sub(0, x))
    MEGALITH_WHOLE(SQUARE, mul(x, x))
    MEGALITH_WHOLE(SIGN, (x > 0) - (x < 0))
    MEGALITH_WHOLE(RELU6, x <= 0 ? 0 : x <= 6 ? x : 6)
    MEGALITH_WHOLE(NOT, x == 0)
    MEGALITH_WHOLE(ADD, add(x, y))
    MEGALITH_WHOLE(SUB, sub(x, y))
    MEGALITH_WHOLE(MUL, mul(x, y))
    MEGALITH_WHOLE(MAX, x > y ? x : y)
    MEGALITH_WHOLE(MIN, x < y ? x : y)
    MEGALITH_WHOLE(LT, x < y)
    MEGALITH_WHOLE(LEQ, x <= y)
    MEGALITH_WHOLE(EQ, x == y)
    MEGALITH_WHOLE(NEQ, x != y)
    MEGALITH_WHOLE(AND, x != 0 && y != 0)
    MEGALITH_WHOLE(OR, x != 0 || y != 0)
    MEGALITH_WHOLE(XOR, (x != 0) != (y != 0))
    MEGALITH_WHOLE(SWITCH_GT0, x > 0 ? y : 0)
    MEGALITH_WHOLE(ABS_GRAD, x > 0 ? y : sub(0, y))
    MEGALITH_WHOLE(FUSE_ADD_RELU, relu(add(x, y)))
    MEGALITH_WHOLE(COND_LEQ_MOV, x <= y ? z : 0)
    MEGALITH_WHOLE(COND_LT_MOV, x < y ? z : 0)
    MEGALITH_WHOLE(FUSE_MUL_ADD3, add(mul(x, y), z))
    MEGALITH_WHOLE(CLIP, x <= y ? y : (x <= z ? x : z))
    default: return nullptr;
  }
#undef x
#undef y
#undef z
#undef MEGALITH_WHOLE
}

}  // namespace megalith::elemwise
