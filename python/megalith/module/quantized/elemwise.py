"""Elementwise ops on quantized tensors."""

from ...functional.elemwise import _elemwise_multi_type
from ..qat import elemwise as QAT
from .module import QuantizedModule


class Elemwise(QuantizedModule):
    """An elementwise op on quantized tensors.

    Args:
        method: name of the op on floats.
        dtype: type of the result.
    """

    def __init__(self, method, dtype=None, **kwargs):
        super().__init__(**kwargs)
        self.method = "q" + str(getattr(method, "name", method)).lower()
        self.output_dtype = dtype

    def forward(self, *inps):
        return _elemwise_multi_type(*inps, mode=self.method, dtype=self.output_dtype)

    @classmethod
    def from_qat_module(cls, qat_module: QAT.Elemwise):
        """The layer of a QAT one."""
        return cls(qat_module.method, qat_module.get_activation_dtype(), name=qat_module.name)
