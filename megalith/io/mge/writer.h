// Writing `.mge` files that MegEngine 1.13 and this library load.
#pragma once

#include <string>

#include "megalith/graph.h"

namespace megalith {

enum class MgeFormat : uint8_t {
  kFbs,    // every MegEngine release reads it
  kFbsV2,  // 1.10 and later; weights lie aligned in the file, so they can be used where they are
};

struct MgeWriteOptions {
  bool keep_names = true;  // of operators and variables; names of inputs and outputs stay in any case
};

// The bytes of a file. Throws UnsupportedError for operators that the format does not know.
std::string write_mge(const Graph& graph, MgeFormat format, const MgeWriteOptions& options = {});
void write_mge(const std::string& path, const Graph& graph, MgeFormat format, const MgeWriteOptions& options = {});

}  // namespace megalith
