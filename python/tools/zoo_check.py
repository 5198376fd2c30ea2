"""Runs models of a checkout of MegEngine/Models under Megalith, and compares them with the real MegEngine's results.

    ORACLE=<python with megengine 1.13.0>
    $ORACLE python/tools/zoo_check.py record MODELS RESULTS              # weights, outputs, loss, gradients, dumps
    python -m megalith python/tools/zoo_check.py check MODELS RESULTS    # the same here; differences; dumps run
    $ORACLE python/tools/zoo_check.py dumps MODELS RESULTS               # dumps of ours in the real MegEngine

MODELS is the checkout: nothing of it is kept here. Names after RESULTS choose models; --cases has those of another
project. A difference is the norm of all differences over the norm of all values. Where a last bit decides on which
side of its bend a ReLU is, gradients jump (up to 5 % pass): "smooth" are those with SiLU and mean pooling instead.
"own" is what the real MegEngine's values change by themselves when the input changes by one part in a million; a
difference above 1e-4 is held against three times that.
"""

import argparse
import contextlib
import importlib
import pickle
import sys
import traceback
from pathlib import Path

import numpy as np

FORMATS = {"FBS_V2": "v2", "FBS": "v1"}


def norm(arrays):
    return sum((np.asarray(x, "float64") ** 2).sum() for x in arrays) ** 0.5


def distance(a, b):
    """The norm of the differences over that of the values, of lists or dicts of arrays."""
    if isinstance(b, dict):
        if set(a) != set(b):
            return float("inf")
        a, b = [a[k] for k in b], list(b.values())
    if [x.shape for x in a] != [x.shape for x in b]:
        return float("inf")
    return float(norm([x.astype("float64") - y for x, y in zip(a, b)]) / (norm(b) + 1e-30))


@contextlib.contextmanager
def smooth():
    """No bends: SiLU for ReLU, the mean for the maximum of windows."""
    import megengine.functional as F
    import megengine.module as M

    kept = F.relu, M.ReLU.forward, M.MaxPool2d.forward
    F.relu = F.silu
    M.ReLU.forward = lambda self, x: F.silu(x)
    M.MaxPool2d.forward = lambda self, x: F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)
    try:
        yield
    finally:
        F.relu, M.ReLU.forward, M.MaxPool2d.forward = kept


def measure(case):
    """Outputs, loss, gradients of a training step, and the outputs after it."""
    import megengine as mge
    from megengine.autodiff import GradManager
    from megengine.module import Dropout
    from megengine.optimizer import SGD

    net, found = case.net, {}
    for m in net.modules():
        if isinstance(m, Dropout):
            m.drop_prob = 0.0

    def gradients():
        manager = GradManager().attach(net.parameters())
        with manager:
            loss = case.loss(net, *case.tensors())
            manager.backward(loss)
        parameters = [(k, p) for k, p in net.named_parameters() if not k.startswith(case.without)]
        grads = {k: p.grad.numpy() for k, p in parameters if p.grad is not None}
        for p in net.parameters():
            p.grad = None
        return loss, grads

    net.eval()
    found["output"] = case.in_order([x.numpy() for x in case.infer(net, *case.tensors())])
    if case.finish is not None:
        return found
    state = {k: v.copy() for k, v in net.state_dict().items()}
    net.train()
    optimizer = SGD(net.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    loss, found["gradients"] = gradients()
    found["loss"] = [np.reshape(loss.numpy(), ())]
    for k, p in net.named_parameters():
        if k in found["gradients"]:
            p.grad = mge.Tensor(found["gradients"][k])
    optimizer.step().clear_grad()
    found["step"] = {k: v.copy() for k, v in net.state_dict().items() if v.dtype == np.float32}
    net.load_state_dict(state, strict=False)
    if not case.quantized:
        with smooth():
            found["smooth"] = gradients()[1]
    net.load_state_dict(state, strict=False)
    return found


def dump(case, folder, name, who):
    """Writes both formats; says what could not be written."""
    from megengine.jit import trace

    case.net.eval()
    failed = {}
    for dump_format, short in FORMATS.items():
        path = folder / f"{name}.{who}.{short}.mge"
        path.unlink(missing_ok=True)
        try:
            traced = trace(lambda *args: case.infer(case.net, *args), capture_as_const=True)
            traced(*case.tensors())
            names = [f"x{i}" for i in range(len(case.inputs))]
            traced.dump(str(path), arg_names=names, optimize_for_inference=False, dump_format=dump_format)
        except Exception as e:
            path.unlink(missing_ok=True)
            failed[short] = f"{type(e).__name__}: {str(e).strip().splitlines()[-1] if str(e).strip() else ''}"[:200]
    return failed


def run_dump(path, case):
    from megengine.utils.comp_graph_tools import GraphInference

    graph = GraphInference(str(path))
    return case.in_order(list(graph.run(inp_dict={f"x{i}": x for i, x in enumerate(case.inputs)}).values()))


def record(name, folder, build):
    import megengine as mge

    mge.random.seed(0)
    case = build()
    if not case.quantized:
        case.settle()
    state = case.net.state_dict()
    mge.save(state, str(folder / f"{name}.pkl"))
    if case.finish is not None:
        case.finish(case.net)
    found = {"inputs": case.inputs, "measured": measure(case)}
    kept = case.inputs
    noise = np.random.RandomState(9)
    case.inputs = [
        x * (1 + noise.choice([-1e-6, 1e-6], x.shape)).astype(x.dtype) if x.dtype == np.float32 else x for x in kept
    ]
    again = measure(case)
    found["own"] = {k: distance(v, found["measured"][k]) for k, v in again.items()}
    case.inputs = kept
    found["undumped"] = dump(case, folder, name, "megengine")
    found["dumped"] = {}
    for short in FORMATS.values():  # 1.13.0 writes some operators wrongly: a reader gives what is in the file
        path = folder / f"{name}.megengine.{short}.mge"
        if path.exists():
            try:
                found["dumped"][short] = run_dump(path, case)
                found["own"][f"megengine's {short}"] = distance(found["dumped"][short], found["measured"]["output"])
            except RuntimeError as e:
                found["undumped"][short] = f"does not run: {str(e).splitlines()[0]}"
                path.unlink()
    (folder / f"{name}.results").write_bytes(pickle.dumps(found))
    print(f"{name}: recorded", {k: f"{v:.0e}" for k, v in found["own"].items()}, found["undumped"] or "")


def check(name, folder, build):
    import megengine as mge

    recorded = pickle.loads((folder / f"{name}.results").read_bytes())
    case = build()
    case.net.load_state_dict(mge.load(str(folder / f"{name}.pkl")), strict=False)
    if case.finish is not None:
        case.finish(case.net)
    case.inputs = recorded["inputs"]
    ours = measure(case)
    found = {k: distance(ours[k], v) for k, v in recorded["measured"].items()}
    failed = dump(case, folder, name, "megalith")
    found.update(dumps(folder, name, "megengine", recorded, case))
    found.update(dumps(folder, name, "megalith", recorded, case))
    return found, failed


def dumps(folder, name, who, recorded, case):
    """What the dumps of one side give here."""
    found = {}
    for short in FORMATS.values():
        path = folder / f"{name}.{who}.{short}.mge"
        if path.exists():
            expected = recorded["dumped"][short] if who == "megengine" else recorded["measured"]["output"]
            found[f"{who}'s {short}"] = distance(run_dump(path, case), expected)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["record", "check", "dumps"])
    parser.add_argument("models")
    parser.add_argument("results")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--cases", type=Path, help="a file as zoo_models.py, for another project")
    args = parser.parse_args()
    cases = args.cases or Path(__file__).parent / "zoo_models.py"
    sys.path[:0] = [args.models, str(Path(__file__).parent), str(cases.parent)]
    import megengine as mge

    models = importlib.import_module(cases.stem).MODELS

    # with either of them MegEngine 1.13.0 gives wrong anchors on CPUs: broadcast_to(y.reshape(-1, 1), shape).reshape(-1)
    # beside broadcast_to(x, shape).reshape(-1) has the values of the other at times
    mge.config.async_level, mge.config.disable_memory_forwarding = 0, True
    folder = Path(args.results)
    folder.mkdir(parents=True, exist_ok=True)
    bad = 0
    for name in args.names or models:
        failed = {}
        try:
            if args.action == "record":
                record(name, folder, models[name])
                continue
            recorded = pickle.loads((folder / f"{name}.results").read_bytes())
            if args.action == "check":
                found, failed = check(name, folder, models[name])
            else:
                case = models[name]()
                case.inputs = recorded["inputs"]
                found = dumps(folder, name, "megalith", recorded, case)
        except Exception:
            bad += 1
            print(f"{name}: FAILED\n{traceback.format_exc(limit=-6)}", flush=True)
            continue
        own = recorded["own"]
        limits = {k: max(1e-4, 3 * own["output" if "'s" in k else k]) for k in found}
        if "smooth" in found:
            limits["gradients"] = max(0.05, limits["gradients"])
        wrong = any(not v <= limits[k] for k, v in found.items()) or bool(failed)
        bad += wrong
        values = [f"{k} {v:.1e}" + (f" (own {own[k]:.0e})" if own.get(k, 0) > 1e-5 else "") for k, v in found.items()]
        print(f"{name}: {'WRONG' if wrong else 'ok'}: {', '.join(values)} {failed or ''}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
