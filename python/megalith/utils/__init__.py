"""Graph tools, statistics and profiling."""

from .._missing import module_getattr as _module_getattr

__getattr__ = _module_getattr(__name__)
