#include "megalith/megalith.h"

#include <cstring>
#include <map>
#include <string>

#include "megalith/model.h"

using namespace megalith;

struct mgl_model {
  Model model;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, Tensor> feeds;
  std::vector<Tensor> results;
  Profile profile;
};

namespace {

// Behind a call: WebAssembly's clang 19 drops the initialization of a thread_local that a catch block touches first.
std::string& last_error() {
  thread_local std::string text;
  return text;
}

template <class F>
int guarded(F&& fn) {
  try {
    fn();
    return 0;
  } catch (const std::exception& e) {
    last_error() = e.what();
    return 1;
  }
}

mgl_model* wrap(Model model) {
  auto* m = new mgl_model{std::move(model), {}, {}, {}, {}, {}};
  for (const InputInfo& i : m->model.inputs()) m->inputs.push_back(i.name);
  for (const OutputInfo& o : m->model.outputs()) m->outputs.push_back(o.name);
  return m;
}

mgl_tensor describe(DType dtype, const Shape& shape, void* data) {
  mgl_tensor t{data, static_cast<int32_t>(dtype.id), shape.ndim(), {}};
  for (int i = 0; i < shape.ndim(); ++i) t.shape[i] = shape[i];
  return t;
}

}  // namespace

extern "C" {

const char* mgl_version(void) { return "0.1.0"; }
const char* mgl_last_error(void) { return last_error().c_str(); }

int mgl_load(const char* path, int threads, mgl_model** out) {
  return guarded([&] { *out = wrap(Model::load(path, {.threads = threads})); });
}
int mgl_load_bytes(const void* bytes, size_t size, int threads, mgl_model** out) {
  return guarded(
      [&] { *out = wrap(Model::load(std::span(static_cast<const std::byte*>(bytes), size), {.threads = threads})); });
}
void mgl_free(mgl_model* m) { delete m; }

int mgl_num_inputs(const mgl_model* m) { return static_cast<int>(m->inputs.size()); }
int mgl_num_outputs(const mgl_model* m) { return static_cast<int>(m->outputs.size()); }
const char* mgl_input_name(const mgl_model* m, int i) {
  return i < 0 || i >= mgl_num_inputs(m) ? nullptr : m->inputs[static_cast<size_t>(i)].c_str();
}
const char* mgl_output_name(const mgl_model* m, int i) {
  return i < 0 || i >= mgl_num_outputs(m) ? nullptr : m->outputs[static_cast<size_t>(i)].c_str();
}
int mgl_input_info(const mgl_model* m, int i, mgl_tensor* out) {
  return guarded([&] {
    const InputInfo info = m->model.inputs().at(static_cast<size_t>(i));
    *out = describe(info.dtype, info.shape, nullptr);
  });
}

int mgl_set_input(mgl_model* m, const char* name, const mgl_tensor* t) {
  return guarded([&] {
    if (!valid_dtype(t->dtype)) throw InputError(cat("input '", name, "': ", t->dtype, " is no element type"));
    if (t->ndim < 0 || t->ndim > kMaxDims)
      throw InputError(cat("input '", name, "': ", t->ndim, " dimensions; at most ", kMaxDims));
    const Tensor copy =
        Tensor::empty(static_cast<DTypeEnum>(t->dtype), Shape(std::span(t->shape, static_cast<size_t>(t->ndim))));
    std::memcpy(copy.data(), t->data, copy.bytes());
    m->feeds[name] = copy;
  });
}
int mgl_run(mgl_model* m) {
  return guarded([&] { m->results = m->model.run(m->feeds); });
}
int mgl_run_profiled(mgl_model* m) {
  return guarded([&] { m->results = m->model.run(m->feeds, &m->profile); });
}
int mgl_threads(const mgl_model* m) { return m->model.threads(); }
int mgl_profile_size(const mgl_model* m) { return static_cast<int>(m->profile.nodes().size()); }
int mgl_profile_op(const mgl_model* m, int i, mgl_op_profile* out) {
  return guarded([&] {
    const auto& nodes = m->profile.nodes();
    if (i < 0 || static_cast<size_t>(i) >= nodes.size())
      throw InputError(cat("there is no operator ", i, " in the profile; it has ", nodes.size()));
    const NodeProfile& n = nodes[static_cast<size_t>(i)];
    *out = {n.op.c_str(), n.name.c_str(), n.kernel.c_str(), 0, 0, n.flops, n.bytes};
    for (const Span& s : m->profile.spans()) {
      if (s.node != n.node) continue;
      out->seconds += s.end - s.start;
      out->runs += s.copy ? 0 : 1;
    }
  });
}
int mgl_output_index(const mgl_model* m, const char* name) {
  for (size_t i = 0; i < m->outputs.size(); ++i) {
    if (m->outputs[i] == name) return static_cast<int>(i);
  }
  return -1;
}
int mgl_get_output(const mgl_model* m, int i, mgl_tensor* out) {
  return guarded([&] {
    if (i < 0 || static_cast<size_t>(i) >= m->results.size()) {
      throw InputError(cat("there is no output ", i, "; the last run gave ", m->results.size()));
    }
    const Tensor& t = m->results[static_cast<size_t>(i)];
    *out = describe(t.dtype(), t.shape(), t.data());
  });
}

}  // extern "C"
