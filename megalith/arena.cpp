#include "megalith/arena.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>

#include "megalith/error.h"

namespace megalith {
namespace {

constexpr uint64_t kAlign = 64;
uint64_t rounded(uint64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// Sums of sizes may be too large for a size_t of 32 bits.
size_t addressable(uint64_t bytes) {
  if (bytes > PTRDIFF_MAX) throw Error(cat("out of memory: ", bytes, " bytes for values that are needed at once"));
  return static_cast<size_t>(bytes);
}

// Lowest free offset first, in the given order.
size_t place_in_order(std::vector<ArenaBlock>& blocks, const std::vector<size_t>& order) {
  std::vector<size_t> placed;  // sorted by offset
  uint64_t total = 0;
  for (size_t i : order) {
    ArenaBlock& b = blocks[i];
    uint64_t at = 0;
    for (size_t j : placed) {
      const ArenaBlock& o = blocks[j];
      if (o.last < b.first || b.last < o.first) continue;
      if (at + rounded(b.bytes) <= o.offset) break;
      at = std::max<uint64_t>(at, o.offset + rounded(o.bytes));
    }
    total = std::max<uint64_t>(total, addressable(at + rounded(b.bytes)));
    b.offset = static_cast<size_t>(at);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), at,
                                   [&](uint64_t off, size_t j) { return off < blocks[j].offset; }),
                  i);
  }
  return static_cast<size_t>(total);
}

}  // namespace

size_t place_blocks(std::vector<ArenaBlock>& blocks) {
  std::vector<size_t> by_time(blocks.size());
  std::iota(by_time.begin(), by_time.end(), size_t{0});
  const auto by = [&](double (*key)(const ArenaBlock&)) {
    std::multimap<double, size_t, std::greater<>> sorted;
    for (size_t i : by_time) sorted.emplace(key(blocks[i]), i);
    std::vector<size_t> r;
    for (const auto& [k, i] : sorted) r.push_back(i);
    return r;
  };
  const std::vector<size_t> by_size = by([](const ArenaBlock& b) { return static_cast<double>(b.bytes); });
  const std::vector<size_t> by_area =
      by([](const ArenaBlock& b) { return static_cast<double>(b.bytes) * (b.last - b.first + 1); });
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
  std::map<int, std::pair<uint64_t, uint64_t>> events;  // step -> (starting, ending before)
  for (const ArenaBlock& b : blocks) {
    events[b.first].first += rounded(b.bytes);
    events[b.last + 1].second += rounded(b.bytes);
  }
  uint64_t live = 0, peak = 0;
  for (const auto& [step, e] : events) {
    live = live - e.second + e.first;
    peak = std::max(peak, live);
  }
  return addressable(peak);
}

}  // namespace megalith
