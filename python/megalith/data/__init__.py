"""Datasets, samplers, transforms and loaders."""

from .._missing import module_getattr as _module_getattr
from .collator import Collator
from .dataloader import DataLoader
from .sampler import (
    Infinite,
    MapSampler,
    RandomSampler,
    ReplacementSampler,
    Sampler,
    SequentialSampler,
    StreamSampler,
)

__getattr__ = _module_getattr(__name__)
