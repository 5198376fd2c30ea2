"""Memory formats of images."""

from copy import deepcopy

from ..module import Module
from ..tensor import Tensor


def convert_tensor_format(x: Tensor, inplace: bool = True):
    """Marks a tensor of 4 or 5 dimensions as ``nhwc``; kernels here choose their layout themselves.

    Args:
        inplace: whether to mark ``x`` itself or a copy.

    Returns:
        The marked tensor; others as they are.

    Examples:
        >>> import numpy as np, megalith as mge
        >>> x = mge.Tensor(np.zeros((1, 2, 3, 4), "float32"))
        >>> mge.amp.convert_tensor_format(x).format
        'nhwc'
    """
    if x.ndim not in (4, 5) or x.format == "nhwc":
        return x
    if inplace:
        x.format = "nhwc"
        return x
    return Tensor(x.numpy(), dtype=x.dtype, format="nhwc")


def convert_module_format(module: Module, inplace: bool = True):
    """Marks all tensors of a module, see :func:`convert_tensor_format`.

    Args:
        inplace: whether to mark ``module`` itself or a copy.

    Returns:
        The module.
    """
    if not inplace:
        module = deepcopy(module)
    for tensor in module.tensors():
        convert_tensor_format(tensor, inplace=True)
    return module
