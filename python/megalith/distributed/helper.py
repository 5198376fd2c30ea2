"""What training scripts use around collective operations."""

import functools
from typing import Callable

import numpy as np

from .. import _core
from .._errors import require
from ..device import get_device_count
from ..tensor import Tensor
from .functional import all_reduce_sum, broadcast
from .group import WORLD, Group, group_barrier

apply = _core.apply


def param_pack_split(inp: Tensor, offsets: list, shapes: list):
    """Tensors of several shapes out of one flat tensor.

    Args:
        inp: a flat tensor.
        offsets: begin and end of each part in turn.
        shapes: a shape for each part.

    Examples:
        >>> import megalith as mge, numpy as np
        >>> from megalith.distributed.helper import param_pack_split
        >>> a, b = param_pack_split(mge.Tensor(np.arange(5)), [0, 1, 1, 5], [(1,), (2, 2)])
        >>> b.tolist()
        [[1, 2], [3, 4]]
    """
    require(len(offsets) == 2 * len(shapes), f"param_pack_split: {len(offsets)} offsets for {len(shapes)} shapes")
    return [inp[int(b) : int(e)].reshape(s) for b, e, s in zip(offsets[::2], offsets[1::2], shapes)]


def param_pack_concat(inps: list, offsets: Tensor, offsets_val: list):
    """One flat tensor of several ones, each at its place.

    Args:
        inps: the tensors.
        offsets: not used; the same numbers as a tensor.
        offsets_val: begin and end of each part in turn, without gaps.
    """
    from ..functional import concat

    require(len(offsets_val) == 2 * len(inps), f"param_pack_concat: {len(offsets_val)} offsets for {len(inps)} tensors")
    return concat([x.flatten() for x in inps])


def get_offsets(shapes):
    """Begin and end of each shape's elements in a flat tensor."""
    ends = np.cumsum([int(np.prod(s)) for s in shapes]).tolist()
    return [n for pair in zip([0] + ends, ends) for n in pair]


def pack_allreduce_split(pack_list, shapes, group, reduce_method):
    """Reduces several tensors in one go."""
    offsets = get_offsets(shapes)
    packed = all_reduce_sum(param_pack_concat(pack_list, None, offsets), group)
    if reduce_method == "mean":
        packed = packed / group.size
    return param_pack_split(packed, offsets, shapes)


class TensorFuture:
    """A tensor that is not there yet."""

    def __init__(self, ack=True):
        self.ack, self.value = ack, None

    def set(self, value):
        """Brings the value."""
        self.value = value

    def get(self):
        """Takes the value."""
        return self.value


def synchronized(func: Callable):
    """A function that all processes leave together."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        result = func(*args, **kwargs)
        group_barrier()
        return result

    return wrapper


def get_device_count_by_fork(device_type: str) -> int:
    """How many devices of a type there are."""
    return get_device_count(device_type)


def bcast_list_(inps: list, group: Group = WORLD):
    """Gives all members the first one's values of some tensors, such as the parameters of a model.

    Examples:
        >>> import megalith.distributed as dist, megalith.module as M
        >>> dist.bcast_list_(M.Linear(2, 2).tensors())
    """
    for inp in inps:
        inp._reset(broadcast(inp, group))


class AllreduceCallback:
    """For ``GradManager.attach``: gradients become their sum or mean over all members.

    Args:
        reduce_method: ``sum`` or ``mean``.
        group: the members.
        backend: accepted for compatibility.
    """

    def __init__(self, reduce_method: str, group: Group = WORLD, backend: str = None):
        reduce_method = reduce_method.lower()
        require(reduce_method in ("sum", "mean"), f"allreduce: reduce_method is {reduce_method!r}, not 'sum' or 'mean'")
        self._reduce_method, self._group = reduce_method, group

    def __call__(self, param, grad):
        out = all_reduce_sum(grad, self._group)
        return out / self._group.size if self._reduce_method == "mean" and self._group.size > 1 else out


make_allreduce_cb = AllreduceCallback
