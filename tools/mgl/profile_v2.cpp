// Our own profile (docs/profile-v2.md) and Chrome traces.
#include <map>

#include "tools/mgl/machine.h"
#include "tools/mgl/profile_json.h"

namespace mgl {

using megalith::NodeProfile;
using megalith::Span;
using megalith::ValueProfile;
using nlohmann::json;

namespace {

json values(const std::vector<ValueProfile>& v) {
  json j = json::array();
  for (const ValueProfile& t : v) {
    json e{{"value", t.value}, {"dtype", t.dtype.str()}, {"shape", dims(t.shape)}};
    if (!t.stride.empty()) e["stride"] = t.stride;
    if (t.offset >= 0) e["arena_offset"] = t.offset;
    j.push_back(e);
  }
  return j;
}

}  // namespace

std::string profile_v2(const megalith::Model& model, const megalith::Profile& profile, const megalith::PlanInfo& plan,
                       json run) {
  std::map<int32_t, int> threads;
  json spans = json::array();
  for (const Span& s : profile.spans()) {
    spans.push_back(
        {s.node, s.iteration, s.start, s.kern < 0 ? json(nullptr) : json(s.kern), s.end, s.threads, s.copy});
    threads[s.node] = std::max(threads[s.node], s.threads);
  }
  json nodes = json::array(), blocks = json::array();
  for (const NodeProfile& n : profile.nodes()) {
    nodes.push_back({{"node", n.node},
                     {"op", n.op},
                     {"name", n.name},
                     {"kernel", n.kernel},
                     {"threads", threads[n.node]},
                     {"params", n.params},
                     {"in", values(n.in)},
                     {"out", values(n.out)},
                     {"bytes", n.bytes},
                     {"workspace_bytes", n.workspace},
                     {"flops", n.flops < 0 ? json(nullptr) : json(n.flops)},
                     {"copied_inputs", n.copies},
                     {"segment", n.segment},
                     {"step", n.step}});
  }
  for (const megalith::PlannedBlock& b : plan.blocks)
    blocks.push_back(
        {b.segment, b.owner < 0 ? json(nullptr) : json(b.owner), b.node, b.offset, b.bytes, b.first, b.last});
  json j{{"format", "megalith-profile"}, {"version", 2}, {"device", device_json(profile.threads)}};
  j.update(run);
  j["iterations"] = profile.iteration() + 1;
  j["graph"] = {{"nodes", model.graph().nodes.size()}, {"nodes_before_passes", model.original().nodes.size()}};
  j["nodes"] = nodes;
  j["span_fields"] = {"node", "iteration", "start_s", "kernel_s", "end_s", "threads", "copy"};
  j["spans"] = spans;
  j["memory_block_fields"] = {"segment", "value", "node", "arena_offset", "bytes", "first_step", "last_step"};
  j["memory_blocks"] = blocks;
  return json_text(j);
}

std::string chrome_trace(const megalith::Profile& profile) {
  std::map<int32_t, const NodeProfile*> nodes;
  for (const NodeProfile& n : profile.nodes()) nodes[n.node] = &n;
  json events = json::array();
  events.push_back({{"ph", "M"}, {"pid", 1}, {"tid", 1}, {"name", "process_name"}, {"args", {{"name", "mgl"}}}});
  events.push_back({{"ph", "M"}, {"pid", 1}, {"tid", 1}, {"name", "thread_name"}, {"args", {{"name", "operators"}}}});
  const auto event = [&](const std::string& name, const char* category, double start, double end, json args) {
    events.push_back({{"ph", "X"},
                      {"pid", 1},
                      {"tid", 1},
                      {"name", name},
                      {"cat", category},
                      {"ts", start * 1e6},
                      {"dur", (end - start) * 1e6},
                      {"args", args}});
  };
  const std::vector<Span>& spans = profile.spans();
  for (size_t i = 0; i < spans.size();) {  // an iteration around its operators
    size_t last = i;
    while (last + 1 < spans.size() && spans[last + 1].iteration == spans[i].iteration) ++last;
    event("iteration " + std::to_string(spans[i].iteration), "iteration", spans[i].start, spans[last].end,
          json::object());
    for (; i <= last; ++i) {
      const Span& s = spans[i];
      const NodeProfile& n = *nodes.at(s.node);
      json shapes_in = json::array(), shapes_out = json::array();
      for (const ValueProfile& v : n.in) shapes_in.push_back(v.dtype.str() + v.shape.str());
      for (const ValueProfile& v : n.out) shapes_out.push_back(v.dtype.str() + v.shape.str());
      event(s.copy ? "copy for " + n.op : n.op,
            s.copy       ? "copy"
            : s.kern < 0 ? "view"
                         : "kernel",
            s.start, s.end,
            {{"name", n.name},
             {"kernel", s.copy ? "make_contiguous" : n.kernel},
             {"threads", s.threads},
             {"in", shapes_in},
             {"out", shapes_out},
             {"bytes", n.bytes},
             {"flops", n.flops < 0 ? json(nullptr) : json(n.flops)}});
    }
  }
  return json_text({{"displayTimeUnit", "ms"}, {"traceEvents", events}});
}

}  // namespace mgl
