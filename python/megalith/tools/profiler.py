"""Runs a program and writes a profile of its calls: ``python -m megalith.tools.profiler [-o folder] script.py args…``."""

import argparse
import os
import runpy
import sys

from ..utils.profiler import Profiler, merge_trace_events


def run_script(filename):
    """Runs a file as a program."""
    runpy.run_path(filename, run_name="__main__")


def run_module(modulename):
    """Runs a module as a program."""
    runpy.run_module(modulename, run_name="__main__", alter_sys=True)


def main():
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="megalith.tools.profiler", description=__doc__.split(":")[0])
    parser.add_argument("-m", "--module", action="store_true", help="the program is a module")
    parser.add_argument("-o", "--output", default="profile", help="folder of the results")
    parser.add_argument("-f", "--format", action="append", choices=sorted(Profiler.valid_formats))
    parser.add_argument("--merge_trace_events", action="store_true", help="join the timelines of all processes")
    parser.add_argument("--clean", action="store_true", help="empty the folder first")
    for option in Profiler.valid_options:
        parser.add_argument("--" + option, type=int)
    parser.add_argument("program", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not args.program and not args.merge_trace_events:
        parser.print_usage()
        return 1
    if args.clean and os.path.isdir(args.output):
        for name in os.listdir(args.output):
            os.remove(os.path.join(args.output, name))
    if args.program:
        program = args.program[0]
        if not args.module and not os.path.exists(program):
            print(f"there is no file {program}", file=sys.stderr)
            return 1
        options = {k: v for k in Profiler.valid_options if (v := getattr(args, k)) is not None}
        profiler = Profiler(args.output, formats=args.format, **options)
        sys.argv[:] = args.program
        if not args.module:
            sys.path[0] = os.path.dirname(os.path.realpath(program))
        with profiler:
            (run_module if args.module else run_script)(program)
        profiler.dump()
    if args.merge_trace_events:
        merge_trace_events(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
