"""Identity."""

from .. import _ops
from .module import Module


class Identity(Module):
    """Its input."""

    def forward(self, x):
        return _ops.Copy(x)._with_scalar(x._scalar)
