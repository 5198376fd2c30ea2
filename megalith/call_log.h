// CallLog: when the eager calls of all threads began and ended, while it is on.
#pragma once

#include <string>
#include <vector>

#include "megalith/op.h"
#include "megalith/tensor.h"

namespace megalith {

// What a call computes: an elementwise one its function ("ADD"), others the op.
std::string call_name(const OpDef& op, const Attrs& attrs);

struct CallTime {
  std::string name;
  std::string shapes;         // of the inputs
  double begin = 0, end = 0;  // seconds since the log was started
  int thread = 0;             // counted from 0, in the order of their first calls
  size_t bytes = 0;           // of the results
};

class CallLog {
 public:
  static void start();                  // throws when it is on
  static std::vector<CallTime> stop();  // the calls, in the order in which they ended
  static bool on();
  static double now();  // seconds since it was started
  static void add(CallTime call);
};

}  // namespace megalith
