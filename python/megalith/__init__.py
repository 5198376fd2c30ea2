"""Megalith: MegEngine's API and model files on a small, modern core."""

from . import _core
from ._missing import module_getattr as _module_getattr
from .device import *
from .device import (
    get_cuda_device_property,
    get_cuda_driver_version,
    get_cuda_version,
    get_cudnn_version,
    get_tensorrt_version,
)
from .tensor import Parameter, Tensor, _convert, tensor
from .utils.network_node import VarNode

_core.set_classes(Tensor, VarNode, _convert)

from . import random
from .serialization import load, save

from .logger import enable_debug_log, get_logger, set_log_file, set_log_level
from .version import __version__


def _full_sync():
    """Waits for calls that are under way: there are none, they return when they are done."""


_sync = _full_sync


def _exit(code=0):
    """Ends the program."""
    import sys

    sys.exit(code)


__getattr__ = _module_getattr(__name__)
