"""Calls of traced modules that older releases of MegEngine saved are repaired when they are loaded."""

import inspect

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
import megalith.traced_module as tm
from megalith.traced_module.expr import CallFunction, CallMethod
from megalith.traced_module.pytree import tree_flatten
from megalith.traced_module.serialization import load_expr


class Calls(M.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def rewritten(function, inputs, name, args, kwargs, version=None):
    """A traced call, with the arguments that an older release wrote for it; ``...`` stands for the next input."""
    net = tm.trace_module(Calls(function), *inputs)
    (expr,) = [e for e in net.graph._exprs if isinstance(e, CallFunction)]
    nodes = iter(net.graph.inputs[1:])
    args, kwargs = [next(nodes) if a is ... else a for a in args], dict(kwargs)
    leaves, definition = tree_flatten((tuple(args), kwargs))
    expr.func = name
    expr.__dict__.pop("version", None)
    if version:
        expr.version = version
    expr._set_arguments(leaves, definition)
    load_expr(expr)
    return net, expr


def R(*shape):
    return mge.Tensor(np.sin(np.arange(int(np.prod(shape))) + 1).reshape(shape).astype("float32"))


TENSOR, NN = "megengine.functional.tensor", "megengine.functional.nn"
X, W, B = R(1, 2, 3, 3), R(2, 3, 2, 2), R(1, 3, 1, 1)
OLD_DECONV = (..., ..., ..., 2, 1, 1, 1, "cross_correlation", "default")
CALLS = {
    "zeros": (lambda x: F.zeros((2, 3), dtype="int32"), (X,), (TENSOR, "zeros"), ((2, 3), "int32"), {}, None),
    "ones of 1.7": (lambda x: F.ones((2,)), (X,), (TENSOR, "ones"), ((2,), "float32", None), {}, "1.7.0"),
    "full": (lambda x: F.full((2,), 3, dtype="int8"), (X,), (TENSOR, "full"), ((2,), 3, "int8"), {}, None),
    "arange": (lambda x: F.arange(1, 7, 2, dtype="int32"), (X,), (TENSOR, "arange"), (1, 7, 2, "int32", None), {}, None),
    "linspace": (lambda x: F.linspace(0, 1, 3), (X,), (TENSOR, "linspace"), (0, 1), {"num": 3}, None),
    "deconv": (lambda *a: F.conv_transpose2d(*a, 2, 1), (X, W, B), (NN, "conv_transpose2d"), OLD_DECONV, {}, None),
    "deconv of 1.8": (lambda *a: F.conv_transpose2d(*a, 2, 1), (X, W, B), (NN, "conv_transpose2d"), OLD_DECONV, {}, "1.8.0"),
    "topk": (lambda x: F.topk(x, 2, False), (R(3, 3),), ("megengine.functional.math", "topk"), (..., 2), {}, "1.12.0"),
    "pad": (lambda x: F.nn.pad(x, ((1, 1),)), (R(3),), (NN, "pad"), (...,), {"pad_witdth": ((1, 1),)}, None),
    "matmul": (lambda *a: F.matmul(*a), (R(2, 3), R(3, 2)), ("megengine.functional.math", "matmul"),
               (..., ..., False, False, "default", "default"), {}, "1.7.0"),
    "square": (lambda x: F.square(x).astype("float32"), (mge.Tensor([2, 3]),), ("megengine.functional.elemwise", "square"),
               (...,), {}, "1.11.1"),
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in CALLS if n != "square"])
def test_old_calls_are_repaired(name):
    function, inputs, called, args, kwargs, version = CALLS[name]
    net, expr = rewritten(function, inputs, called, args, kwargs, version)
    inspect.signature(expr.func).bind(*expr.args, **expr.kwargs)
    want, got = function(*inputs), net(*inputs)
    for w, g in zip(*[r if isinstance(r, (tuple, list)) else [r] for r in (want, got)]):
        assert w.dtype == g.dtype
        np.testing.assert_array_equal(w.numpy(), g.numpy())


def test_squares_of_integers_were_floats():
    _, inputs, called, args, kwargs, version = CALLS["square"]
    for version, dtype in [("1.11.1", "float32"), ("1.13.0", "int32")]:
        net, _ = rewritten(F.square, inputs, called, args, kwargs, version)
        assert net(*inputs).dtype == dtype


@pytest.mark.parametrize("kind, padding", [(M.Conv2d, "zeros"), (M.ConvBn2d, "zeros"), (M.BatchNorm2d, "")])
def test_modules_of_older_releases_get_what_they_lack(kind, padding):
    inner = kind(2) if kind is M.BatchNorm2d else kind(2, 2, 1)
    net = tm.trace_module(M.Sequential(inner), X)
    (expr,) = [e for e in net.graph._exprs if isinstance(e, CallMethod)]
    module = expr.inputs[0].owner
    holder = getattr(module, "conv", module)
    holder.__dict__.pop("padding_mode", None)
    getattr(module, "bn", module).param_dim = "dim_1c11"
    load_expr(expr)
    assert getattr(holder, "padding_mode", "") == padding
    assert hasattr(getattr(module, "bn", module), "param_dim") == (kind is M.Conv2d)
    net(X)
