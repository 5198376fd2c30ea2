// Any bytes as an input of `mgl run`: the first byte says whether they are a literal, a shape, or an image or JSON
// file.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "tools/mgl/commands.h"
#include "tools/mgl/inputs.h"

namespace {

std::string file_with(const char* ending, const std::string& bytes) {
  static const std::string base = "/tmp/megalith_fuzz_" + std::to_string(getpid());
  const std::string path = base + ending;
  if (std::FILE* f = std::fopen(path.c_str(), "wb")) {
    std::fwrite(bytes.data(), 1, bytes.size(), f);
    std::fclose(f);
  }
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace megalith;
  static const Model model = [] {
    Graph g;
    g.add_output(g.add_input("data", DTypeEnum::Float32, {1, 3}), "data");
    return Model::from_graph(g, {.threads = 1});
  }();
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string text = rest;
  if (data[0] % 4 == 1) text = "data:" + file_with(".ppm", rest);
  if (data[0] % 4 == 2) text = file_with(".json", rest);
  if (data[0] % 4 == 3) text = "data:[" + rest;
  try {
    mgl::make_feeds(model, text, {.memory_limit = 1 << 20});
  } catch (const Error&) {
  } catch (const mgl::UsageError&) {
  }
  return 0;
}
