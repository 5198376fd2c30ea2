#!/usr/bin/env python3
"""Times cases on Megalith and whichever peers are installed, in alternation; see README.md.

bench.py --groups conv,model                 # all cases of these groups, one thread
bench.py --cases 'resnet18|conv3x3' --threads 1,2 --impl megalith,onnxruntime
"""

import argparse
import json
import platform
import sys
import time

import cases
import driver
import limits
import report


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--groups", default=",".join(cases.GROUPS), help="of %(default)s")
    p.add_argument("--cases", default=".", metavar="REGEX")
    p.add_argument("--impl", help="name[:variant],...; by default those of each group in cases.py")
    p.add_argument("--threads", default="1")
    p.add_argument("--rounds", type=int, default=5, help="of samples, of each implementation")
    p.add_argument("--budget-s", type=float, default=0.05, help="time of one sample; it has at least one run")
    p.add_argument("--warm-s", type=float, default=0.1)
    p.add_argument("--patience-s", type=float, default=3, help="no further round where one has taken that long")
    p.add_argument("--no-limits", action="store_true", help="don't measure the machine")
    p.add_argument("--save", action="store_true", help="take the results into results/ for this processor")
    p.add_argument("--list", action="store_true")
    p.add_argument("-v", "--verbose", action="store_true")
    return p.parse_args()


def main():
    options = parse()
    groups = options.groups.split(",")
    unknown = [g for g in groups if g not in cases.GROUPS]
    if unknown:
        sys.exit("there is no group %s; there are %s" % (", ".join(unknown), ", ".join(cases.GROUPS)))
    chosen = cases.select(groups, options.cases)
    if options.list:
        print("\n".join(c["name"] for cs in chosen.values() for c in cs))
        return 0
    threads = [int(t) for t in options.threads.split(",")]
    plan = [(cs, (options.impl or cases.IMPLS[g]).split(",")) for g, cs in chosen.items()]
    run_id = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lines = []

    def emit(record):
        lines.append(record)
        print(json.dumps(record), flush=True)

    measured = None if options.no_limits else limits.measure(threads)
    header = {
        "run": run_id,
        "machine": limits.machine(),
        "system": platform.platform(),
        "limits": measured and {str(t): m for t, m in measured.items()},
        "command": " ".join(["bench/bench.py", *sys.argv[1:]]),
        "versions": {},
    }
    header["versions"] = driver.run(plan, threads, options, run_id, emit)
    emit(header)
    if options.save:
        report.save(lines)
    print(report.table(lines), file=sys.stderr)
    return 1 if any("error" in r and r["impl"].startswith("megalith") for r in lines if "case" in r) else 0


if __name__ == "__main__":
    sys.exit(main())
