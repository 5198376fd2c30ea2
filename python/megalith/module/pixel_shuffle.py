"""Pixel shuffle."""

from ..functional.nn import pixel_shuffle
from .module import Module


class PixelShuffle(Module):
    """:func:`megalith.functional.pixel_shuffle` by ``upscale_factor``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 8, 3, 3), "float32"))
        >>> M.PixelShuffle(2)(x).shape
        (1, 2, 6, 6)
    """

    def __init__(self, upscale_factor: int, **kwargs):
        super().__init__(**kwargs)
        self.upscale_factor = upscale_factor

    def forward(self, x):
        return pixel_shuffle(x, self.upscale_factor)
