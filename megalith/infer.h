// What is known about a graph's values before it runs: element types, shapes for the declared input shapes, and values
// that follow from constants (sizes, mostly).
#pragma once

#include "megalith/graph.h"

namespace megalith {

// Fills in Value::spec of the node's outputs from those of its inputs; leaves them empty where a shape depends on data.
// Throws OpError when the call makes no sense.
void infer_node(Graph& graph, NodeId node);

// The same for all nodes of a graph whose inputs have their declared shapes; nodes that fail stay unknown.
void infer_graph(Graph& graph);

}  // namespace megalith
