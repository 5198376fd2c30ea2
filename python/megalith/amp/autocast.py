"""autocast."""

import functools

from ..core import _config
from ..core.tensor import amp


class autocast:
    """Mixed precision for a ``with`` block or a function.

    Args:
        enabled: whether to do anything.
        low_prec_dtype: type of convolutions and matrix products.
        high_prec_dtype: type of ops that need precision.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F, megalith.amp as amp
        >>> x = mge.Tensor(np.ones((2, 2), "float32"))
        >>> with amp.autocast():
        ...     y = F.linear(x, x)
        >>> y.dtype
        dtype('float16')
    """

    def __init__(
        self,
        enabled: bool = True,
        low_prec_dtype: str = "float16",
        high_prec_dtype: str = "float32",
    ):
        self.enabled = enabled
        self.high_prec_dtype = amp._check(high_prec_dtype)
        self.low_prec_dtype = amp._check(low_prec_dtype)
        self._before = []

    def __enter__(self):
        if self.enabled:
            self._before.append(
                (amp._enabled, amp._high, amp._low, _config._reset_execution_config(compute_mode="float32"))
            )
            amp._set_amp_high_prec_dtype(self.high_prec_dtype)
            amp._set_amp_low_prec_dtype(self.low_prec_dtype)
            amp._set_amp_dtype_autocast(True)

    def __exit__(self, *args):
        if self.enabled:
            enabled, high, low, config = self._before.pop()
            amp._set_amp_high_prec_dtype(high)
            amp._set_amp_low_prec_dtype(low)
            amp._set_amp_dtype_autocast(enabled)
            _config._reset_execution_config(*config)

    def __call__(self, func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            with self:
                return func(*args, **kwargs)

        return wrapper
