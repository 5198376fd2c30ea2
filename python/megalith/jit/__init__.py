"""Tracing: functions recorded as graphs."""

from .config import DTRConfig, GraphOptimizationConfig, SublinearMemoryConfig
from .tracing import TraceError, exclude_from_trace, trace

__all__ = ["DTRConfig", "GraphOptimizationConfig", "SublinearMemoryConfig", "TraceError", "exclude_from_trace", "trace"]
