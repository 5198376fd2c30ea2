// In place of the C library's, which with all that it can write is a twentieth of the module. Error messages and JSON
// need %g of one number, as JavaScript writes it; in libc++'s texts for errors of the system nothing is filled in.
#include <emscripten/em_js.h>
#include <emscripten/em_macros.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

EM_JS_DEPS(mge_number_text, "$stringToUTF8");
// clang-format off
EM_JS(void, mge_number_text, (double v, int digits, char* to, int room), {
  const [fraction, exponent] = v.toExponential(digits - 1).split("e");
  const e = Number(exponent);
  const short = (text) => text.includes(".") ? text.replace(/[.]?0+$/, "") : text;
  const text = !isFinite(v) ? (v !== v ? "nan" : v < 0 ? "-inf" : "inf")
    : e < -4 || e >= digits ? short(fraction) + "e" + (e < 0 ? "-" : "+") + String(Math.abs(e)).padStart(2, "0")
    : (Object.is(v, -0) ? "-" : "") + short(v.toFixed(Math.max(0, digits - 1 - e)));
  stringToUTF8(text, to, room);
});
// clang-format on

extern "C" int snprintf(char* to, size_t room, const char* format, ...) {
  va_list args;
  va_start(args, format);
  const int digits = std::strcmp(format, "%g") == 0 ? 6 : std::strcmp(format, "%.17g") == 0 ? 17 : 0;
  if (digits > 0)
    mge_number_text(va_arg(args, double), digits, to, static_cast<int>(room));
  else if (room > 0)
    *std::copy_n(format, std::min(std::strlen(format), room - 1), to) = '\0';
  va_end(args);
  return static_cast<int>(std::strlen(to));
}

// No texts for errors of the system: nothing here calls it.
extern "C" int strerror_r(int, char*, size_t) { return EINVAL; }
