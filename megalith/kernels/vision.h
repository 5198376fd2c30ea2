// What detectors spend their time in, with vectors: bilinear samples of many channels, and boxes against boxes.
#pragma once

#include <cstdint>

namespace megalith::vision {

// Four neighbouring pixels (top left, top right, bottom left, bottom right), as offsets into a map; -1 beyond it.
struct Sample {
  int64_t at[4];
  float h, w;  // how far the sample is from the first towards the others
};

// Mean or maximum of `count` samples for each bin and channel; channels are adjacent in the map. `values` and, of a
// maximum, `which` (the sample that has it, -1 for none) are [bins][channels].
void pool_samples(const float* map, int64_t channels, const Sample* samples, int64_t bins, int64_t count, bool maximum,
                  float* values, int32_t* which);

// Boxes by coordinate: x0, y0, x1, y1 and area.
struct Boxes {
  const float* of[5];
  int64_t count;
};
// Whether the box covers more than `threshold` of its union with any of the others.
bool overlaps_any(const Boxes& boxes, const float* box, float threshold);

}  // namespace megalith::vision
