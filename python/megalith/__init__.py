"""Megalith: MegEngine's API and model files on a small, modern core."""

from . import _core
from ._missing import module_getattr as _module_getattr
from .device import *
from .tensor import Parameter, Tensor, _convert, tensor
from .utils.network_node import VarNode

_core.set_classes(Tensor, VarNode, _convert)

from . import random
from .serialization import load, save

from .logger import get_logger, set_log_level
from .version import __version__

__getattr__ = _module_getattr(__name__)
