"""ImageNet."""

import os
import shutil

from ....logger import get_logger
from ....serialization import load, save
from ...._errors import require
from .folder import ImageFolder
from .utils import _default_dataset_root, calculate_md5, untar, untargz

logger = get_logger(__name__)


class ImageNet(ImageFolder):
    """ILSVRC 2012 from folders of images, or from the archives, which are then unpacked.

    Args:
        root: folder with ``train/<class>``, ``val/<class>`` and ``ILSVRC2012_devkit_t12``, or with the three archives.
        train: whether to take the images for training, else those for validation.

    Raises:
        FileNotFoundError: neither folders nor archives are there.
    """

    raw_file_meta = {
        "train": ("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
        "val": ("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
        "devkit": ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf"),
    }
    default_train_dir = "train"
    default_val_dir = "val"
    default_devkit_dir = "ILSVRC2012_devkit_t12"

    def __init__(self, root: str = None, train: bool = True, **kwargs):
        self.root = self._default_root if root is None else os.path.expanduser(root)
        self.train = train
        if not os.path.exists(self.root):
            raise FileNotFoundError(f"dir {self.root} does not exist")
        self.devkit_dir = os.path.join(self.root, self.default_devkit_dir)
        if not os.path.exists(self.devkit_dir):
            self._prepare_devkit()
        self.target_folder = os.path.join(self.root, self.default_train_dir if train else self.default_val_dir)
        if not os.path.exists(self.target_folder):
            if not self.check_raw_file():
                raise FileNotFoundError(
                    f"expected image folder {self.target_folder} does not exist, and raw files do not exist in {self.root}"
                )
            self._prepare_train() if train else self._prepare_val()
        super().__init__(self.target_folder, **kwargs)

    @property
    def _default_root(self):
        return os.path.join(_default_dataset_root(), type(self).__name__)

    @property
    def valid_ground_truth(self):
        """The classes' numbers of the images for validation."""
        path = os.path.join(self.devkit_dir, "data", "ILSVRC2012_validation_ground_truth.txt")
        if not os.path.exists(path):
            raise FileNotFoundError(f"valid ground truth file {path} does not exist")
        with open(path) as f:
            return [int(line) for line in f]

    @property
    def meta(self):
        """The classes' ids by number, and their names by id."""
        cache = os.path.join(self.devkit_dir, "meta.pkl")
        if os.path.exists(cache):
            return load(cache)
        path = os.path.join(self.devkit_dir, "data", "meta.mat")
        if not os.path.exists(path):
            raise FileNotFoundError(f"meta file {path} does not exist")
        try:
            import scipy.io
        except ImportError:
            raise RuntimeError(f"reading {path} needs scipy: install it") from None
        leaves = [s for s in scipy.io.loadmat(path, squeeze_me=True)["synsets"] if s[4] == 0]
        meta = {int(s[0]): str(s[1]) for s in leaves}, {str(s[1]): tuple(s[2].split(", ")) for s in leaves}
        save(meta, cache)
        return meta

    def check_raw_file(self) -> bool:
        """Whether all archives are there."""
        return all(os.path.exists(os.path.join(self.root, name)) for name, _ in self.raw_file_meta.values())

    def _checked(self, kind):
        name, md5 = self.raw_file_meta[kind]
        path = os.path.join(self.root, name)
        if not os.path.exists(path):
            raise FileNotFoundError(f"neither the folder nor the archive {path} exists")
        logger.info("checking %s", path)
        require(calculate_md5(path) == md5, f"checksum mismatch, {path} may be damaged")
        logger.info("unpacking %s", path)
        return path

    def _prepare_val(self):
        untar(self._checked("val"), self.target_folder)
        names = self.meta[0]
        for image, number in zip(sorted(os.listdir(self.target_folder)), self.valid_ground_truth):
            folder = os.path.join(self.target_folder, names[number])
            os.makedirs(folder, exist_ok=True)
            shutil.move(os.path.join(self.target_folder, image), os.path.join(folder, image))

    def _prepare_train(self):
        untar(self._checked("train"), self.target_folder)
        for name in sorted(os.listdir(self.target_folder)):
            path = os.path.join(self.target_folder, name)
            untar(path, os.path.splitext(path)[0], remove=True)

    def _prepare_devkit(self):
        untargz(self._checked("devkit"))
