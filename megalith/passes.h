// Rewrites of a graph that keep its outputs (within rounding): each is tested against the graph it started from.
#pragma once

#include <string>
#include <vector>

#include "megalith/graph.h"

namespace megalith {

struct Pass {
  const char* name;
  Doc doc;
  void (*run)(Graph&);
  bool writable = false;  // leaves a graph that can be written to a file
  bool repair = false;    // brings back what the file was meant to compute: runs without optimization too
};
const std::vector<Pass>& passes();  // in the order in which they run

// Runs one; throws Error for a name that is none.
void run_pass(Graph& graph, const std::string& name);

// Runs all passes but the named ones; throws Error for a name that is none.
void optimize_graph(Graph& graph, const std::vector<std::string>& disabled = {});
void repair_graph(Graph& graph, const std::vector<std::string>& disabled = {});  // only those that repair

}  // namespace megalith
