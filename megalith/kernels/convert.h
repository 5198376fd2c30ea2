// Floats from and to stored integers, with vectors: the bits of the reference (ops/elemwise/rows.h).
#pragma once

#include <cstdint>

#include "megalith/dtype.h"

namespace megalith::convert {

// What these functions take: Int8, Uint8, Int16 and Int32 and what is stored as one of them.
bool is_stored(DType d);
// Signed and unsigned bytes and 16 bits that are quantized.
bool is_quantized_storage(DType d);

// (x - zero point) * scale; plain integers have 0 and 1.
void from_stored(DType type, const void* from, float* to, int64_t n);
// round(x / scale) + zero point, halves away from zero, saturated; NaN gives the lowest value.
void to_quantized(DType type, const float* from, void* to, int64_t n);

}  // namespace megalith::convert
