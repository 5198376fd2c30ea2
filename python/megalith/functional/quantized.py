"""Functions on quantized tensors, for inference."""

from typing import Tuple, Union

from .. import _ops
from ..core.tensor.dtype import to_native
from ..tensor import Tensor
from ._compose import check_tensor, pair
from ._conv import _compute, _geometry, _mode, _output_like, _sparse


def _call(
    op, name, inp, weight, bias, dtype, stride, padding, dilation, groups, nonlinear_mode, compute_mode, conv_mode
):
    check_tensor(name, inp=inp, weight=weight)
    mode = str(getattr(conv_mode, "name", conv_mode)).upper()
    extra = {} if dtype is None else {"output_dtype": to_native(dtype)}
    return op(
        inp,
        weight,
        *([] if bias is None else [bias]),
        nonlineMode=str(getattr(nonlinear_mode, "name", nonlinear_mode)).upper(),
        mode=mode,
        sparse=_sparse(name, groups),
        compute_mode=_compute(compute_mode),
        **_geometry(name, stride, padding, dilation),
        **extra,
    )


def conv_bias_activation(
    inp: Tensor,
    weight: Tensor,
    bias: Tensor,
    dtype=None,
    stride: Union[int, Tuple[int, int]] = 1,
    padding: Union[int, Tuple[int, int]] = 0,
    dilation: Union[int, Tuple[int, int]] = 1,
    groups: int = 1,
    nonlinear_mode="identity",
    conv_mode="cross_correlation",
    compute_mode="default",
) -> Tensor:
    """2D convolution, bias and activation in one op.

    Args:
        inp: quantized images of shape `(N, C, H, W)`.
        weight: quantized filters of shape `(OC, C, KH, KW)`, or `(groups, OC / groups, C / groups, KH, KW)`.
        bias: of shape `(1, OC, 1, 1)`, of type qint32 with the product of the two scales.
        dtype: type of the result.
        stride, padding, dilation, groups: as in :func:`megalith.functional.conv2d`.
        nonlinear_mode: ``identity``, ``relu``, ``sigmoid`` or ``h_swish``.
        conv_mode: ``cross_correlation`` or ``convolution``.
        compute_mode: ``default`` or ``float32``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> from megalith.core.tensor.dtype import qint8, qint32
        >>> x, w, b = (mge.Tensor(np.full((1, 1, 1, 1), v, "float32")) for v in (2, 3, 1))
        >>> x, w, b = x.astype(qint8(0.5)), w.astype(qint8(0.5)), b.astype(qint32(0.25))
        >>> F.quantized.conv_bias_activation(x, w, b, qint8(1.0)).numpy()
        array([[[[7]]]], dtype=int8)
    """
    return _call(
        _ops.ConvBiasForward,
        "conv_bias_activation",
        inp,
        weight,
        bias,
        dtype,
        stride,
        padding,
        dilation,
        groups,
        nonlinear_mode,
        compute_mode,
        conv_mode,
    )


def batch_conv_bias_activation(
    inp: Tensor,
    weight: Tensor,
    bias: Tensor,
    dtype=None,
    stride: Union[int, Tuple[int, int]] = 1,
    padding: Union[int, Tuple[int, int]] = 0,
    dilation: Union[int, Tuple[int, int]] = 1,
    groups: int = 1,
    nonlinear_mode="identity",
    conv_mode="cross_correlation",
    compute_mode="default",
) -> Tensor:
    """:func:`conv_bias_activation` with filters of its own for every image: ``weight`` has a first axis of size `N`."""
    return _call(
        _ops.BatchConvBiasForward,
        "batch_conv_bias_activation",
        inp,
        weight,
        bias,
        dtype,
        stride,
        padding,
        dilation,
        groups,
        nonlinear_mode,
        compute_mode,
        conv_mode,
    )


def conv_transpose2d(
    inp: Tensor,
    weight: Tensor,
    bias: Tensor = None,
    dtype=None,
    stride: Union[int, Tuple[int, int]] = 1,
    padding: Union[int, Tuple[int, int]] = 0,
    output_padding: Union[int, Tuple[int, int]] = 0,
    dilation: Union[int, Tuple[int, int]] = 1,
    groups: int = 1,
    conv_mode="cross_correlation",
    compute_mode="default",
) -> Tensor:
    """Transposed 2D convolution of quantized tensors.

    Raises:
        NotImplementedError: there are groups or a bias, which MegEngine does not support either.
    """
    name = "quantized.conv_transpose2d"
    check_tensor(name, inp=inp, weight=weight)
    mode = _mode(name, conv_mode)
    if groups != 1:
        raise NotImplementedError(f"{name}: groups are not supported")
    if bias is not None:
        raise NotImplementedError(f"{name}: a bias is not supported")
    like = _output_like(name, inp, weight, 1, pair(stride), pair(padding), pair(output_padding), pair(dilation))
    extra = {} if dtype is None else {"output_dtype": to_native(dtype)}
    return _ops.ConvolutionBackwardData(weight, inp, *like, mode=mode,
                                        compute_mode=_compute(compute_mode),
                                        **_geometry(name, stride, padding, dilation), **extra)  # fmt: skip
