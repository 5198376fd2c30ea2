// GRUs made of ops that `.mge` files know (OpDef::expand).
#pragma once

#include <span>

#include "megalith/var.h"

namespace megalith::rnn {

std::vector<Var> expand_gru(const Attrs& attrs, const std::vector<Var>& in, std::span<const TensorSpec> specs);
std::vector<Var> expand_gru_cell(const Attrs& attrs, const std::vector<Var>& in, std::span<const TensorSpec> specs);

}  // namespace megalith::rnn
