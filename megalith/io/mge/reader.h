// Reading `.mge` files: FBS (v1), FBS v0, FBS_V2, and the mgbtest0 header with its test cases.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "megalith/graph.h"

namespace megalith {

struct MgeFile {
  Graph graph;
  std::string format;                                // "FBS", "FBS_V0" or "FBS_V2"
  int model_version = 0;                             // FBS_V2 only
  int test_cases = 0;                                // of an mgbtest0 header
  std::vector<std::map<std::string, Tensor>> cases;  // their inputs, by name
  size_t bytes = 0;
};

// Maps the file; weights stay in the mapping where their alignment allows. Throws ModelError for damaged files.
// Unknown operators are kept as they are (Node::unknown); running them is what fails.
MgeFile read_mge(const std::string& path);
// `owner` keeps the bytes alive as long as tensors refer to them; without one they are copied.
MgeFile read_mge(std::span<const std::byte> bytes, std::shared_ptr<void> owner);

}  // namespace megalith
