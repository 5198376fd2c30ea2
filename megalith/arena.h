// Placing values with known lifetimes in one block of memory.
#pragma once

#include <cstddef>
#include <vector>

namespace megalith {

struct ArenaBlock {
  size_t bytes = 0;
  int first = 0, last = 0;  // steps, both inclusive
  size_t offset = 0;        // filled in by place_blocks
};

// Gives every block an offset such that blocks alive at the same step don't overlap; returns the size of the arena.
size_t place_blocks(std::vector<ArenaBlock>& blocks);
// The largest sum of blocks alive at one step: no placement can be smaller.
size_t peak_live(const std::vector<ArenaBlock>& blocks);

}  // namespace megalith
