"""A dumped graph works for inputs of other sizes than the recorded ones, and gives what the function gives for them."""

import io

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith.jit import trace
from megalith.utils.comp_graph_tools import GraphInference

_rng = np.random.default_rng(5)


def _weights(*shape):
    return mge.Tensor(_rng.standard_normal(shape).astype(np.float32))


W = _weights(5, 3)
W4, W4T = _weights(4, 3, 3, 3), _weights(3, 4, 3, 3)
BN = M.BatchNorm1d(3)
BN.eval()
EMBED = M.Embedding(7, 4)
ROWS, CUBE, IMAGE, FEATURES = (2, 3), (2, 4, 3), (2, 3, 6, 6), (2, 4, 3, 3)


def _unpack(x):
    b, c, h, w = x.shape
    return x.reshape(b, c, h * w).transpose(0, 2, 1)


def _shuffle(x):
    b, c, h, w = x.shape
    x = F.transpose(x.reshape(b * c // 2, 2, h * w), (1, 0, 2))
    return x.reshape(2, -1, c // 2, h, w)[0]


def _zero_index(x, *rest):
    return F.zeros((x.shape[0], *rest), dtype="int32")


CASES = {
    "flatten": (lambda x: F.flatten(x, 1), CUBE),
    "flatten_front": (lambda x: x.flatten(0, 1), CUBE),
    "reshape": (lambda x: x.reshape(x.shape[0], -1), CUBE),
    "broadcast": (lambda x: F.broadcast_to(x[:, :1], x.shape), ROWS),
    "times_size": (lambda x: x * x.shape[0], ROWS),
    "zeros": (lambda x: F.concat([x, F.zeros((x.shape[0], 1))], 1), ROWS),
    "numbers beside a shape": (lambda x: x.reshape(F.concat([mge.tensor(x.shape)[:-1], (1, 1), x.shape[-1]])), ROWS),
    "arange": (lambda x: x + F.arange(x.shape[0]).reshape(-1, 1), ROWS),
    "linear": (lambda x: F.linear(x, W), CUBE),
    "matmul_rows": (lambda x: F.matmul(x, W.T), CUBE),
    "matmul_batch": (lambda x: F.matmul(x, x.transpose(0, 2, 1)), CUBE),
    "matmul_batches": (lambda x: F.matmul(x, x.transpose(0, 1, 3, 2)), (2, 2, 4, 3)),
    "matmul_repeated": (lambda x: F.matmul(W.reshape(1, 5, 3), x.transpose(0, 2, 1)), CUBE),
    "logsoftmax": (lambda x: F.logsoftmax(x, 1), ROWS),
    "logsumexp": (lambda x: F.logsumexp(x, 1), ROWS),
    "detach": (lambda x: x * x.detach(), ROWS),
    "one_hot": (lambda x: F.one_hot((x > 0).astype("int32"), 4), ROWS),
    "embedding": (lambda x: EMBED((x > 0).astype("int32")), ROWS),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), FEATURES),
    "interpolate": (lambda x: F.vision.interpolate(x, scale_factor=2), FEATURES),
    "interpolate_corners": (lambda x: F.vision.interpolate(x, scale_factor=2.0, align_corners=True), FEATURES),
    "interpolate_linear": (lambda x: F.vision.interpolate(x, scale_factor=2.0, mode="linear"), CUBE),
    "conv": (lambda x: F.conv2d(x, W4), IMAGE),
    "conv_transpose": (lambda x: F.conv_transpose2d(x, W4T, stride=2, output_padding=1), IMAGE),
    "adaptive_pool": (lambda x: F.adaptive_avg_pool2d(x, (2, 2)), IMAGE),
    "batch_norm": (lambda x: BN(x), ROWS),
    "batch_norm_sequence": (lambda x: BN(x), (2, 3, 5)),
    "repeat": (lambda x: F.repeat(x, 2, axis=0), ROWS),
    "repeat_once": (lambda x: F.repeat(x, 1, axis=1), ROWS),
    "tile": (lambda x: F.tile(x, (2, 1, 2)), ROWS),
    "roll": (lambda x: F.roll(x, 1), ROWS),
    "roll_rows": (lambda x: F.roll(x, -1, 0), ROWS),
    "isnan": (lambda x: F.isnan(x.astype("int32")), ROWS),
    "meshgrid": (lambda x: F.meshgrid(x[:, 0], x[:, 1])[0], ROWS),
    "gather": (lambda x: F.gather(x, 1, _zero_index(x, 1)), ROWS),
    "cross_entropy": (lambda x: F.nn.cross_entropy(x, _zero_index(x)), ROWS),
    "group_norm": (lambda x: F.nn.group_norm(x, 2, False), FEATURES),
    "unpacked_sizes": (_unpack, FEATURES),
    "shuffle": (_shuffle, FEATURES),
}


@pytest.mark.parametrize("name", CASES)
def test_a_dump_follows_the_batch(name):
    function, shape = CASES[name]
    traced = trace(function, symbolic=True, capture_as_const=True)
    traced(_weights(*shape))
    file = io.BytesIO()
    traced.dump(file)
    file.seek(0)
    graph = GraphInference(file)
    for batch in (shape[0], 4):
        x = _rng.standard_normal((batch, *shape[1:])).astype(np.float32)
        (got,) = graph.run(x).values()
        want = function(mge.Tensor(x)).numpy()
        np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-5, atol=1e-5)


def test_shapes_are_tensors_while_tracing():
    seen = []

    def look(x):
        seen.append(x.shape)
        return x + x.shape[0]

    x = mge.Tensor([[1.0, 2.0]])
    trace(look)(x)
    trace(look, symbolic_shape=False)(x)
    assert isinstance(seen[0], mge.Tensor) and seen[0].tolist() == [1, 2]
    assert seen[1] == (1, 2) == x.shape
    with pytest.raises(ZeroDivisionError):
        trace(lambda x: 1 // 0)(x)
    assert x.shape == (1, 2)
