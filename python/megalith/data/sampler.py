"""Samplers: which samples make up a batch."""

import collections.abc
import itertools
from abc import ABC, abstractmethod
from typing import Any, Iterator, List

import numpy as np

from .. import distributed as dist
from .._errors import require
from ..random import rng as _rng


class Sampler(ABC):
    """Base class of all samplers."""

    @abstractmethod
    def __init__(self):
        pass


def _check_batch_size(batch_size):
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
        raise ValueError(f"batch_size is {batch_size!r}, expected a positive integer")


class MapSampler(Sampler):
    """Base class of samplers for datasets with indices: subclasses define :meth:`sample`.

    Args:
        dataset: what to sample from.
        batch_size: samples per batch.
        drop_last: whether to leave out a last batch that is not full.
        num_samples: how many samples all ranks take together; the dataset's length by default.
        world_size: number of ranks that share the samples.
        rank: this rank.
        seed: of the random numbers; by default it follows :func:`megalith.random.seed`.

    Raises:
        ValueError: an argument makes no sense.
    """

    def __init__(self, dataset, batch_size=1, drop_last=False, num_samples=None, world_size=None, rank=None, seed=None):
        _check_batch_size(batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last is {drop_last!r}, expected a boolean value")
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples <= 0):
            raise ValueError(f"num_samples is {num_samples!r}, expected a positive integer")
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.world_size = dist.get_world_size() if world_size is None else world_size
        self.rank = dist.get_rank() if rank is None else rank
        require(0 <= self.rank < self.world_size, f"rank is {self.rank}, expected one of {self.world_size}")
        total = len(dataset) if num_samples is None else num_samples
        self.num_samples = -(-total // self.world_size)
        if self.num_samples < batch_size:
            raise ValueError(f"a batch of {batch_size} needs as many samples, but there are {self.num_samples}")
        if seed is None:  # all ranks need the same
            seed = 0 if self.world_size > 1 else next(_rng._random_seed_generator())
        self.rng = np.random.RandomState(seed)

    def __iter__(self) -> Iterator[List[Any]]:
        return self.batch()

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def sample(self):
        """The indices of all ranks, in order."""
        raise NotImplementedError

    def scatter(self, indices) -> List:
        """This rank's part of the indices; the first ones are repeated so that all ranks get as many."""
        total = self.num_samples * self.world_size
        indices = list(indices)
        indices += indices[: total - len(indices)]
        require(len(indices) == total, f"{len(indices)} indices can't be shared by {self.world_size} ranks")
        return indices[self.rank : total : self.world_size]

    def batch(self) -> Iterator[List[Any]]:
        """The batches, as lists of indices."""
        indices = list(self.sample())
        if self.world_size > 1:
            indices = self.scatter(indices)
        for start in range(0, len(indices), self.batch_size):
            part = indices[start : start + self.batch_size]
            if len(part) == self.batch_size or not self.drop_last:
                yield part


class StreamSampler(Sampler):
    """Makes batches of a StreamDataset.

    Args:
        batch_size: samples per batch.
    """

    def __init__(self, batch_size=1):
        _check_batch_size(batch_size)
        self.batch_size = batch_size

    def __iter__(self):
        return self.batch()

    def batch(self):
        """Lists of running numbers."""
        numbers = iter(self.sample())
        while len(part := list(itertools.islice(numbers, self.batch_size))) == self.batch_size:
            yield part

    def sample(self):
        """Running numbers."""
        return itertools.count()


class SequentialSampler(MapSampler):
    """Takes the samples in order.

    Args:
        dataset: what to sample from.
        batch_size: samples per batch.
        drop_last: whether to leave out a last batch that is not full.
        indices: the samples to take, all by default.
        world_size: number of ranks that share the samples.
        rank: this rank.

    Examples:
        >>> from megalith.data import SequentialSampler
        >>> list(SequentialSampler(range(5), batch_size=2))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, dataset, batch_size=1, drop_last=False, indices=None, world_size=None, rank=None):
        super().__init__(dataset, batch_size, drop_last, None, world_size, rank)
        if indices is not None and not isinstance(indices, collections.abc.Sequence):
            raise ValueError(f"indices is a {type(indices).__name__}, expected a sequence")
        self.indices = indices

    def sample(self) -> Iterator[Any]:
        """The indices."""
        return iter(range(len(self.dataset))) if self.indices is None else self.indices


class RandomSampler(MapSampler):
    """Takes every sample once, in random order.

    Args:
        dataset: what to sample from.
        batch_size: samples per batch.
        drop_last: whether to leave out a last batch that is not full.
        indices: the samples to take, all by default.
        world_size: number of ranks that share the samples.
        rank: this rank.
        seed: of the random order.

    Examples:
        >>> from megalith.data import RandomSampler
        >>> sorted(sum(RandomSampler(range(5), batch_size=2), []))
        [0, 1, 2, 3, 4]
    """

    def __init__(self, dataset, batch_size=1, drop_last=False, indices=None, world_size=None, rank=None, seed=None):
        super().__init__(dataset, batch_size, drop_last, None, world_size, rank, seed)
        if indices is not None and not isinstance(indices, collections.abc.Sequence):
            raise ValueError(f"indices is a {type(indices).__name__}, expected a sequence")
        self.indices = indices

    def sample(self) -> List:
        """The indices."""
        return self.rng.permutation(len(self.dataset) if self.indices is None else self.indices).tolist()


class ReplacementSampler(MapSampler):
    """Draws samples at random, each as often as chance wants.

    Args:
        dataset: what to sample from.
        batch_size: samples per batch.
        drop_last: whether to leave out a last batch that is not full.
        num_samples: how many samples to draw.
        weights: how likely each sample is; they need not sum to 1.
        world_size: number of ranks that share the samples.
        rank: this rank.
        seed: of the random numbers.
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        drop_last=False,
        num_samples=None,
        weights=None,
        world_size=None,
        rank=None,
        seed=None,
    ):
        super().__init__(dataset, batch_size, drop_last, num_samples, world_size, rank, seed)
        if weights is not None:
            if not isinstance(weights, collections.abc.Sequence):
                raise ValueError(f"weights is a {type(weights).__name__}, expected a sequence")
            if len(weights) != len(dataset):
                raise ValueError(f"{len(weights)} weights for {len(dataset)} samples")
            weights = np.array(weights) / sum(weights)
        self.weights = weights

    def sample(self) -> List:
        """The indices."""
        n = self.num_samples * self.world_size
        return self.rng.choice(len(self.dataset), size=n, replace=True, p=self.weights).tolist()


class Infinite(MapSampler):
    """Starts a sampler again whenever it ends.

    Examples:
        >>> from megalith.data import Infinite, SequentialSampler
        >>> batches = iter(Infinite(SequentialSampler(range(2), batch_size=1)))
        >>> [next(batches) for _ in range(3)]
        [[0], [1], [0]]
    """

    def __init__(self, sampler):
        self.sampler = sampler
        self.sampler_iter = iter(sampler)

    def sample(self):
        """Not defined here."""
        raise NotImplementedError("sample method not supported in Infinite")

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self.sampler_iter)
        except StopIteration:
            self.sampler_iter = iter(self.sampler)
            return next(self.sampler_iter)

    def __len__(self):
        return np.iinfo(np.int64).max

    def __getattr__(self, name):
        if name == "sampler":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.sampler, name)
