"""Linear layers."""

import numpy as np

from ..functional.nn import linear, relu
from ..tensor import Parameter
from . import init
from .module import Module


class Linear(Module):
    """`x @ weight.T + bias`.

    Args:
        in_features, out_features: size of each input and result.
        bias: whether there is a bias.
        compute_mode: ``float32`` accumulates float16 in float32.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.Linear(2, 3)(mge.Tensor(np.zeros((5, 2), "float32"))).shape
        (5, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        compute_mode: str = "default",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.out_features = out_features
        self.in_features = in_features
        self.weight = Parameter(np.zeros((out_features, in_features), dtype=np.float32))
        self.bias = Parameter(np.zeros((out_features,), dtype=np.float32)) if bias else None
        self.compute_mode = compute_mode
        self.reset_parameters()

    def _get_fanin(self):
        return self.in_features

    def reset_parameters(self) -> None:
        """Draws new weights."""
        init.normal_(self.weight, 0.0, np.sqrt(1 / self._get_fanin()))
        if self.bias is not None:
            init.zeros_(self.bias)

    def calc_linear(self, x, weight, bias):
        """The layer with other weights."""
        return linear(x, weight, bias, compute_mode=self.compute_mode)

    def forward(self, x):
        return self.calc_linear(x, self.weight, self.bias)

    def _module_info_string(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class LinearRelu(Linear):
    """:class:`Linear` and ReLU, which quantization fuses.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((5, 3), "float32"))
        >>> M.LinearRelu(3, 4)(x).shape
        (5, 4)
    """

    def forward(self, inp):
        return relu(self.calc_linear(inp, self.weight, self.bias))
