#include "megalith/io/mge/ids.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <unordered_map>

namespace megalith::mge {
namespace {

uint64_t hash(const std::string& s) {
  const uint64_t h = XXH64(s.data(), s.size(), 20160701);
  return h ? h : 1;
}

std::string bare(const std::string& name) {
  const size_t n = name.size();
  return n >= 2 && name[n - 2] == 'V' && name[n - 1] >= '0' && name[n - 1] <= '9' ? name.substr(0, n - 2) : name;
}

struct Tables {
  std::unordered_map<uint64_t, const OpDef*> v1, v0, v2;
  Tables() {
    for (const OpDef* op : Registry::get().ops()) {
      if (!op->mge.v1_name) continue;
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

const OpDef* look_up(const std::unordered_map<uint64_t, const OpDef*>& t, uint64_t id) {
  const auto it = t.find(id);
  return it == t.end() ? nullptr : it->second;
}

}  // namespace

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

}  // namespace megalith::mge
