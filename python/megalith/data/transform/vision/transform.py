"""Transforms of images and of what belongs to them: boxes, masks, keypoints, polygons."""

import collections.abc
import math
from typing import List, Sequence, Tuple

import numpy as np

from ...._errors import require
from ..meta_transform import Transform
from . import functional as F

__all__ = ["VisionTransform", "ToMode", "Compose", "TorchTransformCompose", "Pad", "Resize", "ShortestEdgeResize",
           "RandomResize", "RandomCrop", "RandomResizedCrop", "CenterCrop", "RandomHorizontalFlip", "RandomVerticalFlip",
           "Normalize", "GaussianNoise", "BrightnessTransform", "SaturationTransform", "ContrastTransform", "HueTransform",
           "ColorJitter", "Lighting"]  # fmt: skip


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


class Pad(VisionTransform):
    """Puts a border around.

    Args:
        size: width of the border on all sides, or (bottom, right), or (top, bottom, left, right).
        value: what is in the border of images, a number or one per channel; a float makes them float32.
        mask_value: what is in the border of masks.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.Pad(1).apply(image).shape
        (10, 8, 3)
    """

    def __init__(self, size=0, value=0, mask_value=0, *, order=None):
        super().__init__(order)
        if isinstance(size, int):
            size = (size, size, size, size)
        elif isinstance(size, collections.abc.Sequence) and len(size) == 2:
            size = (0, size[0], 0, size[1])
        elif not (isinstance(size, collections.abc.Sequence) and len(size) == 4):
            raise ValueError(f"size is {size}, expected an integer or (top, bottom, left, right)")
        if not isinstance(mask_value, int):
            raise ValueError(f"mask_value should be a positive integer, but got mask_value={mask_value}")
        self.size, self.value, self.mask_value = size, value, mask_value

    def _apply_image(self, image):
        return F.pad(image, self.size, self.value)

    def _apply_coords(self, coords):
        coords[:, 0] += self.size[2]
        coords[:, 1] += self.size[0]
        return coords

    def _apply_mask(self, mask):
        return F.pad(mask, self.size, self.mask_value)


class _Resizing(VisionTransform):
    """Base class of transforms that resize: subclasses define ``_get_shape(image)``: height and width, old and new."""

    def apply(self, input: Tuple):
        """The transformed sample."""
        self._shape_info = self._get_shape(self._get_image(input))
        return super().apply(input)

    def _resized(self, image, interpolation):
        h, w, th, tw = self._shape_info
        return image if (h, w) == (th, tw) else F.resize(image, (th, tw), interpolation)

    def _apply_image(self, image):
        return self._resized(image, self.interpolation)

    def _apply_coords(self, coords):
        h, w, th, tw = self._shape_info
        if (h, w) != (th, tw):
            coords[:, 0] = coords[:, 0] * (tw / w)
            coords[:, 1] = coords[:, 1] * (th / h)
        return coords

    def _apply_mask(self, mask):
        return self._resized(mask, F.INTER_NEAREST)


class Resize(_Resizing):
    """Resizes.

    Args:
        output_size: height and width, or the length of the shorter side.
        interpolation: OpenCV's number: 0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> import megalith.data.transform as T
        >>> T.Resize(2).apply(np.zeros((4, 8, 3), "uint8")).shape
        (2, 4, 3)
    """

    def __init__(self, output_size, interpolation=F.INTER_LINEAR, *, order=None):
        super().__init__(order)
        self.output_size, self.interpolation = output_size, interpolation

    def _get_shape(self, image):
        h, w, _ = image.shape
        size = self.output_size
        if not isinstance(size, int):
            return (h, w, *size)
        if min(h, w) == size:
            return h, w, h, w
        return (h, w, size, int(size * w / h)) if h < w else (h, w, int(size * h / w), size)


class ShortestEdgeResize(_Resizing):
    """Resizes so that the shorter side has a random length.

    Args:
        min_size: the length, or a range or several of them to choose from.
        max_size: limit for the longer side.
        sample_style: ``range`` or ``choice``.
        interpolation: see :class:`Resize`.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.ShortestEdgeResize(12, 100).apply(image).shape
        (16, 12, 3)
    """

    def __init__(self, min_size, max_size, sample_style="range", interpolation=F.INTER_LINEAR, *, order=None):
        super().__init__(order)
        if sample_style not in ("range", "choice"):
            raise NotImplementedError(f"{sample_style} is unsupported sample style")
        self.sample_style = sample_style
        self.min_size = (min_size, min_size) if isinstance(min_size, int) else min_size
        self.max_size, self.interpolation = max_size, interpolation

    def _get_shape(self, image):
        h, w, _ = image.shape
        if self.sample_style == "range":
            size = np.random.randint(self.min_size[0], self.min_size[1] + 1)
        else:
            size = np.random.choice(self.min_size)
        scale = min(size / min(h, w), self.max_size / max(h, w))
        return h, w, int(round(h * scale)), int(round(w * scale))


class RandomResize(_Resizing):
    """Resizes by a random factor.

    Args:
        scale_range: least and greatest factor.
        interpolation: see :class:`Resize`.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.RandomResize((1.0, 1.0)).apply(image).shape
        (8, 6, 3)
    """

    def __init__(self, scale_range, interpolation=F.INTER_LINEAR, *, order=None):
        super().__init__(order)
        self.scale_range, self.interpolation = scale_range, interpolation

    def _get_shape(self, image):
        h, w, _ = image.shape
        scale = np.random.uniform(*self.scale_range)
        return h, w, int(round(h * scale)), int(round(w * scale))


def _pair(size):
    return (size, size) if isinstance(size, int) else size


class RandomCrop(VisionTransform):
    """Cuts out a part at a random place, after putting a border around; too small images get a larger one.

    Args:
        output_size: height and width of the part, or one number for both.
        padding_size: see :class:`Pad`.
        padding_value: see :class:`Pad`.
        padding_maskvalue: what is in the border of masks.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.RandomCrop(4).apply(image).shape
        (4, 4, 3)
    """

    def __init__(self, output_size, padding_size=0, padding_value=[0, 0, 0], padding_maskvalue=0, *, order=None):
        super().__init__(order)
        self.output_size = _pair(output_size)
        self.pad = Pad(padding_size, padding_value, padding_maskvalue, order=self.order)
        self.padding_value, self.padding_maskvalue = padding_value, padding_maskvalue

    def apply(self, input):
        """The transformed sample."""
        self.pad.order = self.order
        input = self.pad.apply(input)
        self._h, self._w, _ = self._get_image(input).shape
        self._th, self._tw = self.output_size
        self._x = np.random.randint(0, max(0, self._w - self._tw) + 1)
        self._y = np.random.randint(0, max(0, self._h - self._th) + 1)
        return super().apply(input)

    def _cut(self, image, value):
        missing = max(0, self._th - self._h), max(0, self._tw - self._w)
        if any(missing):
            image = F.pad(image, missing, value)
        return image[self._y : self._y + self._th, self._x : self._x + self._tw]

    def _apply_image(self, image):
        return self._cut(image, self.padding_value)

    def _apply_coords(self, coords):
        coords[:, 0] -= self._x
        coords[:, 1] -= self._y
        return coords

    def _apply_mask(self, mask):
        return self._cut(mask, self.padding_maskvalue)


class RandomResizedCrop(VisionTransform):
    """Cuts out a part of random size and aspect ratio, and resizes it.

    Args:
        output_size: height and width, or one number for both.
        scale_range: least and greatest share of the area.
        ratio_range: least and greatest width divided by height.
        interpolation: see :class:`Resize`.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.RandomResizedCrop(4).apply(image).shape
        (4, 4, 3)
    """

    def __init__(
        self,
        output_size,
        scale_range=(0.08, 1.0),
        ratio_range=(3.0 / 4, 4.0 / 3),
        interpolation=F.INTER_LINEAR,
        *,
        order=None,
    ):
        super().__init__(order)
        require(scale_range[0] <= scale_range[1], f"scale_range {scale_range} is not (min, max)")
        require(ratio_range[0] <= ratio_range[1], f"ratio_range {ratio_range} is not (min, max)")
        self.output_size = _pair(output_size)
        self.scale_range, self.ratio_range, self.interpolation = scale_range, ratio_range, interpolation

    def apply(self, input: Tuple):
        """The transformed sample."""
        self._coord_info = self._get_coord(self._get_image(input))
        return super().apply(input)

    def _cut(self, image, interpolation):
        x, y, w, h = self._coord_info
        return F.resize(image[y : y + h, x : x + w], self.output_size, interpolation)

    def _apply_image(self, image):
        return self._cut(image, self.interpolation)

    def _apply_coords(self, coords):
        x, y, w, h = self._coord_info
        coords[:, 0] = (coords[:, 0] - x) * self.output_size[1] / w
        coords[:, 1] = (coords[:, 1] - y) * self.output_size[0] / h
        return coords

    def _apply_mask(self, mask):
        return self._cut(mask, F.INTER_NEAREST)

    def _get_coord(self, image, attempts=10):
        height, width, _ = image.shape
        low, high = self.ratio_range
        for _ in range(attempts):
            area = np.random.uniform(*self.scale_range) * height * width
            ratio = math.exp(np.random.uniform(math.log(low), math.log(high)))
            w, h = int(round(math.sqrt(area * ratio))), int(round(math.sqrt(area / ratio)))
            if 0 < w <= width and 0 < h <= height:
                return np.random.randint(0, width - w + 1), np.random.randint(0, height - h + 1), w, h
        ratio = min(max(width / height, low), high)  # nothing fits: the middle
        w, h = min(width, int(round(height * ratio))), min(height, int(round(width / ratio)))
        return (width - w) // 2, (height - h) // 2, w, h


class CenterCrop(VisionTransform):
    """Cuts out the middle.

    Args:
        output_size: height and width, or one number for both.
        order: see :class:`VisionTransform`.

    Raises:
        ValueError: while applying: the image is smaller.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.CenterCrop(4).apply(image).shape
        (4, 4, 3)
    """

    def __init__(self, output_size, *, order=None):
        super().__init__(order)
        self.output_size = _pair(output_size)

    def apply(self, input: Tuple):
        """The transformed sample."""
        self._coord_info = self._get_coord(self._get_image(input))
        return super().apply(input)

    def _apply_image(self, image):
        x, y = self._coord_info
        return image[y : y + self.output_size[0], x : x + self.output_size[1]]

    def _apply_coords(self, coords):
        x, y = self._coord_info
        coords[:, 0] -= x
        coords[:, 1] -= y
        return coords

    def _apply_mask(self, mask):
        return self._apply_image(mask)

    def _get_coord(self, image):
        th, tw = self.output_size
        h, w, _ = image.shape
        require(th <= h and tw <= w, f"output size is bigger than image size: {th} by {tw} and {h} by {w}")
        return int(round((w - tw) / 2.0)), int(round((h - th) / 2.0))


class RandomHorizontalFlip(VisionTransform):
    """Mirrors left to right with a given probability.

    Args:
        prob: the probability.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.RandomHorizontalFlip(1.0).apply(image).shape
        (8, 6, 3)
    """

    _code, _axis = 1, 0

    def __init__(self, prob: float = 0.5, *, order=None):
        super().__init__(order)
        self.prob = prob

    def apply(self, input: Tuple):
        """The transformed sample."""
        self._flipped = np.random.random() < self.prob
        self._length = self._get_image(input).shape[1 - self._axis]
        return super().apply(input)

    def _apply_image(self, image):
        return F.flip(image, flipCode=self._code) if self._flipped else image

    def _apply_coords(self, coords):
        if self._flipped:
            coords[:, self._axis] = self._length - coords[:, self._axis]
        return coords

    def _apply_mask(self, mask):
        return self._apply_image(mask)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Mirrors top to bottom with a given probability.

    Args:
        prob: the probability.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.RandomVerticalFlip(1.0).apply(image).shape
        (8, 6, 3)
    """

    _code, _axis = 0, 1


class Normalize(_OnlyColors):
    """Subtracts a mean and divides by a deviation.

    Args:
        mean: a number, or one per channel.
        std: a number, or one per channel.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> float(T.Normalize(mean=100.0, std=2.0).apply(image).max())
        0.0
    """

    def __init__(self, mean=0.0, std=1.0, *, order=None):
        super().__init__(order)
        self.mean, self.std = np.array(mean, dtype=np.float32), np.array(std, dtype=np.float32)

    def _apply_image(self, image):
        return (image - self.mean) / self.std


class GaussianNoise(_OnlyColors):
    """Adds normally distributed noise.

    Args:
        mean: mean of the noise, in units of 255.
        std: its deviation.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.GaussianNoise(std=2.0).apply(image).shape
        (8, 6, 3)
    """

    def __init__(self, mean=0.0, std=1.0, *, order=None):
        super().__init__(order)
        self.mean, self.std = np.array(mean, dtype=np.float32), np.array(std, dtype=np.float32)

    def _apply_image(self, image):
        noise = np.random.normal(self.mean, self.std, image.shape) * 255
        return np.clip(image + noise.astype(np.float32), 0, 255).astype(image.dtype)


class _Blend(_OnlyColors):
    """Base class: mixes an image with another one by a random factor around 1."""

    _name = ""

    def __init__(self, value, *, order=None):
        super().__init__(order)
        if value < 0:
            raise ValueError(f"{self._name} value should be non-negative")
        self.value = value

    def _other(self, image):
        raise NotImplementedError

    def _apply_image(self, image):
        if self.value == 0:
            return image
        alpha = np.random.uniform(max(0, 1 - self.value), 1 + self.value)
        x = image.astype(np.float32)
        return (x * alpha + self._other(x) * (1 - alpha)).clip(0, 255).astype(image.dtype)


class BrightnessTransform(_Blend):
    """Makes images brighter or darker.

    Args:
        value: how much, 0 for not at all.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.BrightnessTransform(0.5).apply(image).shape
        (8, 6, 3)
    """

    _name = "brightness"

    def _other(self, image):
        return 0


class ContrastTransform(_Blend):
    """Changes the contrast of images.

    Args:
        value: how much, 0 for not at all.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.ContrastTransform(0.5).apply(image).shape
        (8, 6, 3)
    """

    _name = "contrast"

    def _other(self, image):
        return F.to_gray(image).mean()


class SaturationTransform(_Blend):
    """Makes images more or less colourful.

    Args:
        value: how much, 0 for not at all.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.SaturationTransform(0.5).apply(image).shape
        (8, 6, 3)
    """

    _name = "saturation"

    def _other(self, image):
        return F.to_gray(image)


class HueTransform(_OnlyColors):
    """Shifts the hue of images.

    Args:
        value: how much, from 0 to 0.5.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.HueTransform(0.1).apply(image).shape
        (8, 6, 3)
    """

    def __init__(self, value, *, order=None):
        super().__init__(order)
        if value < 0 or value > 0.5:
            raise ValueError("hue value should be in [0.0, 0.5]")
        self.value = value

    def _apply_image(self, image):
        if self.value == 0:
            return image
        hsv = F.bgr_to_hsv(image.astype(np.uint8))
        hsv[..., 0] += np.uint8(int(np.random.uniform(-self.value, self.value) * 255) % 256)
        return F.hsv_to_bgr(hsv).astype(image.dtype)


class ColorJitter(VisionTransform):
    """Changes brightness, contrast, saturation and hue, in random order.

    Args:
        brightness: see :class:`BrightnessTransform`.
        contrast: see :class:`ContrastTransform`.
        saturation: see :class:`SaturationTransform`.
        hue: see :class:`HueTransform`.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.ColorJitter(brightness=0.2, hue=0.1).apply(image).shape
        (8, 6, 3)
    """

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0, *, order=None):
        super().__init__(order)
        kinds = (BrightnessTransform, brightness), (ContrastTransform, contrast), (SaturationTransform, saturation)
        transforms = [kind(value) for kind, value in (*kinds, (HueTransform, hue)) if value != 0]
        groups = [tuple(range(1, len(transforms) + 1))] if transforms else None
        self.transforms = Compose(transforms, shuffle_indices=groups, order=order)

    def apply(self, input):
        """The transformed sample."""
        self.transforms.order = self.order
        self.transforms._set_order()
        return self.transforms.apply(input)


class Lighting(_OnlyColors):
    """Shifts colours along the principal components of ImageNet's, as for AlexNet.

    Args:
        scale: deviation of the random shifts.
        order: see :class:`VisionTransform`.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import transform as T
        >>> image = np.full((8, 6, 3), 100, np.uint8)
        >>> T.Lighting(0.1).apply(image).shape
        (8, 6, 3)
    """

    def __init__(self, scale, *, order=None):
        super().__init__(order)
        if scale < 0:
            raise ValueError("lighting scale should be non-negative")
        self.scale = scale
        self.eigvec = np.array([[-0.5836, -0.6948, 0.4203], [-0.5808, -0.0045, -0.8140], [-0.5675, 0.7192, 0.4009]])
        self.eigval = np.array([0.2175, 0.0188, 0.0045])

    def _apply_image(self, image):
        if self.scale == 0:
            return image
        alpha = np.random.normal(scale=self.scale * 255, size=3)
        return (image.astype(np.float32) + self.eigvec.dot(alpha * self.eigval)).clip(0, 255).astype(image.dtype)
