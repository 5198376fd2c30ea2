"""Functions of images and boxes."""

from typing import Iterable, Optional, Tuple, Union

import numpy as np

from .. import _core, _ops
from ..core._trace_option import sizes
from .._errors import ArgumentError, ArgumentTypeError, require
from ..tensor import Tensor
from ._compose import (
    broadcast_to,
    check_tensor,
    concat,
    elwise,
    expand_dims,
    int_vector,
    integer,
    is_tensor,
    pair,
    part,
    reshape,
    shown,
    squeeze,  # fmt: skip
    take_rows,
)

__all__ = [
    "correlation",
    "cvt_color",
    "gaussian_blur",
    "interpolate",
    "nms",
    "nvof",
    "remap",
    "roi_align",
    "roi_pooling",
    "warp_affine",
    "warp_perspective",
]


def _field(op: str, field: str, name):
    """An enumerator's name as the op spells it."""
    text = str(getattr(name, "name", name))
    for value in _enumerators(op, field):
        if value.lower() == text.lower():
            return value
    raise ArgumentError(f"{op}: there is no {field} {shown(name)}; there are {', '.join(_enumerators(op, field))}")


_cache = {}


def _enumerators(op, field):
    if (op, field) not in _cache:
        (entry,) = [f for f in _ops._entries[op]["fields"] if f[0] == field]
        _cache[op, field] = list(entry[3])
    return _cache[op, field]


def cvt_color(inp: Tensor, mode: str = ""):
    """Converts images from one colour space to another.

    Args:
        inp: images of shape `(N, H, W, C)`, float32 or uint8.
        mode: such as ``RGB2GRAY``, ``RGB2YUV``, ``YUV2RGB``, ``GRAY2RGB``, ``RGB2BGR``, ``BT601_YUV2RGB_NV21``.

    Raises:
        ValueError: there is no such mode, or the type does not fit it.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> F.vision.cvt_color(mge.Tensor([[[[1.0, 1.0, 1.0]]]]), "RGB2GRAY").numpy().round(4)
        array([[[[1.]]]], dtype=float32)
    """
    check_tensor("cvt_color", inp=inp)
    name = str(mode).upper()
    known = {m.upper(): m for m in _enumerators("CvtColor", "mode")}
    require(name in known, f"cvt_color: there is no mode {shown(mode)}")
    return _ops.CvtColor(inp, mode=known[name])


def gaussian_blur(
    inp: Tensor,
    kernel_size: Union[int, Tuple[int, int]],
    sigma: Union[float, Tuple[float, float]] = 0.0,
    border_mode: str = "replicate",
) -> Tensor:
    """Blurs images with a Gaussian filter.

    Args:
        inp: images of shape `(N, H, W, C)`.
        kernel_size: odd height and width of the filter.
        sigma: vertical and horizontal deviation; 0 derives it from the size.
        border_mode: ``replicate``, ``reflect``, ``reflect_101``, ``wrap`` or ``constant``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> F.vision.gaussian_blur(mge.Tensor(np.ones((1, 3, 3, 1), "float32")), 3).shape
        (1, 3, 3, 1)
    """
    check_tensor("gaussian_blur", inp=inp)
    rows, columns = pair(kernel_size, "gaussian_blur", "kernel_size", 1)
    sy, sx = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
    return _ops.GaussianBlur(inp, border_mode=_field("GaussianBlur", "border_mode", border_mode), kernel_height=rows,
                             kernel_width=columns, sigma_x=float(sx), sigma_y=float(sy))  # fmt: skip


def roi_pooling(
    inp: Tensor,
    rois: Tensor,
    output_shape: Union[int, tuple, list],
    mode: str = "max",
    scale: float = 1.0,
) -> Tensor:
    """Pools regions of images to one size.

    Args:
        inp: features of shape `(N, C, H, W)`.
        rois: regions of shape `(K, 5)`: image, x1, y1, x2, y2.
        output_shape: `(OH, OW)`.
        mode: ``max`` or ``average``.
        scale: what region coordinates are multiplied by.

    Returns:
        Features of shape `(K, C, OH, OW)`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.arange(16, dtype="float32").reshape(1, 1, 4, 4))
        >>> F.vision.roi_pooling(x, mge.Tensor([[0.0, 0, 0, 3, 3]]), 1)
        Tensor([[[[15.]]]], device=xpux:0)
    """
    check_tensor("roi_pooling", inp=inp, rois=rois)
    require(str(mode).lower() in ("max", "average"), f"roi_pooling: mode is {shown(mode)}, expected 'max' or 'average'")
    size = int_vector(pair(output_shape, "roi_pooling", "output_shape", 1))
    return _ops.ROIPooling(inp, rois, size, mode=str(mode).upper(), scale=scale)[0]


def correlation(
    data1: Tensor,
    data2: Tensor,
    kernel_size: int = 1,
    max_displacement: int = 1,
    stride1: int = 1,
    stride2: int = 1,
    pad_size: int = 0,
    is_multiply: bool = True,
) -> Tensor:
    """Compares patches of two feature maps at displacements up to ``max_displacement``.

    Args:
        data1, data2: features of shape `(N, C, H, W)`.
        kernel_size: odd size of the patches.
        stride1, stride2: step of positions, step of displacements.
        pad_size: zeros on every side.
        is_multiply: whether patches are multiplied; else their absolute difference is taken.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.ones((1, 1, 4, 4), "float32"))
        >>> F.vision.correlation(x, x, max_displacement=0).shape
        (1, 1, 4, 4)
    """
    check_tensor("correlation", data1=data1, data2=data2)
    return _ops.CorrelationForward(
        data1,
        data2,
        format="NCHW",
        kernel_size=kernel_size,
        max_displacement=max_displacement,
        stride1=stride1,
        stride2=stride2,
        pad_size=pad_size,
        is_multiply=is_multiply,
    )


def roi_align(
    inp: Tensor,
    rois: Tensor,
    output_shape: Union[int, tuple, list],
    mode: str = "average",
    spatial_scale: float = 1.0,
    sample_points: Union[int, tuple, list] = 2,
    aligned: bool = True,
) -> Tensor:
    """Samples regions of images, with linear interpolation, to one size.

    Args:
        inp: features of shape `(N, C, H, W)`.
        rois: regions of shape `(K, 5)`: image, x1, y1, x2, y2.
        output_shape: `(OH, OW)`.
        mode: ``average`` or ``max`` of the samples of a bin.
        spatial_scale: what region coordinates are multiplied by.
        sample_points: samples along each side of a bin.
        aligned: whether coordinates are moved by half a pixel.

    Returns:
        Features of shape `(K, C, OH, OW)`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.ones((1, 1, 4, 4), "float32"))
        >>> F.vision.roi_align(x, mge.Tensor([[0.0, 0, 0, 3, 3]]), 1).numpy().ravel()
        array([1.], dtype=float32)
    """
    op = "roi_align"
    check_tensor(op, inp=inp, rois=rois)
    mode = str(mode).lower()
    require(mode in ("max", "average"), f"{op}: mode is {shown(mode)}, expected 'max' or 'average'")
    rows, columns = pair(output_shape, op, "output_shape", 1)
    sample_rows, sample_columns = pair(sample_points, op, "sample_points")
    inp, rois = _core.astype(inp, 0), _core.astype(rois, 0)
    return _ops.ROIAlign(inp, rois, mode=mode.upper(), format="NCHW", spatial_scale=spatial_scale,
                         offset=0.5 if aligned else 0.0, pooled_height=rows, pooled_width=columns,
                         sample_height=sample_rows, sample_width=sample_columns)[0]  # fmt: skip


def nms(boxes: Tensor, scores: Tensor, iou_thresh: float, max_output: Optional[int] = None) -> Tensor:
    """Keeps the best of boxes that overlap.

    Args:
        boxes: of shape `(N, 4)`: x1, y1, x2, y2.
        scores: of shape `(N,)`.
        iou_thresh: overlap, as intersection over union, from which the worse box goes.
        max_output: most boxes that are kept.

    Returns:
        int32 numbers of the boxes kept, best first.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> boxes = mge.Tensor([[0.0, 0, 2, 2], [0, 0, 2, 1.9], [5, 5, 6, 6]])
        >>> F.vision.nms(boxes, mge.Tensor([0.5, 0.9, 0.1]), 0.5)
        Tensor([1 2], dtype=int32, device=xpux:0)
    """
    check_tensor("nms", boxes=boxes, scores=scores)
    require(
        boxes.ndim == 2 and boxes._tuple_shape[1] == 4, f"nms: boxes have shape {boxes._tuple_shape}, expected (N, 4)"
    )
    require(scores.ndim == 1, f"nms: scores have shape {scores._tuple_shape}, expected (N,)")
    require(
        boxes._tuple_shape[0] == scores._tuple_shape[0],
        f"nms: {boxes._tuple_shape[0]} boxes, but {scores._tuple_shape[0]} scores",
    )
    count = int(boxes._tuple_shape[0])
    if max_output is None:
        max_output = count
    max_output = integer("nms", "max_output", max_output, 0)
    if count == 0 or max_output == 0:
        return Tensor(np.zeros((0,), np.int32))
    boxes, scores = boxes.detach(), scores.detach()
    order = reshape(_ops.Argsort(reshape(scores, (1, count)), order="DESCENDING")[1], (count,))
    ordered = reshape(_core.astype(take_rows(boxes, order), 0), (1, count, 4))
    kept, number = _ops.NMSKeepMGB(ordered, iou_thresh=iou_thresh, max_output=max_output)
    kept = part(reshape(kept, (kept.size,)), 0, 0, number)
    return take_rows(order, _core.astype(kept, 4))


def remap(
    inp: Tensor,
    map_xy: Tensor,
    border_mode: str = "replicate",
    scalar: float = 0.0,
    interp_mode: str = "linear",
) -> Tensor:
    """Takes every pixel from the place that a map names.

    Args:
        inp: images of shape `(N, C, H, W)`.
        map_xy: x and y for every pixel of the result, of shape `(N, OH, OW, 2)`.
        border_mode: ``replicate``, ``constant``, ``reflect``, ``reflect_101`` or ``wrap``.
        scalar: value outside in mode ``constant``.
        interp_mode: ``linear`` or ``nearest``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.arange(4, dtype="float32").reshape(1, 1, 2, 2))
        >>> F.vision.remap(x, mge.Tensor([[[[0.5, 0.0], [1.0, 1.0]]]]))
        Tensor([[[[0.5 3. ]]]], device=xpux:0)
    """
    check_tensor("remap", inp=inp, map_xy=map_xy)
    return _ops.Remap(inp, map_xy, imode=_field("Remap", "imode", interp_mode), format="NCHW", scalar=scalar,
                      border_type=_field("Remap", "border_type", border_mode))  # fmt: skip


def _size(op, shape):
    if is_tensor(shape):
        return int_vector(shape)
    if isinstance(shape, (int, np.integer)):
        raise ArgumentTypeError(f"{op}: out_shape is {shape}, expected height and width")
    return int_vector(shape)


def warp_affine(
    inp: Tensor,
    mat: Tensor,
    out_shape: Union[Tuple[int, int], int, Tensor],
    border_mode: str = "replicate",
    border_val: float = 0.0,
    format: str = "NHWC",
    interp_mode: str = "linear",
) -> Tensor:
    """Moves images by 2 by 3 matrices that lead from the result's coordinates to the input's.

    Args:
        inp: images of shape `(N, H, W, C)`, or as ``format`` says.
        mat: of shape `(N, 2, 3)`.
        out_shape: height and width of the result.
        border_mode: ``replicate``, ``constant``, ``reflect``, ``reflect_101`` or ``wrap``.
        border_val: value outside in mode ``constant``.
        format: ``NHWC`` or ``NCHW``.
        interp_mode: ``linear``, ``nearest``, ``cubic`` or ``area``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.arange(4, dtype="float32").reshape(1, 2, 2, 1))
        >>> F.vision.warp_affine(x, mge.Tensor([[[1.0, 0, 1], [0, 1, 0]]]), (1, 1)).numpy().ravel()
        array([1.], dtype=float32)
    """
    check_tensor("warp_affine", inp=inp, mat=mat)
    return _ops.WarpAffine(inp, mat, _size("warp_affine", out_shape), format=_field("WarpAffine", "format", format),
                           border_mode=_field("WarpAffine", "border_mode", border_mode), border_val=border_val,
                           imode=_field("WarpAffine", "imode", interp_mode))  # fmt: skip


def warp_perspective(
    inp: Tensor,
    mat: Tensor,
    out_shape: Union[Tuple[int, int], int, Tensor],
    mat_idx: Optional[Union[Iterable[int], Tensor]] = None,
    border_mode: str = "replicate",
    border_val: float = 0.0,
    format: str = "NCHW",
    interp_mode: str = "linear",
) -> Tensor:
    """Moves images by 3 by 3 matrices that lead from the result's coordinates to the input's.

    Args:
        inp: images of shape `(N, C, H, W)`, or as ``format`` says.
        mat: of shape `(K, 3, 3)`.
        out_shape: height and width of the result.
        mat_idx: the image that each matrix is applied to, `K` ints; without it there is one matrix per image.
        border_mode: ``replicate``, ``constant``, ``reflect``, ``reflect_101`` or ``wrap``.
        border_val: value outside in mode ``constant``.
        format: ``NCHW`` or ``NHWC``.
        interp_mode: ``linear``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.arange(16, dtype="float32").reshape(1, 1, 4, 4))
        >>> move = mge.Tensor([[[1.0, 0, 1], [0, 1, 1], [0, 0, 1]]])
        >>> F.vision.warp_perspective(x, move, (2, 2))
        Tensor([[[[ 5.  6.]
           [ 9. 10.]]]], device=xpux:0)
    """
    op = "warp_perspective"
    check_tensor(op, inp=inp, mat=mat)
    if inp._dtype_id == 9:
        inp = _core.astype(inp, 0)
    mat = _core.astype(mat, 0)
    which = [] if mat_idx is None else [int_vector(mat_idx)]
    return _ops.WarpPerspective(inp, mat, *which, _size(op, out_shape), border_val=border_val,
                                imode=_field("WarpPerspective", "imode", interp_mode),
                                bmode=_field("WarpPerspective", "bmode", border_mode),
                                format=_field("WarpPerspective", "format", format))  # fmt: skip


def _scaled_size(inp, scale_factor, mode):
    axes = 3 if mode == "trilinear" else 2
    if isinstance(scale_factor, (float, int)):
        factors = (float(scale_factor), 1.0) if mode == "linear" else (float(scale_factor),) * axes
    else:
        if mode == "linear":
            raise ArgumentError("interpolate: scale_factor of mode 'linear' is one number")
        factors = tuple(scale_factor)
    require(len(factors) == axes, f"interpolate: scale_factor has {len(factors)} numbers, expected {axes}")
    for f in factors:
        require(isinstance(f, (float, int)), f"interpolate: scale_factor is {shown(scale_factor)}, expected numbers")
    lengths = sizes(inp)[2:]
    if not is_tensor(lengths[0]):
        return [int(np.floor(np.float32(n * float(f)))) for n, f in zip(lengths, factors)]
    return [elwise("FLOOR", n.astype("float32") * float(f)).astype("int32") for n, f in zip(lengths, factors)]


def interpolate(
    inp: Tensor,
    size: Optional[Union[int, Tuple[int, int]]] = None,
    scale_factor: Optional[Union[float, Tuple[float, float]]] = None,
    mode: str = "bilinear",
    align_corners: Optional[bool] = None,
) -> Tensor:
    """Resizes images, sequences or volumes.

    Args:
        inp: of shape `(N, C, H, W)`; `(N, C, L)` for mode ``linear``, `(N, C, D, H, W)` for ``trilinear``.
        size: size of the result.
        scale_factor: what sizes are multiplied by; one of the two is given.
        mode: ``bilinear``, ``linear``, ``trilinear``, ``bicubic`` or ``nearest``.
        align_corners: whether the centres of corner pixels stay where they are (linear modes).

    Raises:
        ValueError: arguments do not fit each other.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.arange(1, 5, dtype="float32").reshape(1, 1, 2, 2))
        >>> F.vision.interpolate(x, (2, 4)).numpy()[0, 0]
        array([[1.  , 1.25, 1.75, 2.  ],
               [3.  , 3.25, 3.75, 4.  ]], dtype=float32)
    """
    op = "interpolate"
    check_tensor(op, inp=inp)
    mode = str(mode).lower()
    linear = ("bilinear", "linear", "trilinear")
    if mode not in (*linear, "bicubic", "nearest"):
        raise ArgumentError(f"{op}: there is no mode {shown(mode)}")
    if mode not in linear and align_corners is not None:
        raise ArgumentError(f"{op}: align_corners goes with linear modes, not {shown(mode)}")
    if mode == "linear":
        require(inp.ndim == 3, f"{op}: inp has shape {inp._tuple_shape}, but mode 'linear' takes 3 dimensions")
        inp = expand_dims(inp, 3)
    dims = 5 if mode == "trilinear" else 4
    require(inp.ndim == dims, f"{op}: inp has shape {inp._tuple_shape}, but mode {shown(mode)} takes {dims} dimensions")
    if size is None:
        if scale_factor is None:
            raise ArgumentError(f"{op}: neither size nor scale_factor is given")
        size = _scaled_size(inp, scale_factor, mode)
    elif scale_factor is not None:
        raise ArgumentError(f"{op}: both size and scale_factor are given")
    elif isinstance(size, (int, np.integer)):
        size = (int(size),) + (1,) * (dims - 3)  # MegEngine's meaning of a single number
    elif mode == "linear":
        raise ArgumentError(f"{op}: size of mode 'linear' is one number")
    if inp._dtype_id == 9:
        inp = _core.astype(inp, 0)
    target = int_vector(size)
    if mode == "trilinear":
        out = _ops.Resize3D(inp, target, imode="LINEAR", format="NCDHW", align_corners=bool(align_corners))
    elif not align_corners:
        kernel = {"bicubic": "CUBIC", "nearest": "NEAREST"}.get(mode, "LINEAR")
        out = _ops.Resize(inp, target, imode=kernel, format="NCHW")
    else:
        out = warp_perspective(inp, _corner_matrix(inp, size, mode), target)
    return squeeze(out, 3) if mode == "linear" else out


def _corner_matrix(inp, size, mode):
    """Matrices that keep the centres of corner pixels in place."""
    n, _, rows, columns = sizes(inp)
    if is_tensor(rows):
        rows, columns = (reshape(v.astype("float32"), (1,)) for v in (rows, columns))
    if is_tensor(rows) or is_tensor(size) or any(is_tensor(s) for s in size):
        size = int_vector(size).astype("float32")
        height, width = reshape(part(size, 0, 0, 1), (1,)), reshape(part(size, 0, 1, 2), (1,))
        y = (rows - 1.0) / (height - 1.0)
        x = columns / width if mode == "linear" else (columns - 1.0) / (width - 1.0)
        zero, one = Tensor(np.zeros(1, np.float32)), Tensor(np.ones(1, np.float32))
        matrix = reshape(concat([x, zero, zero, zero, y, zero, zero, zero, one], 0), (1, 3, 3))
    else:
        height, width = (int(s) for s in size)
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.float32(rows - 1.0) / np.float32(height - 1.0)
            x = (
                np.float32(columns) / np.float32(width)
                if mode == "linear"
                else np.float32(columns - 1.0) / np.float32(width - 1.0)
            )
        matrix = Tensor(np.array([[[x, 0, 0], [0, y, 0], [0, 0, 1]]], np.float32))
    return broadcast_to(matrix, (n, 3, 3))


def nvof(src: Tensor, precision: int = 1) -> Tensor:
    """Optical flow by NVIDIA's hardware.

    Raises:
        NotImplementedError: this build computes on the CPU.
    """
    check_tensor("nvof", src=src)
    require(
        src.ndim == 5 and src._tuple_shape[4] == 4, f"nvof: src has shape {src._tuple_shape}, expected (N, T, H, W, 4)"
    )
    return _ops.NvOf(src.detach(), precision=precision)
