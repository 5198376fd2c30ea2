"""launcher: runs a function once per device."""

import functools

from .._errors import require

WARN_SUBPROCESS_EXIT_WITHOUT_RETURN = "subprocess exited with code 0 but did not return a value"


class launcher:
    """Decorates a function so that it runs in one process per device; there is one device.

    Args:
        func: the function.
        n_gpus: processes on this machine, 1 by default.
        world_size: processes on all machines.
        rank_start: rank of the first process here.
        master_ip: address of the first machine.
        port: port of the first machine.
        device_type: kind of the devices.
        backend: communication library.

    Raises:
        NotImplementedError: more than one process.

    Examples:
        >>> import megalith.distributed as dist
        >>> @dist.launcher(n_gpus=1)
        ... def train():
        ...     return dist.get_rank()
        >>> train()
        [0]
    """

    def __new__(cls, *args, **kwargs):
        if not args:
            return functools.partial(cls, **kwargs)
        return super().__new__(cls)

    def __init__(
        self,
        func,
        n_gpus=None,
        world_size=None,
        rank_start=0,
        master_ip="localhost",
        port=0,
        device_type="xpu",
        backend="auto",
    ):
        require(callable(func), f"launcher: {type(func).__name__} can't be called")
        self.func = func
        self.n_gpus = 1 if n_gpus is None else n_gpus
        self.world_size = self.n_gpus if world_size is None else world_size
        for name, n in (("n_gpus", self.n_gpus), ("world_size", self.world_size)):
            require(isinstance(n, int) and n > 0, f"launcher: {name} is {n!r}, expected a positive integer")
            if n > 1:
                raise NotImplementedError(f"launcher: {name} is {n}, but this build trains in one process on the CPU")
        functools.update_wrapper(self, func)

    def __call__(self, *args, **kwargs):
        return [self.func(*args, **kwargs)]
