"""MNIST."""

import gzip
import os
import struct

import numpy as np

from .meta_vision import _ArraysDataset
from .utils import _prepare_root, load_raw_data_from_url


class MNIST(_ArraysDataset):
    """Handwritten digits: 60,000 images of shape (28, 28, 1) for training and 10,000 for tests, labels 0 to 9.

    Args:
        root: folder of the four files, compressed or not; ``~/.cache/megengine/MNIST`` by default.
        train: whether to take the images for training.
        download: whether to download missing files.

    Raises:
        ValueError: the files are not there, or are damaged.
        RuntimeError: a download failed.

    Examples:
        >>> from megalith.data.dataset import MNIST
        >>> MNIST("no_such_folder", download=False)
        Traceback (most recent call last):
        ...
        ValueError: dir no_such_folder does not exist
    """

    url_path = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    raw_file_name = [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]
    raw_file_md5 = [
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ]

    def __init__(self, root: str = None, train: bool = True, download: bool = True):
        super().__init__(root, order=("image", "image_category"))
        self.root = _prepare_root(self.root, self._default_root, download)
        if not self._check_raw_files():
            if not download:
                raise ValueError(f"root {self.root} does not contain valid raw files, please set download=True")
            self.download()
        self.process(train)

    @property
    def meta(self):
        """The headers of the files."""
        return self._meta_data

    def _path(self, i):
        path = os.path.join(self.root, self.raw_file_name[i])
        return path if os.path.exists(path) or not os.path.exists(path[:-3]) else path[:-3]

    def _check_raw_files(self):
        return all(os.path.exists(self._path(i)) for i in range(4))

    def download(self):
        """Downloads the files that are missing."""
        for name, md5 in zip(self.raw_file_name, self.raw_file_md5):
            load_raw_data_from_url(self.url_path + name, name, md5, self.root)

    def process(self, train):
        """Reads the files."""
        first = 0 if train else 2
        images_meta, images = parse_idx3(self._path(first))
        labels_meta, labels = parse_idx1(self._path(first + 1))
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images but {len(labels)} labels in {self.root}")
        self._meta_data = {"images": images_meta, "labels": labels_meta}
        self.arrays = (images, labels.astype(np.int32))


def _read(path, names):
    with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as f:
        data = f.read()
    size = 4 * len(names)
    if len(data) < size:
        raise ValueError(f"{path} ends within its header")
    meta = dict(zip(names, struct.unpack_from(f">{len(names)}i", data)))
    magic = 0x800 + len(names) - 1
    if meta["magic"] != magic or min(meta.values()) < 0:
        raise ValueError(f"{path} is no idx file of this kind: it begins with {meta['magic']}, not {magic}")
    values = np.frombuffer(data, np.uint8, offset=size)
    expected = int(np.prod([meta[n] for n in names[1:]], dtype=np.int64))
    if values.size != expected:
        raise ValueError(f"{path} holds {values.size} bytes of data, but its header says {expected}")
    return meta, values


def parse_idx3(idx3_file):
    """Header and images of an idx3 file."""
    meta, values = _read(idx3_file, ("magic", "imgs", "height", "width"))
    return meta, values.reshape(meta["imgs"], meta["height"], meta["width"], 1).copy()


def parse_idx1(idx1_file):
    """Header and labels of an idx1 file."""
    meta, values = _read(idx1_file, ("magic", "imgs"))
    return meta, values.astype(int)
