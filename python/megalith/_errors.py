"""Errors for arguments that make no sense."""


class ArgumentError(ValueError, AssertionError):
    """A call with arguments that don't fit; MegEngine raises AssertionError for many of them."""


def require(condition, message: str):
    """Raises an ArgumentError unless ``condition`` holds."""
    if not condition:
        raise ArgumentError(message)
