"""State of automatic mixed precision: whether it is on, and the two element types."""

import sys
import types

from ... import _core

_enabled = False
_high = "float32"
_low = "float16"

_IDS = {"float32": 0, "float16": 9, "bfloat16": 17}


def _check(dtype: str) -> str:
    if dtype not in _IDS:
        raise ValueError(f"{dtype!r} is no element type for mixed precision: use one of {', '.join(_IDS)}")
    return dtype


def _set_amp_dtype_autocast(enabled: bool):
    global _enabled
    _enabled = bool(enabled)
    _core.set_autocast(_enabled, _IDS[_high])


def _get_amp_dtype_autocast() -> bool:
    return _enabled


def _set_amp_high_prec_dtype(dtype: str):
    global _high
    _high = _check(dtype)
    _core.set_autocast(_enabled, _IDS[_high])


def _get_amp_high_prec_dtype() -> str:
    return _high


def _set_amp_low_prec_dtype(dtype: str):
    global _low
    _low = _check(dtype)


def _get_amp_low_prec_dtype() -> str:
    return _low


def low(x):
    """A tensor in the low precision."""
    return _core.astype(x, _IDS[_low])


def high(x):
    """A tensor in the high precision."""
    return _core.astype(x, _IDS[_high])


class _Amp(types.ModuleType):
    """The state as attributes that can be set."""

    @property
    def enabled(self) -> bool:
        """Whether elementwise calls and products convert their operands."""
        return _enabled

    @enabled.setter
    def enabled(self, value: bool):
        _set_amp_dtype_autocast(value)

    @property
    def high_prec_dtype(self) -> str:
        """The element type of calls that need precision."""
        return _high

    @high_prec_dtype.setter
    def high_prec_dtype(self, dtype: str):
        _set_amp_high_prec_dtype(dtype)

    @property
    def low_prec_dtype(self) -> str:
        """The element type of convolutions and matrix products."""
        return _low

    @low_prec_dtype.setter
    def low_prec_dtype(self, dtype: str):
        _set_amp_low_prec_dtype(dtype)


sys.modules[__name__].__class__ = _Amp
