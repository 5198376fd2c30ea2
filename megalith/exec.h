// What a kernel may use while it runs: threads, scratch memory, memory for outputs of unknown size, a random key.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "megalith/tensor.h"

namespace megalith {

class ThreadPool;

// A reference to a callable; it does not own it.
template <class Signature>
class FunctionRef;
template <class R, class... A>
class FunctionRef<R(A...)> {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  FunctionRef(F&& f)  // NOLINT
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* o, A... a) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(o))(std::forward<A>(a)...);
        }) {}
  R operator()(A... a) const { return call_(object_, std::forward<A>(a)...); }

 private:
  void* object_;
  R (*call_)(void*, A...);
};

class Exec {
 public:
  explicit Exec(ThreadPool* pool = nullptr) : pool_(pool) {}

  // Calls fn(begin, end) for pieces of [0, n) of at least `grain` elements, on several threads. Split by output, never
  // by reduction: results must not depend on the number of pieces.
  void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn);
  int threads() const;

  std::byte* workspace() const { return workspace_; }
  // Of this step: a key for the counter-based generator (kernels/random.h), different at every run of every node.
  uint64_t random_key() const { return random_key_; }

  // The most threads that a loop was split for since reset_used_threads().
  int used_threads() const { return used_threads_.load(std::memory_order_relaxed); }
  void reset_used_threads() { used_threads_.store(1, std::memory_order_relaxed); }

  void set_workspace(std::byte* p) { workspace_ = p; }
  void set_random_key(uint64_t k) { random_key_ = k; }

 private:
  ThreadPool* pool_;
  std::byte* workspace_ = nullptr;
  uint64_t random_key_ = 0;
  std::atomic<int> used_threads_{1};
};

}  // namespace megalith
