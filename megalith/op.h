// OpDef: everything there is to know about one op, and the registry that finds it by name.
//
// An op file (megalith/ops/<family>/<name>.cpp) reads top to bottom: shape rule, reference kernel, faster kernels,
// gradient, and a MEGALITH_OPS block that adds the OpDefs. See CONTRIBUTING.md, "Add an op".
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "megalith/exec.h"
#include "megalith/params.h"
#include "megalith/tensor.h"

namespace megalith {

struct OpDef;
class Var;

// How FBS_V2 says that a value lies in memory; kept for writing, where values lie here is the plan's business.
struct TensorFormat {
  enum Kind : uint8_t { kNone = 0, kDefault = 1, kImage2DPacked = 2, kLowbitsAligned = 3 } kind = kNone;
  uint8_t fields[2] = {0, 0};  // align_axis; or size_nbits, align_size_in_bits
};

// A tensor that belongs to a node: a constant, a parameter, or the declaration of a graph input (no value).
struct NamedTensor {
  std::string name;
  DType dtype;
  Shape shape;
  Tensor value;
  std::string comp_node = {};  // device locator, where it is not the node's
  TensorFormat format = {};
};

// What makes one use of an op different from another, inputs apart.
struct Attrs {
  Params params;                      // of OpDef::params; no schema when the op stores none
  std::optional<Params> policy;       // ExecutionPolicy, where the op stores one; kept for writing
  std::optional<DType> output_dtype;  // the configured output type (ConvBias, quantized elementwise, ...)
  std::vector<NamedTensor> tensors;   // constants, parameters and inputs only
  std::vector<std::string> blobs;     // raw bytes of ops with a private format; kept for writing

  template <class P>
  const P& param() const {
    return params.as<P>();
  }
};

// What is known about a value before running.
struct TensorSpec {
  DType dtype;
  Shape shape;
  Tensor value;  // defined when the value is already known
  // Above 0: the value belongs to a branch that is not taken, and this many merges away there may be one again. Type
  // and shape are then a guess.
  int absent = 0;
};

// Thrown by InferContext::value when a shape rule needs a value that is not known yet: the plan is cut there.
struct NeedValue {
  int input;
};

// The arguments of a shape rule. It fills `out` (sized by OpDef::outputs) or calls fail().
struct InferContext {
  const OpDef& op;
  const Attrs& attrs;
  std::span<const TensorSpec> in;
  std::span<TensorSpec> out;
  std::string_view node_name;

  template <class P>
  const P& param() const {
    return attrs.params.as<P>();
  }
  int nin() const { return static_cast<int>(in.size()); }
  const Shape& shape(int i) const { return in[static_cast<size_t>(i)].shape; }
  DType dtype(int i) const { return in[static_cast<size_t>(i)].dtype; }
  // The known value of input i; throws NeedValue when it is not known.
  const Tensor& value(int i) const;
  // The same as integers, row-major; fails unless the input has an integer type. At most `limit` of them.
  std::vector<int64_t> ints(int i, int64_t limit = 1024) const;
  void set(int o, DType dtype, const Shape& shape) const { out[static_cast<size_t>(o)] = {dtype, shape, {}, 0}; }
  int axis(int64_t axis, int ndim) const;  // negative axes resolved; fails when out of range

  // Throws OpError "Op 'name': <parts>".
  template <class... Ts>
  [[noreturn]] void fail(const Ts&... parts) const {
    fail_with(cat(parts...));
  }
  template <class... Ts>
  void require(bool ok, const Ts&... parts) const {
    if (!ok) fail_with(cat(parts...));
  }
  [[noreturn]] void fail_with(const std::string& what) const;
};

// An output that is an input seen differently: no kernel runs.
struct View {
  int input = -1;  // -1: this output is no view
  Layout layout;
  int64_t offset = 0;  // elements
};

// What kernel selection looks at. Shapes and types are final; values may be known.
struct KernelQuery {
  const Attrs& attrs;
  std::span<const TensorSpec> in;
  std::span<const TensorSpec> out;
};

struct KernelArgs {
  const Attrs& attrs;
  std::span<const Tensor> in;
  std::span<Tensor> out;  // allocated, except those of a `dynamic` op, which the kernel sets itself
  Exec& exec;

  template <class P>
  const P& param() const {
    return attrs.params.as<P>();
  }
};

// How an output lies in memory. Values in plans and of eager calls need not be row-major: images (N, C, H, W), and
// those with blocks of channels, may be stored channels-last, which is what convolutions read fastest. A kernel that is
// not `strided` never sees it.
enum class Order : uint8_t {
  kRowMajor,
  kLikeInput,     // channels-last when an input is
  kChannelsLast,  // of outputs with 4 or 5 axes
};

// One implementation. Kernels stand in order of priority; the reference comes last and accepts whatever the op accepts.
struct Kernel {
  const char* name;
  void (*run)(const KernelArgs&);
  bool (*accepts)(const KernelQuery&) = nullptr;      // null: everything
  size_t (*workspace)(const KernelQuery&) = nullptr;  // bytes
  bool strided = false;                               // takes inputs with any strides; otherwise they arrive row-major
  bool inplace = false;  // output 0 may be written over an input of the same shape and width while it is read
  Order order = Order::kRowMajor;
};

// Where `kernel` wants an output of this type and shape.
Layout output_layout(const Kernel& kernel, DType dtype, const Shape& shape, std::span<const Layout> in);

enum class OpKind : uint8_t {
  kCompute,
  kInput,      // a graph input (Host2DeviceCopy)
  kConstant,   // never changes (ImmutableTensor)
  kParameter,  // a value that outlives runs and that updates may write (SharedDeviceTensor)
};

// The name under which MegEngine stores an op. "ConvolutionV2" with max_version 2 has the ids of FBS
// ("ConvolutionV2\0"), of FBS v0 and opr_version 1 ("Convolution"), and of opr_version 2 ("Convolution\0").
struct MgeName {
  const char* v1_name = nullptr;
  int max_version = 1;
};

struct GradContext;

// Which inputs and outputs of an op its gradient reads, a bit each. Of the others it needs the shape and type at most:
// a tensor of the same shape whose elements all share one place in memory will do.
struct GradReads {
  uint32_t in = ~0u;
  uint32_t out = ~0u;
};

struct OpDef {
  const char* name;  // MegEngine's, without version suffix
  Doc doc;           // one line: what it computes
  MgeName mge;       // v1_name null: not stored in `.mge` files
  OpKind kind = OpKind::kCompute;
  const ParamSchema* params = nullptr;  // null: the op stores no parameter table
  bool policy = false;                  // stores an ExecutionPolicy behind its parameters
  int min_inputs = 1;
  int max_inputs = 1;                                    // -1: any number
  int (*outputs)(const Attrs&, int n_inputs) = nullptr;  // number of outputs; null: 1
  void (*infer)(InferContext&) = nullptr;
  // Fills one View per output when the outputs can share the inputs' memory for these layouts; false: run a kernel.
  bool (*view)(const InferContext&, std::span<const Layout> in, std::span<View> out) = nullptr;
  std::vector<Kernel> kernels;
  std::vector<Var> (*grad)(const GradContext&) = nullptr;  // one Var per input, undefined where there is no gradient
  GradReads (*grad_reads)(const Attrs&, const std::vector<bool>& needs) = nullptr;  // null: everything
  // For ops that `.mge` files have no place for: the same made of ops that they know, from graph values whose types and
  // shapes are known; undefined for outputs that can't be had.
  std::vector<Var> (*expand)(const Attrs&, const std::vector<Var>& in, std::span<const TensorSpec>) = nullptr;
  double (*flops)(const KernelQuery&) = nullptr;  // multiplications and additions count one each; null: no formula
  std::vector<std::pair<int, int>> updates;       // (output, input): the output is written over that input's storage
  bool (*updates_when)(const Attrs&, int n_inputs) = nullptr;  // null: every use of the op updates
#ifdef MEGALITH_TRIMMED
  static constexpr bool dynamic = false, random = false, takes_absent = false;  // of no op
#else
  bool dynamic = false;       // the output's shape depends on data: `infer` sets the dtype and a bound
  bool random = false;        // not folded, not shared; draws from Exec::random_key
  bool takes_absent = false;  // handles absent inputs; the outputs of other ops are absent with them
#endif
  bool effect = false;            // runs even when nobody reads its outputs (assertions, updates)
  bool exact = false;             // every kernel gives the reference's bits
  bool open_outputs = false;      // how many outputs there are is the file's to say
  const char* refuses = nullptr;  // why this build can't run it: "needs TensorRT"
};

int num_outputs(const OpDef& op, const Attrs& attrs, int n_inputs);
bool takes_inputs(const OpDef& op, int n);
std::string inputs_text(const OpDef& op, int n);  // "takes 1 to 2 inputs, but has 3", for the error when it does not
// OpDef::updates where they hold for this use.
std::span<const std::pair<int, int>> updates_of(const OpDef& op, const Attrs& attrs, int n_inputs);

// A constant table once built; safe to read from every thread.
class Registry {
 public:
  static const Registry& get();
  const OpDef* find(std::string_view name) const;                   // null when unknown
  const OpDef& at(std::string_view name) const;                     // throws UnsupportedError
  const std::vector<const OpDef*>& ops() const { return sorted_; }  // by name

  void add(OpDef def);  // while the table is being built

 private:
  Registry();
  std::map<std::string_view, std::unique_ptr<OpDef>> ops_;
  std::vector<const OpDef*> sorted_;
};

// Opens the function that adds a file's ops: `MEGALITH_OPS(nn_pooling) { r.add({.name = "Pooling", ...}); }` in
// megalith/ops/nn/pooling.cpp. CMake makes the table of these functions from the file names.
#define MEGALITH_OPS(family_file)           \
  namespace megalith::ops {                 \
  void register_##family_file(Registry& r); \
  }                                         \
  void megalith::ops::register_##family_file(Registry& r)

}  // namespace megalith
