#include "megalith/passes.h"

#include <algorithm>

#include "megalith/passes/facts.h"

namespace megalith {

const std::vector<Pass>& passes() {
  static const std::vector<Pass> all = {
#ifndef MEGALITH_TRIMMED
      {.name = "restore_layout",
       .doc = "gives reshapes the plain image that MegEngine's layout passes took from them",
       .run = pass::restore_layout,
       .repair = true},
      {.name = "restore_z",
       .doc = "makes 8-bit ConvBias of files for the GPU add z in NCHW, which MegEngine's CPU kernels leave out",
       .run = pass::restore_z,
       .repair = true},
      {.name = "fold_constants",
       .doc = "computes what depends on constants only",
       .run = pass::fold_constants,
       .writable = true},
      {.name = "merge_equal", .doc = "computes equal things once", .run = pass::merge_equal, .writable = true},
      {.name = "fold_batch_norm",
       .doc = "moves scales and shifts per channel into the weights before them",
       .run = pass::fold_batch_norm,
       .writable = true},
      {.name = "fuse_conv_bias",
       .doc = "makes ConvBiasForward (ConvBiasRelu6) of a convolution, its bias and its activation",
       .run = pass::fuse_conv_bias},
      {.name = "mask_pooled",
       .doc = "takes RELU's gradient of pooled elements before they go back to where they were",
       .run = pass::mask_pooled,
       .writable = true},
      {.name = "fuse_elemwise", .doc = "makes one node of a chain of elementwise nodes", .run = pass::fuse_elemwise},
      {.name = "remove_dead", .doc = "drops nodes that nobody reads", .run = pass::remove_dead, .writable = true},
#endif
  };
  return all;
}

void run_pass(Graph& graph, const std::string& name) {
  for (const Pass& p : passes()) {
    if (name != p.name) continue;
    p.run(graph);
    graph.check();
    return;
  }
  throw Error(cat("there is no graph pass '", name, "'"));
}

namespace {

void run_passes(Graph& graph, const std::vector<std::string>& disabled, bool all) {
  for (const std::string& name : disabled) {
    const bool known = std::any_of(passes().begin(), passes().end(), [&](const Pass& p) { return name == p.name; });
    if (!known) throw Error(cat("there is no graph pass '", name, "'"));
  }
  for (const Pass& p : passes()) {
    if (!all && !p.repair) continue;
    if (std::find(disabled.begin(), disabled.end(), p.name) == disabled.end()) p.run(graph);
  }
  graph.check();
}

}  // namespace

void optimize_graph(Graph& graph, const std::vector<std::string>& disabled) { run_passes(graph, disabled, true); }
void repair_graph(Graph& graph, const std::vector<std::string>& disabled) { run_passes(graph, disabled, false); }

}  // namespace megalith
