"""Which observers and fake quantizers a model gets."""

from collections import namedtuple
from functools import partial

from .._errors import ArgumentError
from ..module import Module
from .fake_quant import TQT, FakeQuantize
from .observer import (
    ExponentialMovingAverageObserver,
    HistogramObserver,
    MinMaxObserver,
    PassiveObserver,
    SyncExponentialMovingAverageObserver,
    SyncMinMaxObserver,
)


class QConfig(
    namedtuple("QConfig", ["weight_observer", "act_observer", "weight_fake_quant", "act_fake_quant"])
):  # a namedtuple is immutable and can be compared
    """What each quantized layer makes for its weights and its activations: classes or ``partial`` of them, or None.

    Weights are usually of type ``qint8_narrow``: sums of two products of -128 don't fit int16.

    Args:
        weight_observer, act_observer: makes an :class:`Observer`.
        weight_fake_quant, act_fake_quant: makes a :class:`FakeQuantize`, :class:`TQT` or :class:`LSQ`.

    Examples:
        >>> from functools import partial
        >>> import megalith.quantization as Q
        >>> config = Q.QConfig(
        ...     weight_observer=partial(Q.MinMaxObserver, dtype="qint8_narrow"),
        ...     act_observer=partial(Q.ExponentialMovingAverageObserver, dtype="qint8"),
        ...     weight_fake_quant=partial(Q.FakeQuantize, dtype="qint8_narrow"),
        ...     act_fake_quant=partial(Q.FakeQuantize, dtype="qint8"),
        ... )
        >>> config.act_observer().qmax
        127
    """

    def __new__(cls, weight_observer, act_observer, weight_fake_quant, act_fake_quant):
        if isinstance(act_observer, Module) or isinstance(weight_observer, Module):
            raise ArgumentError("QConfig takes classes of observers, or partial(Observer, ...), and no instances")
        return super().__new__(cls, weight_observer, act_observer, weight_fake_quant, act_fake_quant)


def _preset(weight_observer, act_observer, fake_quant, weight="qint8_narrow", act="qint8"):
    def of(kind, dtype):
        return None if kind is None else partial(kind, dtype=dtype)

    return QConfig(of(weight_observer, weight), of(act_observer, act), of(fake_quant, weight), of(fake_quant, act))


min_max_fakequant_qconfig = _preset(MinMaxObserver, MinMaxObserver, FakeQuantize)
ema_fakequant_qconfig = _preset(MinMaxObserver, ExponentialMovingAverageObserver, FakeQuantize)
sync_ema_fakequant_qconfig = _preset(SyncMinMaxObserver, SyncExponentialMovingAverageObserver, FakeQuantize)
ema_lowbit_fakequant_qconfig = _preset(
    MinMaxObserver, ExponentialMovingAverageObserver, FakeQuantize, weight="qint4", act="qint4"
)
calibration_qconfig = _preset(MinMaxObserver, HistogramObserver, None)
tqt_qconfig = _preset(None, None, TQT)
passive_qconfig = _preset(PassiveObserver, PassiveObserver, FakeQuantize)
easyquant_qconfig = passive_qconfig
