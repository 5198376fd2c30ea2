"""Time of small eager calls from Python, in microseconds, for one library: megalith, megengine or torch.

    PYTHONPATH=python python bench/python_overhead.py megalith
    python bench/python_overhead.py torch       # in an environment that has it

Each number is the best of several rounds, so that other work on the machine disturbs little.
"""

import sys
import timeit

import numpy as np


def main(library):
    a4, m8 = np.ones(4, "float32"), np.ones((8, 8), "float32")
    if library == "torch":
        import torch

        torch.set_num_threads(1)
        make, F = torch.tensor, torch
        calls = {"x.sum()": "x.sum()", "reshape": "m.reshape(4, 16)", "matmul": "torch.matmul(m, m)", "exp": "torch.exp(x)",
                 "transpose": "m.permute(1, 0)"}  # fmt: skip
        names = {"torch": torch}
    else:
        mge = __import__(library)
        F = __import__(library + ".functional").functional
        make = mge.Tensor
        calls = {"x.sum()": "x.sum()", "reshape": "m.reshape(4, 16)", "matmul": "F.matmul(m, m)", "exp": "F.exp(x)",
                 "transpose": "m.transpose(1, 0)"}  # fmt: skip
        names = {}
    names.update(x=make(a4), y=make(a4), m=make(m8), F=F)
    calls = {"x + y": "x + y", "x + 1.0": "x + 1.0", "-x": "-x", "x < y": "x < y", "x[0]": "x[0]", "x[1:3]": "x[1:3]",
             "m[:, 2]": "m[:, 2]", "x.shape": "x.shape", **calls}  # fmt: skip
    for name, text in calls.items():
        best = min(timeit.repeat(text, globals=names, number=2000, repeat=25)) / 2000
        print(f"{library:10} {name:10} {best * 1e6:7.2f} us")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "megalith")
