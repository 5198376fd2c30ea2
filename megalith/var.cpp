#include "megalith/var.h"

#include <atomic>
#include <cstring>

#include "megalith/autograd.h"
#include "megalith/call_log.h"
#include "megalith/infer.h"
#include "megalith/inline_vector.h"
#include "megalith/plan.h"
#include "megalith/platform/limits.h"
#include "megalith/platform/thread_pool.h"
#include "megalith/random.h"
#include "megalith/recorder.h"

namespace megalith {
namespace {

std::atomic<uint64_t> random_seed{0}, draws{0};
std::atomic<int> input_checks{0};

// A seed of its own makes the op's numbers depend on nothing else; the others share one stream.
uint64_t eager_random_key(const Attrs& attrs) {
  if (const uint64_t own = seed_of(attrs)) return mix_bits(own, 0);
  return mix_bits(random_seed.load(), ++draws);
}

ValueId add_known(Graph& graph, const Tensor& value) {
  const ValueId v = graph.add_constant(value);
  infer_node(graph, graph.value(v).node);
  return v;
}

template <class In, class Out>
void log_call(const OpDef& op, const Attrs& attrs, const In& in, const Out& results, double begin) {
  CallTime call{.name = call_name(op, attrs), .begin = begin, .end = CallLog::now()};
  for (size_t i = 0; i < in.size(); ++i) call.shapes += cat(i ? " " : "", in[i].shape());
  for (size_t i = 0; i < results.size(); ++i) call.bytes += results[i].bytes();
  CallLog::add(std::move(call));
}

template <class In>
void require_unchanged(const OpDef& op, const In& in, const std::vector<Tensor>& before) {
  for (size_t i = 0; i < before.size(); ++i) {
    if (std::memcmp(in[i].to_contiguous().data(), before[i].data(), before[i].bytes()) != 0) {
      throw OpError(cat(op.name, ": the call changed its input ", i));
    }
  }
}

std::vector<Var> emit_eager(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs) {
  const int n = static_cast<int>(inputs.size());
  if (!takes_inputs(op, n)) throw OpError(cat(op.name, ": ", inputs_text(op, n)));
  InlineVector<Tensor, 4> in(inputs.size());
  uint16_t place = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = inputs[i].tensor();
    if (!place) place = in[i].place();
    in[i].storage()->freeze();  // eager values never change
  }
  InlineVector<Tensor, 2> results(static_cast<size_t>(num_outputs(op, attrs, static_cast<int>(in.size()))));
  Exec exec(&eager_pool());
  if (op.random) exec.set_random_key(eager_random_key(attrs));
  std::vector<Tensor> before;
  if (!kTrimmed && input_checks.load(std::memory_order_relaxed) && op.updates.empty()) {
    for (size_t i = 0; i < in.size(); ++i) before.push_back(in[i].clone());
  }
  const bool logged = !kTrimmed && CallLog::on();
  const double begin = logged ? CallLog::now() : 0;
  run_op(op, attrs, in, results, exec);
  if (logged) log_call(op, attrs, in, results, begin);
  if (!before.empty()) require_unchanged(op, in, before);
  std::vector<Var> out;
  out.reserve(results.size());
  for (Tensor& t : results) {
    t.set_place(place);
    out.emplace_back(std::move(t));
  }
  if (kTrimmed) return out;  // has neither recorders nor tapes
  if (Recorder* recorder = Recorder::active()) recorder->record(op, attrs, inputs, out);
  remember(&op, attrs, inputs, out);  // knows what the recorder calls the results
  return out;
}

}  // namespace

void seed_eager(uint64_t seed) {
  random_seed = seed;
  draws = 0;
}

void check_inputs(bool on) { input_checks += on ? 1 : -1; }

std::vector<Var> emit(const OpDef& op, const Attrs& attrs, const std::vector<Var>& inputs) {
  Graph* graph = nullptr;
  for (const Var& v : inputs) {
    if (!v.is_graph()) continue;
    if (graph && graph != v.graph()) throw Error(cat(op.name, ": its inputs belong to two graphs"));
    graph = v.graph();
  }
  if (!graph) return emit_eager(op, attrs, inputs);
  std::vector<Var> out;
  std::vector<ValueId> in;
  for (const Var& v : inputs) in.push_back(v.is_graph() ? v.value() : add_known(*graph, v.tensor()));
  const NodeId n = graph->add(op, attrs, std::move(in));
  infer_node(*graph, n);
  for (ValueId v : graph->node(n).outputs) out.emplace_back(*graph, v);
  return out;
}

Var emit1(const char* op, const Params& params, const std::vector<Var>& inputs) {
  Attrs attrs;
  attrs.params = params;
  return emit(Registry::get().at(op), attrs, inputs)[0];
}

Var emit1(const char* op, const std::vector<Var>& inputs) {
  const OpDef& def = Registry::get().at(op);
  return emit1(op, def.params ? Params(*def.params) : Params(), inputs);
}

}  // namespace megalith
