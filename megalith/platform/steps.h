// Many short steps, each on several threads: what a loop over time needs, where a parallel loop for each step would
// cost more than the step.
#pragma once

#include "megalith/exec.h"

namespace megalith {

// Calls fn(step, part, parts) for every step in [0, steps) and every part in [0, parts) of it, a step's parts side by
// side and the next step behind all of them. `parts`, at most Exec::threads(), changes as threads come and go: results
// must not depend on it. A thread that was interrupted and kept the others waiting is left out, and so are such teams
// for some time: on a busy machine steps run on one thread. fn must not throw.
void run_in_steps(Exec& exec, int64_t steps, FunctionRef<void(int64_t step, int part, int parts)> fn);

}  // namespace megalith
