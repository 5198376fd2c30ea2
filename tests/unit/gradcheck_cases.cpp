// Gradient cases of elementwise ops, reductions, linear algebra, layout and indexing.
#include "gradcheck.h"

namespace megalith::gradcheck {
namespace {

using M = param::ElemwiseMode;
using R = param::ReduceMode;

const char* name_of(M m) { return enum_info<M>().name_of(static_cast<uint32_t>(m)); }

void add_elemwise(Adder add) {
  struct Unary {
    M mode;
    double lo, hi;
    bool second = true;
  };
  // The grid of inputs lies halfway between multiples of 0.1, away from kinks.
  for (const Unary& u : std::initializer_list<Unary>{
           {M::RELU, -1, 1},      {M::ABS, -1, 1},     {M::ACOS, -0.7, 0.7}, {M::ASIN, -0.7, 0.7},
           {M::CEIL, -2, 2},      {M::COS, -2, 2},     {M::EXP, -1, 1},      {M::EXPM1, -1, 1},
           {M::FLOOR, -2, 2},     {M::LOG, 0.4, 3},    {M::LOG1P, -0.4, 2},  {M::NEGATE, -1, 1},
           {M::SIGMOID, -3, 3},   {M::SIN, -2, 2},     {M::TANH, -2, 2},     {M::FAST_TANH, -2, 2},
           {M::ROUND, -1, 1},     {M::ERF, -1.5, 1.5}, {M::ERFINV, -.7, .7}, {M::ERFC, -1.5, 1.5},
           {M::ERFCINV, .4, 1.6}, {M::H_SWISH, -4, 4}, {M::SILU, -3, 3},     {M::GELU, -3, 3},
           {M::ISNAN, -1, 1},     {M::ISINF, -1, 1},   {M::SINH, -2, 2},     {M::COSH, -2, 2},
           {M::ASINH, -2, 2},     {M::ACOSH, 1.3, 3},  {M::ATANH, -.7, .7},  {M::TAN, -1, 1},
           {M::SOFTPLUS, -3, 3},  {M::RELU6, -1, 7},   {M::HSIGMOID, -4, 4}, {M::LOGSIGMOID, -3, 3},
           {M::SQRT, 0.4, 3},     {M::SQUARE, -2, 2},  {M::SIGN, -1, 1}}) {
    Tensor x = shuffled({3, 4}, 0, 1, 3);
    for (float& v : x.span<float>())
      v = static_cast<float>(std::floor((u.lo + (u.hi - u.lo) * static_cast<double>(v) / 12) * 10) / 10 + 0.05);
    add("Elemwise", name_of(u.mode), param::Elemwise{.mode = u.mode}, {x}).second = true;
  }

  struct Binary {
    M mode;
    double lo, hi, lo2, hi2;
  };
  for (const Binary& b : std::initializer_list<Binary>{{M::ADD, -1, 1, -1, 1},
                                                       {M::SUB, -1, 1, -1, 1},
                                                       {M::MUL, -1, 1, -1, 1},
                                                       {M::TRUE_DIV, -1, 1, 0.5, 2},
                                                       {M::POW, 0.5, 2, -1, 2},
                                                       {M::MOD, 2.3, 2.8, 1.03, 1.07},
                                                       {M::ATAN2, 0.3, 1, -1, 1},
                                                       {M::LOG_SUM_EXP, -1, 1, -1, 1},
                                                       {M::FUSE_ADD_SIGMOID, -1, 1, -1, 1},
                                                       {M::FUSE_ADD_TANH, -1, 1, -1, 1},
                                                       {M::FUSE_ADD_RELU, 0.1, 1, 0.1, 1},
                                                       {M::FUSE_ADD_H_SWISH, -1, 1, -1, 1},
                                                       {M::PRELU, 0, 0, 0.1, 0.5},
                                                       {M::SWITCH_GT0, 0, 0, -1, 1},
                                                       {M::MAX, 0, 0, 0, 0},
                                                       {M::MIN, 0, 0, 0, 0},
                                                       {M::LT, 0, 0, 0, 0},
                                                       {M::LEQ, 0, 0, 0, 0},
                                                       {M::EQ, 0, 0, 0, 0},
                                                       {M::NEQ, 0, 0, 0, 0},
                                                       {M::FLOOR_DIV, 2.3, 2.8, 1.03, 1.07},
                                                       {M::ABS_GRAD, 0, 0, -1, 1},
                                                       {M::SIGMOID_GRAD, 0.1, 0.9, -1, 1},
                                                       {M::TANH_GRAD, -0.9, 0.9, -1, 1},
                                                       {M::FAST_TANH_GRAD, -1, 1, -1, 1},
                                                       {M::H_SWISH_GRAD, -2.5, 2.5, -1, 1},
                                                       {M::SILU_GRAD, -2, 2, -1, 1},
                                                       {M::GELU_GRAD, -2, 2, -1, 1},
                                                       {M::ASINH_GRAD, -2, 2, -1, 1},
                                                       {M::ACOSH_GRAD, 1.4, 3, -1, 1},
                                                       {M::ATANH_GRAD, -0.6, 0.6, -1, 1},
                                                       {M::SOFTPLUS_GRAD, -2, 2, -1, 1},
                                                       {M::RELU6_GRAD, 0, 0, -1, 1},
                                                       {M::HSIGMOID_GRAD, -2.5, 2.5, -1, 1}}) {
    const Shape shapes[][2] = {{{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{1}, {2, 3}}};
    for (const auto& s : shapes) {
      // Without a range: two grids around zero that are 0.05 apart.
      const Tensor x = b.lo == b.hi ? shuffled(s[0], -0.25, 0.1, 5) : uniform(s[0], b.lo, b.hi, 6);
      const Tensor y = b.lo2 == b.hi2 ? shuffled(s[1], -0.2, 0.1, 7) : uniform(s[1], b.lo2, b.hi2, 8);
      add("Elemwise", cat(name_of(b.mode), " ", s[0], s[1]), param::Elemwise{.mode = b.mode}, {x, y}).second = true;
    }
  }

  const auto ternary = [&](M m, const Tensor& x, const Tensor& y, const Tensor& z) {
    add("Elemwise", cat(name_of(m), " ", x.shape(), y.shape(), z.shape()), param::Elemwise{.mode = m}, {x, y, z})
        .second = true;
  };
  const Shape full{2, 3};
  for (const Shape& s : {full, Shape{3}, Shape{1}}) {
    for (const M m : {M::COND_LEQ_MOV, M::COND_LT_MOV})
      ternary(m, shuffled(full, -0.25, 0.1, 1), shuffled(s, -0.2, 0.1, 2), uniform(full, -1, 1, 3));
    ternary(M::COND_LT_MOV, shuffled(full, -0.25, 0.1, 1), shuffled(full, -0.2, 0.1, 2), uniform(s, -1, 1, 3));
    ternary(M::FUSE_MUL_ADD3, uniform(s, -1, 1, 1), uniform(full, -1, 1, 2), uniform(full, -1, 1, 3));
    ternary(M::FUSE_MUL_ADD3, uniform(full, -1, 1, 1), uniform(s, -1, 1, 2), uniform(s, -1, 1, 3));
    ternary(M::PRELU_GRAD, shuffled(full, -0.25, 0.1, 1), uniform(full, -1, 1, 2), uniform(s, 0.1, 0.5, 3));
    Tensor lo = uniform(s, -0.19, -0.18, 2), hi = uniform(s, 0.18, 0.19, 3);
    ternary(M::CLIP, shuffled(full, -0.25, 0.1, 1), lo, hi);
  }
  for (int k = 0; k < 4; ++k) {
    std::vector<Tensor> in;
    for (int i = 0; i < 4; ++i) in.push_back(uniform(i == k ? Shape{3} : full, -1, 1, static_cast<uint32_t>(i)));
    add("Elemwise", cat("FUSE_MUL_ADD4 ", k), param::Elemwise{.mode = M::FUSE_MUL_ADD4}, in).second = true;
  }
  for (const float e : {0.f, 1.f, 2.f, 3.f, -1.f, -2.f, 0.5f, 1.7f})
    add("PowC", cat(e), param::PowC{.exp = e}, {uniform({2, 3}, 0.5, 2, 4)}).second = true;
  add("TypeCvt", "", param::TypeCvt{.dtype = DTypeEnum::Float32}, {uniform({2, 3}, -1, 1, 4)}).second = true;
}

void add_reduce(Adder add) {
  for (const R m : {R::SUM, R::SUM_SQR, R::PRODUCT, R::MIN, R::MAX, R::MEAN}) {
    const char* name = enum_info<R>().name_of(static_cast<uint32_t>(m));
    const Tensor x = shuffled({2, 3, 2}, 0.5, 0.1, 2);
    for (const int axis : {0, 1, -1})
      add("Reduce", cat(name, " axis ", axis), param::Reduce{.mode = m, .axis = axis}, {x}).second = true;
    for (const std::vector<int32_t>& t :
         std::vector<std::vector<int32_t>>{{1}, {1, 3, 1}, {2, 1, 2}, {3, 2}, {2, 3, 2}, {2}}) {
      std::string label;
      for (const int32_t v : t) label += " " + std::to_string(v);
      add("Reduce", cat(name, " to", label), param::Reduce{.mode = m}, {x, ints(t)}).second = true;
    }
  }
  for (const bool exclusive : {false, true}) {
    for (const bool reverse : {false, true})
      add("Cumsum", cat(exclusive, reverse), param::Cumsum{.axis = 1, .exclusive = exclusive, .reverse = reverse},
          {uniform({2, 4, 2}, -1, 1, 3)})
          .second = true;
  }
  for (const int axis : {0, -1}) {
    add("Softmax", cat("axis ", axis), param::Softmax{.axis = axis}, {uniform({3, 4}, -1, 1, 3)}).second = true;
    add("SoftmaxBackward", cat("axis ", axis), param::Softmax{.axis = axis},
        {uniform({3, 4}, 0.1, 0.4, 3), uniform({3, 4}, -1, 1, 4)})
        .second = true;
  }
}

void add_linalg(Adder add) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const auto shape = [](bool t, int64_t a, int64_t b, std::vector<int64_t> lead) {
        lead.push_back(t ? b : a);
        lead.push_back(t ? a : b);
        return Shape(std::span<const int64_t>(lead));
      };
      const param::MatrixMul p{.transposeA = ta, .transposeB = tb};
      add("MatrixMul", cat(ta, tb), p, {uniform(shape(ta, 2, 3, {}), -1, 1, 1), uniform(shape(tb, 3, 4, {}), -1, 1, 2)})
          .second = true;
      add("BatchedMatrixMul", cat(ta, tb), p,
          {uniform(shape(ta, 2, 3, {2}), -1, 1, 1), uniform(shape(tb, 3, 2, {2}), -1, 1, 2)})
          .second = true;
      add("BatchedMatrixMul", cat(ta, tb, " broadcast"), p,
          {uniform(shape(ta, 2, 3, {2, 1}), -1, 1, 1), uniform(shape(tb, 3, 2, {1, 2}), -1, 1, 2)})
          .second = true;
    }
  }
  add("Dot", "", param::Empty{}, {uniform({4}, -1, 1, 1), uniform({4}, -1, 1, 2)}).second = true;
  add("Dot", "broadcast", param::Empty{}, {uniform({1}, -1, 1, 1), uniform({4}, -1, 1, 2)}).second = true;
  const Tensor a = numbers({2, 2}, {2, 0.5f, -0.3f, 1.5f}), b = numbers({2, 2, 2}, {2, 1, 0.5f, 3, -1, 0.2f, 0.3f, 2});
  add("MatrixInverse", "", param::Empty{}, {a}).second = true;
  add("MatrixInverse", "batch", param::Empty{}, {b}).second = true;
  for (const Shape& s : {Shape{2, 3}, Shape{3, 2}, Shape{2, 2}, Shape{2, 3, 2}}) {
    for (int out = 0; out < 4; ++out) {
      Case& c = add("SVD", cat(s, " output ", out), param::SVD{}, {uniform(s, -1, 1, 11)});
      c.options.outs = out == 3 ? std::vector<int>{0, 1, 2} : std::vector<int>{out};
      c.options.step = 0.004;
    }
  }
  add("SVD", "full", param::SVD{.full_matrices = true}, {uniform({2, 3}, -1, 1, 12)}).options.outs = {1};
}

void add_layout(Adder add) {
  const Tensor x = uniform({2, 3, 4}, -1, 1, 1);
  for (const char* op : {"Identity", "Copy", "MarkDynamicVar", "MarkNoBroadcastElemwise"})
    add(op, "", param::Empty{}, {x}).second = true;
  add("PersistentOutputStorage", "", param::PersistentOutputStorage{}, {x}).second = true;
  add("Sleep", "", param::MGBSleep{.device = false}, {x});
  add("VirtualDep", "", Params(), {x, uniform({2}, -1, 1, 2)}).second = true;
  add("Reshape", "", param::OptionalAxisV1{}, {x, ints({6, 4})}).second = true;
  add("Reshape", "inferred", param::OptionalAxisV1{1}, {x, ints({8, -1})}).second = true;
  add("Broadcast", "", param::Empty{}, {uniform({3, 1}, -1, 1, 1), ints({2, 3, 4})}).second = true;
  add("Dimshuffle", "permute", Params(param::Dimshuffle{.ndim = 3}, {2, 0, 1}), {x}).second = true;
  add("Dimshuffle", "add", Params(param::Dimshuffle{.ndim = 3}, {2, -1, 0, 1}), {x}).second = true;
  add("Dimshuffle", "drop", Params(param::Dimshuffle{.ndim = 4}, {3, 0}), {uniform({2, 1, 1, 3}, -1, 1, 2)}).second =
      true;
  add("Dimshuffle", "drop last", Params(param::Dimshuffle{.ndim = 3}, {1, 0}), {uniform({2, 3, 1}, -1, 1, 2)});
  add("AxisAddRemove", "add", Params(param::AxisAddRemove{}, {0, 1, 0, 0}), {x}).second = true;
  add("AxisAddRemove", "remove", Params(param::AxisAddRemove{}, {1, 1}), {uniform({2, 1, 3}, -1, 1, 2)}).second = true;
  for (const int axis : {1, -2})
    add("Concat", cat("axis ", axis), param::Axis{axis},
        {x, uniform({2, 1, 4}, -1, 1, 2), uniform({2, 2, 4}, -1, 1, 3)})
        .second = true;
  Case& split = add("Split", "", param::Axis{1}, {x, ints({1}), ints({2})});
  split.options.outs = {0, 1};
  split.second = true;
  add("Split", "one part unused", param::Axis{-1}, {x, ints({1}), ints({3})}).options.outs = {1};
  for (const int k : {0, 1, -1}) {
    add("Diag", cat("matrix ", k), param::Diag{k}, {uniform({3, 4}, -1, 1, 1)}).second = true;
    add("Diag", cat("vector ", k), param::Diag{k}, {uniform({3}, -1, 1, 1)}).second = true;
    add("DiagBackward", cat(k), param::Diag{k}, {ints({3, 4}), uniform({k < 0 ? 2 : 3}, -1, 1, 1)}).second = true;
  }
  for (const bool endpoint : {false, true}) {
    Case& c = add("Linspace", cat(endpoint), param::Linspace{.endpoint = endpoint},
                  {numbers({1}, {-1}), numbers({1}, {2.5f}), ints({5})});
    c.second = true;
  }
  const Tensor mask = Tensor::of<uint8_t>(DTypeEnum::Bool, {2, 3}, std::vector<uint8_t>{1, 0, 0, 1, 0, 1});
  add("MaskedFill", "", param::Fill{.value = 0.5f}, {x, mask}).second = true;
  for (const auto m : {param::PaddingMode::CONSTANT, param::PaddingMode::REFLECT, param::PaddingMode::REPLICATE}) {
    param::Padding p;
    p.padding_mode = m;
    p.padding_val = 0.5f;
    p.front_offset_dim0 = 1;
    p.front_offset_dim1 = 2;
    p.back_offset_dim1 = 1;
    p.back_offset_dim2 = 3;
    const char* name = enum_info<param::PaddingMode>().name_of(static_cast<uint32_t>(m));
    add("Padding", name, p, {uniform({2, 3, 4}, -1, 1, 1)}).second = true;
    Case& c = add("PaddingBackward", name, p, {uniform({3, 6, 7}, -1, 1, 1), uniform({2, 3, 4}, -1, 1, 2)});
    c.options.wrt = {true, false};
    c.second = true;
  }
}

void add_indexing(Adder add) {
  const Tensor x = uniform({4, 3, 5}, -1, 1, 1);
  using D = param::IndexDescMaskDump;
  // Axis 0 from 1 with step 2, a number on axis 1 counted from the end, axis 2 backwards.
  const std::vector<int32_t> items = {0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 2, 0, 0, 1, 0};
  const std::vector<Tensor> index = {ints({1}), ints({2}), ints({-2}), ints({-1})};
  const auto with = [&](std::vector<Tensor> in, const std::vector<Tensor>& more) {
    in.insert(in.end(), more.begin(), more.end());
    return in;
  };
  add("Subtensor", "", Params(D{}, items), with({x}, index)).second = true;
  for (const char* op : {"SetSubtensor", "IncrSubtensor"}) {
    add(op, "", Params(D{}, items), with({x, uniform({2, 5}, -1, 1, 2)}, index)).second = true;
    add(op, "broadcast value", Params(D{}, items), with({x, uniform({2, 1}, -1, 1, 2)}, index)).second = true;
    add(op, "single value", Params(D{}, items), with({x, uniform({1}, -1, 1, 2)}, index)).second = true;
  }
  // Vectors on axes 0 and 2 and a slice of axis 1; elements are hit twice.
  const std::vector<int32_t> vectors = {0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 2, 0, 0, 0, 1};
  const std::vector<Tensor> at = {ints({3, 0, 3}), ints({1}), ints({4, -1, 4})};
  const std::vector<Tensor> distinct = {ints({3, 0, 1}), ints({1}), ints({4, -2, 0})};
  add("IndexingMultiAxisVec", "", Params(D{}, vectors), with({x}, at)).second = true;
  add("IndexingIncrMultiAxisVec", "", Params(D{}, vectors), with({x, uniform({3, 2}, -1, 1, 2)}, at)).second = true;
  add("IndexingSetMultiAxisVec", "", Params(D{}, vectors), with({x, uniform({3, 2}, -1, 1, 2)}, distinct)).second =
      true;
  add("IndexingSetMultiAxisVec", "broadcast value", Params(D{}, vectors), with({x, uniform({1}, -1, 1, 2)}, distinct))
      .second = true;
  const std::vector<int32_t> mesh = {0, 0, 0, 0, 1, 2, 0, 0, 0, 1};
  const std::vector<Tensor> grid = {ints({3, 0}), ints({4, 1, 2})}, grid2 = {ints({3, 3}), ints({4, 1, 1})};
  add("MeshIndexing", "", Params(D{}, mesh), with({x}, grid2)).second = true;
  add("IncrMeshIndexing", "", Params(D{}, mesh), with({x, uniform({2, 3, 3}, -1, 1, 2)}, grid2)).second = true;
  add("SetMeshIndexing", "", Params(D{}, mesh), with({x, uniform({2, 3, 3}, -1, 1, 2)}, grid)).second = true;
  const std::vector<int32_t> batched = {2, 0, 0, 0, 1};
  const Tensor rows = ints({4, 2}, {0, 1, 4, 2, 3, 1, 0, 2});
  add("BatchedMeshIndexing", "", Params(D{}, batched), {x, rows}).second = true;
  add("BatchedIncrMeshIndexing", "", Params(D{}, batched), {x, uniform({4, 3, 2}, -1, 1, 2), rows}).second = true;
  add("BatchedSetMeshIndexing", "", Params(D{}, batched), {x, uniform({4, 3, 2}, -1, 1, 2), rows}).second = true;
  const Tensor hot = ints({2, 2}, {0, 2, 1, 0});
  add("IndexingOneHot", "", param::Axis{1}, {uniform({2, 3, 2}, -1, 1, 1), hot}).second = true;
  add("IndexingSetOneHot", "", param::Axis{1}, {uniform({2, 3, 2}, -1, 1, 1), hot, uniform({2, 1, 2}, -1, 1, 2)})
      .second = true;
  const Tensor map = ints({2, 2, 2}, {0, 1, 1, 2, 0, 1, 1, 0});
  add("IndexingRemap", "", param::IndexingRemap{}, {uniform({2, 3}, -1, 1, 1), map}).second = true;
  Case& back = add("IndexingRemapBackward", "", param::IndexingRemap{},
                   {uniform({2, 2}, -1, 1, 1), map, uniform({2, 3}, -1, 1, 2)});
  back.options.wrt = {true, false, false};
  back.second = true;
  const Tensor order = shuffled({2, 5}, -1, 0.2, 4);
  for (const auto o : {param::ArgsortOrder::ASCENDING, param::ArgsortOrder::DESCENDING})
    add("Argsort", cat(static_cast<int>(o)), param::Argsort{.order = o}, {order}).second = true;
  Case& unsort =
      add("ArgsortBackward", "", param::Empty{}, {uniform({2, 3}, -1, 1, 1), ints({2, 3}, {4, 0, 2, 1, 3, 0}), order});
  unsort.options.wrt = {true, false, false};
  unsort.second = true;
  for (const auto m :
       {param::TopKMode::KTH_ONLY, param::TopKMode::VALUE_IDX_NOSORT, param::TopKMode::VALUE_IDX_SORTED}) {
    for (const int32_t k : {2, -3})
      add("TopK", cat(static_cast<int>(m), " ", k), param::TopK{.mode = m}, {order, ints({k})}).second = true;
  }
  Case& take = add("CondTake", "", param::CondTake{.mode = param::CondTakeMode::GT, .val = 0.5f},
                   {uniform({2, 3}, -1, 1, 1), numbers({2, 3}, {1, 0, 0, 1, 1, 0})});
  take.options.wrt = {true, false};
  take.second = true;
}

}  // namespace

void add_basic_cases(std::vector<Case>& all) {
  const Adder add{all};
  add_elemwise(add);
  add_reduce(add);
  add_linalg(add);
  add_layout(add);
  add_indexing(add);
}

}  // namespace megalith::gradcheck
