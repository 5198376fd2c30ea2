"""Functions that layers are made of."""

from typing import Optional, Sequence, Tuple, Union

import numpy as np

from .. import _core, _ops
from ..core._trace_option import sizes
from .._errors import ArgumentError, ArgumentTypeError, require
from ..core import _config
from ..core.tensor import amp
from ..tensor import Tensor
from ._attention import multi_head_attention
from ._compose import (
    check_tensor,
    dimshuffle,
    elwise,
    full,
    int_vector,
    integer,
    is_tensor,
    normalize_axis,
    of_array,
    pair,  # fmt: skip
    promote,
    reduce,
    reshape,
    shown,
    squeeze,
    take_rows,
)
from ._conv import *
from ._norm import *
from ._rnn import gru, gru_cell, lstm, lstm_cell, rnn, rnn_cell

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool2d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose2d",
    "conv_transpose3d",
    "deformable_conv2d",
    "deformable_psroi_pooling",
    "dropout",
    "embedding",
    "gelu",
    "general_norm",
    "group_norm",
    "hsigmoid",
    "instance_norm",
    "hswish",
    "indexing_one_hot",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_conv2d",
    "local_response_norm",
    "logsigmoid",
    "logsumexp",
    "logsoftmax",
    "max_pool2d",
    "one_hot",
    "prelu",
    "pad",
    "relu",
    "relu6",
    "sigmoid",
    "sliding_window",
    "sliding_window_transpose",
    "silu",
    "softmax",
    "softplus",
    "sync_batch_norm",
    "pixel_shuffle",
    "region_restricted_conv",
    "multi_head_attention",
    "local_share_conv2d",
    "rnn_cell",
    "lstm_cell",
    "gru_cell",
    "rnn",
    "lstm",
    "gru",
]


def expand_hw(x):
    """Two ints of an int or a sequence."""
    return pair(x)


def expand_dhw(x):
    """Three ints of an int or a sequence."""
    from ._compose import triple

    return triple(x)


def linear(
    inp: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    compute_mode="default",
) -> Tensor:
    """Multiplies by a transposed matrix and adds a bias.

    Args:
        inp: of shape `(*, in_features)`.
        weight: of shape `(out_features, in_features)`.
        bias: of shape `(out_features,)`.
        compute_mode: ``float32`` accumulates float16 in float32.

    Returns:
        A tensor of shape `(*, out_features)`.

    Raises:
        ValueError: shapes do not fit.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.linear(mge.Tensor([[1.0, 2.0]]), mge.Tensor([[3.0, 4.0]]), mge.Tensor([0.5]))
        Tensor([[11.5]], device=xpux:0)
    """
    check_tensor("linear", inp=inp, weight=weight)
    if weight.ndim != 2 or inp.ndim < 1 or inp._tuple_shape[-1] != weight._tuple_shape[1]:
        raise ArgumentError(f"linear: inp has shape {inp._tuple_shape}, weight {weight._tuple_shape}")
    shape = inp._tuple_shape
    inp, weight = promote(inp, weight)
    mode = "float32" if amp._enabled else _config._get_actual_op_param(compute_mode, _config._compute_mode)
    flat = inp if len(shape) == 2 else reshape(inp, (-1 if inp.size else 0, shape[-1]))
    out = _ops.MatrixMul(flat, weight, transposeB=True, compute_mode=str(getattr(mode, "name", mode)).upper())
    if len(shape) != 2:
        out = reshape(out, (*sizes(inp)[:-1], weight._tuple_shape[0]))
    if bias is None:
        return out
    return out + (amp.low(bias) if amp._enabled else bias)


def _pool(op, inp, kernel_size, stride, padding, mode):
    check_tensor(op, inp=inp)
    window, pads = pair(kernel_size, op, "kernel_size", 1), pair(padding, op, "padding")
    step = window if stride is None else pair(stride, op, "stride", 1)
    if not isinstance(mode, str):
        raise ArgumentTypeError(f"{op}: mode is a string, not {type(mode).__name__}")
    return _ops.Pooling(inp, mode=mode.upper(), window_h=window[0], window_w=window[1], stride_h=step[0],
                        stride_w=step[1], pad_h=pads[0], pad_w=pads[1])  # fmt: skip


def max_pool2d(
    inp: Tensor,
    kernel_size: Union[int, Tuple[int, int]],
    stride: Optional[Union[int, Tuple[int, int]]] = None,
    padding: Union[int, Tuple[int, int]] = 0,
) -> Tensor:
    """Largest element of every window.

    Args:
        inp: images of shape `(N, C, H, W)`.
        kernel_size: size of the windows.
        stride: step between windows; ``kernel_size`` by default.
        padding: width of the border on every side, which is never the largest.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> F.max_pool2d(mge.Tensor(np.arange(12, dtype="float32").reshape(1, 1, 3, 4)), 2, 1, 0)
        Tensor([[[[ 5.  6.  7.]
           [ 9. 10. 11.]]]], device=xpux:0)
    """
    return _pool("max_pool2d", inp, kernel_size, stride, padding, "max")


def avg_pool2d(
    inp: Tensor,
    kernel_size: Union[int, Tuple[int, int]],
    stride: Optional[Union[int, Tuple[int, int]]] = None,
    padding: Union[int, Tuple[int, int]] = 0,
    mode: str = "average_count_exclude_padding",
) -> Tensor:
    """Mean of every window.

    Args:
        mode: ``average`` counts the border's zeros, ``average_count_exclude_padding`` doesn't.
        inp, kernel_size, stride, padding: as in :func:`max_pool2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.arange(12, dtype="float32").reshape(1, 1, 3, 4))
        >>> F.avg_pool2d(x, 2, 2, padding=[1, 0], mode="average")
        Tensor([[[[0.25 1.25]
           [6.5  8.5 ]]]], device=xpux:0)
    """
    return _pool("avg_pool2d", inp, kernel_size, stride, padding, mode)


def _adaptive_pool(op, inp, oshp, mode):
    check_tensor(op, inp=inp)
    if is_tensor(oshp) and not oshp._scalar:
        size = int_vector(oshp)
    else:
        size = int_vector(pair(oshp, op, "oshp", 1))
    return _ops.AdaptivePooling(inp, size, mode=mode)


def adaptive_max_pool2d(
    inp: Tensor,
    oshp: Union[Tuple[int, int], int, Tensor],
) -> Tensor:
    """:func:`max_pool2d` with windows that give a result of size ``oshp``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> F.adaptive_max_pool2d(mge.Tensor(np.arange(4, dtype="float32").reshape(1, 1, 2, 2)), 1)
        Tensor([[[[3.]]]], device=xpux:0)
    """
    return _adaptive_pool("adaptive_max_pool2d", inp, oshp, "MAX")


def adaptive_avg_pool2d(
    inp: Tensor,
    oshp: Union[Tuple[int, int], int, Tensor],
) -> Tensor:
    """:func:`avg_pool2d` with windows that give a result of size ``oshp``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> F.adaptive_avg_pool2d(mge.Tensor(np.arange(4, dtype="float32").reshape(1, 1, 2, 2)), 1)
        Tensor([[[[1.5]]]], device=xpux:0)
    """
    return _adaptive_pool("adaptive_avg_pool2d", inp, oshp, "AVERAGE")


def deformable_psroi_pooling(
    inp: Tensor,
    rois: Tensor,
    trans: Tensor,
    no_trans: bool,
    part_size: int,
    pooled_h: int,
    pooled_w: int,
    sample_per_part: int,
    spatial_scale: float,
    trans_std: float = 0.1,
):
    """Position sensitive pooling of regions, moved by learned offsets.

    Args:
        inp: features of shape `(N, C, H, W)`.
        rois: regions of shape `(K, 5)`: image, x1, y1, x2, y2.
        trans: offsets of shape `(K, 2, part_size, part_size)`.
        no_trans: whether to ignore the offsets.
        pooled_h, pooled_w: size of the result.
        sample_per_part: samples along each side of a bin.
        spatial_scale: what region coordinates are multiplied by.
        trans_std: what offsets are multiplied by.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x, t = mge.Tensor(np.ones((1, 1, 4, 4), "float32")), mge.Tensor(np.zeros((1, 2, 1, 1), "float32"))
        >>> F.deformable_psroi_pooling(x, mge.Tensor([[0.0, 0, 0, 3, 3]]), t, True, 1, 1, 1, 2, 1.0).numpy().ravel()
        array([1.], dtype=float32)
    """
    check_tensor("deformable_psroi_pooling", inp=inp, rois=rois, trans=trans)
    return _ops.DeformablePSROIPoolingForward(inp, rois, trans, no_trans=no_trans, part_size=part_size,
                                              pooled_h=pooled_h, pooled_w=pooled_w, sample_per_part=sample_per_part,
                                              spatial_scale=spatial_scale, trans_std=trans_std)[0]  # fmt: skip


def hswish(x):
    """`x * relu6(x + 3) / 6` of every element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.hswish(mge.Tensor([-4.0, 0.0, 3.0]))
        Tensor([-0.  0.  3.], device=xpux:0)
    """
    return elwise("H_SWISH", x)


def sigmoid(x):
    """`1 / (1 + exp(-x))` of every element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.sigmoid(mge.Tensor([0.0]))
        Tensor([0.5], device=xpux:0)
    """
    return elwise("SIGMOID", x)


def hsigmoid(x):
    """`relu6(x + 3) / 6` of every element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.hsigmoid(mge.Tensor([-4.0, 0.0, 4.0]))
        Tensor([0.  0.5 1. ], device=xpux:0)
    """
    return elwise("HSIGMOID", x)


def relu(x):
    """`max(x, 0)` of every element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.relu(mge.Tensor([-1.0, 2.0]))
        Tensor([0. 2.], device=xpux:0)
    """
    return elwise("RELU", x)


def relu6(x):
    """`min(max(x, 0), 6)` of every element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.relu6(mge.Tensor([-1.0, 8.0]))
        Tensor([0. 6.], device=xpux:0)
    """
    return elwise("RELU6", x)


def prelu(x, y):
    """`max(x, 0) + y * min(x, 0)` of every element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.prelu(mge.Tensor([-4.0, 2.0]), mge.Tensor([0.25]))
        Tensor([-1.  2.], device=xpux:0)
    """
    return elwise("PRELU", x, y)


def leaky_relu(inp: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`x` where it is positive, `negative_slope * x` elsewhere.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.leaky_relu(mge.Tensor([-4.0, 2.0]), 0.5)
        Tensor([-2.  2.], device=xpux:0)
    """
    return elwise("PRELU", inp, float(negative_slope))


def silu(x):
    """`x * sigmoid(x)` of every element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.silu(mge.Tensor([0.0, 1.0])).numpy().round(4)
        array([0.    , 0.7311], dtype=float32)
    """
    return elwise("SILU", x)


def gelu(x):
    """`x` times the distribution function of the normal distribution at `x`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.gelu(mge.Tensor([0.0, 1.0])).numpy().round(4)
        array([0.    , 0.8413], dtype=float32)
    """
    return elwise("GELU", x)


def softplus(inp: Tensor) -> Tensor:
    """`log(1 + exp(x))` of every element, without overflow.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.softplus(mge.Tensor([0.0, 100.0])).numpy().round(4)
        array([  0.6931, 100.    ], dtype=float32)
    """
    return elwise("SOFTPLUS", inp)


def logsigmoid(inp: Tensor) -> Tensor:
    """`log(sigmoid(x))` of every element, without overflow.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.logsigmoid(mge.Tensor([0.0, -100.0])).numpy().round(4)
        array([  -0.6931, -100.    ], dtype=float32)
    """
    return elwise("LOGSIGMOID", inp)


def logsumexp(inp: Tensor, axis: Union[int, Sequence[int]], keepdims: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over an axis, without overflow.

    Args:
        axis: an axis, a sequence of axes, or None for all.
        keepdims: whether the axes stay, with one element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.logsumexp(mge.Tensor([[100.0, 100.0]]), axis=1).numpy().round(4)
        array([100.6931], dtype=float32)
    """
    check_tensor("logsumexp", inp=inp)
    top = reduce(inp.detach(), "MAX", axis, keepdims=True)
    rest = elwise("LOG", reduce(elwise("EXP", inp - top), "SUM", axis, keepdims))
    if keepdims:
        return top + rest
    return (
        (rest._with_scalar(False) + reshape(top, (1,)))._with_scalar(True)
        if rest._scalar
        else rest + reshape(top, sizes(rest))
    )


def logsoftmax(inp: Tensor, axis: Union[int, Sequence[int]]) -> Tensor:
    """`log(softmax(x))`, without overflow.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.logsoftmax(mge.Tensor([[0.0, 0.0]]), axis=1).numpy().round(4)
        array([[-0.6931, -0.6931]], dtype=float32)
    """
    return inp - logsumexp(inp, axis, keepdims=True)


def _get_softmax_axis(ndim: int) -> int:
    return 0 if ndim in (0, 1, 3) else 1


def softmax(inp: Tensor, axis: Optional[int] = None) -> Tensor:
    """`exp(x) / sum(exp(x))` over an axis, without overflow.

    Args:
        axis: an axis or a list of axes; by default the axis of channels.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.softmax(mge.Tensor([[0.0, 0.0]]))
        Tensor([[0.5 0.5]], device=xpux:0)
    """
    check_tensor("softmax", inp=inp)
    if axis is None:
        axis = _get_softmax_axis(inp.ndim)
    if isinstance(axis, (list, tuple)):
        powers = elwise("EXP", inp - reduce(inp.detach(), "MAX", axis, keepdims=True))
        return powers / reduce(powers, "SUM", axis, keepdims=True)
    axis = normalize_axis("softmax", axis, max(inp.ndim, 1))
    return _ops.Softmax(inp, axis=axis)


def dropout(inp: Tensor, drop_prob: float, training: bool = True) -> Tensor:
    """Sets elements to zero at random and scales the others so that the mean stays.

    Args:
        drop_prob: probability of a zero, in [0, 1).
        training: whether to do anything.

    Raises:
        ValueError: the probability is out of range.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> sorted(set(F.dropout(mge.Tensor(np.ones(100, "float32")), 0.5).numpy().tolist()))
        [0.0, 2.0]
    """
    check_tensor("dropout", inp=inp)
    if not 0 <= drop_prob < 1:
        raise ArgumentError(f"dropout: drop_prob is {drop_prob}, expected a number in [0, 1)")
    if not training or drop_prob == 0:
        return inp
    return _ops.Dropout(inp, drop_prob=drop_prob)[0]._with_scalar(inp._scalar)


def one_hot(inp: Tensor, num_classes: int) -> Tensor:
    """Vectors with a one at the place that an index names, and zeros.

    Args:
        inp: int32 indices in [0, num_classes).

    Returns:
        A tensor of shape `(*inp.shape, num_classes)`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.one_hot(mge.Tensor([1, 0]), 3)
        Tensor([[0 1 0]
         [1 0 0]], dtype=int32, device=xpux:0)
    """
    check_tensor("one_hot", inp=inp)
    count = integer("one_hot", "num_classes", num_classes, 1)
    if not isinstance(num_classes, Tensor):  # one is recorded as what it is computed from
        num_classes = count
    if inp.dtype.kind not in "iu":
        raise ArgumentTypeError(f"one_hot: inp has type {inp.dtype}, expected integers")
    flat = reshape(inp, (-1 if inp.size else 0,))
    index = flat if flat._dtype_id == 4 else _core.astype(flat, 4)
    (n,) = sizes(flat)
    out = _ops.IndexingSetOneHot(full((n, num_classes), 0, inp.dtype), index, full((n, 1), 1, inp.dtype), axis=1)
    return reshape(out, (*sizes(inp), num_classes))


def embedding(
    inp: Tensor,
    weight: Tensor,
    padding_idx: Optional[int] = None,
    max_norm: Optional[float] = None,
    norm_type: Optional[float] = None,
):
    """Rows of a table.

    Args:
        inp: int32 row numbers of any shape.
        weight: the table, of shape `(rows, width)`.
        padding_idx, max_norm, norm_type: None; nothing else is supported, as in MegEngine.

    Returns:
        A tensor of shape `(*inp.shape, width)`.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.embedding(mge.Tensor([1, 0]), mge.Tensor([[1.0, 2.0], [3.0, 4.0]]))
        Tensor([[3. 4.]
         [1. 2.]], device=xpux:0)
    """
    if padding_idx is not None:
        raise ArgumentError("embedding: padding_idx is not supported")
    if max_norm is not None or norm_type is not None:
        raise ArgumentError("embedding: max_norm and norm_type are not supported")
    inp, weight = of_array(inp), of_array(weight)
    check_tensor("embedding", inp=inp, weight=weight)
    if inp.dtype.kind not in "iu":
        raise ArgumentTypeError(f"embedding: inp has type {inp.dtype}, expected integers")
    index = reshape(inp, (-1 if inp.size else 0,))
    rows = take_rows(weight, index if index._dtype_id == 4 else _core.astype(index, 4))
    return reshape(rows, (*sizes(inp), *weight._tuple_shape[1:]))


def indexing_one_hot(src: Tensor, index: Tensor, axis: int = 1, keepdims=False) -> Tensor:
    """Takes, along an axis, the element that an index names.

    Args:
        index: int32 indices, of the shape of ``src`` without ``axis``.
        keepdims: whether the axis stays, with one element.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.indexing_one_hot(mge.Tensor([[1.0, 2.0]]), mge.Tensor([1]))
        Tensor([2.], device=xpux:0)
    """
    check_tensor("indexing_one_hot", src=src)
    if not is_tensor(index):
        index = Tensor(index)
    axis = normalize_axis("indexing_one_hot", axis, src.ndim)
    index = _core.astype(index, 4)
    expected = src._tuple_shape[:axis] + src._tuple_shape[axis + 1 :]
    require(
        tuple(index._tuple_shape) == tuple(expected),
        f"indexing_one_hot: index has shape {index._tuple_shape}, expected {expected}",
    )
    out = _ops.IndexingOneHot(src, index, axis=axis)
    return out if keepdims else squeeze(out, axis)


def pad(
    src: Tensor,
    pad_width: Tuple[Tuple[int, int], ...],
    mode: str = "constant",
    constant_value: float = 0.0,
) -> Tensor:
    """Adds a border.

    Args:
        src: a tensor of up to 7 dimensions.
        pad_width: for each of the first axes, how many elements come before and after.
        mode: ``constant``, ``reflect`` (without the edge), ``replicate`` or ``edge`` (repeats the edge).
        constant_value: the border's value in mode ``constant``.

    Raises:
        ValueError: mode or widths make no sense.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.nn.pad(mge.Tensor([1.0, 2.0, 3.0]), ((1, 2),), "reflect")
        Tensor([2. 1. 2. 3. 2. 1.], device=xpux:0)
    """
    check_tensor("pad", src=src)
    name = str(mode).lower()
    require(name in ("constant", "edge", "replicate", "reflect"), f"pad: there is no mode {shown(mode)}")
    require(len(pad_width) <= 7, f"pad: pad_width has {len(pad_width)} axes, expected at most 7")
    params = {}
    for i, width in enumerate(pad_width):
        params[f"front_offset_dim{i}"], params[f"back_offset_dim{i}"] = pair(tuple(width), "pad", "pad_width")
    return _ops.Padding(src, padding_val=float(constant_value),
                        padding_mode="REPLICATE" if name == "edge" else name.upper(), **params)  # fmt: skip


def pixel_shuffle(inp: Tensor, upscale_factor: int) -> Tensor:
    """Moves channels into space: `(*, C * r * r, H, W)` becomes `(*, C, H * r, W * r)`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> F.pixel_shuffle(mge.Tensor(np.arange(4, dtype="float32").reshape(1, 4, 1, 1)), 2)
        Tensor([[[[0. 1.]
           [2. 3.]]]], device=xpux:0)
    """
    op, r = "pixel_shuffle", upscale_factor
    check_tensor(op, inp=inp)
    r = integer(op, "upscale_factor", r, 1)
    require(inp.ndim >= 3, f"{op}: inp has shape {inp._tuple_shape}, expected at least 3 dimensions")
    *batch, channels, rows, columns = inp._tuple_shape
    require(channels % (r * r) == 0, f"{op}: inp has {channels} channels, which {r} * {r} doesn't divide")
    *batch, _, rows, columns = sizes(inp)
    out = reshape(inp, (-1 if inp.size else int(np.prod(batch)), channels // (r * r), r, r, rows, columns))
    out = dimshuffle(out, (0, 1, 4, 2, 5, 3))
    return reshape(out, (*batch, channels // (r * r), rows * r, columns * r))


layerPixelShuffle_traceable = pixel_shuffle

from .loss import *  # isort:skip  # noqa: E402
from .vision import *  # isort:skip  # noqa: E402
from .quantized import conv_bias_activation  # isort:skip  # noqa: E402
