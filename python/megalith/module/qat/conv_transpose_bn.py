"""Transposed convolutions with batch normalization for quantization-aware training."""

from ...functional.nn import relu
from .. import conv_transpose_bn as Float
from ._fold import FoldedBatchNorm


class _ConvTransposeBnActivation2d(Float._ConvTransposeBnActivation2d, FoldedBatchNorm):
    def _layer(self):
        return self.conv_transpose2d

    def _calculate(self, inp, weight, bias):
        return self.conv_transpose2d.calc_conv_transpose2d(inp, weight, bias)

    def _per_filter(self, x):
        g = self.conv_transpose2d.groups
        return x.reshape(1, -1, 1, 1) if g == 1 else x.reshape(g, 1, -1, 1, 1)

    def calc_conv_transpose2d_bn_qat(self, inp, approx=True):
        """Transposed convolution and batch normalization, fake-quantized.

        Args:
            inp: images.
            approx: in training, fold the running statistics instead of the batch's own.
        """
        return self._calc_qat(inp, approx)

    @classmethod
    def from_float_module(cls, float_module: Float._ConvTransposeBnActivation2d):
        """The layer of a float one; they share parameters."""
        c = float_module.conv_transpose2d
        out = cls(c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding, c.output_padding, c.dilation,
                  c.groups, c.bias is not None, c.conv_mode, c.compute_mode, name=float_module.name)  # fmt: skip
        out.conv_transpose2d.weight, out.conv_transpose2d.bias = c.weight, c.bias
        out.bn = float_module.bn
        return out


class ConvTransposeBn2d(_ConvTransposeBnActivation2d):
    """:class:`megalith.module.ConvTransposeBn2d` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(self.calc_conv_transpose2d_bn_qat(inp))


class ConvTransposeBnRelu2d(_ConvTransposeBnActivation2d):
    """:class:`megalith.module.ConvTransposeBnRelu2d` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(relu(self.calc_conv_transpose2d_bn_qat(inp)))
