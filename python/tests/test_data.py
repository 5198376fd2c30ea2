"""Datasets, samplers, loaders with and without worker processes, transforms."""

import gzip
import multiprocessing
import os
import pickle
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

import megalith as mge
from megalith.data import DataLoader, Infinite, RandomSampler, ReplacementSampler, SequentialSampler, StreamSampler
from megalith.data import transform as T
from megalith.data.dataloader import get_worker_info
from megalith.data.dataset import CIFAR10, MNIST, ArrayDataset, ConcatDataset, ImageFolder, StreamDataset
from megalith.data.transform.vision import functional as F


def arrays(n=40, size=8):
    return ArrayDataset(
        np.arange(n * size * size, dtype=np.float32).reshape(n, size, size), np.arange(n, dtype=np.int32)
    )


class Scale(T.Transform):
    def apply(self, input):
        return input[0] * 2, input[1]


class Fail(T.Transform):
    def apply(self, input):
        raise KeyError("no such thing")


class Sleep(T.Transform):
    def apply(self, input):
        time.sleep(30)


class Die(T.Transform):
    def apply(self, input):
        os._exit(7)


class Numbers(StreamDataset):
    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        step, first = (1, 0) if info is None else (info.worker, info.idx)
        return iter(range(first, self.n, step))


@pytest.fixture(params=["fork", "spawn"])
def start_method(request):
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


def leftovers():
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"megalith-{os.getpid()}-")]


@pytest.mark.parametrize("size", [8, 200])  # through the pipe, through shared memory
@pytest.mark.parametrize("preload", [False, True])
def test_workers_give_what_one_process_gives(start_method, size, preload):
    data = arrays(size=size)
    sampler = SequentialSampler(data, batch_size=7)
    kinds = (mge.Tensor,) * 2 if preload else (np.ndarray,) * 2
    expected = list(DataLoader(data, sampler, Scale(), preload=preload))
    loader = DataLoader(data, sampler, Scale(), num_workers=2, preload=preload, timeout=60)
    assert len(loader) == len(expected) == 6
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == 6
        for (x, y), (a, b) in zip(batches, expected):
            assert isinstance(x, kinds[0]) and isinstance(y, kinds[1])
            assert (np.asarray(x) == np.asarray(a)).all() and (np.asarray(y) == np.asarray(b)).all()
    if not preload:
        batches[0][0][0] = 1  # may be written to
    del batches
    assert not multiprocessing.active_children() and not leftovers()


def test_stopping_early_ends_the_workers():
    data = arrays(size=200)
    it = iter(DataLoader(data, Infinite(SequentialSampler(data, batch_size=4)), num_workers=2))
    x, y = next(it)
    del it
    assert not multiprocessing.active_children() and not leftovers()
    assert x[3, 0, 0] == 3 * 200 * 200


def test_workers_exceptions_are_raised_here():
    with pytest.raises(RuntimeError, match="Caught KeyError in DataLoader worker process 0.*\n(.*\n)*.*no such thing"):
        next(iter(DataLoader(arrays(), transform=Fail(), num_workers=2)))
    with pytest.raises(RuntimeError, match="timeout"):
        next(iter(DataLoader(arrays(), transform=Sleep(), num_workers=2, timeout=1)))
    with pytest.raises(RuntimeError, match="exited unexpectedly.*7"):
        next(iter(DataLoader(arrays(), transform=Die(), num_workers=2)))
    assert not multiprocessing.active_children() and not leftovers()


@pytest.mark.parametrize("workers,parallel", [(0, False), (2, False), (2, True)])
def test_streams(workers, parallel):
    loader = DataLoader(Numbers(), StreamSampler(batch_size=2), num_workers=workers, parallel_stream=parallel)
    batches = [b.tolist() for b in loader]
    assert sorted(sum(batches, [])) == list(range(10))
    if not parallel:
        assert batches == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_a_slow_stream_in_this_process():
    class Slow(Numbers):
        def __iter__(self):
            time.sleep(30)
            yield 1

    with pytest.raises(RuntimeError, match="timeout"):
        next(iter(DataLoader(Slow(), StreamSampler(), timeout=1)))


def test_an_interpreter_that_ends_leaves_nothing():
    code = """if 1:
        import os, sys, numpy as np
        from megalith.data import DataLoader, SequentialSampler
        from megalith.data.dataset import ArrayDataset
        d = ArrayDataset(np.zeros((40, 200, 200)))
        it = iter(DataLoader(d, SequentialSampler(d, batch_size=4), num_workers=2))
        next(it)
        print(os.getpid())
    """
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0 and out.stderr == ""
    assert not [n for n in os.listdir("/dev/shm") if n.startswith(f"megalith-{out.stdout.strip()}-")]


def test_loader_refusals():
    data = arrays()
    for kwargs in ({"num_workers": -1}, {"timeout": -1}, {"sampler": StreamSampler()}, {"dataset": [1, 2]}):
        with pytest.raises(ValueError):
            DataLoader(**{"dataset": data, **kwargs})
    with pytest.raises(ValueError):
        DataLoader(Numbers(), SequentialSampler(data))


def test_samplers():
    data = range(10)
    assert list(SequentialSampler(data, 4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [list(SequentialSampler(data, 2, world_size=3, rank=r))[-1] for r in range(3)] == [[6, 9], [7, 0], [8, 1]]
    assert sorted(sum(RandomSampler(data, 3, indices=[3, 5, 7, 1, 2, 0, 4, 6, 8, 9]), [])) == list(range(10))
    assert list(RandomSampler(data, 3, seed=1)) == list(RandomSampler(data, 3, seed=1))
    mge.random.seed(1)
    a = list(RandomSampler(data))
    mge.random.seed(1)
    assert list(RandomSampler(data)) == a
    assert set(sum(ReplacementSampler(data, 5, num_samples=20, weights=[0, 1] + [0] * 8), [])) == {1}
    for kwargs in ({"batch_size": 0}, {"batch_size": True}, {"drop_last": 1}, {"batch_size": 11}):
        with pytest.raises(ValueError):
            SequentialSampler(data, **kwargs)


def test_datasets(tmp_path):
    both = ConcatDataset([arrays(3), arrays(4)])
    assert len(both) == 7 and both[4][1] == 1 and both[-1][1] == 3
    with pytest.raises(ValueError):
        ArrayDataset(np.zeros(2), np.zeros(3))
    images = np.arange(2 * 28 * 28, dtype=np.uint8)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, 2, 28, 28) + images.tobytes())
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">2i", 2049, 2) + b"\x03\x07"))
    with pytest.raises(ValueError):
        MNIST(str(tmp_path), download=False)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(b"\x00\x00\x08\x01\x00")
    mnist = MNIST(str(tmp_path), download=False)
    assert len(mnist) == 2 and mnist[1][0].shape == (28, 28, 1) and mnist[1][1] == 7
    assert (mnist.arrays[0].ravel() == images).all()
    with pytest.raises(ValueError):
        MNIST(str(tmp_path), train=False, download=False)


def test_cifar_and_folders(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = np.random.RandomState(0).randint(0, 255, (4, 3072), np.uint8)
    for i in range(1, 6):
        (folder / f"data_batch_{i}").write_bytes(pickle.dumps({b"data": rows, b"labels": [i, 2, 3, 4]}))
    cifar = CIFAR10(str(tmp_path), download=False)
    assert len(cifar) == 20 and cifar[4][1] == 2
    assert (cifar[0][0][..., 2] == rows[0, :1024].reshape(32, 32)).all()
    for name in ("b/2.png", "a/1.jpg", "a/skip.txt"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"")
    images = ImageFolder(str(tmp_path / "images"))
    assert [(os.path.basename(p), int(k)) for p, k in images.samples] == [("1.jpg", 0), ("2.png", 1)]
    assert [k for _, k in ImageFolder(str(tmp_path / "images"), class_name=True).samples] == ["a", "b"]
    with pytest.raises((ValueError, RuntimeError)):
        images[0]


def test_transforms_move_what_belongs_to_images():
    image = np.random.RandomState(0).randint(0, 255, (6, 8, 3), np.uint8)
    boxes, mask = np.array([[1.0, 2, 5, 4]]), image[..., :1].copy()
    order = ("image", "boxes", "mask", "boxes_category")

    def run(t):
        return T.Compose([t], order=order).apply((image, boxes.copy(), mask, 3))

    out = run(T.RandomHorizontalFlip(1))
    assert (out[0] == image[:, ::-1]).all() and out[1].tolist() == [[3, 2, 7, 4]] and out[3] == 3
    assert run(T.RandomVerticalFlip(1))[1].tolist() == [[1, 2, 5, 4]]
    out = run(T.Resize((12, 16)))
    assert out[0].shape == (12, 16, 3) and out[1].tolist() == [[2, 4, 10, 8]] and out[2].shape == (12, 16, 1)
    assert run(T.Pad((1, 2, 3, 4), 7))[0].shape == (9, 15, 3) and run(T.Pad((1, 2, 3, 4)))[1].tolist() == [[4, 3, 8, 5]]
    assert run(T.CenterCrop(4))[1].tolist() == [[-1, 1, 3, 3]]
    for t in (T.RandomCrop(9), T.RandomCrop(4, 2), T.RandomResizedCrop(5), T.ToMode(), T.RandomResize((0.5, 2))):
        run(t)
    assert run(T.ShortestEdgeResize(12, 14))[0].shape[1] == 14
    for t in (T.ColorJitter(0.5, 0.5, 0.5, 0.5), T.Lighting(0.1), T.GaussianNoise(0, 0.1), T.ColorJitter()):
        out = run(t)
        assert out[0].shape == image.shape and out[0].dtype == np.uint8
    assert T.Normalize([1, 2, 3], 2).apply(image).dtype == np.float32
    with pytest.raises(ValueError):
        run(T.CenterCrop(10))
    with pytest.raises(NotImplementedError):
        T.Resize(3, order=("sound",))
    assert (F.hsv_to_bgr(F.bgr_to_hsv(image)).astype(int) - image).max() <= 12


def test_hues_are_those_of_opencv():
    """Recorded with OpenCV 5.0: COLOR_BGR2HSV_FULL has 256 hues, COLOR_HSV2BGR_FULL takes 255 for a full turn."""
    image = np.uint8([[[200, 50, 10], [10, 200, 60], [3, 7, 255], [90, 90, 90], [0, 0, 0], [17, 250, 251]]])
    hsv = [[162, 242, 200], [74, 242, 200], [1, 252, 255], [0, 0, 90], [0, 0, 0], [42, 238, 251]]
    bgr = [[10, 8, 9], [13, 24, 60], [248, 248, 255], [62, 90, 58], [0, 0, 0], [5, 103, 251]]
    assert F.bgr_to_hsv(image)[0].tolist() == hsv and F.hsv_to_bgr(image)[0].tolist() == bgr


@pytest.mark.parametrize("rank", [2, -1])
def test_ranks_are_below_the_number_of_ranks(rank):
    with pytest.raises(AssertionError, match="rank"):
        SequentialSampler(range(10), world_size=2, rank=rank)
