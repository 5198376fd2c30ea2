"""Parameters of quantization and the ops that round floats to a quantized grid."""

import abc
from enum import Enum
from functools import partial, update_wrapper, wraps
from typing import Union

import numpy as np

from .. import _ops
from .. import functional as F
from ..autodiff import Function
from ..core.tensor.dtype import QuantDtypeMeta, _builtin_quant_dtypes, create_quantized_dtype
from ..tensor import Tensor


class Round(Function):
    """Rounding whose gradient is that of the identity (a straight-through estimator)."""

    def forward(self, x):
        return F.round(x)

    def backward(self, output_grads):
        return output_grads


def tqt_forward(qmin, qmax, inp, scale):
    """Rounds ``inp`` to the grid of ``2 ** scale``; ``scale`` has a gradient.

    Examples:
        >>> import megalith as mge
        >>> from megalith.quantization.utils import tqt_forward
        >>> tqt_forward(-127, 127, mge.Tensor([0.3, 0.6, 900.0]), mge.Tensor(-1.0)).numpy()
        array([ 0.5,  0.5, 63.5], dtype=float32)
    """
    return _ops.TQT(inp, scale, qmin=qmin, qmax=qmax)


def lsq_forward(qmin, qmax, inp, step_size, zero_point=None, scale_grad=None):
    """Rounds ``inp`` to the grid of ``step_size``, which has a gradient that is multiplied by ``scale_grad``."""
    if zero_point is None:
        zero_point = Tensor([0.0], dtype=np.float32)
    if scale_grad is None:
        scale_grad = Tensor([1.0], dtype=np.float32)
    return _ops.LSQ(inp, step_size, zero_point, scale_grad, qmin=qmin, qmax=qmax)


def register_method_to_class(cls):
    """A decorator that makes a function a method of ``cls``."""

    def decorator(func):
        if isinstance(func, partial):
            update_wrapper(func, func.func)

        @wraps(func)
        def method(self, *args, **kwargs):
            return func(self, *args, **kwargs)

        setattr(cls, func.__name__, method)
        return func

    return decorator


class QuantMode(Enum):
    """Whether zero is stored as 0 (SYMMERTIC) or as a zero point (ASYMMERTIC)."""

    SYMMERTIC = 1
    ASYMMERTIC = 2


class QParams:
    """How a tensor is quantized. Subclasses add fields with ``__slots__``.

    Args:
        mode: symmetric or not.
        dtype_meta: the quantized type.
        scale: distance of neighbours on the grid.
        zero_point: what 0 is stored as; None in the symmetric mode.
    """

    __slots__ = ("mode", "dtype_meta", "scale", "zero_point")

    def __init__(self, mode: QuantMode, dtype_meta: QuantDtypeMeta, scale: Tensor, zero_point: Tensor):
        self.mode = mode
        self.dtype_meta = dtype_meta
        self.scale = scale
        self.zero_point = zero_point

    def update(self, qparams: "QParams"):
        """Takes over all fields of ``qparams``."""
        for key in self.__slots__:
            setattr(self, key, getattr(qparams, key))

    def __eq__(self, other):
        slots = self.__slots__
        if len(slots) != len(getattr(other, "__slots__", ())):
            return False
        return all(hasattr(other, key) and not getattr(self, key) != getattr(other, key) for key in slots)

    def __repr__(self):
        return "QParams({})".format(", ".join(f"{key}={getattr(self, key)}" for key in self.__slots__))


class LSQParams(QParams):
    """:class:`QParams` with the factor of the step size's gradient."""

    __slots__ = ("mode", "dtype_meta", "scale", "zero_point", "grad_scale")

    def __init__(
        self, mode: QuantMode, dtype_meta: QuantDtypeMeta, scale: Tensor, zero_point: Tensor, grad_scale: Tensor
    ):
        super().__init__(mode, dtype_meta, scale, zero_point)
        self.grad_scale = grad_scale


class QParamsModuleMixin(abc.ABC):
    """What modules with :meth:`get_qparams` have."""

    def get_quantized_dtype(self):
        """The dtype with the present scale and zero point."""
        qparams = self.get_qparams()
        scale = None if qparams.scale is None else float(qparams.scale.numpy().item())
        zero_point = None if qparams.zero_point is None else int(qparams.zero_point.numpy().item())
        return create_quantized_dtype(qparams.dtype_meta, scale, zero_point)

    @abc.abstractmethod
    def get_qparams(self) -> QParams:
        """The present parameters."""


def create_qparams(
    mode: QuantMode = QuantMode.SYMMERTIC,
    dtype_meta: Union[str, QuantDtypeMeta] = None,
    scale: Tensor = None,
    zero_point: Tensor = None,
):
    """Makes :class:`QParams`.

    Args:
        mode: symmetric or not.
        dtype_meta: the quantized type or its name, such as ``"qint8"``.
        scale: the scale.
        zero_point: the zero point.

    Examples:
        >>> import megalith.quantization as Q
        >>> Q.create_qparams(dtype_meta="qint8_narrow").dtype_meta.qmin
        -127
    """
    if isinstance(dtype_meta, str):
        dtype_meta = _builtin_quant_dtypes[dtype_meta]
    assert mode is None or isinstance(mode, QuantMode), f"create_qparams: mode is {mode!r}, expected a QuantMode"
    return QParams(mode, dtype_meta, scale, zero_point)


def fake_quant_tensor(inp: Tensor, qparams: QParams) -> Tensor:
    """Rounds a float tensor to the values that its quantized form could hold.

    Args:
        inp: the tensor.
        qparams: type, scale and zero point.

    Examples:
        >>> import megalith as mge, megalith.quantization as Q
        >>> qparams = Q.create_qparams(dtype_meta="qint8", scale=mge.Tensor(0.5))
        >>> Q.fake_quant_tensor(mge.Tensor([0.3, 1.1, 100.0]), qparams).numpy()
        array([ 0.5,  1. , 63.5], dtype=float32)
    """
    zero_point = qparams.zero_point if qparams.mode == QuantMode.ASYMMERTIC else Tensor([0.0], dtype=np.float32)
    meta = qparams.dtype_meta
    return _ops.FakeQuant(inp, qparams.scale, zero_point, qmin=meta.qmin, qmax=meta.qmax)


def fake_quant_bias(bias: Tensor, inp: Tensor, w_qat: Tensor) -> Tensor:
    """Rounds a bias to int32 multiples of the product of the scales of ``inp`` and ``w_qat``.

    Returns:
        The bias as it is unless both have symmetric parameters of an int8 type.
    """
    params = [getattr(t, "qparams", None) for t in (inp, w_qat)]
    if bias is None or any(p is None or p.scale is None for p in params):
        return bias
    if any(p.mode != QuantMode.SYMMERTIC or p.dtype_meta.np_dtype_str != "int8" for p in params):
        return bias
    qparams = create_qparams(params[1].mode, "qint32", scale=params[0].scale * params[1].scale)
    out = fake_quant_tensor(bias, qparams)
    out.qparams.update(qparams)
    return out
