"""Joining tensors."""

from typing import Iterable

from ..functional._compose import concat
from ..tensor import Tensor
from .module import Module


class Concat(Module):
    """Joins tensors along an axis; a module so that quantization can see it.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3), "float32"))
        >>> M.Concat()([x, x], 1).shape
        (2, 6)
    """

    def forward(self, inps: Iterable[Tensor], axis: int = 0):
        return concat(inps, axis)
