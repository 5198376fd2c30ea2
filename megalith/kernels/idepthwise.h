// Depthwise convolutions of small integers (kernels/igemm.h) whose channels are innermost.
#pragma once

#include <cstddef>
#include <cstdint>

#include "megalith/dtype.h"

namespace megalith::igemm {

// One tap of a row of results: its values for result pixel `o` start at x + o * step, for o in [begin, end); the others
// meet the padding.
struct DepthTap {
  const std::byte* x = nullptr;
  int64_t step = 0, begin = 0, end = 0;
};

struct DepthRow {
  DType type;                      // of the image
  const DepthTap* taps = nullptr;  // an even number of them
  DepthTap* room = nullptr;        // for as many again
  int64_t count = 0;
  const int32_t* weights = nullptr;           // packed
  int64_t pixels = 0, channels = 0, all = 0;  // depth_channels(channels)
  std::byte* copies = nullptr;                // room for `all` bytes of each tap
  const std::byte* outside = nullptr;         // what the padding holds, `all` bytes
  const std::byte* end = nullptr;             // of what can be read of the image
  int32_t* sums = nullptr;                    // rows of `all`
};

int64_t depth_channels(int64_t channels);  // rounded up to what is computed at once
// Of `taps` taps, and of one that stands for nothing if they are odd.
inline int64_t depth_words(int64_t channels, int64_t taps) {
  return (taps > 0 ? (taps + 1) / 2 : 1) * depth_channels(channels);
}
// The weight of channel c and tap t is weights[c * taps + t].
void pack_depthwise(DType type, const std::byte* weights, int64_t channels, int64_t taps, int32_t* to);
void depthwise(const DepthRow& row);

}  // namespace megalith::igemm
