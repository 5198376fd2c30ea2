"""DataLoader: batches of a dataset, made in this process or by workers."""

import collections.abc
import functools
import itertools
import os
import queue
import threading

import numpy as np

from .._errors import require
from ..logger import get_logger
from ..random.rng import _random_seed_generator
from ..tensor import Tensor
from . import _workers
from ._workers import WorkerInfo  # noqa: F401 (a name of this module in MegEngine)
from .collator import Collator
from .dataset import Dataset, StreamDataset
from .sampler import MapSampler, Sampler, SequentialSampler, StreamSampler
from .transform import PseudoTransform, Transform

logger = get_logger(__name__)

GLOBAL_TIMEOUT = 5


def raise_timeout_error():
    """Raises the error for a batch that took too long."""
    raise RuntimeError("dataloader timeout")


def get_worker_info():
    """In a worker process its number (``idx``), how many there are (``worker``) and its ``seed``; else None."""
    return _workers.worker_info


class DataLoader:
    """Iterates over a dataset in batches.

    Args:
        dataset: where the samples come from.
        sampler: which samples make a batch; by default one at a time, in order.
        transform: what happens to each sample.
        collator: how samples become a batch.
        num_workers: how many processes load, transform and collate; 0 for this process alone.
        timeout: seconds to wait for a batch, 0 for ever.
        preload: whether to make Tensors of the arrays in a batch, one batch ahead.
        parallel_stream: whether each worker iterates over a StreamDataset by itself; it may look at
            :func:`get_worker_info`. Without it this process iterates and the workers transform.

    Raises:
        ValueError: an argument makes no sense.
        RuntimeError: while iterating: a worker raised an exception, which the message holds, or died, or no batch came in
            time.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import DataLoader, SequentialSampler
        >>> from megalith.data.dataset import ArrayDataset
        >>> dataset = ArrayDataset(np.arange(4), np.arange(4) * 10)
        >>> for x, y in DataLoader(dataset, SequentialSampler(dataset, batch_size=2)):
        ...     print(x, y)
        [0 1] [ 0 10]
        [2 3] [20 30]
    """

    def __init__(
        self,
        dataset: Dataset,
        sampler: Sampler = None,
        transform: Transform = None,
        collator: Collator = None,
        num_workers: int = 0,
        timeout: int = 0,
        preload: bool = False,
        parallel_stream: bool = False,
    ):
        if num_workers < 0:
            raise ValueError("num_workers should not be negative")
        if timeout < 0:
            raise ValueError("timeout should not be negative")
        require(isinstance(dataset, Dataset), f"DataLoader: dataset is a {type(dataset).__name__}, expected a Dataset")
        self.datakind = "stream" if isinstance(dataset, StreamDataset) else "map"
        if sampler is None:
            sampler = StreamSampler(batch_size=1) if self.datakind == "stream" else SequentialSampler(dataset)
        kind = StreamSampler if self.datakind == "stream" else MapSampler
        require(
            isinstance(sampler, kind),
            f"types of dataset and sampler do not match: a {self.datakind} dataset and {type(sampler).__name__}",
        )
        if self.datakind == "stream" and num_workers > 1 and not parallel_stream:
            logger.warning("this process reads the stream for all workers: parallel_stream=True may be faster")
        self.dataset, self.sampler = dataset, sampler
        self.transform = PseudoTransform() if transform is None else transform
        self.collator = Collator() if collator is None else collator
        self.num_workers = 0 if os.getenv("TERMUX_VERSION") else num_workers
        self.timeout, self.preload, self.parallel_stream = timeout, preload, parallel_stream

    def __iter__(self):
        if self.num_workers:
            return _ParallelIter(self, self.preload)
        return (_StreamIter if self.datakind == "stream" else _MapIter)(self, self.preload)

    def check_memory_rationality(self):
        """Warns when the workers together may need more memory than this process is allowed.

        Workers share the dataset's memory until they touch it, and counting references touches every Python object.
        """
        from ..device import get_reserved_memory
        from ..logger import get_logger

        needed = (self.num_workers + 1) * get_reserved_memory()
        for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
            try:
                with open(path) as f:
                    limit = int(f.read())
            except (OSError, ValueError):  # there is none
                continue
            if limit < needed:
                get_logger(__name__).warning(
                    "%d workers may need %.1f GB of the %.1f GB that are allowed: keep what a dataset knows in arrays, not lists",
                    self.num_workers, needed / 2**30, limit / 2**30,
                )  # fmt: skip
            return

    def __len__(self):
        return len(self.sampler)


def _tensors(batch):
    """The batch with Tensors for arrays."""
    if isinstance(batch, np.ndarray):
        return Tensor(batch)
    if isinstance(batch, (str, bytes)):
        return batch
    if isinstance(batch, collections.abc.Mapping):
        return {k: _tensors(v) for k, v in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(_tensors, batch))
    if isinstance(batch, collections.abc.Sequence):
        return [_tensors(v) for v in batch]
    return batch


class PreLoader:
    """An iterator over batches.

    Args:
        loader: the DataLoader.
        preload: whether to make Tensors, one batch ahead.
    """

    def __init__(self, loader, preload):
        self.dataset, self.sampler = loader.dataset, loader.sampler
        self.transform, self.collator = loader.transform, loader.collator
        self.num_workers, self.timeout = loader.num_workers, loader.timeout
        self.datakind, self.parallel_stream = loader.datakind, loader.parallel_stream
        self.seed = next(_random_seed_generator())
        self.preload = preload
        self._ahead = None

    def __iter__(self):
        return self

    def __len__(self):
        return len(self.sampler)

    def _get_next_batch(self):
        raise NotImplementedError

    def _load(self):
        try:
            return (_tensors(self._get_next_batch()),)
        except StopIteration:
            return ()

    def __next__(self):
        if not self.preload:
            return self._get_next_batch()
        if self._ahead is None:
            self._ahead = self._load()
        if not self._ahead:
            raise StopIteration
        (batch,) = self._ahead
        self._ahead = self._load()
        return batch


class _MapIter(PreLoader):
    def __init__(self, loader, preload):
        super().__init__(loader, preload)
        self._indices = iter(self.sampler)

    def _get_next_batch(self):
        return map_fetcher(self.dataset, next(self._indices), self.transform, self.collator, False, None)


class _StreamIter(PreLoader):
    def __init__(self, loader, preload):
        super().__init__(loader, preload)
        self._stream = _Timed(iter(self.dataset), self.timeout) if self.timeout else iter(self.dataset)
        self._places = iter(self.sampler)

    def _get_next_batch(self):
        return stream_fetcher(self._stream, next(self._places), self.transform, self.collator, True, None)


class _Timed:
    """An iterator that raises an error if an item takes too long; a thread waits for it."""

    def __init__(self, source, timeout):
        self.source, self.timeout = source, timeout

    def __iter__(self):
        return self

    def __next__(self):
        answer = queue.SimpleQueue()

        def take():
            try:
                answer.put((next(self.source), None))
            except BaseException as e:
                answer.put((None, e))

        threading.Thread(target=take, daemon=True).start()
        try:
            item, error = answer.get(timeout=self.timeout)
        except queue.Empty:
            raise_timeout_error()
        if error is not None:
            raise error
        return item


class _ParallelIter(PreLoader):
    def __init__(self, loader, preload):
        super().__init__(loader, preload)
        make = functools.partial(
            _make_fetch,
            self.datakind,
            self.dataset if self.datakind == "map" or self.parallel_stream else None,
            self.transform,
            self.collator,
            self.parallel_stream,
            self.sampler.batch_size,
        )
        tasks = iter(self.sampler)
        if self.datakind == "stream" and not self.parallel_stream:
            tasks = _chunks(iter(self.dataset), self.sampler.batch_size)
        self._workers = _workers.Workers(self.num_workers, self.seed, make, tasks, self.timeout)

    def _get_next_batch(self):
        return self._workers.next()

    def _shutdown_workers(self):
        self._workers.close()


def _chunks(items, size):
    while len(part := list(itertools.islice(items, size))) == size:
        yield part


def _make_fetch(datakind, dataset, transform, collator, parallel_stream, batch_size):
    source = iter(dataset) if datakind == "stream" and parallel_stream else dataset
    fetcher = map_fetcher if datakind == "map" else stream_fetcher
    return lambda place: fetcher(source, place, transform, collator, parallel_stream, batch_size)


def map_fetcher(dataset, place_holder, transform, collate, parallel_stream, batch_size):
    """The batch of the samples with these indices."""
    return collate.apply(transform.apply_batch([dataset[i] for i in place_holder]))


def stream_fetcher(dataset_iter, place_holder, transform, collate, parallel_stream, batch_size):
    """A batch of as many samples of a stream as there are places, or of the samples in the places themselves.

    Raises:
        StopIteration: the stream has ended.
    """
    samples = itertools.islice(dataset_iter, len(place_holder)) if parallel_stream else place_holder
    samples = [transform.apply(s) for s in samples]
    if not samples:
        raise StopIteration
    return collate.apply(samples)


class ManagerWatchdog:
    """Tells whether the process that started this one is alive."""

    def __init__(self):
        self.manager_pid = os.getppid()

    def is_alive(self):
        """Whether it is."""
        return os.getppid() == self.manager_pid
