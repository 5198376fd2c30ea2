"""Convolutions with batch normalization for quantization-aware training."""

from ...functional.nn import relu
from .. import conv_bn as Float
from ._fold import FoldedBatchNorm


class _ConvBnActivation2d(Float._ConvBnActivation2d, FoldedBatchNorm):
    def _layer(self):
        return self.conv

    def _calculate(self, inp, weight, bias):
        return self.conv.calc_conv(inp, weight, bias)

    def _per_filter(self, x):
        g = self.conv.groups
        return x.reshape(-1, 1, 1, 1) if g == 1 else x.reshape(g, -1, 1, 1, 1)

    def calc_conv_bn_qat(self, inp, approx=True):
        """Convolution and batch normalization, fake-quantized.

        Args:
            inp: images.
            approx: in training, fold the running statistics instead of the batch's own.
        """
        return self._calc_qat(inp, approx)

    @classmethod
    def from_float_module(cls, float_module: Float._ConvBnActivation2d):
        """The layer of a float one; they share parameters."""
        c = float_module.conv
        out = cls(c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding, c.dilation, c.groups,
                  c.bias is not None, c.conv_mode, c.compute_mode, padding_mode=c.padding_mode,
                  name=float_module.name)  # fmt: skip
        out.conv.weight, out.conv.bias = c.weight, c.bias
        out.bn = float_module.bn
        return out


class ConvBn2d(_ConvBnActivation2d):
    """:class:`megalith.module.ConvBn2d` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(self.calc_conv_bn_qat(inp))


class ConvBnRelu2d(_ConvBnActivation2d):
    """:class:`megalith.module.ConvBnRelu2d` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(relu(self.calc_conv_bn_qat(inp)))
