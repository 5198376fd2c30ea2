"""Settings of MegEngine's dynamic tensor rematerialization: GPU memory is freed by computing tensors again.

They are kept, so that programs run; tensors here live in the machine's memory and are never dropped.
"""

import re
import sys
import types

from ..core._options import get_option, set_option

_UNITS = {"": 0, "B": 0, "K": 1, "KB": 1, "M": 2, "MB": 2, "G": 3, "GB": 3}


def _bytes(value) -> int:
    """A number of bytes of a number or of a text such as ``"2GB"``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMG]?B?)\s*", value.upper()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no number of bytes: use an int, or a text such as '2GB'")
    return int(float(match[1]) * 1024 ** _UNITS[match[2]])


class Settings(types.ModuleType):
    """A module whose settings are properties."""

    @property
    def eviction_threshold(self) -> int:
        """Bytes of memory from which on tensors would be dropped."""
        return get_option("dtr_eviction_threshold")

    @eviction_threshold.setter
    def eviction_threshold(self, value):
        set_option("dtr_eviction_threshold", _bytes(value))

    @property
    def evictee_minimum_size(self) -> int:
        """Bytes of the smallest tensor that would be dropped."""
        return get_option("dtr_evictee_minimum_size")

    @evictee_minimum_size.setter
    def evictee_minimum_size(self, value):
        set_option("dtr_evictee_minimum_size", _bytes(value))

    @property
    def enable_sqrt_sampling(self) -> bool:
        """Whether only some tensors would be looked at."""
        return bool(get_option("enable_dtr_sqrt_sampling"))

    @enable_sqrt_sampling.setter
    def enable_sqrt_sampling(self, value):
        set_option("enable_dtr_sqrt_sampling", int(bool(value)))


def enable():
    """Notes that tensors may be dropped."""
    set_option("enable_dtr_auto_drop", 1)


def disable():
    """Notes that no tensor may be dropped."""
    set_option("enable_dtr_auto_drop", 0)


sys.modules[__name__].__class__ = Settings
