"""Elementwise ops for quantization-aware training."""

from .. import elemwise as Float
from .module import QATModule


class Elemwise(Float.Elemwise, QATModule):
    """:class:`megalith.module.Elemwise` as a :class:`QATModule`."""

    with_weight = False

    def forward(self, *inps):
        return self.apply_quant_activation(super().forward(*inps))

    @classmethod
    def from_float_module(cls, float_module: Float.Elemwise):
        """The layer of a float one."""
        return cls(float_module.method, name=float_module.name)
