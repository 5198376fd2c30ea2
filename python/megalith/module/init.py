"""Functions that fill tensors with first values."""

import math
from typing import Optional, Tuple, Union

import numpy as np

from .. import _core, _ops
from .._errors import ArgumentError
from ..functional._compose import full, int_vector
from ..tensor import Tensor


def _size(tensor):
    shape = tensor._tuple_shape
    return int_vector(shape if len(shape) else (1,))


def _fill(tensor, value):
    value = value if value._dtype == tensor._dtype else _core.astype(value, tensor._dtype)
    tensor._reset(value._with_scalar(tensor._scalar))


def fill_(tensor: Tensor, val: Union[float, int]) -> None:
    """Sets every element to ``val``.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> x = mge.Tensor([0.0, 0.0])
        >>> M.init.fill_(x, 3)
        >>> x
        Tensor([3. 3.], device=xpux:0)
    """
    _fill(tensor, full(tensor._tuple_shape, val, tensor.dtype))


def zeros_(tensor: Tensor) -> None:
    """Sets every element to 0.

    Examples:
        >>> import megalith as mge
        >>> from megalith.module import init
        >>> import numpy as np
        >>> w = mge.Tensor(np.ones((3, 4), "float32"))
        >>> init.zeros_(w)
        >>> float(w.sum().item())
        0.0
    """
    fill_(tensor, 0)


def ones_(tensor: Tensor) -> None:
    """Sets every element to 1.

    Examples:
        >>> import megalith as mge
        >>> from megalith.module import init
        >>> import numpy as np
        >>> w = mge.Tensor(np.ones((3, 4), "float32"))
        >>> init.ones_(w)
        >>> float(w.sum().item())
        12.0
    """
    fill_(tensor, 1)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> None:
    """Draws every element between ``a`` and ``b``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.zeros(100, "float32"))
        >>> M.init.uniform_(x, 2, 3)
        >>> bool(x.numpy().min() >= 2 and x.numpy().max() <= 3)
        True
    """
    _fill(tensor, _ops.UniformRNG(_size(tensor)) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> None:
    """Draws every element from a normal distribution.

    Examples:
        >>> import megalith as mge
        >>> from megalith.module import init
        >>> import numpy as np
        >>> w = mge.Tensor(np.ones((3, 4), "float32"))
        >>> init.normal_(w)
        >>> w.shape
        (3, 4)
    """
    _fill(tensor, _ops.GaussianRNG(_size(tensor), mean=float(mean), std=float(std)))


_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
)


def calculate_gain(nonlinearity: str, param: Optional[Union[int, float]] = None) -> float:
    """What a nonlinearity divides the deviation of its input by.

    Args:
        nonlinearity: ``linear``, a convolution, ``sigmoid``, ``tanh``, ``relu`` or ``leaky_relu``.
        param: slope of ``leaky_relu``, 0.01 by default.

    Raises:
        ValueError: an unknown nonlinearity or a slope that is no number.

    Examples:
        >>> import megalith.module as M
        >>> M.init.calculate_gain("relu") ** 2
        2.0000000000000004
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        if isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ArgumentError(f"the slope of leaky_relu is a number, not {type(param).__name__}")
        return math.sqrt(2.0 / (1 + param**2))
    raise ArgumentError(f"there is no gain for {nonlinearity!r}")


def calculate_fan_in_and_fan_out(tensor: Tensor) -> Tuple[float, float]:
    """How many inputs an output of a weight has, and how many outputs an input.

    Raises:
        ValueError: the tensor has less than 2 dimensions.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.init.calculate_fan_in_and_fan_out(mge.Tensor(np.zeros((4, 2, 3, 3))))
        (18, 36)
    """
    shape = tuple(int(s) for s in tensor._tuple_shape)
    if len(shape) < 2:
        raise ArgumentError(f"a tensor of shape {shape} has no fan_in and fan_out: it has less than 2 dimensions")
    if len(shape) >= 5:  # groups come first
        shape = shape[1:]
    field = int(np.prod(shape[2:])) if len(shape) > 2 else 1
    return shape[1] * field, shape[0] * field


def calculate_correct_fan(tensor: Tensor, mode: str) -> float:
    """One of the two fans, by ``fan_in`` or ``fan_out``.

    Examples:
        >>> import numpy as np, megalith as mge
        >>> from megalith.module import init
        >>> init.calculate_correct_fan(mge.Tensor(np.zeros((3, 4), "float32")), "fan_in")
        4
    """
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"mode is {mode!r}, expected 'fan_in' or 'fan_out'")
    return calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> None:
    """Draws uniformly with deviation `gain * sqrt(2 / (fan_in + fan_out))`.

    Examples:
        >>> import megalith as mge
        >>> from megalith.module import init
        >>> import numpy as np
        >>> w = mge.Tensor(np.ones((3, 4), "float32"))
        >>> init.xavier_uniform_(w)
        >>> bool((abs(w.numpy()) <= (6 / 7) ** 0.5).all())
        True
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / float(fan_in + fan_out))
    uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> None:
    """Draws normally with deviation `gain * sqrt(2 / (fan_in + fan_out))`.

    Examples:
        >>> import megalith as mge
        >>> from megalith.module import init
        >>> import numpy as np
        >>> w = mge.Tensor(np.ones((3, 4), "float32"))
        >>> init.xavier_normal_(w)
        >>> w.shape
        (3, 4)
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)))


def msra_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> None:
    """Draws uniformly with deviation `gain / sqrt(fan)`.

    Args:
        a: slope of ``leaky_relu``.
        mode: which fan counts, ``fan_in`` or ``fan_out``.
        nonlinearity: see :func:`calculate_gain`.

    Examples:
        >>> import megalith as mge
        >>> from megalith.module import init
        >>> import numpy as np
        >>> w = mge.Tensor(np.ones((3, 4), "float32"))
        >>> init.msra_uniform_(w)
        >>> bool((abs(w.numpy()) <= (6 / 4) ** 0.5).all())
        True
    """
    std = calculate_gain(nonlinearity, a) / math.sqrt(calculate_correct_fan(tensor, mode))
    uniform_(tensor, -math.sqrt(3.0) * std, math.sqrt(3.0) * std)


def msra_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> None:
    """Draws normally with deviation `gain / sqrt(fan)`; arguments as in :func:`msra_uniform_`.

    Examples:
        >>> import megalith as mge
        >>> from megalith.module import init
        >>> import numpy as np
        >>> w = mge.Tensor(np.ones((3, 4), "float32"))
        >>> init.msra_normal_(w)
        >>> w.shape
        (3, 4)
    """
    normal_(tensor, 0, calculate_gain(nonlinearity, a) / math.sqrt(calculate_correct_fan(tensor, mode)))
