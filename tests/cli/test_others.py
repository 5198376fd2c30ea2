"""mgl info, inspect, check, bench-device."""

import json
import os
import shutil
import unittest

import cli


class Info(cli.Case):
    def test_text_and_json(self):
        text = self.ok("info", cli.LENET).stdout
        for word in ("input   data Uint8", "output  out_0 Float32", "parameters", "FLOPs", "arena"):
            self.assertIn(word, text)
        j = json.loads(self.ok("info", cli.LENET, "--json").stdout)
        self.assertEqual(j["inputs"], [{"name": "data", "dtype": "Uint8", "shape": [4, 1, 28, 28]}])
        self.assertEqual(j["outputs"], [{"name": "out_0", "dtype": "Float32", "shape": [4, 10]}])
        self.assertEqual(j["operators"]["MatrixMul"], 3)
        self.assertEqual(j["file_bytes"], os.path.getsize(cli.LENET))
        self.assertTrue(j["complete"])
        run = self.result("run", cli.LENET, "--iter=1")["memory"]
        for key in ("arena_bytes", "peak_live_bytes", "constant_bytes"):
            self.assertEqual(j["memory"][key], run[key])

    def test_shapes(self):
        one = json.loads(self.ok("info", cli.LENET, "--json", "--input", "data:{1,1,28,28}").stdout)
        four = json.loads(self.ok("info", cli.LENET, "--json").stdout)
        self.assertEqual(one["outputs"][0]["shape"], [1, 10])
        self.assertEqual(one["flops"] * 4, four["flops"])
        self.fails(2, "info", cli.LENET, "--input", "data:1,1")
        j = json.loads(self.ok("info", cli.LENET, "--json", "--input", "data:{1,1,3}").stdout)
        self.assertIn("cannot_run", j)  # the rest is there all the same

    def test_graph(self):
        j = json.loads(self.ok("info", cli.LENET, "--json", "--graph").stdout)
        self.assertEqual(len(j["graph"]), sum(j["operators"].values()))
        self.assertTrue(any("kernel" in n for n in j["planned_graph"]))
        self.assertIn("MatrixMul(", self.ok("info", cli.LENET, "--graph").stdout)

    def test_shapes_that_depend_on_data(self):
        j = json.loads(self.ok("info", cli.case("indexing/cond_take"), "--json").stdout) if os.path.exists(
            cli.case("indexing/cond_take")) else None
        if j:
            self.assertIn("complete", j)

    def test_usage(self):
        self.fails(2, "info")
        self.fails(2, "info", cli.LENET, "--nonsense")


class Inspect(cli.Case):
    def test_ops(self):
        ops = json.loads(self.ok("inspect", "--ops").stdout)["ops"]
        names = [o["name"] for o in ops]
        self.assertEqual(names, sorted(names))
        self.assertIn("Convolution", names)
        table = self.ok("inspect", "--ops", "--markdown").stdout
        for name in names:
            self.assertIn("| %s |" % name, table)
        self.fails(2, "inspect")
        self.fails(2, "inspect", "--ops", "x")


class Check(cli.Case):
    """One recorded case, made wrong in every way."""

    def setUp(self):
        super().setUp()
        self.root = self.path("cases")
        name = "elemwise/NEGATE"
        with open(os.path.join(cli.GOLDEN, "manifest.json")) as f:
            (self.entry,) = [c for c in json.load(f)["cases"] if c["name"] == name]
        self.folder = os.path.join(self.root, name)
        shutil.copytree(os.path.join(cli.GOLDEN, name), self.folder)
        self.output = os.path.join(self.folder, self.entry["outputs"][0]["file"])
        self.write()

    def write(self):
        with open(os.path.join(self.root, "manifest.json"), "w") as f:
            json.dump({"cases": [self.entry]}, f)

    def failed(self, *args):
        done = cli.mgl("check", self.root, *args)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stdout

    def test_passes(self):
        for flags in ([], ["--kernel=reference", "--threads", "1"], ["--no-optimize"]):
            self.assertEqual(self.ok("check", self.root, *flags).stdout, "2 passed, 0 failed\n")
        j = json.loads(self.ok("check", self.root, "--json").stdout)
        self.assertEqual(j, {"passed": 2, "failed": 0, "failures": []})
        self.assertEqual(self.ok("check", self.root, "--filter", "zebra").stdout, "0 passed, 0 failed\n")

    def test_first_difference(self):
        with open(self.output, "r+b") as f:
            f.seek(-4, os.SEEK_END)
            f.write(b"\0\0\x80\x41")  # 16
        text = self.failed()
        self.assertIn("FAIL elemwise/NEGATE FBS: output 0: 1 of 30 differ", text)
        self.assertIn("first at [1,2,4]: got", text)
        self.assertIn("expected 16", text)
        self.assertTrue(text.endswith("0 passed, 2 failed\n"))
        j = json.loads(self.failed("--json"))
        self.assertEqual(j["failed"], 2)
        self.entry["tolerance"]["bit_exact"] = True
        self.write()
        self.assertIn("bits differ at [1,2,4]", self.failed())

    def test_type(self):
        cli.write_npy(self.output, "i", (2, 3, 5), [0] * 30)
        self.assertIn("type Float32, expected Int32", self.failed())

    def test_shape(self):
        cli.write_npy(self.output, "f", (2, 15), [0] * 30)
        self.assertIn("shape (2,3,5), expected (2,15)", self.failed())

    def test_number_of_outputs(self):
        self.entry["outputs"] = []
        self.write()
        self.assertIn("1 outputs, expected 0", self.failed())

    def test_known_failures(self):
        known = self.path("known.txt")
        with open(known, "w") as f:
            f.write("# comment\nelemwise/NEGATE FBS some reason\n")
        self.assertIn("passes, but is listed", self.failed("--known", known))

    def test_usage(self):
        self.fails(2, "check")
        self.fails(2, "check", self.path("nowhere"))
        self.fails(2, "check", self.root, "--kernel=quick")
        with open(os.path.join(self.root, "manifest.json"), "w") as f:
            f.write("{")
        self.fails(2, "check", self.root)


class BenchDevice(cli.Case):
    def test_json(self):
        j = json.loads(self.ok("bench-device", "--json", "--threads", "1").stdout)
        kinds = {(m["measure"], m["kind"]) for m in j["measures"]}
        self.assertIn(("memory", "read"), kinds)
        self.assertIn(("cache", "read"), kinds)
        for measure in ("multiply-add", "multiply, then add"):
            self.assertTrue(any(m == measure for m, _ in kinds))
        self.assertTrue(all(m["value"] > 0 for m in j["measures"]))
        self.fails(2, "bench-device", "x")


if __name__ == "__main__":
    unittest.main()
