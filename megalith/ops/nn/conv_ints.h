// The fast kernels of 2-d convolutions of 8-bit integers, quantized or not (kernels/igemm.h), in all formats: with the
// bits of the reference.
#pragma once

#include "megalith/op.h"

namespace megalith::conv {

std::vector<Kernel> int_convolution();
std::vector<Kernel> int_conv_bias();
std::vector<Kernel> int_backward_data();

}  // namespace megalith::conv
