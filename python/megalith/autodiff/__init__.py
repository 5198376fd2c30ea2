"""Gradients: which tensors want them, and functions with a gradient of their own."""

from .._missing import module_getattr as _module_getattr
from .function import Function
from .grad_manager import GradManager, get_backwarded_tensors

__all__ = ["Function", "GradManager"]

__getattr__ = _module_getattr(__name__)
