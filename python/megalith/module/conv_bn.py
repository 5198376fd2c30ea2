"""Convolutions with batch normalization, as quantization fuses them."""

from typing import Tuple, Union

from ..functional.nn import relu
from .batchnorm import BatchNorm2d
from .conv import Conv2d
from .module import Module


class _ConvBnActivation2d(Module):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Union[int, Tuple[int, int]],
        stride: Union[int, Tuple[int, int]] = 1,
        padding: Union[int, Tuple[int, int]] = 0,
        dilation: Union[int, Tuple[int, int]] = 1,
        groups: int = 1,
        bias: bool = True,
        conv_mode: str = "cross_correlation",
        compute_mode: str = "default",
        eps=1e-5,
        momentum=0.9,
        affine=True,
        track_running_stats=True,
        padding_mode: str = "zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.conv = Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, conv_mode,
                           compute_mode, padding_mode, **kwargs)  # fmt: skip
        self.bn = BatchNorm2d(out_channels, eps, momentum, affine, track_running_stats)


class ConvBn2d(_ConvBnActivation2d):
    """:class:`Conv2d` and :class:`BatchNorm2d`, which quantization fuses.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 3, 8, 8), "float32"))
        >>> M.ConvBn2d(3, 4, 3)(x).shape
        (1, 4, 6, 6)
    """

    def forward(self, inp):
        return self.bn(self.conv(inp))


class ConvBnRelu2d(_ConvBnActivation2d):
    """:class:`Conv2d`, :class:`BatchNorm2d` and ReLU, which quantization fuses.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 3, 8, 8), "float32"))
        >>> M.ConvBnRelu2d(3, 4, 3, padding=1)(x).shape
        (1, 4, 8, 8)
    """

    def forward(self, inp):
        return relu(self.bn(self.conv(inp)))
