"""A quantized matrix of weights for every element of a batch."""

import numpy as np

from ... import module as Float
from ...functional import expand_dims, squeeze
from ...functional.quantized import batch_conv_bias_activation
from ...tensor import Parameter
from ..qat import batch_matmul_activation as QAT
from .module import QuantizedModule, bias_dtype, quantized_parameter


class BatchMatMulActivation(Float.BatchMatMulActivation, QuantizedModule):
    """:class:`megalith.module.qat.BatchMatMulActivation` with integers."""

    def __init__(
        self,
        batch: int,
        in_features: int,
        out_features: int,
        bias: bool = True,
        nonlinear_mode="identity",
        dtype=None,
        **kwargs,
    ):
        super().__init__(batch, in_features, out_features, bias, nonlinear_mode, **kwargs)
        self.output_dtype = dtype

    def calc_bmm_quantized(self, inp):
        """The product as a convolution of 1x1 images."""
        out = batch_conv_bias_activation(
            expand_dims(inp, [-1]),
            self.weight,
            self.bias.astype(bias_dtype(inp, self.weight)),
            dtype=self.output_dtype,
            nonlinear_mode=self.nonlinear_mode,
        )
        return squeeze(out, -1)

    @classmethod
    def from_qat_module(cls, qat_module: QAT.BatchMatMulActivation):
        """The layer of a QAT one."""
        m = qat_module
        out = cls(m.batch, m.in_features, m.out_features, m.bias is not None, m.nonlinear_mode,
                  dtype=m.get_activation_dtype(), name=m.name)  # fmt: skip
        out.weight = quantized_parameter(expand_dims(m.weight, [-1, -2]), m, m.weight)
        shape = (1, out.out_features, 1, 1)
        if m.bias is None:
            out.bias = Parameter(np.zeros(shape, dtype=np.float32))
        else:
            out.bias = Parameter(m.bias.numpy().reshape(shape), name=m.bias.name)
        return out

    def forward(self, inp):
        return self.calc_bmm_quantized(inp)
