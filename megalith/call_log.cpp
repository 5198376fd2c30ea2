#include "megalith/call_log.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>

namespace megalith {
namespace {

struct State {
  std::mutex mutex;
  std::chrono::steady_clock::time_point begin;
  std::vector<CallTime> calls;
  std::map<std::thread::id, int> threads;
};
State& state() {
  static State* s = new State;
  return *s;
}
std::atomic<bool> active{false};

}  // namespace

std::string call_name(const OpDef& op, const Attrs& attrs) {
  if (std::string_view(op.name) != "Elemwise") return op.name;
  uint32_t mode = 0;
  const Field& field = op.params->fields[0];
  std::memcpy(&mode, attrs.params.field(field), sizeof mode);
  const char* name = field.enums().name_of(mode);
  return name ? name : op.name;
}

void CallLog::start() {
  State& s = state();
  const std::scoped_lock lock(s.mutex);
  if (active) throw Error("calls are logged already");
  s.begin = std::chrono::steady_clock::now();
  s.calls.clear();
  s.threads.clear();
  active = true;
}

std::vector<CallTime> CallLog::stop() {
  State& s = state();
  const std::scoped_lock lock(s.mutex);
  active = false;
  return std::move(s.calls);
}

bool CallLog::on() { return active.load(std::memory_order_relaxed); }

double CallLog::now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - state().begin).count();
}

void CallLog::add(CallTime call) {
  State& s = state();
  const std::scoped_lock lock(s.mutex);
  if (!active) return;
  call.thread = s.threads.try_emplace(std::this_thread::get_id(), static_cast<int>(s.threads.size())).first->second;
  s.calls.push_back(std::move(call));
}

}  // namespace megalith
