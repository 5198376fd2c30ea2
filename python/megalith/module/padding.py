"""Padding."""

from typing import Tuple

from ..functional.nn import pad
from .module import Module


class Pad(Module):
    """:func:`megalith.functional.nn.pad` with fixed parameters."""

    def __init__(self, pad_width: Tuple[Tuple[int, int], ...], mode: str = "constant", constant_val: float = 0.0):
        super().__init__()
        self.pad_width = pad_width
        self.mode = mode
        self.pad_val = constant_val

    def forward(self, src):
        return pad(src, pad_width=self.pad_width, mode=self.mode, constant_value=self.pad_val)
