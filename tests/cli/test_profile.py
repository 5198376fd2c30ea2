"""Profiles: MegEngine's format against its schema, our own against the one in docs/, traces, memory plans."""

import json
import os
import unittest

import jsonschema  # Debian's python3-jsonschema

import cli

SCHEMA = os.path.join(cli.TESTS, "data", "megengine-profile.schema.json")
SCHEMA_V2 = os.path.join(os.path.dirname(cli.TESTS), "docs", "profile-v2.schema.json")
# Plain, dynamic shapes, quantized, multi-output, random, with assertions.
MODELS = ("mnist/lenet_u8_28x28", "models/small_cnn", "options/testcase_assert", "random/uniform", "rnn/lstm",
          "vision/nms", "models/mlp")


def load(path):
    with open(path) as f:
        return json.load(f)


class Profiles(cli.Case):
    def profile(self, model, *flags):
        p, v2, trace = (self.path(n) for n in ("p.json", "v2.json", "trace.json"))
        result = self.result("run", model, "--iter=3", "--profile", p, "--profile-v2", v2, "--trace", trace, *flags)
        return result, load(p), load(v2), load(trace)

    def models(self):
        found = [m for m in MODELS if os.path.exists(cli.case(m))]
        self.assertGreaterEqual(len(found), 3)
        return found

    def test_schemas(self):
        ours, theirs = load(SCHEMA_V2), load(SCHEMA)
        for name in self.models():
            for v2 in (True, False):
                _, p, own, _ = self.profile(cli.case(name, v2))
                jsonschema.validate(p, theirs)
                jsonschema.validate(own, ours)

    def test_megengine_profile(self):
        _, p, own, _ = self.profile(cli.LENET)
        profiler, graph = p["profiler"], p["graph_exec"]
        self.assertEqual(set(profiler["device"]), set(graph["comp_seq"]))
        self.assertEqual(set(profiler["host"]), set(profiler["device"]))
        self.assertEqual(set(profiler["opr_footprint"]), set(profiler["device"]))
        by_id = {n["node"]: n for n in own["nodes"]}
        end = -1
        for op in graph["comp_seq"]:
            operator = graph["operator"][op]
            self.assertIsNotNone(operator["waiting_spec"])
            self.assertTrue(operator["name"])
            (times,) = profiler["device"][op].values()
            (host,) = profiler["host"][op].values()
            self.assertLessEqual(times["start"], times["kern"])
            self.assertLessEqual(times["kern"], times["end"])
            self.assertGreaterEqual(times["start"], end)  # one after the other
            end = times["end"]
            is_view = by_id[int(op)]["kernel"] == "view"
            self.assertEqual(host["kern"] == -1, is_view)
            # The last of the three iterations is what MegEngine keeps.
            last = [s for s in own["spans"] if s[0] == int(op) and s[1] == 2][-1]
            self.assertAlmostEqual(host["end"], last[4], places=9)
            foot = profiler["opr_footprint"][op]
            self.assertEqual(foot["in_shapes"], [v["shape"] for v in by_id[int(op)]["in"]])
        for op, o in graph["operator"].items():
            self.assertEqual(o["waiting_spec"] is None, op not in graph["comp_seq"])
        # Every planned value lies inside of its chunk.
        size = {"Float32": 4, "Uint8": 1, "Int32": 4}
        planned = 0
        for v in graph["var"].values():
            if v["mem_plan"] is None:
                continue
            planned += 1
            layout = v["mem_plan"]["layout"]
            count = 1
            for d in layout["shape"]:
                count *= d
            chunk = graph["mem_chunk"][v["mem_plan"]["mem_chunk_id"]]
            self.assertLessEqual(v["mem_plan"]["offset_byte"] + count * size[layout["dtype"]], chunk["size"])
            self.assertIn(chunk["owner_var"], graph["var"])
        self.assertGreater(planned, len(graph["comp_seq"]))
        inferred = {v["static_infer_tags"]["SHAPE"]["infer_type"] for v in graph["var"].values()}
        self.assertEqual(inferred & {"CONST", "RT_STATIC"}, {"CONST", "RT_STATIC"})

    def test_flops(self):
        _, p, own, _ = self.profile(cli.LENET_FBS, "--nooptimize")
        flops = [f["computation"] for o, f in p["profiler"]["opr_footprint"].items()
                 if p["graph_exec"]["operator"][o]["type"] == "Convolution"]
        # 4 images: 6x28x28 outputs of 5x5x1, 16x10x10 of 5x5x6; 2 a multiply-add.
        self.assertEqual(sorted(flops), sorted([4 * 2 * 6 * 28 * 28 * 25, 4 * 2 * 16 * 10 * 10 * 150]))
        info = json.loads(self.ok("info", cli.LENET_FBS, "--json", "--no-optimize").stdout)
        self.assertEqual(info["flops"], sum(n["flops"] or 0 for n in own["nodes"]))

    def test_v2(self):
        result, _, own, _ = self.profile(cli.LENET, "--threads=2", "--warmup_iter=0")
        self.assertEqual((own["format"], own["version"], own["iterations"]), ("megalith-profile", 2, 3))
        self.assertEqual(own["device"]["threads"], 2)
        self.assertEqual(own["plain"]["samples_ms"], result["plain"]["samples_ms"])
        self.assertEqual(result["profiled"]["count"], 3)
        self.assertIn("profiling_overhead_percent", result)
        for n in own["nodes"]:
            spans = [s for s in own["spans"] if s[0] == n["node"] and not s[6]]
            self.assertEqual([s[1] for s in spans], [0, 1, 2])
            self.assertTrue(1 <= n["threads"] <= 2)
            for s in spans:
                self.assertLessEqual(s[2], s[4])
        blocks = own["memory_blocks"]
        self.assertEqual(max(b[3] + b[4] for b in blocks) <= own["memory"]["arena_bytes"], True)
        for i, a in enumerate(blocks):  # nothing overlaps in time and place
            for b in blocks[:i]:
                together = a[0] == b[0] and a[5] <= b[6] and b[5] <= a[6]
                self.assertFalse(together and a[3] < b[3] + b[4] and b[3] < a[3] + a[4], (a, b))

    def test_trace(self):
        _, _, own, trace = self.profile(cli.LENET)
        events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
        self.assertEqual(len(events), len(own["spans"]) + own["iterations"])
        self.assertTrue(all(e["dur"] >= 0 for e in events))
        self.assertEqual(sum(e["cat"] == "iteration" for e in events), 3)

    def test_profile_host(self):
        p = self.path("p.json")
        self.ok("run", cli.LENET, "--iter=1", "--profile_host", p)
        self.assertEqual(set(load(p)), {"profiler", "graph_exec"})

    def test_static_memory(self):
        folder = self.path("memory")
        r = self.result("run", cli.LENET, "--iter=1", "--get_static_mem_info", folder)
        info, graph = load(os.path.join(folder, "StaticMemoryInfo.json")), load(os.path.join(folder, "graph.json"))
        jsonschema.validate({"profiler": {"device": {}, "host": {}, "opr_footprint": {}, "opr_internal_pf": {}},
                             "graph_exec": graph}, load(SCHEMA))
        chunks = list(info["chunk"].values())
        self.assertTrue(all(isinstance(v, str) for c in chunks for v in c.values()))
        self.assertEqual({c["type"] for c in chunks}, {"static_mem", "weight_mem"})
        alive = [0] * len(info["opr"])
        for c in chunks:
            begin, end = int(c["logic_addr_begin"]), int(c["logic_addr_end"])
            if c["type"] == "static_mem":
                self.assertLessEqual(end, r["memory"]["arena_bytes"])
                for t in range(int(c["time_begin"]), int(c["time_end"])):
                    alive[t] += end - begin
        self.assertLessEqual(max(alive), r["memory"]["peak_live_bytes"])
        weights = sum(int(c["logic_addr_end"]) - int(c["logic_addr_begin"]) for c in chunks if c["type"] == "weight_mem")
        self.assertEqual(weights, r["memory"]["constant_bytes"])


if __name__ == "__main__":
    unittest.main()
