"""Normalizations."""

from typing import Optional, Sequence, Union

from .. import _core, _ops
from .._errors import ArgumentError, require
from ..core.tensor import amp
from ..tensor import Tensor
from ._compose import (
    check_tensor,
    dimshuffle,
    elwise,
    expand_dims,
    full,
    normalize_axis,
    reduce,
    reshape,
    shown,
    squeeze,
)

__all__ = ["batch_norm", "general_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm",
           "sync_batch_norm"]  # fmt: skip


def _affine(op: str, affine, weight, bias):
    if not affine:
        return []
    require(weight is not None, f"{op}: weight must be provided if affine is True")
    require(bias is not None, f"{op}: bias must be provided if affine is True")
    return [weight, bias]


def _high(tensors):
    return [amp.high(t) for t in tensors] if amp._enabled else tensors


def instance_norm(
    inp: Tensor,
    affine: bool,
    weight: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    eps: float = 1e-5,
):
    """Normalizes every channel of every image by its own mean and variance.

    Args:
        inp: of shape `(N, C, H, W)`.
        affine: whether to multiply by ``weight`` and add ``bias``, of shape `(C,)`.
        eps: added to the variance.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.instance_norm(mge.Tensor([[[[1.0, 3.0]]]]), False).numpy().round(3)
        array([[[[-1.,  1.]]]], dtype=float32)
    """
    check_tensor("instance_norm", inp=inp)
    tensors = _high([inp, *_affine("instance_norm", affine, weight, bias)])
    return _ops.InstanceNorm(*tensors, affine=bool(affine), eps=eps)[0]


def group_norm(
    inp: Tensor,
    num_groups: int,
    affine: bool,
    weight: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    eps: float = 1e-5,
):
    """Normalizes groups of channels of every image by their mean and variance.

    Args:
        inp: of shape `(N, C, H, W)`.
        num_groups: how many groups the channels are split into.
        affine: whether to multiply by ``weight`` and add ``bias``, of shape `(C,)`.
        eps: added to the variance.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.nn.group_norm(mge.Tensor([[[[1.0]], [[3.0]]]]), 1, False).numpy().ravel().round(3)
        array([-1.,  1.], dtype=float32)
    """
    check_tensor("group_norm", inp=inp)
    tensors = _high([inp, *_affine("group_norm", affine, weight, bias)])
    return _ops.GroupNorm(*tensors, affine=bool(affine), eps=eps, group=num_groups)[0]


def layer_norm(
    inp: Tensor,
    normalized_shape: tuple,
    affine: bool,
    weight: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    eps: float = 1e-5,
):
    """Normalizes over the last axes by their mean and variance.

    Args:
        inp: a tensor whose last axes have ``normalized_shape``.
        normalized_shape: an int or a sequence of ints.
        affine: whether to multiply by ``weight`` and add ``bias``, of shape ``normalized_shape``.
        eps: added to the variance.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.layer_norm(mge.Tensor([[1.0, 3.0]]), 2, False).numpy().round(3)
        array([[-1.,  1.]], dtype=float32)
    """
    check_tensor("layer_norm", inp=inp)
    shape = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    require(len(shape) > 0, "layer_norm: normalized_shape is empty")
    size = 1
    for dim in shape:
        size *= int(dim)
    tensors = _high([inp, *_affine("layer_norm", affine, weight, bias)])
    return _ops.LayerNorm(*tensors, affine=bool(affine), eps=eps, normalized_dim=len(shape), normalized_size=size)[0]


def general_norm(
    inp: Tensor,
    normalized_axis: tuple,
    affine: bool = True,
    weight: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    eps: float = 1e-5,
):
    """Normalizes over any axes, in ascending order, by their mean and variance.

    Args:
        normalized_axis: an axis or a sequence of axes.
        affine: whether to multiply by ``weight`` and add ``bias``, of the shape of these axes.
        eps: added to the variance.

    Raises:
        ValueError: axes are out of order, repeated or out of range.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.nn.general_norm(mge.Tensor([[1.0, 5.0], [3.0, 5.0]]), 0, False).numpy().round(3)
        array([[-1.,  0.],
               [ 1.,  0.]], dtype=float32)
    """
    op = "general_norm"
    check_tensor(op, inp=inp)
    axes = list(normalized_axis) if isinstance(normalized_axis, Sequence) else [normalized_axis]
    require(len(axes) > 0, f"{op}: normalized_axis is empty")
    axes = [normalize_axis(op, a, inp.ndim) for a in axes]
    require(axes == sorted(set(axes)), f"{op}: normalized_axis is {axes}, expected ascending axes")
    order = None
    if axes[-1] - axes[0] != len(axes) - 1:  # the op takes neighbours: move them to the end
        order = [a for a in range(inp.ndim) if a not in axes] + axes
        inp = dimshuffle(inp, order)
        axes = list(range(inp.ndim - len(axes), inp.ndim))
    tensors = _high([inp, *_affine(op, affine, weight, bias)])
    out = _ops.GeneralNorm(*tensors, affine=bool(affine), eps=eps, axis_start=axes[0], axis_end=axes[-1] + 1)[0]
    return out if order is None else dimshuffle(out, [order.index(a) for a in range(len(order))])


def batch_norm(
    inp: Tensor,
    running_mean: Tensor = None,
    running_var: Tensor = None,
    weight: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    *,
    training: bool = False,
    momentum: float = 0.9,
    eps: float = 1e-5,
    inplace: bool = True,
):
    """Normalizes every channel by the mean and variance of the batch, or by running ones.

    Args:
        inp: of shape `(N, C, H, W)`, `(N, C, L)` or `(N, C)`.
        running_mean, running_var: running statistics, `C` numbers; needed unless ``training``.
        weight, bias: what the result is multiplied by, what is added, `C` numbers each.
        training: whether to use statistics of the batch, and to update the running ones.
        momentum: how much of the old running statistics is kept.
        eps: added to the variance.
        inplace: whether running statistics are updated in place, or returned after the result.

    Raises:
        ValueError: running statistics are missing, or a number of channels differs.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> mean, var = mge.Tensor([0.0]), mge.Tensor([1.0])
        >>> F.batch_norm(mge.Tensor([[1.0], [3.0]]), mean, var, training=True).numpy().round(3)
        array([[-1.],
               [ 1.]], dtype=float32)
        >>> mean
        Tensor([0.2], device=xpux:0)
    """
    op = "batch_norm"
    given = dict(running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    check_tensor(op, inp=inp, **{name: t for name, t in given.items() if t is not None})
    shape = inp._tuple_shape
    if len(shape) not in (2, 3, 4):
        raise ArgumentError(f"{op}: inp has shape {shape}, expected 2, 3 or 4 dimensions")
    if not training:
        require(running_mean is not None, f"{op}: running_mean must be provided in inference mode")
        require(running_var is not None, f"{op}: running_var must be provided in inference mode")
    x = inp if len(shape) == 4 else expand_dims(inp, list(range(len(shape), 4)))
    if amp._enabled:
        x = amp.low(x)
    one = (1, int(shape[1]), 1, 1)

    def channels(t, value):
        if t is None:
            return full(one, value, "float32" if amp._enabled else inp.dtype)
        if tuple(t._tuple_shape) != one:
            require(
                t.size == one[1],
                f"{op}: a statistic or parameter has shape {tuple(t._tuple_shape)} for {one[1]} channels",
            )
            t = reshape(t, one)
        return amp.high(t) if amp._enabled else t

    weight, bias = channels(weight, 1), channels(bias, 0)
    if not training:
        out = _ops.BatchNorm(x, weight, bias, channels(running_mean, 0), channels(running_var, 1), fwd_mode="INFERENCE",
                             epsilon=eps, param_dim="DIM_1C11")[-1]  # fmt: skip
        return out if len(shape) == 4 else squeeze(out, list(range(len(shape), 4)))
    params = dict(fwd_mode="TRAINING", epsilon=eps, avg_factor=1 - momentum, param_dim="DIM_1C11")
    if running_mean is None and running_var is None:
        out = _ops.BatchNorm(x, weight, bias, **params)[-1]
        return out if len(shape) == 4 else squeeze(out, list(range(len(shape), 4)))
    mean, var, *_, out = _ops.BatchNorm(x, weight, bias, channels(running_mean, 0), channels(running_var, 1), **params)
    if len(shape) != 4:
        out = squeeze(out, list(range(len(shape), 4)))
    if not inplace:
        return out, None if running_mean is None else mean, None if running_var is None else var
    for old, new in ((running_mean, mean), (running_var, var)):
        if old is not None:
            _update(old, new)
    return out


def _update(old, new):
    new = new.detach()
    old._reset(
        _core.astype(
            new if tuple(old._tuple_shape) == tuple(new._tuple_shape) else reshape(new, old._tuple_shape), old._dtype
        )
    )


def sync_batch_norm(
    inp: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    training: bool = False,
    momentum: Union[float, Tensor] = 0.9,
    eps: float = 1e-5,
    eps_mode="additive",
    group=None,
) -> Tensor:
    """:func:`batch_norm` over the batches of all processes of a group.

    Args:
        eps_mode: ``additive`` adds ``eps`` to the variance, ``max`` takes the larger of the two.
        group: the processes; there is one.
        inp, running_mean, running_var, weight, bias, training, momentum, eps: as in :func:`batch_norm`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> x = mge.Tensor([[[[1.0]]], [[[3.0]]]])
        >>> F.nn.sync_batch_norm(x, None, None, training=True).numpy().ravel().round(3)
        array([-1.,  1.], dtype=float32)
    """
    op = "sync_batch_norm"
    mode = str(eps_mode).lower()
    require(mode in ("max", "additive"), f"{op}: eps_mode is {shown(eps_mode)}, expected 'additive' or 'max'")
    momentum = float(momentum)
    if mode == "additive":
        return batch_norm(inp, running_mean, running_var, weight, bias, training=training, momentum=momentum, eps=eps)
    if inp.ndim != 4:
        raise NotImplementedError(f"{op}: inp has shape {inp._tuple_shape}, but eps_mode 'max' takes 4 dimensions")
    channels = int(inp._tuple_shape[1])
    one = (1, channels, 1, 1)
    if training:
        size = inp.size // channels
        mean = reduce(inp, "MEAN", (0, 2, 3), keepdims=True)
        var = reduce(inp * inp, "MEAN", (0, 2, 3), keepdims=True) - mean * mean
        if running_mean is not None and running_var is not None:
            unbiased = var * (size / (size - 1))
            _update(running_mean, reshape(running_mean, one) * momentum + mean * (1 - momentum))
            _update(running_var, reshape(running_var, one) * momentum + unbiased * (1 - momentum))
    else:
        require(running_mean is not None and running_var is not None, f"{op}: running statistics are missing")
        mean, var = reshape(running_mean, one), reshape(running_var, one)
    scale = elwise("POW", elwise("MAX", var, float(eps)), -0.5)
    if weight is not None:
        scale = scale * reshape(weight, one)
    out = (inp - mean) * scale
    return out if bias is None else out + reshape(bias, one)


def local_response_norm(
    inp: Tensor,
    kernel_size: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
) -> Tensor:
    """Divides by `(k + alpha * sum of squares of the neighbouring channels) ** beta`.

    Args:
        inp: of shape `(N, C, H, W)`.
        kernel_size: an odd number of channels that count as neighbours.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.local_response_norm(mge.Tensor([[[[3.0]]]]), 1, 1.0, 1.0, 0.5).numpy().round(3)
        array([[[[0.949]]]], dtype=float32)
    """
    check_tensor("local_response_norm", inp=inp)
    return _ops.LRN(inp, n=kernel_size, k=k, alpha=alpha, beta=beta)
