"""Tracing: functions recorded as graphs."""

from .._missing import module_getattr as _module_getattr
from .config import DTRConfig, GraphOptimizationConfig, SublinearMemoryConfig
from .tracing import TraceError, exclude_from_trace, trace

__all__ = ["DTRConfig", "GraphOptimizationConfig", "SublinearMemoryConfig", "TraceError", "exclude_from_trace", "trace"]

__getattr__ = _module_getattr(__name__)
