#include "megalith/passes.h"

#include <algorithm>

#include "megalith/passes/facts.h"

namespace megalith {

const std::vector<Pass>& passes() {
  static const std::vector<Pass> all = {
      {"restore_layout", "gives reshapes the plain image that MegEngine's layout passes took from them",
       pass::restore_layout, true},
      {"fold_constants", "computes what depends on constants only", pass::fold_constants},
      {"merge_equal", "computes equal things once", pass::merge_equal},
      {"fold_batch_norm", "moves scales and shifts per channel into the weights before them", pass::fold_batch_norm},
      {"fuse_conv_bias", "makes ConvBiasForward of a convolution, its bias and its activation", pass::fuse_conv_bias},
      {"fuse_elemwise", "makes one node of a chain of elementwise nodes", pass::fuse_elemwise},
      {"remove_dead", "drops nodes that nobody reads", pass::remove_dead},
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
