"""Errors for arguments that make no sense."""

# A ValueError, a TypeError: also an AssertionError and a RuntimeError, which MegEngine raises for many.
from ._core import ArgumentError, ArgumentTypeError

__all__ = ["ArgumentError", "ArgumentTypeError", "require"]


def require(condition, message: str):
    """Raises an ArgumentError unless ``condition`` holds."""
    if not condition:
        raise ArgumentError(message)
