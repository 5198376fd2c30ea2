// What planned execution costs per op: a chain of 1,000 one-element ops, one thread, fastest of many runs. The
// kernels' own time is included, so the number is an upper bound.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "megalith/model.h"
#include "megalith/var.h"

int main() {
  using namespace megalith;
  constexpr int kOps = 1000;
  Graph g;
  Var v(g, g.add_input("x", DTypeEnum::Float32, {1}));
  for (int i = 0; i < kOps; ++i) v = emit1("Copy", {v});
  g.add_output(v.value(), "y");
  Model m = Model::from_graph(std::move(g), {.threads = 1});
  const Tensor x = Tensor::zeros(DTypeEnum::Float32, {1});
  double best = 1e9;
  for (int i = 0; i < 2000; ++i) {
    const auto start = std::chrono::steady_clock::now();
    m.run({{"x", x}});
    best = std::min(best, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count());
  }
  std::printf("| planned execution of a one-element op, its kernel included | %.1f ns | < 100 ns |\n", best / kOps);
}
