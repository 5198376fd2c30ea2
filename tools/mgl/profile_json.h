#pragma once

#include <string>

#include "megalith/graph.h"
#include "megalith/profile.h"

namespace mgl {

void write_megengine_profile(const std::string& path, const megalith::Graph& graph, const megalith::Profile& profile);

}  // namespace mgl
