"""A check of the library itself: no call may change the tensors that it reads."""

from ..core._imperative_rt.utils import TensorSanityCheckImpl


class TensorSanityCheck:
    """While it lasts, each call compares its inputs before and after; one that changed is an error.

    Examples:
        >>> import megalith as mge
        >>> from megalith.utils.tensor_sanity_check import TensorSanityCheck
        >>> with TensorSanityCheck():
        ...     x = mge.Tensor([1, 2]) + 3
    """

    def __init__(self):
        self.impl = TensorSanityCheckImpl()

    def __enter__(self):
        self.impl.enable()
        return self

    def __exit__(self, *exc):
        self.impl.disable()
