// MatrixMul, BatchedMatrixMul and Dot.
#include "megalith/kernels/convert.h"
#include "megalith/kernels/gemm.h"
#include "megalith/kernels/igemm.h"
#include "megalith/kernels/local_tile.h"
#include "megalith/ops/grad_util.h"
#include "megalith/ops/nn/conv_canonical.h"
#include "megalith/packed.h"
#include "megalith/plan.h"

namespace megalith {
namespace {

DType product_dtype(const InferContext& c) {
  if (c.attrs.output_dtype && c.attrs.output_dtype->id != DTypeEnum::Byte) return *c.attrs.output_dtype;
  const DType a = c.dtype(0);
  if (a.is_quantized()) return {DTypeEnum::QuantizedS32, a.scale * c.dtype(1).scale};
  if (a.id == DTypeEnum::Int8 || a.id == DTypeEnum::Uint8 || a.id == DTypeEnum::Int16) return DTypeEnum::Int32;
  return a;
}

void infer_matmul(InferContext& c, bool batched) {
  const auto& p = c.param<param::MatrixMul>();
  const Shape &a = c.shape(0), &b = c.shape(1);
  c.require(p.format == param::MatrixMulFormat::DEFAULT, "format ",
            enum_info<param::MatrixMulFormat>().name_of(static_cast<uint32_t>(p.format)),
            " is not supported on this device");
  c.require(c.dtype(0).id == c.dtype(1).id, "multiplies ", c.dtype(0).str(), " by ", c.dtype(1).str());
  const int n = a.ndim();
  c.require(n == b.ndim() && (batched ? n >= 3 : n == 2), "shapes ", a, " and ", b);
  Shape out = a;
  for (int i = 0; i < n - 2; ++i) {
    c.require(a[i] == b[i] || a[i] == 1 || b[i] == 1, "batches differ: ", a, " and ", b);
    out[i] = std::max(a[i], b[i]);
    if (a[i] == 0 || b[i] == 0) out[i] = 0;
  }
  const int64_t m = a[n - (p.transposeA ? 1 : 2)], ka = a[n - (p.transposeA ? 2 : 1)],
                kb = b[n - (p.transposeB ? 1 : 2)], cols = b[n - (p.transposeB ? 2 : 1)];
  c.require(ka == kb, "inner sizes differ: ", a, p.transposeA ? "^T" : "", " @ ", b, p.transposeB ? "^T" : "", "; ", ka,
            " != ", kb);
  out[n - 2] = m;
  out[n - 1] = cols;
  c.set(0, product_dtype(c), out);
}

// One step of a sum. With kHalf every partial sum is rounded to Float16, as MegEngine's CPU kernels do for Float16
// unless compute_mode is FLOAT32.
template <bool kHalf, class Acc>
Acc add_product(Acc sum, Acc x, Acc y) {
  if constexpr (kHalf)
    return static_cast<float>(half(sum + x * y));
  else if constexpr (std::is_integral_v<Acc>)
    return static_cast<Acc>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(x) * static_cast<uint32_t>(y));
  else
    return sum + x * y;
}

// C = op(A) op(B), rows of C split between threads. B is brought to row-major (k, n) so that the inner loop runs along
// it.
template <bool kHalf, class Acc>
void multiply(const Acc* a, int64_t ars, int64_t acs, const Acc* b, int64_t brs, int64_t bcs, Acc* out, int64_t m,
              int64_t n, int64_t k, Exec& exec) {
  std::vector<Acc> packed;
  if (bcs != 1) {
    packed.resize(static_cast<size_t>(k * n));
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) packed[static_cast<size_t>(l * n + j)] = b[l * brs + j * bcs];
    }
    b = packed.data();
    brs = n;
  }
  exec.parallel_for(m, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, n * k)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Acc* row = out + i * n;
      std::fill_n(row, n, Acc{0});
      for (int64_t l = 0; l < k; ++l) {
        const Acc v = a[i * ars + l * acs];
        const Acc* brow = b + l * brs;
        for (int64_t j = 0; j < n; ++j) row[j] = add_product<kHalf>(row[j], v, brow[j]);
      }
    }
  });
}

template <class Acc, bool kHalf = false>
void matmul_as(const KernelArgs& args) {
  const auto& p = args.param<param::MatrixMul>();
  const Tensor &a = args.in[0], &b = args.in[1], &out = args.out[0];
  const Tensor wa = conv::widen<Acc>(a), wb = conv::widen<Acc>(b);
  const int d = a.ndim();
  const int64_t m = out.dim(d - 2), n = out.dim(d - 1), k = a.dim(d - (p.transposeA ? 2 : 1));
  Tensor sums = Tensor::empty(std::is_same_v<Acc, float> ? DTypeEnum::Float32 : DTypeEnum::Int32, out.shape());
  const int64_t batches = out.shape().count(0, d - 2);
  for (int64_t i = 0; i < batches; ++i) {
    int64_t rest = i, ia = 0, ib = 0, sa = 1, sb = 1;
    for (int x = d - 3; x >= 0; --x) {
      const int64_t index = rest % out.dim(x);
      rest /= out.dim(x);
      ia += (a.dim(x) == 1 ? 0 : index) * sa;
      ib += (b.dim(x) == 1 ? 0 : index) * sb;
      sa *= a.dim(x);
      sb *= b.dim(x);
    }
    multiply<kHalf, Acc>(wa.template data<Acc>() + ia * m * k, p.transposeA ? 1 : k, p.transposeA ? m : 1,
                         wb.template data<Acc>() + ib * k * n, p.transposeB ? 1 : n, p.transposeB ? k : 1,
                         sums.data<Acc>() + i * m * n, m, n, k, args.exec);
  }
  const DType t = out.dtype();
  if (t.bits() == 32 && t.is_float() == std::is_same_v<Acc, float>) {
    std::memcpy(out.data(), sums.data(), out.bytes());
    return;
  }
  std::vector<float> real(elemwise::kBlock);
  const float scale = a.dtype().is_quantized() ? a.dtype().scale * b.dtype().scale : 1.f;
  for (int64_t i = 0; i < out.count(); i += elemwise::kBlock) {
    const int64_t c = std::min(elemwise::kBlock, out.count() - i);
    for (int64_t j = 0; j < c; ++j) real[static_cast<size_t>(j)] = static_cast<float>(sums.data<Acc>()[i + j]) * scale;
    if (t.is_quantized())
      elemwise::store_quantized(out, i, c, real.data());
    else
      elemwise::store<float>(out, i, c, real.data());
  }
}

void matmul(const KernelArgs& a) {
  if (!a.in[0].dtype().is_float()) return matmul_as<int32_t>(a);
  const bool wide = a.param<param::MatrixMul>().compute_mode == param::ComputeMode::FLOAT32;
  return a.in[0].dtype().id == DTypeEnum::Float16 && !wide ? matmul_as<float, true>(a) : matmul_as<float>(a);
}

bool tiles_accept(const KernelQuery& q) {
  return q.in[0].dtype.id == DTypeEnum::Float32 && q.out[0].dtype.id == DTypeEnum::Float32;
}

gemm::Matrix matrix_of(const Tensor& t, bool transposed, int64_t offset) {
  const int d = t.ndim();
  const int64_t row = t.stride()[d - 2], col = t.stride()[d - 1];
  return {t.data<float>() + offset, transposed ? col : row, transposed ? row : col};
}

// Where batch i of the result finds its matrix.
int64_t batch_offset(const Tensor& t, const Shape& out, int64_t i) {
  int64_t offset = 0;
  for (int x = t.ndim() - 3; x >= 0; --x) {
    if (t.dim(x) != 1) offset += i % out[x] * t.stride()[x];
    i /= out[x];
  }
  return offset;
}

void tiles(const KernelArgs& args) {
  const auto& p = args.param<param::MatrixMul>();
  const Tensor &a = args.in[0], &b = args.in[1], &out = args.out[0];
  const int d = a.ndim();
  const int64_t m = out.dim(d - 2), n = out.dim(d - 1), k = a.dim(d - (p.transposeA ? 2 : 1));
  const int64_t batches = out.shape().count(0, d - 2);
  std::shared_ptr<Storage> weights;
  if (batches == 1 && b.storage()->frozen() && b.storage()->bytes() >= b.bytes() && n * k > 1024 &&
      gemm::packs_tightly(1, k, n)) {
    const gemm::Matrix whole = matrix_of(b, p.transposeB, 0);
    weights = packed(b, p.transposeB ? 1 : 0, static_cast<size_t>(gemm::packed_floats(k, n)) * sizeof(float),
                     [&](std::byte* to) {
                       gemm::pack_b(whole.data, whole.row, whole.col, k, n, reinterpret_cast<float*>(to), args.exec);
                     });
  }
  const auto multiply = [&](int64_t i, Exec& exec) {
    const gemm::Matrix ma = matrix_of(a, p.transposeA, batch_offset(a, out.shape(), i));
    const gemm::Matrix mb = matrix_of(b, p.transposeB, batch_offset(b, out.shape(), i));
    gemm::product({.m = m,
                   .n = n,
                   .k = k,
                   .a = ma,
                   .b = mb,
                   .packed_b = weights ? reinterpret_cast<const float*>(weights->data()) : nullptr,
                   .c = out.data<float>() + i * m * n,
                   .c_row = n},
                  exec);
  };
  if (batches < args.exec.threads() || m * n * k > 1 << 20) {
    for (int64_t i = 0; i < batches; ++i) multiply(i, args.exec);
    return;
  }
  args.exec.parallel_for(batches, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, m * n * k)),
                         [&](int64_t begin, int64_t end) {
                           Exec alone;
                           for (int64_t i = begin; i < end; ++i) multiply(i, alone);
                         });
}
constexpr Kernel kTiles{.name = "tiles", .run = tiles, .accepts = tiles_accept, .strided = true};

// ---- bytes

bool bytes_accept(const KernelQuery& q) {
  const Shape& a = q.in[0].shape;
  const auto& p = q.attrs.param<param::MatrixMul>();
  return igemm::is_small(q.in[0].dtype) && igemm::is_small(q.in[1].dtype) && igemm::finishes(q.out[0].dtype) &&
         gemm::packs_tightly(1, a[a.ndim() - (p.transposeA ? 2 : 1)], q.out[0].shape[a.ndim() - 1]);
}

// The matrix at `offset` with adjacent columns: as it lies, or a copy.
Tensor rows_of(const Tensor& t, bool transposed, int64_t offset, Exec& exec) {
  const int d = t.ndim(), row = d - (transposed ? 1 : 2), col = d - (transposed ? 2 : 1);
  const Tensor m = t.view(Layout({t.dim(row), t.dim(col)}, {t.stride()[row], t.stride()[col]}), offset);
  if (m.stride()[1] == 1 || m.dim(1) == 1) return m;
  Tensor copy = Tensor::empty(t.dtype(), m.shape());
  copy_strided(m, copy, exec);
  return copy;
}

void bytes(const KernelArgs& args) {
  const auto& p = args.param<param::MatrixMul>();
  const Tensor &a = args.in[0], &b = args.in[1], &out = args.out[0];
  const int d = a.ndim();
  const int64_t m = out.dim(d - 2), n = out.dim(d - 1), k = a.dim(d - (p.transposeA ? 2 : 1));
  const int64_t batches = out.shape().count(0, d - 2);
  const DType ta = a.dtype(), tb = b.dtype();
  const igemm::Form form = igemm::form_of(ta, tb);
  igemm::Finish f{.type = out.dtype(), .in_double = false};
  if (ta.is_quantized()) f.scale = ta.scale * tb.scale;
  uint64_t key = p.transposeB ? 21 : 20;
  for (const uint64_t part : {static_cast<uint64_t>(form), static_cast<uint64_t>(tb.id), uint64_t{tb.zero_point}})
    key = mix_bits(key, part);
  for (int64_t batch = 0; batch < batches; ++batch) {
    const int64_t offset = batch_offset(b, out.shape(), batch);
    const size_t size = static_cast<size_t>(igemm::packed_words(form, k, n)) * sizeof(int32_t);
    const std::shared_ptr<Storage> weights =
        packed(b, mix_bits(key, static_cast<uint64_t>(offset)), size, [&](std::byte* to) {
          const Tensor columns = rows_of(b, !p.transposeB, offset, args.exec);
          igemm::pack_b(form, tb, columns.data<std::byte>(), columns.stride()[0], k, n, reinterpret_cast<int32_t*>(to),
                        args.exec);
        });
    const Tensor rows = rows_of(a, p.transposeA, batch_offset(a, out.shape(), batch), args.exec);
    const auto gather = [&](int64_t i, int64_t some, int32_t* to, int64_t pitch) {
      igemm::to_words(form, ta, some, to, pitch, [&](std::byte* raw, int64_t raw_pitch) {
        for (int64_t r = 0; r < some; ++r)
          std::memcpy(raw + r * raw_pitch, rows.data<std::byte>() + (i + r) * rows.stride()[0], static_cast<size_t>(k));
      });
    };
    const int64_t width = out.dtype().bits() / 8;
    std::byte* const c = out.data<std::byte>() + batch * m * n * width;
    const auto sink = [&](int64_t i, int64_t some, int64_t j, int64_t cols, const int32_t* sums, int64_t pitch) {
      igemm::finish(f, some, cols, sums, pitch, c + (i * n + j) * width, n);
    };
    igemm::Product product{.form = form, .m = m, .n = n, .k = k};
    product.packed_b = reinterpret_cast<const int32_t*>(weights->data());
    igemm::product(product, gather, sink, args.exec);
  }
}
constexpr Kernel kBytes{.name = "int8_tiles", .run = bytes, .accepts = bytes_accept, .strided = true};

// ---- halves

// Float16 is summed in steps of Float16 (kernels/local_tile.h) unless compute_mode says otherwise.
bool half_steps(const KernelQuery& q) {
  return q.in[0].dtype.id == DTypeEnum::Float16 && q.out[0].dtype.id == DTypeEnum::Float16 &&
         q.attrs.param<param::MatrixMul>().compute_mode == param::ComputeMode::DEFAULT;
}
bool as_floats_accept(const KernelQuery& q) {
  const bool wide = q.in[0].dtype.id != DTypeEnum::Float16 ||
                    q.attrs.param<param::MatrixMul>().compute_mode == param::ComputeMode::FLOAT32;
  return wide && accepts_as_floats(q, tiles_accept);
}
void as_floats(const KernelArgs& a) { run_as_floats(a, tiles); }

void halves(const KernelArgs& args) {
  const auto& p = args.param<param::MatrixMul>();
  const Tensor a = converted(args.in[0], DTypeEnum::Float32, args.exec),
               b = converted(args.in[1], DTypeEnum::Float32, args.exec), &out = args.out[0];
  const int d = a.ndim();
  const int64_t m = out.dim(d - 2), n = out.dim(d - 1), k = a.dim(d - (p.transposeA ? 2 : 1));
  const Tensor sums = Tensor::empty(DTypeEnum::Float32, out.shape());
  for (int64_t batch = 0; batch < out.shape().count(0, d - 2); ++batch) {
    const Tensor w = rows_of(b, p.transposeB, batch_offset(b, out.shape(), batch), args.exec);
    const gemm::Matrix x = matrix_of(a, p.transposeA, batch_offset(a, out.shape(), batch));
    args.exec.parallel_for(m, std::max<int64_t>(4, 16384 / std::max<int64_t>(1, n * k)),
                           [&](int64_t begin, int64_t end) {
                             std::vector<const float*> from;
                             std::vector<float*> to;
                             for (int64_t i = begin; i < end; ++i) {
                               from.push_back(x.data + i * x.row);
                               to.push_back(sums.data<float>() + (batch * m + i) * n);
                             }
                             const local::Run run{0, 0, k};
                             local::sums_of_half({.x = from.data(),
                                                  .out = to.data(),
                                                  .items = end - begin,
                                                  .columns = n,
                                                  .x_step = x.col,
                                                  .w = w.data<float>(),
                                                  .w_step = w.stride()[0],
                                                  .runs = &run,
                                                  .run_count = 1});
                           });
  }
  convert::to_stored(out.dtype(), sums.data<float>(), out.data(), out.count());
}

std::vector<Kernel> kernels() {
  return {
      kTiles, unless_trimmed(kBytes),
      unless_trimmed(Kernel{.name = "half_steps", .run = halves, .accepts = half_steps, .strided = true}),
      unless_trimmed(Kernel{.name = "tiles_as_floats", .run = as_floats, .accepts = as_floats_accept, .strided = true}),
      unless_trimmed(Kernel{.name = "reference", .run = matmul})};
}

double flops(const KernelQuery& q) {
  const Shape& a = q.in[0].shape;
  const auto& p = q.attrs.param<param::MatrixMul>();
  return 2.0 * static_cast<double>(q.out[0].shape.count()) * static_cast<double>(a[a.ndim() - (p.transposeA ? 2 : 1)]);
}

std::vector<Var> grad_matmul(const GradContext& c) {
  const auto& p = c.attrs.param<param::MatrixMul>();
  const Var &a = c.in[0], &b = c.in[1], &d = c.dout[0];
  const bool batched = std::string_view(c.op.name) == "BatchedMatrixMul";
  // Batches of 1 are broadcast.
  const auto mm = [&](const Var& x, bool tx, const Var& y, bool ty, const Var& like) {
    param::MatrixMul q = p;
    q.transposeA = tx;
    q.transposeB = ty;
    const Var v = emit1(c.op.name, q, {x, y});
    return batched ? grads::sum_like(v, like) : v;
  };
  std::vector<Var> r(2);
  if (c.needs[0]) r[0] = p.transposeA ? mm(b, p.transposeB, d, true, a) : mm(d, false, b, !p.transposeB, a);
  if (c.needs[1]) r[1] = p.transposeB ? mm(d, true, a, p.transposeA, b) : mm(a, !p.transposeA, d, false, b);
  return r;
}

std::vector<Var> grad_dot(const GradContext& c) {
  std::vector<Var> r(2);
  for (size_t i = 0; i < 2; ++i) {
    // A vector of one element is broadcast against a longer one, and the other way round.
    if (c.needs[i])
      r[i] = grads::sum_like(grads::mul(c.dout[0], grads::mul(grads::ones_like(c.in[i], c.dtype(i)), c.in[1 - i])),
                             c.in[i]);
  }
  return r;
}

void infer_dot(InferContext& c) {
  c.require(c.shape(0).ndim() == 1 && c.shape(1).ndim() == 1 && c.dtype(0).id == c.dtype(1).id,
            "takes two vectors, not ", c.shape(0), " and ", c.shape(1));
  c.require(c.shape(0)[0] == c.shape(1)[0] || c.shape(0)[0] == 1 || c.shape(1)[0] == 1, "sizes differ: ", c.shape(0),
            " and ", c.shape(1));
  c.set(0, c.dtype(0), {1});  // integers wrap around
}

void dot(const KernelArgs& a) {
  const int64_t n = std::max(a.in[0].dim(0), a.in[1].dim(0));
  const int64_t sa = a.in[0].dim(0) == 1 ? 0 : 1, sb = a.in[1].dim(0) == 1 ? 0 : 1;
  const auto run = [&](auto tag) {
    using Acc = decltype(tag);
    const Tensor x = conv::widen<Acc>(a.in[0]), y = conv::widen<Acc>(a.in[1]);
    Acc sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x.template data<Acc>()[i * sa] * y.template data<Acc>()[i * sb];
    elemwise::store<Acc>(a.out[0], 0, 1, &sum);
  };
  a.in[0].dtype().is_float() ? run(float{}) : run(int32_t{});
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(linalg_matmul) {
  r.add({.name = "MatrixMul",
         .doc = "The product of two matrices.",
         .mge = {"MatrixMulV2"},
         .params = &param::MatrixMul::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = [](InferContext& c) { infer_matmul(c, false); },
         .kernels = kernels(),
         .grad = grad_matmul,
         .grad_reads = grads::reads_other_factor,
         .flops = flops});
  r.add({.name = "BatchedMatrixMul",
         .doc = "Products of matrices along leading axes.",
         .mge = {"BatchedMatrixMulV2"},
         .params = &param::MatrixMul::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = [](InferContext& c) { infer_matmul(c, true); },
         .kernels = kernels(),
         .grad = grad_matmul,
         .grad_reads = grads::reads_other_factor,
         .flops = flops});
  if (!kTrimmed)
    r.add({.name = "Dot",
           .doc = "The inner product of two vectors.",
           .mge = {"Dot"},
           .params = &param::Empty::kSchema,
           .min_inputs = 2,
           .max_inputs = 2,
           .infer = infer_dot,
           .kernels = {{.name = "reference", .run = dot}},
           .grad = grad_dot,
           .grad_reads = grads::reads_other_factor});
}
