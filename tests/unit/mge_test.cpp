#include <doctest/doctest.h>

#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"

using namespace megalith;

namespace {
MgeFile read(const std::string& s) { return read_mge(std::as_bytes(std::span(s)), nullptr); }
}  // namespace

TEST_CASE("a_written_model_reads_back_the_same_in_both_formats") {
  const MgeFile m = read_mge(GOLDEN_DIR "/mnist/lenet_u8_28x28/model_v2.mge");
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    const std::string bytes = write_mge(m.graph, {.format = format});
    const MgeFile back = read(bytes);
    REQUIRE(back.graph.nodes.size() == m.graph.nodes.size());
    for (size_t i = 0; i < m.graph.nodes.size(); ++i) {
      CHECK(back.graph.nodes[i].attrs.params == m.graph.nodes[i].attrs.params);
    }
    CHECK(write_mge(back.graph, {.format = format}) == bytes);
  }
}

TEST_CASE("a_truncated_model_is_an_error_at_every_length") {
  Graph g;
  g.add_output(g.add_input("x", DTypeEnum::Float32, {2, 3}), "x");
  g.add_output(g.add_constant(Tensor::zeros(DTypeEnum::Float32, {4})), "c");
  for (MgeFormat format : {MgeFormat::kFbs, MgeFormat::kFbsV2}) {
    const std::string bytes = write_mge(g, {.format = format});
    for (size_t n = 0; n < bytes.size(); ++n) CHECK_THROWS_AS(read(bytes.substr(0, n)), Error);
  }
}

TEST_CASE("tensor_bytes_refuses_shapes_whose_product_wraps") {
  CHECK_THROWS_AS(tensor_bytes(DTypeEnum::Uint8, {int64_t{1} << 32, int64_t{1} << 32, 1}), Error);
  CHECK_THROWS_AS(tensor_bytes(DTypeEnum::Uint8, {0, int64_t{1} << 48, int64_t{1} << 48, 3}), Error);
  CHECK(tensor_bytes(DTypeEnum::Float32, {0, 5}) == 0);
}
