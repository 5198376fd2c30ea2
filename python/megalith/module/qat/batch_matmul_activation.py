"""A matrix of weights for every element of a batch, for quantization-aware training."""

from .. import batch_matmul_activation as Float
from .module import QATModule


class BatchMatMulActivation(Float.BatchMatMulActivation, QATModule):
    """:class:`megalith.module.BatchMatMulActivation` as a :class:`QATModule`."""

    def forward(self, inp):
        w_qat = self.apply_quant_weight(self.weight)
        b_qat = self.apply_quant_bias(self.bias, inp, w_qat)
        return self.apply_quant_activation(self._calc_linear(inp, w_qat, b_qat))

    @classmethod
    def from_float_module(cls, float_module: Float.BatchMatMulActivation):
        """The layer of a float one; they share parameters."""
        m = float_module
        out = cls(m.batch, m.in_features, m.out_features, m.bias is not None, m.nonlinear_mode, name=m.name)
        out.weight, out.bias = m.weight, m.bias
        return out
