// What the library throws. Every message is one sentence that names what failed, where, and the values that collided.
#pragma once

#include <concepts>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

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

// Puts a text together. Numbers look as a std::ostream prints them, without the locales that one brings: they would be
// a tenth of a small build.
class Text {
 public:
  Text& operator<<(std::string_view v) {
    s_ += v;
    return *this;
  }
  Text& operator<<(const char* v) { return *this << std::string_view(v); }
  Text& operator<<(char v) {
    s_ += v;
    return *this;
  }
  template <class T>
    requires(std::integral<T> && !std::same_as<T, char>)
  Text& operator<<(T v) {
    s_ += std::to_string(v);
    return *this;
  }
  template <std::floating_point T>
  Text& operator<<(T v) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", static_cast<double>(v));
    s_ += text;
    return *this;
  }
  template <class E>
    requires(std::is_enum_v<E> && std::convertible_to<E, int>)
  Text& operator<<(E v) {
    return *this << static_cast<std::underlying_type_t<E>>(v);
  }
  std::string str() && { return std::move(s_); }
  const std::string& str() const& { return s_; }

 private:
  std::string s_;
};

template <class... Ts>
std::string cat(const Ts&... parts) {
  Text s;
  (s << ... << parts);
  return std::move(s).str();
}

}  // namespace megalith
