// Elementwise functions on rows of Int32: the bits of the functions in modes.h stored with wrap-around.
#pragma once

#include <cstdint>

#include "megalith/params_enums.h"

namespace megalith::elemwise {

using WholeFn = void (*)(const int32_t* const* in, const int64_t* step, int32_t* out, int64_t n);
WholeFn find_whole(param::ElemwiseMode mode);  // null when there is none

}  // namespace megalith::elemwise
