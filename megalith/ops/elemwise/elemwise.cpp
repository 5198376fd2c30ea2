// Elemwise: one function per element, with NumPy broadcasting. Limited by memory bandwidth except for transcendental
// modes.
#include "megalith/kernels/rows.h"
#include "megalith/ops/elemwise/gradient.h"
#include "megalith/ops/elemwise/modes.h"
#include "megalith/ops/elemwise/real.h"
#include "megalith/ops/elemwise/rows.h"
#include "megalith/ops/elemwise/walk.h"
#include "megalith/ops/elemwise/whole.h"

namespace megalith {
namespace {

using elemwise::Mode;

// MegEngine adds and compares the stored integers of symmetric quantized types, with wrap-around.
bool on_stored_integers(Mode m, DType d) {
  if (!d.is_quantized() || d.is_asymmetric()) return false;
  return m == Mode::ADD || m == Mode::SUB || m == Mode::NEGATE || m == Mode::RELU || m == Mode::MAX || m == Mode::MIN;
}
// By the type of the result: integer operands of a float function are converted to float.
bool computes_in_float(Mode m, DType d) { return d.is_float() || (d.is_quantized() && !on_stored_integers(m, d)); }
const char* name_of(Mode m) { return enum_info<Mode>().name_of(static_cast<uint32_t>(m)); }

bool known(Mode m) {
  static const std::vector<bool> table = [] {
    std::vector<bool> t;
    for (const EnumValue& e : enum_info<Mode>().values) {
      t.resize(std::max(t.size(), size_t{e.value} + 1));
      t[e.value] = true;
    }
    return t;
  }();
  return static_cast<size_t>(m) < table.size() && table[static_cast<size_t>(m)];
}

void infer(InferContext& c) {
  const Mode m = c.param<param::Elemwise>().mode;
  // Messages are made only when they are needed: small tensors come by here often.
  if (!known(m)) c.fail("unknown mode ", static_cast<uint32_t>(m));
  if (rows::left_out(m)) c.fail("mode ", name_of(m), kLeftOut);
  if (c.nin() != elemwise::arity(m)) c.fail(name_of(m), " takes ", elemwise::arity(m), " inputs, but has ", c.nin());
  DType out = promoted_dtype(c);
  const auto ignore = [](auto) {};
  if (out.is_int() && m != Mode::RMULH && !elemwise::with_mode<int64_t>(m, ignore)) out = DTypeEnum::Float32;
  c.set(0, out, broadcast_shapes(c, name_of(m)));
}

bool accepts(const KernelQuery& q) {
  const Mode m = q.attrs.param<param::Elemwise>().mode;
  const DType d = q.out[0].dtype;
  if (d.is_lowbit() || d.id == DTypeEnum::Complex64) return false;
  const auto ignore = [](auto) {};
  if (m == Mode::RMULH) return d.is_int();
  return computes_in_float(m, d) ? elemwise::with_mode<float>(m, ignore) : elemwise::with_mode<int64_t>(m, ignore);
}

void reference(const KernelArgs& a) {
  const Mode m = a.param<param::Elemwise>().mode;
  const DType d = a.out[0].dtype();
  if (m == Mode::RMULH) {
    // Unsigned values have one digit more than signed ones of the same width.
    const int bits = d.bits() + (d.id == DTypeEnum::Uint8 || d.id == DTypeEnum::Uint16 ? 1 : 0);
    elemwise::apply<int64_t>(a.in, a.out[0], a.exec,
                             [bits](int64_t x, int64_t y) { return elemwise::rounding_mulh(x, y, bits); });
  } else if (computes_in_float(m, d)) {
    elemwise::with_mode<float>(m, [&](auto f) { elemwise::apply<float>(a.in, a.out[0], a.exec, f); });
  } else {
    elemwise::with_mode<int64_t>(m, [&](auto f) { elemwise::apply<int64_t>(a.in, a.out[0], a.exec, f); });
  }
}

bool vector_accepts(const KernelQuery& q) {
  const auto plain = [](const TensorSpec& t) { return t.dtype.id == DTypeEnum::Float32; };
  return std::all_of(q.in.begin(), q.in.end(), plain) && plain(q.out[0]) &&
         rows::find(q.attrs.param<param::Elemwise>().mode);
}

void vector(const KernelArgs& a) {
  const rows::Fn fn = rows::find(a.param<param::Elemwise>().mode);
  elemwise::Array in[elemwise::kMaxOperands];
  for (size_t k = 0; k < a.in.size(); ++k) in[k] = elemwise::array_of(a.in[k]);
  elemwise::walk({in, a.in.size()}, elemwise::array_of(a.out[0]), INT64_MAX, a.exec,
                 [fn](const elemwise::Block& b) { fn(b.in, b.step, b.out, b.n); });
}

// Operands of other types, block by block as Float32 or as Int32.
bool blocks_accept(const KernelQuery& q) {
  const Mode m = q.attrs.param<param::Elemwise>().mode;
  const DType d = q.out[0].dtype;
  if (computes_in_float(m, d)) {
    const auto real = [](const TensorSpec& t) { return elemwise::is_real(t.dtype); };
    return std::all_of(q.in.begin(), q.in.end(), real) && real(q.out[0]) && rows::find(m);
  }
  const auto whole = [](const TensorSpec& t) { return convert::is_whole(t.dtype); };
  return std::all_of(q.in.begin(), q.in.end(), whole) && whole(q.out[0]) && elemwise::find_whole(m);
}

void blocks(const KernelArgs& a) {
  const Mode m = a.param<param::Elemwise>().mode;
  if (computes_in_float(m, a.out[0].dtype()))
    elemwise::apply_blocks<float>(a.in, a.out[0], a.exec, rows::find(m));
  else
    elemwise::apply_blocks<int32_t>(a.in, a.out[0], a.exec, elemwise::find_whole(m));
}

double flops(const KernelQuery& q) { return static_cast<double>(q.out[0].shape.count()); }

}  // namespace
}  // namespace megalith

MEGALITH_OPS(elemwise_elemwise) {
  r.add({.name = "Elemwise",
         .doc = "A function of each element, by mode, with broadcasting.",
         .mge = {"Elemwise"},
         .params = &param::Elemwise::kSchema,
         .max_inputs = 4,
         .infer = infer,
         .kernels = {{.name = "vector",
                      .run = vector,
                      .accepts = vector_accepts,
                      .strided = true,
                      .inplace = true,
                      .order = Order::kLikeInput},
                     {.name = "blocks",
                      .run = blocks,
                      .accepts = blocks_accept,
                      .strided = true,
                      .inplace = true,
                      .order = Order::kLikeInput},
                     unless_trimmed(Kernel{.name = "reference",
                                           .run = reference,
                                           .accepts = accepts,
                                           .strided = true,
                                           .inplace = true,
                                           .order = Order::kLikeInput})},
         .grad = elemwise::gradient,
         .grad_reads = elemwise::gradient_reads,
         .flops = flops});
}
