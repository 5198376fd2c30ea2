"""Images with annotations in one JSON file: COCO and Objects365."""

import json
import os
from collections import defaultdict

import numpy as np

from .meta_vision import VisionDataset
from .utils import _read_image

min_keypoints_per_image = 10


def has_valid_annotation(anno, order):
    """Whether annotations of an image have what ``order`` asks for, and keypoints at least ten that are visible."""
    if not anno or (("boxes" in order or "boxes_category" in order) and "bbox" not in anno[0]):
        return False
    if "keypoints" not in order:
        return True
    visible = sum(v > 0 for ann in anno for v in ann.get("keypoints", [])[2::3])
    return "keypoints" in anno[0] and visible >= min_keypoints_per_image


class AnnotatedImages(VisionDataset):
    """Images whose boxes are in one JSON file.

    Args:
        root: folder of the images.
        ann_file: the JSON file.
        remove_images_without_annotations: whether images without boxes are left out, and boxes without area or of crowds.
        order: what an item holds, in this order.

    Raises:
        NotImplementedError: ``order`` has something else.
    """

    supported_order = ("image", "boxes", "boxes_category", "info")
    _unused = ()  # fields of an image that nothing needs

    def __init__(self, root, ann_file, remove_images_without_annotations=False, *, order=None):
        super().__init__(root, order=order, supported_order=self.supported_order)
        with open(ann_file) as f:
            content = json.load(f)
        self.imgs = {i["id"]: {k: v for k, v in i.items() if k not in self._unused} for i in content["images"]}
        needs_boxes = "boxes" in self.order or "boxes_category" in self.order or remove_images_without_annotations
        skipped = {"segmentation"} if needs_boxes else {"segmentation", "bbox"}
        self.img_to_anns = defaultdict(list)
        for ann in content["annotations"]:
            self.img_to_anns[ann["image_id"]].append({k: v for k, v in ann.items() if k not in skipped})
        self.cats = {c["id"]: c for c in content["categories"]}
        self.ids = sorted(self.imgs)
        if remove_images_without_annotations:
            self._keep_annotated()
        self.json_category_id_to_contiguous_id = {c: i + 1 for i, c in enumerate(sorted(self.cats))}
        self.contiguous_category_id_to_json_id = {i: c for c, i in self.json_category_id_to_contiguous_id.items()}

    def _keep_annotated(self):
        kept = []
        for image in self.ids:
            anno = [a for a in self.img_to_anns[image] if a["iscrowd"] == 0 and min(a["bbox"][2:]) > 0]
            if has_valid_annotation(anno, self.order):
                kept.append(image)
                self.img_to_anns[image] = anno
            else:
                del self.imgs[image], self.img_to_anns[image]
        self.ids = kept

    def __getitem__(self, index):
        image = self.ids[index]
        return tuple(getattr(self, f"_{what}")(self.imgs[image], self.img_to_anns[image]) for what in self.order)

    def _image(self, info, _):
        return _read_image(os.path.join(self.root, info["file_name"]))

    def _boxes(self, _, anno):
        boxes = np.array([a["bbox"] for a in anno], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # corners in place of sizes
        return boxes

    def _boxes_category(self, _, anno):
        return np.array([self.json_category_id_to_contiguous_id[a["category_id"]] for a in anno], np.int32)

    def _info(self, info, _):
        return [info["height"], info["width"], info["file_name"]]

    def __len__(self):
        return len(self.ids)

    def get_img_info(self, index):
        """What the file says of an image."""
        return self.imgs[self.ids[index]]


class COCO(AnnotatedImages):
    """MS COCO: images with boxes or people's keypoints.

    Args:
        root: folder of the images.
        ann_file: the JSON file.
        remove_images_without_annotations: whether images without boxes are left out, and boxes without area or of crowds;
            with ``keypoints`` also images with less than ten visible ones.
        order: what an item holds: ``image``, ``boxes`` (corners), ``boxes_category`` (from 1), ``keypoints`` and ``info``.
    """

    supported_order = ("image", "boxes", "boxes_category", "keypoints", "info")
    _unused = ("license", "coco_url", "date_captured", "flickr_url")

    def __init__(self, root, ann_file, remove_images_without_annotations=False, *, order=None):
        super().__init__(root, ann_file, remove_images_without_annotations, order=order)

    def get_img_info(self, index):
        """What the file says of an image."""
        return super().get_img_info(index)

    def _keypoints(self, _, anno):
        return np.array([a["keypoints"] for a in anno], np.float32).reshape(-1, len(self.keypoint_names), 3)

    class_names = (
        "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
        "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
        "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
        "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
        "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
        "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
        "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
        "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
    )  # fmt: skip
    classes_originID = dict(
        zip(class_names, (i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)))
    )
    keypoint_names = (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    )  # fmt: skip
