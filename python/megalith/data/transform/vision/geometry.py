"""Transforms that move what is in an image: borders, sizes, parts, flips."""

import collections.abc
import math
from typing import Tuple

import numpy as np

from ...._errors import require
from . import functional as F
from .base import VisionTransform


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
