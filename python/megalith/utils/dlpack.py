"""Tensors of other libraries, without a copy."""

from typing import Any

from .. import _core


def to_dlpack(tensor, stream=None):
    """A capsule of a Tensor's memory."""
    return tensor.__dlpack__()


def from_dlpack(ext_tensor: Any, stream=None):
    """A Tensor over the memory of an array that exports it by ``__dlpack__``."""
    return _core._from_dlpack(ext_tensor)
