// Philox4x32-10, the counter-based generator behind every random op: number i of key k depends on (k, i) only, so the
// stream is the same on every platform and for every number of threads.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace megalith {

inline std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter, uint64_t stream = 0) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  std::array<uint32_t, 4> c = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                               static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

// In (0, 1]: never zero, so its logarithm is finite.
inline float uniform_open(uint32_t bits) { return static_cast<float>((bits >> 8) + 1) * (1.0f / 16777216.0f); }

inline float random_uniform(uint64_t key, uint64_t i) { return uniform_open(philox(key, i)[0]); }

inline double box_muller(uint32_t a, uint32_t b) {
  return std::sqrt(-2.0 * std::log(static_cast<double>(uniform_open(a)))) *
         std::cos(6.283185307179586 * static_cast<double>(uniform_open(b)));
}

inline float random_normal(uint64_t key, uint64_t i) {
  const auto r = philox(key, i);
  return static_cast<float>(box_muller(r[0], r[1]));
}

// As many draws as one element wants: element i of key k, draw after draw.
class RandomStream {
 public:
  RandomStream(uint64_t key, uint64_t i) : key_(key), i_(i) {}
  uint32_t bits() {
    if (at_ == 4) {
      block_ = philox(key_, i_, ++draw_);
      at_ = 0;
    }
    return block_[at_++];
  }
  double uniform() { return static_cast<double>(uniform_open(bits())); }
  double normal() {
    const uint32_t a = bits();
    return box_muller(a, bits());
  }

 private:
  uint64_t key_, i_, draw_ = 0;
  std::array<uint32_t, 4> block_{};
  size_t at_ = 4;
};

}  // namespace megalith
