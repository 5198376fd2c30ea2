"""Errors for arguments that make no sense."""

from ._core import ArgumentError  # a ValueError and an AssertionError: MegEngine raises the latter for many


def require(condition, message: str):
    """Raises an ArgumentError unless ``condition`` holds."""
    if not condition:
        raise ArgumentError(message)
