"""Transforms of images."""

from ...._missing import module_getattr as _module_getattr
from .transform import *

__getattr__ = _module_getattr(__name__)
