// Reverse-mode differentiation of eager computations.
//
// While a Tape is open, emit() remembers every call whose inputs are watched or come from such calls. gradients() walks
// them backwards and calls OpDef::grad, which emits ordinary ops: with a second Tape open those are remembered as well,
// which gives gradients of gradients. Tapes belong to the thread that made them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "megalith/var.h"

namespace megalith {

// A remembered call. It owns what its gradient reads and, through the links of its inputs, the calls before it.
struct TapeNode {
  using Backward = std::function<std::vector<Var>(const std::vector<Var>& dout)>;  // one Var per input

  uint64_t order = 0;  // calls are numbered as they are made
  const OpDef* op = nullptr;
  Attrs attrs;
  std::vector<Var> in;
  std::vector<Var> out;   // unlinked
  Backward custom;        // used instead of op->grad when set
  bool released = false;  // its tape is gone
  ~TapeNode();
};

// What makes a value differentiable: the call that made it, or, for a leaf, the tapes that watch it.
struct GradLink {
  std::shared_ptr<TapeNode> node;  // null: a leaf
  int index = 0;                   // which output of the call
  int watchers = 0;                // open tapes that watch this leaf
};

class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  void watch(Var& v);  // makes an eager value a leaf, unless a remembered call made it
  // Gradients of sum(ys[i] * dys[i]) with respect to `wrt`; an undefined dys[i] stands for ones. A value that no y
  // depends on gets an undefined Var. Throws UnsupportedError for an op without a gradient on the way.
  std::vector<Var> gradients(const std::vector<Var>& ys, const std::vector<Var>& dys, const std::vector<Var>& wrt);
  void release();  // stops remembering; the last open tape frees what was remembered
  bool open() const { return open_; }

 private:
  bool open_ = true;
  std::vector<std::shared_ptr<GradLink>> watched_;
};

// Calls made while a NoTape lives are not remembered.
class NoTape {
 public:
  NoTape();
  ~NoTape();
  NoTape(const NoTape&) = delete;
  NoTape& operator=(const NoTape&) = delete;
};

bool tracked(const Var& v);  // a call that takes `v` now would be remembered

// Remembers that `out` was computed from `in`, if any of them is tracked: links `out`. For emit() and custom functions.
void remember(const OpDef* op, const Attrs& attrs, const std::vector<Var>& in, std::vector<Var>& out,
              TapeNode::Backward custom = nullptr);

}  // namespace megalith
