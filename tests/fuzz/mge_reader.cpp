// Any bytes read as a model file, in every format: an Error or a graph, never anything else. What was read is written
// in both formats and has to come back as the same number of operators.
#include <cstdint>
#include <cstdlib>

#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace megalith;
  Graph graph;
  std::string files[2];
  try {
    graph = read_mge(std::as_bytes(std::span(data, size)), nullptr).graph;
    files[0] = write_mge(graph, {.format = MgeFormat::kFbs});
    files[1] = write_mge(graph, {.format = MgeFormat::kFbsV2});
  } catch (const Error&) {
    return 0;
  }
  for (const std::string& f : files) {
    if (read_mge(std::as_bytes(std::span(f)), nullptr).graph.nodes.size() != graph.nodes.size()) std::abort();
  }
  return 0;
}
