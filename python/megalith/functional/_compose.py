"""What the functional modules are composed of: small calls of ops that take ints, lists and Tensors for shapes."""

import operator
from typing import Sequence

import numpy as np

from .. import _core, _ops
from .._errors import ArgumentError, ArgumentTypeError, require
from ..core.tensor import amp
from ..core.tensor.dtype import _QUANTIZED
from ..tensor import Tensor

MODES = _core.elemwise_modes
elemwise = _core.elemwise


def is_tensor(x) -> bool:
    """Whether ``x`` is a Tensor or a graph variable."""
    return isinstance(x, _core.TensorBase)


def of_array(x):
    """An ndarray as a Tensor; anything else stays."""
    return Tensor(x) if isinstance(x, np.ndarray) else x


def check_tensor(op: str, **tensors):
    """Raises a TypeError for arguments that are no Tensors."""
    for name, value in tensors.items():
        if not is_tensor(value):
            raise ArgumentTypeError(f"{op}: {name} is a {type(value).__name__}, expected a Tensor")


def shown(value) -> str:
    """A value for a message, on one line."""
    text = f"a Tensor of shape {tuple(value._tuple_shape)}" if is_tensor(value) else repr(value).replace("\n", " ")
    return text if len(text) <= 80 else text[:77] + "..."


def elwise(mode: str, *operands):
    """An elementwise op by name."""
    return elemwise(MODES[mode], *operands)


def int_vector(values) -> Tensor:
    """An int32 vector of an int, a sequence of ints and Tensors, or a Tensor.

    Raises:
        TypeError: something else.
        ValueError: a number is too large.
    """
    if is_tensor(values):
        out = values if values._dtype_id == 4 else _core.astype(values, 4)
        return out._with_scalar(False) if out._scalar else out
    if isinstance(values, (int, np.integer)):
        values = (values,)
    elif not isinstance(values, (list, tuple, range, np.ndarray)):
        raise ArgumentTypeError(f"{shown(values)} is neither an integer nor a list of integers")
    values = list(values)
    if any(is_tensor(v) for v in values):
        return _ops.Concat(*(int_vector(v) for v in values), axis=0)
    for v in values:
        if not isinstance(v, (int, np.integer)):
            raise ArgumentTypeError(f"{shown(values)} is no list of integers")
        if not -(2**31) <= v < 2**31:
            raise ArgumentError(f"{v} is too large for a size or an index")
    return Tensor(np.array(values, np.int32))


reshape = _core.reshape
broadcast_to = _core.broadcast
expand_dims = _core.expand_dims


def dimshuffle(x, pattern):
    """Axes in another order."""
    return _core.transpose(x, tuple(pattern))


def full(shape, value, dtype="float32"):
    """A tensor of one repeated value."""
    kind = type(value)  # numbers that are float32 whichever way they are rounded need no array
    if dtype == "float32" and (kind is float or (kind is int and -(2**24) <= value <= 2**24)):
        return _core.full(shape, value)
    return _core.full(shape, Tensor(value, dtype=dtype))


def concat(tensors, axis: int):
    """Joins tensors, converted to one element type, along an axis."""
    tensors = list(tensors)
    return tensors[0] if len(tensors) == 1 else _ops.Concat(*_core.convert_inputs(*tensors), axis=axis)


def squeeze(x, axis: int):
    """Without an axis of one element."""
    return _core.squeeze(x, axis)


def stack(tensors, axis: int = 0):
    """Joins tensors along a new axis."""
    return concat([expand_dims(t, axis) for t in tensors], axis)


def part(x, axis: int, begin: int, end: int):
    """``x[begin:end]`` along an axis."""
    return _ops.Subtensor(x, int_vector(begin), int_vector(end), items=[(axis, True, True, False, False)])


def at(x, axis: int, index: int):
    """``x[index]`` along an axis, which goes away."""
    return _ops.Subtensor(x, int_vector(index), items=[(axis, False, False, False, True)])


def take_rows(x, index):
    """Rows of ``x``; ``index`` is an int32 vector."""
    return _ops.IndexingMultiAxisVec(x, index, items=[(0, False, False, False, True)])


def reduce(x, mode: str, axis=None, keepdims: bool = False):
    """SUM, MEAN, MAX, ... over an axis, a list of axes, or all.

    Raises:
        ValueError: an axis is out of range.
    """
    if axis is None and keepdims:
        axis = list(range(x.ndim))
    return _core.reduce(mode.lower(), x, list(axis) if isinstance(axis, (tuple, list)) else axis, keepdims)


def normalize_axis(op: str, axis: int, ndim: int) -> int:
    """The axis counted from the front."""
    axis = _core.as_integer(axis)
    require(-ndim <= axis < ndim, f"{op}: axis {axis} is out of range for a tensor of {ndim} dimensions")
    return axis + ndim if axis < 0 else axis


def promote(*tensors):
    """Factors of one element type, in the low precision while autocast is on; quantized ones keep their scales."""
    if all(t._dtype_id in _QUANTIZED for t in tensors):
        return tensors
    if amp._enabled and tensors[0]._dtype_id in (0, 9, 17):
        return [amp.low(t) for t in tensors]
    return _core.convert_inputs(*tensors)


def integer(op: str, name: str, value, low: int) -> int:
    """An integer of at least ``low`` of what has one: an int, NumPy's, a Tensor of one."""
    try:
        value = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{op}: {name} is {shown(value)}, expected an integer") from None
    require(value >= low, f"{op}: {name} is {value}, expected an integer of at least {low}")
    return value


def pair(value, op: str = "", name: str = "value", low: int = 0) -> tuple:
    """Two ints of an int or a sequence of two."""
    return _tuple(value, 2, op, name, low)


def triple(value, op: str = "", name: str = "value", low: int = 0) -> tuple:
    """Three ints of an int or a sequence of three."""
    return _tuple(value, 3, op, name, low)


def _tuple(value, n, op, name, low):
    if isinstance(value, (int, np.integer)):
        value = (int(value),) * n
    elif isinstance(value, Sequence) or (is_tensor(value) and not value._scalar) or isinstance(value, np.ndarray):
        if len(value) != n:
            raise ArgumentError(f"{op}: {name} has {len(value)} numbers, expected {n}")
        try:
            value = tuple(int(v) for v in value)
        except (TypeError, ValueError, OverflowError):
            raise ArgumentTypeError(f"{op}: {name} is {shown(value)}, expected integers") from None
    else:
        try:
            value = (int(value),) * n
        except (TypeError, ValueError, OverflowError):
            raise ArgumentTypeError(f"{op}: {name} is {shown(value)}, expected an int or {n} of them") from None
    if min(value) < low:
        raise ArgumentError(f"{op}: {name} is {value}, expected numbers of at least {low}")
    return value
