// Any bytes as a FBS, FBS v0 or test-case model: loaded, optimized, written, planned, run. An Error or a result.
#include "tests/fuzz/mge_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { return fuzz_model(data, size); }

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return mutate_model(data, size, max_size, seed, [](std::string& file) {
    if (file.size() < 40 || file.compare(0, 3, "MGB") == 0 || file.compare(0, 8, "mgbtest0") == 0) return;
    file.replace(0, 4, "MGBC");
  });
}
