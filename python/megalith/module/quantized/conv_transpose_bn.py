"""Quantized transposed convolutions that batch normalization was folded into."""

from ..qat import conv_transpose_bn as QAT
from .conv import ConvTranspose2d


class _ConvTransposeBnActivation2d(ConvTranspose2d):
    @classmethod
    def from_qat_module(cls, qat_module: QAT._ConvTransposeBnActivation2d):
        """The layer of a QAT one."""
        folded = qat_module.fold_weight_bias(qat_module.bn.running_mean, qat_module.bn.running_var)
        return cls._of(qat_module.conv_transpose2d, qat_module, *folded)


class ConvTransposeBn2d(_ConvTransposeBnActivation2d):
    """:class:`megalith.module.ConvTransposeBn2d` of quantized images."""

    def forward(self, inp):
        return self.calc_conv_transpose2d_quantized(inp, nonlinear_mode="identity")


class ConvTransposeBnRelu2d(_ConvTransposeBnActivation2d):
    """:class:`megalith.module.ConvTransposeBnRelu2d` of quantized images."""

    def forward(self, inp):
        return self.calc_conv_transpose2d_quantized(inp, nonlinear_mode="relu")
