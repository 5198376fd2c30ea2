"""Every flag of `mgl run` in every spelling of gflags."""

import json
import os
import unittest

import cli

# The 74 flags of load_and_run, by the file that defines them.
LOAD_AND_RUN = {
    "models/model.cpp": "lite mdl",
    "device_options": "cpu cuda cpu_default multithread multithread_default multi_thread_core_ids",
    "strategy_options": "iter warmup_iter thread share_param_mem",
    "io_options": "input batch_size io_dump io_dump_stdout io_dump_stderr bin_io_dump bin_out_dump copy_to_host",
    "plugin_options": "profile profile_host range check_dispatch check_var_value",
    "debug": "model_info verbose disable_assert_throw wait_gdb get_static_mem_info",
    "fastrun_options": "fast_run full_run fast_run_algo_policy fast_run_shared_batch_size binary_equal_between_batch "
    "reproducible",
    "layout_options": "enable_nchw4 enable_chwn4 enable_nchw44 enable_nchw88 enable_nchw32 enable_nchw64 "
    "enable_nhwcd4 enable_nchw44_dot",
    "layout_trans_options": "layout_transform layout_transform_dump",
    "dtype_options": "enable_ioc16",
    "optimize_options": "enable_fuse_preprocess fuse_grain weight_preprocess enable_fuse_conv_bias_nonlinearity "
    "enable_fuse_conv_bias_with_z optimize_for_inference const_shape fake_first no_sanity_check record_comp_seq "
    "record_comp_seq2 disable_mem_opt workspace_limit enable_jit tensorrt tensorrt_cache",
    "model_options": "model_dump packed_model_dump pack_info_json pack_cache pack_info_cryption pack_model_cryption",
    "extern_c_opr_options": "c_opr_lib c_opr_lib_with_param c_opr_init_interface",
    "strategy_fitting": "fitting dump_fitting_model",
}
VALUES = {"int32": "7", "uint64": "4096", "double": "0.5", "string": "some text"}


def parse(case, *args, **kwargs):
    return json.loads(case.ok("run", "--print_flags", *args, **kwargs).stdout)


class Spellings(cli.Case):
    def setUp(self):
        super().setUp()
        self.flags = parse(self)["flags"]

    def test_all_of_load_and_run(self):
        wanted = {(g, n) for g, names in LOAD_AND_RUN.items() for n in names.split()}
        self.assertEqual(len(wanted), 74)
        have = {(f["group"], n) for n, f in self.flags.items() if f["group"] != "mgl"}
        self.assertEqual(have, wanted)

    def test_bools(self):
        for name, flag in self.flags.items():
            if flag["kind"] != "bool" or name == "print_flags":
                continue
            dashed = name.replace("_", "-")
            on = [["-" + name], ["--" + name], ["--" + dashed], ["-" + dashed]]
            on += [["--%s=%s" % (name, v)] for v in ("true", "t", "1", "yes", "y")]
            off = [["--no" + name], ["-no" + name], ["--no" + dashed], ["--no-" + dashed], ["--no_" + name]]
            off += [["--%s=%s" % (dashed, v)] for v in ("false", "f", "0", "no", "n")]
            # Many in one command: the last one counts, and each command ends with what it checks.
            for wanted, spellings, before in (("true", on, "--no" + name), ("false", off, "--" + name)):
                for spelling in spellings:
                    got = parse(self, before, *spelling, "m.mge")
                    self.assertEqual(got["flags"][name]["value"], wanted, spelling)
                    self.assertEqual(got["arguments"], ["m.mge"], spelling)

    def test_values(self):
        for name, flag in self.flags.items():
            if flag["kind"] == "bool":
                continue
            value = VALUES[flag["kind"]]
            for n in (name, name.replace("_", "-")):
                for spelling in (["--%s=%s" % (n, value)], ["--" + n, value], ["-%s=%s" % (n, value)], ["-" + n, value]):
                    got = parse(self, *spelling, "m.mge")
                    self.assertEqual(got["flags"][name]["value"], value, spelling)
                    self.assertEqual(got["arguments"], ["m.mge"], spelling)

    def test_bad_values(self):
        for name, flag in self.flags.items():
            if flag["kind"] == "string":
                continue
            error = self.fails(2, "run", "--%s=zebra" % name, "m.mge")
            self.assertIn(name, error)
        for bad in (["--iter"], ["--iter", "3x"], ["--iter="], ["--noiter"], ["--workspace_limit=-1"], ["--range=nan"],
                    ["--nofast_run=true"], ["--no_such_flag"], ["-x"], ["--iter=99999999999"]):
            self.fails(2, "run", *bad)

    def test_flagfile_and_environment(self):
        inner, outer = self.path("inner"), self.path("outer")
        with open(inner, "w") as f:
            f.write("# a comment\n--warmup-iter=3\n\n  -fast_run  \n--input x:a.npy\n")
        with open(outer, "w") as f:
            f.write("--iter=5\n--flagfile=%s\n" % inner)
        for spelling in (["--flagfile=" + outer], ["--flagfile", outer], ["-flagfile", outer]):
            got = parse(self, *spelling)["flags"]
            self.assertEqual([got[n]["value"] for n in ("iter", "warmup_iter", "fast_run", "input")],
                             ["5", "3", "true", "x:a.npy"])
        self.fails(2, "run", "--flagfile=" + self.path("missing"))
        with open(outer, "w") as f:
            f.write("--flagfile=%s\n" % outer)
        self.fails(2, "run", "--flagfile=" + outer)
        env = {"FLAGS_iter": "9", "FLAGS_warmup_iter": "4"}
        got = parse(self, "--fromenv=iter,warmup-iter", env=env)["flags"]
        self.assertEqual((got["iter"]["value"], got["warmup_iter"]["value"]), ("9", "4"))
        self.fails(2, "run", "--fromenv=thread")
        self.assertEqual(parse(self, "--tryfromenv=thread,iter", env=env)["flags"]["iter"]["value"], "9")

    def test_others(self):
        self.assertEqual(parse(self, "--iter=2", "--", "--iter", "x")["arguments"], ["--iter", "x"])
        self.assertEqual(parse(self, "--undefok=foo,bar", "--foo", "m.mge")["arguments"], ["m.mge"])
        self.assertEqual(parse(self, "--iter=2", "--iter=3")["flags"]["iter"]["value"], "3")

    def test_help(self):
        text = self.ok("run", "--help").stdout
        for name in self.flags:
            self.assertIn("--" + name, text)
        some = self.ok("run", "--helpmatch=layout").stdout
        self.assertIn("--enable_nchw44", some)
        self.assertNotIn("--warmup_iter", some)
        self.assertEqual(some, self.ok("run", "--helpmatch", "layout").stdout)
        self.assertTrue(self.ok("run", "--version").stdout.startswith("mgl "))


class Effects(cli.Case):
    def test_warned_about_once_or_refused(self):
        flags = parse(self)["flags"]
        for name, flag in flags.items():
            given = "--" + name if flag["kind"] == "bool" else "--%s=%s" % (name, VALUES[flag["kind"]])
            if flag["effect"] == "none":
                done = self.ok("run", cli.LENET, "--iter", 1, given, given)
                warnings = [line for line in done.stderr.splitlines() if "warning" in line]
                self.assertEqual(len(warnings), 1, done.stderr)
                self.assertEqual(warnings[0].count("--" + name), 1)
                self.assertIn(name, self.fails(2, "run", cli.LENET, "--strict", given))
            elif flag["effect"] == "always":
                self.assertEqual(self.ok("run", cli.LENET, "--strict", "--iter", 1, given).stderr, "")
        # The same without a word when it is taken back, or has its default.
        self.assertEqual(self.ok("run", cli.LENET, "--iter=1", "--fast_run", "--nofast_run").stderr, "")
        self.assertEqual(self.ok("run", cli.LENET, "--iter=1", "--pack_info_cryption=NONE").stderr, "")

    def test_one_layout(self):
        error = self.fails(2, "run", cli.LENET, "--enable_nchw44", "--enable-nchw88")
        self.assertIn("enable_nchw44", error)
        self.assertIn("enable_nchw88", error)

    def test_devices_and_threads(self):
        arm = os.uname().machine in ("aarch64", "arm64")
        here, other = ("arm", "cuda") if arm else ("x86", "arm")
        for flags, threads in ((["--threads=3"], 3), (["--multithread", 2], 2), (["--multithread_default=2"], 2),
                               (["--cpu_default"], 1), (["--device", here + ":3"], 3), (["--cpu", "--threads=1"], 1),
                               (["--multithread=3", "--cpu_default"], 1)):
            self.assertEqual(self.result("run", cli.LENET, "--iter=1", *flags)["threads"], threads, flags)
        for device in ("cuda:0", "tpu", here + ":x", other):
            self.assertIn("--device", self.fails(2, "run", cli.LENET, "--device", device))

    @unittest.skipUnless(hasattr(os, "sched_getaffinity"), "no affinity here")
    def test_core_ids(self):
        cpus = sorted(os.sched_getaffinity(0))[:2]
        ids = ",".join(map(str, cpus))
        self.assertEqual(self.result("run", cli.LENET, "--iter=1", "--multi_thread_core_ids", ids)["threads"], len(cpus))
        self.fails(2, "run", cli.LENET, "--multithread=5", "--multi_thread_core_ids", ids)
        self.fails(2, "run", cli.LENET, "--multi_thread_core_ids", "0,x")


if __name__ == "__main__":
    unittest.main()
