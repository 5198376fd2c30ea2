#include "megalith/block_pool.h"

#include <algorithm>
#include <array>
#include <bit>
#include <new>
#include <utility>

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

}  // namespace

std::byte* allocate_block(size_t bytes) {
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

size_t cached_block_bytes() { return state == State::kLives ? cache.bytes : 0; }

}  // namespace megalith
