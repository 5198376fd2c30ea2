"""Datasets."""

from ..._missing import module_getattr as _module_getattr
from .meta_dataset import ArrayDataset, ConcatDataset, Dataset, StreamDataset
from .vision import *

__getattr__ = _module_getattr(__name__)
