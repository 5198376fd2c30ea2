// Memory of tensors: kept for the next call of the thread, up to a bound; what is kept with it; and the list that needs
// no heap.
#include "megalith/block_pool.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "megalith/inline_vector.h"
#include "megalith/packed.h"
#include "megalith/tensor.h"

using namespace megalith;

TEST_CASE("a_freed_small_block_is_used_again") {
  std::byte* a = allocate_block(200);
  free_block(a, 200);
  if (cached_block_bytes() == 0) return;  // under a sanitizer every block is new
  std::byte* b = allocate_block(130);     // of the same class
  CHECK(a == b);
  free_block(b, 130);
}

TEST_CASE("what_a_thread_keeps_is_bounded") {
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(allocate_block(8192));
  for (std::byte* p : blocks) free_block(p, 8192);
  CHECK(cached_block_bytes() <= kMaxCachedBytes);
  std::byte* large = allocate_block(kLargestCachedBlock + 1);
  const size_t before = cached_block_bytes();
  free_block(large, kLargestCachedBlock + 1);
  CHECK(cached_block_bytes() == before);
}

constexpr size_t kLarge = kMaxKeptLargeBytes / 16 - 4096;

TEST_CASE("large_blocks_are_kept_up_to_a_bound") {
  free_block(allocate_block(kLarge), kLarge);
  if (kept_large_bytes() == 0) return;  // under a sanitizer
  CHECK(kept_large_bytes() >= kLarge);
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 40; ++i) blocks.push_back(allocate_block(kLarge));
  for (std::byte* p : blocks) free_block(p, kLarge);
  CHECK(kept_large_bytes() <= kMaxKeptLargeBytes);
  CHECK(allocate_block(SIZE_MAX - (size_t{1} << 20)) == nullptr);
}

TEST_CASE("large_blocks_that_were_kept_go_to_another_thread") {
  std::byte* a = allocate_block(kLarge);
  free_block(a, kLarge);
  if (kept_large_bytes() == 0) return;
  std::thread([&] {
    std::byte* b = allocate_block(kLarge - 1);
    CHECK(a == b);
    free_block(b, kLarge - 1);
  }).join();
}

TEST_CASE("blocks_are_aligned_and_may_be_freed_by_another_thread") {
  std::vector<Tensor> tensors;
  std::thread([&] {
    for (int64_t n = 1; n < 5000; n = n * 3 + 1) {
      tensors.push_back(Tensor::empty(DTypeEnum::Float32, {n}));
      CHECK(reinterpret_cast<uintptr_t>(tensors.back().data()) % 64 == 0);
      std::memset(tensors.back().data(), 1, tensors.back().bytes());
    }
  }).join();
  for (const Tensor& t : tensors) CHECK(t.span<uint8_t>()[0] == 1);
  tensors.clear();
}

TEST_CASE("all_weights_of_one_storage_stay_packed") {
  const Tensor all = Tensor::zeros(DTypeEnum::Float32, {1 << 16});
  const auto fills_of = [](const Tensor& t, size_t bytes) {
    int fills = 0;
    packed(t, bytes, bytes, [&](std::byte*) { ++fills; });
    return fills;
  };
  const auto weight = [&](size_t i) {
    return Tensor::from_storage(all.storage(), i * 4096, DTypeEnum::Float32, Layout({1024}));
  };
  CHECK(fills_of(weight(0), 4096) + fills_of(weight(0), 4096) + fills_of(weight(0), 4096) == 3);  // may be written to
  all.storage()->freeze();
  for (size_t round = 0; round < 3; ++round) {
    for (size_t i = 0; i < 64; ++i) CHECK(fills_of(weight(i), 4096) == (round < 2 ? 1 : 0));
  }
  // What is larger than the bound is kept alone.
  for (size_t round = 0; round < 3; ++round) CHECK(fills_of(weight(0), 16 << 20) == (round < 2 ? 1 : 0));
}

TEST_CASE("inline_vectors_hold_more_than_fits_inside") {
  for (size_t n : {0, 2, 3, 100}) {
    InlineVector<std::string, 3> v(n);
    for (std::string& s : v) s = "a string that is too long to be stored in place";
    CHECK(v.size() == n);
    CHECK(std::span<std::string>(v).size() == n);
  }
}
