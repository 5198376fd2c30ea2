#include "megalith/arena.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace megalith {
namespace {

constexpr size_t kAlign = 64;
size_t rounded(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// Lowest free offset first, in the given order.
size_t place_in_order(std::vector<ArenaBlock>& blocks, const std::vector<size_t>& order) {
  std::vector<size_t> placed;  // sorted by offset
  size_t total = 0;
  for (size_t i : order) {
    ArenaBlock& b = blocks[i];
    size_t at = 0;
    for (size_t j : placed) {
      const ArenaBlock& o = blocks[j];
      if (o.last < b.first || b.last < o.first) continue;
      if (at + rounded(b.bytes) <= o.offset) break;
      at = std::max(at, o.offset + rounded(o.bytes));
    }
    b.offset = at;
    total = std::max(total, at + rounded(b.bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), at,
                                   [&](size_t off, size_t j) { return off < blocks[j].offset; }),
                  i);
  }
  return total;
}

}  // namespace

size_t place_blocks(std::vector<ArenaBlock>& blocks) {
  std::vector<size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::vector<size_t> by_time = by_size, by_area = by_size;
  const auto area = [&](size_t i) {
    return static_cast<double>(blocks[i].bytes) * (blocks[i].last - blocks[i].first + 1);
  };
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::stable_sort(by_area.begin(), by_area.end(), [&](size_t a, size_t b) { return area(a) > area(b); });
  // Which order packs best depends on the graph; the lower bound says when to stop looking.
  const size_t bound = peak_live(blocks);
  size_t best = place_in_order(blocks, by_size);
  const std::vector<size_t>* orders[] = {&by_time, &by_area};
  for (const auto* order : orders) {
    if (best <= bound + bound / 50) break;
    std::vector<ArenaBlock> other = blocks;
    const size_t n = place_in_order(other, *order);
    if (n < best) {
      best = n;
      blocks = std::move(other);
    }
  }
  return best;
}

size_t peak_live(const std::vector<ArenaBlock>& blocks) {
  std::map<int, std::pair<size_t, size_t>> events;  // step -> (starting, ending before)
  for (const ArenaBlock& b : blocks) {
    events[b.first].first += rounded(b.bytes);
    events[b.last + 1].second += rounded(b.bytes);
  }
  size_t live = 0, peak = 0;
  for (const auto& [step, e] : events) {
    live = live - e.second + e.first;
    peak = std::max(peak, live);
  }
  return peak;
}

}  // namespace megalith
