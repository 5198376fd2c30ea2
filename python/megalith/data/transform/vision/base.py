"""What transforms of images have in common, and several as one."""

import collections.abc
from typing import List, Sequence, Tuple

import numpy as np

from ...._errors import require
from ..meta_transform import Transform


class VisionTransform(Transform):
    """Base class: a sample is a tuple, and each part is transformed by the method for its kind.

    Args:
        order: kinds of the parts, ``("image",)`` by default: ``image`` (H, W, C), ``coords`` (N, 2), ``boxes`` (N, 4) as
            xyxy, ``mask`` (H, W, 1), ``keypoints`` (N, K, 3), ``polygons``, ``*category`` and ``*info``, which stay.
            Parts beyond the order stay as well.

    Raises:
        ValueError: ``order`` is no sequence.
        NotImplementedError: there is no method for a kind.
    """

    def __init__(self, order=None):
        super().__init__()
        if order is None:
            order = ("image",)
        elif not isinstance(order, collections.abc.Sequence):
            raise ValueError(f"order should be a sequence, but got order={order}")
        for k in order:
            if k == "batch":
                raise ValueError(f"{k} is invalid data type")
            if not k.endswith(("category", "info")) and self._get_apply(k) is None:
                raise NotImplementedError(f"{k} is unsupported data type")
        self.order = order

    def apply_batch(self, inputs: Sequence[Tuple]):
        """The transformed samples."""
        return tuple(self.apply(one) for one in inputs)

    def apply(self, input: Tuple):
        """The transformed sample; the part itself if there is only one."""
        parts = input if isinstance(input, tuple) else (input,)
        kinds = (*self.order, *[None] * len(parts))
        out = []
        for part, kind in zip(parts, kinds):
            method = self._get_apply(kind)
            out.append(part if method is None else method(part))
        return out[0] if len(out) == 1 else tuple(out)

    def _get_apply(self, key):
        return getattr(self, f"_apply_{key}", None)

    def _get_image(self, input: Tuple):
        return (input if isinstance(input, tuple) else (input,))[self.order.index("image")]

    def _apply_image(self, image):
        raise NotImplementedError

    def _apply_coords(self, coords):
        raise NotImplementedError

    def _apply_boxes(self, boxes):
        x0, y0, x1, y1 = np.asarray(boxes).reshape(-1, 4).T
        corners = np.stack([x0, y0, x1, y0, x0, y1, x1, y1], -1).reshape(-1, 2)
        corners = self._apply_coords(corners).reshape(-1, 4, 2)
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def _apply_mask(self, mask):
        raise NotImplementedError

    def _apply_keypoints(self, keypoints):
        moved = [self._apply_coords(points) for points in keypoints[..., :2]]
        return np.concatenate((moved, keypoints[..., 2:]), axis=-1)

    def _apply_polygons(self, polygons):
        return [[self._apply_coords(p) for p in instance] for instance in polygons]


class _OnlyColors(VisionTransform):
    """Base class of transforms that leave everything in its place."""

    def _apply_coords(self, coords):
        return coords

    def _apply_mask(self, mask):
        return mask


class ToMode(VisionTransform):
    """Brings the channels of images and masks to the front.

    Args:
        mode: ``CHW``.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> import megalith.data.transform as T
        >>> T.ToMode().apply(np.zeros((4, 5, 3))).shape
        (3, 4, 5)
    """

    def __init__(self, mode="CHW", *, order=None):
        super().__init__(order)
        require(mode in ["CHW"], f"unsupported mode: {mode}")
        self.mode = mode

    def _apply_image(self, image):
        return np.ascontiguousarray(np.moveaxis(image, 2, 0))

    def _apply_coords(self, coords):
        return coords

    def _apply_mask(self, mask):
        return self._apply_image(mask)


class Compose(VisionTransform):
    """Transforms one after the other.

    Args:
        transforms: the transforms; they take over ``order``.
        batch_compose: whether each transform takes the whole batch before the next one does.
        shuffle_indices: groups of transforms, by their numbers from 1, that change places at random for each sample.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> import megalith.data.transform as T
        >>> T.Compose([T.CenterCrop(2), T.ToMode()]).apply(np.zeros((4, 5, 3))).shape
        (3, 2, 2)
    """

    def __init__(
        self,
        transforms: List[VisionTransform] = [],
        batch_compose: bool = False,
        shuffle_indices: List[Tuple] = None,
        *,
        order=None,
    ):
        super().__init__(order)
        if batch_compose and shuffle_indices is not None:
            raise ValueError("Do not support shuffle when apply transforms along the whole batch")
        self.transforms = transforms
        self._set_order()
        self.batch_compose = batch_compose
        if shuffle_indices is not None:
            shuffle_indices = [tuple(i - 1 for i in group) for group in shuffle_indices]
        self.shuffle_indices = shuffle_indices

    def _set_order(self):
        for t in self.transforms:
            t.order = self.order
            if isinstance(t, Compose):
                t._set_order()

    def apply_batch(self, inputs: Sequence[Tuple]):
        """The transformed samples."""
        if not self.batch_compose:
            return super().apply_batch(inputs)
        for t in self.transforms:
            inputs = t.apply_batch(inputs)
        return inputs

    def apply(self, input: Tuple):
        """The transformed sample."""
        for t in self._shuffle():
            input = t.apply(input)
        return input

    def _shuffle(self):
        out = list(self.transforms)
        for group in self.shuffle_indices or ():
            for to, source in zip(group, np.random.permutation(group)):
                out[to] = self.transforms[source]
        return out


class TorchTransformCompose(VisionTransform):
    """Transforms of torchvision that take and return Pillow's images.

    Args:
        transforms: the transforms.
        order: see :class:`VisionTransform`.
    """

    def __init__(self, transforms, *, order=None):
        super().__init__(order)
        self.transforms = transforms

    def _apply_image(self, image):
        try:
            from PIL import Image
        except ImportError:
            raise RuntimeError("TorchTransformCompose needs pillow: install it") from None
        image = Image.fromarray(_swap_red_and_blue(image).astype(np.uint8))
        for t in self.transforms:
            image = t(image)
        return _swap_red_and_blue(np.array(image, dtype=np.uint8) if isinstance(image, Image.Image) else image)


def _swap_red_and_blue(image):
    if image.shape[0] == 3:
        return np.ascontiguousarray(image[::-1])
    return np.ascontiguousarray(image[..., ::-1]) if image.shape[2] == 3 else image
