"""Modules as graphs that can be read, edited and saved."""

from .._missing import module_getattr as _module_getattr
from . import compat as _compat  # repairs calls of older files
from ._passes import optimize
from .pytree import register_supported_type
from .tm_config import disable_default_checker, enable_expr_checker
from .traced_module import TracedModule, register_as_builtin, trace_module, wrap

__all__ = [
    "optimize",
    "register_as_builtin",
    "register_supported_type",
    "trace_module",
    "wrap",
    "TracedModule",
    "disable_default_checker",
    "enable_expr_checker",
]

__getattr__ = _module_getattr(__name__)
