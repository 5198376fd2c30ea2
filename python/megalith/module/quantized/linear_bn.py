"""Quantized linear layers that batch normalization was folded into."""

from ..qat import linear_bn as QAT
from .linear import Linear


class _LinearBnActivation1d(Linear):
    @classmethod
    def from_qat_module(cls, qat_module: QAT._LinearBnActivation1d):
        """The layer of a QAT one."""
        folded = qat_module.fold_weight_bias(qat_module.bn.running_mean, qat_module.bn.running_var)
        return cls._of(qat_module.linear, qat_module, *folded)


class LinearBn1d(_LinearBnActivation1d):
    """:class:`megalith.module.LinearBn1d` of quantized tensors."""

    def forward(self, inp):
        return self.calc_linear_quantized(inp, nonlinear_mode="identity")


class LinearBnRelu1d(_LinearBnActivation1d):
    """:class:`megalith.module.LinearBnRelu1d` of quantized tensors."""

    def forward(self, inp):
        return self.calc_linear_quantized(inp, nonlinear_mode="relu")
