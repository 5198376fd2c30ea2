"""Where quantization begins and ends, for quantization-aware training."""

from .. import quant_dequant as Float
from .module import QATModule


class QuantStub(Float.QuantStub, QATModule):
    """Fake-quantizes its input; becomes the conversion to a quantized type."""

    with_weight = False

    def forward(self, inp):
        return self.apply_quant_activation(inp)

    @classmethod
    def from_float_module(cls, float_module: Float.QuantStub):
        """The layer of a float one."""
        return cls(name=float_module.name)


class DequantStub(Float.DequantStub, QATModule):
    """Its input; becomes the conversion to floats."""

    with_weight = False
    with_act = False

    def forward(self, inp):
        return inp

    @classmethod
    def from_float_module(cls, float_module: Float.DequantStub):
        """The layer of a float one."""
        return cls(name=float_module.name)
