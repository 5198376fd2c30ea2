// Observers of a run: dumps of values, and the checks that look at every operator.
#pragma once

#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "megalith/model.h"

namespace mgl {

// Ids of operators and variables come from one number space, as in MegEngine: operators keep their index, variables
// follow.
inline size_t op_number(int32_t node) { return static_cast<size_t>(node); }
inline size_t var_number(const megalith::Graph& g, int32_t value) {
  return g.nodes.size() + static_cast<size_t>(value);
}

using Feeds = std::map<std::string, megalith::Tensor>;

// One run whose values are written as text, in the form of MegEngine's TextOprIODump.
void dump_text(megalith::Model& model, const Feeds& feeds, std::FILE* to);
// One run whose values are written to `folder`, a file for each variable, in the form of BinaryOprIODump.
void dump_binary(megalith::Model& model, const Feeds& feeds, const std::string& folder);
// Outputs of run number `run`.
void dump_outputs(const megalith::Model& model, const std::vector<megalith::Tensor>& outputs, size_t run,
                  const std::string& folder);

// One run; throws Error for the first operator whose output has an element beyond [-limit, limit], or a NaN.
void check_range(megalith::Model& model, const Feeds& feeds, double limit);

// Runs the model once to learn the values of all variables, and then `runs` times; after each `interval` runs the next
// variable is compared, beginning with number `first`. Throws Error when one has changed.
void check_values(megalith::Model& model, const Feeds& feeds, size_t interval, size_t first, int runs);

void make_folder(const std::string& path);
void write_text(const std::string& path, const std::string& text);

}  // namespace mgl
