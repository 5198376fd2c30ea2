// What the model targets share: half of the steps are libFuzzer's own with the header repaired, half know the format.
#pragma once

#include <cstdint>

#include "tests/hostile/mutate.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Values may take 64 KiB together: that bounds the time of a run as well, and finds whoever ignores the limit.
inline int fuzz_model(const uint8_t* data, size_t size) {
  hostile::try_model(std::as_bytes(std::span(data, size)), 64 << 10);
  return 0;
}

// `restore` puts back what says that this is a file of the target's format.
template <class Restore>
size_t mutate_model(uint8_t* data, size_t size, size_t max_size, unsigned seed, Restore restore) {
  std::string file;
  if (seed % 2) {
    file.assign(reinterpret_cast<char*>(data), size);
    hostile::mutate(file, seed);
  } else {
    size = LLVMFuzzerMutate(data, size, max_size);
    file.assign(reinterpret_cast<char*>(data), size);
    hostile::repair_sizes(file);
  }
  if (seed % 16 != 15) restore(file);
  size = std::min(file.size(), max_size);
  std::memcpy(data, file.data(), size);
  return size;
}
