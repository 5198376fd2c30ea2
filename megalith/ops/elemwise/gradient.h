// The gradients of Elemwise's modes.
#pragma once

#include "megalith/var.h"

namespace megalith::elemwise {

std::vector<Var> gradient(const GradContext& c);
GradReads gradient_reads(const Attrs& attrs, const std::vector<bool>& needs);

}  // namespace megalith::elemwise
