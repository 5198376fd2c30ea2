"""Checks that a traced module computes what the original does."""

import numpy as np

from .. import _core
from .._errors import ArgumentError
from .pytree import tree_flatten


def _tensors(value):
    return [leaf for leaf in tree_flatten(value)[0] if isinstance(leaf, _core.TensorBase)]


def differing(found, wanted) -> str:
    """What differs between two nested results; empty if nothing does."""
    found, wanted = _tensors(found), _tensors(wanted)
    if len(found) != len(wanted):
        return f"{len(found)} tensors, not {len(wanted)}"
    for i, (a, b) in enumerate(zip(found, wanted)):
        if a._tuple_shape != b._tuple_shape or a._dtype != b._dtype:
            return f"tensor {i} has shape {a._tuple_shape} and type {a.dtype}, not {b._tuple_shape} and {b.dtype}"
        x, y = a._numpy(), b._numpy()
        same = np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        if not same and not (x.dtype.kind == "f" and np.allclose(x, y, rtol=1e-5, atol=1e-6, equal_nan=True)):
            return f"tensor {i} has other values"
    return ""


class TracedModuleChecker:
    """Compares what expressions give with what happened while the module was traced.

    Args:
        tracer: the active tracer.
    """

    def __init__(self, tracer):
        self._tracer = tracer

    def check_expr(self, expr, inputs, gt_outputs):
        """Runs an expression on copies of its inputs.

        Raises:
            ValueError: it gives something else than ``gt_outputs``.
        """
        what = differing(list(expr.interpret(*inputs)), list(gt_outputs))
        if what:
            raise ArgumentError(f"traced module: {expr} gives {what}")

    def check_net_outputs(self, tm_res, gt_res):
        """Compares the results of both modules.

        Raises:
            ValueError: they differ.
        """
        what = differing(tm_res, gt_res)
        if what:
            raise ArgumentError(
                f"trace_module: the traced module gives {what}; what the forward function does depends on more than its"
                " tensors (random numbers, attributes that it changes); disable_default_checker() skips this check"
            )
