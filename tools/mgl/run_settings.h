// What the flags of `mgl run` ask for, checked.
#pragma once

#include <string>
#include <vector>

#include "megalith/model.h"
#include "tools/mgl/flags.h"
#include "tools/mgl/inputs.h"

namespace mgl {

struct RunSettings {
  std::string model_path;
  megalith::ModelOptions model;
  InputOptions inputs;
  std::vector<int> cpus;  // to run on; empty: any
  int warmups = 1, iterations = 10, instances = 1;
  double timeout = 0;       // seconds; 0: none
  double repeat_until = 0;  // width of the median's interval over the median; 0: run `iterations` times
  bool json = false, fitting = false;
  std::string profile;  // MegEngine's format
  bool profiled = false;
  size_t value_interval = 0, value_first = 0;  // of check_var_value; 0: none
};

// Throws UsageError. Warns about flags that mean nothing here, or refuses them under --strict.
RunSettings run_settings(const Flags& flags);

}  // namespace mgl
