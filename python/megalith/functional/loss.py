"""Losses."""

import functools

import numpy as np

from .._errors import ArgumentError, require
from ..tensor import Tensor
from ._compose import (
    at,
    check_tensor,
    concat,
    dimshuffle,
    elwise,
    full,
    normalize_axis,
    of_array,
    part,
    reduce,
    reshape,
    shown,
    take_rows,  # fmt: skip
)

__all__ = ["l1_loss", "square_loss", "cross_entropy", "binary_cross_entropy", "hinge_loss", "ctc_loss"]


def _reduced(loss, reduction: str):
    if reduction == "none":
        return loss
    if reduction not in ("mean", "sum"):
        raise ArgumentError(f"{shown(reduction)} is no reduction: use 'mean', 'sum' or 'none'")
    return reduce(loss, reduction.upper())


def _reduce_output(function):
    """Adds MegEngine's ``reduction`` to a function that gives one number per sample."""

    @functools.wraps(function)
    def loss(*args, reduction="mean", **kwargs):
        return _reduced(function(*args, **kwargs), reduction)

    return loss


@_reduce_output
def l1_loss(pred: Tensor, label: Tensor, reduction: str = "mean") -> Tensor:
    """Mean of absolute differences.

    Args:
        pred, label: tensors of one shape.
        reduction: ``mean``, ``sum`` or ``none``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.nn.l1_loss(mge.Tensor([3, 3, 3, 3]), mge.Tensor([2, 8, 6, 1]))
        Tensor(2.75, device=xpux:0)
    """
    return abs(pred - label)


@_reduce_output
def square_loss(pred: Tensor, label: Tensor, reduction: str = "mean") -> Tensor:
    """Mean of squared differences.

    Args:
        pred, label: tensors of one shape.
        reduction: ``mean``, ``sum`` or ``none``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.nn.square_loss(mge.Tensor([3, 3, 3, 3]), mge.Tensor([2, 8, 6, 1]))
        Tensor(9.75, device=xpux:0)
    """
    return (pred - label) ** 2


@_reduce_output
def cross_entropy(
    pred: Tensor,
    label: Tensor,
    axis: int = 1,
    with_logits: bool = True,
    label_smooth: float = 0,
    reduction: str = "mean",
) -> Tensor:
    """Cross entropy of predicted classes.

    Args:
        pred: scores of the classes along ``axis``.
        label: int32 class numbers, of the shape of ``pred`` without ``axis``.
        with_logits: whether ``pred`` are scores before softmax; else probabilities.
        label_smooth: share of every label that is spread over all classes.
        reduction: ``mean``, ``sum`` or ``none``.

    Raises:
        ValueError: shapes do not fit.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> pred = mge.Tensor([[0.0, 1.0], [0.3, 0.7], [0.7, 0.3]])
        >>> F.nn.cross_entropy(pred, mge.Tensor([1, 1, 1]), reduction="none").numpy().round(4)
        array([0.3133, 0.513 , 0.913 ], dtype=float32)
    """
    from .nn import indexing_one_hot, logsumexp

    label = of_array(label)
    check_tensor("cross_entropy", pred=pred, label=label)
    require(
        pred.ndim == label.ndim + 1, f"cross_entropy: pred has shape {pred._tuple_shape}, label {label._tuple_shape}"
    )
    axis = normalize_axis("cross_entropy", axis, pred.ndim)
    taken = indexing_one_hot(pred, label, axis)
    total = logsumexp(pred, axis) if with_logits else 0
    if not with_logits:
        taken = elwise("LOG", taken)
    if label_smooth is None or (isinstance(label_smooth, (int, float)) and label_smooth == 0):
        return total - taken
    if not with_logits:
        pred = elwise("LOG", pred)
    return total - label_smooth * reduce(pred, "MEAN", axis) - (1 - label_smooth) * taken


@_reduce_output
def binary_cross_entropy(
    pred: Tensor,
    label: Tensor,
    with_logits: bool = True,
    reduction: str = "mean",
) -> Tensor:
    """Cross entropy of yes-or-no predictions.

    Args:
        pred, label: tensors of one shape; labels are between 0 and 1.
        with_logits: whether ``pred`` are scores before the sigmoid; else probabilities.
        reduction: ``mean``, ``sum`` or ``none``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> round(F.nn.binary_cross_entropy(mge.Tensor([0.0]), mge.Tensor([1.0])).item(), 4)
        0.6931
    """
    if not with_logits:
        return -(label * elwise("LOG", pred) + (1 - label) * elwise("LOG", 1 - pred))
    return -(label * elwise("LOGSIGMOID", pred) + (1 - label) * elwise("LOGSIGMOID", -pred))


@_reduce_output
def hinge_loss(pred: Tensor, label: Tensor, norm: str = "L1", reduction: str = "mean") -> Tensor:
    """Sum over classes of `max(0, 1 - pred * label)`, or of its square.

    Args:
        pred: scores of shape `(N, C)`.
        label: 1 and -1, of the same shape.
        norm: ``L1`` or ``L2``.
        reduction: ``mean``, ``sum`` or ``none``.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.nn.hinge_loss(mge.Tensor([[0.5, -0.5]]), mge.Tensor([[1.0, 1.0]]))
        Tensor(2.0, device=xpux:0)
    """
    norm = str(norm).upper()
    require(norm in ("L1", "L2"), f"hinge_loss: norm is {shown(norm)}, expected 'L1' or 'L2'")
    loss = elwise("RELU", 1.0 - pred * label)
    return reduce(loss if norm == "L1" else loss**2, "SUM", 1)


def _labels(label, lengths, blank):
    """Labels with blanks between them, int32 (N, 2L + 1)."""
    n = len(lengths)
    rows = label
    if label.ndim == 1:  # one after the other
        rows = np.full((n, int(lengths.max())), blank, np.int32)
        begin = 0
        for i, length in enumerate(lengths):
            rows[i, :length] = label[begin : begin + length]
            begin += length
    out = np.full((n, 2 * rows.shape[1] + 1), blank, np.int32)
    out[:, 1::2] = rows
    return out


def ctc_loss(
    pred: Tensor,
    pred_lengths: Tensor,
    label: Tensor,
    label_lengths: Tensor,
    blank: int = 0,
    reduction: str = "mean",
) -> Tensor:
    """Connectionist temporal classification: probability of a label over all its alignments.

    Args:
        pred: probabilities of shape `(T, N, C)`.
        pred_lengths: how many steps count, `N` ints in `1..T`.
        label: int32 classes of shape `(N, S)`, or all labels one after the other.
        label_lengths: lengths of the labels, `N` positive ints.
        blank: the class that means "no symbol".
        reduction: ``mean`` (of losses divided by label lengths), ``sum`` or ``none``.

    Raises:
        ValueError: lengths, classes or shapes make no sense.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> pred = mge.Tensor([[[0.0614, 0.9386], [0.8812, 0.1188]], [[0.699, 0.301], [0.2572, 0.7428]]])
        >>> two, one = mge.Tensor([2, 2]), mge.Tensor([1, 1])
        >>> round(F.nn.ctc_loss(pred, two, one, one).item(), 4)
        0.1504
    """
    op = "ctc_loss"
    pred, pred_lengths, label, label_lengths = map(of_array, (pred, pred_lengths, label, label_lengths))
    check_tensor(op, pred=pred, pred_lengths=pred_lengths, label=label, label_lengths=label_lengths)
    require(pred.ndim == 3, f"{op}: pred has shape {pred._tuple_shape}, expected 3 dimensions")
    steps, n, classes = pred._tuple_shape
    require(pred_lengths.size == n, f"{op}: {pred_lengths.size} pred_lengths for {n} sequences")
    require(label_lengths.size == n, f"{op}: {label_lengths.size} label_lengths for {n} sequences")
    require(0 <= blank < classes, f"{op}: blank is {blank}, expected one of {classes} classes")
    # The alignment's structure depends on labels and lengths, which carry no gradient.
    times, sizes = pred_lengths.numpy().reshape(-1).astype(int), label_lengths.numpy().reshape(-1).astype(int)
    classes_of = label.numpy().astype(np.int32)
    require(times.min() > 0 and times.max() <= steps, f"{op}: pred_lengths are {times.tolist()}, expected 1 to {steps}")
    require(sizes.min() > 0, f"{op}: label_lengths are {sizes.tolist()}, expected positive numbers")
    if classes_of.ndim == 1:
        require(
            classes_of.size == sizes.sum(), f"{op}: {classes_of.size} labels, but their lengths add up to {sizes.sum()}"
        )
    else:
        fits = classes_of.ndim == 2 and len(classes_of) == n and sizes.max() <= classes_of.shape[1]
        require(fits, f"{op}: label has shape {label._tuple_shape}, label_lengths are {sizes.tolist()}")
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"{shown(reduction)} is no reduction: use 'mean', 'sum' or 'none'")
    extended = _labels(classes_of, sizes, blank)
    width = extended.shape[1]
    require(extended.min() >= 0 and extended.max() < classes, f"{op}: labels are not in [0, {classes})")

    # match[t, i, l] = log of the probability of symbol l of sequence i at step t
    flat = reshape(dimshuffle(pred, (1, 2, 0)), (n * classes, steps))
    index = (np.arange(n, dtype=np.int32)[:, None] * classes + extended).reshape(-1)
    tiny = float(np.finfo(np.float32).tiny)
    match = elwise("LOG", elwise("MAX", take_rows(flat, Tensor(index)), tiny))
    match = dimshuffle(reshape(match, (n, width, steps)), (2, 0, 1))
    never = float(np.log(np.finfo(np.float32).tiny))
    jumps = np.zeros((n, width), np.float32)  # where a symbol may follow the one before the blank
    jumps[:, 2:] = extended[:, 2:] != extended[:, :-2]
    jumps = Tensor(jumps)
    # What each sequence ends in: the last blank or the last symbol.
    last = np.zeros((n, width), np.float32)
    last[np.arange(n), sizes * 2] = 1
    before = np.zeros((n, width), np.float32)
    before[np.arange(n), sizes * 2 - 1] = 1
    last, before = Tensor(last), Tensor(before)
    shift2 = full((n, 2), never)

    start = np.zeros((1, width), np.float32)
    start[:, :2] = 1
    alpha = at(match, 0, 0) * Tensor(start) + Tensor((1 - start) * np.float32(never))
    loss = None
    for t in range(steps):
        if t:
            joined = elwise("LOG_SUM_EXP", part(alpha, 1, 1, width), part(alpha, 1, 0, width - 1))
            one = concat([part(alpha, 1, 0, 1), joined], 1)
            two = concat([shift2, part(alpha, 1, 0, width - 2)], 1)
            alpha = one * (1 - jumps) + elwise("LOG_SUM_EXP", one, two) * jumps + at(match, 0, t)
        ends = (times == t + 1).astype(np.float32)
        if ends.any():
            final = elwise("LOG_SUM_EXP", reduce(alpha * last, "SUM", 1), reduce(alpha * before, "SUM", 1))
            here = -final * Tensor(ends)
            loss = here if loss is None else loss + here
    if reduction == "mean":
        return reduce(loss / Tensor(sizes.astype(np.float32)), "MEAN")
    return _reduced(loss, reduction)
