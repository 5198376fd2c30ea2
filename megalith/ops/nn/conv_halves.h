// Convolutions of Float16 that are summed in steps of Float16, with vectors (kernels/local_tile.h).
#pragma once

#include "megalith/ops/nn/conv_geometry.h"

namespace megalith::conv {

// conv::forward<float, RoundedToHalf>: images (N, C, H, W) and filters (G, OC/G, IC/G, FH, FW) of widened values.
void forward_halves(const Geometry& g, const float* x, const float* f, float* y, Exec& exec);

}  // namespace megalith::conv
