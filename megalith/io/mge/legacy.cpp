#include "megalith/io/mge/legacy.h"

#include <algorithm>
#include <map>

#include "megalith/io/mge/ids.h"

namespace megalith::mge {
namespace {

constexpr const char* kConvolutionV0 = "mode pad_h pad_w stride_h stride_w dilate_h dilate_w data_type sparse format";
constexpr const char* kConvBiasV1 =
    "nonlineMode mode data_type sparse format pad_h pad_w stride_h stride_w dilate_h dilate_w";
constexpr const char* kConvBiasV3 =
    "nonlineMode mode sparse format pad_h pad_w stride_h stride_w dilate_h dilate_w output_block_size compute_mode";

constexpr LegacyTable kTables[] = {
    {"Convolution", 0, kConvolutionV0, true},
    {"Convolution", 1, nullptr, true},
    {"ConvBias", 0, "nonlineMode mode pad_h pad_w stride_h stride_w", true},
    {"ConvBias", 1, kConvBiasV1, true},
    {"ConvBias", 2, nullptr, true},
    {"ConvBias", 3, kConvBiasV3, true},
    {"BatchConvBias", 0, nullptr, true},
    {"Pooling", 0, nullptr, true},
    {"AdaptivePooling", 0, nullptr, true},
    {"WarpPerspective", 1, nullptr, true},
    {"WarpAffine", 1, nullptr, true},
    {"Resize", 1, nullptr, true},
    {"Remap", 0, nullptr, true},
    {"LocalShare", 0, nullptr, true},
    {"ROIAlign", 0, nullptr, true},
    {"DctChannelSelect", 0, nullptr, true},
    {"MatrixMul", 0, "transposeA transposeB data_type", false},
};

// The layouts of the first tables that are numbered differently now, from NCHW_WINOGRAD = 9 on.
constexpr const char* kOldFormats[] = {nullptr,
                                       nullptr,
                                       nullptr,
                                       "NCHW4_NCHW32",
                                       "NCHW32_NCHW4",
                                       "NCHW4_NCHW",
                                       "NHWC_NCHW",
                                       "NHWC_NCHW4_IC_SMALL",
                                       "NCHW_NCHW4_IC_SMALL",
                                       "CHWN4",
                                       "NCHW4_NHWC"};

int slot_of(const LegacyTable& t, std::string_view name) {
  std::string_view fields = t.fields;
  for (int i = 0; !fields.empty(); ++i) {
    const std::string_view field = fields.substr(0, fields.find(' '));
    if (field == name) return i;
    fields.remove_prefix(std::min(fields.size(), field.size() + 1));
  }
  return -1;
}

}  // namespace

LegacyOp find_legacy(uint64_t id) {
  static const auto table = [] {
    std::map<uint64_t, LegacyOp> t;
    for (const OpDef* op : Registry::get().ops()) {
      const std::string name = op->mge.v1_name ? op->mge.v1_name : "";
      const size_t n = name.size();
      if (n < 3 || name[n - 2] != 'V' || name[n - 1] < '1' || name[n - 1] > '9') continue;
      // BatchNorm had one output less, which no table tells.
      if (name.starts_with("BatchNorm")) continue;
      for (int v = name[n - 1] - '1'; v >= 0; --v) {
        t.try_emplace(hash_name(name.substr(0, n - 2) + (v ? "V" + std::to_string(v) : "") + '\0'), LegacyOp{op, v});
      }
    }
    return t;
  }();
  const auto it = table.find(id);
  return it == table.end() ? LegacyOp{} : it->second;
}

const LegacyTable* legacy_table(const ParamSchema& schema, int version) {
  for (const LegacyTable& t : kTables) {
    if (std::string_view(schema.name) == t.table && t.version == version) return &t;
  }
  return nullptr;
}

int legacy_slot(const LegacyTable& t, const ParamSchema& schema, size_t id) {
  return t.fields ? slot_of(t, schema.fields[id].name) : static_cast<int>(id);
}

uint32_t legacy_enum(const LegacyTable& t, const Field& f, uint32_t value) {
  if (!t.old_format || std::string_view(f.name) != "format" || value < 9) return value;
  const char* name = value - 9 < std::size(kOldFormats) ? kOldFormats[value - 9] : nullptr;
  if (name) {
    for (const EnumValue& e : f.enums().values) {
      if (std::string_view(e.name) == name) return e.value;
    }
  }
  throw ModelError(
      cat("parameter ", t.table, ".format of version ", t.version, " is ", value, ", a layout that is gone"));
}

void legacy_extras(const LegacyTable& t, const wire::Table& from, Params& p) {
  if (!t.fields) return;
  const int slot = slot_of(t, "data_type");
  if (slot < 0 || from.scalar<uint32_t>(static_cast<size_t>(slot), 0) != 3) return;
  for (const Field& f : p.schema()->fields) {
    if (std::string_view(f.name) != "compute_mode") continue;
    const uint32_t float32 = 1;
    std::memcpy(p.field(f), &float32, sizeof float32);
  }
}

uint32_t legacy_strategy(uint32_t value) {
  constexpr uint32_t kHeuristic = 1, kProfile = 2, kReproducible = 4;
  constexpr uint32_t now[] = {kHeuristic, kHeuristic | kReproducible, kProfile, kProfile | kReproducible,
                              kProfile | kHeuristic};
  return value < std::size(now) ? now[value] : kHeuristic;
}

}  // namespace megalith::mge
