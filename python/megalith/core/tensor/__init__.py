"""What MegEngine scripts reach for under ``megengine.core.tensor``; no public API."""

from ..._missing import module_getattr as _module_getattr

__getattr__ = _module_getattr(__name__)
