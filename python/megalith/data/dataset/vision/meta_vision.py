"""What datasets of images have in common."""

import collections.abc
import os
from typing import Tuple

from ..meta_dataset import Dataset
from .utils import _default_dataset_root


class VisionDataset(Dataset):
    """Base class of datasets of images.

    Args:
        root: folder of the files.
        order: what makes a sample, such as ``("image", "boxes")``; ``("image",)`` by default.
        supported_order: what may be in ``order``.

    Raises:
        ValueError: ``order`` is no sequence.
        NotImplementedError: ``order`` holds something else.
    """

    _repr_indent = 4

    def __init__(self, root, *, order=None, supported_order=None):
        self.root = os.path.expanduser(root) if isinstance(root, (str, bytes)) else root
        if order is None:
            order = ("image",)
        if not isinstance(order, collections.abc.Sequence):
            raise ValueError(f"order should be a sequence, but got order={order}")
        for k in order:
            if supported_order is not None and k not in supported_order:
                raise NotImplementedError(f"{k} is unsupported data type")
        self.order = order

    def __getitem__(self, index):
        raise NotImplementedError

    def __len__(self):
        raise NotImplementedError


class _ArraysDataset(VisionDataset):
    """Base class of datasets that are a few arrays in memory: ``arrays``."""

    def __getitem__(self, index: int) -> Tuple:
        return tuple(a[index] for a in self.arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def _default_root(self):
        return os.path.join(_default_dataset_root(), type(self).__name__)
