"""Collective operations; among one process each returns its input."""

from typing import Optional

from .. import _core
from .._errors import require
from ..device import as_device
from ..functional.tensor import copy
from ..tensor import Tensor
from .group import WORLD, Group

__all__ = ["reduce_sum", "broadcast", "all_gather", "reduce_scatter_sum", "all_reduce_sum", "all_reduce_max",
           "all_reduce_min", "gather", "scatter", "all_to_all", "remote_send", "remote_recv"]  # fmt: skip

apply = _core.apply


def collective_comm(inp, mode, group, device):
    """Runs a collective operation by MegEngine's name of its mode."""
    return _alone(str(mode).lower(), inp, group, device)


def _alone(name, inp, group, device):
    require(isinstance(inp, _core.TensorBase), f"{name}: inp is a {type(inp).__name__}, expected a Tensor")
    require(group is None or isinstance(group, Group), f"{name}: group is a {type(group).__name__}")
    if device is None or device == "":
        return inp
    return copy(inp, device=as_device(device))


def _check_axis(name, inp, axis):
    require(
        -max(inp.ndim, 1) <= axis < max(inp.ndim, 1),
        f"{name}: axis {axis} lies outside a tensor of shape {inp._tuple_shape}",
    )


def reduce_sum(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None) -> Tensor:
    """The sum over all members, for the first one."""
    return _alone("reduce_sum", inp, group, device)


def broadcast(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None) -> Tensor:
    """The first member's tensor."""
    return _alone("broadcast", inp, group, device)


def all_gather(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None, axis=0) -> Tensor:
    """The tensors of all members, joined along ``axis``."""
    out = _alone("all_gather", inp, group, device)
    _check_axis("all_gather", inp, axis)
    return out


def reduce_scatter_sum(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None, axis=0) -> Tensor:
    """This member's part, along ``axis``, of the sum over all members."""
    out = _alone("reduce_scatter_sum", inp, group, device)
    _check_axis("reduce_scatter_sum", inp, axis)
    return out


def all_reduce_sum(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None) -> Tensor:
    """The sum over all members.

    Examples:
        >>> import megalith as mge, megalith.distributed as dist
        >>> dist.functional.all_reduce_sum(mge.Tensor([1.0, 2.0]))
        Tensor([1. 2.], device=xpux:0)
    """
    return _alone("all_reduce_sum", inp, group, device)


def all_reduce_max(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None) -> Tensor:
    """The greatest values among all members."""
    return _alone("all_reduce_max", inp, group, device)


def all_reduce_min(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None) -> Tensor:
    """The least values among all members."""
    return _alone("all_reduce_min", inp, group, device)


def gather(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None, axis=0) -> Tensor:
    """The tensors of all members, joined along ``axis``, for the first one."""
    out = _alone("gather", inp, group, device)
    _check_axis("gather", inp, axis)
    return out


def scatter(inp: Tensor, group: Optional[Group] = WORLD, device: Optional[str] = None, axis=0) -> Tensor:
    """This member's part, along ``axis``, of the first member's tensor."""
    out = _alone("scatter", inp, group, device)
    _check_axis("scatter", inp, axis)
    return out


def all_to_all(
    inp: Tensor,
    group: Optional[Group] = WORLD,
    device: Optional[str] = None,
    split_axis: int = 0,
    concat_axis: int = 0,
) -> Tensor:
    """Every member sends a part of its tensor to every other."""
    out = _alone("all_to_all", inp, group, device)
    _check_axis("all_to_all", inp, split_axis)
    _check_axis("all_to_all", inp, concat_axis)
    return out


def remote_send(inp: Tensor, dest_rank: int):
    """Sends a tensor to another process, of which there is none.

    Raises:
        ValueError: always.
    """
    require(False, f"remote_send: there is no rank {dest_rank}, only this process")


def remote_recv(src_rank: int, device: Optional[str] = None, inp=None) -> Tensor:
    """Receives a tensor from another process, of which there is none.

    Raises:
        ValueError: always.
    """
    require(False, f"remote_recv: there is no rank {src_rank}, only this process")
