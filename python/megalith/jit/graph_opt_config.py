"""GraphOptimizationConfig, by MegEngine's path."""

from .config import GraphOptimizationConfig

__all__ = ["GraphOptimizationConfig"]
