"""Convolutions."""

from abc import abstractmethod
from typing import Tuple, Union

import numpy as np

from .._errors import ArgumentError
from ..functional.nn import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose2d,
    conv_transpose3d,
    deformable_conv2d,
    local_conv2d,
    local_share_conv2d,
    pad,
    region_restricted_conv,
    relu,
)
from ..tensor import Parameter
from ..utils.tuple_function import _pair, _pair_nonzero, _triple, _triple_nonzero
from . import init
from .module import Module


class _ConvNd(Module):
    """What all convolutions have: sizes, a weight of the shape that the subclass says, perhaps a bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Union[int, Tuple[int, int]],
        stride: Union[int, Tuple[int, int]],
        padding: Union[int, Tuple[int, int]],
        output_padding: Union[int, Tuple[int, int]],
        dilation: Union[int, Tuple[int, int]],
        groups: int,
        bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if in_channels % groups != 0:
            raise ArgumentError(f"in_channels must be divisible by groups: {in_channels} channels, {groups} groups")
        if out_channels % groups != 0:
            raise ArgumentError(f"out_channels must be divisible by groups: {out_channels} channels, {groups} groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.output_padding = output_padding
        self.dilation = dilation
        self.groups = groups
        self.weight = Parameter(np.zeros(self._infer_weight_shape(), dtype=np.float32))
        self.bias = None
        if bias:
            self.bias = Parameter(np.zeros(self._infer_bias_shape(), dtype=np.float32))
        self.reset_parameters()

    def _get_fanin(self):
        return int(np.prod(self.kernel_size)) * self.in_channels

    def reset_parameters(self) -> None:
        """Draws new weights; the bias is 0."""
        init.normal_(self.weight, 0.0, np.sqrt(1 / self._get_fanin()))
        if self.bias is not None:
            init.zeros_(self.bias)

    def _kernel(self):
        k = self.kernel_size
        return tuple(k) if isinstance(k, tuple) else (k,)

    def _infer_weight_shape(self):
        g = self.groups
        if g == 1:
            return (self.out_channels, self.in_channels, *self._kernel())
        return (g, self.out_channels // g, self.in_channels // g, *self._kernel())

    def _infer_bias_shape(self):
        return (1, self.out_channels, *(1,) * len(self._kernel()))

    @abstractmethod
    def forward(self, inp):
        pass

    def _check_padding_mode(self):
        if self.padding_mode not in ("zeros", "reflect", "replicate"):
            name = type(self).__name__
            raise ArgumentError(f"{name}: padding_mode is {self.padding_mode!r}, not 'zeros', 'reflect' or 'replicate'")

    def _module_info_string(self):
        def differs(value, plain):
            return any(v != plain for v in (value if isinstance(value, tuple) else (value,)))

        s = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        for name, plain in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)):
            if differs(getattr(self, name), plain):
                s += f", {name}={getattr(self, name)}"
        return s if self.bias is not None else s + ", bias=False"


class Conv1d(_ConvNd):
    """1D convolution of sequences of shape `(N, in_channels, L)`; arguments as in :class:`Conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 3, 8), "float32"))
        >>> M.Conv1d(3, 4, 3)(x).shape
        (1, 4, 6)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        conv_mode: str = "cross_correlation",
        compute_mode: str = "default",
        padding_mode: str = "zeros",
        **kwargs,
    ):
        self.conv_mode = conv_mode
        self.compute_mode = compute_mode
        self.padding_mode = padding_mode
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias, **kwargs)

    def get_pad_witdth(self):
        """What is added before a convolution without padding."""
        return ((0, 0), (0, 0), (self.padding, self.padding))

    def calc_conv(self, inp, weight, bias):
        """The layer with other weights."""
        self._check_padding_mode()
        padding = self.padding
        if self.padding_mode != "zeros":
            inp, padding = pad(inp, self.get_pad_witdth(), self.padding_mode), 0
        return conv1d(
            inp, weight, bias, self.stride, padding, self.dilation, self.groups, self.conv_mode, self.compute_mode
        )

    def forward(self, inp):
        return self.calc_conv(inp, self.weight, self.bias)


class Conv2d(_ConvNd):
    """2D convolution of images of shape `(N, in_channels, H, W)`.

    Args:
        in_channels, out_channels: channels of the input and of the result.
        kernel_size: size of the filters.
        stride, padding, dilation: step of the filter, border on all sides, distance of its taps.
        groups: number of groups that channels are split into.
        bias: whether there is a bias.
        conv_mode: ``cross_correlation``.
        compute_mode: ``float32`` accumulates float16 in float32.
        padding_mode: what the border holds: ``zeros``, ``reflect`` or ``replicate``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> m = M.Conv2d(3, 8, 3, padding=1)
        >>> m
        Conv2d(3, 8, kernel_size=(3, 3), padding=(1, 1))
        >>> m(mge.Tensor(np.zeros((1, 3, 5, 5), "float32"))).shape
        (1, 8, 5, 5)
    """

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
        padding_mode: str = "zeros",
        **kwargs,
    ):
        self.conv_mode = conv_mode
        self.compute_mode = compute_mode
        self.padding_mode = padding_mode
        super().__init__(
            in_channels,
            out_channels,
            _pair_nonzero(kernel_size),
            _pair_nonzero(stride),
            _pair(padding),
            0,
            _pair_nonzero(dilation),
            groups,
            bias,
            **kwargs,
        )

    def get_pad_witdth(self):
        """What is added before a convolution without padding."""
        return ((0, 0), (0, 0), (self.padding[0], self.padding[0]), (self.padding[1], self.padding[1]))

    def calc_conv(self, inp, weight, bias):
        """The layer with other weights."""
        self._check_padding_mode()
        padding = self.padding
        if self.padding_mode != "zeros":
            inp, padding = pad(inp, self.get_pad_witdth(), self.padding_mode), 0
        return conv2d(
            inp, weight, bias, self.stride, padding, self.dilation, self.groups, self.conv_mode, self.compute_mode
        )

    def forward(self, inp):
        return self.calc_conv(inp, self.weight, self.bias)


class Conv3d(_ConvNd):
    """3D convolution of volumes of shape `(N, in_channels, D, H, W)`; arguments as in :class:`Conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 1, 5, 5, 5), "float32"))
        >>> M.Conv3d(1, 2, 3)(x).shape
        (1, 2, 3, 3, 3)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Union[int, Tuple[int, int, int]],
        stride: Union[int, Tuple[int, int, int]] = 1,
        padding: Union[int, Tuple[int, int, int]] = 0,
        dilation: Union[int, Tuple[int, int, int]] = 1,
        groups: int = 1,
        bias: bool = True,
        conv_mode: str = "cross_correlation",
    ):
        self.conv_mode = conv_mode
        super().__init__(
            in_channels,
            out_channels,
            _triple_nonzero(kernel_size),
            _triple_nonzero(stride),
            _triple(padding),
            0,
            _triple_nonzero(dilation),
            groups,
            bias,
        )

    def calc_conv(self, inp, weight, bias):
        """The layer with other weights."""
        return conv3d(inp, weight, bias, self.stride, self.padding, self.dilation, self.groups, self.conv_mode)

    def forward(self, inp):
        return self.calc_conv(inp, self.weight, self.bias)


class _TransposedWeight(_ConvNd):
    """Weights with the channels of the input first."""

    def _get_fanin(self):
        return int(np.prod(self.kernel_size)) * self.out_channels

    def _infer_weight_shape(self):
        g = self.groups
        if g == 1:
            return (self.in_channels, self.out_channels, *self._kernel())
        return (g, self.in_channels // g, self.out_channels // g, *self._kernel())


class ConvTranspose2d(_TransposedWeight):
    """Transposed 2D convolution, which undoes the shape of :class:`Conv2d`.

    Args:
        output_padding: rows and columns that the result has more, fewer than ``stride``.
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: as in :class:`Conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.ConvTranspose2d(3, 2, 2, stride=2)(mge.Tensor(np.zeros((1, 3, 5, 5), "float32"))).shape
        (1, 2, 10, 10)
    """

    output_padding = 0

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Union[int, Tuple[int, int]],
        stride: Union[int, Tuple[int, int]] = 1,
        padding: Union[int, Tuple[int, int]] = 0,
        output_padding: Union[int, Tuple[int, int]] = 0,
        dilation: Union[int, Tuple[int, int]] = 1,
        groups: int = 1,
        bias: bool = True,
        conv_mode: str = "cross_correlation",
        compute_mode: str = "default",
        **kwargs,
    ):
        self.conv_mode = conv_mode
        self.compute_mode = compute_mode
        super().__init__(in_channels, out_channels, _pair_nonzero(kernel_size), _pair_nonzero(stride), _pair(padding),
                         _pair(output_padding), _pair_nonzero(dilation), groups, bias, **kwargs)  # fmt: skip

    def calc_conv_transpose2d(self, inp, weight, bias):
        """The layer with other weights."""
        return conv_transpose2d(
            inp,
            weight,
            bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
            self.groups,
            self.conv_mode,
            self.compute_mode,
        )

    def forward(self, inp):
        return self.calc_conv_transpose2d(inp, self.weight, self.bias)


class ConvTranspose3d(_TransposedWeight):
    """Transposed 3D convolution; arguments as in :class:`ConvTranspose2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 1, 3, 3, 3), "float32"))
        >>> M.ConvTranspose3d(1, 2, 3)(x).shape
        (1, 2, 5, 5, 5)
    """

    output_padding = 0

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Union[int, Tuple[int, int, int]],
        stride: Union[int, Tuple[int, int, int]] = 1,
        padding: Union[int, Tuple[int, int, int]] = 0,
        output_padding: Union[int, Tuple[int, int, int]] = 0,
        dilation: Union[int, Tuple[int, int, int]] = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__(
            in_channels,
            out_channels,
            _triple_nonzero(kernel_size),
            _triple_nonzero(stride),
            _triple(padding),
            _triple(output_padding),
            _triple_nonzero(dilation),
            groups,
            bias,
        )

    def forward(self, inp):
        return conv_transpose3d(
            inp, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )


def _out_size(size, kernel, stride, padding, dilation=(1, 1)):
    return tuple((size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1))


class LocalConv2d(Conv2d):
    """2D convolution with filters of its own at every position.

    Args:
        input_height, input_width: size of the images.
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as in :class:`Conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 3, 8, 8), "float32"))
        >>> M.LocalConv2d(3, 4, 8, 8, 3)(x).shape
        (1, 4, 6, 6)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_height: int,
        input_width: int,
        kernel_size: Union[int, Tuple[int, int]],
        stride: Union[int, Tuple[int, int]] = 1,
        padding: Union[int, Tuple[int, int]] = 0,
        dilation: Union[int, Tuple[int, int]] = 1,
        groups: int = 1,
        conv_mode: str = "cross_correlation",
        **kwargs,
    ):
        self.input_height = input_height
        self.input_width = input_width
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False, **kwargs
        )

    def _infer_weight_shape(self):
        g = self.groups
        rows, columns = _out_size(
            (self.input_height, self.input_width), self.kernel_size, self.stride, self.padding, self.dilation
        )
        return (g, rows, columns, self.in_channels // g, *self.kernel_size, self.out_channels // g)

    def forward(self, inp):
        return local_conv2d(inp, self.weight, None, self.stride, self.padding, self.dilation, self.conv_mode)


class LocalShareConv2d(Conv2d):
    """2D convolution with filters shared within rectangles of the result (MegEngine has only the op).

    Args:
        spatial_groups: rows and columns of rectangles; they divide the result's size.
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: as in :class:`Conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> m = M.LocalShareConv2d(3, 2, 3, spatial_groups=2, padding=1)
        >>> m(mge.Tensor(np.zeros((1, 3, 4, 4), "float32"))).shape
        (1, 2, 4, 4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Union[int, Tuple[int, int]],
        spatial_groups: Union[int, Tuple[int, int]] = 1,
        stride: Union[int, Tuple[int, int]] = 1,
        padding: Union[int, Tuple[int, int]] = 0,
        dilation: Union[int, Tuple[int, int]] = 1,
        groups: int = 1,
        bias: bool = True,
        conv_mode: str = "cross_correlation",
        **kwargs,
    ):
        # The weight's shape depends on it, but attributes that may hold modules come after Module.__init__.
        self.__dict__["spatial_groups"] = _pair_nonzero(spatial_groups)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, conv_mode, **kwargs
        )

    def _infer_weight_shape(self):
        g = self.groups
        shape = (*self.spatial_groups, self.in_channels // g, *self.kernel_size, self.out_channels // g)
        return shape if g == 1 else (g, *shape)

    def forward(self, inp):
        return local_share_conv2d(
            inp,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.spatial_groups,
            self.groups,
            self.conv_mode,
        )


class ConvRelu2d(Conv2d):
    """:class:`Conv2d` and ReLU, which quantization fuses.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 3, 8, 8), "float32"))
        >>> M.ConvRelu2d(3, 4, 3)(x).shape
        (1, 4, 6, 6)
    """

    def forward(self, inp):
        return relu(self.calc_conv(inp, self.weight, self.bias))


class ConvTransposeRelu2d(ConvTranspose2d):
    """:class:`ConvTranspose2d` and ReLU, which quantization fuses.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 3, 6, 6), "float32"))
        >>> M.ConvTransposeRelu2d(3, 4, 3)(x).shape
        (1, 4, 8, 8)
    """

    def forward(self, inp):
        return relu(self.calc_conv_transpose2d(inp, self.weight, self.bias))


class DeformableConv2d(_ConvNd):
    """2D convolution whose taps are moved by offsets and weighted by a mask; arguments as in :class:`Conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 3, 6, 6), "float32"))
        >>> offset = mge.Tensor(np.zeros((1, 18, 4, 4), "float32"))
        >>> mask = mge.Tensor(np.ones((1, 9, 4, 4), "float32"))
        >>> M.DeformableConv2d(3, 4, 3)(x, offset, mask).shape
        (1, 4, 4, 4)
    """

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
        **kwargs,
    ):
        self.conv_mode = conv_mode
        self.compute_mode = compute_mode
        super().__init__(
            in_channels,
            out_channels,
            _pair_nonzero(kernel_size),
            _pair_nonzero(stride),
            _pair(padding),
            0,
            _pair_nonzero(dilation),
            groups,
            bias,
            **kwargs,
        )

    def calc_conv(self, inp, weight, offset, mask, bias):
        """The layer with other weights."""
        return deformable_conv2d(inp, weight, offset, mask, bias, self.stride, self.padding, self.dilation, self.groups,
                                 self.conv_mode, self.compute_mode)  # fmt: skip

    def forward(self, inp, offset, mask):
        return self.calc_conv(inp, self.weight, offset, mask, self.bias)


class RegionRestrictedConv(_ConvNd):
    """Grouped 2D convolution within regions, see :func:`megalith.functional.nn.region_restricted_conv`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Union[int, Tuple[int, int]],
        groups: int = 1,
        bias: bool = True,
        stride: Union[int, Tuple[int, int]] = 1,
        padding: Union[int, Tuple[int, int]] = 0,
        dilation: Union[int, Tuple[int, int]] = 1,
        conv_mode: str = "cross_correlation",
        compute_mode: str = "default",
        padding_mode: str = "zeros",
        **kwargs,
    ):
        self.conv_mode = conv_mode
        self.compute_mode = compute_mode
        self.padding_mode = padding_mode
        super().__init__(
            in_channels,
            out_channels,
            _pair_nonzero(kernel_size),
            _pair_nonzero(stride),
            _pair(padding),
            0,
            _pair_nonzero(dilation),
            groups,
            bias,
            **kwargs,
        )

    def _infer_weight_shape(self):
        g = self.groups
        return (g, self.out_channels // g, self.in_channels // g, *self.kernel_size)

    def get_pad_width(self):
        """What is added before a convolution without padding."""
        return ((0, 0), (0, 0), (self.padding[0], self.padding[0]), (self.padding[1], self.padding[1]))

    def calc_conv(self, inp, weight, rin, rout, bias):
        """The layer with other weights."""
        self._check_padding_mode()
        return region_restricted_conv(
            inp,
            weight,
            rin,
            rout,
            bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.conv_mode,
            self.compute_mode,
        )

    def forward(self, inp, rin, rout):
        return self.calc_conv(inp, self.weight, rin, rout, self.bias)
