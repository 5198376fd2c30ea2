"""ImageFolder."""

import os
from typing import Dict, List, Tuple

import numpy as np

from .meta_vision import VisionDataset
from .utils import _read_image, is_img


class ImageFolder(VisionDataset):
    """Images in folders that are named like their classes: ``root/class/image.png``.

    Args:
        root: folder of the folders.
        check_valid_func: tells by its path whether a file is an image; by default by its extension.
        class_name: whether labels are names instead of indices of the sorted names.
    """

    def __init__(self, root: str, check_valid_func=None, class_name: bool = False):
        super().__init__(root, order=("image", "image_category"))
        self.check_valid = is_img if check_valid_func is None else check_valid_func
        self.class_name = class_name
        self.class_dict = self.collect_class()
        self.samples = self.collect_samples()

    def collect_samples(self) -> List:
        """Paths and labels."""
        samples = []
        for name in sorted(self.class_dict):
            label = name if self.class_name else self.class_dict[name]
            for folder, _, files in sorted(os.walk(os.path.join(self.root, name), followlinks=True)):
                paths = (os.path.join(folder, f) for f in sorted(files))
                samples += [(p, label) for p in paths if self.check_valid(p)]
        return samples

    def collect_class(self) -> Dict:
        """The classes' indices by their names."""
        names = sorted(d.name for d in os.scandir(self.root) if d.is_dir())
        return {name: np.int32(i) for i, name in enumerate(names)}

    def __getitem__(self, index: int) -> Tuple:
        path, label = self.samples[index]
        return _read_image(path), label

    def __len__(self):
        return len(self.samples)
