// Which CPUs this process runs on.
#pragma once

#include <vector>

namespace megalith {

// Binds the calling thread, and those that it makes from now on, to these CPUs; false where the platform can't.
bool bind_to_cpus(const std::vector<int>& cpus);

}  // namespace megalith
