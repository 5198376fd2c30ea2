// The random numbers of eager calls.
#pragma once

#include <cstdint>

namespace megalith {

// Restarts the stream that eager random ops without a seed of their own draw from.
void seed_eager(uint64_t seed);
// While it is on (calls count), eager calls that change an input are errors.
void check_inputs(bool on);

}  // namespace megalith
