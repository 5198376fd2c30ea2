// In place of the C library's: what it offers beyond what is needed here is a twentieth of the module.
#include <emscripten/em_js.h>
#include <emscripten/em_macros.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "js/native/text.h"

// Of src/numbers.ts.
EM_JS_DEPS(mge_number_text, "$stringToUTF8");
EM_JS(void, mge_number_text, (double v, int digits, char* to, int room),
      { stringToUTF8(numberText(v, digits), to, room); });

// Error messages and JSON need %g of one number, as JavaScript writes it; in libc++'s texts for errors of the system
// nothing is filled in.
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

// The one variable that is set here.
extern "C" char* getenv(const char* name) {
  return std::strcmp(name, "MEGALITH_NUM_THREADS") == 0 ? megalith::js::threads_text() : nullptr;
}
