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
    """:func:`megalith.functional.adaptive_max_pool2d` to the size ``oshp``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3, 7, 5), "float32"))
        >>> M.AdaptiveMaxPool2d((2, 3))(x).shape
        (2, 3, 2, 3)
    """

    def forward(self, inp):
        return adaptive_max_pool2d(inp, self.oshp)


class AdaptiveAvgPool2d(_AdaptivePoolNd):
    """:func:`megalith.functional.adaptive_avg_pool2d` to the size ``oshp``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3, 7, 5), "float32"))
        >>> M.AdaptiveAvgPool2d(1)(x).shape
        (2, 3, 1, 1)
    """

    def forward(self, inp):
        return adaptive_avg_pool2d(inp, self.oshp)
