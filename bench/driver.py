"""Runs cases on several implementations in alternation: one worker process each, all but one of them stopped.

So thread pools that spin do not disturb one another, and a busy machine hits all alike.
"""

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# What keeps a library to AVX2, for the variant "avx2".
AVX2 = {"MEGALITH_ISA": "avx2", "DNNL_MAX_CPU_ISA": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}  # fmt: skip


def interpreter(name):
    """Of an implementation: BENCH_PYTHON_<NAME>, else BENCH_PYTHON for peers, else this one."""
    chosen = os.environ.get("BENCH_PYTHON_" + name.upper())
    return chosen or (name != "megalith" and os.environ.get("BENCH_PYTHON")) or sys.executable


def pinned_cpus(threads):
    """The last of the allowed processors: the first one often serves interrupts."""
    return sorted(os.sched_getaffinity(0))[-threads:] if hasattr(os, "sched_getaffinity") else []


class Worker:
    """spec: name[:variant[+variant]]."""

    def __init__(self, spec, threads, verbose=False):
        self.spec = spec
        name, _, variant = spec.partition(":")
        environment = dict(os.environ, PYTHONWARNINGS="ignore", CUDA_VISIBLE_DEVICES="")
        for library in ("OMP", "MKL", "OPENBLAS", "MEGALITH"):
            environment[library + "_NUM_THREADS"] = str(threads)
        if "avx2" in variant.split("+"):
            environment.update(AVX2)
        if os.environ.get("BENCH_PATH_" + name.upper()):
            environment["PYTHONPATH"] = os.environ["BENCH_PATH_" + name.upper()]
        # MegEngine computes on a thread of its own while the caller waits.
        cpus = pinned_cpus(threads + (name == "megengine"))
        try:
            self.process = subprocess.Popen(
                [interpreter(name), os.path.join(HERE, "worker.py"), name, variant, str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if verbose else subprocess.DEVNULL,
                text=True,
                env=environment,
                preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None,
            )
        except OSError as e:
            self.process, self.hello = None, {"ok": False, "error": str(e)}
            return
        self.hello = self._read()
        self._signal(signal.SIGSTOP)

    def _read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"ok": False, "error": "the worker ended"}

    def _signal(self, number):
        if self.process.poll() is None:
            os.kill(self.process.pid, number)

    def ask(self, command, **fields):
        self._signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps(dict(fields, command=command)) + "\n")
            self.process.stdin.flush()
            answer = self._read()
        except BrokenPipeError:
            answer = {"ok": False, "error": "the worker ended"}
        self._signal(signal.SIGSTOP)
        return answer

    def close(self):
        if self.process is None:
            return
        self._signal(signal.SIGCONT)
        try:
            self.process.stdin.close()
            self.process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()


def _difference(a, b):
    """The largest difference, over the largest entry; infinity: they can't be compared."""
    import numpy as np

    if len(a) != len(b) or any(x.shape != y.shape for x, y in zip(a, b)):
        return math.inf
    worst = 0.0
    for x, y in zip(a, b):
        if x.size:
            d = float(np.abs(x.astype("f8") - y).max() / (np.abs(y).max() + 1e-30))
            worst = d if not d <= worst else worst  # a NaN stays
    return worst


def _compare(workers, case, tolerance):
    """By spec, the difference from the first peer that has an output; and what is wrong."""
    import numpy as np

    outputs, errors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for w in workers:
            path = os.path.join(folder, "output.npz")
            answer = w.ask("output", path=path)
            if not answer["ok"]:
                errors[w.spec] = answer["error"]
            elif answer["has_output"]:
                with np.load(path) as arrays:
                    outputs[w.spec] = [arrays[k] for k in arrays.files]
    differences = {}
    reference = min(outputs, key=lambda spec: spec.startswith("megalith"), default=None)
    for spec, arrays in outputs.items():
        if spec == reference:
            continue
        d = differences[spec] = _difference(arrays, outputs[reference])
        if d == math.inf:
            errors[spec] = "outputs of other shapes than %s's" % reference
        elif not d <= tolerance:
            errors[spec] = "outputs differ from %s's by %.3g of the largest entry" % (reference, d)
    return differences, errors


def _measure(workers, ready, rounds, budget_s, patience_s):
    """Samples in rounds; each round starts with another one."""
    wall, cpu, errors = {w.spec: [] for w in workers}, {w.spec: [] for w in workers}, {}
    for r in range(rounds):
        turn = r % len(workers) if workers else 0
        for w in workers[turn:] + workers[:turn]:
            one = ready[w.spec]["one_s"]
            if w.spec in errors or (r and one * r > patience_s):
                continue
            answer = w.ask("sample", budget_s=budget_s, inner=max(1, int(5e-4 / max(one, 1e-7))))
            if answer["ok"]:
                wall[w.spec] += answer["times"]
                cpu[w.spec] += answer["cpu"]
            else:
                errors[w.spec] = answer["error"]
    return wall, cpu, errors


def run_case(workers, case, threads, options, run_id):
    """Records of one case, one for each worker that has it."""
    ready, errors, live = {}, {}, []
    for w in workers:
        answer = w.ask("prepare", case=case, warm_s=options.warm_s)
        if answer["ok"]:
            ready[w.spec] = answer
            live.append(w)
        elif not answer.get("unsupported"):
            errors[w.spec] = answer["error"]
    differences, wrong = _compare(live, case, case.get("tolerance", 1e-4))
    errors.update(wrong)
    live = [w for w in live if w.spec not in errors]
    wall, cpu, failed = _measure(live, ready, options.rounds, options.budget_s, options.patience_s)
    errors.update(failed)
    records = []
    for w in workers:
        record = {"case": case["name"], "impl": w.spec, "threads": threads, "run": run_id}
        if w.spec in errors:
            record["error"] = errors[w.spec]
            record["wrong"] = w.spec in wrong
        elif wall.get(w.spec):
            record.update(
                min_ms=round(min(wall[w.spec]) * 1e3, 7),
                median_ms=round(statistics.median(wall[w.spec]) * 1e3, 7),
                cpu_min_ms=round(min(cpu[w.spec]) * 1e3, 7),
                cpu_mean_ms=round(statistics.mean(cpu[w.spec]) * 1e3, 7),
                samples=len(wall[w.spec]),
            )
        else:
            continue
        if math.isfinite(differences.get(w.spec, math.nan)):
            record["difference"] = float("%.3g" % differences[w.spec])
        records.append(record)
    for w in workers:
        w.ask("release")
    return records


def run(plan, threads_list, options, run_id, emit):
    """plan: [(cases, specs)]. Gives each record to emit; returns versions by spec."""
    versions = {}
    for cases, specs in plan:
        for threads in threads_list:
            workers = []
            for spec in specs:
                w = Worker(spec, threads, options.verbose)
                if w.hello["ok"]:
                    versions[spec] = w.hello["version"]
                    workers.append(w)
                else:
                    if threads == threads_list[0]:
                        print("left out: %s (%s)" % (spec, w.hello["error"]), file=sys.stderr)
                    w.close()
            try:
                for case in cases:
                    start = time.time()
                    records = run_case(workers, case, threads, options, run_id)
                    for r in records:
                        r["load"] = round(os.getloadavg()[0], 1)
                        emit(r)
                    if options.verbose:
                        print("%s: %.1f s" % (case["name"], time.time() - start), file=sys.stderr)
            finally:
                for w in workers:
                    w.close()
    return versions
