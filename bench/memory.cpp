// How good memory plans are: the arena against the largest sum of values alive at once, for each model given.
#include <cstdio>

#include "megalith/model.h"

int main(int argc, char** argv) {
  int bad = 0;
  for (int i = 1; i < argc; ++i) {
    try {
      megalith::Model model = megalith::Model::load(argv[i]);
      const megalith::PlanInfo plan = model.plan();
      const auto arena = static_cast<double>(plan.memory.arena), live = static_cast<double>(plan.memory.peak_live);
      const double ratio = live > 0 ? arena / live : 1;
      bad += ratio > 1.1;
      std::printf("| memory of %s%s | arena %.3f MB, alive at once %.3f MB: %.3f | <= 1.1 |\n", argv[i],
                  plan.stopped_at < 0 ? "" : " (up to data-dependent shapes)", arena / 1e6, live / 1e6, ratio);
    } catch (const std::exception& e) {
      std::printf("| memory of %s | %s | <= 1.1 |\n", argv[i], e.what());
      ++bad;
    }
  }
  return bad ? 1 : 0;
}
