// How long loading takes: a model with the weights of resnet18 (45 MB) from a warm page cache, and the start of `mgl`.
// usage: load [MGL]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "megalith/io/mge/writer.h"
#include "megalith/model.h"
#include "megalith/var.h"

namespace {

using namespace megalith;

template <class F>
double best_ms(int times, F&& f) {
  double best = 1e9;
  for (int i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// A chain of matrix products with as many parameters as resnet18: 11.7 million.
Graph big_graph() {
  Graph g;
  Var v(g, g.add_input("x", DTypeEnum::Float32, {1, 512}));
  size_t bytes = 0;
  for (int i = 0; bytes < size_t{46800000}; ++i) {
    const Tensor w = Tensor::zeros(DTypeEnum::Float32, {512, 512});
    for (int64_t k = 0; k < w.count(); ++k) w.data<float>()[k] = static_cast<float>(k % 251) * 1e-3f;
    bytes += w.bytes();
    v = emit1("MatrixMul", {v, Var(g, g.add_parameter(w, "w" + std::to_string(i)))});
  }
  g.add_output(v.value(), "y");
  return g;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = std::filesystem::temp_directory_path() / "megalith-bench-load";
  std::filesystem::create_directories(folder);
  const Graph g = big_graph();
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    const char* name = format == MgeFormat::kFbs ? "FBS" : "FBS_V2";
    const std::string path = folder + "/" + name + ".mge";
    write_mge(path, g, {.format = format});
    const double mb = static_cast<double>(std::filesystem::file_size(path)) / 1e6;
    const double ms = best_ms(20, [&] { Model::load(path); });
    std::printf("| load %.1f MB of weights, %s | %.2f ms | < 20 ms |\n", mb, name, ms);
    // Loading maps the file; reading it all shows what the mapping costs.
    volatile char sink = 0;
    const double touched = best_ms(20, [&] {
      const Model model = Model::load(path);
      for (const Node& n : model.graph().nodes) {
        if (n.op->kind != OpKind::kParameter) continue;
        const Tensor& t = n.attrs.tensors[0].value;
        for (size_t at = 0; at < t.bytes(); at += 4096) sink = sink + t.data<char>()[at];
      }
    });
    std::printf("| the same, and touching every page of them, %s | %.2f ms | < 20 ms |\n", name, touched);
  }
  std::filesystem::remove_all(folder);
  if (argc > 1) {
    const std::string command = std::string(argv[1]) + " --version > /dev/null";
    const double ms = best_ms(30, [&] {
      if (std::system(command.c_str()) != 0) std::exit(1);
    });
    std::printf("| start of mgl (with the shell) | %.2f ms | < 20 ms |\n", ms);
  }
}
