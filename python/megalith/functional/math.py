"""Reductions, sorting, linear algebra."""

import math
from typing import Iterable, Optional, Sequence, Tuple, Union

from .. import _core, _ops
from .._errors import ArgumentTypeError
from ..core._trace_option import sizes
from ..core.tensor import amp
from ..tensor import Tensor
from .elemwise import _M, _elemwise, abs, clip
from .tensor import _one_of, expand_dims, squeeze

__all__ = ["argmax", "argmin", "argsort", "dot", "isinf", "isnan", "matinv", "matmul", "max", "mean", "min", "norm",
           "normalize", "prod", "sign", "sort", "std", "sum", "svd", "topk", "var"]  # fmt: skip

_reduce = _core.reduce


def isnan(inp: Tensor) -> Tensor:
    """Where values are no numbers.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.isnan(mge.Tensor([1.0, float("nan"), float("inf")]))
        Tensor([False  True False], dtype=bool, device=xpux:0)
    """
    inp = inp if isinstance(inp, _core.TensorBase) else Tensor(inp)
    if inp.dtype.kind != "f":
        return _core.full(sizes(inp), Tensor(False))
    return _elemwise(_M["ISNAN"], inp)


def isinf(inp: Tensor) -> Tensor:
    """Where values are infinite.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.isinf(mge.Tensor([1.0, float("nan"), float("inf")]))
        Tensor([False False  True], dtype=bool, device=xpux:0)
    """
    inp = inp if isinstance(inp, _core.TensorBase) else Tensor(inp)
    if inp.dtype.kind != "f":
        return _core.full(sizes(inp), Tensor(False))
    return _elemwise(_M["ISINF"], inp)


def sign(x: Tensor):
    """-1, 0 or 1.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.sign(mge.Tensor([-2, 0, 3]))
        Tensor([-1  0  1], dtype=int32, device=xpux:0)
    """
    return _elemwise(_M["SIGN"], x)


def sum(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims: bool = False) -> Tensor:
    """Sum over ``axis``, or over all axes. Sums of bools are int32.

    Args:
        inp: input.
        axis: one axis, several, or None for all.
        keepdims: keep reduced axes with size 1; needs ``axis``.

    Raises:
        OpError: an axis is out of range.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.sum(mge.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
        Tensor([3. 7.], device=xpux:0)
    """
    return _reduce("sum", inp, axis, keepdims)


def prod(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims=False) -> Tensor:
    """Product over ``axis``, or over all axes. See :func:`sum`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.prod(mge.Tensor([2.0, 3.0, 4.0]))
        Tensor(24.0, device=xpux:0)
    """
    return _reduce("prod", inp, axis, keepdims)


def mean(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims: bool = False) -> Tensor:
    """Mean over ``axis``, or over all axes; integers give float32. See :func:`sum`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.mean(mge.Tensor([1, 2, 4, 5]))
        Tensor(3.0, device=xpux:0)
    """
    return _reduce("mean", inp, axis, keepdims)


def var(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims: bool = False) -> Tensor:
    """Variance over ``axis``, or over all axes: the mean squared distance from the mean.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.var(mge.Tensor([1.0, 3.0]))
        Tensor(1.0, device=xpux:0)
    """
    centered = inp - mean(inp, axis, keepdims=axis is not None)
    return mean(_elemwise(_M["SQUARE"], centered), axis, keepdims)


def std(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over ``axis``, or over all axes: the root of :func:`var`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.std(mge.Tensor([1.0, 3.0]))
        Tensor(1.0, device=xpux:0)
    """
    return var(inp, axis, keepdims) ** 0.5


def min(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims: bool = False) -> Tensor:
    """Smallest value over ``axis``, or over all axes. See :func:`sum`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.min(mge.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=0)
        Tensor([1. 0.], device=xpux:0)
    """
    return _reduce("min", inp, axis, keepdims)


def max(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims: bool = False) -> Tensor:
    """Largest value over ``axis``, or over all axes. See :func:`sum`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.max(mge.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=0)
        Tensor([3. 2.], device=xpux:0)
    """
    return _reduce("max", inp, axis, keepdims)


def _normalize_axis(ndim, axis, name):
    """``axis`` as a list, largest first."""
    axes = [int(a) for a in axis] if isinstance(axis, Iterable) else [_core.as_integer(axis)]
    for a in axes:
        if not -ndim <= a < ndim:
            raise _core.ArgumentError(f"{name}: axis {a} is out of range for {ndim} dimensions")
    axes = sorted((a % ndim for a in axes), reverse=True)
    if len(set(axes)) != len(axes):
        raise _core.ArgumentError(f"{name}: an axis is given twice in {axis}")
    return axes


def _arg(op, inp, axis, keepdims):
    if axis is None:
        if keepdims:
            raise _core.ArgumentError("argmax and argmin: keepdims needs an axis")
        inp, axis = inp.flatten(), 0
    for a in _normalize_axis(inp.ndim, axis, "argmax and argmin"):
        inp = op(inp, axis=a)
        if not keepdims:
            inp = squeeze(inp, a)
    return inp


def argmin(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims: bool = False) -> Tensor:
    """Index of the smallest value over ``axis``, or in the flattened input; int32.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.argmin(mge.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=1)
        Tensor([0 1], dtype=int32, device=xpux:0)
    """
    return _arg(_ops.Argmin, inp, axis, keepdims)


def argmax(inp: Tensor, axis: Optional[Union[int, Sequence[int]]] = None, keepdims: bool = False) -> Tensor:
    """Index of the largest value over ``axis``, or in the flattened input; int32.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.argmax(mge.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=1)
        Tensor([1 0], dtype=int32, device=xpux:0)
    """
    return _arg(_ops.Argmax, inp, axis, keepdims)


def _argsort(inp, descending):
    ndim = inp.ndim
    if ndim not in (1, 2):
        raise _core.ArgumentError(f"sorting takes 1 or 2 dimensions, not {ndim}")
    rows = inp.reshape(1, -1) if ndim == 1 else inp
    if ndim == 1 and inp.size == 0:
        rows = expand_dims(inp, 0)
    values, index = _ops.Argsort(rows, order="DESCENDING" if descending else "ASCENDING")
    return (squeeze(values, 0), squeeze(index, 0)) if ndim == 1 else (values, index)


def argsort(inp: Tensor, descending: bool = False) -> Tensor:
    """The indices that sort each row.

    Args:
        inp: shape (n,) or (m, n).
        descending: largest first.

    Raises:
        ArgumentError: other numbers of dimensions.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.argsort(mge.Tensor([3.0, 1.0, 2.0]))
        Tensor([1 2 0], dtype=int32, device=xpux:0)
    """
    return _argsort(inp, descending)[1]


def sort(inp: Tensor, descending: bool = False) -> Tuple[Tensor, Tensor]:
    """Each row sorted, and where its values came from.

    Args:
        inp: shape (n,) or (m, n).
        descending: largest first.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.sort(mge.Tensor([3.0, 1.0, 2.0]))
        (Tensor([1. 2. 3.], device=xpux:0), Tensor([1 2 0], dtype=int32, device=xpux:0))
    """
    return _argsort(inp, descending)


def topk(
    inp: Tensor, k: int, descending: bool = True, kth_only: bool = False, no_sort: bool = False
) -> Tuple[Tensor, Tensor]:
    """The ``k`` largest (or smallest) values of each row, and where they came from.

    Args:
        inp: shape (n,) or (m, n).
        k: how many; at most n are returned.
        descending: the largest, largest first; otherwise the smallest, smallest first.
        kth_only: only the k-th one.
        no_sort: in any order.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.topk(mge.Tensor([3.0, 1.0, 2.0]), 2)
        (Tensor([3. 2.], device=xpux:0), Tensor([0 2], dtype=int32, device=xpux:0))
    """
    count = k if isinstance(k, Tensor) else Tensor(_core.as_integer(k), dtype="int32")
    if descending:
        count = -count
    mode = "KTH_ONLY" if kth_only else "VALUE_IDX_NOSORT" if no_sort else "VALUE_IDX_SORTED"
    vector = inp.ndim == 1
    rows = expand_dims(inp, 0) if vector else inp
    out = _ops.TopK(rows, count, mode=mode)
    if kth_only:
        value = out[0] if isinstance(out, list) else out
        index = argmax((expand_dims(value, 1) == rows).astype("int8"), 1)
    else:
        value, index = out
    return (squeeze(value, 0), squeeze(index, 0)) if vector else (value, index)


def matinv(inp: Tensor) -> Tensor:
    """Inverses of square matrices.

    Args:
        inp: shape (..., n, n).

    Raises:
        OpError: a matrix is not square.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.matinv(mge.Tensor([[2.0, 0.0], [0.0, 4.0]]))
        Tensor([[0.5  0.  ]
         [0.   0.25]], device=xpux:0)
    """
    return _ops.MatrixInverse(inp)


def matmul(inp1: Tensor, inp2: Tensor, transpose_a=False, transpose_b=False, compute_mode="default") -> Tensor:
    """Matrix product.

    Vectors are rows on the left and columns on the right, and their axis is dropped again. Axes before the last two are
    a batch; they broadcast.

    Args:
        inp1: left operand.
        inp2: right operand.
        transpose_a: swap the last two axes of ``inp1``.
        transpose_b: swap the last two axes of ``inp2``.
        compute_mode: ``float32`` adds products of float16 as float32.

    Raises:
        OpError: the shapes do not fit.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.matmul(mge.Tensor([[1.0, 2.0]]), mge.Tensor([[3.0], [4.0]]))
        Tensor([[11.]], device=xpux:0)
    """
    inp1, inp2 = _one_of(inp1), _one_of(inp2)
    if amp._enabled and inp1.dtype.kind == "f" and inp2.dtype.kind == "f":
        inp1, inp2, compute_mode = amp.low(inp1), amp.low(inp2), "float32"
    return _core.matmul(inp1, inp2, bool(transpose_a), bool(transpose_b), compute_mode)


def dot(inp1: Tensor, inp2: Tensor) -> Tensor:
    """Sum of the products of two vectors.

    Args:
        inp1: shape (n,) or a scalar.
        inp2: of the same shape.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.dot(mge.Tensor([1.0, 2.0]), mge.Tensor([3.0, 4.0]))
        Tensor(11.0, device=xpux:0)
    """
    if inp1.ndim > 1 or inp2.ndim > 1:
        raise _core.ArgumentError(f"dot takes vectors or scalars, not {inp1.ndim} and {inp2.ndim} dimensions")
    if inp1._tuple_shape != inp2._tuple_shape:
        raise _core.OpError(f"dot takes operands of one shape, not {inp1._tuple_shape} and {inp2._tuple_shape}")
    out = _ops.Dot(*_core.convert_inputs(inp1, inp2))
    out._scalar = True
    return out


def svd(inp: Tensor, full_matrices=False, compute_uv=True) -> Tensor:
    """Singular value decomposition ``U @ diag(S) @ Vh``.

    Args:
        inp: shape (..., m, n).
        full_matrices: square ``U`` and ``Vh``.
        compute_uv: also compute ``U`` and ``Vh``.

    Returns:
        ``(U, S, Vh)``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.svd(mge.Tensor([[3.0, 0.0], [0.0, 2.0]]))[1]
        Tensor([3. 2.], device=xpux:0)
    """
    return tuple(_ops.SVD(inp, full_matrices=full_matrices, compute_uv=compute_uv))


def norm(inp: Tensor, ord: float = None, axis: int = None, keepdims=False):
    """Vector norm: the ``ord``-th root of the sum of ``|x| ** ord``; 2 by default.

    ``ord=0`` counts values that are not 0; infinity and minus infinity give the largest and smallest ``|x|`` of all
    elements.

    Raises:
        TypeError: no axis, and ``inp`` is no vector.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.norm(mge.Tensor([3.0, 4.0]))
        Tensor(5.0, device=xpux:0)
    """
    if axis is None and inp.ndim != 1:
        raise ArgumentTypeError(f"norm: axis is required unless the input is a vector, not of {inp.ndim} dimensions")
    ord = 2 if ord is None else ord
    if ord == 0:
        return sum(inp != 0, axis, keepdims)
    if ord == math.inf:
        return max(abs(inp))
    if ord == -math.inf:
        return min(abs(inp))
    return sum(abs(inp) ** ord, axis, keepdims) ** (1.0 / ord)


def normalize(inp: Tensor, ord: float = None, axis: int = None, eps: float = 1e-12) -> Tensor:
    """``inp`` divided by its norm over ``axis``, or by ``eps`` where the norm is smaller.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.normalize(mge.Tensor([3.0, 4.0]))
        Tensor([0.6 0.8], device=xpux:0)
    """
    return inp / clip(norm(inp, ord, axis, keepdims=axis is not None), lower=eps)


def _check_non_finite(inps: Iterable[Tensor], scale=1.0) -> Tensor:
    """Multiplies the tensors by ``scale``, in place; whether any value is infinite or no number: 0 or 1."""
    inps = [inps] if isinstance(inps, Tensor) else list(inps)
    out = _ops.CheckNonFinite(*inps, scale=scale)
    for x, y in zip(inps, out):
        x._reset(y._with_scalar(x._scalar))
    return out[-1]
