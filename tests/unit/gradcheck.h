// Gradients against finite differences: the harness, and the table of cases that every op with a gradient is in.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "megalith/model.h"
#include "megalith/var.h"

namespace megalith::gradcheck {

// A computation of graph values; it is built more than once.
using Build = std::function<std::vector<Var>(const std::vector<Var>& in)>;

struct Options {
  std::vector<bool> wrt;    // which inputs to differentiate for; the others are constants. Empty: all float inputs
  std::vector<int> outs;    // which outputs reach the loss; empty: output 0
  double step = 0.01;       // of the differences; kinks must be more than two steps away
  double tolerance = 2e-3;  // relative to 1 + |slope|
};

// Central differences of fourth order of sum(outputs * random weights), the sum in double, against grad().
void check(const std::string& name, const Build& build, const std::vector<Tensor>& inputs, const Options& options = {});

struct Case {
  std::string op;
  std::string label;
  Attrs attrs;
  std::vector<Tensor> in;
  Options options;
  bool second = false;             // check the gradient of the gradient as well
  const char* straight = nullptr;  // why differences say nothing: the gradient is not that of the function
  std::string name() const { return label.empty() ? op : op + " " + label; }
};

Build build_of(const Case& c);
void check_first_order(const Case& c);
void check_second_order(const Case& c);
void check_eager(const Case& c);  // tapes give the graph's gradient
void check_reads(const Case& c);  // OpDef::grad_reads holds

// Appends cases.
struct Adder {
  std::vector<Case>& all;
  Case& operator()(const char* op, const std::string& label, const Params& params, std::vector<Tensor> in) const;
};

// In gradcheck_cases.cpp and gradcheck_nn.cpp.
void add_basic_cases(std::vector<Case>& all);
void add_nn_cases(std::vector<Case>& all);
const std::vector<Case>& cases();

// Test data. `shuffled` is a grid in random order: all values differ by `step` at least.
Tensor uniform(const Shape& shape, double lo, double hi, uint32_t seed);
Tensor shuffled(const Shape& shape, double first, double step, uint32_t seed);
Tensor numbers(const Shape& shape, const std::vector<float>& values);
Tensor ints(const Shape& shape, const std::vector<int32_t>& values);
inline Tensor ints(const std::vector<int32_t>& values) { return ints({static_cast<int64_t>(values.size())}, values); }

}  // namespace megalith::gradcheck
