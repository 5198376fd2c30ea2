// The fast kernels of 2-d convolutions of floats, and of their gradients (kernels/nhwc.h). Images are read and written
// channels-last; those that lie otherwise are copied.
#pragma once

#include "megalith/op.h"

namespace megalith::conv {

std::vector<Kernel> nhwc_convolution();
std::vector<Kernel> nhwc_conv_bias();
std::vector<Kernel> nhwc_conv_bias_relu6();
std::vector<Kernel> nhwc_backward_data();
std::vector<Kernel> nhwc_backward_filter();

}  // namespace megalith::conv
