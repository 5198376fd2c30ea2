"""mgl run: inputs, log lines, exit codes, what is measured, dumps and checks."""

import json
import os
import re
import shutil
import struct
import sys
import unittest

import cli


class Inputs(cli.Case):
    def value(self, model, given, *flags):
        """Runs a one-output model and returns (dtype number, shape, bytes) of output 0."""
        folder = self.path("out")
        shutil.rmtree(folder, ignore_errors=True)
        self.ok("run", model, "--iter=1", "--warmup_iter=0", "--bin_out_dump", folder, "--input", given, *flags)
        (name,) = os.listdir(folder)
        self.assertRegex(name, r"^run0-var\d+$")
        title, dtype, shape, data = cli.read_dump(os.path.join(folder, name))
        self.assertTrue(title.startswith("var="), title)
        return dtype, shape, data

    def floats(self, model, given, *flags):
        dtype, shape, data = self.value(model, given, *flags)
        self.assertEqual(dtype, 0)
        return shape, list(struct.unpack("<%df" % (len(data) // 4), data))

    def test_literals(self):
        add = cli.case("elemwise/ADD")
        self.assertEqual(self.floats(add, "x:[[1.0,2],[3,4]];y:[[10.5,20],[30,-1e1]]"),
                         ([2, 2], [11.5, 22, 33, -6]))
        dtype, shape, data = self.value(cli.case("elemwise/ADD_i32"), "x:[1,2,-3];y:[1,1,1]")
        self.assertEqual((dtype, shape, struct.unpack("<3i", data)), (4, [3], (2, 3, -2)))
        negate = cli.case("elemwise/NEGATE")
        self.assertEqual(self.floats(negate, "[0.5]"), ([1], [-0.5]))  # the only input needs no name
        for bad in ("[1,2", "[[1,2],[3]]", "[[],1]", "['a']", "{2,x}", "nothing", "x.txt", "{2"):
            self.fails(5, "run", negate, "--input", bad)

    def test_files(self):
        negate, add = cli.case("elemwise/NEGATE"), cli.case("elemwise/ADD")
        npy = self.path("a.npy")
        cli.write_npy(npy, "f", (2, 2), [1, 2, 3, 4])
        self.assertEqual(self.floats(negate, "x:" + npy), ([2, 2], [-1, -2, -3, -4]))
        self.assertEqual(self.floats(negate, npy), ([2, 2], [-1, -2, -3, -4]))
        file = self.path("in.json")
        with open(file, "w") as f:
            json.dump({"x": {"shape": [2], "type": "float32", "raw": [1, 2]},
                       "y": {"shape": [2], "type": "float", "raw": [0.5, 0.5]}}, f)
        self.assertEqual(self.floats(add, file), ([2], [1.5, 2.5]))
        with open(file, "w") as f:
            json.dump({"x": {"shape": [3], "type": "float32", "raw": [1, 2]}}, f)
        self.fails(5, "run", add, "--input", file)
        for kind, v in (("int8", [-1, 2]), ("uint8", [255, 2])):
            with open(file, "w") as f:
                json.dump({n: {"shape": [2], "type": kind, "raw": v} for n in "xy"}, f)
            dtype, _, data = self.value(cli.case("elemwise/MAX_" + kind), file)
            self.assertEqual(list(struct.unpack("<2" + "bB"[kind == "uint8"], data)), v)
        for letter, model in (("i", "ADD_i32"), ("h", "ADD_int16"), ("b", "ADD_int8"), ("B", "ADD_uint8")):
            cli.write_npy(npy, letter, (2,), [3, 4])
            _, _, data = self.value(cli.case("elemwise/" + model), "x:%s;y:%s" % (npy, npy))
            self.assertEqual(list(struct.unpack("<2" + letter, data)), [6, 8])

    def test_images(self):
        for name, magic, channels in (("a.ppm", b"P6", 3), ("a.pgm", b"P5", 1)):
            path = self.path(name)
            with open(path, "wb") as f:
                f.write(magic + b"\n# a comment\n2 3\n255\n" + bytes(range(6 * channels)))
            model = cli.case("elemwise/MAX_uint8")
            zero = self.path("zero.npy")
            cli.write_npy(zero, "B", (1, 1, 1, 1), [0])
            dtype, shape, data = self.value(model, "x:%s;y:%s" % (path, zero))
            self.assertEqual((dtype, shape, data), (1, [1, 3, 2, channels], bytes(range(6 * channels))))
            with open(path, "wb") as f:
                f.write(magic + b"\n2 3\n255\nxx")
            self.fails(5, "run", model, "--input", "x:" + path)

    def test_shapes_and_fills(self):
        negate = cli.case("elemwise/NEGATE")
        shape, first = self.floats(negate, "{2,3}")
        self.assertEqual(shape, [2, 3])
        self.assertTrue(all(-1 < v <= 0 for v in first) and len(set(first)) > 1)
        self.assertEqual(first, self.floats(negate, "x:{2,3}")[1])
        self.assertNotEqual(first, self.floats(negate, "{2,3}", "--seed=1")[1])
        ones = -struct.unpack("<f", b"\1\1\1\1")[0]
        self.assertEqual(self.floats(negate, "{2,3}", "--input-fill", "ones-bytes")[1], [ones] * 6)
        self.fails(2, "run", negate, "--input_fill=zeros")

    def test_batch(self):
        r = self.result("run", cli.LENET, "--iter=1", "--batch_size=3")
        self.assertEqual(r["inputs"][0]["shape"], [3, 1, 28, 28])
        self.assertEqual(r["outputs"][0]["shape"], [3, 10])

    def test_wrong_ones(self):
        self.assertIn("'data'", self.fails(5, "run", cli.LENET, "--input", "nobody:{1,1,28,28}"))
        self.assertIn("Float32", self.fails(5, "run", cli.LENET, "--input", "data:[[1.5]]"))
        self.fails(5, "run", cli.LENET, "--input", "data:{1,1,3,3}")


class Results(cli.Case):
    def test_log_lines(self):
        done = self.ok("run", cli.LENET, "--iter=3", "--warmup-iter=2")
        number = r"\d+\.\d{3}"
        wanted = [r"load model: %sms", r"=== prepare: %sms; going to warmup", r"warm up 0  %sms",
                  r"=== prepare: %sms; going to warmup", r"warm up 1  %sms"]
        wanted += [r"iter %d/3: e2e=%s ms \(host=%s ms\)" % (i, number, number) for i in range(3)]
        wanted += [r"=== finished test #0: time=%s ms avg_time=%s ms standard_deviation=%s ms min=%s ms max=%s ms",
                   r"=== total time: %sms"]
        wanted = [w.replace("%s", number) for w in wanted]
        lines = done.stdout.splitlines()
        for line, pattern in zip(lines, wanted):
            self.assertRegex(line, "^" + pattern + "$")
        self.assertEqual(done.stderr, "")  # no progress where there is no terminal

    def test_one_run_has_no_deviation(self):
        self.assertRegex(self.ok("run", cli.LENET, "--iter=1").stdout, r"standard_deviation=-?nan ms")

    def test_json(self):
        done = self.ok("run", cli.LENET, "--json", "--iter=8")
        r = json.loads(done.stdout)  # nothing else on stdout
        self.assertIn("load model:", done.stderr)
        plain = r["plain"]
        self.assertEqual(plain["count"], 8)
        self.assertEqual(len(plain["samples_ms"]), 8)
        order = [plain[k] for k in ("min_ms", "median_ms", "p90_ms", "p99_ms", "max_ms")]
        self.assertEqual(order, sorted(order))
        self.assertEqual(plain["min_ms"], min(plain["samples_ms"]))
        self.assertEqual(sum(plain["histogram"]["counts"]), 8)
        self.assertNotIn("profiled", r)
        memory = r["memory"]
        self.assertGreaterEqual(memory["arena_bytes"], memory["peak_live_bytes"])
        for key in ("peak_live_bytes", "constant_bytes", "process_peak_bytes"):
            self.assertGreater(memory[key], 0)
        for key in ("load_ms", "first_run_ms"):
            self.assertGreater(r[key], 0)

    def test_no_warmup(self):
        r = self.result("run", cli.LENET, "--iter=2", "--warmup_iter=0")
        self.assertEqual(r["first_run_ms"], r["plain"]["samples_ms"][0])
        self.assertEqual(self.result("run", cli.LENET, "--iter=0")["plain"]["count"], 0)

    def test_repeat_until(self):
        r = self.result("run", cli.LENET, "--iter=4", "--repeat-until", "60%")
        self.assertGreaterEqual(r["plain"]["count"], 6)
        low, high = r["plain"]["median_interval_ms"]
        self.assertLessEqual(low, r["plain"]["median_ms"])
        self.assertGreaterEqual(high, r["plain"]["median_ms"])
        self.assertTrue(r["repeat_until"]["stable"])
        self.assertLessEqual((high - low) / r["plain"]["median_ms"], 0.6)
        for bad in ("0", "200%", "x", "1%%"):
            self.fails(2, "run", cli.LENET, "--repeat_until", bad)

    def test_the_same_bits(self):
        out = {}
        flags = (["--threads=1"], ["--threads=3"], ["--disable_mem_opt"], ["--workspace_limit=0"], ["--fake_first"])
        for i, f in enumerate(flags):
            self.ok("run", cli.LENET, "--iter=1", "--warmup_iter=0", "--bin_out_dump", self.path(str(i)), *f)
            (name,) = os.listdir(self.path(str(i)))
            out[i] = cli.read_dump(os.path.join(self.path(str(i)), name))[3]
        self.assertEqual(len(set(out.values())), 1)

    def test_batches_are_independent(self):
        images = bytes((i * 37) % 256 for i in range(2 * 784))
        outs = []
        for part in (images, images[:784], images[784:]):
            cli.write_npy(self.path("in.npy"), "B", (len(part) // 784, 1, 28, 28), list(part))
            folder = self.path("out%d" % len(outs))
            self.ok("run", cli.LENET, "--iter=1", "--warmup_iter=0", "--input", self.path("in.npy"),
                    "--bin_out_dump", folder)
            outs.append(cli.read_dump(os.path.join(folder, os.listdir(folder)[0]))[3])
        self.assertEqual(outs[0], outs[1] + outs[2])

    def test_memory_options(self):
        reused = self.result("run", cli.LENET, "--iter=1")["memory"]
        alone = self.result("run", cli.LENET, "--iter=1", "--disable_mem_opt")["memory"]
        self.assertGreater(alone["arena_bytes"], reused["arena_bytes"])
        self.assertIn("memory limit", self.fails(5, "run", cli.LENET, "--memory_limit=1", "--batch_size=2000"))

    def test_instances(self):
        done = self.ok("run", cli.LENET, "--thread=3", "--iter=4")
        self.assertEqual(len(re.findall(r"=== finished test #0", done.stdout)), 3)
        r = self.result("run", cli.LENET, "--thread=2", "--iter=4", "--share_param_mem")
        self.assertEqual((r["instances"], len(r["per_instance"]), r["plain"]["count"]), (2, 2, 8))
        for bad in ("0", "-1"):
            self.fails(2, "run", cli.LENET, "--thread", bad)

    def test_test_cases(self):
        r = self.result("run", cli.case("options/testcase_assert"), "--iter=2")
        self.assertEqual({i["name"] for i in r["inputs"]}, {"data", "out_0:expect"})

    def test_kernel_and_passes(self):
        self.ok("run", cli.LENET, "--iter=1", "--kernel=reference", "--nooptimize")
        self.ok("run", cli.LENET, "--iter=1", "--disable-pass=fuse_conv_bias,remove_dead")
        self.fails(2, "run", cli.LENET, "--kernel=quick")
        self.fails(5, "run", cli.LENET, "--disable-pass=nonsense")
        self.ok("run", cli.LENET, "--iter=1", "--optimize-for-inference", "--enable-fuse-conv-bias-nonlinearity")

    def test_fitting(self):
        tuned = self.path("tuned.mge")
        done = self.ok("run", cli.LENET, "--iter=1", "--fitting", "--threads=2", "--dump_fitting_model", tuned)
        self.assertEqual(len(re.findall(r"^fitting: ", done.stdout, re.M)), 4)
        self.assertRegex(done.stdout, r"fitting chose: --threads \d --(no)?optimize")
        self.ok("run", tuned, "--iter=1")
        self.fails(2, "run", cli.LENET, "--dump_fitting_model", tuned)

    def test_model_info_and_verbose(self):
        text = self.ok("run", cli.LENET, "--iter=1", "--model_info").stdout
        self.assertRegex(text, r"INPUT +data +\(4,1,28,28\) +Uint8")
        self.assertRegex(text, r"OUTPUT +out_0 +\(4,10\) +Float32")
        self.assertIn("Softmax", self.ok("run", cli.LENET, "--iter=1", "--verbose").stdout)

    def test_wait_gdb(self):
        done = self.ok("run", cli.LENET, "--iter=1", "--wait_gdb", stdin="\n")
        self.assertRegex(done.stderr, r"wait for gdb attach \(pid=\d+\)")

    @unittest.skipIf(sys.platform == "win32", "no terminals")
    def test_progress_on_a_terminal(self):
        import pty
        import subprocess

        master, slave = pty.openpty()
        p = subprocess.Popen([cli.MGL, "run", cli.LENET, "--json", "--iter=20000"], stdout=subprocess.DEVNULL, stderr=slave)
        os.close(slave)
        text = b""
        while True:
            try:
                more = os.read(master, 65536)
            except OSError:
                break
            if not more:
                break
            text += more
        os.close(master)
        self.assertEqual(p.wait(), 0)
        self.assertIn(b"\r\x1b[Krun ", text)


class Checks(cli.Case):
    def test_check_output(self):
        model = cli.case("elemwise/NEGATE")
        want = self.path("want.npy")
        cli.write_npy(want, "f", (2,), [-1, -2.001])
        args = ("run", model, "--iter=1", "--input", "[1.0,2]", "--check_output")
        error = self.fails(5, *args, want)
        self.assertIn("[1]: got -2, expected -2.001", error)
        self.ok(*args, want, "--rtol=1e-2")
        self.ok(*args, want, "--rtol=0", "--atol=0.01")
        self.fails(5, *args, want, "--rtol=0", "--atol=0")
        name = self.result(*args[:-1])["outputs"][0]["name"]
        r = self.result(*args, name + ":" + want, "--atol=0.1")
        self.assertEqual([c["equal"] for c in r["checks"]], [True])
        self.fails(5, *args, "nobody:" + want)
        cli.write_npy(want, "i", (2,), [-1, -2])
        self.assertIn("type", self.fails(5, *args, want))
        cli.write_npy(want, "f", (1, 2), [-1, -2])
        self.assertIn("shape", self.fails(5, *args, want))

    def test_range(self):
        model = cli.case("elemwise/ADD")
        given = ("--iter=1", "--input", "x:[1.0,2];y:[1.0,2.5]")
        self.ok("run", model, *given, "--range=4.5")
        self.assertIn("4.5", self.fails(5, "run", model, *given, "--range", "4.4"))
        self.fails(5, "run", model, "--iter=1", "--input", "x:[1e38,2];y:[3e38,2.5]", "--range", "1e38")

    def test_values(self):
        done = self.ok("run", cli.LENET, "--iter=4", "--check_var_value=2:1")
        self.assertEqual(re.findall(r"check_var_value: #(\d+)", done.stderr), ["1", "1", "2", "2"])
        self.assertIn("changed", self.fails(5, "run", cli.case("random/uniform"), "--iter=9", "--check_var_value=1"))
        for bad in ("0", "x", "1:y"):
            self.fails(2, "run", cli.LENET, "--check_var_value", bad)

    def test_assertions(self):
        model = cli.case("options/testcase_assert")
        self.assertIn("AssertEqual", self.fails(5, "run", model, "--iter=1", "--input", "data:{2,3,32,32}"))
        self.ok("run", model, "--iter=1", "--input", "data:{2,3,32,32}", "--disable_assert_throw")

    def test_text_dump(self):
        file = self.path("dump.txt")
        self.ok("run", cli.case("elemwise/NEGATE"), "--iter=1", "--input", "[1.0,2]", "--io_dump", file)
        with open(file) as f:
            text = f.read()
        self.assertRegex(text, r"var\d+ produced: name=x layout=\{2\(1\) Float32\} owner_opr=\S*\{Host2DeviceCopy\} opr\d+")
        self.assertRegex(text, r"owner_opr=\S+\{Elemwise\} opr\d+\n deps:\n  \[i0\]var\d+: \[1, 2\] s\n"
                               r" val: \[-1, -2\]min=-2 max=-1 mean=-1.5 l2=1.58 sd=0.707 s\n")
        out = self.ok("run", cli.case("elemwise/NEGATE"), "--iter=1", "--input", "[1.0,2]", "--io-dump-stdout").stdout
        self.assertIn(text, out)
        done = self.ok("run", cli.case("elemwise/NEGATE"), "--iter=1", "--input", "[1.0,2]", "--io-dump-stderr", "--json")
        self.assertIn(text, done.stderr)
        json.loads(done.stdout)
        self.ok("run", cli.LENET, "--iter=1", "--io_dump", file)
        self.fails(5, "run", cli.LENET, "--iter=1", "--io_dump", self.path("no/such/folder"))

    def test_binary_dump(self):
        folder = self.path("dump")
        self.ok("run", cli.case("elemwise/NEGATE"), "--iter=1", "--input", "[1.0,2]", "--bin_io_dump", folder)
        names = sorted(os.listdir(folder))
        self.assertTrue(names and all(re.fullmatch(r"[0-9a-f]{6}", n) for n in names), names)
        values = [cli.read_dump(os.path.join(folder, n)) for n in names]
        self.assertIn((0, [2], struct.pack("<2f", -1, -2)), [v[1:] for v in values])

    def test_output_dump(self):
        folder = self.path("dump")
        self.ok("run", cli.LENET, "--iter=2", "--bin_out_dump", folder)  # a warm-up run and two more
        self.assertEqual(sorted(n.split("-")[0] for n in os.listdir(folder)), ["run0", "run1", "run2"])


class ExitCodes(cli.Case):
    def test_usage(self):
        self.fails(2, "run")
        self.fails(2, "run", "a.mge", "b.mge")
        self.fails(2, "nonsense")
        self.assertEqual(cli.mgl().returncode, 2)
        for args in (["--help"], ["help"], ["--version"]):
            self.ok(*args)

    def test_bad_models(self):
        with open(cli.LENET, "rb") as f:
            data = f.read()
        bad = self.path("bad.mge")
        for content in (b"", b"mgb", b"hello world, this is no model", data[:100], data[: len(data) // 2]):
            with open(bad, "wb") as f:
                f.write(content)
            self.fails(3, "run", bad)
            self.fails(3, "info", bad)

    def test_unsupported_operators(self):
        with open(cli.LENET, "rb") as f:
            data = f.read()
        bad = self.path("bad.mge")
        for name, other in ((b"Softmax", b"Hardmax"), (b"MatrixMul", b"MatrixAdd")):
            end = b"\0" if name == b"Softmax" else b""  # an operator of version 2
            old, new = (struct.pack("<Q", cli.type_id(n + end)) for n in (name, other))
            self.assertTrue(old in data)
            data = data.replace(old, new).replace(name, other)
        with open(bad, "wb") as f:
            f.write(data)
        error = self.fails(4, "run", bad)  # all of them at once
        self.assertIn("Hardmax", error)
        self.assertIn("MatrixAdd", error)
        self.assertIn("Hardmax", self.ok("info", bad).stdout)  # there is something to say about it all the same

    def test_missing_file(self):
        self.assertIn("no/such", self.fails(3, "run", self.path("no/such.mge")))

    def test_timeout(self):
        error = self.fails(124, "run", cli.LENET, "--iter=100000000", "--json", "--timeout", "0.5")
        self.assertIn("0.5 seconds", error)
        self.ok("run", cli.LENET, "--iter=1", "--timeout=100")


class Alias(cli.Case):
    def test_load_and_run(self):
        alias = self.path("load_and_run")
        os.symlink(cli.MGL, alias)
        done = self.ok(cli.LENET, "--iter", "2", "--cpu", program=alias)
        self.assertIn("iter 1/2: e2e=", done.stdout)
        self.assertEqual(self.ok("--version", program=alias).stdout, "load_and_run version 1.0\n")
        self.assertIn("--warmup_iter", self.ok("--help", program=alias).stdout)
        self.fails(2, program=alias)
        self.fails(2, "--nonsense", program=alias)


if __name__ == "__main__":
    unittest.main()
