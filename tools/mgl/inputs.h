// Values for model inputs from the command line.
#pragma once

#include <map>
#include <string>

#include "megalith/model.h"

namespace mgl {

struct InputOptions {
  uint64_t seed = 0;
  bool ones_bytes = false;  // fill shape-only inputs with bytes of 1, as load_and_run does
  int batch = -1;           // first dimension of inputs that are not given
  size_t memory_limit = 0;  // bytes for all generated values; 0: half of the machine's memory
};

// `text` is "name:value;name2:value2"; without a name it is `data` (or the only input). Inputs that are not given get
// generated values of their declared shape.
std::map<std::string, megalith::Tensor> make_feeds(const megalith::Model& model, const std::string& text,
                                                   const InputOptions& options);

}  // namespace mgl
