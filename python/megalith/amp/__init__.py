"""Automatic mixed precision: convolutions and matrix products in a low precision, the rest as it needs."""

import sys

from ..core.tensor import amp as _state
from .autocast import autocast
from .convert_format import convert_module_format, convert_tensor_format
from .grad_scaler import GradScaler

sys.modules[__name__].__class__ = type(_state)  # enabled, high_prec_dtype and low_prec_dtype can be set
