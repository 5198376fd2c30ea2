"""Dropout."""

from ..functional.nn import dropout
from .module import Module


class Dropout(Module):
    """Sets elements to zero with probability ``drop_prob`` while training, and scales the others.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> m = M.Dropout(0.5)
        >>> m.eval()
        >>> m(mge.Tensor([1.0]))
        Tensor([1.], device=xpux:0)
    """

    def __init__(self, drop_prob=0.0, **kwargs):
        super().__init__(**kwargs)
        self.drop_prob = drop_prob

    def forward(self, inputs):
        return dropout(inputs, self.drop_prob, training=True) if self.training else inputs

    def _module_info_string(self) -> str:
        return f"drop_prob={self.drop_prob}"
