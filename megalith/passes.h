// Rewrites of a graph that keep its outputs (within rounding): each is tested against the graph it started from.
#pragma once

#include <string>
#include <vector>

#include "megalith/graph.h"

namespace megalith {

struct Pass {
  const char* name;
  const char* doc;
  void (*run)(Graph&);
};
const std::vector<Pass>& passes();  // in the order in which they run

// Runs all passes but the named ones; throws Error for a name that is none.
void optimize_graph(Graph& graph, const std::vector<std::string>& disabled = {});

}  // namespace megalith
