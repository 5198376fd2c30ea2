// Every gradient, by the table of cases.
#include <doctest/doctest.h>

#include <set>

#include "gradcheck.h"

using namespace megalith;
using namespace megalith::gradcheck;

namespace {

// What MegEngine 1.13 differentiates (MGB_IMPL_OPR_GRAD in src/opr, without the kinds that only other devices run).
const char* const kMegEngineDifferentiates[] = {"AdaptivePooling",
                                                "Argsort",
                                                "AxisAddRemove",
                                                "BatchNorm",
                                                "BatchedIncrMeshIndexing",
                                                "BatchedMatrixMul",
                                                "BatchedMeshIndexing",
                                                "BatchedSetMeshIndexing",
                                                "Broadcast",
                                                "Concat",
                                                "CondTake",
                                                "Convolution",
                                                "Convolution3D",
                                                "Convolution3DBackwardData",
                                                "ConvolutionBackwardData",
                                                "Copy",
                                                "CorrelationForward",
                                                "Cumsum",
                                                "DeformableConvForward",
                                                "DeformablePSROIPoolingForward",
                                                "Diag",
                                                "Dimshuffle",
                                                "Dot",
                                                "Dropout",
                                                "Elemwise",
                                                "FakeQuant",
                                                "GeneralNorm",
                                                "GroupLocal",
                                                "GroupNorm",
                                                "Identity",
                                                "Images2Neibs",
                                                "IncrMeshIndexing",
                                                "IncrSubtensor",
                                                "IndexingIncrMultiAxisVec",
                                                "IndexingMultiAxisVec",
                                                "IndexingOneHot",
                                                "IndexingRemap",
                                                "IndexingSetMultiAxisVec",
                                                "IndexingSetOneHot",
                                                "InstanceNorm",
                                                "LRN",
                                                "LSQ",
                                                "LSTMCellForward",
                                                "LSTMForward",
                                                "LayerNorm",
                                                "Linspace",
                                                "Local",
                                                "LocalShareBackwardData",
                                                "LocalShareForward",
                                                "MarkDynamicVar",
                                                "MarkNoBroadcastElemwise",
                                                "MatrixInverse",
                                                "MatrixMul",
                                                "MeshIndexing",
                                                "Padding",
                                                "PersistentOutputStorage",
                                                "Pooling",
                                                "PowC",
                                                "RNNCellForward",
                                                "RNNForward",
                                                "ROIAlign",
                                                "ROIPooling",
                                                "Reduce",
                                                "RegionRestrictedConvolution",
                                                "RegionRestrictedConvolutionBackwardData",
                                                "Remap",
                                                "Reshape",
                                                "Resize",
                                                "SVD",
                                                "SetMeshIndexing",
                                                "SetSubtensor",
                                                "ShuffleRNG",
                                                "Sleep",
                                                "SlidingWindowTranspose",
                                                "Softmax",
                                                "Split",
                                                "Subtensor",
                                                "TQT",
                                                "TopK",
                                                "TypeCvt",
                                                "VirtualDep",
                                                "WarpPerspective"};

void for_cases(void (*check)(const Case&), bool (*wanted)(const Case&)) {
  for (const Case& c : cases()) {
    if (!wanted(c)) continue;
    CAPTURE(c.name());
    try {
      check(c);
    } catch (const std::exception& e) {
      FAIL_CHECK((c.name() + ": " + e.what()));
    }
  }
}

}  // namespace

TEST_CASE("every_op_with_a_gradient_has_a_gradcheck_case") {
  std::set<std::string> covered, twice;
  std::set<std::string> modes;
  for (const Case& c : cases()) {
    covered.insert(c.op);
    if (c.second) twice.insert(c.op);
    if (c.op == "Elemwise") modes.insert(c.label.substr(0, c.label.find(' ')));
  }
  // MultiHeadAttn has tests of its own.
  covered.insert("MultiHeadAttn");
  for (const OpDef* op : Registry::get().ops()) {
    CAPTURE(op->name);
    const std::string name = op->name;  // "PoolingBackward": Pooling's second order covers it
    if (op->grad) CHECK(covered.count(name) + twice.count(name.substr(0, name.find("Backward"))) > 0);
  }
  // Modes for integers only.
  for (const char* m : {"SHL", "SHR", "RMULH", "NOT", "AND", "OR", "XOR"}) modes.insert(m);
  for (const EnumValue& v : enum_info<param::ElemwiseMode>().values) {
    CAPTURE(v.name);
    CHECK(modes.count(v.name) == 1);
  }
}

TEST_CASE("what_megengine_differentiates_has_a_gradient") {
  for (const char* name : kMegEngineDifferentiates) {
    CAPTURE(name);
    const OpDef* op = Registry::get().find(name);
    REQUIRE(op);
    const bool has_gradient = op->grad != nullptr;
    CHECK(has_gradient);
  }
}

TEST_CASE("gradients_equal_finite_differences") {
  for_cases(check_first_order, [](const Case& c) { return c.straight == nullptr; });
}

TEST_CASE("gradients_of_gradients_equal_finite_differences") {
  for_cases(check_second_order, [](const Case& c) { return c.second; });
}

TEST_CASE("tapes_give_the_gradients_of_graphs") {
  for_cases(check_eager, [](const Case&) { return true; });
}

TEST_CASE("gradients_read_what_they_say_they_read") {
  for_cases(check_reads, [](const Case&) { return true; });
}
