// Operator ids: xxHash64 of registration names (see docs of the format; the seed is MegEngine's).
#pragma once

#include <cstdint>
#include <string>

#include "megalith/op.h"

namespace megalith::mge {

uint64_t hash_name(std::string_view bytes);
uint64_t type_id_v1(const OpDef& op);               // FBS: the suffixed name with its NUL
uint64_t type_id_v0(const OpDef& op);               // FBS v0, and FBS_V2 with opr_version 1: the bare name
uint64_t type_id_v2(const OpDef& op, int version);  // FBS_V2
std::string type_name_v2(const OpDef& op, int version);

const OpDef* find_v1(uint64_t id);
const OpDef* find_v0(uint64_t id);
const OpDef* find_v2(uint64_t id, int version);

// The parameter table with this number in the files' union; null when no op of the registry stores it.
const ParamSchema* find_params(uint8_t union_id);

}  // namespace megalith::mge
