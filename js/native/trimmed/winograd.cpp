// In place of kernels/winograd.cpp in builds for models without windows of 3 x 3.
#include "megalith/kernels/winograd.h"

namespace megalith::winograd {

bool suits(int64_t, int64_t, int64_t, int64_t) { return false; }
int64_t packed_floats(const nhwc::Filter&) { return 0; }
void pack(const nhwc::Filter&, nhwc::Taps, nhwc::Taps, float*, Exec&) {}
void convolve(const nhwc::Image&, const nhwc::Axis&, const nhwc::Axis&, const nhwc::Filter&, const float*,
              const nhwc::Image&, const gemm::Epilogue&, Exec&) {}
void filter_gradient(const nhwc::Image&, const nhwc::Image&, const nhwc::Axis&, const nhwc::Axis&, nhwc::Taps,
                     nhwc::Taps, const nhwc::Filter&, Exec&) {}

}  // namespace megalith::winograd
