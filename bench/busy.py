"""Whether a second thread hurts on a busy machine: models with one and two threads in turns, beside other processes that
never rest. The ratio of means tells: there a median says only whether most runs ended within one slice of the scheduler.

    python bench/busy.py build/release/tools/mgl MODEL.mge ... [--busy N]
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess


def spin():
    while True:
        pass


def run(mgl, model, threads, iterations):
    done = subprocess.run(
        [mgl, "run", model, "--threads", str(threads), "--iter", str(iterations), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    latency = json.loads(done.stdout)["plain"]
    return latency["median_ms"], latency["mean_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mgl")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--busy", type=int, default=2 * len(os.sched_getaffinity(0)), help="processes that never rest")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--iter", type=int, default=30)
    args = parser.parse_args()
    others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(args.busy)]
    for p in others:
        p.start()
    print(f"beside {args.busy} busy processes on {len(os.sched_getaffinity(0))} processors")
    print(
        "| model | 1 thread, mean ms | 2 threads, mean ms | 2 / 1, means | 2 / 1, medians |\n| --- | --- | --- | --- | --- |"
    )
    for model in args.models:
        times = {1: [], 2: []}
        for _ in range(args.rounds):
            for threads in times:
                times[threads].append(run(args.mgl, model, threads, args.iter))
        (median1, mean1), (median2, mean2) = ([statistics.median(v) for v in zip(*times[t])] for t in times)
        print(f"| {os.path.basename(os.path.dirname(os.path.abspath(model)))} | {mean1:.3g} | {mean2:.3g} | "
              f"{mean2 / mean1:.2f} | {median2 / median1:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
