"""Objects365."""

from .coco import AnnotatedImages


class Objects365(AnnotatedImages):
    """Objects365: images with boxes of 365 classes, whose names are in the JSON file.

    Args:
        root: folder of the images.
        ann_file: the JSON file.
        remove_images_without_annotations: whether images without boxes are left out, and boxes without area or of crowds.
        order: what an item holds: ``image``, ``boxes`` (corners), ``boxes_category`` (from 1) and ``info``.
    """

    def __init__(self, root, ann_file, remove_images_without_annotations=False, *, order=None):
        super().__init__(root, ann_file, remove_images_without_annotations, order=order)
        self.class_names = tuple(self.cats[c]["name"] for c in sorted(self.cats))

    def get_img_info(self, index):
        """What the file says of an image."""
        return super().get_img_info(index)
