"""Megalith: MegEngine's API and model files on a small, modern core."""

from . import _core
from ._missing import module_getattr as _module_getattr
from .device import *
from .tensor import Parameter, Tensor, _convert, tensor
from .utils.network_node import VarNode

_core.set_classes(Tensor, VarNode, _convert)

from . import random
from .serialization import load, save

__version__ = "0.1.0"

__getattr__ = _module_getattr(__name__)
