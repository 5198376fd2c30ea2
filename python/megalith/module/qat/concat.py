"""Joining tensors, for quantization-aware training."""

from typing import Iterable

from ...tensor import Tensor
from .. import concat as Float
from .module import QATModule


class Concat(Float.Concat, QATModule):
    """:class:`megalith.module.Concat` as a :class:`QATModule`."""

    def forward(self, inps: Iterable[Tensor], axis: int = 0):
        return self.apply_quant_activation(super().forward(inps, axis))

    @classmethod
    def from_float_module(cls, float_module):
        """The layer of a float one."""
        return cls(name=float_module.name)
