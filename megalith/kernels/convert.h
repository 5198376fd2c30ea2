// Floats and integers from and to other types, with vectors: the bits of the reference (ops/elemwise/rows.h).
#pragma once

#include <cstdint>

#include "megalith/dtype.h"

namespace megalith::convert {

// What these functions take: everything of 8 bits and more but Float32 and Complex64.
bool is_stored(DType d);
// Signed and unsigned bytes and 16 bits that are quantized.
bool is_quantized_storage(DType d);

// (x - zero point) * scale; plain types have 0 and 1.
void from_stored(DType type, const void* from, float* to, int64_t n);
// To quantized types round(x / scale) + zero point, halves away from zero, saturated; NaN gives the lowest value. To
// plain integers what x86 makes of it: truncated, and the lowest Int32 for what is none; of which types of fewer bits
// take the lower ones. To Bool whether it is not 0; to types of 16-bit floats the nearest.
void to_stored(DType type, const float* from, void* to, int64_t n);

// The same for integers and for quantized types as the integers that they hold: kept modulo 2^bits; to Bool whether it
// is not 0.
bool is_whole(DType d);
void from_whole(DType type, const void* from, int32_t* to, int64_t n);
void to_whole(DType type, const int32_t* from, void* to, int64_t n);

}  // namespace megalith::convert
