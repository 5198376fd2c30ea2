"""Megalith: MegEngine's API and model files on a small, modern core."""

from . import _core
from .device import *
from .tensor import Parameter, Tensor, _convert, tensor

_core.set_classes(Tensor, Tensor, _convert)

__version__ = "0.1.0"
