"""Padding."""

from typing import Tuple

from ..functional.nn import pad
from .module import Module


class Pad(Module):
    """:func:`megalith.functional.nn.pad` with fixed parameters.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3), "float32"))
        >>> M.Pad(((0, 0), (1, 2)))(x).shape
        (2, 6)
    """

    def __init__(self, pad_width: Tuple[Tuple[int, int], ...], mode: str = "constant", constant_val: float = 0.0):
        super().__init__()
        self.pad_width = pad_width
        self.mode = mode
        self.pad_val = constant_val

    def forward(self, src):
        return pad(src, pad_width=self.pad_width, mode=self.mode, constant_value=self.pad_val)
