// A trimmed build (MEGALITH_TRIMMED; js/README.md) is for few models and as small as possible: elements are Float32,
// Int32, Uint8 or Bool, an op has the kernels that are fastest for them and no slower reference, and nothing says what
// it is good for. What is left out fails with an error that says so.
#pragma once

namespace megalith {

#ifdef MEGALITH_TRIMMED
inline constexpr bool kTrimmed = true;
#else
inline constexpr bool kTrimmed = false;
#endif

// Nothing in a trimmed build: of a kernel, or of an op's function. So no code refers to it, and the linker drops it.
template <class T>
constexpr T unless_trimmed(T t) {
  return kTrimmed ? T{} : t;
}
// Words that trimmed builds leave out.
#ifdef MEGALITH_TRIMMED
struct Doc {
  constexpr Doc() = default;
  consteval Doc(const char*) {}  // NOLINT: stands for the text
  operator const char*() const { return ""; }
};
#else
using Doc = const char*;
#endif
// Ends what an error says about something unknown.
inline constexpr const char* kLeftOut = kTrimmed ? " (this build is trimmed)" : "";

}  // namespace megalith
