"""Functions with arguments that make no sense raise one of Python's usual errors; nothing crashes."""

import inspect
import random

import numpy as np
import pytest
from megalith.functional import _conv, _norm, _rnn, loss, nn, quantized, vision

import megalith as mge

EXPECTED = (ValueError, TypeError, IndexError, NotImplementedError, MemoryError)
SHAPES = [(), (1,), (0,), (3,), (2, 3), (2, 3, 4), (1, 2, 5, 5), (2, 4, 4, 4), (1, 2, 3, 3, 3), (2, 1, 2, 2, 3, 3),
          (0, 3, 4, 4), (4, 4, 3, 3), (1, 4, 1, 1)]  # fmt: skip
VALUES = [None, 0, 1, -1, 2, 3, (1, 2), (0, 0), (-1, 2), "max", "abc", 1.5, float("nan"), float("inf"), [], True, (2, 2),
          [[1, 1]], ((1, 1), (2, -2)), 10**12, -(2**40), object(), np.ones(3)]  # fmt: skip
FUNCTIONS = sorted(
    {
        (m, n)
        for m in (nn, vision, loss, quantized, _conv, _norm, _rnn)
        for n in getattr(m, "__all__", ["conv_transpose2d"])
    },
    key=lambda mn: mn[1],
)


def value(rng):
    if rng.random() < 0.4:
        return rng.choice(VALUES)
    data = np.random.RandomState(rng.randrange(10000)).randn(*rng.choice(SHAPES)) * 3
    return mge.Tensor(data, dtype=rng.choice(["float32"] * 3 + ["int32", "float16", "uint8", "bool", "int8"]))


@pytest.mark.parametrize("module, name", FUNCTIONS, ids=[n for _, n in FUNCTIONS])
def test_no_crash(module, name):
    f, rng = getattr(module, name), random.Random(name)
    params = [p for p in inspect.signature(f).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = sum(p.default is p.empty for p in params)
    for _ in range(60):
        args = [value(rng) for _ in range(min(required + rng.randrange(4), len(params)))]
        try:
            f(*args)
        except EXPECTED as e:
            assert len(str(e).splitlines()) <= 3
        # anything else fails the test
