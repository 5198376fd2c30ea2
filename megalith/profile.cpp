#include "megalith/profile.h"

#include <chrono>

namespace megalith {
namespace {
double clock_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
}  // namespace

Profile::Profile() : epoch_(clock_seconds()) {}
double Profile::now() const { return clock_seconds() - epoch_; }

double PlanInfo::flops() const {
  double sum = 0;
  for (const NodeProfile& n : nodes) sum += n.flops > 0 ? n.flops : 0;
  return sum;
}

NodeProfile& Profile::node(int32_t id) {
  const auto i = static_cast<size_t>(id);
  if (i >= index_.size()) index_.resize(i + 1, -1);
  if (index_[i] < 0) {
    index_[i] = static_cast<int32_t>(nodes_.size());
    nodes_.emplace_back();
    nodes_.back().node = id;
  }
  return nodes_[static_cast<size_t>(index_[i])];
}

}  // namespace megalith
