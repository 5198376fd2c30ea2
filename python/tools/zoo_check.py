"""Runs models of a checkout of MegEngine/Models under Megalith, and compares them with the real MegEngine's results.

    ORACLE=<python with megengine 1.13.0>
    $ORACLE python/tools/zoo_check.py record MODELS RESULTS              # weights, outputs, loss, gradients, a dump
    python -m megalith python/tools/zoo_check.py check MODELS RESULTS    # the same here; differences; both dumps run
    $ORACLE python/tools/zoo_check.py dumps MODELS RESULTS               # dumps of ours in the real MegEngine

MODELS is the checkout: nothing of it is kept here. Names after RESULTS choose models. A difference is relative to the largest
value; gradients are compared by the norm of all differences over the norm of all gradients.
"""

import argparse
import importlib
import pickle
import sys
from pathlib import Path

import numpy as np

# name: module and function, its arguments, shapes of inputs
MODELS = {
    "resnet18": ("official.vision.classification.resnet.model", "resnet18", {}, [(2, 3, 224, 224)]),
    "resnet50": ("official.vision.classification.resnet.model", "resnet50", {}, [(1, 3, 224, 224)]),
    "resnext50": ("official.vision.classification.resnet.model", "resnext50_32x4d", {}, [(1, 3, 224, 224)]),
    "shufflenet": ("official.vision.classification.shufflenet.model", "shufflenet_v2_x1_0", {}, [(2, 3, 224, 224)]),
    "simplebaseline": (
        "official.vision.keypoints.models.simplebaseline",
        "simplebaseline_res50",
        {},
        [(1, 3, 256, 192)],
    ),
    "mspn": ("official.vision.keypoints.models.mspn", "mspn_4stage", {}, [(1, 3, 256, 192)]),
}


def first(outputs):
    """The first Tensor of nested results."""
    while isinstance(outputs, (list, tuple, dict)):
        outputs = next(iter(outputs.values())) if isinstance(outputs, dict) else outputs[0]
    return outputs


def distance(a, b):
    """The largest difference, relative to the largest value."""
    if a.shape != b.shape:
        return float("inf")
    return float(np.abs(a.astype(np.float64) - b).max() / (np.abs(b).max() + 1e-30))


def run(name, folder, record):
    """Outputs, loss and gradients of a model with the recorded weights; writes its dump."""
    import megengine as mge
    from megengine.autodiff import GradManager
    from megengine.jit import trace

    module, function, arguments, shapes = MODELS[name]
    net = getattr(importlib.import_module(module), function)(**arguments)
    weights = folder / f"{name}.pkl"
    if record:
        mge.save(net.state_dict(), str(weights))
    net.load_state_dict(mge.load(str(weights)))
    random = np.random.RandomState(0)
    inputs = [random.randn(*shape).astype("float32") for shape in shapes]
    tensors = [mge.Tensor(x) for x in inputs]
    net.eval()
    output = first(net(*tensors)).numpy()
    traced = trace(lambda *args: first(net(*args)), symbolic=True, capture_as_const=True)
    traced(*tensors)
    who = "megengine" if record else "megalith"
    traced.dump(str(folder / f"{name}.{who}.mge"), arg_names=[f"x{i}" for i in range(len(inputs))])
    manager = GradManager().attach(net.parameters())
    with manager:
        loss = (first(net(*tensors)) ** 2).mean()
        manager.backward(loss)
    grads = {k: p.grad.numpy() for k, p in net.named_parameters() if p.grad is not None}
    return inputs, output, float(loss.numpy()), grads


def run_dump(path, inputs):
    """The first output of a dumped model."""
    from megengine.utils.comp_graph_tools import GraphInference

    graph = GraphInference(str(path))
    return next(iter(graph.run(inp_dict={f"x{i}": x for i, x in enumerate(inputs)}).values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["record", "check", "dumps"])
    parser.add_argument("models")
    parser.add_argument("results")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    sys.path.insert(0, args.models)
    folder = Path(args.results)
    folder.mkdir(parents=True, exist_ok=True)
    bad = 0
    for name in args.names or MODELS:
        recorded = folder / f"{name}.results"
        if args.action == "record":
            recorded.write_bytes(pickle.dumps(run(name, folder, True)))
            print(f"{name}: recorded")
            continue
        inputs, output, loss, grads = pickle.loads(recorded.read_bytes())
        if args.action == "check":
            _, ours, our_loss, our_grads = run(name, folder, False)
            apart = sum(((our_grads[k].astype(np.float64) - g) ** 2).sum() for k, g in grads.items())
            norm = sum((g.astype(np.float64) ** 2).sum() for g in grads.values())
            found = {"output": distance(ours, output), "loss": abs(our_loss - loss) / abs(loss),
                     "gradients": (apart / norm) ** 0.5}  # fmt: skip
            found["dump of MegEngine"] = distance(run_dump(folder / f"{name}.megengine.mge", inputs), output)
        else:
            found = {}
        found["dump of Megalith"] = distance(run_dump(folder / f"{name}.megalith.mge", inputs), output)
        wrong = any(v > (1e-3 if k == "gradients" else 1e-4) for k, v in found.items())
        bad += wrong
        print(f"{name}: {'WRONG' if wrong else 'ok'}: " + ", ".join(f"{k} {v:.1e}" for k, v in found.items()))
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
