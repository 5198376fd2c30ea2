// Copies between layouts: runs of memory where there are any, tiles where an axis of the source is along another of
// the destination.
#pragma once

#include <cstddef>
#include <cstdint>

namespace megalith::copying {

// to[i * to_row + j] = from[j * from_row + i] for i < rows and j < columns, of elements of `width` bytes (1, 2, 4, 8).
void transpose(const std::byte* from, int64_t from_row, std::byte* to, int64_t to_row, int64_t rows, int64_t columns,
               int width);
// The same for floats, however many: in squares that fit into the first cache from both sides.
void transpose(const float* from, int64_t from_row, float* to, int64_t to_row, int64_t rows, int64_t columns);

}  // namespace megalith::copying
