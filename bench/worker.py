"""The side of bench.py that runs one implementation: reads commands from its input, answers with JSON lines.

Runs in the implementation's own interpreter: Python 3.8 or newer, with NumPy.
"""

import gc
import importlib
import json
import os
import sys
import time


class Unsupported(Exception):
    """The implementation has no such case."""


def _prepare(impl, case, variant, threads, warm_s):
    run, output = impl.make(case, variant, threads)
    times = []
    end = None
    while end is None or (time.perf_counter() < end and len(times) < 200):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        end = end or time.perf_counter() + warm_s
    return run, output, {"first_s": times[0], "one_s": min(times)}


def _sample(run, budget_s, inner):
    wall, cpu = [], []
    end = time.perf_counter() + budget_s
    while True:
        cpu_start, start = time.process_time(), time.perf_counter()
        for _ in range(inner):
            run()
        stop, cpu_stop = time.perf_counter(), time.process_time()
        wall.append((stop - start) / inner)
        cpu.append((cpu_stop - cpu_start) / inner)
        if stop >= end:
            return {"times": wall, "cpu": cpu}


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    name, variant, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])

    def answer(**fields):
        answers.write(json.dumps(fields) + "\n")

    try:
        impl = importlib.import_module("impls." + name)
        answer(ok=True, version=impl.version())
    except Exception as e:
        answer(ok=False, error="%s: %s" % (type(e).__name__, str(e)[:200]))
        return
    run = output = None
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("command")
        try:
            if what == "prepare":
                run = output = None
                gc.collect()
                run, output, fields = _prepare(impl, command["case"], variant, threads, command["warm_s"])
            elif what == "output":
                import numpy as np

                arrays = output() if output else None
                if arrays is not None:
                    np.savez(command["path"], *[np.asarray(a) for a in arrays])
                fields = {"has_output": arrays is not None}
            elif what == "sample":
                fields = _sample(run, command["budget_s"], command["inner"])
            else:
                run = output = None
                gc.collect()
                fields = {}
            answer(ok=True, **fields)
        except Unsupported:
            answer(ok=False, unsupported=True)
        except Exception as e:
            answer(ok=False, error="%s: %s" % (type(e).__name__, str(e)[:300]))


if __name__ == "__main__":
    # Implementations import worker.Unsupported: it has to be the class that main() catches.
    import worker

    worker.main()
