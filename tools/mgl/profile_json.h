// Profiles as JSON text: MegEngine's GraphProfiler format, our own with every iteration, and Chrome traces.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "megalith/model.h"
#include "tools/mgl/stats.h"

namespace mgl {

// {"profiler": .., "graph_exec": ..}, with the times of the last iteration, as MegEngine keeps them.
std::string megengine_profile(const megalith::Model& model, const megalith::Profile& profile,
                              const megalith::PlanInfo& plan);

// The graph and its memory plan: the "graph_exec" of a profile.
nlohmann::json graph_exec(const megalith::Model& model, const megalith::PlanInfo& plan);
// The memory plan over time, as MegEngine's get_static_mem_info writes it: all values are strings.
std::string static_memory_info(const megalith::Model& model, const megalith::PlanInfo& plan);

// docs/profile-v2.md. `run` has the members that `mgl run --json` prints: they stand beside the nodes and spans.
std::string profile_v2(const megalith::Model& model, const megalith::Profile& profile, const megalith::PlanInfo& plan,
                       nlohmann::json run);

// Trace events for chrome://tracing and Perfetto.
std::string chrome_trace(const megalith::Profile& profile);

std::string json_text(const nlohmann::json& j, int indent = -1);
nlohmann::json dims(const megalith::Shape& s);

}  // namespace mgl
