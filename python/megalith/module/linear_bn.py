"""Linear layers with batch normalization, as quantization fuses them."""

import numpy as np

from ..functional.nn import relu
from ..tensor import Parameter
from .batchnorm import BatchNorm1d
from .linear import Linear
from .module import Module


class _LinearBnActivation1d(Module):
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        compute_mode: str = "default",
        eps=1e-5,
        momentum=0.9,
        affine=True,
        track_running_stats=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.out_features = out_features
        self.in_features = in_features
        # MegEngine's state dicts have it; nothing computes with it.
        self.bias = Parameter(np.zeros((out_features,), dtype=np.float32)) if bias else None
        self.linear = Linear(in_features, out_features, bias, compute_mode, **kwargs)
        self.bn = BatchNorm1d(out_features, eps, momentum, affine, track_running_stats)


class LinearBn1d(_LinearBnActivation1d):
    """:class:`Linear` and :class:`BatchNorm1d`, which quantization fuses.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((5, 3), "float32"))
        >>> M.LinearBn1d(3, 4)(x).shape
        (5, 4)
    """

    def forward(self, inp):
        return self.bn(self.linear(inp))


class LinearBnRelu1d(_LinearBnActivation1d):
    """:class:`Linear`, :class:`BatchNorm1d` and ReLU, which quantization fuses.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((5, 3), "float32"))
        >>> M.LinearBnRelu1d(3, 4)(x).shape
        (5, 4)
    """

    def forward(self, inp):
        return relu(self.bn(self.linear(inp)))
