"""Pixel shuffle."""

from ..functional.nn import pixel_shuffle
from .module import Module


class PixelShuffle(Module):
    """:func:`megalith.functional.pixel_shuffle` by ``upscale_factor``."""

    def __init__(self, upscale_factor: int, **kwargs):
        super().__init__(**kwargs)
        self.upscale_factor = upscale_factor

    def forward(self, x):
        return pixel_shuffle(x, self.upscale_factor)
