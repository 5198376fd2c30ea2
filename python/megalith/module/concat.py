"""Joining tensors."""

from typing import Iterable

from ..functional._compose import concat
from ..tensor import Tensor
from .module import Module


class Concat(Module):
    """Joins tensors along an axis; a module so that quantization can see it."""

    def forward(self, inps: Iterable[Tensor], axis: int = 0):
        return concat(inps, axis)
