"""Elementwise ops as modules."""

from .._core import OpError
from ..functional._compose import MODES, elwise
from .module import Module


class Elemwise(Module):
    """An elementwise op by its name; a module so that quantization can see it.

    Args:
        method: such as ``"add"``, ``"mul"`` or ``"fuse_add_relu"``.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> M.Elemwise("add")(mge.Tensor([1.0]), mge.Tensor([2.0]))
        Tensor([3.], device=xpux:0)
    """

    def __init__(self, method, **kwargs):
        super().__init__(**kwargs)
        self.method = method

    def forward(self, *inps):
        name = str(getattr(self.method, "name", self.method)).upper()
        if name not in MODES:
            raise OpError(f"Elemwise: there is no function {self.method!r}")
        return elwise(name, *inps)
