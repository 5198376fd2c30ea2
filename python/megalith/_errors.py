"""Errors for arguments that make no sense."""

from ._core import ArgumentError  # a ValueError and an AssertionError: MegEngine raises the latter for many


class ArgumentTypeError(TypeError, AssertionError):
    """An argument of the wrong type; MegEngine asserts the type of some."""


def require(condition, message: str):
    """Raises an ArgumentError unless ``condition`` holds."""
    if not condition:
        raise ArgumentError(message)
