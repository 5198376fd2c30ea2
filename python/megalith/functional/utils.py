"""Checks inside of computations, and names that moved."""

from .. import _ops
from ..tensor import Tensor
from .elemwise import abs, maximum, minimum
from .metric import topk_accuracy
from .tensor import copy

__all__ = ["topk_accuracy"]


def _assert_equal(expect: Tensor, actual: Tensor, *, maxerr: float = 0.0001, verbose: bool = False):
    """Raises unless the largest error of ``actual``, relative to values above 1, is at most ``maxerr``."""
    error = (abs(expect - actual) / maximum(minimum(abs(expect), abs(actual)), 1.0)).max()
    return _ops.AssertEqual(expect, actual, error, maxerr=maxerr, verbose=verbose)
