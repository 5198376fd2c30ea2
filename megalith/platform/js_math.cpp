// In browsers and Node: JavaScript's functions in place of the C library's, whose tables and code take 8 kB of the
// packed module. What kernels call for every element without SIMD stays the library's: exp, log, pow, tanh, erf of
// Float32.
#ifdef __EMSCRIPTEN__
#include <emscripten/em_math.h>

extern "C" {

double sin(double x) { return emscripten_math_sin(x); }
double cos(double x) { return emscripten_math_cos(x); }
double exp(double x) { return emscripten_math_exp(x); }
double exp2(double x) { return emscripten_math_pow(2, x); }
double log(double x) { return emscripten_math_log(x); }
double pow(double x, double y) {  // JavaScript's is no number in these cases
  return x == 1 || (x == -1 && (y - y) != 0 && y == y) ? 1 : emscripten_math_pow(x, y);
}

#define MEGALITH_JS_MATH(name) \
  float name##f(float x) { return static_cast<float>(emscripten_math_##name(static_cast<double>(x))); }
MEGALITH_JS_MATH(sin)
MEGALITH_JS_MATH(cos)
MEGALITH_JS_MATH(tan)
MEGALITH_JS_MATH(asin)
MEGALITH_JS_MATH(acos)
MEGALITH_JS_MATH(atan)
MEGALITH_JS_MATH(sinh)
MEGALITH_JS_MATH(cosh)
MEGALITH_JS_MATH(asinh)
MEGALITH_JS_MATH(acosh)
MEGALITH_JS_MATH(atanh)
#undef MEGALITH_JS_MATH

float atan2f(float y, float x) {
  return static_cast<float>(emscripten_math_atan2(static_cast<double>(y), static_cast<double>(x)));
}
float fmodf(float x, float y) {
  return static_cast<float>(emscripten_math_fmod(static_cast<double>(x), static_cast<double>(y)));
}

}  // extern "C"
#endif
