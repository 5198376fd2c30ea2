"""Cityscapes."""

import os

import numpy as np

from .meta_vision import VisionDataset
from .utils import _read_image

# The label ids that the benchmark counts, by class.
_LABELS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


class Cityscapes(VisionDataset):
    """Cityscapes: street scenes with masks.

    Args:
        root: the folder that holds ``leftImg8bit`` and the masks.
        image_set: ``train``, ``val``, ``test`` or ``train_extra``.
        mode: folder of the masks, ``gtFine`` or ``gtCoarse``.
        order: what an item holds: ``image``, ``mask`` (255 where no class is) and ``info``.

    Raises:
        RuntimeError: there is no such folder.
        ValueError: there is no such set for these masks.
    """

    supported_order = ("image", "mask", "info")

    def __init__(self, root, image_set, mode, *, order=None):
        super().__init__(root, order=order, supported_order=self.supported_order)
        if not os.path.isdir(self.root):
            raise RuntimeError(f"there is no folder {self.root}")
        sets = ("train", "test", "val") if mode == "gtFine" else ("train", "train_extra", "val")
        if image_set not in sets:
            raise ValueError(f"Cityscapes: the sets of {mode} are {', '.join(sets)}, not {image_set!r}")
        self.mode = mode
        self.images_dir = os.path.join(self.root, "leftImg8bit", image_set)
        self.masks_dir = os.path.join(self.root, mode, image_set)
        self.images, self.masks = [], []
        for city in sorted(os.listdir(self.images_dir)):
            for name in sorted(os.listdir(os.path.join(self.images_dir, city))):
                self.images.append(os.path.join(self.images_dir, city, name))
                mask = f"{name.split('_leftImg8bit')[0]}_{mode}_labelIds.png"
                self.masks.append(os.path.join(self.masks_dir, city, mask))

    def __getitem__(self, index):
        item, image = [], None
        for what in self.order:
            if what == "mask":
                mask = _read_image(self.masks[index], gray=True)
                item.append(self._trans_mask(mask.reshape(mask.shape[:2]))[:, :, None])
                continue
            if image is None:
                image = _read_image(self.images[index])
            item.append(image if what == "image" else [image.shape[0], image.shape[1], self.images[index]])
        return tuple(item)

    def __len__(self):
        return len(self.images)

    def _trans_mask(self, mask):
        label = np.full(mask.shape, 255, np.uint8)
        for i, value in enumerate(_LABELS):
            label[mask == value] = i
        return label

    class_names = (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
        "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    )  # fmt: skip
