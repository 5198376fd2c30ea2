"""Modules that round floats to a quantized grid while a model trains."""

import logging
import math
from typing import Union

from .. import functional as F
from .._errors import ArgumentError
from ..core.tensor.dtype import QuantDtypeMeta, _builtin_quant_dtypes
from ..module import Module
from ..tensor import Parameter, Tensor
from .utils import (
    LSQParams,
    QParams,
    QParamsModuleMixin,
    QuantMode,
    create_qparams,
    fake_quant_tensor,
    lsq_forward,
    tqt_forward,
)

logger = logging.getLogger(__name__)


def _quant_meta(owner, dtype, kwargs) -> QuantDtypeMeta:
    """The type that an observer or a fake quantizer was asked for."""
    if isinstance(dtype, str):
        if dtype not in _builtin_quant_dtypes:
            raise ArgumentError(
                f"{owner}: unknown dtype {dtype!r}, only {', '.join(_builtin_quant_dtypes)} are supported"
            )
        dtype = _builtin_quant_dtypes[dtype]
    if "narrow_range" in kwargs:
        logger.warning("%s has no narrow_range, so it is ignored; the type qint8_narrow has that range", owner)
    return dtype


def _check_same_meta(owner, qparams, dtype):
    assert qparams.dtype_meta is dtype, f"{owner}: the parameters are of type {qparams.dtype_meta}, expected {dtype}"


class _FakeQuantize(Module):
    def __init__(self, dtype: Union[str, QuantDtypeMeta], enable: bool = True, **kwargs):
        super().__init__()
        self.dtype = _quant_meta(type(self).__name__, dtype, kwargs)
        self.qmin = self.dtype.qmin
        self.qmax = self.dtype.qmax
        self.enabled = enable

    def enable(self):
        """Makes it round."""
        self.enabled = True

    def disable(self):
        """Makes it return its input."""
        self.enabled = False

    def fake_quant_forward(self, inp, qparams: QParams = None):
        """What it does while it is enabled."""
        raise NotImplementedError

    def normal_forward(self, inp, qparams: QParams = None):
        """What it does while it is disabled."""
        return inp

    def forward(self, inp, qparams: QParams = None):
        return (self.fake_quant_forward if self.enabled else self.normal_forward)(inp, qparams=qparams)


class TQT(_FakeQuantize, QParamsModuleMixin):
    """Trained quantization thresholds (https://arxiv.org/abs/1903.08066): learns the logarithm of the scale.

    Args:
        dtype: the quantized type or its name.
        enable: whether it rounds.
    """

    def __init__(self, dtype: Union[str, QuantDtypeMeta], enable: bool = True, **kwargs):
        super().__init__(dtype, enable, **kwargs)
        self.scale = Parameter(0.0, dtype="float32")

    def fake_quant_forward(self, inp, qparams: QParams = None):
        return tqt_forward(self.qmin, self.qmax, inp, self.scale)

    def set_qparams(self, qparams: QParams):
        """Starts from the scale of ``qparams``."""
        assert qparams.mode == QuantMode.SYMMERTIC, "only symmetric quantization is supported by TQT"
        if qparams.scale is None:
            raise AssertionError("TQT needs an initial scale, and the parameters have none")
        self.scale[...] = F.log(qparams.scale) / math.log(2)

    def get_qparams(self):
        return create_qparams(QuantMode.SYMMERTIC, self.dtype, scale=2**self.scale)


class FakeQuantize(_FakeQuantize):
    """Rounds with the scale and zero point that an observer found.

    Args:
        dtype: the quantized type or its name.
        enable: whether it rounds.
    """

    def fake_quant_forward(self, inp, qparams: QParams = None):
        _check_same_meta("FakeQuantize", qparams, self.dtype)
        return fake_quant_tensor(inp, qparams)


class LSQ(_FakeQuantize, QParamsModuleMixin):
    """Learned step size quantization (https://arxiv.org/abs/1902.08153).

    Args:
        dtype: the quantized type or its name.
        enable: whether it rounds.
        eps: the least step size.
    """

    def __init__(self, dtype: Union[str, QuantDtypeMeta], enable: bool = True, eps: float = 1e-5, **kwargs):
        super().__init__(dtype=dtype, enable=enable, **kwargs)
        self.eps = Tensor(eps, dtype="float32")
        self.step_size = Parameter(1.0, dtype="float32")
        self.mode = None
        self.zero_point = Tensor(0.0, dtype="float32")
        self.grad_scale = Tensor(1.0, dtype="float32")

    def set_qparams(self, qparams: QParams):
        """Starts from the parameters found by an observer, or those of another LSQ."""
        self.mode = qparams.mode
        asymmetric = qparams.mode == QuantMode.ASYMMERTIC
        self.zero_point = qparams.zero_point if asymmetric else Tensor(0.0, dtype="float32")
        if qparams.scale is None:
            raise AssertionError("LSQ needs an initial scale, and the parameters have none")
        step = (qparams.scale - self.eps).item() if qparams.scale >= self.eps else 0.0
        self.step_size = Parameter(step, dtype="float32")
        if isinstance(qparams, LSQParams):
            self.grad_scale = qparams.grad_scale

    def fake_quant_forward(self, inp, qparams: LSQParams = None):
        step_size = F.abs(self.step_size) + self.eps
        return lsq_forward(self.qmin, self.qmax, inp, step_size, self.zero_point, self.grad_scale)

    def get_qparams(self):
        scale = F.abs(self.step_size.detach()) + self.eps
        return LSQParams(
            mode=self.mode, dtype_meta=self.dtype, scale=scale, zero_point=self.zero_point, grad_scale=self.grad_scale
        )
