// Model: load a `.mge` file, feed it, run it. The front door for applications.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "megalith/plan.h"

namespace megalith {

struct ModelOptions {
  int threads = 0;             // 0: MEGALITH_NUM_THREADS, else what affinity and quota allow
  bool eager_threads = false;  // runs on the threads of eager calls instead of its own
  bool optimize = true;        // graph passes
  std::vector<std::string> disabled_passes;
  bool reference = false;             // reference kernels only
  size_t memory_limit = 0;            // bytes; 0: 512 MiB + 256 times the bytes of the file and the feeds
  uint64_t seed = 0;                  // of random ops
  size_t workspace_limit = SIZE_MAX;  // bytes of scratch memory that a kernel may take, where there is another kernel
  bool reuse_memory = true;           // values that are not alive at once share memory
};

struct InputInfo {
  std::string name;
  DType dtype;
  Shape shape;       // as stored; a hint: other shapes may be fed
  bool has_default;  // may be left out
};
struct OutputInfo {
  std::string name;
};

class Model {
 public:
  static Model load(const std::string& path, const ModelOptions& options = {});
  static Model load(std::span<const std::byte> bytes, const ModelOptions& options = {});  // copies the bytes
  static Model from_graph(Graph graph, const ModelOptions& options = {});
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  std::vector<InputInfo> inputs() const;
  std::vector<OutputInfo> outputs() const;
  // Feeds by name; throws InputError for unknown, missing or wrong-typed ones. Outputs in the file's order.
  std::vector<Tensor> run(const std::map<std::string, Tensor>& feeds, Profile* profile = nullptr);
  void set_observer(Executor::Observer fn);
  MemoryStats memory() const;
  // What a run with inputs of these shapes would do: kernels, memory, FLOPs; nothing runs. Inputs that are left out
  // have their declared shape. A later run with these shapes uses the plan.
  PlanInfo plan(const std::map<std::string, Shape>& shapes = {});
  PlanInfo last_plan() const;  // of the last run
  int threads() const;
  const Graph& graph() const;     // after the passes
  const Graph& original() const;  // as loaded

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace megalith
