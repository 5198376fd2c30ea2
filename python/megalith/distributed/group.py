"""Groups of processes; there is one process."""

import contextlib
from typing import List, Optional, Tuple

from .._errors import require

_NO_GROUP = "please call init_process_group first: this process is not part of a group"


class StaticData:
    """What a process knows of its group; made by :func:`init_process_group`."""


_sd = None


class Group:
    """Processes that communicate, by their ranks.

    Args:
        proc_ranks: the ranks; the only one there is is 0.
    """

    def __init__(self, proc_ranks):
        self.proc_ranks = []
        self.stream = 0
        if len(proc_ranks):
            self.reset(proc_ranks)

    def reset(self, proc_ranks):
        """Changes the members."""
        self.check(proc_ranks)
        self.proc_ranks = list(proc_ranks)

    def check(self, proc_ranks):
        """Refuses ranks that are not there."""
        require(
            list(proc_ranks) == [0], f"Group: ranks {list(proc_ranks)} are not all there: the only process is rank 0"
        )

    @property
    def size(self) -> int:
        """Number of members."""
        return len(self.proc_ranks)

    @property
    def key(self) -> str:
        """The ranks as text."""
        return ",".join(map(str, self.proc_ranks))

    @property
    def rank(self) -> int:
        """This process' place among the members."""
        return self.proc_ranks.index(get_rank())

    @property
    def comp_node(self) -> str:
        """The device that communicates."""
        return f"xpu0:{self.stream}"

    @property
    def is_single_machine(self) -> bool:
        """Whether all members are on one machine."""
        return True


WORLD = Group([0])


def init_process_group(
    master_ip: str,
    port: int,
    world_size: int,
    rank: int,
    device: int,
    backend: Optional[str] = "auto",
    device_type: str = "xpu",
) -> None:
    """Joins a group of processes, which this build can't.

    Raises:
        TypeError: an argument has a wrong type.
        NotImplementedError: more than one process.
    """
    for name, value, kind in (
        ("master_ip", master_ip, str),
        ("port", port, int),
        ("world_size", world_size, int),
        ("rank", rank, int),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"init_process_group: {name} is a {type(value).__name__}, expected {kind.__name__}")
    require(world_size > 1, f"init_process_group: world_size is {world_size}; one process needs no group")
    raise NotImplementedError(f"init_process_group: this build trains in one process, not in {world_size}")


@contextlib.contextmanager
def override_backend(new_backend: str):
    """Chooses a communication library in a ``with`` block, within a group."""
    require(_sd is not None, _NO_GROUP)
    yield


def is_distributed() -> bool:
    """Whether there are several processes: no."""
    return _sd is not None


def get_rank() -> int:
    """The rank of this process."""
    return 0


def get_world_size() -> int:
    """The number of processes.

    Examples:
        >>> import megalith.distributed as dist
        >>> dist.get_rank(), dist.get_world_size(), dist.is_distributed()
        (0, 1, False)
    """
    return 1


def get_backend() -> str:
    """The communication library of the group."""
    require(_sd is not None, _NO_GROUP)


def get_py_server_addr() -> Tuple[str, int]:
    """Address of the group's server for Python objects."""
    require(_sd is not None, _NO_GROUP)


def get_mm_server_addr() -> Tuple[str, int]:
    """Address of the group's server for tensors."""
    require(_sd is not None, _NO_GROUP)


def get_client():
    """The client of the group's server."""
    require(_sd is not None, _NO_GROUP)


def new_group(proc_ranks: List[int]) -> Group:
    """A group of some of the processes."""
    return Group(proc_ranks)


def group_barrier(group: Group = WORLD) -> None:
    """Waits for all members, that is, not at all."""
    require(isinstance(group, Group), f"group_barrier: group is a {type(group).__name__}")
