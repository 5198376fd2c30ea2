"""Which models still run reference kernels, and how much of their time that takes.

    MGL=build/release/tools/mgl python tests/cli/reference_kernels.py           shares of time by op and kernel
    MGL=build/release/tools/mgl python tests/cli/reference_kernels.py --update  renews tests/reference_kernels.txt

The list is checked by test_reference_kernels.py, which looks at no clock.
"""

import collections
import json
import os
import sys
import tempfile

import cli

LIST = os.path.join(cli.TESTS, "reference_kernels.txt")
GROUPS = ("models", "train", "mnist", "quantized_models", "attention")
ROOTS = (os.path.join(os.path.dirname(os.path.dirname(cli.TESTS)), "shared", "fixtures"), cli.GOLDEN)


def models():
    """{name: path of the file, feeds}, of the full fixtures beside the checkout and of those in it."""
    found = {}
    for root in ROOTS:
        manifest = os.path.join(root, "manifest.json")
        if not os.path.exists(manifest):
            continue
        with open(manifest) as f:
            cases = json.load(f)["cases"]
        for c in cases:
            folder = os.path.join(root, c["name"])
            if c["name"].split("/")[0] not in GROUPS or c["name"] in found:
                continue
            feeds = {i["name"]: os.path.join(folder, i["file"]) for i in c["inputs"]}
            found[c["name"]] = os.path.join(folder, c["files"].get("FBS_V2", c["files"].get("FBS"))["file"]), feeds
    return found


def profile(path, feeds, iterations=1):
    """[(op, kernel, seconds)] of one run: the least time of each op; None for files that bring their own inputs."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "profile.json")
        with open(os.path.join(folder, "info.json"), "w") as f:
            info = cli.mgl("info", path, "--json")
            f.write(info.stdout)
        wanted = [i["name"] for i in json.loads(info.stdout)["inputs"]]
        if not all(name in feeds for name in wanted):
            return None
        given = ["--input=" + ";".join(f"{name}:{feeds[name]}" for name in wanted)] if wanted else []
        run = cli.mgl("run", path, "--threads=1", f"--iter={iterations}", "--profile_v2", out, *given)
        if run.returncode:
            raise RuntimeError(f"{path}: {run.stderr}")
        with open(out) as f:
            p = json.load(f)
    field = {name: i for i, name in enumerate(p["span_fields"])}
    times = collections.defaultdict(list)
    for s in p["spans"]:
        times[s[field["node"]], s[field["copy"]]].append(s[field["end_s"]] - s[field["start_s"]])
    nodes = {n["node"]: n for n in p["nodes"]}
    return [(nodes[n]["op"], "copy of an input" if copied else nodes[n]["kernel"], min(t))
            for (n, copied), t in times.items()]


def references(steps):
    return sorted({op for op, kernel, _ in steps if kernel == "reference"})


def read_list():
    listed = {}
    with open(LIST) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                name, ops = line.split(":")
                listed[name] = sorted(op.strip() for op in ops.split(",") if op.strip())
    return listed


def update():
    with open(LIST, "w") as f:
        f.write("# Ops that a model still computes with their reference kernels (tests/cli/reference_kernels.py).\n")
        for name, (path, feeds) in sorted(models().items()):
            steps = profile(path, feeds)
            if steps is not None:
                f.write(f"{name}: {', '.join(references(steps))}".rstrip() + "\n")


def shares():
    for name, (path, feeds) in sorted(models().items()):
        steps = profile(path, feeds, 10)
        if steps is None:
            continue
        sums = collections.Counter()
        for op, kernel, t in steps:
            sums[op, kernel] += t
        total = sum(sums.values())
        parts = [f"{op}/{kernel} {100 * t / total:.1f} %" for (op, kernel), t in sums.most_common() if t > total / 100]
        print(f"{name} {total * 1e3:.3f} ms: {', '.join(parts)}")


if __name__ == "__main__":
    update() if "--update" in sys.argv[1:] else shares()
