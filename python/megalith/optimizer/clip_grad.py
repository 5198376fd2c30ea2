"""Limits for gradients."""

from typing import Iterable, Union

from .. import _core
from ..functional._compose import concat, elwise, reduce, reshape
from ..tensor import Tensor

__all__ = ["clip_grad_norm", "clip_grad_value"]


def _norm(x, ord):
    """The vector norm of all elements."""
    x = elwise("ABS", reshape(x, (-1,)))
    if ord == float("inf"):
        return reduce(x, "MAX")
    if ord == -float("inf"):
        return reduce(x, "MIN")
    if ord == 0:
        return reduce((x != 0).astype("float32"), "SUM")
    if ord == 1:
        return reduce(x, "SUM")
    if ord == 2:
        return elwise("SQRT", reduce(x * x, "SUM"))
    return elwise("POW", reduce(elwise("POW", x, float(ord)), "SUM"), 1.0 / ord)


def clip_grad_norm(
    tensors: Union[Tensor, Iterable[Tensor]],
    max_norm: float,
    ord: float = 2.0,
):
    """Scales gradients so that their norm, as one vector, is at most ``max_norm``.

    Args:
        tensors: a Tensor or Tensors, with or without gradients.
        max_norm: the limit.
        ord: which norm; ``float("inf")`` for the largest element.

    Returns:
        The norm before.

    Examples:
        >>> import megalith as mge
        >>> w = mge.Parameter([0.0, 0.0])
        >>> w.grad = mge.Tensor([3.0, 4.0])
        >>> mge.optimizer.clip_grad_norm(w, 1.0).item(), w.grad.numpy().round(3).tolist()
        (5.0, [0.6000000238418579, 0.800000011920929])
    """
    if isinstance(tensors, Tensor):
        tensors = [tensors]
    tensors = [t for t in tensors if t.grad is not None]
    if not tensors:
        return Tensor(0.0)
    norms = [_norm(t.grad, ord) for t in tensors]
    total = norms[0] if len(norms) == 1 else _norm(concat([n._with_scalar(False) for n in norms], 0), ord)
    scale = elwise("MIN", max_norm / (total + 1e-6), 1.0)
    for t in tensors:
        t.grad._reset(_core.astype(t.grad * scale, t.grad._dtype))
    return total


def clip_grad_value(tensors: Union[Tensor, Iterable[Tensor]], lower: float, upper: float):
    """Limits every element of gradients.

    Args:
        tensors: a Tensor or Tensors, with or without gradients.
        lower, upper: the limits.

    Examples:
        >>> import megalith as mge
        >>> w = mge.Parameter([0.0, 0.0])
        >>> w.grad = mge.Tensor([3.0, -4.0])
        >>> mge.optimizer.clip_grad_value(w, -1, 2)
        >>> w.grad
        Tensor([ 2. -1.], device=xpux:0)
    """
    if isinstance(tensors, Tensor):
        tensors = [tensors]
    for t in tensors:
        if t.grad is not None:
            limited = elwise("MAX", elwise("MIN", t.grad, float(upper)), float(lower))
            t.grad._reset(_core.astype(limited, t.grad._dtype))
