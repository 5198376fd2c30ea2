// Profiles as JSON text: MegEngine's GraphProfiler format, and our own with every iteration.
#pragma once

#include <string>
#include <vector>

#include "megalith/model.h"

namespace mgl {

std::string megengine_profile(const megalith::Model& model, const megalith::Profile& profile);
// `plain_ms`: times of the runs that were not profiled.
std::string profile_v2(const megalith::Model& model, const megalith::Profile& profile,
                       const std::vector<double>& plain_ms);

}  // namespace mgl
