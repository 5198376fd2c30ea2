"""Local response normalization."""

from ..functional.nn import local_response_norm
from .module import Module


class LocalResponseNorm(Module):
    """:func:`megalith.functional.local_response_norm` with fixed parameters.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((1, 6, 4, 4), "float32"))
        >>> M.LocalResponseNorm()(x).shape
        (1, 6, 4, 4)
    """

    def __init__(self, kernel_size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.k = k
        self.alpha = alpha
        self.beta = beta

    def forward(self, inp):
        return local_response_norm(inp, self.kernel_size, self.k, self.alpha, self.beta)
