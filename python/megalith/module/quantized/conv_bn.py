"""Quantized convolutions that batch normalization was folded into."""

from ..qat import conv_bn as QAT
from .conv import Conv2d


class _ConvBnActivation2d(Conv2d):
    @classmethod
    def from_qat_module(cls, qat_module: QAT._ConvBnActivation2d):
        """The layer of a QAT one."""
        folded = qat_module.fold_weight_bias(qat_module.bn.running_mean, qat_module.bn.running_var)
        return cls._of(qat_module.conv, qat_module, *folded)


class ConvBn2d(_ConvBnActivation2d):
    """:class:`megalith.module.ConvBn2d` of quantized images."""

    def forward(self, inp):
        return self.calc_conv_quantized(inp, nonlinear_mode="identity")


class ConvBnRelu2d(_ConvBnActivation2d):
    """:class:`megalith.module.ConvBnRelu2d` of quantized images."""

    def forward(self, inp):
        return self.calc_conv_quantized(inp, nonlinear_mode="relu")
