"""Ops that MegEngine calls eagerly and that no file stores: each is a call of functions that are there already."""

import enum

import numpy as np

from ... import _core


class _Mode(str, enum.Enum):
    """What a collective call does."""

    REDUCE_SUM = "REDUCE_SUM"
    BROADCAST = "BROADCAST"
    ALL_GATHER = "ALL_GATHER"
    REDUCE_SCATTER_SUM = "REDUCE_SCATTER_SUM"
    ALL_REDUCE_SUM = "ALL_REDUCE_SUM"
    ALL_REDUCE_MAX = "ALL_REDUCE_MAX"
    ALL_REDUCE_MIN = "ALL_REDUCE_MIN"
    ALL_REDUCE_PROD = "ALL_REDUCE_PROD"
    GATHER = "GATHER"
    SCATTER = "SCATTER"
    ALL_TO_ALL = "ALL_TO_ALL"

    __hash__ = str.__hash__


def _on(device, tensors):
    from ...device import as_device

    for t in tensors:
        if device and not t._is_graph:
            t._device = as_device(str(device))
    return tensors


def _shape(op, tensor):
    """The sizes that a vector of integers holds."""
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"{op}: a shape holds integers, not {tensor.dtype}")
    return [int(n) for n in tensor.numpy().reshape(-1)]


def _add_axis(op, x):
    for axis in _list(op.axis):
        x = _core.expand_dims(x, axis)
    return [x]


def _list(value):
    return [value] if isinstance(value, (int, np.integer)) else list(value)


def _remove_axis(op, x):
    for axis in _list(op.axis):
        x = _core.squeeze(x, axis)
    return [x]


def _inplace_add(_, dest, delta, alpha, beta):
    from ...functional.inplace import _inplace_add_

    return [_inplace_add_(dest, delta, alpha, beta)]


def _fill(op, shape):
    from ...functional import full

    return _on(op.comp_node, [full(_shape("Fill", shape), op.value, dtype=op.dtype or "float32")])


def _fill_like(op, x):
    from ...functional import full_like

    return _on(op.comp_node, [full_like(x, op.value)])


def _meshgrid(op, *inputs):
    from ...functional import meshgrid

    return list(meshgrid(*inputs, indexing=op.indexing))


def _stack(op, *inputs):
    from ...functional import stack

    return _on(op.comp_node, [stack(inputs, op.axis)])


def _pixel_shuffle(op, x):
    from ...functional import pixel_shuffle

    return [pixel_shuffle(x, op.factor)]


def _pixel_shuffle_backward(op, dy):
    from ...functional import reshape, transpose

    f = op.factor
    *batch, channels, height, width = dy.shape
    out = reshape(dy, (-1, channels, height // f, f, width // f, f))
    out = transpose(out, (0, 1, 3, 5, 2, 4))
    return [reshape(out, (*batch, channels * f * f, height // f, width // f))]


def _lamb(op, mean, square, param, grad):
    from ...optimizer.lamb import lamb_step

    mean, square, delta = lamb_step(mean, square, param, grad, op.step, (op.beta_1, op.beta_2), op.lr,
                                    op.weight_decay, op.eps, op.bias_correction, op.always_adapt)  # fmt: skip
    return [mean, square, _core.astype(delta, param._dtype)]


def _param_pack_concat(op, *inputs):
    from ...distributed.helper import param_pack_concat

    return [param_pack_concat(list(inputs[:-1]), inputs[-1], op.offsets)]


def _param_pack_split(op, x):
    from ...distributed.helper import param_pack_split

    return list(param_pack_split(x, op.offsets, [tuple(s) if len(s) else (1,) for s in op.shapes]))


def _collective(op, *inputs):
    if op.nr_devices > 1:
        raise RuntimeError(f"CollectiveComm: {op.nr_devices} devices, this build computes on one")
    return [x._detach() if op.mode == "BROADCAST" else x * 1 for x in inputs]


def _barrier(op, *inputs):
    return [x * 1 for x in inputs[: op.nr_outputs]]


def _same(op, x):
    return [_core.apply1(_core.Op("Identity"), x)]


# What MegEngine calls an op: its fields with their defaults, and what it computes.
COMPOSED = {
    "AddAxis": ({"axis": ()}, _add_axis, "Axes of size 1 added, one after another."),
    "RemoveAxis": ({"axis": ()}, _remove_axis, "Axes of size 1 removed, one after another."),
    "Barrier": ({"comp_node": "", "nr_outputs": 0}, _barrier, "Its first inputs, once the device is done with them."),
    "Borrow": ({"comp_node": ""}, _same, "The input on another device."),
    "FastpathCopy": ({}, _same, "The input."),
    "Fill": ({"value": 0.0, "dtype": "", "comp_node": ""}, _fill, "One value in the shape that the input holds."),
    "FillLike": ({"value": 0.0, "comp_node": ""}, _fill_like, "One value in the shape of the input."),
    "InplaceAdd": ({}, _inplace_add, "alpha * dest + beta * delta, written over dest."),
    "LAMBUpdate": (
        {"beta_1": 1.0, "beta_2": 1.0, "step": 1.0, "lr": 1.0, "weight_decay": 0.0, "eps": 1.0,
         "bias_correction": True, "always_adapt": False},
        _lamb,
        "The averages and the parameter after a step of LAMB.",
    ),
    "MeshGrid": ({"indexing": "xy"}, _meshgrid, "Coordinates on a grid."),
    "Stack": ({"axis": 0, "comp_node": ""}, _stack, "The inputs along a new axis."),
    "PixelShuffle": ({"factor": 1}, _pixel_shuffle, "Channels spread over space."),
    "PixelShuffleBackward": ({"factor": 1}, _pixel_shuffle_backward, "Space gathered into channels."),
    "ParamPackConcat": ({"offsets": ()}, _param_pack_concat, "Parameters in one vector."),
    "ParamPackSplit": ({"offsets": (), "shapes": ()}, _param_pack_split, "Parameters out of one vector."),
    "CollectiveComm": (
        {"mode": _Mode.REDUCE_SUM, "key": "", "nr_devices": 0, "rank": 0, "is_root": False, "local_grad": False,
         "addr": "", "port": 0, "dtype": "", "backend": "", "comp_node": ""},
        _collective,
        "A call of all devices; there is one.",
    ),
}  # fmt: skip
