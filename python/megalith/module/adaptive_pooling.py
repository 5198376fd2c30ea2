"""Pooling to a given size."""

from abc import abstractmethod
from typing import Tuple, Union

from ..functional.nn import adaptive_avg_pool2d, adaptive_max_pool2d
from ..tensor import Tensor
from .module import Module


class _AdaptivePoolNd(Module):
    def __init__(self, oshp: Union[Tuple[int, int], int, Tensor], **kwargs):
        super().__init__(**kwargs)
        self.oshp = oshp

    @abstractmethod
    def forward(self, inp):
        pass


class AdaptiveMaxPool2d(_AdaptivePoolNd):
    """:func:`megalith.functional.adaptive_max_pool2d` to the size ``oshp``."""

    def forward(self, inp):
        return adaptive_max_pool2d(inp, self.oshp)


class AdaptiveAvgPool2d(_AdaptivePoolNd):
    """:func:`megalith.functional.adaptive_avg_pool2d` to the size ``oshp``."""

    def forward(self, inp):
        return adaptive_avg_pool2d(inp, self.oshp)
