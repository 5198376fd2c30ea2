"""Where quantization begins and ends."""

from .module import Module


class QuantStub(Module):
    """Its input; quantization turns it into a conversion to a quantized type.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3), "float32"))
        >>> M.QuantStub()(x) is x
        True
    """

    def forward(self, inp):
        return inp


class DequantStub(Module):
    """Its input; quantization turns it into a conversion to floating point.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3), "float32"))
        >>> M.DequantStub()(x) is x
        True
    """

    def forward(self, inp):
        return inp
