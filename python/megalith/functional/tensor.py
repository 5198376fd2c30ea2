"""Making, joining, cutting and rearranging Tensors."""

import math
from typing import Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np

from .. import _core, _ops
from .._errors import ArgumentError, ArgumentTypeError
from ..core._trace_option import sizes
from ..core.tensor.dtype import to_native
from ..core.tensor.utils import dtype_promotion
from ..device import CompNode, as_device
from ..tensor import Tensor
from . import _compose

__all__ = ["arange", "broadcast_to", "concat", "cond_take", "copy", "cumsum", "diag", "expand_dims", "eye",
           "flatten", "full", "full_like", "gather", "linspace", "meshgrid", "ones", "ones_like", "repeat",
           "reshape", "roll", "scatter", "split", "squeeze", "stack", "swapaxes", "tile", "transpose", "where",
           "zeros", "zeros_like"]  # fmt: skip

_FLOAT = to_native("float32")
_M = _core.elemwise_modes


def _one_of(x):
    """``x`` as a Tensor."""
    return x if isinstance(x, _core.TensorBase) else Tensor(x)


def _on(out, device):
    if device is not None:
        out._device = as_device(device)
    return out


def _float_scalar(x):
    return _core.astype(_one_of(x), _FLOAT)


def arange(
    start: Union[int, float] = 0,
    stop: Optional[Union[int, float]] = None,
    step: Union[int, float] = 1,
    *,
    dtype="float32",
    device=None,
) -> Tensor:
    """Numbers from ``start`` up to, not including, ``stop``.

    Args:
        start: first number; with one argument, ``stop``.
        stop: end.
        step: distance.
        dtype: element type.
        device: device of the result.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.arange(1, 6, 2)
        Tensor([1. 3. 5.], device=xpux:0)
    """
    if stop is None:
        start, stop = 0, start
    if any(isinstance(x, _core.TensorBase) for x in (start, stop, step)):
        start, stop, step = _float_scalar(start), _float_scalar(stop), _float_scalar(step)
        num = _core.elemwise(_M["CEIL"], (stop - start) / step)
        last = start + step * (num - 1)
    else:
        start, stop, step = np.float32(start), np.float32(stop), np.float32(step)
        with np.errstate(all="ignore"):
            num = np.ceil((stop - start) / step)
            last = start + step * (num - np.float32(1))
        if not 0 <= num < 2**31:
            raise _core.OpError(f"arange: no range from {start:g} to {stop:g} in steps of {step:g}")
        num = int(num)
    return linspace(start, last, num, dtype=dtype, device=device)


def linspace(
    start: Union[int, float],
    stop: Union[int, float],
    num: int,
    *,
    dtype="float32",
    device: Optional[CompNode] = None,
) -> Tensor:
    """``num`` numbers at equal distances from ``start`` to ``stop``, both included.

    Args:
        start: first number.
        stop: last number.
        num: how many.
        dtype: element type.
        device: device of the result.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.linspace(0, 1, 5)
        Tensor([0.   0.25 0.5  0.75 1.  ], device=xpux:0)
    """
    num = num if isinstance(num, _core.TensorBase) else Tensor(_core.as_integer(num), dtype="int32")
    out = _ops.Linspace(_float_scalar(start), _float_scalar(stop), _core.astype(num, to_native("int32")))
    return _on(out if dtype == "float32" else out.astype(dtype), device)


def eye(N: int, M: int = None, *, dtype="float32", device=None) -> Tensor:
    """A matrix with ones on its diagonal and zeros elsewhere.

    Args:
        N: rows, or both sizes.
        M: columns, by default as many as rows.
        dtype: element type.
        device: device of the result.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.eye(2, 3)
        Tensor([[1. 0. 0.]
         [0. 1. 0.]], device=xpux:0)
    """
    if M is not None:
        shape = _core.as_shape((N, M))
    elif isinstance(N, _core.TensorBase):
        shape = N
    elif isinstance(N, (list, tuple)):
        shape = _core.as_shape(N)
    else:
        shape = Tensor(_core.as_integer(N), dtype="int32")
    return _on(_ops.Eye(shape, k=0, dtype=to_native(dtype)), device)


def diag(inp, k: int = 0) -> Tensor:
    """The ``k``-th diagonal of a matrix, or the matrix with a vector on its ``k``-th diagonal.

    Args:
        inp: shape (n,) or (m, n).
        k: 0 for the main diagonal, positive ones are above it.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.diag(mge.Tensor([1, 2]))
        Tensor([[1 0]
         [0 2]], dtype=int32, device=xpux:0)
    """
    return _ops.Diag(inp, k=k)


def full(shape: Union[int, Tuple[int, ...]], value: Union[bool, int, float], *, dtype=None, device=None) -> Tensor:
    """A Tensor of one value.

    Args:
        shape: sizes; they may be Tensors.
        value: the value.
        dtype: element type, by default that of ``value``.
        device: device of the result.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.full((2, 2), 1.5)
        Tensor([[1.5 1.5]
         [1.5 1.5]], device=xpux:0)
    """
    return _on(_compose.full(shape, value, dtype), device)


def ones(shape: Union[int, Tuple[int, ...]], *, dtype="float32", device: Optional[CompNode] = None) -> Tensor:
    """A Tensor of ones. See :func:`full`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.ones(2)
        Tensor([1. 1.], device=xpux:0)
    """
    return _on(_compose.full(shape, 1, dtype), device)


def zeros(shape: Union[int, Tuple[int, ...]], *, dtype="float32", device: Optional[CompNode] = None) -> Tensor:
    """A Tensor of zeros. See :func:`full`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.zeros(2)
        Tensor([0. 0.], device=xpux:0)
    """
    return _on(_compose.full(shape, 0, dtype), device)


def zeros_like(inp: Tensor) -> Tensor:
    """Zeros of the shape and type of ``inp``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.zeros_like(mge.Tensor([1, 2]))
        Tensor([0 0], dtype=int32, device=xpux:0)
    """
    return full_like(inp, 0.0)


def ones_like(inp: Tensor) -> Tensor:
    """Ones of the shape and type of ``inp``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.ones_like(mge.Tensor([3, 2]))
        Tensor([1 1], dtype=int32, device=xpux:0)
    """
    return full_like(inp, 1.0)


def full_like(inp: Tensor, value: Union[int, float]) -> Tensor:
    """``value`` in the shape and type of ``inp``; a scalar gives one axis, as in MegEngine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.full_like(mge.Tensor([3, 2]), 7)
        Tensor([7 7], dtype=int32, device=xpux:0)
    """
    return _core.full_like(inp, value)


def broadcast_to(inp: Tensor, shape: Union[int, Iterable[int]]) -> Tensor:
    """``inp`` repeated to a shape.

    Args:
        inp: input; axes of size 1 and missing leading axes are repeated.
        shape: sizes; ``None`` keeps the size of that axis.

    Raises:
        OpError: a size does not fit.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.broadcast_to(mge.Tensor([1, 2]), (2, 2))
        Tensor([[1 2]
         [1 2]], dtype=int32, device=xpux:0)
    """
    return _core.broadcast(inp, shape)


def concat(inps: Iterable[Tensor], axis: int = 0, device=None) -> Tensor:
    """Tensors one after another along an axis.

    Args:
        inps: tensors whose other axes agree; their types are promoted. Beside a Tensor, numbers and lists of numbers
            take its type, as older MegEngines had it.
        axis: the axis.
        device: device of the result.

    Raises:
        TypeError: no tensors.
        OpError: shapes that do not fit.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.concat([mge.Tensor([1, 2]), mge.Tensor([3])])
        Tensor([1 2 3], dtype=int32, device=xpux:0)
    """
    inps = list(inps)
    if len(inps) == 1:
        return copy(inps[0], device)
    try:
        out = _core.concat(inps, axis)
    except TypeError:
        like = next((x for x in inps if isinstance(x, _core.TensorBase)), None)
        if like is None or not any(isinstance(x, (int, float, list, tuple)) for x in inps):
            raise
        out = _core.concat([_beside(like, x) for x in inps], axis)
    return out if device is None else _on(out, device)


def _beside(like, x):
    """Numbers as a Tensor of the type and on the device of another."""
    if not isinstance(x, (int, float, list, tuple)):
        return x
    if isinstance(like, Tensor):
        return Tensor(x, dtype=like.dtype, device=like.device)
    return _core.convert_inputs(like, x)[1]


def _tensors(what, inps):
    if not inps:
        raise ArgumentTypeError(f"{what}: needs at least one Tensor")
    for x in inps:
        if not isinstance(x, _core.TensorBase):
            raise ArgumentTypeError(f"{what}: expected Tensors, got {type(x).__name__}")
    return _core.convert_inputs(*inps)


def stack(inps, axis=0, device=None):
    """Tensors side by side along a new axis.

    Args:
        inps: tensors of one shape.
        axis: where the new axis stands in the result.
        device: device of the result.

    Raises:
        OpError: shapes that differ.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.stack([mge.Tensor([1, 2]), mge.Tensor([3, 4])])
        Tensor([[1 2]
         [3 4]], dtype=int32, device=xpux:0)
    """
    inps = list(inps)
    if len(inps) == 1:
        out = expand_dims(inps[0], axis)
        return out if device is None else copy(out, device)
    rows = [x._with_scalar(False) if x._scalar else x for x in _tensors("stack", inps)]
    shapes = {x._tuple_shape for x in rows}
    if len(shapes) > 1:
        raise _core.OpError(f"stack: shapes differ: {', '.join(map(str, sorted(shapes)))}")
    return _on(_ops.Concat(*(expand_dims(x, axis) for x in rows), axis=axis), device)


def split(inp, nsplits_or_sections, axis=0):
    """Parts of a Tensor along an axis.

    Args:
        inp: input.
        nsplits_or_sections: a number of parts, the first ones larger if they can't be equal; or the ascending positions
            where a new part begins.
        axis: the axis.

    Returns:
        A tuple of Tensors.

    Raises:
        ValueError: more parts than elements, or positions that do not ascend.
        IndexError: ``axis`` is out of range.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.split(mge.Tensor([1, 2, 3]), 2)
        (Tensor([1 2], dtype=int32, device=xpux:0), Tensor([3], dtype=int32, device=xpux:0))
    """
    ndim = inp.ndim
    if not -ndim <= axis < ndim:
        raise IndexError(f"split: axis {axis} is out of range for {ndim} dimensions")
    axis %= ndim
    total = inp._tuple_shape[axis]
    if isinstance(nsplits_or_sections, (Sequence, np.ndarray)) and not isinstance(nsplits_or_sections, str):
        at = [0, *(_core.as_integer(i) for i in nsplits_or_sections), total]
        if any(a > b for a, b in zip(at, at[1:])):
            raise ArgumentError(f"split: the positions {at[1:-1]} do not ascend up to {total}")
        sizes = [b - a for a, b in zip(at, at[1:])]
    else:
        n = _core.as_integer(nsplits_or_sections)
        if not 0 < n <= total:
            raise ArgumentError(f"split: size {total} of axis {axis} can't be split into {n} parts")
        sizes = [total // n + (i < total % n) for i in range(n)]
    if len(sizes) == 1:
        return (copy(inp),)
    return tuple(_ops.Split(inp, *map(_size, sizes), axis=axis))


def _size(n):
    return _core.as_shape((n,))


def _index_of(index, axis):
    """For every axis the index that a walk over ``index`` uses."""
    shape = sizes(index)
    ndim = len(shape)
    parts = []
    for i, n in enumerate(shape):
        if i == axis % ndim:
            parts.append(index)
            continue
        row = arange(n, dtype="int32") if isinstance(n, _core.TensorBase) else Tensor(np.arange(n, dtype=np.int32))
        parts.append(_core.reshape(row, [n if k == i else 1 for k in range(ndim)]))
    return tuple(parts)


def gather(inp: Tensor, axis: int, index: Tensor) -> Tensor:
    """``out[i][j] = inp[index[i][j]][j]`` for axis 0, and so on for other axes and ranks.

    Args:
        inp: input.
        axis: the axis that ``index`` walks.
        index: int32, as many dimensions as ``inp``.

    Raises:
        ValueError: the ranks differ.
        IndexError: an index is out of range.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.gather(mge.Tensor([[1, 2], [3, 4]]), 1, mge.Tensor([[0], [1]]))
        Tensor([[1]
         [4]], dtype=int32, device=xpux:0)
    """
    ndim = inp.ndim
    if ndim != index.ndim:
        raise ArgumentError(f"gather: the index has {index.ndim} dimensions, the input {ndim}")
    if not -ndim <= axis < ndim:
        raise _core.IndexingError(f"gather: axis {axis} is out of range for {ndim} dimensions")
    return inp[_index_of(index, axis)]


def scatter(inp: Tensor, axis: int, index: Tensor, source: Tensor) -> Tensor:
    """Writes ``inp[index[i][j]][j] = source[i][j]`` for axis 0, and so on; returns ``inp``, which is changed.

    Args:
        inp: what is written to.
        axis: the axis that ``index`` walks.
        index: int32, of the shape of ``source``.
        source: values; no axis is longer than that of ``inp``.

    Raises:
        ValueError: shapes do not fit.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.scatter(mge.Tensor([[1, 2], [3, 4]]), 1, mge.Tensor([[0], [1]]), mge.Tensor([[9], [8]]))
        Tensor([[9 2]
         [3 8]], dtype=int32, device=xpux:0)
    """
    shape, index_shape, source_shape = inp._tuple_shape, index._tuple_shape, source._tuple_shape
    if not len(shape) == len(index_shape) == len(source_shape):
        raise ArgumentError(f"scatter: input {shape}, index {index_shape} and source {source_shape} need one rank")
    if not -len(shape) <= axis < len(shape):
        raise _core.IndexingError(f"scatter: axis {axis} is out of range for shape {shape}")
    if index_shape != source_shape:
        raise ArgumentError(f"scatter: the index has shape {index_shape}, the source {source_shape}")
    if any(s > n for s, n in zip(source_shape, shape)):
        raise ArgumentError(f"scatter: a source of shape {source_shape} does not fit into {shape}")
    inp[_index_of(index, axis)] = source
    return inp


def where(mask: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """``x`` where ``mask`` is set, ``y`` elsewhere.

    Args:
        mask: bools.
        x: values; broadcast with ``mask`` and ``y``.
        y: values.

    Raises:
        TypeError: an argument is no Tensor.
        ValueError: ``mask`` is not bool.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.where(mge.Tensor([True, False]), mge.Tensor([1.0, 2.0]), mge.Tensor([3.0, 4.0]))
        Tensor([1. 4.], device=xpux:0)
    """
    for name, value in (("x", x), ("y", y), ("mask", mask)):
        if not isinstance(value, _core.TensorBase):
            raise ArgumentTypeError(f"where: {name} must be a Tensor, not {type(value).__name__}")
    if mask.dtype != np.bool_:
        raise ArgumentError(f"where: the mask must be bool, not {mask.dtype}")
    if x._dtype_id != y._dtype_id:
        dtype = dtype_promotion(x, y)
        x, y = x.astype(dtype), y.astype(dtype)
    dtype = x.dtype
    if dtype == np.bool_:
        return (mask & x) | (~mask & y)
    chosen = mask.astype(dtype)
    gate = _M["SWITCH_GT0"]
    return _core.elemwise(gate, chosen, x) + _core.elemwise(gate, 1 - chosen, y)


def cond_take(mask: Tensor, x: Tensor) -> Tensor:
    """The values where ``mask`` is set, and their positions in the flattened ``x``.

    Args:
        mask: bools, of the shape of ``x``.
        x: values.

    Raises:
        TypeError: an argument is no Tensor.
        ValueError: ``mask`` is not bool.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.cond_take(mge.Tensor([False, True]), mge.Tensor([5.0, 6.0]))
        (Tensor([6.], device=xpux:0), Tensor([1], dtype=int32, device=xpux:0))
    """
    for name, value in (("x", x), ("mask", mask)):
        if not isinstance(value, _core.TensorBase):
            raise ArgumentTypeError(f"cond_take: {name} must be a Tensor, not {type(value).__name__}")
    if mask.dtype != np.bool_:
        raise ArgumentError(f"cond_take: the mask must be bool, not {mask.dtype}")
    return tuple(_ops.CondTake(x, mask, mode="EQ", val=1))


def transpose(inp: Tensor, pattern: Iterable[int]) -> Tensor:
    """Axes in another order.

    Args:
        inp: input.
        pattern: for each axis of the result the axis of ``inp``; ``'x'`` adds an axis of size 1. Axes of size 1 may be
            left out.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.transpose(mge.Tensor([[1, 2], [3, 4]]), (1, 0))
        Tensor([[1 3]
         [2 4]], dtype=int32, device=xpux:0)
    """
    return _core.transpose(inp, pattern)


def swapaxes(inp: Tensor, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.swapaxes(mge.Tensor([[1, 2], [3, 4]]), 0, 1)
        Tensor([[1 3]
         [2 4]], dtype=int32, device=xpux:0)
    """
    pattern = list(range(inp.ndim))
    for axis in (axis1, axis2):
        if not -inp.ndim <= axis < inp.ndim:
            raise IndexError(f"swapaxes: axis {axis} is out of range for shape {inp.shape}")
    pattern[axis1], pattern[axis2] = pattern[axis2], pattern[axis1]
    return _core.transpose(inp, pattern)


def reshape(inp: Tensor, target_shape: Iterable[int]) -> Tensor:
    """The same elements in another shape.

    Args:
        inp: input.
        target_shape: sizes, which may be Tensors; one may be -1 and is what is left.

    Raises:
        OpError: the number of elements differs.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.reshape(mge.Tensor([1, 2, 3, 4]), (2, -1))
        Tensor([[1 2]
         [3 4]], dtype=int32, device=xpux:0)
    """
    return _core.reshape(inp, target_shape)


def flatten(inp: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from ``start_axis`` to ``end_axis``, both included, as one.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.flatten(mge.Tensor([[1, 2], [3, 4]]))
        Tensor([1 2 3 4], dtype=int32, device=xpux:0)
    """
    return inp.flatten(start_axis, end_axis)


def expand_dims(inp: Tensor, axis: Union[int, Sequence[int]]) -> Tensor:
    """Adds axes of size 1.

    Args:
        inp: input.
        axis: where they stand in the result.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.expand_dims(mge.Tensor([1, 2]), 0)
        Tensor([[1 2]], dtype=int32, device=xpux:0)
    """
    return _core.expand_dims(inp, axis)


def squeeze(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None) -> Tensor:
    """Removes axes of size 1: those given, or all.

    Raises:
        OpError: an axis is not of size 1.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.squeeze(mge.Tensor([[1, 2]]))
        Tensor([1 2], dtype=int32, device=xpux:0)
    """
    return _core.squeeze(inp, axis)


def repeat(inp: Tensor, repeats: int, axis: Optional[int] = None):
    """Every element several times in a row.

    Args:
        inp: input.
        repeats: how often, at least once.
        axis: along which axis; by default the input is flattened.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.repeat(mge.Tensor([1, 2]), 2)
        Tensor([1 1 2 2], dtype=int32, device=xpux:0)
    """
    if axis is None:
        inp, axis = inp.reshape(-1), 0
    shape = list(sizes(inp))
    axis = _core.as_integer(axis)
    if not 0 <= axis < len(shape):
        raise _core.ArgumentError(f"repeat: axis {axis} is out of range for shape {inp._tuple_shape}")
    n = _core.as_integer(repeats)
    if n < 1:
        raise _core.ArgumentError(f"repeat: repeats is {n}, not at least 1")
    head, tail = shape[: axis + 1], shape[axis + 1 :]
    wide = _core.expand_dims(inp, axis + 1)
    if n > 1:  # MegEngine loads no Broadcast that changes nothing
        wide = _core.broadcast(wide, head + [n] + tail)
    return _core.reshape(wide, shape[:axis] + [shape[axis] * n] + tail)


def tile(inp: Tensor, reps: Iterable[int]):
    """The whole input several times along each axis.

    Args:
        inp: input.
        reps: how often per axis; with more entries than axes, axes are added in front.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.tile(mge.Tensor([[1, 2]]), (2, 2))
        Tensor([[1 2 1 2]
         [1 2 1 2]], dtype=int32, device=xpux:0)
    """
    shape = list(sizes(inp))
    try:
        reps = [_core.as_integer(r) for r in reps]
    except TypeError:
        raise ArgumentTypeError(f"tile: repetitions are {reps!r}, expected an integer for each axis") from None
    extra = len(reps) - len(shape)
    if extra < 0:
        raise _core.ArgumentError(f"tile: {len(reps)} repetitions for {len(shape)} dimensions")
    if any(r < 0 for r in reps):
        raise ArgumentError(f"tile: repetitions {reps} can't be negative")
    for axis, r in enumerate(reps[extra:]):
        if r != 1:
            wide = _core.broadcast(_core.expand_dims(inp, axis), shape[:axis] + [r] + shape[axis:])
            shape[axis] = shape[axis] * r
            inp = _core.reshape(wide, shape)
    if extra:
        inp = _core.broadcast(inp, reps[:extra] + shape)
    return inp


def copy(inp, device=None):
    """The same values in another Tensor; a scalar gives one axis, as in MegEngine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.copy(mge.Tensor([1, 2]))
        Tensor([1 2], dtype=int32, device=xpux:0)
    """
    return _on(_ops.Identity(inp), device)


def roll(inp: Tensor, shift: Union[int, Iterable[int]], axis: Optional[Union[int, Iterable[int]]] = None):
    """Elements moved along axes; those pushed out come in on the other side.

    Args:
        inp: input.
        shift: how far, per axis.
        axis: axis or axes; by default the input is flattened and gets its shape back.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.roll(mge.Tensor([1, 2, 3]), 1)
        Tensor([3 1 2], dtype=int32, device=xpux:0)
    """
    shape = inp._tuple_shape
    if axis is None:
        return roll(inp.flatten(), shift, 0).reshape(sizes(inp))
    shifts = list(shift) if isinstance(shift, Iterable) else [shift]
    axes = list(axis) if isinstance(axis, Iterable) else [axis]
    if len(shifts) != len(axes):
        raise _core.ArgumentError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    ndim = len(shape)
    for s, a in zip(map(_core.as_integer, shifts), map(_core.as_integer, axes)):
        if not -ndim <= a < ndim:
            raise _core.ArgumentError(f"roll: axis {a} is out of range for {ndim} dimensions")
        a %= ndim
        s = int(math.fmod(s, shape[a])) if shape[a] else 0
        if s:
            before = (slice(None),) * a
            inp = concat([inp[(*before, slice(-s, None))], inp[(*before, slice(None, -s))]], a)
    return inp


def cumsum(inp: Tensor, axis: int):
    """Sums of all elements up to each one.

    Args:
        inp: input.
        axis: along which axis.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.cumsum(mge.Tensor([1.0, 2.0, 3.0]), 0)
        Tensor([1. 3. 6.], device=xpux:0)
    """
    return _ops.Cumsum(inp, axis=axis, exclusive=False, reverse=False)


def meshgrid(*inputs: Tensor, indexing: str = "xy") -> List[Tensor]:
    """The coordinates of a grid.

    Args:
        inputs: the coordinates along each axis, vectors.
        indexing: ``xy`` puts the second vector on the first axis of the results, ``ij`` the first one.

    Returns:
        One Tensor per vector.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.meshgrid(mge.Tensor([1, 2]), mge.Tensor([3, 4]))[0]
        Tensor([[1 2]
         [1 2]], dtype=int32, device=xpux:0)
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    for x in inputs:
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(f"meshgrid: a coordinate is a {type(x).__name__}, not a Tensor")
    inputs = [_core.reshape(x, (1,)) if x.ndim == 0 else x for x in inputs]
    for x in inputs:
        if x.ndim > 1:
            raise _core.OpError(f"meshgrid: coordinates are vectors, not {x.ndim}-dimensional")
    n = len(inputs)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[:2] = 1, 0
    shape = [sizes(inputs[i])[0] for i in order]
    return tuple(
        _core.broadcast(_core.reshape(x, [-1 if order[k] == i else 1 for k in range(n)]), shape)
        for i, x in enumerate(inputs)
    )
