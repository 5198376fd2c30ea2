"""Pooling."""

from abc import abstractmethod
from typing import Tuple, Union

from ..functional.nn import avg_pool2d, max_pool2d
from .module import Module


class _PoolNd(Module):
    def __init__(
        self,
        kernel_size: Union[int, Tuple[int, int]],
        stride: Union[int, Tuple[int, int]] = None,
        padding: Union[int, Tuple[int, int]] = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.stride = stride or kernel_size
        self.padding = padding

    @abstractmethod
    def forward(self, inp):
        pass

    def _module_info_string(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_PoolNd):
    """Largest element of every window.

    Args:
        kernel_size: size of the windows.
        stride: step between windows; ``kernel_size`` by default.
        padding: width of the border.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.MaxPool2d(2)(mge.Tensor(np.arange(4, dtype="float32").reshape(1, 1, 2, 2)))
        Tensor([[[[3.]]]], device=xpux:0)
    """

    def forward(self, inp):
        return max_pool2d(inp, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_PoolNd):
    """Mean of every window.

    Args:
        mode: ``average`` counts the border's zeros, ``average_count_exclude_padding`` doesn't.
        kernel_size, stride, padding: as in :class:`MaxPool2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 3, 8, 8), "float32"))
        >>> M.AvgPool2d(2)(x).shape
        (1, 3, 4, 4)
    """

    def __init__(
        self,
        kernel_size: Union[int, Tuple[int, int]],
        stride: Union[int, Tuple[int, int]] = None,
        padding: Union[int, Tuple[int, int]] = 0,
        mode: str = "average_count_exclude_padding",
        **kwargs,
    ):
        super().__init__(kernel_size, stride, padding, **kwargs)
        self.mode = mode

    def forward(self, inp):
        return avg_pool2d(inp, self.kernel_size, self.stride, self.padding, self.mode)

    def _module_info_string(self) -> str:
        return super()._module_info_string() + f", mode={self.mode}"
