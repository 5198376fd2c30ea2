"""What the machine allows: measured by `mgl bench-device`, then the least time that a case can take."""

import json
import os
import platform
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def measure(threads_list):
    """Measures of bench-device by number of threads (1 and the largest); None: there is no mgl."""
    mgl = os.environ.get("BENCH_MGL") or os.path.join(ROOT, "build", "release", "tools", "mgl")
    if not os.path.exists(mgl):
        return None
    command = [mgl, "bench-device", "--json", "--threads", str(max(threads_list))]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {t: [m for m in report["measures"] if m["threads"] == t] for t in threads_list}


def _best(measures, what, kind=None):
    values = [m["value"] for m in measures if m["measure"] == what and kind in (None, m["kind"])]
    return max(values, default=0)


def _read(measures, working_set):
    """GB/s of reading a set of that size again and again. No set is read slower than a larger one."""
    values = [m["value"] for m in measures if m["measure"] == "cache" and m["bytes"] >= working_set]
    return max([*values, _best(measures, "memory", "read")])


def limit_ms(case, measures, threads, isa=None):
    """The larger of arithmetic and traffic. Cases of local have to round after the multiplication."""
    if not measures or "flops" not in case:
        return None
    fused = case["group"] not in ("local", "local_share")
    peak = _best(measures, "multiply-add", isa) if fused else _best(measures, "multiply, then add", isa)
    if not peak:
        return None
    ms = case["flops"] / peak / 1e6
    ms = max(ms, case["bytes"] / _read(measures, case["bytes"] / threads) / 1e6)
    if "stream_bytes" in case:
        ms = max(ms, case["stream_bytes"] / _read(measures, case["stream_set"] / threads) / 1e6)
    return ms


def machine():
    """Names of the processor: shown, and for files."""
    fields = {}
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                key, _, value = line.partition(":")
                fields.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    name = fields.get("model name") or platform.processor() or platform.machine()
    file = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    if "cpu family" in fields:
        file += "-%s-%s" % (fields["cpu family"], fields["model"])
    return {"name": name, "file": file, "cpus": os.cpu_count()}
