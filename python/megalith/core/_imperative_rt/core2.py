"""Eager calls by MegEngine's native names."""

import weakref

from ... import _core
from .._options import get_option, set_option
from ..tensor.amp import (
    _get_amp_dtype_autocast,
    _get_amp_high_prec_dtype,
    _get_amp_low_prec_dtype,
    _set_amp_dtype_autocast,
    _set_amp_high_prec_dtype,
    _set_amp_low_prec_dtype,
)
from ..tensor.utils import make_shape_tuple

Tensor = _core.TensorBase


class AsyncError(RuntimeError):
    """An error of a call that failed after it returned; calls here fail at once."""


class TensorWeakRef:
    """A reference that does not keep a Tensor alive."""

    def __init__(self, tensor):
        self._ref = weakref.ref(tensor)

    def __call__(self):
        return self._ref()


def apply(op, *args) -> list:
    """Calls an op on Tensors or graph variables.

    Args:
        op: an object of a class in ``megengine.core.ops.builtin``.
        args: its inputs.

    Returns:
        Its results, a list.
    """
    from ..ops._opdef import OpDef

    if not isinstance(op, (OpDef, _core.Op)):
        raise TypeError(f"apply takes an op, not {type(op).__name__}")
    for arg in args:
        if not isinstance(arg, _core.TensorBase):
            raise TypeError(f"apply of {type(op).__name__}: inputs are Tensors, not {type(arg).__name__}")
    results = _core.apply(op.to_native() if isinstance(op, OpDef) else op, *args)
    if type(op).__name__ in ("Elemwise", "TypeCvt", "Identity") and args and all(a._scalar for a in args):
        for out in results:  # stored with shape (1,), seen as ()
            out._scalar = True
    return results


def sync():
    """Waits for calls that are under way: there are none."""


full_sync = _full_sync = sync
