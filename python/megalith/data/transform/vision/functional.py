"""Operations on images, NumPy arrays of shape (H, W, C); they do what OpenCV's operations of these names do."""

import collections.abc
import functools
import random

import numpy as np

INTER_NEAREST, INTER_LINEAR, INTER_CUBIC, INTER_AREA, INTER_LANCZOS4 = range(5)  # OpenCV's numbers


def wrap_keepdims(func):
    """Makes a function refuse images without three dimensions and return one with three."""

    @functools.wraps(func)
    def wrapper(image, *args, **kwargs):
        if len(image.shape) != 3:
            raise ValueError(f"image must have 3 dims, but got {len(image.shape)} dims")
        out = func(image, *args, **kwargs)
        return out[:, :, np.newaxis] if out.ndim == 2 else out

    return wrapper


def _like(values, dtype):
    """The values as ``dtype``, rounded and limited if it holds integers."""
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = np.clip(np.rint(values), info.min, info.max)
    return values.astype(dtype)


@wrap_keepdims
def to_gray(image):
    """The brightness of a BGR image, of shape (H, W, 1)."""
    if image.shape[2] != 3:
        raise ValueError(f"to_gray takes an image of 3 channels, not {image.shape[2]}")
    if image.dtype == np.uint8:  # by whole numbers, as OpenCV
        b, g, r = (image[..., i].astype(np.int32) for i in range(3))
        return ((b * 3735 + g * 19235 + r * 9798 + (1 << 14)) >> 15).astype(np.uint8)
    return _like(
        image @ np.array([0.114, 0.587, 0.299], image.dtype if image.dtype.kind == "f" else float), image.dtype
    )


@wrap_keepdims
def to_bgr(image):
    """A BGR image of a grey one."""
    if image.shape[2] != 1:
        raise ValueError(f"to_bgr takes an image of 1 channel, not {image.shape[2]}")
    return np.repeat(image, 3, axis=2)


@wrap_keepdims
def pad(input, size, value):
    """The image with a border.

    Args:
        input: the image.
        size: width of the border on all sides, or (bottom, right), or (top, bottom, left, right).
        value: what is in the border, a number or one per channel; a float makes the result float32.
    """
    if isinstance(size, int):
        size = (size, size, size, size)
    elif len(size) == 2:
        size = (0, size[0], 0, size[1])
    top, bottom, left, right = size
    value = np.asarray(value)
    if value.dtype == float:
        input = input.astype(np.float32)
    h, w, c = input.shape
    out = np.empty((h + top + bottom, w + left + right, c), input.dtype)
    if value.ndim == 0:  # a single number is the first channel's, the others are 0
        value = np.array([value] + [0] * (c - 1))
    out[:] = _like(np.broadcast_to(value[:c] if value.shape[0] >= c else np.resize(value, c), (c,)), input.dtype)
    out[top : top + h, left : left + w] = input
    return out


@wrap_keepdims
def flip(image, flipCode):
    """The image mirrored: left to right (1), top to bottom (0), or both (-1)."""
    if flipCode > 0:
        return np.ascontiguousarray(image[:, ::-1])
    return np.ascontiguousarray(image[::-1] if flipCode == 0 else image[::-1, ::-1])


def _taps(n, out, method):
    """For each output position the inputs it is made of, and their weights."""
    scale = n / out
    at = (np.arange(out) + 0.5) * scale - 0.5
    if method == INTER_NEAREST:
        return np.minimum(np.floor(np.arange(out) * scale), n - 1).astype(int)[:, None], np.ones((out, 1))
    if method == INTER_AREA and scale > 1:
        begin, count = np.arange(out) * scale, int(np.ceil(scale)) + 1
        index = np.floor(begin).astype(int)[:, None] + np.arange(count)
        weight = np.minimum(index + 1, (begin + scale)[:, None]) - np.maximum(index, begin[:, None])
        weight = np.maximum(weight, 0) / scale
        return np.clip(index, 0, n - 1), weight
    if method == INTER_AREA:  # enlarging
        low = np.floor(np.arange(out) * scale)
        f = (np.arange(out) + 1) - (low + 1) / scale
        at = low + np.where(f <= 0, 0, f - np.floor(f))
    low = np.floor(at)
    f = (at - low)[:, None]
    if method in (INTER_LINEAR, INTER_AREA):
        index, weight = low[:, None] + np.arange(2), np.concatenate([1 - f, f], 1)
    elif method == INTER_CUBIC:
        d = np.abs(f - np.arange(-1, 3))
        a = -0.75
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        index, weight = low[:, None] + np.arange(-1, 3), np.where(d <= 1, near, far)
    elif method == INTER_LANCZOS4:
        d = f - np.arange(-3, 5)
        weight = np.sinc(d) * np.sinc(d / 4)
        index, weight = low[:, None] + np.arange(-3, 5), weight / weight.sum(1, keepdims=True)
    else:
        raise ValueError(f"resize: there is no interpolation {method}")
    return np.clip(index, 0, n - 1).astype(int), weight


@wrap_keepdims
def _linear_bytes(image, rows, row_weights, columns, column_weights):
    """OpenCV's arithmetic on bytes: weights of 11 bits; what is halved both ways is the mean of four."""
    wide = image.astype(np.int32)
    if image.shape[:2] == (2 * len(rows), 2 * len(columns)):
        return (wide.reshape(len(rows), 2, len(columns), 2, -1).sum((1, 3)) + 2 >> 2).astype(np.uint8)
    x, y = (np.rint(w * 2048).astype(np.int32) for w in (column_weights, row_weights))
    wide = wide[:, columns[:, 0]] * x[:, :1] + wide[:, columns[:, 1]] * x[:, 1:] >> 4
    out = sum(y[:, k, None, None] * wide[rows[:, k]] >> 16 for k in (0, 1))
    return np.clip(out + 2 >> 2, 0, 255).astype(np.uint8)


def resize(input, size, interpolation=INTER_LINEAR):
    """The image in another size.

    Args:
        input: the image or mask.
        size: height and width.
        interpolation: 0 nearest, 1 linear, 2 cubic, 3 mean of the area, 4 Lanczos; of several one is taken at random.
    """
    if len(size) != 2:
        raise ValueError(f"resize needs (h, w), but got {size}")
    if isinstance(interpolation, collections.abc.Sequence):
        interpolation = random.choice(interpolation)
    (h, w, _), (th, tw) = input.shape, (int(n) for n in size)
    if th <= 0 or tw <= 0 or h == 0 or w == 0:
        raise ValueError(f"resize: can't make an image of shape {input.shape} one of size {(th, tw)}")
    rows, row_weights = _taps(h, th, interpolation)
    columns, column_weights = _taps(w, tw, interpolation)
    if interpolation == INTER_NEAREST:
        return np.ascontiguousarray(input[rows[:, 0]][:, columns[:, 0]])
    if interpolation == INTER_LINEAR and input.dtype == np.uint8:
        return _linear_bytes(input, rows, row_weights, columns, column_weights)
    kind = np.float64 if input.dtype == np.float64 else np.float32
    wide = np.zeros((h, tw, input.shape[2]), kind)
    for k in range(columns.shape[1]):
        wide += input[:, columns[:, k]] * column_weights[:, k, None].astype(kind)
    out = np.zeros((th, tw, input.shape[2]), kind)
    for k in range(rows.shape[1]):
        out += wide[rows[:, k]] * row_weights[:, k, None, None].astype(kind)
    return _like(out, input.dtype)


def bgr_to_hsv(image):
    """Hue, saturation and value of a uint8 image, each from 0 to 255: in fixed point, the bits of OpenCV."""
    b, g, r = (image[..., i].astype(np.int64) for i in range(3))
    v = np.maximum(np.maximum(b, g), r)
    d = v - np.minimum(np.minimum(b, g), r)
    h = np.where(v == r, g - b, np.where(v == g, b - r + 2 * d, r - g + 4 * d))
    h = _fixed(h, 256 / 6, d)
    return np.stack([np.where(h < 0, h + 256, h), _fixed(d, 255, v), v], -1).astype(np.uint8)


def _fixed(x, scale, over):
    """``x * scale / over``, through a table of quotients of 12 bits after the point."""
    table = np.rint(scale * 4096 / np.maximum(np.arange(256), 1)).astype(np.int64)
    table[0] = 0
    return (x * table[over] + 2048) >> 12


def hsv_to_bgr(image):
    """The uint8 BGR image of what :func:`bgr_to_hsv` returns."""
    h, s, v = (image[..., i].astype(np.float32) for i in range(3))
    h, s = h * (6 / 255), s / 255
    sector = np.floor(h)
    f = h - sector
    p, q, t = v * (1 - s), v * (1 - s * f), v * (1 - s * (1 - f))
    choices = [(p, t, v), (p, v, q), (t, v, p), (v, q, p), (v, p, t), (q, p, v)]
    k = sector.astype(int) % 6
    return _like(np.stack([np.choose(k, [c[i] for c in choices]) for i in range(3)], -1), np.dtype(np.uint8))
