"""Convolutions and what is built like them: transposed, local, deformable, region restricted; sliding windows."""

from typing import Optional, Tuple, Union

from .. import _core, _ops
from ..core._trace_option import sizes
from .._errors import ArgumentError, require
from ..core import _config
from ..core.tensor import amp
from ..tensor import Tensor
from ._compose import check_tensor, expand_dims, full, integer, pair, promote, shown, squeeze, triple

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d", "deformable_conv2d", "local_conv2d",
           "local_share_conv2d", "region_restricted_conv", "sliding_window", "sliding_window_transpose"]  # fmt: skip


def _mode(op: str, mode) -> str:
    if mode != "cross_correlation" and str(getattr(mode, "name", mode)).upper() != "CROSS_CORRELATION":
        raise ArgumentError(f"{op}: conv_mode is {shown(mode)}, expected 'cross_correlation'")
    return "CROSS_CORRELATION"


def _compute(mode) -> str:
    name = "float32" if amp._enabled else _config._get_actual_op_param(mode, _config._compute_mode)
    return str(getattr(name, "name", name)).upper()


def _geometry(op: str, stride, padding, dilation, expand=pair):
    """The parameters of a convolution, by the names the ops give them."""
    letters = "dhw" if expand is triple else "hw"
    out = {}
    for field, value, low in (("stride", stride, 1), ("pad", padding, 0), ("dilate", dilation, 1)):
        for letter, number in zip(letters, expand(value, op, field, low)):
            out[f"{field}_{letter}"] = number
    return out


def _sparse(op: str, groups) -> str:
    return "DENSE" if integer(op, "groups", groups, 1) == 1 else "GROUP"


_made = {}


def _call(op: str, name: str, inputs, stride, padding, dilation, groups, compute_mode=None, expand=pair, regions=None):
    """Calls a convolution op; ops with the same numbers are made once."""
    compute = None if compute_mode is None else _compute(compute_mode)
    key = None
    if all(
        type(v) is int or (type(v) is tuple and all(type(e) is int for e in v))
        for v in (stride, padding, dilation, regions or 0)
    ):
        key = (name, stride, padding, dilation, groups, compute, regions)
        made = _made.get(key) if type(groups) is int else None
        if made is not None:
            return _core.apply1(made, *inputs)
    params = _geometry(op, stride, padding, dilation, expand)
    if compute is not None:
        params["compute_mode"] = compute
    if regions is not None:
        params["spatial_groups_h"], params["spatial_groups_w"] = pair(regions, op, "spatial_groups", 1)
    made = _core.Op(name, mode="CROSS_CORRELATION", sparse=_sparse(op, groups), **params)
    if key is not None:
        if len(_made) > 1024:  # numbers that change with every call
            _made.clear()
        _made[key] = made
    return _core.apply1(made, *inputs)


def _add_bias(out, bias):
    if bias is None:
        return out
    return out + (amp.low(bias) if amp._enabled else bias)


def conv1d(
    inp: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    conv_mode="cross_correlation",
    compute_mode="default",
) -> Tensor:
    """1D convolution: slides filters over sequences.

    Args:
        inp: sequences of shape `(N, C, L)`.
        weight: filters of shape `(OC, C, K)`.
        bias: added to the result, of shape `(1, OC, 1)`.
        stride, padding, dilation: step of the filter, zeros on both sides, distance of its taps.
        groups: number of groups that channels are split into.
        conv_mode: ``cross_correlation``.
        compute_mode: ``float32`` accumulates float16 in float32.

    Returns:
        Sequences of shape `(N, OC, OL)`.

    Raises:
        ValueError: shapes or parameters do not fit.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.conv1d(mge.Tensor([[[1.0, 2.0, 3.0]]]), mge.Tensor([[[1.0, -1.0]]]))
        Tensor([[[-1. -1.]]], device=xpux:0)
    """
    check_tensor("conv1d", inp=inp, weight=weight)
    mode = _mode("conv1d", conv_mode)
    require(inp.ndim == 3, f"conv1d: inp has shape {inp._tuple_shape}, expected 3 dimensions")
    require(
        weight.ndim == (3 if groups == 1 else 4), f"conv1d: weight has shape {weight._tuple_shape} for {groups} groups"
    )
    require(
        bias is None or bias.ndim == 3, f"conv1d: bias has shape {getattr(bias, 'shape', None)}, expected 3 dimensions"
    )
    inp, weight = promote(inp, weight)
    params = _geometry("conv1d", (stride, 1), (padding, 0), (dilation, 1))
    out = _ops.Convolution(
        expand_dims(inp, 3),
        expand_dims(weight, weight.ndim),
        mode=mode,
        compute_mode=_compute(compute_mode),
        sparse=_sparse("conv1d", groups),
        **params,
    )
    return _add_bias(squeeze(out, 3), bias)


def conv2d(
    inp: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Tuple[int, int]] = 1,
    padding: Union[int, Tuple[int, int]] = 0,
    dilation: Union[int, Tuple[int, int]] = 1,
    groups: int = 1,
    conv_mode="cross_correlation",
    compute_mode="default",
) -> Tensor:
    """2D convolution: slides filters over images.

    Args:
        inp: images of shape `(N, C, H, W)`.
        weight: filters of shape `(OC, C, KH, KW)`, or `(groups, OC / groups, C / groups, KH, KW)`.
        bias: added to the result, of shape `(1, OC, 1, 1)`.
        stride, padding, dilation: step of the filter, zeros on all sides, distance of its taps.
        groups: number of groups that channels are split into.
        conv_mode: ``cross_correlation``.
        compute_mode: ``float32`` accumulates float16 in float32.

    Returns:
        Images of shape `(N, OC, OH, OW)`.

    Raises:
        ValueError: shapes or parameters do not fit.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.arange(9, dtype="float32").reshape(1, 1, 3, 3))
        >>> F.conv2d(x, mge.Tensor(np.ones((1, 1, 2, 2), "float32")))
        Tensor([[[[ 8. 12.]
           [20. 24.]]]], device=xpux:0)
    """
    check_tensor("conv2d", inp=inp, weight=weight)
    _mode("conv2d", conv_mode)
    out = _call("conv2d", "Convolution", promote(inp, weight), stride, padding, dilation, groups, compute_mode)
    return _add_bias(out, bias)


def conv3d(
    inp: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Tuple[int, int, int]] = 1,
    padding: Union[int, Tuple[int, int, int]] = 0,
    dilation: Union[int, Tuple[int, int, int]] = 1,
    groups: int = 1,
    conv_mode: str = "cross_correlation",
) -> Tensor:
    """3D convolution of volumes of shape `(N, C, D, H, W)` with filters of shape `(OC, C, KD, KH, KW)`.

    The other arguments are those of :func:`conv2d`, with three numbers where it has two.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> one = mge.Tensor(np.ones((1, 1, 2, 2, 2), "float32"))
        >>> F.conv3d(one, one).numpy().item()
        8.0
    """
    check_tensor("conv3d", inp=inp, weight=weight)
    _mode("conv3d", conv_mode)
    inputs = _core.convert_inputs(inp, weight)
    out = _call("conv3d", "Convolution3D", inputs, stride, padding, dilation, groups, expand=triple)
    return out if bias is None else out + bias


def _output_like(op, inp, weight, groups, stride, padding, output_padding, dilation):
    """An image of the shape of a transposed convolution with extra rows, in a list for the op; empty without."""
    if not any(output_padding):
        return []
    for i, (extra, step) in enumerate(zip(output_padding, stride)):
        require(0 <= extra < step, f"{op}: output_padding[{i}] is {extra}, expected less than the stride {step}")
    first = 0 if groups == 1 else 1
    lengths = sizes(inp)
    shape = [lengths[0], weight._tuple_shape[first + 1] * groups]
    for i, (extra, step, pad, dilate) in enumerate(zip(output_padding, stride, padding, dilation)):
        shape.append(
            (lengths[2 + i] - 1) * step - 2 * pad + dilate * (weight._tuple_shape[first + 2 + i] - 1) + extra + 1
        )
    return [full(shape, 0, inp.dtype)]


def conv_transpose2d(
    inp: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Tuple[int, int]] = 1,
    padding: Union[int, Tuple[int, int]] = 0,
    output_padding: Union[int, Tuple[int, int]] = 0,
    dilation: Union[int, Tuple[int, int]] = 1,
    groups: int = 1,
    conv_mode="cross_correlation",
    compute_mode="default",
) -> Tensor:
    """Transposed 2D convolution: the gradient of :func:`conv2d` with respect to its input.

    Args:
        inp: images of shape `(N, C, H, W)`.
        weight: filters of shape `(C, OC, KH, KW)`, or `(groups, C / groups, OC / groups, KH, KW)`.
        bias: added to the result, of shape `(1, OC, 1, 1)`.
        output_padding: rows and columns that the result has more, fewer than ``stride``.
        stride, padding, dilation, groups, conv_mode, compute_mode: as in :func:`conv2d`.

    Returns:
        Images of shape `(N, OC, OH, OW)` with `OH = (H - 1) * stride - 2 * padding + dilation * (KH - 1) + 1`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> F.conv_transpose2d(mge.Tensor([[[[1.0, 2.0]]]]), mge.Tensor(np.ones((1, 1, 1, 2), "float32")), stride=2)
        Tensor([[[[1. 1. 2. 2.]]]], device=xpux:0)
    """
    op = "conv_transpose2d"
    check_tensor(op, inp=inp, weight=weight)
    mode = _mode(op, conv_mode)
    inp, weight = promote(inp, weight)
    like = _output_like(
        op, inp, weight, groups, pair(stride), pair(padding), pair(output_padding, op, "output_padding"), pair(dilation)
    )
    out = _ops.ConvolutionBackwardData(weight, inp, *like, mode=mode,
                                       compute_mode=_compute(compute_mode), sparse=_sparse(op, groups),
                                       **_geometry(op, stride, padding, dilation))  # fmt: skip
    return _add_bias(out, bias)


def conv_transpose3d(
    inp: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Tuple[int, int, int]] = 1,
    padding: Union[int, Tuple[int, int, int]] = 0,
    output_padding: Union[int, Tuple[int, int, int]] = 0,
    dilation: Union[int, Tuple[int, int, int]] = 1,
    groups: int = 1,
) -> Tensor:
    """Transposed 3D convolution: the gradient of :func:`conv3d` with respect to its input.

    Arguments are those of :func:`conv_transpose2d`, with three numbers where it has two.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> one = mge.Tensor(np.ones((1, 1, 1, 1, 1), "float32"))
        >>> F.conv_transpose3d(one, mge.Tensor(np.ones((1, 1, 2, 2, 2), "float32"))).shape
        (1, 1, 2, 2, 2)
    """
    op = "conv_transpose3d"
    check_tensor(op, inp=inp, weight=weight)
    inp, weight = _core.convert_inputs(inp, weight)
    like = _output_like(op, inp, weight, groups, triple(stride), triple(padding),
                        triple(output_padding, op, "output_padding"), triple(dilation))  # fmt: skip
    out = _ops.Convolution3DBackwardData(weight, inp, *like, sparse=_sparse(op, groups),
                                         **_geometry(op, stride, padding, dilation, triple))  # fmt: skip
    return out if bias is None else out + bias


def deformable_conv2d(
    inp: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Tuple[int, int]] = 1,
    padding: Union[int, Tuple[int, int]] = 0,
    dilation: Union[int, Tuple[int, int]] = 1,
    groups: int = 1,
    conv_mode="cross_correlation",
    compute_mode="default",
) -> Tensor:
    """2D convolution whose taps are moved by learned offsets and weighted by a learned mask.

    Args:
        offset: of shape `(N, 2 * DG * KH * KW, OH, OW)` for `DG` deformable groups: y and x of every tap.
        mask: of shape `(N, DG * KH * KW, OH, OW)`.
        inp, weight, bias, stride, padding, dilation, groups, conv_mode, compute_mode: as in :func:`conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.arange(4, dtype="float32").reshape(1, 1, 2, 2))
        >>> one = mge.Tensor(np.ones((1, 1, 1, 1), "float32"))
        >>> F.deformable_conv2d(x, one, mge.Tensor(np.zeros((1, 2, 2, 2))), mge.Tensor(np.ones((1, 1, 2, 2))))
        Tensor([[[[0. 1.]
           [2. 3.]]]], device=xpux:0)
    """
    op = "deformable_conv2d"
    check_tensor(op, inp=inp, weight=weight, offset=offset, mask=mask)
    mode = _mode(op, conv_mode)
    tensors = [_core.astype(t, 0) for t in (inp, weight, offset, mask)]
    out = _ops.DeformableConvForward(
        *tensors,
        mode=mode,
        compute_mode=_compute(compute_mode),
        sparse=_sparse(op, groups),
        **_geometry(op, stride, padding, dilation),
    )
    return out if bias is None else out + bias


def local_conv2d(
    inp: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Tuple[int, int]] = 1,
    padding: Union[int, Tuple[int, int]] = 0,
    dilation: Union[int, Tuple[int, int]] = 1,
    conv_mode="cross_correlation",
):
    """2D convolution with filters of its own at every position (a locally connected layer).

    Args:
        inp: images of shape `(N, C, H, W)`.
        weight: filters of shape `(groups, OH, OW, C / groups, KH, KW, OC / groups)`.
        bias: added to the result.
        stride, padding, dilation, conv_mode: as in :func:`conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> w = mge.Tensor(np.array([1.0, 10.0], "float32").reshape(1, 1, 2, 1, 1, 1, 1))
        >>> F.local_conv2d(mge.Tensor([[[[3.0, 4.0]]]]), w)
        Tensor([[[[ 3. 40.]]]], device=xpux:0)
    """
    check_tensor("local_conv2d", inp=inp, weight=weight)
    _mode("local_conv2d", conv_mode)
    inputs = _core.convert_inputs(inp, weight)
    out = _call("local_conv2d", "GroupLocal", inputs, stride, padding, dilation, 1)
    return out if bias is None else out + bias


def local_share_conv2d(
    inp: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Tuple[int, int]] = 1,
    padding: Union[int, Tuple[int, int]] = 0,
    dilation: Union[int, Tuple[int, int]] = 1,
    spatial_groups: Union[int, Tuple[int, int]] = 1,
    groups: int = 1,
    conv_mode="cross_correlation",
) -> Tensor:
    """2D convolution with filters shared within rectangles: between :func:`conv2d` and :func:`local_conv2d`.

    Args:
        inp: images of shape `(N, C, H, W)`.
        weight: filters of shape `(SH, SW, C, KH, KW, OC)`, or `(groups, SH, SW, C / groups, KH, KW, OC / groups)`.
        spatial_groups: `(SH, SW)`, how many rectangles there are; they divide the result's size.
        bias, stride, padding, dilation, groups, conv_mode: as in :func:`conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> w = mge.Tensor(np.array([1.0, 10.0], "float32").reshape(1, 2, 1, 1, 1, 1))
        >>> F.nn.local_share_conv2d(mge.Tensor([[[[1.0, 2.0, 3.0, 4.0]]]]), w, spatial_groups=(1, 2))
        Tensor([[[[ 1.  2. 30. 40.]]]], device=xpux:0)
    """
    op = "local_share_conv2d"
    check_tensor(op, inp=inp, weight=weight)
    _mode(op, conv_mode)
    inputs = _core.convert_inputs(inp, weight)
    out = _call(op, "LocalShareForward", inputs, stride, padding, dilation, groups, regions=spatial_groups)
    return out if bias is None else out + bias


def region_restricted_conv(
    inp: Tensor,
    weight: Tensor,
    rin: Tensor,
    rout: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Tuple[int, int, int]] = 1,
    padding: Union[int, Tuple[int, int, int]] = 0,
    dilation: Union[int, Tuple[int, int, int]] = 1,
    groups: int = 1,
    conv_mode: str = "cross_correlation",
    compute_mode="default",
) -> Tensor:
    """Grouped 2D convolution that only sums input positions of the same region as the output position.

    Args:
        rin: int32 or uint8 region numbers of the input, of shape `(N, H, W)`.
        rout: region numbers of the result, of shape `(N, OH, OW)`.
        weight: filters of shape `(groups, OC / groups, C / groups, KH, KW)`, also with one group.
        inp, bias, stride, padding, dilation, conv_mode, compute_mode: as in :func:`conv2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x, w = mge.Tensor(np.ones((1, 1, 1, 4), "float32")), mge.Tensor(np.ones((1, 1, 1, 1, 3), "float32"))
        >>> region = mge.Tensor(np.array([[[0, 0, 1, 1]]], "int32"))
        >>> F.nn.region_restricted_conv(x, w, region, region, padding=(0, 1))
        Tensor([[[[2. 2. 2. 2.]]]], device=xpux:0)
    """
    op = "region_restricted_conv"
    check_tensor(op, inp=inp, weight=weight, rin=rin, rout=rout)
    mode = _mode(op, conv_mode)
    _sparse(op, groups)
    inp, weight = _core.convert_inputs(inp, weight)
    out = _ops.RegionRestrictedConvolution(inp, weight, rin, rout, mode=mode, compute_mode=_compute(compute_mode),
                                           sparse="GROUP", **_geometry(op, stride, padding, dilation))  # fmt: skip
    return out if bias is None else out + bias


def sliding_window(
    inp: Tensor,
    kernel_size: Union[int, Tuple[int, int]],
    padding: Union[int, Tuple[int, int]] = 0,
    stride: Union[int, Tuple[int, int]] = 1,
    dilation: Union[int, Tuple[int, int]] = 1,
) -> Tensor:
    """Copies the window around every position.

    Args:
        inp: images of shape `(N, C, H, W)`.
        kernel_size, padding, stride, dilation: the windows, as in :func:`conv2d`.

    Returns:
        Windows of shape `(N, C, OH, OW, KH, KW)`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> F.sliding_window(mge.Tensor(np.arange(9, dtype="float32").reshape(1, 1, 3, 3)), 2).numpy()[0, 0, 0, 1]
        array([[1., 2.],
               [4., 5.]], dtype=float32)
    """
    check_tensor("sliding_window", inp=inp)
    rows, columns = pair(kernel_size, "sliding_window", "kernel_size", 1)
    return _ops.Images2Neibs(inp, window_h=rows, window_w=columns,
                             **_geometry("sliding_window", stride, padding, dilation))  # fmt: skip


def sliding_window_transpose(
    inp: Tensor,
    output_size: Union[int, Tuple[int, int]],
    kernel_size: Union[int, Tuple[int, int]],
    padding: Union[int, Tuple[int, int]] = 0,
    stride: Union[int, Tuple[int, int]] = 1,
    dilation: Union[int, Tuple[int, int]] = 1,
) -> Tensor:
    """Adds windows into images at the positions :func:`sliding_window` takes them from.

    Args:
        inp: windows of shape `(N, C, OH, OW, KH, KW)`.
        output_size: `(H, W)` of the images.
        kernel_size, padding, stride, dilation: as in :func:`sliding_window`.

    Returns:
        Images of shape `(N, C, H, W)`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> windows = F.sliding_window(mge.Tensor(np.ones((1, 1, 3, 3), "float32")), 2)
        >>> F.sliding_window_transpose(windows, 3, 2).numpy()[0, 0]
        array([[1., 2., 1.],
               [2., 4., 2.],
               [1., 2., 1.]], dtype=float32)
    """
    op = "sliding_window_transpose"
    check_tensor(op, inp=inp)
    require(inp.ndim == 6, f"{op}: inp has shape {inp._tuple_shape}, expected 6 dimensions")
    size, window = pair(output_size, op, "output_size", 1), pair(kernel_size, op, "kernel_size", 1)
    pads, steps, gaps = pair(padding), pair(stride, op, "stride", 1), pair(dilation)
    fits = [(size[i] + 2 * pads[i] - gaps[i] * (window[i] - 1) - 1) // steps[i] + 1 for i in (0, 1)]
    require(
        list(inp._tuple_shape[2:4]) == fits,
        f"{op}: inp has shape {inp._tuple_shape}, but output_size {size} gives {tuple(fits)} windows",
    )
    return _ops.SlidingWindowTranspose(inp, out_h=size[0], out_w=size[1], window_h=window[0], window_w=window[1],
                                       **_geometry(op, stride, padding, dilation))  # fmt: skip
