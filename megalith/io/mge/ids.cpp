#include "megalith/io/mge/ids.h"

#include <bit>
#include <map>
#include <string_view>

namespace megalith::mge {
namespace {

// xxHash64 of a little-endian machine; names are short, so this is all of it that the library needs.
uint64_t xxh64(std::string_view s, uint64_t seed) {
  constexpr uint64_t k1 = 0x9e3779b185ebca87, k2 = 0xc2b2ae3d27d4eb4f, k3 = 0x165667b19e3779f9, k4 = 0x85ebca77c2b2ae63,
                     k5 = 0x27d4eb2f165667c5;
  const auto word = [&](size_t at, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; ++i) v |= uint64_t{static_cast<uint8_t>(s[at + i])} << (8 * i);
    return v;
  };
  const auto round = [](uint64_t acc, uint64_t v) { return std::rotl(acc + v * k2, 31) * k1; };
  size_t at = 0;
  uint64_t h = seed + k5;
  if (s.size() >= 32) {
    uint64_t lanes[4] = {seed + k1 + k2, seed + k2, seed, seed - k1};
    for (; at + 32 <= s.size(); at += 32) {
      for (size_t i = 0; i < 4; ++i) lanes[i] = round(lanes[i], word(at + 8 * i, 8));
    }
    h = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
    for (uint64_t lane : lanes) h = (h ^ round(0, lane)) * k1 + k4;
  }
  h += s.size();
  for (; at + 8 <= s.size(); at += 8) h = std::rotl(h ^ round(0, word(at, 8)), 27) * k1 + k4;
  for (; at + 4 <= s.size(); at += 4) h = std::rotl(h ^ (word(at, 4) * k1), 23) * k2 + k3;
  for (; at < s.size(); ++at) h = std::rotl(h ^ (word(at, 1) * k5), 11) * k1;
  h = (h ^ (h >> 33)) * k2;
  h = (h ^ (h >> 29)) * k3;
  return h ^ (h >> 32);
}

uint64_t hash(const std::string& s) { return hash_name(s); }

std::string bare(const std::string& name) {
  const size_t n = name.size();
  return n >= 2 && name[n - 2] == 'V' && name[n - 1] >= '0' && name[n - 1] <= '9' ? name.substr(0, n - 2) : name;
}

struct Tables {
  std::map<uint64_t, const OpDef*> v1, v0, v2;
  std::map<uint8_t, const ParamSchema*> params;
  Tables() {
    for (const OpDef* op : Registry::get().ops()) {
      if (!op->mge.v1_name) continue;
      if (op->params) params[op->params->union_id] = op->params;
      v1[type_id_v1(*op)] = op;
      v0[type_id_v0(*op)] = op;
      if (op->mge.max_version >= 2) v2[type_id_v2(*op, 2)] = op;
    }
  }
  static const Tables& get() {
    static const Tables t;
    return t;
  }
};

const OpDef* look_up(const std::map<uint64_t, const OpDef*>& t, uint64_t id) {
  const auto it = t.find(id);
  return it == t.end() ? nullptr : it->second;
}

}  // namespace

uint64_t hash_name(std::string_view s) {
  const uint64_t h = xxh64(s, 20160701);
  return h ? h : 1;
}
uint64_t type_id_v1(const OpDef& op) { return hash(std::string(op.mge.v1_name) + '\0'); }
uint64_t type_id_v0(const OpDef& op) { return hash(bare(op.mge.v1_name)); }
uint64_t type_id_v2(const OpDef& op, int version) {
  return version < 2 ? type_id_v0(op) : hash(bare(op.mge.v1_name) + '\0');
}
std::string type_name_v2(const OpDef& op, int version) {
  return version < 2 ? std::string(op.mge.v1_name) : bare(op.mge.v1_name);
}

const OpDef* find_v1(uint64_t id) { return look_up(Tables::get().v1, id); }
const OpDef* find_v0(uint64_t id) { return look_up(Tables::get().v0, id); }
const OpDef* find_v2(uint64_t id, int version) {
  return look_up(version >= 2 ? Tables::get().v2 : Tables::get().v0, id);
}

const ParamSchema* find_params(uint8_t union_id) {
  const auto it = Tables::get().params.find(union_id);
  return it == Tables::get().params.end() ? nullptr : it->second;
}

}  // namespace megalith::mge
