"""Linear layers for quantization-aware training."""

from ...functional.nn import relu
from .. import linear as Float
from .module import QATModule


class Linear(Float.Linear, QATModule):
    """:class:`megalith.module.Linear` as a :class:`QATModule`."""

    def calc_linear_qat(self, inp):
        """The layer with fake-quantized weight and bias."""
        w_qat = self.apply_quant_weight(self.weight)
        b_qat = self.apply_quant_bias(self.bias, inp, w_qat)
        return self.calc_linear(inp, w_qat, b_qat)

    def forward(self, inp):
        return self.apply_quant_activation(self.calc_linear_qat(inp))

    @classmethod
    def from_float_module(cls, float_module: Float.Linear):
        """The layer of a float one; they share parameters."""
        m = float_module
        out = cls(m.in_features, m.out_features, m.bias is not None, m.compute_mode, name=m.name)
        out.weight, out.bias = m.weight, m.bias
        return out


class LinearRelu(Linear):
    """:class:`megalith.module.LinearRelu` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(relu(self.calc_linear_qat(inp)))
