"""Every op of the registry as a class, and streams of random numbers by handle."""

from ...device import as_device
from ..ops._opdef import OpDef
from ..ops.builtin import __dir__, __getattr__


def new_rng_handle(comp_node, seed: int) -> int:
    """A stream of random numbers of its own, for the ``handle`` of random ops."""
    from ...random import rng

    as_device(str(comp_node))
    return rng.new_stream(seed)


def delete_rng_handle(handle: int):
    """Frees a stream."""
    from ...random import rng

    rng.delete_stream(handle)


def get_global_rng_seed() -> int:
    """What the stream that all share started from."""
    from ...random import rng

    return rng._seed


def set_global_rng_seed(seed: int):
    """Restarts the stream that all share."""
    from ... import random

    random.seed(seed)


def set_jit_enabled(enabled: bool) -> bool:
    """Accepted for compatibility: nothing is compiled at run time. Returns what was set before."""
    return False


def jit_supported() -> bool:
    """Whether elementwise calls are compiled at run time: never."""
    return False
