"""Switches of tracing."""

from .. import _core

_use_symbolic_shape = False
_use_xla_backend = False
_recorder = None  # what writes down the calls of a function that is traced
_state = None  # the Tensors of modules and optimizers that its later calls read anew


def use_symbolic_shape() -> bool:
    """Whether ``shape`` is a Tensor: in a function that is traced, and of graph variables after :func:`set_symbolic_shape`."""
    return _use_symbolic_shape


def set_symbolic_shape(option: bool) -> bool:
    """Sets whether ``shape`` is a Tensor; returns what was set before."""
    global _use_symbolic_shape
    before, _use_symbolic_shape = _use_symbolic_shape, bool(option)
    _core.set_symbolic_shape(_use_symbolic_shape)
    return before


def sizes(x) -> tuple:
    """The dimensions of ``x``: numbers, or scalar Tensors while shapes are recorded."""
    if not _use_symbolic_shape or x._scalar:
        return x._tuple_shape
    shape = _core.apply1(_core.Op("GetVarShape"), x)
    return tuple(shape[i] for i in range(x.ndim))


def use_xla_backend() -> bool:
    """Whether traced functions run on XLA: never here."""
    return _use_xla_backend


def set_use_xla_backend(option: bool) -> bool:
    """Only ``False`` can be set; returns what was set before."""
    if option:
        raise RuntimeError("there is no XLA backend")
    return False
