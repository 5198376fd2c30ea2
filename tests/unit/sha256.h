// SHA-256 (FIPS 180-4), for comparing files with recorded ones.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

inline std::string sha256(std::string_view data) {
  static const auto k = [] {  // fractional parts of the cube roots of the first 64 primes
    std::array<uint32_t, 64> v{};
    for (uint32_t p = 2, n = 0; n < 64; ++p) {
      bool prime = true;
      for (uint32_t d = 2; d * d <= p; ++d) prime = prime && p % d != 0;
      // In long double 2^32 times the root has digits to spare on every target: roots are below 7.
      if (prime)
        v[n++] = static_cast<uint32_t>(static_cast<uint64_t>(std::cbrt(static_cast<double>(p)) * 4294967296.0));
    }
    return v;
  }();
  std::array<uint32_t, 8> h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::string s(data);
  s += static_cast<char>(0x80);
  while (s.size() % 64 != 56) s += '\0';
  for (int i = 7; i >= 0; --i) s += static_cast<char>((uint64_t{data.size()} * 8) >> (8 * i));
  for (size_t at = 0; at < s.size(); at += 64) {
    std::array<uint32_t, 64> w{};
    for (size_t i = 0; i < 16; ++i) {
      for (size_t b = 0; b < 4; ++b) w[i] = w[i] << 8 | static_cast<uint8_t>(s[at + 4 * i + b]);
    }
    for (size_t i = 16; i < 64; ++i) {
      const uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
             (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
    }
    auto v = h;
    for (size_t i = 0; i < 64; ++i) {
      const uint32_t e = v[4], a = v[0];
      const uint32_t t1 =
          v[7] + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + k[i] + w[i];
      const uint32_t t2 =
          (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
      v = {t1 + t2, v[0], v[1], v[2], v[3] + t1, v[4], v[5], v[6]};
    }
    for (size_t i = 0; i < 8; ++i) h[i] += v[i];
  }
  std::string hex;
  for (uint32_t x : h) {
    for (int i = 7; i >= 0; --i) hex += "0123456789abcdef"[x >> (4 * i) & 15];
  }
  return hex;
}
