// Writing `.mge` files that MegEngine 1.13 and this library load.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "megalith/graph.h"

namespace megalith {

enum class MgeFormat : uint8_t {
  kFbs,    // every MegEngine release reads it
  kFbsV2,  // 1.10 and later; weights lie aligned in the file, so they can be used where they are
};

// The names are those of MegEngine's `dump_graph`. The defaults keep everything that the graph says, so that reading
// a file and writing it again loses nothing; MegEngine's own dumps keep names of outputs only.
struct MgeWriteOptions {
  MgeFormat format = MgeFormat::kFbsV2;
  int model_version =
      2;  // FBS_V2: 1 stores every operator in its first version; MegEngine can't load convolutions then
  int keep_var_name = 2;  // 0: no variable names; 1: those that were given; 2: the same, as a Graph has no others
  bool keep_opr_name = true;
  bool keep_param_name = true;  // of constants and parameters; inputs are fed by name and keep theirs
  bool keep_opr_priority = true;
  std::vector<std::string> output_names;  // instead of the graph's, in its order; empty: the graph's
  std::optional<GraphMetadata> metadata;  // instead of the graph's
  // Values of all inputs by name, written behind the model under an mgbtest0 header.
  std::vector<std::map<std::string, Tensor>> test_cases;
};

// What was written: MegEngine's dump result and the contents of its strip-info file, from which a build for one model
// takes the operators and types that it needs.
struct MgeDumpInfo {
  size_t nr_opr = 0, tot_bytes = 0, tensor_value_bytes = 0;
  uint64_t content_hash = 0;
  std::vector<std::string> inputs, outputs, params;
  std::set<std::string> opr_types, dtypes, elemwise_modes;
};

// The bytes of a file. Throws UnsupportedError for operators that the format does not know.
std::string write_mge(const Graph& graph, const MgeWriteOptions& options = {}, MgeDumpInfo* info = nullptr);
void write_mge(const std::string& path, const Graph& graph, const MgeWriteOptions& options = {},
               MgeDumpInfo* info = nullptr);

}  // namespace megalith
