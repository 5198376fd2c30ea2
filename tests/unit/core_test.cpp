#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstring>

#include "megalith/arena.h"
#include "megalith/kernels/random.h"
#include "megalith/model.h"
#include "megalith/platform/thread_pool.h"
#include "megalith/tensor.h"
#include "megalith/var.h"

using namespace megalith;

namespace {
Tensor floats(const Shape& shape, std::initializer_list<float> v) {
  return Tensor::of<float>(DTypeEnum::Float32, shape, std::span<const float>(v.begin(), v.size()));
}
Tensor ints(const Shape& shape, std::initializer_list<int32_t> v) {
  return Tensor::of<int32_t>(DTypeEnum::Int32, shape, std::span<const int32_t>(v.begin(), v.size()));
}
}  // namespace

TEST_CASE("half_rounds_to_nearest_with_ties_away_from_zero") {
  CHECK(half(1.0f).bits == 0x3c00);
  CHECK(half(-2.0f).bits == 0xc000);
  CHECK(half(65504.0f).bits == 0x7bff);
  CHECK(half(65520.0f).bits == 0x7c00);
  CHECK(half(1 + 0x1p-11f).bits == 0x3c01);  // a tie
  CHECK(half(1 + 0x1.8p-12f).bits == 0x3c00);
  CHECK(half(0x1p-24f).bits == 1);
  CHECK(half(0x1p-25f).bits == 1);  // a tie at the smallest
  for (uint32_t b = 0; b < 0x7c00; ++b) CHECK(half::from_float(half::to_float(static_cast<uint16_t>(b))) == b);
  CHECK(std::isnan(float(half(NAN))));
}

TEST_CASE("tensor_bytes_pads_rows_of_packed_types_and_refuses_overflow") {
  CHECK(tensor_bytes(DTypeEnum::QuantizedS4, {2, 3}) == 4);
  CHECK(tensor_bytes(DTypeEnum::Float32, {}) == 4);
  CHECK_THROWS_AS(tensor_bytes(DTypeEnum::Float32, {int64_t{1} << 40, int64_t{1} << 40}), Error);
}

TEST_CASE("views_share_memory_and_copies_do_not") {
  const Tensor a = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor t = a.view(Layout({3, 2}, {1, 3}));
  CHECK_FALSE(t.contiguous());
  CHECK(t.item(1) == 4);
  const Tensor c = t.to_contiguous();
  CHECK(c.contiguous());
  CHECK(c.item(1) == 4);
  c.data<float>()[1] = 9;
  CHECK(t.item(1) == 4);
}

TEST_CASE("low_bit_values_survive_packing") {
  Tensor v = Tensor::empty(DTypeEnum::Int8, {2, 3});
  for (int i = 0; i < 6; ++i) v.data<int8_t>()[i] = static_cast<int8_t>(i * 3 - 8);
  const Tensor back = unpack_lowbit(pack_lowbit(v, {DTypeEnum::QuantizedS4, 0.5f}));
  CHECK(std::memcmp(back.data(), v.data(), 6) == 0);
}

TEST_CASE("arena_blocks_alive_together_do_not_overlap") {
  std::vector<ArenaBlock> blocks;
  uint32_t x = 1;
  for (int i = 0; i < 200; ++i) {
    x = x * 1664525u + 1013904223u;
    blocks.push_back({(x >> 8) % 5000 + 1, i, i + static_cast<int>((x >> 4) % 7), 0});
  }
  const size_t total = place_blocks(blocks);
  for (size_t a = 0; a < blocks.size(); ++a) {
    CHECK(blocks[a].offset + blocks[a].bytes <= total);
    for (size_t b = 0; b < a; ++b) {
      const bool together = blocks[a].first <= blocks[b].last && blocks[b].first <= blocks[a].last;
      const bool overlap = blocks[a].offset < blocks[b].offset + blocks[b].bytes &&
                           blocks[b].offset < blocks[a].offset + blocks[a].bytes;
      CHECK_FALSE((together && overlap));
    }
  }
  CHECK(total >= peak_live(blocks));
  CHECK(total <= peak_live(blocks) * 13 / 10);
}

TEST_CASE("parallel_for_covers_every_element_once_and_rethrows") {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> seen(10000);
  for (int round = 0; round < 50; ++round) {
    pool.parallel_for(10000, 7, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) seen[static_cast<size_t>(i)]++;
    });
  }
  for (auto& s : seen) CHECK(s == 50);
  CHECK_THROWS_AS(pool.parallel_for(100, 1, [](int64_t, int64_t) { throw OpError("no"); }), OpError);
}

TEST_CASE("planned_and_eager_execution_give_the_same_bits") {
  Graph g;
  const ValueId x = g.add_input("x", DTypeEnum::Float32, {2, 3});
  const Tensor w = floats({3}, {0.5f, -1, 2});
  Var v = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::MUL}, {Var(g, x), w});
  v = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::TANH}, {v});
  g.add_output(v.value(), "y");
  const Tensor in = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  Model m = Model::from_graph(std::move(g));
  const Tensor planned = m.run({{"x", in}})[0];
  Var e = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::MUL}, {in, w});
  e = emit1("Elemwise", param::Elemwise{.mode = param::ElemwiseMode::TANH}, {e});
  CHECK(std::memcmp(planned.data(), e.tensor().data(), planned.bytes()) == 0);
}

TEST_CASE("a_shape_fed_as_data_cuts_the_plan") {
  Graph g;
  const ValueId x = g.add_input("x", DTypeEnum::Float32, {6});
  const ValueId s = g.add_input("s", DTypeEnum::Int32, {2});
  const Var r = emit1("Reshape", {Var(g, x), Var(g, s)});
  g.add_output(r.value(), "y");
  Model m = Model::from_graph(std::move(g));
  const Tensor in = floats({6}, {1, 2, 3, 4, 5, 6});
  CHECK(m.run({{"x", in}, {"s", ints({2}, {2, 3})}})[0].shape() == Shape{2, 3});
  CHECK(m.run({{"x", in}, {"s", ints({2}, {3, 2})}})[0].shape() == Shape{3, 2});
  CHECK_THROWS_AS(m.run({{"x", in}, {"s", ints({2}, {4, 2})}}), OpError);
  CHECK(m.run({{"x", in}, {"s", ints({2}, {3, 2})}})[0].shape() == Shape{3, 2});
}

TEST_CASE("inputs_are_checked_by_name_and_type") {
  Graph g;
  const ValueId x = g.add_input("x", DTypeEnum::Float32, {3});
  g.add_output(emit1("Identity", {Var(g, x)}).value(), "y");
  Model m = Model::from_graph(std::move(g));
  CHECK_THROWS_AS(m.run({}), InputError);
  CHECK_THROWS_AS(m.run({{"z", floats({1}, {0})}}), InputError);
  CHECK_THROWS_AS(m.run({{"x", ints({1}, {0})}}), InputError);
}

TEST_CASE("a_huge_result_is_refused_before_it_is_allocated") {
  Graph g;
  const ValueId x = g.add_input("n", DTypeEnum::Int32, {2});
  g.add_output(emit1("Eye", param::Eye{}, {Var(g, x)}).value(), "y");
  Model m = Model::from_graph(std::move(g));
  CHECK_THROWS_AS(m.run({{"n", ints({2}, {100000, 100000})}}), Error);
}

// The known answers that are published with Random123.
TEST_CASE("philox_gives_the_published_numbers") {
  using Block = std::array<uint32_t, 4>;
  CHECK(philox(0, 0) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(UINT64_MAX, UINT64_MAX, UINT64_MAX) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}
