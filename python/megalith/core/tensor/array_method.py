"""Operators and methods that Tensors and graph variables share."""

import numpy as np

from ... import _core
from .._trace_option import sizes


def _operand(value):
    return value if isinstance(value, _core.TensorBase) else _core.convert_inputs(value)[0]


def _elwise(*args, mode):
    """An elementwise call by its name."""
    return _core.elemwise(_core.elemwise_modes[str(getattr(mode, "name", mode)).upper()], *args)


class ArrayMethodMixin:
    """Conversions and reductions; operators, indexing and ``reshape`` are native: ``_core.TensorBase``."""

    __slots__ = ()
    __array_priority__ = 1001  # numpy_array + tensor calls the Tensor's operator

    __hash__ = None

    def __pos__(self):
        return self

    def __matmul__(self, value):
        return _core.matmul(self, _operand(value), False, False, "default")

    def __rmatmul__(self, value):
        return _core.matmul(_operand(value), self, False, False, "default")

    def __imatmul__(self, value):
        self._reset(self @ value)
        return self

    def __contains__(self, value):
        return bool(np.any(self.numpy() == np.asarray(value)))

    def __len__(self):
        shape = self._tuple_shape
        if not shape:
            raise TypeError("len() of a scalar tensor")
        return int(shape[0])

    def __iter__(self):
        if not self._tuple_shape:
            raise TypeError("iteration over a scalar tensor")
        for i in range(len(self)):
            yield self[i]

    def __bool__(self):
        return bool(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        value = self.item()
        if not isinstance(value, int):
            raise TypeError(f"a tensor of {self.dtype} is no index")
        return int(value)

    def __float__(self):
        return float(self.item())

    def __complex__(self):
        return complex(self.item())

    def __array__(self, dtype=None, copy=None):
        a = self.numpy()
        return a if dtype is None else a.astype(dtype)

    @property
    def T(self):
        """All axes in reverse order."""
        return self.transpose()

    def item(self, *args):
        """The only element (or the one at an index) as a Python number."""
        if args:
            return self.numpy().item(*args)
        if self.size != 1:
            raise _core.ArgumentError(
                f"item() of a tensor of shape {tuple(self._tuple_shape)}; it has {self.size} elements"
            )
        return self.numpy().item()

    def tolist(self):
        """Nested lists of Python numbers."""
        return self.numpy().tolist()

    def astype(self, dtype):
        """The values as another element type."""
        from .dtype import _LARGEST, to_native

        native = to_native(dtype)
        if native[0] in _LARGEST or (not self._is_graph and self._dtype_id in _LARGEST):
            raise _core.OpError(f"astype: there is no conversion from {self.dtype} to {np.dtype(dtype)}")
        return _core.astype(self, native)

    def flatten(self, start_axis: int = 0, end_axis: int = -1):
        """The axes from ``start_axis`` to ``end_axis``, both included, as one."""
        shape = self._tuple_shape
        start = start_axis + len(shape) if start_axis < 0 else start_axis
        if 0 in shape:
            return self._flatten_empty(start, () if end_axis == -1 else tuple(shape[end_axis + 1 :]))
        shape = sizes(self)
        return _core.reshape(self, *shape[:start], -1, *(() if end_axis == -1 else shape[end_axis + 1 :]))

    def _flatten_empty(self, start, tail):
        shape = self._tuple_shape
        middle = int(np.prod(shape[start : len(shape) - len(tail)], dtype=np.int64))
        return _core.reshape(self, *shape[:start], middle, *tail)

    def sum(self, axis=None, keepdims: bool = False):
        """Sum over ``axis``, or over all axes."""
        return _core.reduce("sum", self, axis, keepdims)

    def prod(self, axis=None, keepdims: bool = False):
        """Product over ``axis``, or over all axes."""
        return _core.reduce("prod", self, axis, keepdims)

    def min(self, axis=None, keepdims: bool = False):
        """Smallest element over ``axis``, or over all axes."""
        return _core.reduce("min", self, axis, keepdims)

    def max(self, axis=None, keepdims: bool = False):
        """Largest element over ``axis``, or over all axes."""
        return _core.reduce("max", self, axis, keepdims)

    def mean(self, axis=None, keepdims: bool = False):
        """Mean over ``axis``, or over all axes."""
        return _core.reduce("mean", self, axis, keepdims)
