"""A matrix of weights for every element of a batch."""

import numpy as np

from .. import _ops
from ..functional.nn import relu
from ..tensor import Parameter
from . import init
from .module import Module


class BatchMatMulActivation(Module):
    """`weight @ x + bias`, then perhaps ReLU, with a matrix of its own for every element of the batch.

    Args:
        batch: size of the batch.
        in_features, out_features: sizes of the matrices.
        bias: whether there is a bias.
        nonlinear_mode: ``identity`` or ``relu``.
    """

    def __init__(
        self, batch: int, in_features: int, out_features: int, bias: bool = True, nonlinear_mode="identity", **kwargs
    ):
        super().__init__(**kwargs)
        self.batch = batch
        self.out_features = out_features
        self.in_features = in_features
        self.weight = Parameter(np.zeros((batch, out_features, in_features), dtype=np.float32))
        self.bias = Parameter(np.zeros((out_features,), dtype=np.float32)) if bias else None
        self.nonlinear_mode = nonlinear_mode.lower()
        self.reset_parameters()

    def _get_fanin(self):
        return self.in_features

    def reset_parameters(self) -> None:
        """Draws new weights."""
        init.normal_(self.weight, 0.0, np.sqrt(1 / self._get_fanin()))
        if self.bias is not None:
            init.zeros_(self.bias)

    def _calc_linear(self, x, weight, bias):
        out = _ops.BatchedMatrixMul(weight, x)
        if bias is not None:
            out = out + bias
        return relu(out) if self.nonlinear_mode == "relu" else out

    def forward(self, x):
        return self._calc_linear(x, self.weight, self.bias)

    def _module_info_string(self) -> str:
        sizes = f"batch={self.batch}, in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"
