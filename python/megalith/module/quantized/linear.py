"""Quantized linear layers."""

import numpy as np

from ...functional.nn import linear, relu
from ...tensor import Parameter
from ..qat import linear as QAT
from .module import QuantizedModule, bias_dtype, quantized_parameter


class Linear(QuantizedModule):
    """:class:`megalith.module.Linear` of quantized tensors.

    Args:
        dtype: type of the result.
    """

    def __init__(self, dtype: np.dtype = None, **kwargs):
        super().__init__(**kwargs)
        self.weight = None
        self.bias = None
        self.output_dtype = dtype

    def calc_linear_quantized(self, inp, nonlinear_mode="identity"):
        """Product, bias and activation."""
        assert nonlinear_mode in ("identity", "relu"), f"Linear: nonlinear_mode is {nonlinear_mode!r}"
        bias = None if self.bias is None else self.bias.astype(bias_dtype(inp, self.weight))
        out = linear(inp, self.weight, bias)
        if self.output_dtype is not None:
            out = out.astype(self.output_dtype)
        return relu(out) if nonlinear_mode == "relu" else out

    def forward(self, inp):
        return self.calc_linear_quantized(inp)

    @classmethod
    def _of(cls, layer, qat_module, weight, bias):
        out = cls(dtype=qat_module.get_activation_dtype(), name=qat_module.name)
        out.weight = quantized_parameter(weight, qat_module, layer.weight)
        if bias is not None:
            out.bias = Parameter(bias.numpy(), name=None if layer.bias is None else layer.bias.name)
        return out

    @classmethod
    def from_qat_module(cls, qat_module: QAT.Linear):
        """The layer of a QAT one."""
        return cls._of(qat_module, qat_module, qat_module.weight, qat_module.bias)


class LinearRelu(Linear):
    """:class:`Linear` and ReLU."""

    def forward(self, inp):
        return self.calc_linear_quantized(inp, nonlinear_mode="relu")
