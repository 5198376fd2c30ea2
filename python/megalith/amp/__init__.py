"""Automatic mixed precision: convolutions and matrix products in a low precision, the rest as it needs."""

import sys
import types

from ..core.tensor import amp as _state
from .autocast import autocast
from .convert_format import convert_module_format, convert_tensor_format
from .grad_scaler import GradScaler


class _Module(types.ModuleType):
    """Gives the module ``enabled``, ``high_prec_dtype`` and ``low_prec_dtype``, which can be set."""

    @property
    def enabled(self) -> bool:
        """Whether mixed precision is on."""
        return _state._enabled

    @enabled.setter
    def enabled(self, value: bool):
        _state._set_amp_dtype_autocast(value)

    @property
    def high_prec_dtype(self) -> str:
        """Type of ops that need precision, ``float32``."""
        return _state._get_amp_high_prec_dtype()

    @high_prec_dtype.setter
    def high_prec_dtype(self, dtype: str):
        _state._set_amp_high_prec_dtype(dtype)

    @property
    def low_prec_dtype(self) -> str:
        """Type of convolutions and matrix products, ``float16`` or ``bfloat16``."""
        return _state._get_amp_low_prec_dtype()

    @low_prec_dtype.setter
    def low_prec_dtype(self, dtype: str):
        _state._set_amp_low_prec_dtype(dtype)


sys.modules[__name__].__class__ = _Module
