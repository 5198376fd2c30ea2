"""Elementwise functions. Operands are Tensors, numbers or arrays; they broadcast, and their types are promoted as
MegEngine does: integers widen, integers mixed with floats give float32, float functions of integers give float32."""

from .. import _core, _ops
from ..core.tensor.array_method import _elwise  # noqa: F401
from ..core.tensor.dtype import to_native
from ..tensor import Tensor

__all__ = ["abs", "add", "acos", "asin", "atan", "atan2", "asinh", "acosh", "atanh", "ceil", "clip", "cos", "cosh",
           "div", "equal", "exp", "expm1", "floor", "floor_div", "greater", "greater_equal", "left_shift", "less",
           "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or", "logical_xor", "logaddexp",
           "maximum", "minimum", "mod", "mul", "neg", "not_equal", "pow", "right_shift", "round", "sin", "sinh",
           "sqrt", "square", "sub", "tan", "tanh"]  # fmt: skip

_M = _core.elemwise_modes
_elemwise = _core.elemwise


def _elemwise_multi_type(*args, mode, dtype=None):
    """An op of ElemwiseMultiType by its name, whose result has the type ``dtype``."""
    extra = {} if dtype is None else {"output_dtype": to_native(dtype)}
    return _ops.ElemwiseMultiType(*args, mode=str(getattr(mode, "name", mode)).upper(), **extra)


def abs(x):
    """Absolute values.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.abs(mge.Tensor([-1.0, 2.0]))
        Tensor([1. 2.], device=xpux:0)
    """
    return _elemwise(_M["ABS"], x)


def acos(x):
    """Inverse cosine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.acos(mge.Tensor([1.0, 0.0]))
        Tensor([0.     1.5708], device=xpux:0)
    """
    return _elemwise(_M["ACOS"], x)


def acosh(x):
    """Inverse hyperbolic cosine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.acosh(mge.Tensor([1.0, 2.0]))
        Tensor([0.    1.317], device=xpux:0)
    """
    return _elemwise(_M["ACOSH"], x)


def asin(x):
    """Inverse sine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.asin(mge.Tensor([0.0, 1.0]))
        Tensor([0.     1.5708], device=xpux:0)
    """
    return _elemwise(_M["ASIN"], x)


def asinh(x):
    """Inverse hyperbolic sine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.asinh(mge.Tensor([0.0, 1.0]))
        Tensor([0.     0.8814], device=xpux:0)
    """
    return _elemwise(_M["ASINH"], x)


def atanh(x):
    """Inverse hyperbolic tangent.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.atanh(mge.Tensor([0.0, 0.5]))
        Tensor([0.     0.5493], device=xpux:0)
    """
    return _elemwise(_M["ATANH"], x)


def ceil(x):
    """The next integer above.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.ceil(mge.Tensor([-1.5, 1.2]))
        Tensor([-1.  2.], device=xpux:0)
    """
    return _elemwise(_M["CEIL"], x)


def cos(x):
    """Cosine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.cos(mge.Tensor([0.0, 1.0]))
        Tensor([1.     0.5403], device=xpux:0)
    """
    return _elemwise(_M["COS"], x)


def cosh(x):
    """Hyperbolic cosine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.cosh(mge.Tensor([0.0, 1.0]))
        Tensor([1.     1.5431], device=xpux:0)
    """
    return _elemwise(_M["COSH"], x)


def exp(x):
    """e to the power of ``x``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.exp(mge.Tensor([0.0, 1.0]))
        Tensor([1.     2.7183], device=xpux:0)
    """
    return _elemwise(_M["EXP"], x)


def expm1(x):
    """``exp(x) - 1``, exact for small ``x``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.expm1(mge.Tensor([0.0, 1.0]))
        Tensor([0.     1.7183], device=xpux:0)
    """
    return _elemwise(_M["EXPM1"], x)


def floor(x):
    """The next integer below.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.floor(mge.Tensor([-1.5, 1.2]))
        Tensor([-2.  1.], device=xpux:0)
    """
    return _elemwise(_M["FLOOR"], x)


def log(x):
    """Natural logarithm.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.log(mge.Tensor([1.0, 2.0]))
        Tensor([0.     0.6931], device=xpux:0)
    """
    return _elemwise(_M["LOG"], x)


def log1p(x):
    """``log(1 + x)``, exact for small ``x``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.log1p(mge.Tensor([0.0, 1.0]))
        Tensor([0.     0.6931], device=xpux:0)
    """
    return _elemwise(_M["LOG1P"], x)


def logical_not(x):
    """Negation of bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.logical_not(mge.Tensor([True, False]))
        Tensor([False  True], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["NOT"], x)


def neg(x: Tensor) -> Tensor:
    """The values with the other sign.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.neg(mge.Tensor([1.0, -2.0]))
        Tensor([-1.  2.], device=xpux:0)
    """
    return _elemwise(_M["NEGATE"], x)


def round(x):
    """The nearest integer, halves away from zero.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.round(mge.Tensor([-1.5, 1.2]))
        Tensor([-2.  1.], device=xpux:0)
    """
    return _elemwise(_M["ROUND"], x)


def sin(x):
    """Sine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.sin(mge.Tensor([0.0, 1.0]))
        Tensor([0.     0.8415], device=xpux:0)
    """
    return _elemwise(_M["SIN"], x)


def sinh(x):
    """Hyperbolic sine.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.sinh(mge.Tensor([0.0, 1.0]))
        Tensor([0.     1.1752], device=xpux:0)
    """
    return _elemwise(_M["SINH"], x)


def sqrt(x: Tensor) -> Tensor:
    """Square root.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.sqrt(mge.Tensor([1.0, 4.0]))
        Tensor([1. 2.], device=xpux:0)
    """
    return _elemwise(_M["SQRT"], x)


def square(x: Tensor) -> Tensor:
    """``x * x``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.square(mge.Tensor([1.0, -3.0]))
        Tensor([1. 9.], device=xpux:0)
    """
    return _elemwise(_M["SQUARE"], x)


def tan(x):
    """Tangent.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.tan(mge.Tensor([0.0, 1.0]))
        Tensor([0.     1.5574], device=xpux:0)
    """
    return _elemwise(_M["TAN"], x)


def tanh(x):
    """Hyperbolic tangent.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.tanh(mge.Tensor([0.0, 1.0]))
        Tensor([0.     0.7616], device=xpux:0)
    """
    return _elemwise(_M["TANH"], x)


def add(x: Tensor, y: Tensor) -> Tensor:
    """``x + y``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.add(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([7. 7.], device=xpux:0)
    """
    return _elemwise(_M["ADD"], x, y)


def sub(x: Tensor, y: Tensor) -> Tensor:
    """``x - y``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.sub(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([ 3. -1.], device=xpux:0)
    """
    return _elemwise(_M["SUB"], x, y)


def mul(x: Tensor, y: Tensor) -> Tensor:
    """``x * y``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.mul(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([10. 12.], device=xpux:0)
    """
    return _elemwise(_M["MUL"], x, y)


def div(x: Tensor, y: Tensor) -> Tensor:
    """``x / y``; integers give float32.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.div(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([2.5  0.75], device=xpux:0)
    """
    return _elemwise(_M["TRUE_DIV"], x, y)


def floor_div(x: Tensor, y: Tensor) -> Tensor:
    """``x // y``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.floor_div(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([2. 0.], device=xpux:0)
    """
    return _elemwise(_M["FLOOR_DIV"], x, y)


def pow(x: Tensor, y: Tensor) -> Tensor:
    """``x ** y``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.pow(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([25. 81.], device=xpux:0)
    """
    return _elemwise(_M["POW"], x, y)


def mod(x: Tensor, y: Tensor) -> Tensor:
    """``x % y``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.mod(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([1. 3.], device=xpux:0)
    """
    return _elemwise(_M["MOD"], x, y)


def atan2(y, x):
    """The angle of the point (``x``, ``y``).

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.atan2(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([1.1903 0.6435], device=xpux:0)
    """
    return _elemwise(_M["ATAN2"], y, x)


def logaddexp(x: Tensor, y: Tensor) -> Tensor:
    """``log(exp(x) + exp(y))``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.logaddexp(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([5.0486 4.3133], device=xpux:0)
    """
    return _elemwise(_M["LOG_SUM_EXP"], x, y)


def maximum(x, y):
    """The larger of two values.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.maximum(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([5. 4.], device=xpux:0)
    """
    return _elemwise(_M["MAX"], x, y)


def minimum(x, y):
    """The smaller of two values.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.minimum(mge.Tensor([5.0, 3.0]), mge.Tensor([2.0, 4.0]))
        Tensor([2. 3.], device=xpux:0)
    """
    return _elemwise(_M["MIN"], x, y)


def left_shift(x, y):
    """``x << y`` of integers.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.left_shift(mge.Tensor([8, 3]), mge.Tensor([1, 2]))
        Tensor([16 12], dtype=int32, device=xpux:0)
    """
    return _elemwise(_M["SHL"], x, y)


def right_shift(x, y):
    """``x >> y`` of integers.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.right_shift(mge.Tensor([8, 3]), mge.Tensor([1, 2]))
        Tensor([4 0], dtype=int32, device=xpux:0)
    """
    return _elemwise(_M["SHR"], x, y)


def logical_and(x, y):
    """Both, of bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.logical_and(mge.Tensor([True, False]), mge.Tensor([True, True]))
        Tensor([ True False], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["AND"], x, y)


def logical_or(x, y):
    """One of them or both, of bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.logical_or(mge.Tensor([True, False]), mge.Tensor([True, True]))
        Tensor([ True  True], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["OR"], x, y)


def logical_xor(x, y):
    """One of them and not both, of bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.logical_xor(mge.Tensor([True, False]), mge.Tensor([True, True]))
        Tensor([False  True], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["XOR"], x, y)


def equal(x, y):
    """``x == y``, as bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.equal(mge.Tensor([1, 2]), mge.Tensor([2, 2]))
        Tensor([False  True], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["EQ"], x, y)


def not_equal(x, y):
    """``x != y``, as bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.not_equal(mge.Tensor([1, 2]), mge.Tensor([2, 2]))
        Tensor([ True False], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["NEQ"], x, y)


def less(x, y):
    """``x < y``, as bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.less(mge.Tensor([1, 2]), mge.Tensor([2, 2]))
        Tensor([ True False], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["LT"], x, y)


def less_equal(x, y):
    """``x <= y``, as bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.less_equal(mge.Tensor([1, 2]), mge.Tensor([2, 2]))
        Tensor([ True  True], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["LEQ"], x, y)


def greater(x, y):
    """``x > y``, as bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.greater(mge.Tensor([1, 2]), mge.Tensor([2, 2]))
        Tensor([False False], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["LT"], y, x)


def greater_equal(x, y):
    """``x >= y``, as bools.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.greater_equal(mge.Tensor([1, 2]), mge.Tensor([2, 2]))
        Tensor([False  True], dtype=bool, device=xpux:0)
    """
    return _elemwise(_M["LEQ"], y, x)


def atan(x):
    """Inverse tangent.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.atan(mge.Tensor([0.0, 1.0]))
        Tensor([0.     0.7854], device=xpux:0)
    """
    return _elemwise(_M["ATAN2"], x, Tensor(1.0))


def clip(x: Tensor, lower=None, upper=None) -> Tensor:
    """The values of ``x``, no smaller than ``lower`` and no larger than ``upper``.

    Raises:
        ArgumentError: neither bound is given.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.clip(mge.Tensor([-2.0, 0.5, 3.0]), -1, 1)
        Tensor([-1.   0.5  1. ], device=xpux:0)
    """
    if lower is None and upper is None:
        raise _core.ArgumentError("clip: give lower or upper")
    if lower is None:
        return minimum(x, upper)
    return maximum(x, lower) if upper is None else _elemwise(_M["CLIP"], x, lower, upper)
