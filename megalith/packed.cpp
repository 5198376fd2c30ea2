#include "megalith/packed.h"

#include <map>
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

// What is kept with one storage: all parameters of a file may share one. A weight is packed in one or two ways, but
// views of a large eager tensor could be without end, so that beyond a bound all is forgotten; users hold what they
// use.
class PackedCache {
 public:
  static std::shared_ptr<Storage> get(const Tensor& t, uint64_t key, size_t bytes, FunctionRef<void(std::byte*)> fill,
                                      bool again) {
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
    if (again && !keep) return nullptr;
    std::shared_ptr<Storage> made = allocate(bytes);
    fill(made->data());
    if (keep) {
      std::lock_guard lock(mutex());
      PackedCache& cache = *storage.packed_;
      cache.bytes_ += bytes;
      if (cache.bytes_ > kMostCopies * storage.bytes() + kSmall) {
        cache.entries_.clear();
        cache.bytes_ = bytes;
      }
      cache.entry(key).value = made;
    }
    return made;
  }

 private:
  struct Entry {
    bool requested = false;
    std::shared_ptr<Storage> value;
  };

  static std::mutex& mutex() {
    static auto* const m = new std::mutex;  // kernels may still run while statics are destroyed
    return *m;
  }

  Entry& entry(uint64_t key) {
    if (entries_.size() >= kMostEntries && !entries_.contains(key)) {
      entries_.clear();
      bytes_ = 0;
    }
    return entries_[key];
  }

  static constexpr size_t kMostEntries = 4096, kMostCopies = 4, kSmall = size_t{4} << 20;
  std::map<uint64_t, Entry> entries_;
  size_t bytes_ = 0;
};

std::shared_ptr<Storage> packed(const Tensor& t, uint64_t key, size_t bytes, FunctionRef<void(std::byte*)> fill) {
  if (t.storage()->frozen()) return PackedCache::get(t, key, bytes, fill, false);
  std::shared_ptr<Storage> made = allocate(bytes);
  fill(made->data());
  return made;
}

std::shared_ptr<Storage> packed_again(const Tensor& t, uint64_t key, size_t bytes, FunctionRef<void(std::byte*)> fill) {
  return t.storage()->frozen() ? PackedCache::get(t, key, bytes, fill, true) : nullptr;
}

}  // namespace megalith
