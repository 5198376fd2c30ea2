"""What an image is marked as, and which calls keep the mark."""

import pickle

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F

DATA = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
KEPT = {
    "elemwise": lambda x: x * F.ones((1, 2, 3, 4)) + x / 2,
    "relu": F.relu,
    "astype": lambda x: x.astype("float16"),
    "reshape": lambda x: F.reshape(x, (1, 2, 6, 2)),
    "broadcast": lambda x: F.broadcast_to(x, (4, 2, 3, 4)),
    "concat": lambda x: F.concat([F.ones((1, 2, 3, 4)), x / 2], axis=1),
    "interpolate": lambda x: F.vision.interpolate(x, scale_factor=3),
    "conv2d": lambda x: F.conv2d(x, F.ones((3, 2, 1, 1)), F.ones((1, 3, 1, 1))),
    "batch_norm": lambda x: F.batch_norm(x, training=True),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "detach": lambda x: x.detach(),
    "copy": lambda x: mge.tensor(x),
}
LOST = {
    "transpose": lambda x: F.transpose(x, (2, 3, 0, 1)),
    "flatten": lambda x: F.flatten(x),
    "broadcast": lambda x: F.broadcast_to(x, (3, 1, 2, 3, 4)),
    "pad": lambda x: F.nn.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect"),
    "sum": lambda x: x.sum(axis=1),
}


@pytest.mark.parametrize("name", KEPT)
def test_kept(name):
    plain, marked = KEPT[name](mge.tensor(DATA)), KEPT[name](mge.tensor(DATA, format="nhwc"))
    assert marked.format == "nhwc" and plain.format == "default"
    np.testing.assert_array_equal(plain.numpy(), marked.numpy())


@pytest.mark.parametrize("name", LOST)
def test_lost(name):
    assert LOST[name](mge.tensor(DATA, format="nhwc")).format == "default"


def test_a_mark_stays_with_its_tensor():
    x = mge.tensor(DATA, format="nchw")
    x[...] = mge.tensor(DATA)
    x[:, :1] = 0
    x += 1
    x.set_value(DATA)
    assert x.format == "nchw" and pickle.loads(pickle.dumps(x)).format == "nchw"
    x.format = "nhwc"
    assert x.format == "nhwc"
    with pytest.raises(ValueError, match="none of"):
        x.format = "chwn"
