"""Loads a ``.mge`` file and runs it: ``python -m megalith.tools.load_network_and_run model.mge --iter 10``.

Inputs are random, or arrays of a file: ``--load-input-data name:file.npy``.
"""

import argparse
import sys
import time

import numpy as np

from ..core.tensor.megbrain_graph import load_graph
from ..logger import get_logger, set_log_file
from ..utils import comp_graph_tools as cgtools, dump_tools

logger = get_logger(__name__)
_OPTIONS = [*dump_tools._LAYOUTS, *dump_tools._FLAGS]


def get_execution_strategy(args) -> str:
    """How MegEngine would choose algorithms; it makes no difference here."""
    if not args.fast_run:
        return "HEURISTIC"
    return "PROFILE_REPRODUCIBLE" if args.reproducible else "PROFILE"


def get_opt_kwargs(args) -> dict:
    """The options of ``optimize_for_inference`` that were given."""
    return {name: True for name in _OPTIONS if getattr(args, name, False)}


def make_data_given_desc(args, inputs, shape0_multiply=1) -> list:
    """Arrays for the inputs: from a file, or random; ``--batchsize`` or ``shape0_multiply`` changes the first size."""
    given = {}
    for one in args.load_input_data or ():
        name, colon, path = one.rpartition(":")
        given[name if colon else None] = np.load(path)
    if None in given and len(inputs) > 1:
        raise ValueError(f"the model has {len(inputs)} inputs: use --load-input-data name:file.npy")
    rng = np.random.RandomState(args.seed)
    data = []
    for var in inputs:
        if var.name in given or None in given:
            data.append(given.get(var.name, given.get(None)))
            continue
        shape = list(var.partial_shape)
        shape[0] = args.batchsize or shape[0] * shape0_multiply
        data.append((rng.rand(*shape) * (1 if var.dtype.kind == "f" else 10)).astype(var.dtype))
    return data


def run_model(args, graph, inputs, outputs, data):
    """Runs a graph ``--iter`` times; logs the time of each and returns the last outputs."""
    model = graph.compile(outputs, True)
    from ..tensor import Tensor

    feeds = {var.name: Tensor(array) for var, array in zip(inputs, data)}
    for _ in range(args.warm_up):
        model.run(feeds)
    times, results = [], []
    for i in range(args.iter):
        begin = time.perf_counter()
        results = model.run(feeds)
        times.append((time.perf_counter() - begin) * 1e3)
        logger.info("iter %d: %.3f ms", i, times[-1])
        if args.calc_output_rms:
            for var, value in zip(outputs, results):
                rms = float(np.sqrt((value.astype("float32").numpy() ** 2).mean()))
                logger.info("output %s of shape %s: root mean square %.6g", var.name, tuple(value.shape), rms)
    logger.info("best %.3f ms, mean %.3f ms of %d", min(times), sum(times) / len(times), len(times))
    return results


def main():
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("net", help="a .mge file")
    parser.add_argument("--output-name", action="append", help="compute these variables instead of the outputs")
    parser.add_argument("--load-input-data", action="append", metavar="[NAME:]FILE.npy")
    parser.add_argument("--batchsize", type=int)
    parser.add_argument("--warm-up", type=int, default=0)
    parser.add_argument("--iter", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", help="a file that gets the messages as well")
    parser.add_argument("--calc-output-rms", action="store_true")
    parser.add_argument("--fast-run", action="store_true", help="accepted for compatibility")
    parser.add_argument("--reproducible", action="store_true", help="accepted for compatibility")
    parser.add_argument("--optimize-for-inference", action="store_true")
    for name in _OPTIONS:
        parser.add_argument("--" + name.replace("_", "-"), action="store_true", dest=name)
    args = parser.parse_args()
    if args.log:
        set_log_file(args.log)
    if args.iter < 1 or args.warm_up < 0:
        parser.error("--iter is at least 1, --warm-up at least 0")
    outputs = load_graph(args.net).output_vars_list
    if args.output_name:
        outputs = cgtools.find_vars_by_name(outputs, args.output_name)
    graph = outputs[0].graph
    if args.optimize_for_inference or get_opt_kwargs(args):
        graph, _ = dump_tools.optimize(graph.extract(outputs, [v.name for v in outputs]), **get_opt_kwargs(args))
        outputs = [var for var, _ in graph.outputs]
    inputs = cgtools.get_dep_vars(outputs, "Host2DeviceCopy")
    run_model(args, graph, inputs, outputs, make_data_given_desc(args, inputs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
