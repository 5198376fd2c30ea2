"""Conversions that MegEngine's functions start with."""

import numpy as np

from ... import _core


def isscalar(x) -> bool:
    """Whether ``x`` is a number or a Tensor of shape ``()``."""
    return bool(x._scalar) if isinstance(x, _core.TensorBase) else np.isscalar(x)


def make_shape_tuple(shape) -> tuple:
    """Nested numbers and Tensors as one flat tuple of sizes."""
    flat = []

    def add(item):
        if isinstance(item, (list, tuple)):
            for one in item:
                add(one)
        elif isinstance(item, _core.TensorBase):
            add(item.numpy())
        elif isinstance(item, np.ndarray):
            flat.extend(int(i) for i in item.reshape(-1))
        else:
            flat.append(item)

    add(shape)
    return tuple(flat)


def astensor1d(x, *reference, dtype=None, device=None):
    """A Tensor with one axis of numbers, an array or a sequence of numbers and Tensors; Tensors are returned as they are.

    Args:
        x: what to convert.
        reference: Tensors or graph variables; where one is a graph variable, so is the result.
        dtype: element type, by default the one of the elements.
    """
    from ...functional.tensor import concat
    from ...tensor import Tensor

    if isinstance(x, _core.TensorBase):
        return x
    if isinstance(x, np.ndarray):
        if x.ndim != 1:
            raise ValueError(f"astensor1d takes one axis, not an array of shape {x.shape}")
        return Tensor(x, dtype=dtype, device=device)
    x = list(x) if hasattr(x, "__iter__") else [x]
    if not any(isinstance(i, _core.TensorBase) for i in x):
        array = np.asarray(x, dtype=dtype if dtype is None else np.dtype(dtype))
        if array.ndim != 1:
            raise ValueError(f"astensor1d takes one axis, not values of shape {array.shape}")
        return Tensor(array, dtype=dtype, device=device)
    parts = [i if isinstance(i, _core.TensorBase) else Tensor(i) for i in x]
    out = concat([p.reshape(-1) if p.ndim != 1 or p._scalar else p for p in parts])
    return out if dtype is None else out.astype(dtype)


def get_convert_inputs() -> bool:
    """Whether operands of different types are promoted: always."""
    return True


def convert_inputs(*args, device=None) -> tuple:
    """Operands as Tensors of one element type."""
    return tuple(_core.convert_inputs(*args))


def result_type(*args) -> np.dtype:
    """NumPy's common type of Tensors, dtypes and numbers."""
    return np.result_type(*(a.dtype if isinstance(a, _core.TensorBase) else a for a in args))
