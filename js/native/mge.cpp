// What mge.js calls. Objects are pointers that JavaScript owns and frees; functions return 0 (numbers: -1) when
// mge_error() has a sentence. Several names in one string are separated by '\0'; texts for JavaScript are JSON and stay
// until the next call that returns one.
#include <emscripten/emscripten.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "js/native/text.h"
#include "megalith/autograd.h"
#include "megalith/infer.h"
#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"
#include "megalith/kernels/simd.h"
#include "megalith/megalith.h"
#include "megalith/model.h"
#include "megalith/platform/thread_pool.h"
#include "megalith/random.h"
#include "megalith/recorder.h"
#include "megalith/training.h"
#include "megalith/var.h"

namespace megalith::js {
namespace {

std::string& error_text() {
  static std::string text;
  return text;
}

template <class F>
auto guarded(F&& fn) -> decltype(fn()) {
  using R = decltype(fn());
  constexpr bool pointer = std::is_pointer_v<R>;
  try {
    return fn();
  } catch (const std::bad_alloc&) {
    error_text() = "out of memory";
  } catch (const std::exception& e) {
    error_text() = e.what();
  }
  if constexpr (pointer)
    return nullptr;
  else
    return R(-1);
}

const char* give(std::string text) {
  static std::string kept;
  kept = std::move(text);
  return kept.c_str();
}

std::vector<std::string> names_of(const char* text, size_t bytes) {
  std::vector<std::string> r;
  for (size_t begin = 0; begin < bytes;) {
    r.emplace_back(text + begin);
    begin += r.back().size() + 1;
  }
  return r;
}

std::map<std::string, Tensor> feeds_of(const char* names, size_t bytes, Var* const* values) {
  std::map<std::string, Tensor> r;
  size_t i = 0;
  for (std::string& name : names_of(names, bytes)) r[std::move(name)] = values[i++]->tensor();
  return r;
}

[[maybe_unused]] std::vector<Var> vars_of(int n, Var* const* vars) {
  std::vector<Var> r;
  for (int i = 0; i < n; ++i) r.push_back(vars[i] ? *vars[i] : Var());
  return r;
}

int hand_over(std::vector<Var> vars, Var** out) {
  for (size_t i = 0; i < vars.size(); ++i) out[i] = vars[i].defined() ? new Var(std::move(vars[i])) : nullptr;
  return static_cast<int>(vars.size());
}
int hand_over(std::vector<Tensor> tensors, Var** out) {
  return hand_over(std::vector<Var>(tensors.begin(), tensors.end()), out);
}

struct LoadedModel {
  Model model;
  std::string format;
  Profile profile;
};

struct Trainer {
  Graph graph;
  std::vector<TrainedValue> weights;
  TrainingStep step;
  std::unique_ptr<Model> forward, train;
};

ModelOptions options_of(double memory_limit) {
  ModelOptions o;
  o.eager_threads = true;
  if (memory_limit > 0) o.memory_limit = static_cast<size_t>(std::min<double>(memory_limit, PTRDIFF_MAX));
  return o;
}

void describe(Json& j, const Model& m) {
  j.key("inputs").open('[');
  for (const InputInfo& i : m.inputs()) {
    j.open('{').key("name").text(i.name).key("dtype").dtype(i.dtype).key("shape").shape(i.shape);
    j.key("optional").boolean(i.has_default).close('}');
  }
  j.close(']').key("outputs").open('[');
  for (const OutputInfo& o : m.outputs()) j.text(o.name);
  j.close(']');
}

void describe(Json& j, const char* key, const std::vector<TrainedValue>& values) {
  j.key(key).open('[');
  for (const TrainedValue& v : values)
    j.open('{').key("name").text(v.name).key("shape").shape(v.value.shape()).close('}');
  j.close(']');
}

[[maybe_unused]] std::string profile_text(const Profile& p) {
  Json j;
  j.open('{').key("threads").integer(p.threads).key("ops").open('[');
  for (const NodeProfile& n : p.nodes()) {
    double seconds = 0;
    int runs = 0;
    for (const Span& s : p.spans()) {
      if (s.node != n.node) continue;
      seconds += s.end - s.start;
      runs += s.copy ? 0 : 1;
    }
    j.open('{').key("op").text(n.op).key("name").text(n.name).key("kernel").text(n.kernel).key("params").text(n.params);
    j.key("runs").integer(runs).key("milliseconds").number(1000 * seconds);
    if (n.flops >= 0) j.key("flops").number(n.flops);
    j.key("bytes").integer(static_cast<int64_t>(n.bytes)).key("outputs").open('[');
    for (const ValueProfile& v : n.out) j.shape(v.shape);
    j.close(']').close('}');
  }
  return j.close(']').close('}').str();
}

const char* write(const Graph& g, int v2, size_t* size) {
  MgeWriteOptions o;
  o.format = v2 ? MgeFormat::kFbsV2 : MgeFormat::kFbs;
  static std::string bytes;
  bytes = write_mge(g, o);
  *size = bytes.size();
  return bytes.data();
}

}  // namespace
}  // namespace megalith::js

using namespace megalith;
using namespace megalith::js;

#define MGE_API extern "C" EMSCRIPTEN_KEEPALIVE

MGE_API const char* mge_error() { return error_text().c_str(); }
// Before everything else.
MGE_API void mge_start(int threads) { std::strcpy(threads_text(), std::to_string(threads).c_str()); }
MGE_API const char* mge_info() {
  return guarded([] {
    Json j;
    j.open('{').key("version").text(mgl_version()).key("isa").text(isa_name());
    return give(j.key("threads").integer(eager_pool().threads()).close('}').str());
  });
}
MGE_API const char* mge_registry() {
  return guarded([] {
    Json j;
    j.open('[');
    for (const OpDef* op : Registry::get().ops()) {
      j.open('{').key("name").text(op->name).key("doc").text(static_cast<const char*>(op->doc)).key("inputs").open('[');
      j.integer(op->min_inputs).integer(op->max_inputs).close(']').key("gradient").boolean(op->grad != nullptr);
      j.key("params").open('[');
      if (!kTrimmed && op->params) {
        const Params defaults(*op->params);
        for (const Field& f : op->params->fields) {
          j.open('{').key("name").text(f.name).key("doc").text(f.doc).key("default");
          write_field(j, defaults, f);
          if (f.enums) {
            j.key("values").open('[');
            for (const EnumValue& e : f.enums().values) j.text(e.name);
            j.close(']');
          }
          j.close('}');
        }
      }
      j.close(']').close('}');
    }
    return give(j.close(']').str());
  });
}

// --- tensors

// Of elements that the caller writes to mge_tensor_data().
MGE_API Var* mge_tensor(const char* dtype, int ndim, const int* dims) {
  return guarded([&] {
    if (ndim < 0 || ndim > kMaxDims) throw Error(cat("a tensor of ", ndim, " dimensions; at most ", kMaxDims));
    Shape shape;
    for (int i = 0; i < ndim; ++i) shape.push_back(dims[i]);
    const DType type = parse_dtype(dtype);
    require_built(type);
    return new Var(Tensor::empty(type, shape));
  });
}
MGE_API const char* mge_tensor_info(const Var* v) {
  return guarded([&] {
    Json j;
    j.open('{').key("dtype").dtype(v->tensor().dtype()).key("shape").shape(v->tensor().shape());
    return give(j.key("bytes").integer(static_cast<int64_t>(v->tensor().bytes())).close('}').str());
  });
}
MGE_API void* mge_tensor_data(Var* v) {
  return guarded([&]() -> void* {
    if (!v->tensor().contiguous()) v->set_tensor(v->tensor().to_contiguous());
    return v->tensor().data();
  });
}
MGE_API Var* mge_tensor_copy(const Var* v) {
  return guarded([&] { return new Var(v->tensor()); });
}
MGE_API void mge_tensor_free(Var* v) { delete v; }

#ifndef MEGALITH_TRIMMED
MGE_API void mge_seed(double seed) { seed_eager(static_cast<uint64_t>(seed)); }
// Calls an op; `out` has room for `max_out` results.
MGE_API int mge_op(const char* name, const char* attrs, int n, Var* const* in, int max_out, Var** out) {
  return guarded([&] {
    const OpDef& op = Registry::get().at(name);
    std::vector<Var> r = emit(op, parse_attrs(op, attrs), vars_of(n, in));
    if (static_cast<int>(r.size()) > max_out) throw Error(cat(name, ": gives ", r.size(), " results"));
    return hand_over(std::move(r), out);
  });
}

// --- gradients

MGE_API Tape* mge_tape() {
  return guarded([] { return new Tape; });
}
MGE_API int mge_tape_watch(Tape* t, Var* v) {
  return guarded([&] { return t->watch(*v), 0; });
}
MGE_API int mge_tape_gradients(Tape* t, Var* y, int n, Var* const* wrt, Var** out) {
  return guarded([&] { return hand_over(t->gradients({*y}, {}, vars_of(n, wrt)), out); });
}
MGE_API void mge_tape_free(Tape* t) { delete t; }

// --- recording: eager calls become a model

MGE_API Recorder* mge_record() {
  return guarded([] {
    auto r = std::make_unique<Recorder>();
    r->start();
    return r.release();
  });
}
MGE_API int mge_record_input(Recorder* r, Var* v, const char* name) {
  return guarded([&] { return r->add_input(*v, name), 0; });
}
MGE_API int mge_record_parameter(Recorder* r, Var* v, const char* name) {
  return guarded([&] { return r->add_parameter(*v, name), 0; });
}
MGE_API int mge_record_output(Recorder* r, Var* v, const char* name) {
  return guarded([&] { return r->add_output(*v, name), 0; });
}
MGE_API LoadedModel* mge_record_model(Recorder* r, double memory_limit) {
  return guarded([&] {
    r->stop();
    return new LoadedModel{Model::from_graph(std::move(r->graph()), options_of(memory_limit)), "", {}};
  });
}
MGE_API void mge_record_free(Recorder* r) { delete r; }

#endif
// --- models

MGE_API LoadedModel* mge_load(const std::byte* bytes, size_t size, double memory_limit) {
  return guarded([&] {
    MgeFile file = read_mge(std::span(bytes, size), nullptr);
    ModelOptions o = options_of(memory_limit);
    if (memory_limit <= 0)
      o.memory_limit =
          static_cast<size_t>(std::min<uint64_t>((uint64_t{512} << 20) + 256 * uint64_t{size}, PTRDIFF_MAX));
    return new LoadedModel{Model::from_graph(std::move(file.graph), o), file.format, {}};
  });
}
MGE_API const char* mge_model_info(const LoadedModel* m) {
  return guarded([&] {
    Json j;
    j.open('{').key("format").text(m->format);
    describe(j, m->model);
    j.key("operators").open('[');
    for (const Node& n : m->model.original().nodes) {
      if (n.op->kind == OpKind::kCompute) j.text(n.op->name);
    }
    size_t weights = 0;
    for (const Node& n : m->model.original().nodes) {
      for (const NamedTensor& t : n.attrs.tensors) {
        if (n.op->kind != OpKind::kInput && t.value.defined()) weights += static_cast<size_t>(t.value.count());
      }
    }
    return give(j.close(']').key("elements").integer(static_cast<int64_t>(weights)).close('}').str());
  });
}
// `out` has room for every output. profiled: 0, 1 for a new profile, 2 to go on with the last one.
MGE_API int mge_model_run(LoadedModel* m, const char* names, size_t bytes, Var* const* feeds, int profiled, Var** out) {
  return guarded([&] {
    if (!kTrimmed && profiled == 1) m->profile = {};
    return hand_over(m->model.run(feeds_of(names, bytes, feeds), !kTrimmed && profiled ? &m->profile : nullptr), out);
  });
}
#ifndef MEGALITH_TRIMMED
MGE_API const char* mge_model_profile(const LoadedModel* m) {
  return guarded([&] { return give(profile_text(m->profile)); });
}
#endif
MGE_API const char* mge_model_save(const LoadedModel* m, int v2, size_t* size) {
  return guarded([&] { return write(m->model.original(), v2, size); });
}
MGE_API void mge_model_free(LoadedModel* m) { delete m; }

// --- training

// The numbers are momentum, beta1, beta2, decay, eps, weight decay.
MGE_API Trainer* mge_trainer(const LoadedModel* m, int output, int loss, int optimizer, const float* numbers,
                             const char* names, size_t bytes, double memory_limit) {
  return guarded([&] {
    auto t = std::make_unique<Trainer>();
    t->graph = m->model.original();
    expand_virtual_grads(t->graph);
    t->weights = make_trainable(t->graph, names_of(names, bytes));
    const OptimizerOptions o{static_cast<OptimizerOptions::Kind>(optimizer),
                             numbers[0],
                             numbers[1],
                             numbers[2],
                             numbers[3],
                             numbers[4],
                             numbers[5]};
    t->step = training_step(t->graph, static_cast<size_t>(output), static_cast<LossKind>(loss), o);
    const ModelOptions options = options_of(memory_limit);
    t->forward = std::make_unique<Model>(Model::from_graph(t->graph, options));
    t->train = std::make_unique<Model>(Model::from_graph(t->step.graph, options));
    return t.release();
  });
}
MGE_API const char* mge_trainer_info(const Trainer* t) {
  return guarded([&] {
    Json j;
    j.open('{');
    describe(j, *t->forward);
    describe(j, "weights", t->weights);
    describe(j, "state", t->step.state);
    j.key("target").text(t->step.target).key("learningRate").text(t->step.learning_rate);
    return give(
        j.key("corrections").open('[').text(t->step.correction1).text(t->step.correction2).close(']').close('}').str());
  });
}
// Runs a step, or, without `train`, the model alone.
MGE_API int mge_trainer_run(Trainer* t, int train, const char* names, size_t bytes, Var* const* feeds, Var** out) {
  return guarded([&] { return hand_over((train ? t->train : t->forward)->run(feeds_of(names, bytes, feeds)), out); });
}
// Value i of the weights and, behind them, the optimizer's state: the memory itself.
MGE_API Var* mge_trainer_value(const Trainer* t, int i) {
  return guarded([&] {
    const size_t k = static_cast<size_t>(i), n = t->weights.size();
    return new Var(k < n ? t->weights[k].value : t->step.state.at(k - n).value);
  });
}
MGE_API const char* mge_trainer_save(const Trainer* t, int v2, size_t* size) {
  return guarded([&] { return write(with_constant_weights(t->graph), v2, size); });
}
MGE_API void mge_trainer_free(Trainer* t) { delete t; }
