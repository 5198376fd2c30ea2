#include "tools/mgl/dumps.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace mgl {

using megalith::cat;
using megalith::Graph;
using megalith::Node;
using megalith::OpKind;
using megalith::Step;
using megalith::Tensor;

void write_text(const std::string& path, const std::string& text) {
  std::ofstream f(path, std::ios::binary);
  f << text;
  if (!f.flush()) throw megalith::Error(cat("can't write ", path));
}

void make_folder(const std::string& path) {
  std::error_code e;
  std::filesystem::create_directories(path, e);
  if (!std::filesystem::is_directory(path)) throw megalith::Error(cat("can't make the folder ", path));
}

namespace {

// Elements as MegEngine prints them, without scales.
void print_values(std::FILE* to, const Tensor& t, bool statistics) {
  constexpr int64_t kShown = 5;
  if (t.dtype().is_lowbit() || t.dtype().bits() > 32) {
    std::fprintf(to, "<%s>", t.dtype().str().c_str());
    return;
  }
  std::fputc('[', to);
  const int64_t n = t.count();
  for (int64_t i = 0; i < std::min(n, kShown); ++i) std::fprintf(to, "%s%.4g", i ? ", " : "", t.item(i));
  std::fputs(n > kShown ? ", ...]" : "]", to);
  if (!statistics || n == 0) return;
  double low = INFINITY, high = -INFINITY, sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double v = t.item(i);
    low = std::min(low, v);
    high = std::max(high, v);
    sum += v;
    squares += v * v;
  }
  const auto count = static_cast<double>(n);
  std::fprintf(to, "min=%.3g max=%.3g mean=%.3g l2=%.3g", low, high, sum / count, std::sqrt(squares / count));
  if (n > 1) {
    const double variance = std::max(0.0, squares * count - sum * sum) / (count * (count - 1));
    std::fprintf(to, " sd=%.3g", std::sqrt(variance));
  } else {
    std::fputs(" sd=N/A", to);
  }
}

std::string layout_text(const Tensor& t) {
  std::string s = "{";
  for (int d = 0; d < t.ndim(); ++d) s += cat(d ? "," : "", t.dim(d), "(", t.stride()[d], ")");
  return s + " " + t.dtype().str() + "}";
}

void print_variable(std::FILE* to, const Graph& g, int32_t node_id, size_t output, const Tensor& value,
                    const std::vector<Tensor>& in) {
  const Node& node = g.node(node_id);
  const int32_t v = node.outputs[output];
  std::fprintf(to, "var%zu produced: name=%s layout=%s owner_opr=%s{%s} opr%zu\n deps:\n", var_number(g, v),
               g.value(v).name.c_str(), layout_text(value).c_str(), g.name(node_id).c_str(), node.op->name,
               op_number(node_id));
  for (size_t i = 0; i < in.size(); ++i) {
    std::fprintf(to, "  [i%zu]var%zu: ", i, var_number(g, node.inputs[i]));
    print_values(to, in[i], false);
    std::fputs(" s\n", to);
  }
  std::fputs(" val: ", to);
  print_values(to, value, true);
  std::fputs(" s\n", to);
}

// Calls fn(node, output, value, inputs) for constants, parameters and feeds, then for what each step makes.
template <class F>
void observe(megalith::Model& model, const Feeds& feeds, F&& fn) {
  const Graph& g = model.graph();
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    if (node.op->kind == OpKind::kCompute) continue;
    for (size_t i = 0; i < node.attrs.tensors.size() && i < node.outputs.size(); ++i) {
      Tensor value = node.attrs.tensors[i].value;
      if (node.op->kind == OpKind::kInput) {
        if (const auto fed = feeds.find(node.attrs.tensors[i].name); fed != feeds.end()) value = fed->second;
      }
      if (value.defined()) fn(static_cast<int32_t>(n), i, value, std::vector<Tensor>{});
    }
  }
  model.set_observer([&](const Step& step) {
    for (size_t i = 0; i < step.out.size(); ++i) {
      if (step.out[i].defined()) fn(step.node, i, step.out[i], step.in);
    }
  });
  try {
    model.run(feeds);
  } catch (...) {
    model.set_observer(nullptr);
    throw;
  }
  model.set_observer(nullptr);
}

// The numbers that MegEngine's binary dumps have for element types.
uint32_t dump_dtype(const Tensor& t) {
  using E = megalith::DTypeEnum;
  switch (t.dtype().id) {
    case E::Quantized8Asymm: return 100000;
    case E::QuantizedS32: return 100001;
    case E::QuantizedS8: return 100002;
    case E::Quantized4Asymm: return 100003;
    case E::QuantizedS4: return 100004;
    case E::QuantizedS16: return 100005;
    case E::QuantizedS1: return 100006;
    case E::BFloat16: return 11;
    case E::Bool: return 12;
    case E::Uint16: return 13;
    case E::Complex64: return 14;
    default: return static_cast<uint32_t>(t.dtype().id);
  }
}

std::string describe(const Graph& g, int32_t v) {
  const Node& owner = g.node(g.value(v).node);
  return cat("{id:", var_number(g, v), ", name:", g.value(v).name, ", owner:", g.name(g.value(v).node), "{",
             owner.op->name, "}}");
}

// u32 length of the title, element type, greatest rank, dimensions (0 where there is none), title, data.
void write_binary(const std::string& path, const Graph& g, int32_t value, const Tensor& t) {
  std::string title = "var=" + describe(g, value) + " owner_opr_inputs=";
  for (int32_t in : g.node(g.value(value).node).inputs) title += describe(g, in);
  for (char& c : title) {
    if (static_cast<unsigned char>(c) > 126) c = '?';  // readers take it for ASCII
  }
  uint32_t header[3 + megalith::kMaxDims] = {static_cast<uint32_t>(title.size()), dump_dtype(t), megalith::kMaxDims};
  for (int d = 0; d < t.ndim(); ++d) header[3 + d] = static_cast<uint32_t>(t.dim(d));
  const Tensor data = t.to_contiguous();
  std::string bytes(reinterpret_cast<const char*>(header), sizeof header);
  bytes += title;
  bytes.append(data.data<char>(), data.bytes());
  write_text(path, bytes);
}

}  // namespace

void dump_text(megalith::Model& model, const Feeds& feeds, std::FILE* to) {
  observe(model, feeds, [&](int32_t node, size_t output, const Tensor& value, const std::vector<Tensor>& in) {
    print_variable(to, model.graph(), node, output, value, in);
  });
  std::fflush(to);
}

void dump_binary(megalith::Model& model, const Feeds& feeds, const std::string& folder) {
  make_folder(folder);
  const Graph& g = model.graph();
  observe(model, feeds, [&](int32_t node, size_t output, const Tensor& value, const std::vector<Tensor>&) {
    const int32_t v = g.node(node).outputs[output];
    char name[32];
    std::snprintf(name, sizeof name, "/%06zx", var_number(g, v));
    write_binary(folder + name, g, v, value);
  });
}

void dump_outputs(const megalith::Model& model, const std::vector<Tensor>& outputs, size_t run,
                  const std::string& folder) {
  const Graph& g = model.graph();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const int32_t v = g.outputs[i].value;
    write_binary(cat(folder, "/run", run, "-var", var_number(g, v)), g, v, outputs[i]);
  }
}

void check_range(megalith::Model& model, const Feeds& feeds, double limit) {
  const Graph& g = model.graph();
  observe(model, feeds, [&](int32_t node, size_t output, const Tensor& value, const std::vector<Tensor>&) {
    if (!value.dtype().is_float()) return;
    for (int64_t i = 0; i < value.count(); ++i) {
      const double v = value.item(i);
      if (std::abs(v) <= limit) continue;
      throw megalith::Error(
          cat(g.label(node), ": element ", i, " of output ", output, " is ", v, ", beyond +-", limit));
    }
  });
}

void check_values(megalith::Model& model, const Feeds& feeds, size_t interval, size_t first, int runs) {
  const Graph& g = model.graph();
  std::vector<std::pair<int32_t, Tensor>> seen;
  const auto value_of = [&](int32_t node, size_t output) { return g.node(node).outputs[output]; };
  observe(model, feeds, [&](int32_t node, size_t output, const Tensor& value, const std::vector<Tensor>&) {
    seen.push_back({value_of(node, output), value.clone()});
  });
  if (seen.empty()) return;
  size_t current = first % seen.size(), left = interval;
  for (int run = 0; run < runs; ++run) {
    const auto& [wanted, expected] = seen[current];
    std::fprintf(stderr, "check_var_value: #%zu %s\n", current, describe(g, wanted).c_str());
    observe(model, feeds, [&](int32_t node, size_t output, const Tensor& value, const std::vector<Tensor>&) {
      if (value_of(node, output) != wanted) return;
      const Tensor now = value.to_contiguous();
      const bool same =
          now.bytes() == expected.bytes() && std::memcmp(now.data(), seen[current].second.data(), now.bytes()) == 0;
      if (!same) throw megalith::Error(cat(g.label(node), ": the value of output ", output, " changed between runs"));
    });
    if (--left == 0) {
      left = interval;
      current = (current + 1) % seen.size();
    }
  }
}

}  // namespace mgl
