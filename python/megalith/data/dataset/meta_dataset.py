"""What datasets are made of."""

import bisect
import itertools
from abc import ABC, abstractmethod
from typing import Tuple

from ..._errors import require


class Dataset(ABC):
    """Base class of datasets with indices: subclasses define ``__getitem__`` and ``__len__``."""

    @abstractmethod
    def __init__(self):
        pass

    @abstractmethod
    def __getitem__(self, index):
        pass

    @abstractmethod
    def __len__(self):
        pass


class StreamDataset(Dataset):
    """Base class of datasets without indices: subclasses define ``__iter__``."""

    @abstractmethod
    def __init__(self):
        pass

    @abstractmethod
    def __iter__(self):
        pass

    def __getitem__(self, idx):
        raise AssertionError("can not get item from StreamDataset by index")

    def __len__(self):
        raise AssertionError("StreamDataset does not have length")


class ArrayDataset(Dataset):
    """A dataset of arrays: a sample is a tuple of one row of each.

    Raises:
        ValueError: the arrays differ in length.

    Examples:
        >>> import numpy as np
        >>> from megalith.data.dataset import ArrayDataset
        >>> x, y = ArrayDataset(np.arange(3), np.arange(3) * 10)[1]
        >>> int(x), int(y)
        (1, 10)
    """

    def __init__(self, *arrays):
        super().__init__()
        if not all(len(a) == len(arrays[0]) for a in arrays):
            raise ValueError(f"lengths of input arrays are inconsistent: {', '.join(str(len(a)) for a in arrays)}")
        self.arrays = arrays

    def __getitem__(self, index: int) -> Tuple:
        return tuple(a[index] for a in self.arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])


class ConcatDataset(Dataset):
    """Several datasets one after the other.

    Examples:
        >>> import numpy as np
        >>> from megalith.data.dataset import ArrayDataset, ConcatDataset
        >>> len(ConcatDataset([ArrayDataset(np.arange(3)), ArrayDataset(np.arange(4))]))
        7
    """

    def __init__(self, datasets):
        super().__init__()
        self.datasets = list(datasets)
        require(len(self.datasets) > 0, "datasets should not be an empty iterable")
        for d in self.datasets:
            require(not isinstance(d, StreamDataset), "ConcatDataset does not support StreamDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, idx):
        if idx < 0:
            if -idx > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            idx += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, idx)
        if which == len(self.datasets):
            raise IndexError(f"index {idx} lies outside {len(self)} samples")
        return self.datasets[which][idx - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self):
        return self.cumulative_sizes[-1]
