// Operators as releases before the current parameter tables stored them: under older names (ConvolutionV1), with tables
// whose fields stand in other places. FBS only; FBS_V2 came later.
#pragma once

#include "megalith/io/mge/wire.h"
#include "megalith/op.h"

namespace megalith::mge {

// An op under an older name: "Convolution" is version 0 of ConvolutionV2, "ConvolutionV1" version 1.
struct LegacyOp {
  const OpDef* op = nullptr;
  int version = 0;
};
LegacyOp find_legacy(uint64_t id);  // op null: not one of these

// Where the fields of a table were in a version of the op, and what their enumerators were numbered.
struct LegacyTable {
  const char* table;  // of the current schema
  int version;
  const char* fields;  // in the order of their slots; null: as now, though there may be fewer
  bool old_format;     // `format` counted three Winograd layouts that are gone
};
const LegacyTable* legacy_table(const ParamSchema& schema, int version);  // null: the table is as it is now

// The slot of field `id` in an older table; -1 when the table has no such field.
int legacy_slot(const LegacyTable& t, const ParamSchema& schema, size_t id);
// The current number of an enumerator of an older table; throws ModelError for one that is gone.
uint32_t legacy_enum(const LegacyTable& t, const Field& f, uint32_t value);
// Other fields of older tables that live on in `p`: data_type FLOAT_IO16xC32 is compute_mode FLOAT32 now.
void legacy_extras(const LegacyTable& t, const wire::Table& from, Params& p);

// ExecutionPolicy.strategy was an enum before 1.3 and consists of flags since.
uint32_t legacy_strategy(uint32_t value);

}  // namespace megalith::mge
