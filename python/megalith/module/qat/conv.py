"""Convolutions for quantization-aware training."""

from ...functional.nn import relu
from .. import conv as Float
from .module import QATModule


class Conv2d(Float.Conv2d, QATModule):
    """:class:`megalith.module.Conv2d` as a :class:`QATModule`."""

    def calc_conv_qat(self, inp):
        """The convolution with fake-quantized weight and bias."""
        w_qat = self.apply_quant_weight(self.weight)
        b_qat = self.apply_quant_bias(self.bias, inp, w_qat)
        return self.calc_conv(inp, w_qat, b_qat)

    @classmethod
    def from_float_module(cls, float_module: Float.Conv2d):
        """The layer of a float one; they share parameters."""
        m = float_module
        out = cls(m.in_channels, m.out_channels, m.kernel_size, m.stride, m.padding, m.dilation, m.groups,
                  m.bias is not None, m.conv_mode, m.compute_mode, m.padding_mode, name=m.name)  # fmt: skip
        out.weight, out.bias = m.weight, m.bias
        return out

    def forward(self, inp):
        return self.apply_quant_activation(self.calc_conv_qat(inp))


class ConvRelu2d(Conv2d):
    """:class:`megalith.module.ConvRelu2d` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(relu(self.calc_conv_qat(inp)))


class ConvTranspose2d(Float.ConvTranspose2d, QATModule):
    """:class:`megalith.module.ConvTranspose2d` as a :class:`QATModule`."""

    def calc_conv_transpose2d_qat(self, inp):
        """The transposed convolution with fake-quantized weight and bias."""
        w_qat = self.apply_quant_weight(self.weight)
        b_qat = self.apply_quant_bias(self.bias, inp, w_qat)
        return self.calc_conv_transpose2d(inp, w_qat, b_qat)

    @classmethod
    def from_float_module(cls, float_module: Float.ConvTranspose2d):
        """The layer of a float one; they share parameters."""
        m = float_module
        out = cls(m.in_channels, m.out_channels, m.kernel_size, m.stride, m.padding, m.output_padding, m.dilation,
                  m.groups, m.bias is not None, m.conv_mode, m.compute_mode, name=m.name)  # fmt: skip
        out.weight, out.bias = m.weight, m.bias
        return out

    def forward(self, inp):
        return self.apply_quant_activation(self.calc_conv_transpose2d_qat(inp))


class ConvTransposeRelu2d(ConvTranspose2d):
    """:class:`megalith.module.ConvTransposeRelu2d` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(relu(self.calc_conv_transpose2d_qat(inp)))
