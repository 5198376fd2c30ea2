"""Transforms of samples."""

from ..._missing import module_getattr as _module_getattr
from .meta_transform import PseudoTransform, Transform
from .vision import *

__getattr__ = _module_getattr(__name__)
