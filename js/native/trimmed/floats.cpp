// In place of ops/nn/conv_ints.cpp in builds for models of floats: the linker takes what is here and leaves the kernels
// for integers in the library. The reference computes those.
#include "megalith/ops/nn/conv_ints.h"

namespace megalith::conv {

std::vector<Kernel> int_convolution() { return {}; }
std::vector<Kernel> int_conv_bias() { return {}; }
std::vector<Kernel> int_backward_data() { return {}; }

}  // namespace megalith::conv
