// The functions of math-inl.h for arrays; `to` may be `from`.
#pragma once

#include <cstdint>

namespace megalith::math {

void exp(const float* from, float* to, int64_t n);
void log(const float* from, float* to, int64_t n);
void tanh(const float* from, float* to, int64_t n);
void sigmoid(const float* from, float* to, int64_t n);
void erf(const float* from, float* to, int64_t n);

}  // namespace megalith::math
