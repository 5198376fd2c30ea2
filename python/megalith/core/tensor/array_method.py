"""Operators and methods that Tensors and graph variables share."""

import numpy as np

from ... import _core

_M = _core.elemwise_modes
_elemwise = _core.elemwise


def _unary(mode):
    number = _M[mode]
    return lambda self: _elemwise(number, self)


def _binary(mode, reverse=False):
    number = _M[mode]

    def forward(self, value):
        return _elemwise(number, self, value)

    def backward(self, value):
        return _elemwise(number, value, self)

    return backward if reverse else forward


def _logic(mode, reverse=False):
    number = _M[mode]

    def f(self, value):
        for v in (self, value):
            if isinstance(v, ArrayMethodMixin) and v.dtype != np.bool_:
                raise TypeError(f"{mode} takes bool tensors, not {v.dtype}")
        return _elemwise(number, value, self) if reverse else _elemwise(number, self, value)

    return f


def _inplace(mode):
    number = _M[mode]

    def f(self, value):
        self._reset(_elemwise(number, self, value))
        return self

    return f


def _operand(value):
    return value if isinstance(value, _core.TensorBase) else _core.convert_inputs(value)[0]


class ArrayMethodMixin:
    """Arithmetic, comparison, indexing and reductions."""

    __slots__ = ()
    __array_priority__ = 1001  # numpy_array + tensor calls the Tensor's operator

    __hash__ = None

    __lt__ = _binary("LT")
    __le__ = _binary("LEQ")
    __gt__ = _binary("LT", reverse=True)
    __ge__ = _binary("LEQ", reverse=True)
    __eq__ = _binary("EQ")
    __ne__ = _binary("NEQ")

    __neg__ = _unary("NEGATE")
    __abs__ = _unary("ABS")

    def __pos__(self):
        return self

    __add__ = _binary("ADD")
    __sub__ = _binary("SUB")
    __mul__ = _binary("MUL")
    __floordiv__ = _binary("FLOOR_DIV")
    __truediv__ = _binary("TRUE_DIV")
    __mod__ = _binary("MOD")
    __radd__ = _binary("ADD", reverse=True)
    __rsub__ = _binary("SUB", reverse=True)
    __rmul__ = _binary("MUL", reverse=True)
    __rfloordiv__ = _binary("FLOOR_DIV", reverse=True)
    __rtruediv__ = _binary("TRUE_DIV", reverse=True)
    __rmod__ = _binary("MOD", reverse=True)

    __iadd__ = _inplace("ADD")
    __isub__ = _inplace("SUB")
    __imul__ = _inplace("MUL")
    __ifloordiv__ = _inplace("FLOOR_DIV")
    __itruediv__ = _inplace("TRUE_DIV")
    __imod__ = _inplace("MOD")

    __pow__ = _binary("POW")
    __rpow__ = _binary("POW", reverse=True)
    __ipow__ = _inplace("POW")

    __lshift__ = _binary("SHL")
    __rshift__ = _binary("SHR")
    __ilshift__ = _inplace("SHL")
    __irshift__ = _inplace("SHR")

    __and__ = _logic("AND")
    __or__ = _logic("OR")
    __xor__ = _logic("XOR")
    __rand__ = _logic("AND", reverse=True)
    __ror__ = _logic("OR", reverse=True)
    __rxor__ = _logic("XOR", reverse=True)

    def __invert__(self):
        if self.dtype != np.bool_:
            raise TypeError(f"~ takes bool tensors, not {self.dtype}")
        return _elemwise(_M["NOT"], self)

    def __matmul__(self, value):
        return _core.matmul(self, _operand(value), False, False, "default")

    def __rmatmul__(self, value):
        return _core.matmul(_operand(value), self, False, False, "default")

    def __getitem__(self, index):
        return _core.getitem(self, index)

    def __setitem__(self, index, value):
        self._reset(_core.setitem(self, index, value))

    def __contains__(self, value):
        return bool(np.any(self.numpy() == np.asarray(value)))

    def __len__(self):
        shape = self.shape
        if not shape:
            raise TypeError("len() of a scalar tensor")
        return int(shape[0])

    def __iter__(self):
        if not self.shape:
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
        return value

    def __float__(self):
        return float(self.item())

    def __complex__(self):
        return complex(self.item())

    def __round__(self):
        return _elemwise(_M["ROUND"], self)

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
            raise ValueError(f"item() of a tensor of shape {tuple(self.shape)}; it has {self.size} elements")
        return self.numpy().item()

    def tolist(self):
        """Nested lists of Python numbers."""
        return self.numpy().tolist()

    def astype(self, dtype):
        """The values as another element type."""
        from .dtype import to_native

        return _core.astype(self, to_native(dtype))

    def reshape(self, *args):
        """The same elements in another shape; one dimension may be -1."""
        return _core.reshape(self, *args)

    def transpose(self, *args):
        """Axes in another order; reversed without arguments."""
        return _core.transpose(self, *args)

    def _broadcast(self, *args):
        return _core.broadcast(self, *args)

    def flatten(self, start_axis: int = 0, end_axis: int = -1):
        """The axes from ``start_axis`` to ``end_axis``, both included, as one."""
        shape = self.shape
        start = start_axis + len(shape) if start_axis < 0 else start_axis
        tail = () if end_axis == -1 else tuple(shape[end_axis + 1 :])
        return _core.reshape(self, *shape[:start], -1, *tail) if 0 not in shape else self._flatten_empty(start, tail)

    def _flatten_empty(self, start, tail):
        shape = self.shape
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
