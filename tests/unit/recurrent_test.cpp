// The fused kernels of recurrent networks against the reference, on this instruction set and several numbers of
// threads.
#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "gradcheck.h"
#include "megalith/plan.h"
#include "megalith/platform/thread_pool.h"

using namespace megalith;

TEST_SUITE_BEGIN("kernels");

namespace {

struct Size {
  int64_t seq, batch, input, hidden, layers = 1;
  bool two = false, bias = true;
  std::string str() const {
    return cat("T", seq, " N", batch, " I", input, " H", hidden, " layers ", layers, two ? " bidirectional" : "",
               bias ? "" : " without bias");
  }
};

const Size kSizes[] = {
    {1, 1, 1, 1},
    {5, 1, 3, 7},
    {3, 2, 5, 17, 2, true},
    {6, 3, 4, 33, 3, false, false},
    {4, 19, 40, 50, 2, true},
    {7, 1, 64, 128},
    {9, 1, 30, 200, 1, true},
    {3, 45, 16, 64, 2, false},
    {2, 33, 100, 96, 1, true, false},
    {40, 16, 8, 40},
    {45, 35, 9, 20, 2, true},
    {53, 1, 70, 64, 2, true},
    {37, 1, 20, 160},
    {35, 1, 800, 32},
    {40, 1, 96, 128, 2},
    {50, 1, 256, 256},
    {37, 1, 64, 256, 1, false, false},
    {770, 1, 3, 128},
    {3, 0, 4, 5, 2, true},
    {0, 2, 4, 5},
};

void check_close(const Tensor& got, const Tensor& want, double tolerance, const std::string& what) {
  REQUIRE(got.shape() == want.shape());
  double worst = 0;
  for (int64_t i = 0; i < got.count(); ++i) {
    const double g = got.data<float>()[i], w = want.data<float>()[i];
    worst = std::max(worst, std::abs(g - w) / (1 + std::abs(w)));
    if (!(std::abs(g - w) < 1e9)) worst = 1e9;
  }
  CAPTURE(what);
  CHECK(worst < tolerance);
}

Tensor as_floats(const Tensor& t) {
  return t.dtype().id == DTypeEnum::Float32
             ? t
             : Tensor::from_storage(t.storage(), t.offset(), DTypeEnum::Float32, Layout({t.count() / 4}));
}

// The op's results with 1 thread, close to the reference's and the same bits with more threads.
std::vector<Tensor> check_op(const char* name, const Params& params, const std::vector<Tensor>& in, double tolerance) {
  const OpDef& op = Registry::get().at(name);
  Attrs attrs;
  attrs.params = params;
  Exec alone;
  const std::vector<Tensor> want = run_op(op, attrs, in, alone, true);
  std::vector<Tensor> first;
  for (int threads : {1, 2, 3, 5}) {
    CAPTURE(threads);
    ThreadPool pool(threads);
    Exec exec(&pool);
    const std::vector<Tensor> got = run_op(op, attrs, in, exec);
    REQUIRE(got.size() == want.size());
    if (first.empty()) {
      for (size_t i = 0; i < got.size(); ++i)
        check_close(as_floats(got[i]), as_floats(want[i]), tolerance, cat("output ", i));
      first = got;
      continue;
    }
    for (size_t i = 0; i < got.size(); ++i)
      CHECK((got[i].bytes() == 0 || std::memcmp(got[i].data(), first[i].data(), got[i].bytes()) == 0));
  }
  return first;
}

template <class P>
void check_sizes(const char* kind, P params, int64_t gates, int states, double tolerance) {
  for (const Size& s : kSizes) {
    CAPTURE(s.str());
    params.num_layers = static_cast<uint32_t>(s.layers);
    params.hidden_size = static_cast<uint32_t>(s.hidden);
    params.bidirectional = s.two;
    params.bias = s.bias;
    const int64_t dirs = s.two ? 2 : 1, rows = gates * s.hidden, biases = s.bias ? 2 * rows : 0;
    const int64_t weights =
        dirs * (rows * (s.input + s.hidden) + biases) + (s.layers - 1) * dirs * (rows * (dirs + 1) * s.hidden + biases);
    std::vector<Tensor> in = {gradcheck::uniform({s.seq, s.batch, s.input}, -1, 1, 1)};
    for (int i = 0; i < states; ++i)
      in.push_back(gradcheck::uniform({s.layers * dirs, s.batch, s.hidden}, -1, 1, 2 + static_cast<uint32_t>(i)));
    const double bound = 1 / std::sqrt(static_cast<double>(s.hidden));
    in.push_back(gradcheck::uniform({weights}, -bound, bound, 4));
    for (Tensor& t : in) t.storage()->freeze();
    const std::string name = cat(kind, "Forward");
    for (const auto mode : {param::BNFwdMode::TRAINING, param::BNFwdMode::INFERENCE}) {
      CAPTURE(static_cast<int>(mode));
      params.fwd_mode = mode;
      const std::vector<Tensor> out = check_op(name.c_str(), params, in, tolerance);
      std::vector<Tensor> back = {in[0], out[0]};
      for (int i = 0; i < states; ++i) back.push_back(in[1 + static_cast<size_t>(i)]);
      for (size_t i = 0; i + 1 < out.size(); ++i)
        back.push_back(gradcheck::uniform(out[i].shape(), -1, 1, 5 + static_cast<uint32_t>(i)));
      back.push_back(in.back());
      back.push_back(out.back());
      check_op(cat(kind, "Backward").c_str(), params, back, 10 * tolerance);
    }
  }
}

}  // namespace

TEST_CASE("fused LSTMs give what the reference does") { check_sizes("LSTM", param::LSTM{}, 4, 2, 2e-6); }

TEST_CASE("fused GRUs give what the reference does") { check_sizes("GRU", param::GRU{}, 3, 1, 2e-6); }

TEST_CASE("fused RNNs give what the reference does") {
  using param::RNNNonlineMode;
  for (const auto mode : {RNNNonlineMode::IDENTITY, RNNNonlineMode::RELU, RNNNonlineMode::TANH})
    check_sizes("RNN", param::RNN{.nonlineMode = mode}, 1, 1, 4e-6);
}

TEST_CASE("fused cells give what the reference does") {
  const auto check_cell = [](const char* name, const Params& params, int64_t gates, bool cell_state) {
    for (const auto& [batch, input, hidden, biases] : std::vector<std::array<int64_t, 4>>{{1, 128, 128, 2},
                                                                                          {1, 3, 9, 2},
                                                                                          {2, 20, 33, 1},
                                                                                          {3, 7, 8, 2},
                                                                                          {5, 40, 100, 0},
                                                                                          {50, 16, 70, 2},
                                                                                          {0, 4, 8, 2}}) {
      CAPTURE(name);
      CAPTURE(batch);
      CAPTURE(hidden);
      const int64_t rows = gates * hidden;
      std::vector<Tensor> in = {
          gradcheck::uniform({batch, input}, -1, 1, 1),          gradcheck::uniform({rows, input}, -0.3, 0.3, 2),
          gradcheck::uniform({biases > 0 ? rows : 1}, -1, 1, 3), gradcheck::uniform({batch, hidden}, -1, 1, 4),
          gradcheck::uniform({rows, hidden}, -0.3, 0.3, 5),      gradcheck::uniform({biases > 1 ? rows : 1}, -1, 1, 6)};
      if (cell_state) in.push_back(gradcheck::uniform({batch, hidden}, -1, 1, 7));
      for (Tensor& t : in) t.storage()->freeze();
      check_op(name, params, in, 5e-6);
    }
  };
  check_cell("LSTMCellForward", param::Empty{}, 4, true);
  check_cell("GRUCellForward", param::Empty{}, 3, false);
  using param::RNNNonlineMode;
  for (const auto mode : {RNNNonlineMode::IDENTITY, RNNNonlineMode::RELU, RNNNonlineMode::TANH})
    check_cell("RNNCellForward", param::RNNCell{.nonlineMode = mode}, 1, false);
}

TEST_SUITE_END();
