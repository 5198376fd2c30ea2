// Operators that MegEngine added after 1.13.0.
#include <doctest/doctest.h>

#include <set>

#include "megalith/plan.h"

using namespace megalith;

namespace {
Tensor floats(const Shape& s, std::initializer_list<float> v) {
  return Tensor::of<float>(DTypeEnum::Float32, s, std::span<const float>(v.begin(), v.size()));
}
std::vector<Tensor> run(const char* op, const Params& p, const std::vector<Tensor>& in) {
  Exec exec;
  exec.set_random_key(11);
  Attrs a;
  a.params = p;
  return run_op(Registry::get().at(op), a, in, exec);
}
}  // namespace

TEST_CASE("cross_multiplies_vectors_along_any_axis") {
  const Tensor a = floats({2, 3}, {1, 0, 0, 1, 2, 3}), b = floats({2, 3}, {0, 1, 0, 4, 5, 6});
  const Tensor c = run("Cross", param::Cross{}, {a, b})[0];
  const float want[] = {0, 0, 1, -3, 6, -3};
  for (int i = 0; i < 6; ++i) CHECK(c.item(i) == want[i]);
  const Tensor t = run("Cross", param::Cross{.axisc = 0}, {a, b})[0];
  CHECK(t.shape() == Shape{3, 2});
  for (int i = 0; i < 6; ++i) CHECK(t.item(i % 3 * 2 + i / 3) == want[i]);
  CHECK_THROWS_AS(run("Cross", param::Cross{.axisa = 0}, {a, b}), Error);
}

TEST_CASE("exponential_numbers_have_the_mean_of_their_rate") {
  Tensor rate = Tensor::empty(DTypeEnum::Float32, {40000});
  for (float& v : rate.span<float>()) v = 4;
  const Tensor x = run("ExponentialRNG", param::ExponentialRNG{}, {rate})[0];
  double sum = 0;
  for (float v : x.span<float>()) {
    REQUIRE(v >= 0);
    sum += v;
  }
  CHECK(sum / 40000 == doctest::Approx(0.25).epsilon(0.03));
}

TEST_CASE("multinomial_draws_follow_the_weights") {
  const Tensor w = floats({2, 4}, {1, 0, 3, 0, 0, 0, 0, 5});
  const Tensor x = run("MultinomialRNG", param::MultinomialRNG{.num_samples = 20000, .replacement = true}, {w})[0];
  CHECK(x.shape() == Shape{2, 20000});
  int counts[4] = {};
  for (int i = 0; i < 20000; ++i) {
    ++counts[x.data<int32_t>()[i]];
    CHECK(x.data<int32_t>()[20000 + i] == 3);
  }
  CHECK(counts[1] + counts[3] == 0);
  CHECK(counts[2] / 20000.0 == doctest::Approx(0.75).epsilon(0.02));
  const Tensor p = run("MultinomialRNG", param::MultinomialRNG{.num_samples = 4}, {floats({4}, {1, 2, 3, 4})})[0];
  const auto s = p.span<int32_t>();
  CHECK(std::set<int32_t>(s.begin(), s.end()).size() == 4);
  CHECK_THROWS_AS(run("MultinomialRNG", param::MultinomialRNG{.num_samples = 5}, {floats({4}, {1, 2, 3, 4})}), Error);
}
