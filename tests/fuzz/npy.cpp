// Any bytes read as a .npy file: an Error or a tensor, which has to survive being written.
#include <cstdint>
#include <cstdlib>

#include "megalith/io/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace megalith;
  Tensor t;
  try {
    t = read_npy(std::as_bytes(std::span(data, size)));
  } catch (const Error&) {
    return 0;
  }
  const std::string bytes = npy_bytes(t);
  if (read_npy(std::as_bytes(std::span(bytes))).shape() != t.shape()) std::abort();
  return 0;
}
