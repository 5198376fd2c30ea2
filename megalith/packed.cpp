#include "megalith/packed.h"

#include <mutex>
#include <new>

#include "megalith/plan.h"
#include "megalith/platform/huge_pages.h"

namespace megalith {
namespace {

std::shared_ptr<Storage> allocate(size_t bytes) {
  if (bytes < kHugePage / 2) return Storage::allocate(bytes);
  constexpr std::align_val_t kAlign{kHugePage};
  const size_t whole = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* const block = whole < bytes ? nullptr : ::operator new(whole, kAlign, std::nothrow);
  if (!block) throw Error(cat("out of memory: ", bytes, " bytes"));
  advise_huge_pages(block, whole);
  return Storage::wrap(block, bytes, {block, [](void* p) { ::operator delete(p, kAlign); }}, true);
}

}  // namespace

// What is kept with one storage. Entries are few: a weight is packed in one or two ways.
class PackedCache {
 public:
  static std::shared_ptr<Storage> get(const Tensor& t, uint64_t key, size_t bytes, FunctionRef<void(std::byte*)> fill) {
    Storage& storage = *t.storage();
    for (int i = 0; i < t.ndim(); ++i)
      key = mix_bits(mix_bits(key, static_cast<uint64_t>(t.dim(i))), static_cast<uint64_t>(t.stride()[i]));
    key = mix_bits(key, t.offset());
    bool keep;
    {
      std::lock_guard lock(mutex());
      if (!storage.packed_) storage.packed_ = {new PackedCache, [](PackedCache* c) { delete c; }};
      Entry& e = storage.packed_->entry(key);
      if (e.value) return e.value;
      keep = e.requested;
      e.requested = true;
    }
    std::shared_ptr<Storage> made = allocate(bytes);
    fill(made->data());
    if (keep) {
      std::lock_guard lock(mutex());
      storage.packed_->entry(key).value = made;
    }
    return made;
  }

 private:
  struct Entry {
    uint64_t key;
    bool requested = false;
    std::shared_ptr<Storage> value;
  };

  static std::mutex& mutex() {
    static auto* const m = new std::mutex;  // kernels may still run while statics are destroyed
    return *m;
  }

  Entry& entry(uint64_t key) {
    for (Entry& e : entries_) {
      if (e.key == key) return e;
    }
    if (entries_.size() >= kMost) entries_.erase(entries_.begin());
    return entries_.emplace_back(Entry{key});
  }

  static constexpr size_t kMost = 8;
  std::vector<Entry> entries_;
};

std::shared_ptr<Storage> packed(const Tensor& t, uint64_t key, size_t bytes, FunctionRef<void(std::byte*)> fill) {
  if (t.storage()->frozen()) return PackedCache::get(t, key, bytes, fill);
  std::shared_ptr<Storage> made = allocate(bytes);
  fill(made->data());
  return made;
}

}  // namespace megalith
