// What this machine is: for results that are read elsewhere.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mgl {

std::string cpu_name();
std::vector<std::string> instruction_sets();  // those that kernels may use
size_t peak_process_bytes();
nlohmann::json load_average();  // of 1, 5 and 15 minutes, or null

nlohmann::json device_json(int threads);
nlohmann::json environment_json();

}  // namespace mgl
