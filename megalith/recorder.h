// Recorder: writes down the eager calls of one thread as a Graph, while they run.
#pragma once

#include <map>
#include <tuple>

#include "megalith/var.h"

namespace megalith {

class Recorder {
 public:
  Recorder();
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  static Recorder* active();  // of this thread, or null
  void start();               // one Recorder at a time
  void stop();

  // Declares an eager value as an input of the graph.
  void add_input(Var& v, const std::string& name);
  // Values from outside are captured: by default as constants, as parameters when they were announced here.
  void add_parameter(const Var& v, const std::string& name);
  void add_output(const Var& v, const std::string& name);
  void name_value(const Var& v, const std::string& name);     // ignored unless this recorder made the value
  void name_captured(const Var& v, const std::string& name);  // what a value from outside is called, should it be read
  // Where calls are made: "net.block". Calls are named by it and by what they compute, "net.block.ADD".
  void set_scope(const std::string& scope) { scope_ = scope; }
  bool made(const Var& v) const { return v.trace.recorder == id_; }  // as an input or by a recorded call
  ValueId value_of(const Var& v);                                    // captures it when it came from outside

  // Constants that are numbers of the program.
  const std::vector<ValueId>& literals() const { return literals_; }

  // What differs between the calls of two recordings: "" when they are the same, shapes and values apart. `literals`
  // are those of `a` that have to have the same values in `b`.
  static std::string difference(const Graph& a, const Graph& b, const std::vector<ValueId>& literals = {});

  void record(const OpDef& op, const Attrs& attrs, const std::vector<Var>& in, std::vector<Var>& out);
  Graph& graph() { return graph_; }

 private:
  using Identity = std::tuple<const void*, size_t, std::string>;  // storage, offset, layout
  static Identity identity(const Tensor& t);

  uint64_t id_;
  Graph graph_;
  std::string scope_;
  std::vector<ValueId> literals_;
  std::map<Identity, std::string> names_;                          // of values from outside
  std::map<Identity, std::pair<Tensor, std::string>> parameters_;  // announced
  std::map<Identity, std::pair<Tensor, ValueId>> captured_;        // the tensor is kept, so its address stays its own
};

}  // namespace megalith
