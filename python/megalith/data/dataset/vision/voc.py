"""Pascal VOC."""

import os
import xml.etree.ElementTree as ET
from collections import defaultdict

import numpy as np

from .meta_vision import VisionDataset
from .utils import _read_image


def _palette(classes: int) -> list:
    """The colours of class indices in masks, as blue, green, red: bit i of the index sets bit 7 - i // 3 of a channel."""
    colors = []
    for index in range(classes):
        red, green, blue = (sum((index >> (3 * i + c) & 1) << (7 - i) for i in range(8)) for c in range(3))
        colors.append([blue, green, red])
    return colors


class PascalVOC(VisionDataset):
    """Pascal VOC: images with boxes or with masks.

    Args:
        root: the folder that holds ``JPEGImages``.
        image_set: name of a list in ``ImageSets/Main`` (boxes) or ``ImageSets/Segmentation`` (masks).
        order: what an item holds: ``image``, ``boxes`` (corners), ``boxes_category`` (from 1) or ``mask`` (255 where no class
            is), and ``info``.

    Raises:
        ValueError: boxes and masks are both asked for.
        RuntimeError: there is no such folder.
    """

    supported_order = ("image", "boxes", "boxes_category", "mask", "info")

    def __init__(self, root, image_set, *, order=None):
        super().__init__(root, order=order, supported_order=self.supported_order)
        boxes = "boxes" in self.order or "boxes_category" in self.order
        masks = "mask" in self.order
        if boxes and masks:
            raise ValueError("PascalVOC has boxes or masks for an image, not both")
        if not boxes and not masks:
            raise NotImplementedError("PascalVOC: order has neither boxes nor a mask")
        if not os.path.isdir(self.root):
            raise RuntimeError(f"there is no folder {self.root}")
        self.image_set = image_set
        lists = os.path.join(self.root, "ImageSets", "Main" if boxes else "Segmentation")
        with open(os.path.join(lists, image_set.rstrip("\n") + ".txt")) as f:
            self.file_names = [line.strip() for line in f if line.strip()]

        def paths(folder, extension):
            return [os.path.join(self.root, folder, name + extension) for name in self.file_names]

        self.images = paths("JPEGImages", ".jpg")
        if boxes:
            self.annotations = paths("Annotations", ".xml")
        else:
            self.masks = paths("SegmentationClass_aug" if "aug" in image_set else "SegmentationClass", ".png")
        self.img_infos = {}

    def __getitem__(self, index):
        item, image, objects = [], None, None
        for what in self.order:
            if what in ("boxes", "boxes_category") and objects is None:
                objects = self.parse_voc_xml(ET.parse(self.annotations[index]).getroot())["annotation"]["object"]
            if what == "image":
                image = _read_image(self.images[index])
                item.append(image)
            elif what == "boxes":
                corners = [[o["bndbox"][k] for k in ("xmin", "ymin", "xmax", "ymax")] for o in objects]
                item.append(np.array(corners, np.float32).reshape(-1, 4))
            elif what == "boxes_category":
                item.append(np.array([self.class_names.index(o["name"]) + 1 for o in objects], np.int32))
            elif what == "mask":
                item.append(self._mask(index))
            else:
                info = self.get_img_info(index, image)
                item.append([info["height"], info["width"], info["file_name"]])
        return tuple(item)

    def _mask(self, index):
        if "aug" in self.image_set:
            mask = _read_image(self.masks[index], gray=True)
            return mask.reshape(mask.shape[:2])[:, :, None]
        return self._trans_mask(_read_image(self.masks[index]))[:, :, None]

    def __len__(self):
        return len(self.images)

    def get_img_info(self, index, image=None):
        """Height, width and name of an image."""
        if index not in self.img_infos:
            if image is None:
                image = _read_image(self.images[index])
            self.img_infos[index] = dict(height=image.shape[0], width=image.shape[1], file_name=self.file_names[index])
        return self.img_infos[index]

    def _trans_mask(self, mask):
        label = np.full(mask.shape[:2], 255, np.uint8)
        for i, color in enumerate(self.class_colors):
            label[(mask == color).all(axis=-1)] = i
        return label

    def parse_voc_xml(self, node):
        """An annotation as nested dicts; ``object`` is a list."""
        children = list(node)
        if not children:
            return {node.tag: (node.text or "").strip()}
        found = defaultdict(list)
        for child in children:
            for key, value in self.parse_voc_xml(child).items():
                found[key].append(value)
        if node.tag == "annotation":
            found["object"] = [found["object"]]
        return {node.tag: {k: v[0] if len(v) == 1 else v for k, v in found.items()}}

    class_names = (
        "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
        "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    )  # fmt: skip
    class_colors = _palette(21)
