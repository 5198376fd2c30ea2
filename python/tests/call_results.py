"""What a call gives, in a form that MegEngine's and Megalith's results can be compared in. Python 3.8, NumPy only.

Run with MegEngine to record: ``python call_results.py record CALLS.txt OUT.json``; one expression per line, or
statements with ``;`` and an expression at the end. In them ``T`` makes a Tensor, ``A(2, 3)`` one of that
shape that counts up, ``R(2, 3)`` one of real numbers, and ``I("core.ops")`` a module of the package.
"""

import importlib
import json
import sys

import numpy as np


def names(mge, F):
    """The names that calls use."""

    def A(*shape, dtype="float32"):
        return mge.Tensor(np.arange(int(np.prod(shape))).reshape(shape).astype(dtype))

    def R(*shape, dtype="float32", seed=0):
        values = np.sin(np.arange(int(np.prod(shape))) * 1.7 + 0.3 + seed) * 2
        return mge.Tensor(values.reshape(shape).astype(dtype))

    def submodule(name):
        return importlib.import_module(f"{mge.__name__}.{name}")

    return {
        "I": submodule,
        "T": mge.Tensor,
        "A": A,
        "R": R,
        "P": mge.Parameter,
        "F": F,
        "M": mge.module,
        "np": np,
        "mge": mge,
    }


def simple(r, Tensor):
    """A result as JSON."""
    if isinstance(r, Tensor):
        a = r.numpy()
        values = a.ravel()[:64].tolist()
        if a.dtype.kind == "f":
            values = [repr(v) if v != v or v in (float("inf"), float("-inf")) else float("%.6g" % v) for v in values]
        return {"shape": [int(n) for n in r.shape], "dtype": str(a.dtype), "values": values}
    if isinstance(r, (list, tuple)):
        return [simple(x, Tensor) for x in r]
    if isinstance(r, np.dtype):
        return str(r)
    return r if isinstance(r, (int, float, str, bool, type(None))) else repr(r)


def call(text, env, Tensor):
    """The result of a call, or the exception's type."""
    env = dict(env)
    try:
        if ";" in text:
            before, text = text.rsplit(";", 1)
            exec(before.strip(), env)
        return simple(eval(text.strip(), env), Tensor)
    except Exception as e:
        return {"error": type(e).__name__}


if __name__ == "__main__":
    import megengine
    import megengine.functional

    with open(sys.argv[2]) as f, open(sys.argv[3], "a") as out:
        for line in filter(None, map(str.strip, f)):
            r = call(line, names(megengine, megengine.functional), megengine.Tensor)
            out.write(json.dumps([line, r]) + "\n")
            out.flush()
