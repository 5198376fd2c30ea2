"""Collective functions; see :mod:`megalith.distributed`."""

from ..distributed.functional import (
    all_gather,
    all_reduce_max,
    all_reduce_min,
    all_reduce_sum,
    all_to_all,
    broadcast,
    collective_comm,
    gather,
    reduce_scatter_sum,
    reduce_sum,
    remote_recv,
    remote_send,
    scatter,
)

__all__ = ["all_gather", "all_reduce_max", "all_reduce_min", "all_reduce_sum", "all_to_all", "broadcast",
           "collective_comm", "gather", "reduce_scatter_sum", "reduce_sum", "remote_recv", "remote_send",
           "scatter"]  # fmt: skip
