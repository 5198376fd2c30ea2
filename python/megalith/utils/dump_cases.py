"""Inputs and expected outputs that a dump keeps with its model, for a check on the machine that runs it."""

import re

import numpy as np

from .._errors import ArgumentError

__all__ = ["assertions", "make_cases"]

_RAND = re.compile(r"^#rand\(\s*([-+.0-9eE]+)\s*,\s*([-+.0-9eE]+)\s*(?:,([^)]+))?\)$")


def make_cases(graph, input_data, repeat=1, resize_input=False, input_transform=None, expect=True) -> list:
    """The cases that ``input_data`` describes.

    Args:
        graph: the model.
        input_data: descriptions, each ``name:what`` for every input, joined by ``;``. ``what`` is an image, an ``.npy`` file or
            ``#rand(min, max, shape…)``, where ``...`` in the shape means the rest of the declared one. The name may be left
            out for models with one input, and for ``#rand``, which then fills all inputs. ``@file`` reads one description per
            line.
        repeat: how often an image or array is repeated along the batch.
        resize_input: resizes images to the input's size.
        input_transform: a Python expression of ``data`` and ``np`` that is applied to images and arrays.
        expect: adds what the model computes, under ``output:expect``.

    Returns:
        One dict from names to arrays per case.

    Raises:
        ValueError: a description that is none, or that does not name the model's inputs.
    """
    inputs = {n.holder_name: n.outputs[0] for n in graph.nodes() if n.kind == "input"}
    specs = []
    for item in [input_data] if isinstance(input_data, str) else list(input_data):
        if item.startswith("@"):
            with open(item[1:]) as f:
                specs.extend(line.strip() for line in f if line.strip())
        else:
            specs.append(item)
    if not specs:
        raise ArgumentError("dump: input_data describes no test case")
    cases = [_one_case(inputs, spec, repeat, resize_input, input_transform) for spec in specs]
    if expect:
        from ..tensor import Tensor

        outputs = graph.outputs
        model = graph.compile([var for var, _ in outputs])
        for case in cases:
            results = model.run({name: Tensor(value, dtype=inputs[name].dtype) for name, value in case.items()})
            for (_, name), result in zip(outputs, results):
                case[f"{name}:expect"] = result.numpy()
    return cases


def assertions(graph, cases, verbose=True, maxerr=1e-4):
    """A graph whose outputs compare the outputs of ``graph`` with inputs named ``output:expect``."""
    from .. import _ops

    compared, names = [], []
    for var, name in graph.outputs:
        value = cases[0][f"{name}:expect"]
        expected = graph.add_input(f"{name}:expect", var._dtype, var.shape or value.shape)
        compared.append(_ops.AssertEqual(expected, var, maxerr=maxerr, verbose=verbose))
        names.append(f"{name}:assert")
    return graph.extract(compared, names)


def _one_case(inputs, spec, repeat, resize, transform):
    parts = spec.split(";")
    if len(parts) == 1 and parts[0].startswith("#"):
        parts = [f"{name}:{parts[0]}" for name in inputs]
    if len(parts) == 1 and len(inputs) == 1 and parts[0].split(":")[0] not in inputs and ":#" not in parts[0]:
        parts = [f"{next(iter(inputs))}:{parts[0]}"]
    case = {}
    for part in parts:
        name, colon, what = part.partition(":")
        if not colon or name not in inputs:
            raise ArgumentError(f"dump: input_data {spec!r} does not fit the inputs {', '.join(inputs)}")
        case[name] = _read(inputs[name], what, repeat, resize, transform)
    if len(case) != len(inputs):
        raise ArgumentError(f"dump: input_data {spec!r} lacks {', '.join(n for n in inputs if n not in case)}")
    return case


def _read(var, what, repeat, resize, transform):
    shape = var.shape or ()
    if what.startswith("#"):
        if resize or transform:
            raise ArgumentError(f"dump: resize_input and input_transform are for files, not for {what!r}")
        match = _RAND.match(what)
        if match is None:
            raise ArgumentError(f"dump: {what!r} is no #rand(min, max, shape…)")
        if match[3]:
            sizes = [s.strip() for s in match[3].split(",")]
            if sizes[-1] == "...":
                sizes[-1:] = shape[len(sizes) - 1 :]
            try:
                shape = tuple(int(s) for s in sizes)
            except ValueError:
                raise ArgumentError(f"dump: {what!r} has a bad shape") from None
        return np.random.uniform(float(match[1]), float(match[2]), shape).astype(var.dtype)
    data = None if what.endswith(".npy") else _image(what)
    if data is None:
        data = np.load(what, allow_pickle=False)
    else:
        data = _fit_image(data, shape, resize)
    data = np.repeat(data, repeat, axis=0)
    if shape and data.ndim != len(shape):
        raise ArgumentError(f"dump: {what} has shape {data.shape}, the input has {shape}")
    return eval(transform, {"data": data, "np": np}) if transform else data


def _image(path):
    """An image as HWC in the order blue, green, red; None where it is no image."""
    try:
        import cv2
    except ImportError:
        raise ArgumentError(f"dump: reading {path} as an image needs OpenCV; .npy files need nothing") from None
    return cv2.imread(path, cv2.IMREAD_COLOR)


def _fit_image(data, shape, resize):
    import cv2

    batch = len(shape) != 3
    shape = (1, data.shape[2], *data.shape[:2]) if not shape else shape if batch else (1, *shape)
    if len(shape) != 4:
        raise ArgumentError(f"dump: an image does not fit an input of shape {shape}")
    channels_first = shape[1] in (1, 3)
    height, width, channels = (shape[2], shape[3], shape[1]) if channels_first else shape[1:]
    if channels not in (1, 3):
        raise ArgumentError(f"dump: an image has 1 or 3 channels, the input has shape {shape}")
    if resize:
        data = cv2.resize(data, (width, height))
    if channels == 1:
        data = cv2.cvtColor(data, cv2.COLOR_BGR2GRAY)[:, :, None]
    if channels_first:
        data = data.transpose(2, 0, 1)
    return data[None] if batch else data
