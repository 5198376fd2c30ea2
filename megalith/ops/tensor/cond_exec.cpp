// Conditional execution: CondExecPred compares a number with branch keys, CondExecMark makes its inputs depend on one
// of the outcomes (propositions), CondExecMerge collects the outputs of the branches that ran.
//
// Propositions are known while planning: a plan belongs to one outcome. The values behind a mark whose proposition
// does not hold are absent, and so is everything that is computed from them, up to a CondExecMerge.
#include "megalith/ops/op_util.h"

namespace megalith {
namespace {

using PredMode = param::CondExecPredMode;
using LogicalMode = param::CondExecPredLogicalMode;
using MergeMode = param::CondExecMergeMode;

void set_proposition(InferContext& c, int o, bool holds) {
  const int32_t v = holds;
  c.set(o, DTypeEnum::Int32, {1});
  c.out[static_cast<size_t>(o)].value = Tensor::of<int32_t>(DTypeEnum::Int32, {1}, std::span<const int32_t>(&v, 1));
}

// ---- CondExecPred: the keys, then the number

int outputs_pred(const Attrs& a, int n) {
  return std::max(n - 1, 0) + (a.param<param::CondExecPred>().mode != PredMode::CASE ? 1 : 0);
}

void infer_pred(InferContext& c) {
  const auto& p = c.param<param::CondExecPred>();
  c.require(static_cast<uint32_t>(p.mode) <= 2, "unknown mode ", static_cast<uint32_t>(p.mode));
  const int keys = c.nin() - 1;
  for (int i = 0; i <= keys; ++i) {
    c.require(c.shape(i).count() == 1, "input ", i, " has shape ", c.shape(i), ", but keys and predicate are numbers");
    c.require(c.dtype(i) == c.dtype(keys) && (c.dtype(i).is_float() || c.dtype(i).is_int()), "key ", i, " is ",
              c.dtype(i).str(), ", the predicate ", c.dtype(keys).str());
  }
  const double x = c.value(keys).item();
  // Where the predicate stands relative to a key.
  enum { kBelow, kEqual, kAbove };
  const auto compare = [&](int i) {
    const double k = c.value(i).item();
    const bool equal = c.dtype(i).is_float() ? std::fabs(x - k) < static_cast<double>(p.eps) : x == k;
    return equal ? kEqual : x < k ? kBelow : kAbove;
  };
  if (p.mode == PredMode::PIECEWISE) {
    for (int i = 0; i <= keys; ++i)
      set_proposition(c, i, (i == 0 || compare(i - 1) != kBelow) && (i == keys || compare(i) == kBelow));
    return;
  }
  bool any = false;
  for (int i = 0; i < keys; ++i) {
    const bool holds = compare(i) == kEqual;
    set_proposition(c, i, holds);
    any = any || holds;
  }
  if (p.mode == PredMode::CASE_FALLBACK) set_proposition(c, keys, !any);
}

// ---- CondExecPredLogical

bool holds(const InferContext& c, int i) { return c.value(i).item() != 0; }

void require_proposition(const InferContext& c, int i) {
  c.require(c.dtype(i).id == DTypeEnum::Int32 && c.shape(i).count() == 1, "input ", i, " is ", c.dtype(i).str(), " ",
            c.shape(i), " and no proposition");
}

void infer_logical(InferContext& c) {
  const LogicalMode m = c.param<param::CondExecPredLogical>().mode;
  int count = 0;
  for (int i = 0; i < c.nin(); ++i) {
    require_proposition(c, i);
    count += holds(c, i);
  }
  switch (m) {
    case LogicalMode::OR: return set_proposition(c, 0, count > 0);
    case LogicalMode::AND: return set_proposition(c, 0, count == c.nin());
    case LogicalMode::XOR: return set_proposition(c, 0, count % 2 == 1);
    case LogicalMode::NOR: return set_proposition(c, 0, count == 0);
    case LogicalMode::NAND: return set_proposition(c, 0, count < c.nin());
    case LogicalMode::XNOR: return set_proposition(c, 0, count % 2 == 0);
  }
  c.fail("unknown mode ", static_cast<uint32_t>(m));
}

void known_only(const KernelArgs&) { throw OpError("conditional execution needs a graph that is planned"); }

// ---- CondExecMark: the inputs, then the proposition

int outputs_mark(const Attrs&, int n) { return std::max(n - 1, 1); }

void infer_mark(InferContext& c) {
  const int prop = c.nin() - 1;
  const int outer = c.in[static_cast<size_t>(prop)].absent;  // the proposition belongs to a branch that is not taken
  if (outer == 0) require_proposition(c, prop);
  int levels = outer > 0 ? outer + 1 : holds(c, prop) ? 0 : 1;
  for (int i = 0; i < prop; ++i) levels = std::max(levels, c.in[static_cast<size_t>(i)].absent);
  for (int i = 0; i < prop; ++i) {
    c.set(i, c.dtype(i), c.shape(i));
    c.out[static_cast<size_t>(i)].absent = levels;
  }
}

bool view_mark(const InferContext&, std::span<const Layout> in, std::span<View> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = {static_cast<int>(i), in[i], 0};
  return true;
}

void mark_reference(const KernelArgs& a) {
  for (size_t i = 0; i < a.out.size(); ++i) copy_strided(a.in[i], a.out[i]);
}

// Inputs: a value that may be conditional, and the value that shall be so too.
void infer_mark_if_need(InferContext& c) { c.set(0, c.dtype(1), c.shape(1)); }

bool view_second(const InferContext&, std::span<const Layout> in, std::span<View> out) {
  out[0] = {1, in[1], 0};
  return true;
}

void second_reference(const KernelArgs& a) { copy_strided(a.in[1], a.out[0]); }

// ---- CondExecMerge: the outputs of one branch after the other; then, by mode, output shapes or a proposition

int outputs_merge(const Attrs& a, int) {
  return static_cast<int>(std::min<uint32_t>(a.param<param::CondExecMerge>().nr_output, 1 << 16));
}

bool sums(const Attrs& a) {
  const MergeMode m = a.param<param::CondExecMerge>().mode;
  return m == MergeMode::SUM || m == MergeMode::SUM_COND_OUT;
}

// The number of inputs that belong to branches.
int branch_inputs(const Attrs& a, int nin) {
  const MergeMode m = a.param<param::CondExecMerge>().mode;
  return nin - (m == MergeMode::SUM ? outputs_merge(a, nin) : m == MergeMode::SUM_COND_OUT ? 1 : 0);
}

// The first input of every branch that ran.
std::vector<int> present(const InferContext& c) {
  const int outs = static_cast<int>(c.out.size()), n = branch_inputs(c.attrs, c.nin());
  std::vector<int> r;
  for (int i = 0; i < n; i += outs) {
    bool all = true;
    for (int k = i; k < i + outs; ++k) all = all && c.in[static_cast<size_t>(k)].absent == 0;
    if (all) r.push_back(i);
  }
  return r;
}

void infer_merge(InferContext& c) {
  const auto& p = c.param<param::CondExecMerge>();
  c.require(static_cast<uint32_t>(p.mode) <= 3, "unknown mode ", static_cast<uint32_t>(p.mode));
  const int outs = static_cast<int>(c.out.size()), n = branch_inputs(c.attrs, c.nin());
  c.require(outs > 0 && n >= outs && n % outs == 0, "has ", c.nin(), " inputs for ", outs, " outputs");
  for (int i = outs; i < n; ++i)
    c.require(c.dtype(i) == c.dtype(i % outs), "branches differ: ", c.dtype(i).str(), " and ", c.dtype(i % outs).str());
  const std::vector<int> branches = present(c);
  int levels = branches.empty() ? INT32_MAX : 0;
  for (int i = 0; i < n && branches.empty(); ++i) levels = std::min(levels, c.in[static_cast<size_t>(i)].absent);
  if (p.mode != MergeMode::SUM_COND_OUT) levels = std::max(levels - 1, 0);
  if (levels > 0) {
    for (int o = 0; o < outs; ++o) {
      c.set(o, c.dtype(o), c.shape(o));
      c.out[static_cast<size_t>(o)].absent = levels;
    }
    return;
  }
  c.require(sums(c.attrs) || branches.size() == 1, branches.empty() ? "no branch is" : "more than one branch is",
            " selected");
  for (int o = 0; o < outs; ++o) {
    TensorSpec& out = c.out[static_cast<size_t>(o)];
    if (branches.empty() && p.mode == MergeMode::SUM) {
      const std::vector<int64_t> dims = c.ints(n + o, kMaxDims);
      for (const int64_t d : dims) c.require(d >= 0 && d < int64_t{1} << 40, "dimension ", d, " makes no sense");
      c.set(o, c.dtype(o), Shape(std::span<const int64_t>(dims)));
      continue;
    }
    c.set(o, c.dtype(o), c.shape(branches[0] + o));
    for (const int b : branches)
      c.require(c.shape(b + o) == out.shape, "branches of shapes ", out.shape, " and ", c.shape(b + o),
                " can't be added");
  }
}

bool view_merge(const InferContext& c, std::span<const Layout> in, std::span<View> out) {
  const std::vector<int> branches = present(c);
  if (branches.size() != 1) return false;
  for (size_t o = 0; o < out.size(); ++o) {
    const size_t i = static_cast<size_t>(branches[0]) + o;
    out[o] = {static_cast<int>(i), in[i], 0};
  }
  return true;
}

// Absent inputs arrive as undefined tensors.
void merge_reference(const KernelArgs& a) {
  const size_t outs = a.out.size(), n = static_cast<size_t>(branch_inputs(a.attrs, static_cast<int>(a.in.size())));
  for (size_t o = 0; o < outs; ++o) {
    const Tensor& out = a.out[o];
    std::memset(out.data<char>(), 0, out.bytes());
    dispatch_storage(out.dtype(), [&](auto tag) {
      using T = decltype(tag);
      for (size_t i = o; i < n; i += outs) {
        if (!a.in[i].defined()) continue;
        const T* x = a.in[i].data<T>();
        for (int64_t k = 0; k < out.count(); ++k) out.data<T>()[k] = static_cast<T>(out.data<T>()[k] + x[k]);
      }
    });
  }
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(tensor_cond_exec) {
  using namespace megalith::param;
  r.add({.name = "CondExecPred",
         .doc = "Which of several branches a number selects: one proposition per key.",
         .mge = {"CondExecPred"},
         .params = &CondExecPred::kSchema,
         .max_inputs = -1,
         .outputs = outputs_pred,
         .infer = infer_pred,
         .kernels = {{.name = "reference", .run = known_only}}});
  r.add({.name = "CondExecPredLogical",
         .doc = "Propositions joined by a logical function.",
         .mge = {"CondExecPredLogical"},
         .params = &CondExecPredLogical::kSchema,
         .max_inputs = -1,
         .infer = infer_logical,
         .kernels = {{.name = "reference", .run = known_only}}});
  r.add({.name = "CondExecMark",
         .doc = "Inputs that exist only where the last one, a proposition, holds.",
         .mge = {"CondExecMark"},
         .params = &CondExecMark::kSchema,
         .min_inputs = 2,
         .max_inputs = -1,
         .outputs = outputs_mark,
         .infer = infer_mark,
         .view = view_mark,
         .kernels = {{.name = "reference", .run = mark_reference, .strided = true}},
         .takes_absent = true});
  r.add({.name = "CondExecMarkIfNeed",
         .doc = "Input 1, which exists only where input 0 does.",
         .mge = {"CondExecMarkIfNeed"},
         .params = &CondExecMark::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_mark_if_need,
         .view = view_second,
         .kernels = {{.name = "reference", .run = second_reference, .strided = true}}});
  r.add({.name = "CondExecMerge",
         .doc = "The outputs of the branch that ran, or the sum over those that ran.",
         .mge = {"CondExecMerge"},
         .params = &CondExecMerge::kSchema,
         .max_inputs = -1,
         .outputs = outputs_merge,
         .infer = infer_merge,
         .view = view_merge,
         .kernels = {{.name = "reference", .run = merge_reference}},
         .takes_absent = true});
}
