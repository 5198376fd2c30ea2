"""Quantized convolutions."""

from typing import Tuple, Union

import numpy as np

from ... import module as Float
from ...functional.elemwise import _elemwise_multi_type
from ...functional.nn import conv_bias_activation, pad
from ...functional.quantized import conv_transpose2d
from ...tensor import Parameter
from ..qat import conv as QAT
from .module import QuantizedModule, bias_dtype, quantized_parameter


class Conv2d(Float.Conv2d, QuantizedModule):
    """:class:`megalith.module.Conv2d` of quantized images, in one op with its bias.

    Args:
        dtype: type of the result.
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as in the float layer.
        conv_mode, compute_mode, padding_mode: as in the float layer.
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
        conv_mode: str = "cross_correlation",
        compute_mode: str = "default",
        dtype=None,
        padding_mode: str = "zeros",
        **kwargs,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, True, conv_mode,
                         compute_mode, padding_mode, **kwargs)  # fmt: skip
        self.output_dtype = dtype

    def calc_conv_quantized(self, inp, nonlinear_mode="identity"):
        """Convolution, bias and activation."""
        self._check_padding_mode()
        bias = self.bias.astype(bias_dtype(inp, self.weight))
        padding = self.padding
        if self.padding_mode != "zeros":
            inp, padding = pad(inp, self.get_pad_witdth(), self.padding_mode), 0
        return conv_bias_activation(
            inp,
            self.weight,
            bias,
            self.output_dtype,
            self.stride,
            padding,
            self.dilation,
            self.groups,
            conv_mode=self.conv_mode,
            compute_mode=self.compute_mode,
            nonlinear_mode=nonlinear_mode,
        )

    @classmethod
    def _of(cls, conv, qat_module, weight, bias):
        """The layer with the geometry of ``conv`` and other parameters."""
        c = conv
        out = cls(c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding, c.dilation, c.groups, c.conv_mode,
                  c.compute_mode, dtype=qat_module.get_activation_dtype(), padding_mode=c.padding_mode,
                  name=qat_module.name)  # fmt: skip
        out.weight = quantized_parameter(weight, qat_module, c.weight)
        values = np.zeros(c._infer_bias_shape(), dtype=np.float32) if bias is None else bias.numpy()
        out.bias = Parameter(values, name=None if c.bias is None else c.bias.name)
        return out

    @classmethod
    def from_qat_module(cls, qat_module: QAT.Conv2d):
        """The layer of a QAT one."""
        return cls._of(qat_module, qat_module, qat_module.weight, qat_module.bias)

    def forward(self, inp):
        return self.calc_conv_quantized(inp, nonlinear_mode="identity")


class ConvRelu2d(Conv2d):
    """:class:`Conv2d` and ReLU."""

    def forward(self, inp):
        return self.calc_conv_quantized(inp, nonlinear_mode="relu")


class ConvTranspose2d(Float.ConvTranspose2d, QuantizedModule):
    """:class:`megalith.module.ConvTranspose2d` of quantized images.

    Args:
        dtype: type of the result, qint8 with a scale.
        in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups: as in the float
            layer; there is one group.
        bias, conv_mode, compute_mode: as in the float layer; there is no bias.
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
        dtype=None,
        **kwargs,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups,
                         bias, conv_mode, compute_mode, **kwargs)  # fmt: skip
        self.output_dtype = dtype

    @classmethod
    def _of(cls, conv, qat_module, weight, bias):
        """The layer with the geometry of ``conv`` and other parameters."""
        c = conv
        out = cls(c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding, c.output_padding, c.dilation,
                  c.groups, bias is not None, c.conv_mode, c.compute_mode, dtype=qat_module.get_activation_dtype(),
                  name=qat_module.name)  # fmt: skip
        out.weight = quantized_parameter(weight, qat_module, c.weight)
        if bias is not None:
            out.bias = Parameter(bias.numpy(), name=None if c.bias is None else c.bias.name)
        return out

    @classmethod
    def from_qat_module(cls, qat_module: QAT.ConvTranspose2d):
        """The layer of a QAT one."""
        return cls._of(qat_module, qat_module, qat_module.weight, qat_module.bias)

    def calc_conv_transpose2d_quantized(self, inp, nonlinear_mode):
        """Transposed convolution and activation."""
        assert nonlinear_mode in ("identity", "relu"), f"ConvTranspose2d: nonlinear_mode is {nonlinear_mode!r}"
        out = conv_transpose2d(
            inp=inp,
            weight=self.weight,
            bias=None if self.bias is None else self.bias.astype(bias_dtype(inp, self.weight)),
            dtype=self.output_dtype,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
            conv_mode=self.conv_mode,
            compute_mode=self.compute_mode,
        )
        return out if nonlinear_mode == "identity" else _elemwise_multi_type(out, mode="qrelu", dtype=out.dtype)

    def forward(self, inp):
        return self.calc_conv_transpose2d_quantized(inp, nonlinear_mode="identity")


class ConvTransposeRelu2d(ConvTranspose2d):
    """:class:`ConvTranspose2d` and ReLU."""

    def forward(self, inp):
        return self.calc_conv_transpose2d_quantized(inp, nonlinear_mode="relu")
