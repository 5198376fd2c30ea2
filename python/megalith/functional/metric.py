"""Measures of quality."""

from typing import Iterable, Union

import numpy as np

from ..tensor import Tensor
from .math import topk as _topk
from .tensor import broadcast_to, transpose

__all__ = ["topk_accuracy"]


def topk_accuracy(
    logits: Tensor, target: Tensor, topk: Union[int, Iterable[int]] = 1
) -> Union[Tensor, Iterable[Tensor]]:
    """Share of rows whose class is among the ``k`` highest scores.

    Args:
        logits: scores, shape (n, classes).
        target: classes, shape (n,).
        topk: k, or several.

    Returns:
        A scalar; a list of them for several k.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.topk_accuracy(mge.Tensor([[0.1, 0.9], [0.8, 0.2]]), mge.Tensor([1, 1]))
        Tensor(0.5, device=xpux:0)
    """
    ks = (topk,) if isinstance(topk, int) else tuple(topk)
    _, best = _topk(logits, k=max(ks), descending=True)
    accuracies = []
    for k in ks:
        correct = best[:, :k].detach() == broadcast_to(transpose(target, (0, "x")), (target._tuple_shape[0], k))
        accuracies.append(correct.astype(np.float32).sum() / target._tuple_shape[0])
    return accuracies[0] if len(ks) == 1 else accuracies
