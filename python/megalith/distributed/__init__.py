"""Distributed training with the meaning it has for one process: this build computes on one device of one machine."""

from .._missing import module_getattr as _module_getattr
from .group import (
    WORLD,
    Group,
    get_backend,
    get_client,
    get_mm_server_addr,
    get_py_server_addr,
    get_rank,
    get_world_size,
    group_barrier,
    init_process_group,
    is_distributed,
    new_group,
    override_backend,
)
from .helper import bcast_list_, make_allreduce_cb, synchronized
from .launcher import launcher
from .server import Client, Server

__getattr__ = _module_getattr(__name__)
