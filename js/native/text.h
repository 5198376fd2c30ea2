// JSON for JavaScript, and op parameters from it.
#pragma once

#include <string>
#include <string_view>

#include "megalith/op.h"

namespace megalith::js {

// Writes JSON; commas are its business.
class Json {
 public:
  Json& open(char bracket) {
    value();
    s_ += bracket;
    first_ = true;
    return *this;
  }
  Json& close(char bracket) {
    s_ += bracket;
    first_ = false;
    return *this;
  }
  Json& key(std::string_view k) {
    text(k);
    s_ += ':';
    after_key_ = true;
    return *this;
  }
  Json& text(std::string_view v);
  Json& number(double v);
  Json& integer(int64_t v);
  Json& boolean(bool v) {
    value();
    s_ += v ? "true" : "false";
    return *this;
  }
  Json& dtype(DType v);  // the name; {"name", "scale", "zeroPoint"} of a quantized type
  Json& shape(const Shape& v);
  std::string str() const { return s_; }

 private:
  void value() {
    if (!after_key_ && !first_) s_ += ',';
    after_key_ = first_ = false;
  }
  std::string s_;
  bool first_ = true, after_key_ = false;
};

// "Float32", "float32" or MegEngine's names; "QuantizedS8:0.05" and "Quantized8Asymm:0.05:128" carry what they need.
DType parse_dtype(std::string_view text);
// What getenv("MEGALITH_NUM_THREADS") says; room for 12 characters.
char* threads_text();
void write_field(Json& j, const Params& p, const Field& f);
// Lines "field=value"; "output_dtype" is a field of every op. Throws Error.
Attrs parse_attrs(const OpDef& op, std::string_view lines);

}  // namespace megalith::js
