// MultiHeadAttn: projections, scaled dot products, softmax, weighted values and the output projection in one op.
//
// The packed weights hold Wq, Wk, Wv, Wo (each where its projection size is not 0), then the biases in the same order.
// Without a projection every head sees the whole input. Everything is computed in float.
#include "megalith/kernels/random.h"
#include "megalith/ops/elemwise/rows.h"
#include "megalith/var.h"

namespace megalith {
namespace {

using P = param::MultiHeadAttn;
using Floats = std::vector<float>;

int outputs_attention(const Attrs&, int) { return 4; }           // result, weights, mask reserve, other reserve
int outputs_attention_backward(const Attrs&, int) { return 6; }  // query, key, value, weights, bias_k, bias_v

bool has_mask(const P& p) {
  return p.tensor_combination_type == param::TensorCombinationType::ONLY_MASK ||
         p.tensor_combination_type == param::TensorCombinationType::ALL;
}
bool adds_mask(const P& p) {
  return has_mask(p) && (p.attn_mask_type == param::AttnMaskType::DEFAULT_MASK ||
                         p.attn_mask_type == param::AttnMaskType::USER_DEFINED_MASK);
}

// One of the three inputs: its projection, and the head's share of it.
struct Side {
  int64_t length, in, proj;  // sequence, input width, width after the projection or 0
  int64_t heads;
  int64_t width() const { return proj ? proj : in; }
  int64_t head() const { return proj ? proj / heads : in; }
};

struct Dims {
  int64_t batch, heads;
  Side q, k, v;
  int64_t joined, out;                            // width of the joined heads, and of the result
  int64_t wq, wk, wv, wo, bq, bk, bv, bo, total;  // places in the packed weights; biases -1 when there are none
  int64_t mask1() const { return batch * heads * q.length * k.length; }
  int64_t mask2() const { return batch * q.length * out; }
};

Dims dims_of(const P& p, const Shape& q, const Shape& k, const Shape& v) {
  Dims d{};
  d.batch = q[0];
  d.heads = p.num_heads;
  d.q = {q[1], q[2], p.qproj_size, d.heads};
  d.k = {k[1], k[2], p.kproj_size, d.heads};
  d.v = {v[1], v[2], p.vproj_size, d.heads};
  d.joined = d.v.head() * d.heads;
  d.out = p.oproj_size ? p.oproj_size : d.joined;
  int64_t at = 0;
  const auto take = [&](bool used, int64_t n) {
    const int64_t place = at;
    if (used) at += n;
    return used ? place : int64_t{-1};
  };
  d.wq = take(p.qproj_size > 0, d.q.in * d.q.proj);
  d.wk = take(p.kproj_size > 0, d.k.in * d.k.proj);
  d.wv = take(p.vproj_size > 0, d.v.in * d.v.proj);
  d.wo = take(p.oproj_size > 0, d.joined * p.oproj_size);
  d.bq = take(p.qbias && p.qproj_size > 0, d.q.proj);
  d.bk = take(p.kbias && p.kproj_size > 0, d.k.proj);
  d.bv = take(p.vbias && p.vproj_size > 0, d.v.proj);
  d.bo = take(p.obias && p.oproj_size > 0, d.out);
  d.total = at;
  return d;
}

// Checks query, key, value and weights, which stand at `first`.
Dims check(const InferContext& c, int first) {
  const P& p = c.param<P>();
  for (int i = 0; i < c.nin(); ++i) {
    const bool mask_reserve = first == 1 && i == c.nin() - 2;
    c.require(mask_reserve || (c.dtype(i).is_float() && c.dtype(i) == c.dtype(0)), "input ", i, " has type ",
              c.dtype(i).str(), ", input 0 ", c.dtype(0).str());
  }
  const Shape &q = c.shape(first), &k = c.shape(first + 1), &v = c.shape(first + 2);
  c.require(q.ndim() == 3 && k.ndim() == 3 && v.ndim() == 3, "query ", q, ", key ", k, " and value ", v,
            " must have 3 dimensions");
  c.require(q[0] == k[0] && k[0] == v[0] && k[1] == v[1] && k[1] > 0, "query ", q, ", key ", k, " and value ", v,
            " do not fit together");
  c.require(!p.add_zero_attn && p.tensor_combination_type < param::TensorCombinationType::ONLY_BIASKV && !p.reslink &&
                p.input_order == 0,
            "bias_k, bias_v, add_zero_attn, reslink and other input orders are not supported, as in MegEngine 1.13");
  const uint32_t sizes[] = {p.num_heads, p.qproj_size, p.kproj_size, p.vproj_size, p.oproj_size};
  for (const uint32_t s : sizes) c.require(s < (1u << 20), "a size of ", s, " makes no sense");
  c.require(p.num_heads > 0, "num_heads is 0");
  for (const uint32_t s : {p.qproj_size, p.kproj_size, p.vproj_size})
    c.require(s % p.num_heads == 0, "a projection of ", s, " can't be divided into ", p.num_heads, " heads");
  const Dims d = dims_of(p, q, k, v);
  c.require(d.q.head() == d.k.head(), "heads of the query have ", d.q.head(), " numbers, of the key ", d.k.head());
  c.require(c.shape(first + 3).count() == d.total || d.total == 0, "the weights hold ", c.shape(first + 3).count(),
            " numbers instead of ", d.total);
  if (has_mask(p)) {
    const Shape scores{d.batch * d.heads, d.q.length, d.k.length}, &m = c.shape(first + 4);
    c.require(m.ndim() <= 3, "mask ", m, " does not fit scores ", scores);
    for (int i = 1; i <= m.ndim(); ++i)
      c.require(m[m.ndim() - i] == 1 || m[m.ndim() - i] == scores[3 - i], "mask ", m, " does not fit scores ", scores);
  }
  return d;
}

void infer_attention(InferContext& c) {
  const P& p = c.param<P>();
  c.require(c.nin() == 4 + has_mask(p), "has ", c.nin(), " inputs instead of ", 4 + has_mask(p));
  for (const float drop : {p.attn_prob, p.out_prob})
    c.require(!p.training || (drop >= 0 && drop < 1), "a dropout of ", drop, " makes no sense");
  const Dims d = check(c, 0);
  c.set(0, c.dtype(0), {d.batch, d.q.length, d.out});
  c.set(1, c.dtype(0), {d.batch * d.heads, d.q.length, d.k.length});
  c.set(2, DTypeEnum::Uint8, {p.training ? d.mask1() + d.mask2() : 0});
  c.set(3, c.dtype(0), {p.training ? d.mask1() : 0});
}

Floats floats(const Tensor& t) {
  Floats v(static_cast<size_t>(t.count()));
  dispatch_float(t.dtype(), [&](auto tag) {
    const auto* p = t.data<decltype(tag)>();
    for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(p[i]);
  });
  return v;
}

void put(const Tensor& t, const Floats& v) {
  dispatch_float(t.dtype(), [&](auto tag) {
    auto* p = t.data<decltype(tag)>();
    for (size_t i = 0; i < v.size(); ++i) p[i] = decltype(tag)(v[i]);
  });
}

// A matrix in memory with any strides.
template <class T>
struct Matrix {
  T* p;
  int64_t rows, cols, rs, cs;
  T& at(int64_t r, int64_t c) const { return p[r * rs + c * cs]; }
  Matrix t() const { return {p, cols, rows, cs, rs}; }
};
using In = Matrix<const float>;
using Out = Matrix<float>;

// out = a b, or out += a b
void multiply(const In& a, const In& b, const Out& out, bool add) {
  for (int64_t i = 0; i < out.rows; ++i) {
    for (int64_t j = 0; j < out.cols; ++j) {
      float sum = 0;
      for (int64_t l = 0; l < a.cols; ++l) sum += a.at(i, l) * b.at(l, j);
      out.at(i, j) = add ? out.at(i, j) + sum : sum;
    }
  }
}

// What the kernels keep in float: weights, projected inputs and joined heads.
struct Work {
  Work(const KernelArgs& a, size_t first)
      : p(a.param<P>()),
        d(dims_of(p, a.in[first].shape(), a.in[first + 1].shape(), a.in[first + 2].shape())),
        w(floats(a.in[first + 3])),
        raw{floats(a.in[first]), floats(a.in[first + 1]), floats(a.in[first + 2])} {
    project(raw[0], q, d.q, d.wq, d.bq);
    project(raw[1], k, d.k, d.wk, d.bk);
    project(raw[2], v, d.v, d.wv, d.bv);
  }

  In weight(int64_t at, int64_t rows, int64_t cols) const { return {w.data() + at, rows, cols, cols, 1}; }

  void project(const Floats& x, Floats& y, const Side& s, int64_t weights, int64_t bias) const {
    if (weights < 0) {
      y = x;
      return;
    }
    const int64_t rows = d.batch * s.length;
    y.resize(static_cast<size_t>(rows * s.proj));
    multiply({x.data(), rows, s.in, s.in, 1}, weight(weights, s.in, s.proj), {y.data(), rows, s.proj, s.proj, 1},
             false);
    for (int64_t i = 0; bias >= 0 && i < rows * s.proj; ++i)
      y[static_cast<size_t>(i)] += w[static_cast<size_t>(bias + i % s.proj)];
  }

  // The part of a projected input that head h of batch b sees.
  template <class T>
  static Matrix<T> head(T* x, const Side& s, int64_t b, int64_t h) {
    return {x + b * s.length * s.width() + (s.proj ? h * s.head() : 0), s.length, s.head(), s.width(), 1};
  }
  template <class T>
  Matrix<T> joined(T* z, int64_t b, int64_t h) const {
    return {z + b * d.q.length * d.joined + h * d.v.head(), d.q.length, d.v.head(), d.joined, 1};
  }
  template <class T>
  Matrix<T> scores(T* x, int64_t b, int64_t h) const {
    const int64_t n = d.q.length * d.k.length;
    return {x + (b * d.heads + h) * n, d.q.length, d.k.length, d.k.length, 1};
  }

  const P& p;
  Dims d;
  Floats w, raw[3], q, k, v;
};

void softmax(const Out& x) {
  for (int64_t i = 0; i < x.rows; ++i) {
    float top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < x.cols; ++j) top = std::max(top, x.at(i, j));
    for (int64_t j = 0; j < x.cols; ++j) sum += x.at(i, j) = std::exp(x.at(i, j) - top);
    for (int64_t j = 0; j < x.cols; ++j) x.at(i, j) /= sum;
  }
}

// Sets dropped elements to zero and scales the others; writes the mask.
void drop(Floats& x, float prob, uint64_t key, uint64_t stream, uint8_t* mask) {
  const float scale = 1.f / (1.f - prob);
  for (size_t i = 0; i < x.size(); ++i) {
    mask[i] = prob == 0 || uniform_open(philox(key, i, stream)[0]) > prob;
    x[i] = mask[i] ? x[i] * scale : 0.f;
  }
}

void attention_reference(const KernelArgs& a) {
  const Work c(a, 0);
  const Dims& d = c.d;
  Floats weights(static_cast<size_t>(d.mask1())), z(static_cast<size_t>(d.batch * d.q.length * d.joined));
  Floats mask;
  Layout ml;
  if (adds_mask(c.p)) {
    mask = floats(a.in[4]);
    ml = elemwise::broadcast_layout(a.in[4], a.out[1].shape());
  }
  a.exec.parallel_for(d.batch * d.heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Out x = c.scores(weights.data(), i / d.heads, i % d.heads);
      multiply(c.head(c.q.data(), d.q, i / d.heads, i % d.heads), c.head(c.k.data(), d.k, i / d.heads, i % d.heads).t(),
               x, false);
      for (int64_t r = 0; r < x.rows; ++r) {
        for (int64_t s = 0; s < x.cols; ++s) {
          x.at(r, s) *= c.p.sm_scaler;
          if (!mask.empty())
            x.at(r, s) += mask[static_cast<size_t>(i * ml.stride[0] + r * ml.stride[1] + s * ml.stride[2])];
        }
      }
      softmax(x);
    }
  });
  if (c.p.training) {
    put(a.out[3], weights);
    drop(weights, c.p.attn_prob, a.exec.random_key(), 1, a.out[2].data<uint8_t>());
  }
  put(a.out[1], weights);
  a.exec.parallel_for(d.batch * d.heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / d.heads, h = i % d.heads;
      multiply(c.scores<const float>(weights.data(), b, h), c.head(c.v.data(), d.v, b, h), c.joined(z.data(), b, h),
               false);
    }
  });
  Floats out;
  c.project(z, out, {d.q.length, d.joined, c.p.oproj_size, 1}, d.wo, d.bo);
  if (c.p.training) drop(out, c.p.out_prob, a.exec.random_key(), 2, a.out[2].data<uint8_t>() + d.mask1());
  put(a.out[0], out);
}

// Inputs: gradient, query, key, value, weights, mask where there is one, attention weights, mask reserve, other
// reserve.
void infer_attention_backward(InferContext& c) {
  const P& p = c.param<P>();
  const int n = 8 + has_mask(p);
  c.require(c.nin() == n, "has ", c.nin(), " inputs instead of ", n);
  c.require(p.training, "the gradient needs training=true");
  const Dims d = check(c, 1);
  c.require(c.shape(0) == Shape{d.batch, d.q.length, d.out}, "the gradient has shape ", c.shape(0));
  c.require(c.shape(n - 3).count() == d.mask1() && c.shape(n - 2).count() == d.mask1() + d.mask2() &&
                c.shape(n - 1).count() == d.mask1() && c.dtype(n - 2).bits() == 8,
            "the attention weights and reserves have shapes ", c.shape(n - 3), c.shape(n - 2), c.shape(n - 1));
  for (int i = 0; i < 4; ++i) c.set(i, c.dtype(0), c.shape(i + 1));
  c.set(4, c.dtype(0), {0});
  c.set(5, c.dtype(0), {0});
}

// From the gradient of a projection to those of its input, weights and bias.
void project_back(const Work& c, const Floats& x, const Floats& dy, const Side& s, int64_t weights, int64_t bias,
                  Floats& dx, Floats& dw) {
  if (weights < 0) {
    dx = dy;
    return;
  }
  const int64_t rows = c.d.batch * s.length;
  dx.resize(x.size());
  const In g{dy.data(), rows, s.proj, s.proj, 1};
  multiply(g, c.weight(weights, s.in, s.proj).t(), {dx.data(), rows, s.in, s.in, 1}, false);
  multiply(In{x.data(), rows, s.in, s.in, 1}.t(), g, {dw.data() + weights, s.in, s.proj, s.proj, 1}, false);
  for (int64_t i = 0; bias >= 0 && i < rows * s.proj; ++i)
    dw[static_cast<size_t>(bias + i % s.proj)] += dy[static_cast<size_t>(i)];
}

void attention_backward_reference(const KernelArgs& a) {
  const Work c(a, 1);
  const Dims& d = c.d;
  const size_t n = a.in.size();
  const Floats weights = floats(a.in[n - 3]), soft = floats(a.in[n - 1]);
  const uint8_t* mask = a.in[n - 2].data<uint8_t>();
  Floats dout = floats(a.in[0]), dw(c.w.size()), z(static_cast<size_t>(d.batch * d.q.length * d.joined)), dz;
  const float out_scale = 1.f / (1.f - c.p.out_prob), attn_scale = 1.f / (1.f - c.p.attn_prob);
  for (size_t i = 0; i < dout.size(); ++i) dout[i] *= mask[static_cast<size_t>(d.mask1()) + i] ? out_scale : 0.f;
  for (int64_t i = 0; i < d.batch * d.heads; ++i) {
    const int64_t b = i / d.heads, h = i % d.heads;
    multiply(c.scores(weights.data(), b, h), c.head(c.v.data(), d.v, b, h), c.joined(z.data(), b, h), false);
  }
  project_back(c, z, dout, {d.q.length, d.joined, c.p.oproj_size, 1}, d.wo, d.bo, dz, dw);
  Floats dq(c.q.size()), dk(c.k.size()), dv(c.v.size()), ds(static_cast<size_t>(d.q.length * d.k.length));
  for (int64_t i = 0; i < d.batch * d.heads; ++i) {
    const int64_t b = i / d.heads, h = i % d.heads;
    const In g = c.joined<const float>(dz.data(), b, h), y = c.scores(soft.data(), b, h);
    const Out s{ds.data(), d.q.length, d.k.length, d.k.length, 1};
    multiply(c.scores(weights.data(), b, h).t(), g, c.head(dv.data(), d.v, b, h), true);
    multiply(g, c.head(c.v.data(), d.v, b, h).t(), s, false);
    const uint8_t* kept = mask + i * d.q.length * d.k.length;
    for (int64_t r = 0; r < s.rows; ++r) {
      float sum = 0;
      for (int64_t k = 0; k < s.cols; ++k) {
        s.at(r, k) *= kept[r * s.cols + k] ? attn_scale : 0.f;
        sum += s.at(r, k) * y.at(r, k);
      }
      for (int64_t k = 0; k < s.cols; ++k) s.at(r, k) = (s.at(r, k) - sum) * y.at(r, k) * c.p.sm_scaler;
    }
    const In sc{ds.data(), d.q.length, d.k.length, d.k.length, 1};
    multiply(sc, c.head(c.k.data(), d.k, b, h), c.head(dq.data(), d.q, b, h), true);
    multiply(sc.t(), c.head(c.q.data(), d.q, b, h), c.head(dk.data(), d.k, b, h), true);
  }
  Floats dx;
  project_back(c, c.raw[0], dq, d.q, d.wq, d.bq, dx, dw);
  put(a.out[0], dx);
  project_back(c, c.raw[1], dk, d.k, d.wk, d.bk, dx, dw);
  put(a.out[1], dx);
  project_back(c, c.raw[2], dv, d.v, d.wv, d.bv, dx, dw);
  put(a.out[2], dx);
  put(a.out[3], dw);
}

double flops(const KernelQuery& q) {
  const P& p = q.attrs.param<P>();
  const Dims d = dims_of(p, q.in[0].shape, q.in[1].shape, q.in[2].shape);
  const auto product = [&](const Side& s) { return static_cast<double>(s.length * s.in * s.proj); };
  const double inner = static_cast<double>(d.heads * d.q.length * d.k.length * (d.q.head() + d.v.head()));
  return 2.0 * static_cast<double>(d.batch) *
         (product(d.q) + product(d.k) + product(d.v) + product({d.q.length, d.joined, p.oproj_size, 1}) + inner);
}

std::vector<Var> grad(const GradContext& c) {
  if (!c.dout[0].defined()) return std::vector<Var>(c.in.size());
  std::vector<Var> in{c.dout[0]};
  in.insert(in.end(), c.in.begin(), c.in.end());
  in.insert(in.end(), {c.out[1], c.out[2], c.out[3]});
  std::vector<Var> g = emit(Registry::get().at("MultiHeadAttnBackward"), c.attrs, in);
  g.resize(c.in.size());
  if (c.in.size() > 4) g[4] = Var();
  return g;
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(nn_multi_head_attn) {
  r.add(
      {.name = "MultiHeadAttn",
       .doc = "Multi-head attention with its projections; outputs the result, the attention weights and two reserves.",
       .mge = {"MultiHeadAttn"},
       .params = &param::MultiHeadAttn::kSchema,
       .min_inputs = 4,
       .max_inputs = 7,
       .outputs = outputs_attention,
       .infer = infer_attention,
       .kernels = {{.name = "reference", .run = attention_reference}},
       .grad = grad,
       .flops = flops,
       .random = true});
  r.add({.name = "MultiHeadAttnBackward",
         .doc = "The gradients of MultiHeadAttn for query, key, value and the packed weights.",
         .mge = {"MultiHeadAttnBackward"},
         .params = &param::MultiHeadAttn::kSchema,
         .min_inputs = 8,
         .max_inputs = 11,
         .outputs = outputs_attention_backward,
         .infer = infer_attention_backward,
         .kernels = {{.name = "reference", .run = attention_backward_reference}}});
}
