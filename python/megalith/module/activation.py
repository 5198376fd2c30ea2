"""Activations."""

import numpy as np

from ..functional.nn import gelu, leaky_relu, prelu, relu, sigmoid, silu, softmax
from ..tensor import Parameter
from .module import Module


class Softmax(Module):
    """:func:`megalith.functional.softmax` over ``axis``; by default the axis of channels.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> M.Softmax()(mge.Tensor([[0.0, 0.0]]))
        Tensor([[0.5 0.5]], device=xpux:0)
    """

    def __init__(self, axis=None, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def forward(self, inputs):
        return softmax(inputs, self.axis)

    def _module_info_string(self) -> str:
        return f"axis={self.axis}"


class Sigmoid(Module):
    """`1 / (1 + exp(-x))`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.Sigmoid()(mge.Tensor([0.0])).numpy()
        array([0.5], dtype=float32)
    """

    def forward(self, inputs):
        return sigmoid(inputs)


class SiLU(Module):
    """`x * sigmoid(x)`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.SiLU()(mge.Tensor([0.0, 10.0])).numpy().round(3)
        array([ 0., 10.], dtype=float32)
    """

    def forward(self, inputs):
        return silu(inputs)


class GELU(Module):
    """:func:`megalith.functional.gelu`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3), "float32"))
        >>> M.GELU()(x).shape
        (2, 3)
    """

    def forward(self, inputs):
        return gelu(inputs)


class ReLU(Module):
    """`max(x, 0)`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.ReLU()(mge.Tensor([-1.0, 2.0])).numpy()
        array([0., 2.], dtype=float32)
    """

    def forward(self, x):
        return relu(x)


class PReLU(Module):
    """`max(x, 0) + weight * min(x, 0)` with a learned weight.

    Args:
        num_parameters: 1, or the number of channels for a weight of each.
        init: first value of the weight.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.PReLU()(mge.Tensor([-1.0, 2.0])).numpy()
        array([-0.25,  2.  ], dtype=float32)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, **kwargs):
        super().__init__(**kwargs)
        self.num_parameters = num_parameters
        shape = (1, num_parameters, 1, 1) if num_parameters > 1 else (1,)
        self.weight = Parameter(np.full(shape, init, dtype=np.float32))

    def forward(self, inputs):
        return prelu(inputs, self.weight)


class LeakyReLU(Module):
    """`x` where it is positive, ``negative_slope * x`` elsewhere.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.LeakyReLU(0.1)(mge.Tensor([-1.0, 2.0])).numpy()
        array([-0.1,  2. ], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.01, **kwargs):
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def forward(self, inputs):
        return leaky_relu(inputs, self.negative_slope)
