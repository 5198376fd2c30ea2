"""Transforms that leave everything in its place and change colors."""

import numpy as np

from . import functional as F
from .base import Compose, VisionTransform, _OnlyColors


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
