#include "megalith/block_pool.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <list>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

#if __has_include(<sys/mman.h>) && !defined(__EMSCRIPTEN__)
#include <pthread.h>
#include <sys/mman.h>
#endif

namespace megalith {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCache = false;  // sanitizers watch every block
#else
constexpr bool kCache = true;
#endif

constexpr size_t kSmallest = 256;
constexpr std::align_val_t kAlign{64};

constexpr size_t size_class(size_t bytes) { return static_cast<size_t>(std::bit_width((bytes - 1) / kSmallest)); }
constexpr size_t kClasses = size_class(kLargestCachedBlock) + 1;
static_assert(size_class(1) == 0 && size_class(256) == 0 && size_class(257) == 1 && size_class(512) == 1);

struct Free {
  Free* next;
};

struct Cache {
  std::array<Free*, kClasses> lists{};
  size_t bytes = 0;
  Cache();
  ~Cache();
};

// Blocks may be freed after the cache of their thread is gone: by the destructors of other thread_locals and statics.
enum class State : unsigned char { kNew, kLives, kGone };
thread_local State state = State::kNew;
thread_local Cache cache;

Cache::Cache() { state = State::kLives; }
Cache::~Cache() {
  state = State::kGone;
  for (Free*& list : lists) {
    while (list) ::operator delete(std::exchange(list, list->next), kAlign);
  }
}

#ifdef __EMSCRIPTEN__
constexpr size_t kHugePage = SIZE_MAX;  // there are none
#else
constexpr size_t kHugePage = size_t{2} << 20;
#endif

// Sizes of large blocks come in eighths of a power of two; from a huge page on in whole huge pages.
size_t large_size(size_t bytes) {
  const size_t step = std::max(std::bit_floor(bytes) / 8, bytes >= kHugePage ? kHugePage : size_t{4096});
  return (bytes + step - 1) / step * step;
}
std::align_val_t large_align(size_t size) { return size >= kHugePage ? std::align_val_t{kHugePage} : kAlign; }

// The large blocks that were freed, the longest unused first.
class LargeBlocks {
 public:
  // Never destroyed: tensors may be freed after everything else.
  static LargeBlocks& get() {
    static auto* const blocks = new LargeBlocks;
    return *blocks;
  }

  std::byte* take(size_t size) {
    {
      std::lock_guard lock(mutex_);
      const auto found = by_size_.find(size);
      if (found != by_size_.end()) {
        const Place place = found->second.back();
        found->second.pop_back();
        if (found->second.empty()) by_size_.erase(found);
        std::byte* const block = place->block;
        order_.erase(place);
        bytes_ -= size;
        return block;
      }
    }
    auto* const block = static_cast<std::byte*>(::operator new(size, large_align(size), std::nothrow));
#ifdef MADV_HUGEPAGE
    if (block && size >= kHugePage) madvise(block, size, MADV_HUGEPAGE);
#endif
    return block;
  }

  void put(std::byte* block, size_t size) {
    if (size > kMaxKeptLargeBytes) return ::operator delete(block, large_align(size));
    std::list<Kept> old;
    {
      std::lock_guard lock(mutex_);
      by_size_[size].push_back(order_.insert(order_.end(), {block, size}));
      bytes_ += size;
      while (bytes_ > kMaxKeptLargeBytes) {
        const Place oldest = order_.begin();
        std::vector<Place>& same = by_size_[oldest->size];
        same.erase(std::find(same.begin(), same.end(), oldest));
        if (same.empty()) by_size_.erase(oldest->size);
        bytes_ -= oldest->size;
        old.splice(old.end(), order_, oldest);
      }
    }
    for (const Kept& k : old) ::operator delete(k.block, large_align(k.size));
  }

  size_t bytes() {
    std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  struct Kept {
    std::byte* block;
    size_t size;
  };
  using Place = std::list<Kept>::iterator;

  LargeBlocks() {
#ifdef MADV_HUGEPAGE
    // A child process gets the blocks in a consistent state, whatever other threads were doing.
    pthread_atfork([] { get().mutex_.lock(); }, [] { get().mutex_.unlock(); }, [] { get().mutex_.unlock(); });
#endif
  }

  std::mutex mutex_;
  std::list<Kept> order_;
  std::unordered_map<size_t, std::vector<Place>> by_size_;
  size_t bytes_ = 0;
};

}  // namespace

std::byte* allocate_block(size_t bytes) {
  if (bytes >= kSmallestLargeBlock && bytes < SIZE_MAX / 2 && kCache) return LargeBlocks::get().take(large_size(bytes));
  if (bytes > kLargestCachedBlock || !kCache) {
    return static_cast<std::byte*>(::operator new(std::max<size_t>(bytes, 1), kAlign, std::nothrow));
  }
  const size_t c = size_class(std::max<size_t>(bytes, 1));
  if (state == State::kLives && cache.lists[c]) {
    Free* f = cache.lists[c];
    cache.lists[c] = f->next;
    cache.bytes -= kSmallest << c;
    return reinterpret_cast<std::byte*>(f);
  }
  return static_cast<std::byte*>(::operator new(kSmallest << c, kAlign, std::nothrow));
}

void free_block(std::byte* block, size_t bytes) {
  if (bytes >= kSmallestLargeBlock && kCache) return LargeBlocks::get().put(block, large_size(bytes));
  if (bytes <= kLargestCachedBlock && kCache) {
    const size_t c = size_class(std::max<size_t>(bytes, 1));
    if (state != State::kGone && cache.bytes + (kSmallest << c) <= kMaxCachedBytes) {
      cache.lists[c] = new (block) Free{cache.lists[c]};
      cache.bytes += kSmallest << c;
      return;
    }
  }
  ::operator delete(block, kAlign);
}

size_t kept_large_bytes() { return kCache ? LargeBlocks::get().bytes() : 0; }

size_t cached_block_bytes() { return state == State::kLives ? cache.bytes : 0; }

}  // namespace megalith
