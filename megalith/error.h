// What the library throws. Every message is one sentence that names what failed, where, and the values that collided.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace megalith {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// A model file that is damaged, truncated or not a model.
struct ModelError : Error {
  using Error::Error;
};
// An operator, element type or device that this build knows but can't run.
struct UnsupportedError : Error {
  using Error::Error;
};
// A call of an op that makes no sense: shapes, types or parameters that don't fit.
struct OpError : Error {
  using Error::Error;
};
// A missing, unknown or wrong-typed input of a model.
struct InputError : Error {
  using Error::Error;
};

template <class... Ts>
std::string cat(const Ts&... parts) {
  std::ostringstream s;
  (s << ... << parts);
  return s.str();
}

}  // namespace megalith
