"""Gradients: which tensors want them, and functions with a gradient of their own."""

from .function import Function
from .grad_manager import GradManager, get_backwarded_tensors

__all__ = ["Function", "GradManager"]
