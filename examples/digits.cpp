// Recognizes handwritten digits with a trained LeNet and shows what it saw.
//
// usage: digits MODEL.mge IMAGES.npy LABELS.npy     (IMAGES: uint8 (N,1,28,28), LABELS: (N,))
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <map>
#include <string>

#include "megalith/io/npy.h"
#include "megalith/model.h"

namespace {

using megalith::Tensor;

// 28 columns, two rows of pixels per line of text.
void draw(const uint8_t* pixels) {
  static const char kShades[] = " .:-=+*#%@";
  for (int y = 2; y < 26; y += 2) {
    std::string line(28, ' ');
    for (int x = 0; x < 28; ++x) {
      const int v = (pixels[y * 28 + x] + pixels[(y + 1) * 28 + x]) / 2;
      line[static_cast<size_t>(x)] = kShades[v * 9 / 255];
    }
    std::printf("    %s\n", line.c_str());
  }
}

int run(const char* model_path, const char* images_path, const char* labels_path) {
  megalith::Model model = megalith::Model::load(model_path);
  const Tensor images = megalith::read_npy(images_path), labels = megalith::read_npy(labels_path);
  const std::string input = model.inputs()[0].name;
  const int64_t n = images.dim(0), size = images.count() / n;
  int right = 0;
  double best_ms = 1e9;
  megalith::Profile profile;
  for (int64_t i = 0; i < n; ++i) {
    Tensor image = Tensor::empty(images.dtype(), {1, 1, 28, 28});
    std::copy_n(images.data<uint8_t>() + i * size, size, image.data<uint8_t>());
    const auto start = std::chrono::steady_clock::now();
    const Tensor logits = model.run({{input, image}})[0];
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    best_ms = std::min(best_ms, took.count());
    const float* z = logits.data<float>();
    const auto digit = static_cast<int>(std::max_element(z, z + 10) - z);
    // The model ends in a softmax, or it gives logits.
    double total = 0, sum = 0;
    for (int k = 0; k < 10; ++k) total += z[k], sum += std::exp(double{z[k]} - z[digit]);
    const bool probabilities = std::abs(total - 1) < 1e-3 && *std::min_element(z, z + 10) >= 0;
    const double confidence = probabilities ? 100 * double{z[digit]} : 100 / sum;
    const int label = static_cast<int>(labels.item(i));
    right += digit == label;
    draw(image.data<uint8_t>());
    std::printf("    prediction %d, confidence %.1f %%, label %d%s\n\n", digit, confidence, label,
                digit == label ? "" : "  WRONG");
    model.run({{input, image}}, &profile);
  }
  std::map<std::string, double> by_op;
  double total = 0;
  for (const megalith::Span& s : profile.spans()) {
    by_op[profile.node(s.node).op] += s.end - s.start;
    total += s.end - s.start;
  }
  std::printf("%d of %d right, %.3f ms per digit (fastest run, %d threads)\nwhere the time went:\n", right,
              static_cast<int>(n), best_ms, model.threads());
  for (const auto& [op, t] : by_op) {
    if (t > 0.005 * total)
      std::printf("  %-20s %5.1f %%  %s\n", op.c_str(), 100 * t / total,
                  std::string(static_cast<size_t>(40 * t / total), '#').c_str());
  }
  return right == n ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: digits MODEL.mge IMAGES.npy LABELS.npy\n");
    return 2;
  }
  try {
    return run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "digits: error: %s\n", e.what());
    return 1;
  }
}
