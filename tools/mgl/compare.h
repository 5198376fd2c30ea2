// Comparing results with recorded ones.
#pragma once

#include <string>

#include "megalith/tensor.h"

namespace mgl {

struct Tolerance {
  double rtol = 0, atol = 0;
  bool bits = false;        // nothing but the same bits
  bool up_to_sign = false;  // of vectors that are determined up to their sign
};

// Empty when equal; otherwise how it differs, with the first differing element.
std::string compare(const megalith::Tensor& got, const megalith::Tensor& want, const Tolerance& tol);

// Random results: shape, type, and mean and deviation within what samples of this size give.
std::string compare_random(const megalith::Tensor& got, const megalith::Tensor& want);

// "[0,3,1]": where element `i` of `t` lies.
std::string index_of(const megalith::Tensor& t, int64_t i);

}  // namespace mgl
