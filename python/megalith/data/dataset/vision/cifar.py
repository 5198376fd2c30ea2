"""CIFAR-10 and CIFAR-100."""

import os
import pickle

import numpy as np

from .meta_vision import _ArraysDataset
from .utils import _prepare_root, load_raw_data_from_url, untargz


class CIFAR10(_ArraysDataset):
    """Images of shape (32, 32, 3), BGR, of ten classes: 50,000 for training and 10,000 for tests.

    Args:
        root: folder that holds ``cifar-10-batches-py``; ``~/.cache/megengine/CIFAR10`` by default.
        train: whether to take the images for training.
        download: whether to download the archive if it is missing.
        timeout: accepted for compatibility.

    Raises:
        ValueError: the files are not there.
        RuntimeError: a download failed.
    """

    url_path = "http://www.cs.utoronto.ca/~kriz/"
    raw_file_name = "cifar-10-python.tar.gz"
    raw_file_md5 = "c58f30108f718f92721af3b95e74349a"
    raw_file_dir = "cifar-10-batches-py"
    train_batch = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
    test_batch = ["test_batch"]
    meta_info = {"name": "batches.meta"}
    _labels = (b"labels",)

    def __init__(self, root: str = None, train: bool = True, download: bool = True, timeout: int = 500):
        super().__init__(root, order=("image", "image_category"))
        self.timeout = timeout
        self.root = _prepare_root(self.root, self._default_root, download)
        self.target_file = os.path.join(self.root, self.raw_file_dir)
        if not os.path.exists(self.target_file):
            if not download:
                raise ValueError(f"dir does not contain target file {self.target_file}, please set download=True")
            self.download()
        self.arrays = self.bytes2array(self.train_batch if train else self.test_batch)

    def _read(self, name):
        with open(os.path.join(self.target_file, name), "rb") as f:
            return pickle.load(f, encoding="bytes")

    @property
    def meta(self):
        """The names of the classes, among others."""
        return self._read(self.meta_info["name"])

    def download(self):
        """Downloads and unpacks the archive."""
        load_raw_data_from_url(self.url_path + self.raw_file_name, self.raw_file_name, self.raw_file_md5, self.root)
        self.process()

    def untar(self, file_path, dirs):
        """Unpacks an archive."""
        untargz(file_path, dirs)

    def process(self):
        """Unpacks the archive."""
        self.untar(os.path.join(self.root, self.raw_file_name), self.root)

    def bytes2array(self, filenames):
        """Images and labels of some files."""
        batches = [self._read(name) for name in filenames]
        images = np.concatenate([b[b"data"] for b in batches]).reshape(-1, 3, 32, 32)
        images = np.ascontiguousarray(images.transpose(0, 2, 3, 1)[..., ::-1])
        return (images, *(np.concatenate([b[k] for b in batches]).astype(np.int32) for k in self._labels))


class CIFAR100(CIFAR10):
    """Like :class:`CIFAR10`, with 100 classes in 20 groups: a sample is an image, its class and its group."""

    raw_file_name = "cifar-100-python.tar.gz"
    raw_file_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    raw_file_dir = "cifar-100-python"
    train_batch = ["train"]
    test_batch = ["test"]
    meta_info = {"name": "meta"}
    _labels = (b"fine_labels", b"coarse_labels")
