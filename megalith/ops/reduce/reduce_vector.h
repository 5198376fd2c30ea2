// Reductions of Float32 with vectors, over any axes.
#pragma once

#include "megalith/exec.h"
#include "megalith/kernels/reduce.h"

namespace megalith::reduce {

// What some joins read beside x: tensors of its shape, or seen in its shape with steps of 0.
struct Beside {
  Tensor other, center;
};

// Joins x along the axes where `kept` is 1 and x is not, into `out`: row-major, as many elements as `kept` has. Runs of
// neighbouring axes are reduced from the last to the first, whatever order x has in memory. x is not empty.
void along(Join join, const Tensor& x, const Shape& kept, float* out, Exec& exec, const Beside& beside = {});

}  // namespace megalith::reduce
