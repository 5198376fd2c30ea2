"""Joining quantized tensors."""

from typing import Iterable

from ...functional import concat
from ...tensor import Tensor
from ..qat import concat as QAT
from .module import QuantizedModule


class Concat(QuantizedModule):
    """Joins tensors after converting them to one quantized type."""

    def __init__(self, dtype=None, **kwargs):
        super().__init__(**kwargs)
        self.output_dtype = dtype

    def forward(self, inps: Iterable[Tensor], axis: int = 0):
        return concat(tuple(x.astype(self.output_dtype) for x in inps), axis)

    @classmethod
    def from_qat_module(cls, qat_module: QAT.Concat):
        """The layer of a QAT one."""
        return cls(qat_module.get_activation_dtype(), name=qat_module.name)
